//! How two processes come to hold the two ends of one thing.

use std::sync::Arc;
use std::time::Duration;

use crate::{Result, Wait};

/// An object that unrelated processes find by its name.
///
/// The value stands for the object, not for an end of it. The one that [`create`](Self::create)
/// returns owns the name and removes it when it is dropped, unless its type says otherwise; the one
/// that [`open`](Self::open) returns owns nothing.
///
/// # Errors
///
/// - [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) from `create`, also when what is
///   there is of another type;
/// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound),
///   [`ErrorKind::WrongType`](crate::ErrorKind::WrongType) and
///   [`ErrorKind::ForeignOwner`](crate::ErrorKind::ForeignOwner) from `open`;
/// - [`ErrorKind::InvalidName`](crate::ErrorKind::InvalidName) and
///   [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) from both.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, Named};
/// use ipc_pipe::Fifo;
///
/// fn round<N: Named>(address: &N::Address) -> ipc_core::Result<()> {
///     let owner = N::create(address, &N::Options::default())?;
///     let again = N::create(address, &N::Options::default()).map(drop).unwrap_err();
///     assert_eq!(again.kind(), ErrorKind::AlreadyExists);
///     let _guest = N::open(address, &N::Options::default())?;
///     owner.unlink()
/// }
///
/// let dir = tempfile::tempdir().unwrap();
/// round::<Fifo>(&dir.path().join("orders"))?;
/// assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait Named: Sized {
    /// What names it: a [`Name`](crate::Name) in a namespace of the kernel, a
    /// [`Path`](std::path::Path) in the file system.
    type Address: ?Sized;
    /// Mode, sizes and policies; the default is private to the user.
    type Options: Default;

    /// Creates the object; there must not be one.
    ///
    /// # Errors
    ///
    /// See [`Named`].
    fn create(address: &Self::Address, options: &Self::Options) -> Result<Self>;

    /// Finds the object that somebody created.
    ///
    /// # Errors
    ///
    /// See [`Named`].
    fn open(address: &Self::Address, options: &Self::Options) -> Result<Self>;

    /// Removes the name now. It removes what this value stands for and never an object that
    /// somebody else has put in its place; ends that are open stay open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the name is gone or stands for
    /// something else by now, which is left alone.
    fn unlink(self) -> Result<()>;
}

/// An end that is made together with its other end, without a name: for a process and its children
/// or threads.
///
/// # Errors
///
/// [`ErrorKind::ResourceLimit`](crate::ErrorKind::ResourceLimit) when descriptors run out.
///
/// # Examples
///
/// ```
/// use ipc_core::{Pair, RecvMsg, Result, SendMsg};
/// use ipc_pipe::PacketReader;
///
/// fn loopback<R: Pair + RecvMsg>(message: &[u8]) -> Result<usize>
/// where
///     R::Peer: SendMsg,
/// {
///     let (mut rx, mut tx) = R::pair(&R::Options::default())?;
///     tx.send(message)?;
///     rx.recv(&mut [0; 64])
/// }
///
/// assert_eq!(loopback::<PacketReader>(b"hello")?, 5);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait Pair: Sized {
    /// The other end: what sends to this one, or the same type where both do both.
    type Peer;
    /// Sizes and policies.
    type Options: Default;

    /// Makes a pair.
    ///
    /// # Errors
    ///
    /// See [`Pair`].
    fn pair(options: &Self::Options) -> Result<(Self, Self::Peer)>;
}

/// An object at which peers arrive one by one.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`](crate::ErrorKind::WouldBlock) and
/// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) as [`Wait`] says,
/// [`ErrorKind::ResourceLimit`](crate::ErrorKind::ResourceLimit) when descriptors run out: the peer
/// keeps waiting and is accepted by a later call.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::{UnixListener, UnixStream};
/// use ipc_core::{Error, Listen, Result, Wait};
///
/// struct Blocking(UnixListener);
///
/// impl Listen for Blocking {
///     type Conn = UnixStream;
///
///     fn accept_with(&self, wait: Wait) -> Result<UnixStream> {
///         assert_eq!(wait, Wait::Forever, "this example has no deadline");
///         let (conn, _) = self.0.accept().map_err(|e| {
///             Error::from_os("accept", e.raw_os_error().unwrap_or_default())
///         })?;
///         Ok(conn)
///     }
/// }
///
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("socket");
/// let listener = Blocking(UnixListener::bind(&path).unwrap());
/// let _client = UnixStream::connect(&path).unwrap();
/// let _conn = listener.accept()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait Listen {
    /// A connection to one peer.
    type Conn;

    /// Accepts one peer.
    ///
    /// # Errors
    ///
    /// See [`Listen`].
    fn accept_with(&self, wait: Wait) -> Result<Self::Conn>;

    /// Accepts one peer and blocks until one comes.
    ///
    /// # Errors
    ///
    /// See [`Listen`].
    fn accept(&self) -> Result<Self::Conn> {
        self.accept_with(Wait::Forever)
    }

    /// Accepts a peer that has come already.
    ///
    /// # Errors
    ///
    /// See [`Listen`].
    fn try_accept(&self) -> Result<Self::Conn> {
        self.accept_with(Wait::Never)
    }

    /// Accepts one peer and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`Listen`].
    fn accept_timeout(&self, timeout: Duration) -> Result<Self::Conn> {
        self.accept_with(Wait::timeout(timeout))
    }
}

impl<T: Listen + ?Sized> Listen for &T {
    type Conn = T::Conn;

    fn accept_with(&self, wait: Wait) -> Result<T::Conn> {
        (**self).accept_with(wait)
    }
}

impl<T: Listen + ?Sized> Listen for Box<T> {
    type Conn = T::Conn;

    fn accept_with(&self, wait: Wait) -> Result<T::Conn> {
        (**self).accept_with(wait)
    }
}

impl<T: Listen + ?Sized> Listen for Arc<T> {
    type Conn = T::Conn;

    fn accept_with(&self, wait: Wait) -> Result<T::Conn> {
        (**self).accept_with(wait)
    }
}

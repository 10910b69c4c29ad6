//! Accepting connections.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, Listen, Rejected, Result, Wait};
use ipc_fd::kind::{checked, os};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::bound::Bound;
use super::peer::credentials;
use super::{Address, Seqpacket, SocketOptions, Stream};
use crate::kind::{self, Expected};
use crate::socket::Socket;

/// What a [`Listener`] accepts: [`Stream`] or [`Seqpacket`].
///
/// # Examples
///
/// ```
/// use ipc_sock::unix::{Connection, Listener};
///
/// fn serve<C: Connection>(listener: &Listener<C>) -> ipc_core::Result<C> {
///     ipc_core::Listen::accept(listener)
/// }
/// ```
pub trait Connection: Accepted {}

impl Connection for Stream {}
impl Connection for Seqpacket {}

mod private {
    use super::{Expected, Socket, SocketOptions};

    /// What the outside need not know of a [`Connection`](super::Connection).
    pub trait Accepted: Sized {
        #[doc(hidden)]
        const LISTENER: Listening;

        #[doc(hidden)]
        fn accepted(socket: Accepting, options: &SocketOptions) -> Self;
    }

    /// A socket, in the signature of a method that nobody outside can call.
    #[derive(Debug)]
    pub struct Accepting(pub(crate) Socket);

    /// What a listener must be, in the same way.
    #[derive(Debug, Clone, Copy)]
    pub struct Listening(pub(crate) Expected);
}

pub(crate) use private::{Accepted, Accepting, Listening};

impl Accepted for Stream {
    const LISTENER: Listening = Listening(Expected {
        domains: &[AddressFamily::UNIX],
        kind: SocketType::STREAM,
        listens: true,
        name: "a listening Unix stream socket",
    });

    fn accepted(Accepting(socket): Accepting, _: &SocketOptions) -> Self {
        Self::new(socket)
    }
}

impl Accepted for Seqpacket {
    const LISTENER: Listening = Listening(Expected {
        domains: &[AddressFamily::UNIX],
        kind: SocketType::SEQPACKET,
        listens: true,
        name: "a listening Unix seqpacket socket",
    });

    fn accepted(Accepting(socket): Accepting, options: &SocketOptions) -> Self {
        Self::new(socket, options.max_message)
    }
}

/// A socket that accepts connections from processes it [trusts](SocketOptions::trust).
///
/// Several threads and processes may accept from one listener; each connection goes to one of them. A
/// client of a user that is not trusted is closed without a word, and the wait goes on.
///
/// The name is removed when the listener is dropped, if it is a path and still this listener's; a
/// forked copy, and one that was [handed over](ipc_core::Handoff), removes nothing.
///
/// # Blocking
///
/// The listener is non-blocking, since `accept` has no flag for one call: [`Wait::Never`] is one
/// `accept4`, and the other waits are `ppoll` between two of them.
///
/// # Errors
///
/// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors run out: the
/// client keeps waiting. [`ErrorKind::WouldBlock`](ipc_core::ErrorKind::WouldBlock) and
/// [`ErrorKind::TimedOut`](ipc_core::ErrorKind::TimedOut) as [`Wait`] says.
///
/// # Examples
///
/// See [the module](super).
///
/// # References
///
/// `accept4`(2), `unix`(7).
#[doc(alias("accept", "UnixListener"))]
pub struct Listener<C = Stream> {
    /// Before the socket, so that the name goes first.
    bound: Option<Bound>,
    socket: Socket,
    options: SocketOptions,
    conn: PhantomData<fn() -> C>,
}

impl<C: Connection> Listener<C> {
    pub(crate) const EXPECTED: Expected = C::LISTENER.0;

    pub(super) fn new(
        address: &Address,
        kind: SocketType,
        options: &SocketOptions,
    ) -> Result<Self> {
        let (socket, bound) = options.bind(address, kind)?;
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        rustix::net::listen(&socket, backlog).map_err(os("listen"))?;
        Self::listening(socket, bound, options.clone())
    }

    pub(crate) fn adopted(fd: OwnedFd) -> Result<Self> {
        Self::listening(Socket::new(fd), None, SocketOptions::new())
    }

    fn listening(socket: Socket, bound: Option<Bound>, options: SocketOptions) -> Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true).map_err(os("ioctl FIONBIO"))?;
        Ok(Self { socket, bound, options, conn: PhantomData })
    }

    /// The name that clients connect to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not document.
    pub fn local_address(&self) -> Result<Address> {
        super::address::local(&self.socket)
    }

    /// Uses these options for what is accepted from now on: whom to trust, credentials, buffers. An
    /// adopted listener has the default ones.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`](ipc_core::ErrorKind::Other) for an errno that Linux does not document.
    pub fn set_options(&mut self, options: SocketOptions) -> Result<()> {
        // What is accepted has them from its first message on, because the listener has them.
        options.apply(&self.socket)?;
        self.options = options;
        Ok(())
    }

    /// Leaves the name when this value is dropped.
    pub fn keep(&mut self) {
        if let Some(bound) = &mut self.bound {
            bound.keep();
        }
    }

    /// Removes the name now, and closes the listener; connections stay open.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](ipc_core::ErrorKind::NotFound) when the name is gone or stands for
    /// something else by now, which is left alone;
    /// [`ErrorKind::PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) when the directory cannot
    /// be written to.
    pub fn unlink(self) -> Result<()> {
        self.bound.map_or(Ok(()), Bound::unlink)
    }
}

impl<C: Connection> Listen for Listener<C> {
    type Conn = C;

    fn accept_with(&self, wait: Wait) -> Result<C> {
        let mut refused = 0;
        loop {
            let accept = || match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC) {
                // A client that has gone again.
                Err(Errno::CONNABORTED) => Err(Errno::INTR),
                accepted => accepted,
            };
            let socket = Socket::new(self.socket.when_readable("accept", wait, accept)?);
            if self.options.trust.check(&credentials(&socket)?, "accept").is_ok() {
                self.options.apply(&socket)?;
                return Ok(C::accepted(Accepting(socket), &self.options));
            }
            // All that can have been waiting were looked at. Who comes faster than they are refused
            // must not hold up a wait that is over.
            refused += 1;
            if refused > self.options.backlog && wait.remaining().is_some_and(|left| left.is_zero())
            {
                return Err(Error::new(wait.exhausted(), "accept"));
            }
        }
    }
}

impl<C> fmt::Debug for Listener<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl<C> AsFd for Listener<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The name stays.
impl<C> From<Listener<C>> for OwnedFd {
    fn from(mut listener: Listener<C>) -> Self {
        if let Some(bound) = &mut listener.bound {
            bound.keep();
        }
        listener.socket.into_fd()
    }
}

/// Checks that it is a listening socket of the type that `C` needs, and sets it to `O_NONBLOCK`, which
/// everybody sees who has a copy of it.
///
/// # Errors
///
/// [`ErrorKind::WrongType`](ipc_core::ErrorKind::WrongType); the descriptor comes back.
impl<C: Connection> TryFrom<OwnedFd> for Listener<C> {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        let (fd, ()) = checked(fd, |fd| {
            kind::check(fd, Self::EXPECTED)?;
            rustix::io::ioctl_fionbio(fd, true).map_err(os("ioctl FIONBIO"))
        })?;
        let (socket, options) = (Socket::new(fd), SocketOptions::new());
        Ok(Self { socket, bound: None, options, conn: PhantomData })
    }
}

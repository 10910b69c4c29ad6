//! How to create or to open a System V queue.

use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Pair, Result};
use ipc_fd::kind::os;
use ipc_fd::user::is_owner;
use rustix::io::Errno;

use super::limits::MSGMNI;
use super::status::status;
use super::{Key, Queue, Receiver, RemovalGuard, Sender};
use crate::sys::sysv as sys;

/// How to create or to open a System V message queue.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_mq::sysv::{Key, QueueOptions};
///
/// let dir = tempfile::tempdir().unwrap();
/// let key = Key::from_path_id(dir.path(), 1)?;
/// let queue = QueueOptions::new().mode(0o620).max_bytes(4096).create(key)?;
/// assert_eq!(queue.status()?.max_bytes, Some(4096));
///
/// let again = QueueOptions::new().create(key).unwrap_err();
/// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the queue is created or opened"]
pub struct QueueOptions {
    mode: u32,
    max_bytes: Option<usize>,
    owner: Option<u32>,
}

impl QueueOptions {
    /// Private to this user (mode 0600), of the kernel's size (`/proc/sys/kernel/msgmnb`).
    pub const fn new() -> Self {
        Self { mode: 0o600, max_bytes: None, owner: None }
    }

    /// The permissions of a queue that is created; the umask has no say in it.
    ///
    /// More than 0600 lets other users fill the queue, or take messages out of it.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// How many bytes of messages fit into a queue that is created, and how many messages at most.
    ///
    /// # Limits
    ///
    /// `/proc/sys/kernel/msgmnb` (16384 by default), but with `CAP_SYS_RESOURCE`.
    #[doc(alias = "msg_qbytes")]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Opens a queue that the user `uid` created, and no other. The default is the effective user
    /// of this process.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Creates a queue; there must not be one: `msgget(IPC_CREAT | IPC_EXCL)`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when there is a queue of that key;
    /// - [`ErrorKind::InvalidInput`] for a mode above 0777;
    /// - [`ErrorKind::ResourceLimit`], which names the limit: `msgmni`, `msgmnb` (both in
    ///   `/proc/sys/kernel`), memory;
    /// - [`ErrorKind::Unsupported`] when the kernel has no System V IPC.
    #[doc(alias = "msgget")]
    pub fn create(&self, key: Key) -> Result<Queue> {
        self.make(key).map(|guard| Queue::created(key, guard))
    }

    /// Finds a queue that exists: `msgget`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no queue of that key;
    /// - [`ErrorKind::ForeignOwner`] when another user created it than the one expected;
    /// - [`ErrorKind::InvalidInput`] for [`Key::PRIVATE`], which finds nothing.
    pub fn open(&self, key: Key) -> Result<Queue> {
        if key == Key::PRIVATE {
            return Err(Error::new(ErrorKind::InvalidInput, "msgget")
                .with_note("IPC_PRIVATE finds no queue: open it by its id"));
        }
        let id = sys::get(key.get(), 0).map_err(os("msgget"))?;
        self.check(id)?;
        Ok(Queue::opened(key, id))
    }

    /// Takes a queue by the id that its creator has passed on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is no such queue, [`ErrorKind::ForeignOwner`] as for
    /// [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// See [`Key::PRIVATE`].
    #[doc(alias = "msqid")]
    pub fn open_id(&self, id: i32) -> Result<Queue> {
        let key = self.check(id)?;
        Ok(Queue::opened(key, id))
    }

    /// Creates a queue, or finds the one that exists. Whoever created it removes it: see [`Queue`].
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create) and [`open`](Self::open), but neither
    /// [`ErrorKind::AlreadyExists`] nor [`ErrorKind::NotFound`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// let dir = tempfile::tempdir().unwrap();
    /// let key = Key::from_path_id(dir.path(), 1)?;
    /// let created = QueueOptions::new().create_or_open(key)?;
    /// assert_eq!(QueueOptions::new().create_or_open(key)?.id(), created.id());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn create_or_open(&self, key: Key) -> Result<Queue> {
        loop {
            match self.create(key) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result,
            }
            match self.open(key) {
                // It was removed in between.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return result,
            }
        }
    }

    /// Makes a queue without a key, for a process and its children. It is removed when both ends
    /// are dropped in the process that made it, and the [`Command`](std::process::Command)s that
    /// they were [given](ipc_core::Handoff) to; whoever still uses it then gets
    /// [`ErrorKind::Disconnected`].
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create), without [`ErrorKind::AlreadyExists`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{RecvMsg, SendMsg};
    /// use ipc_mq::sysv::QueueOptions;
    ///
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send(b"hello")?;
    /// assert_eq!(rx.recv(&mut [0; 64])?, 5);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn pair(&self) -> Result<(Receiver, Sender)> {
        let guard = Arc::new(self.make(Key::PRIVATE)?);
        let id = guard.id();
        let tx = Sender::new(id, Some(Arc::clone(&guard)))?;
        Ok((Receiver::new(id, Some(guard)), tx))
    }

    fn make(&self, key: Key) -> Result<RemovalGuard> {
        if self.mode > 0o777 {
            return Err(
                Error::new(ErrorKind::InvalidInput, "msgget").with_note("a mode is at most 0777")
            );
        }
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | self.mode.cast_signed();
        let id = sys::get(key.get(), flags).map_err(|errno| match errno {
            Errno::NOSPC => os("msgget")(errno).with_kind(MSGMNI),
            errno => os("msgget")(errno),
        })?;
        let guard = RemovalGuard::new(id);
        if let Some(bytes) = self.max_bytes {
            super::queue::change(id, |ds| ds.msg_qbytes = bytes as _, Some(bytes))?;
        }
        Ok(guard)
    }

    /// Checks whose a queue is, and returns its key.
    fn check(&self, id: i32) -> Result<Key> {
        let status = status(id)?;
        let uid = status.creator_uid;
        if !is_owner(uid, self.owner) {
            return Err(Error::new(ErrorKind::ForeignOwner { uid }, "msgget")
                .with_note("name the creator in QueueOptions::owner if you trust it"));
        }
        Ok(status.key)
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// [`QueueOptions::pair`].
impl Pair for Receiver {
    type Peer = Sender;
    type Options = QueueOptions;

    fn pair(options: &QueueOptions) -> Result<(Self, Sender)> {
        options.pair()
    }
}

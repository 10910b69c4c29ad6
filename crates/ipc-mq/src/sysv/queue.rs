//! A System V queue and its key.

use ipc_core::{Caps, Mechanism, Named, Result};
use rustix::io::Errno;

use super::limits::{Limits, MSGMNB};
use super::status::{Status, gone, status};
use super::{CAPS, Key, QueueOptions, Receiver, RemovalGuard, Sender};
use crate::sys::sysv as sys;

/// A System V message queue that unrelated processes find by its key.
///
/// The value stands for the queue. Messages go through its ends: a [`Sender`] and a [`Receiver`],
/// as many as are needed. The value that [`QueueOptions::create`] returned removes the queue when
/// it is dropped, in the process that created it; call [`keep`](Self::keep) to leave it.
///
/// **Removing a queue ends it for everybody**, unlike a name in a file system: messages in it are
/// gone, and whoever is blocked gets [`ErrorKind::Disconnected`](ipc_core::ErrorKind).
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg};
/// use ipc_mq::sysv::{Key, QueueOptions};
///
/// let dir = tempfile::tempdir().unwrap();
/// let key = Key::from_path_id(dir.path(), b'q')?;
/// let server = QueueOptions::new().create(key)?;
///
/// // In another process:
/// let client = QueueOptions::new().open(key)?;
/// client.sender()?.send(b"hello")?;
///
/// assert_eq!(server.receiver().recv(&mut [0; 64])?, 5);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgget`(2), `msgctl`(2), `sysvipc`(7).
#[derive(Debug)]
#[doc(alias = "msgget")]
pub struct Queue {
    key: Key,
    id: i32,
    guard: Option<RemovalGuard>,
}

impl Queue {
    pub(super) fn created(key: Key, guard: RemovalGuard) -> Self {
        Self { key, id: guard.id(), guard: Some(guard) }
    }

    pub(super) fn opened(key: Key, id: i32) -> Self {
        Self { key, id, guard: None }
    }

    /// The key by which it was created or is found.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// assert_eq!(QueueOptions::new().create(Key::PRIVATE)?.key(), Key::PRIVATE);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The id, which every process of the IPC namespace can use: see [`QueueOptions::open_id`].
    ///
    /// # Examples
    ///
    /// See [`Key::PRIVATE`].
    #[must_use]
    #[doc(alias = "msqid")]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// An end to send through.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Disconnected`](ipc_core::ErrorKind) when the queue was removed.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    pub fn sender(&self) -> Result<Sender> {
        Sender::new(self.id, None)
    }

    /// An end to receive from.
    ///
    /// # Examples
    ///
    /// See [`Queue`].
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        Receiver::new(self.id, None)
    }

    /// What the kernel knows of the queue: `msgctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](ipc_core::ErrorKind) when it was removed.
    ///
    /// # Examples
    ///
    /// See [`Status`].
    #[doc(alias = "IPC_STAT")]
    pub fn status(&self) -> Result<Status> {
        status(self.id)
    }

    /// Sets how many bytes of messages fit, and how many messages at most: `msgctl(IPC_SET)`.
    ///
    /// Messages that are in the queue stay there. A sender notices when it is refused a message
    /// next.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind) above `/proc/sys/kernel/msgmnb` without
    ///   `CAP_SYS_RESOURCE`;
    /// - [`ErrorKind::PermissionDenied`](ipc_core::ErrorKind) for who neither owns nor created it;
    /// - [`ErrorKind::NotFound`](ipc_core::ErrorKind) when it was removed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// let queue = QueueOptions::new().create(Key::PRIVATE)?;
    /// queue.set_max_bytes(1000)?;
    /// assert_eq!(queue.status()?.max_bytes, Some(1000));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "msg_qbytes")]
    pub fn set_max_bytes(&self, bytes: usize) -> Result<()> {
        change(self.id, |ds| ds.msg_qbytes = bytes as _, Some(bytes))
    }

    /// Sets the permissions: `msgctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// As for [`set_max_bytes`](Self::set_max_bytes);
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind) for a mode above 0777.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// let queue = QueueOptions::new().create(Key::PRIVATE)?;
    /// queue.set_mode(0o640)?;
    /// assert_eq!(queue.status()?.mode, 0o640);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        if mode > 0o777 {
            return Err(ipc_core::Error::new(ipc_core::ErrorKind::InvalidInput, "msgctl IPC_SET")
                .with_note("a mode is at most 0777"));
        }
        change(self.id, |ds| ds.msg_perm.mode = mode as _, None)
    }

    /// Gives the queue to another user and group: `msgctl(IPC_SET)`. Its creator keeps all rights.
    ///
    /// # Errors
    ///
    /// As for [`set_max_bytes`](Self::set_max_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// let queue = QueueOptions::new().create(Key::PRIVATE)?;
    /// let status = queue.status()?;
    /// queue.set_owner(status.uid, status.gid)?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<()> {
        let set = |ds: &mut libc::msqid_ds| (ds.msg_perm.uid, ds.msg_perm.gid) = (uid, gid);
        change(self.id, set, None)
    }

    /// A guard that removes the queue when it is dropped, also for a queue that was opened.
    ///
    /// # Examples
    ///
    /// See [`RemovalGuard`].
    pub fn removal_guard(&self) -> RemovalGuard {
        RemovalGuard::new(self.id)
    }

    /// Leaves the queue when this value is dropped.
    ///
    /// # Examples
    ///
    /// See [`RemovalGuard`].
    pub fn keep(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
    }

    /// Removes the queue now, for everybody: `msgctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](ipc_core::ErrorKind) when it was removed before, also when there is
    /// another one of this key by now, which is left alone;
    /// [`ErrorKind::PermissionDenied`](ipc_core::ErrorKind) for who neither owns nor created it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// QueueOptions::new().create(Key::PRIVATE)?.unlink()?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "IPC_RMID")]
    pub fn unlink(mut self) -> Result<()> {
        self.guard.take().unwrap_or_else(|| RemovalGuard::new(self.id)).remove()
    }
}

impl Named for Queue {
    type Address = Key;
    type Options = QueueOptions;

    fn create(key: &Key, options: &QueueOptions) -> Result<Self> {
        options.create(*key)
    }

    fn open(key: &Key, options: &QueueOptions) -> Result<Self> {
        options.open(*key)
    }

    fn unlink(self) -> Result<()> {
        Self::unlink(self)
    }
}

impl Mechanism for Queue {
    const NAME: &'static str = "sysv-mq";
    const CAPS: Caps = CAPS;
}

/// Reads what can be set, changes it and sets it; `bytes` is the size that is wanted, if one is.
pub(super) fn change(
    id: i32,
    set: impl FnOnce(&mut libc::msqid_ds),
    bytes: Option<usize>,
) -> Result<()> {
    let mut ds = sys::stat(id).map_err(|errno| gone("msgctl IPC_STAT", errno))?;
    let (uid, cuid) = (ds.msg_perm.uid, ds.msg_perm.cuid);
    set(&mut ds);
    sys::set(id, &mut ds).map_err(|errno| {
        let error = gone("msgctl IPC_SET", errno);
        let me = rustix::process::geteuid().as_raw();
        let over =
            bytes.is_some_and(|bytes| Limits::read().is_ok_and(|limits| bytes > limits.max_bytes));
        match errno {
            // Its owner may change it, so that it must be the size.
            Errno::PERM if over && (me == uid || me == cuid) => error.with_kind(MSGMNB),
            _ => error,
        }
    })
}

//! How to create or to open a POSIX queue.

use std::collections::hash_map::RandomState;
use std::ffi::{CString, c_long};
use std::hash::BuildHasher;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ipc_core::{Error, ErrorKind, Name, Pair, Result};
use ipc_fd::kind::os;
use ipc_fd::user::is_owner;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::limits::{Limits, create_error, open_error};
use super::{Queue, Receiver, Sender, end};
use crate::sys::posix as sys;

/// What a process may do with a queue that it opens.
///
/// # Examples
///
/// ```
/// use ipc_core::Name;
/// use ipc_mq::posix::{Access, QueueOptions};
///
/// let name = Name::new(format!("ipc-mq-doc-access-{}", std::process::id()))?;
/// let _owner = QueueOptions::new().create(&name)?;
/// let guest = QueueOptions::new().access(Access::Send).open(&name)?;
/// assert!(guest.sender().is_ok() && guest.receiver().is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "O_RDWR")]
pub enum Access {
    /// Sending alone: `O_WRONLY`.
    Send,
    /// Receiving alone: `O_RDONLY`.
    Receive,
    /// Both: `O_RDWR`.
    #[default]
    Both,
}

impl Access {
    pub(super) fn flags(self) -> OFlags {
        match self {
            Self::Send => OFlags::WRONLY,
            Self::Receive => OFlags::RDONLY,
            Self::Both => OFlags::RDWR,
        }
    }
}

/// How to create or to open a POSIX message queue.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, Name};
/// use ipc_mq::posix::QueueOptions;
///
/// let name = Name::new(format!("ipc-mq-doc-options-{}", std::process::id()))?;
/// let queue = QueueOptions::new().capacity(4).message_size(64).mode(0o620).create(&name)?;
/// assert_eq!(queue.attributes()?.capacity, 4);
///
/// let again = QueueOptions::new().create(&name).unwrap_err();
/// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the queue is created or opened"]
pub struct QueueOptions {
    capacity: Option<usize>,
    message_size: Option<usize>,
    mode: u32,
    access: Access,
    owner: Option<u32>,
}

impl QueueOptions {
    /// The kernel's sizes (10 messages of 8192 bytes unless an administrator changed them), private
    /// to this user (mode 0600), open both ways.
    pub const fn new() -> Self {
        Self { capacity: None, message_size: None, mode: 0o600, access: Access::Both, owner: None }
    }

    /// How many messages fit into a queue that is created: `mq_maxmsg`.
    ///
    /// # Limits
    ///
    /// `/proc/sys/fs/mqueue/msg_max` (10 by default), with `CAP_SYS_RESOURCE` 65536; and
    /// `RLIMIT_MSGQUEUE` (819200 bytes by default) holds for the sizes of all queues of a user.
    #[doc(alias = "mq_maxmsg")]
    pub const fn capacity(mut self, messages: usize) -> Self {
        self.capacity = Some(messages);
        self
    }

    /// How long a message of a queue that is created may be, in bytes: `mq_msgsize`.
    ///
    /// # Limits
    ///
    /// `/proc/sys/fs/mqueue/msgsize_max` (8192 by default), with `CAP_SYS_RESOURCE` 16 MiB.
    #[doc(alias = "mq_msgsize")]
    pub const fn message_size(mut self, bytes: usize) -> Self {
        self.message_size = Some(bytes);
        self
    }

    /// The permissions of a queue that is created, whatever the umask. They are set after it was
    /// created with 0600, so that nobody opens it in between who may not.
    ///
    /// More than 0600 lets other users fill the queue, or take messages out of it.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// What this process may do with the queue. Another user's queue may be open to one of the two
    /// only.
    pub const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Opens a queue that belongs to the user `uid`, and no other. The default is the effective
    /// user of this process.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Creates a queue; there must not be one: `mq_open(O_CREAT | O_EXCL)`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when there is a queue of that name;
    /// - [`ErrorKind::InvalidInput`] for a capacity or message size of 0, and a mode above 0777;
    /// - [`ErrorKind::ResourceLimit`], which names the limit: `msg_max`, `msgsize_max`,
    ///   `queues_max` (all in `/proc/sys/fs/mqueue`), `RLIMIT_MSGQUEUE`, `RLIMIT_NOFILE`;
    /// - [`ErrorKind::Unsupported`] when the kernel has no POSIX queues.
    #[doc(alias = "mq_open")]
    pub fn create(&self, name: &Name) -> Result<Queue> {
        let c_name = c_name(name)?;
        let (fd, attributes) = self.make(&c_name, self.access.flags())?;
        Queue::created(name.clone(), c_name, fd, attributes, self.access)
    }

    /// Finds a queue that exists.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no queue of that name;
    /// - [`ErrorKind::PermissionDenied`] when its mode does not give this user the access;
    /// - [`ErrorKind::ForeignOwner`] when it belongs to another user than the one expected;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn open(&self, name: &Name) -> Result<Queue> {
        let c_name = c_name(name)?;
        let fd = sys::open(&c_name, self.access.flags()).map_err(open_error)?;
        let stat = rustix::fs::fstat(&fd).map_err(os("fstat"))?;
        if !is_owner(stat.st_uid, self.owner) {
            return Err(Error::new(ErrorKind::ForeignOwner { uid: stat.st_uid }, "mq_open")
                .with_note("name the owner in QueueOptions::owner if you trust it"));
        }
        Queue::opened(name.clone(), c_name, fd, self.access)
    }

    /// Creates a queue, or finds the one that exists. Whoever created it removes it: see [`Queue`].
    ///
    /// The sizes of a queue that exists are what they are; see [`Queue::attributes`].
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create) and [`open`](Self::open), but neither
    /// [`ErrorKind::AlreadyExists`] nor [`ErrorKind::NotFound`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::{Name, SendMsg};
    /// # use ipc_mq::posix::QueueOptions;
    /// let name = Name::new(format!("ipc-mq-doc-either-{}", std::process::id()))?;
    /// let created = QueueOptions::new().create_or_open(&name)?;
    /// let opened = QueueOptions::new().create_or_open(&name)?;
    /// created.sender()?.send(b"the same queue")?;
    /// assert_eq!(opened.attributes()?.messages, 1);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn create_or_open(&self, name: &Name) -> Result<Queue> {
        loop {
            match self.create(name) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result,
            }
            match self.open(name) {
                // It was removed in between.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return result,
            }
        }
    }

    /// Makes a queue without a name, for a process and its children: it is created under a random
    /// name, which is gone before this returns.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create), without [`ErrorKind::AlreadyExists`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{RecvMsg, SendMsg};
    /// use ipc_mq::posix::QueueOptions;
    ///
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send(b"hello")?;
    /// assert_eq!(rx.recv(&mut [0; 8192])?, 5);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn pair(&self) -> Result<(Receiver, Sender)> {
        loop {
            let random = RandomState::new().hash_one(0_u8);
            let c_name = c_name(&Name::new(format!("ipc-mq-{random:016x}"))?)?;
            // The owner may open the queue again whatever mode it is to have in the end: nobody
            // sees the mode of a queue without a name.
            let (rx, attributes) = match self.mode(0o600).make(&c_name, OFlags::RDONLY) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            let tx = sys::open(&c_name, OFlags::WRONLY).map_err(open_error);
            sys::unlink(&c_name).map_err(os("mq_unlink"))?;
            return Ok((Receiver::new(rx, &attributes), Sender::new(tx?, &attributes)));
        }
    }

    /// Creates a queue with a mode of 0600, sets the right mode, and reads what it has become.
    fn make(&self, c_name: &CString, access: OFlags) -> Result<(OwnedFd, end::Attributes)> {
        let invalid = |note| Err(Error::new(ErrorKind::InvalidInput, "mq_open").with_note(note));
        if self.mode > 0o777 {
            return invalid("a mode is at most 0777");
        }
        if self.capacity == Some(0) || self.message_size == Some(0) {
            return invalid("a queue has room for one message of one byte at least");
        }
        let sizes = self.sizes()?;
        let number = |it| c_long::try_from(it).unwrap_or(c_long::MAX);
        let numbers = sizes.map(|(capacity, size)| (number(capacity), number(size)));
        let fd =
            sys::create(c_name, access, numbers).map_err(|errno| create_error(errno, sizes))?;
        let finish = || {
            let stat = rustix::fs::fstat(&fd).map_err(os("fstat"))?;
            if stat.st_mode & 0o7777 != self.mode {
                rustix::fs::fchmod(&fd, Mode::from_raw_mode(self.mode)).map_err(os("fchmod"))?;
            }
            end::attributes(fd.as_fd())
        };
        match finish() {
            Ok(attributes) => Ok((fd, attributes)),
            Err(error) => {
                let _ = sys::unlink(c_name);
                Err(error)
            }
        }
    }

    /// Both sizes, if one at least was said; what was not is the kernel's default.
    fn sizes(&self) -> Result<Option<(usize, usize)>> {
        Ok(match (self.capacity, self.message_size) {
            (None, None) => None,
            (Some(capacity), Some(size)) => Some((capacity, size)),
            (Some(capacity), None) => Some((capacity, Limits::read()?.default_message_size)),
            (None, Some(size)) => Some((Limits::read()?.default_capacity, size)),
        })
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

/// The name as `mq_open` wants it.
pub(super) fn c_name(name: &Name) -> Result<CString> {
    let mut bytes = vec![b'/'];
    bytes.extend_from_slice(name.as_os_str().as_bytes());
    // A `Name` has no NUL.
    CString::new(bytes).map_err(|_| os("mq_open")(Errno::INVAL))
}

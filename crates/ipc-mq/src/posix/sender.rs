//! The sending end of a POSIX queue.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Rejected, Result, SendMsg, Wait};
use ipc_fd::kind::os;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::CAPS;
use super::end::{self, Attributes, Side};
use super::priority::Priority;
use crate::sys::posix as sys;

/// The operation in this file's errors.
const OP: &str = "mq_send";

/// The sending end of a POSIX message queue.
///
/// Messages of this end have the [lowest priority](Priority::LOWEST) unless
/// [`set_priority`](Self::set_priority) or [`send_priority`](Self::send_priority) says otherwise.
/// Any number of threads and processes may send at once; a message is sent whole or not at all.
///
/// # Errors
///
/// As [`SendMsg`] says. Nobody tells a sender that there is no receiver: the queue fills up.
///
/// # Limits
///
/// [`max_len`](SendMsg::max_len) is what the queue was created with, 8192 bytes by default.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg, Wait};
/// use ipc_mq::posix::{Priority, QueueOptions};
///
/// let (mut rx, mut tx) = QueueOptions::new().pair()?;
/// tx.send(b"routine")?;
/// tx.send_priority(b"urgent", Priority::from(7), Wait::Forever)?;
///
/// let mut buf = [0; 16];
/// assert_eq!(rx.recv(&mut buf)?, 6); // "urgent" comes first.
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mq_send`(3), `mq_timedsend`(3).
#[derive(Debug)]
#[doc(alias = "mq_send")]
pub struct Sender {
    fd: OwnedFd,
    max_len: usize,
    priority: Priority,
}

impl Sender {
    /// Trusts that `fd` is a queue that is open for sending.
    pub(super) fn new(fd: OwnedFd, attributes: &Attributes) -> Self {
        Self { fd, max_len: attributes.message_size, priority: Priority::LOWEST }
    }

    /// Sets the priority of the messages that [`SendMsg`] sends through this value.
    ///
    /// # Examples
    ///
    /// See [`priority`](Self::priority).
    pub fn set_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// The priority of the messages that [`SendMsg`] sends through this value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::posix::{Priority, QueueOptions};
    /// let (_rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.set_priority(Priority::HIGHEST);
    /// assert_eq!(tx.priority().get(), 32_767);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Sends one message with a priority of its own.
    ///
    /// [`Wait::Forever`] is one call of `mq_send`; [`Wait::Never`] one of `mq_timedsend` with a
    /// deadline in 1970, which never sleeps and needs no `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// As [`SendMsg`] says.
    ///
    /// # Examples
    ///
    /// See [`Sender`].
    #[doc(alias = "mq_timedsend")]
    #[inline]
    pub fn send_priority(&self, msg: &[u8], priority: Priority, wait: Wait) -> Result<()> {
        if msg.len() > self.max_len {
            return Err(self.too_large(msg));
        }
        match sys::send(self.fd.as_fd(), msg, priority.get(), end::sleep(wait)) {
            Ok(()) => Ok(()),
            Err(errno) => self.send_again(msg, priority, wait, errno),
        }
    }

    #[cold]
    fn send_again(&self, msg: &[u8], priority: Priority, wait: Wait, errno: Errno) -> Result<()> {
        let fd = self.fd.as_fd();
        let send = |sleep| sys::send(fd, msg, priority.get(), sleep);
        end::again(OP, fd, PollFlags::OUT, wait, errno, send)
    }

    #[cold]
    fn too_large(&self, msg: &[u8]) -> Error {
        Error::new(ErrorKind::MessageTooLarge { len: msg.len(), max: self.max_len }, OP)
    }

    /// What the queue has room for, and what is in it: `mq_getattr`.
    ///
    /// # Errors
    ///
    /// None that a queue gives.
    ///
    /// # Examples
    ///
    /// See [`Attributes`].
    #[doc(alias = "mq_getattr")]
    pub fn attributes(&self) -> Result<Attributes> {
        end::attributes(self.fd.as_fd())
    }

    /// Another sender of the same queue, through the same open file description.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::SendMsg;
    /// # use ipc_mq::posix::QueueOptions;
    /// let (rx, mut tx) = QueueOptions::new().pair()?;
    /// let mut other = tx.try_clone()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| tx.send(b"one").unwrap());
    ///     scope.spawn(|| other.send(b"two").unwrap());
    /// });
    /// assert_eq!(rx.attributes()?.messages, 2);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn try_clone(&self) -> Result<Self> {
        let fd =
            rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(os("fcntl F_DUPFD_CLOEXEC"))?;
        Ok(Self { fd, ..*self })
    }
}

impl SendMsg for &Sender {
    fn max_len(&self) -> usize {
        self.max_len
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_priority(msg, self.priority, wait)
    }
}

impl SendMsg for Sender {
    fn max_len(&self) -> usize {
        self.max_len
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_priority(msg, self.priority, wait)
    }
}

impl AsFd for Sender {
    /// The queue's descriptor: `poll` says when there is room.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Sender> for OwnedFd {
    fn from(sender: Sender) -> Self {
        sender.fd
    }
}

/// Checks that it is a POSIX message queue that is open for sending.
///
/// # Errors
///
/// [`ErrorKind::WrongType`]; the descriptor comes back.
impl TryFrom<OwnedFd> for Sender {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        let (fd, attributes) = end::checked(fd, Side::Sends)?;
        Ok(Self::new(fd, &attributes))
    }
}

impl Mechanism for Sender {
    const NAME: &'static str = "posix-mq";
    const CAPS: Caps = CAPS;
}

//! The receiving end of a POSIX queue.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Caps, Error, ErrorKind, Mechanism, RecvMsg, Rejected, Result, Wait};
use ipc_fd::kind::os;
use rustix::event::PollFlags;
use rustix::io::Errno;

use super::CAPS;
use super::end::{self, Attributes, Side};
use super::priority::Priority;
use crate::sys::posix as sys;

/// The operation in this file's errors.
const OP: &str = "mq_receive";

/// The receiving end of a POSIX message queue.
///
/// A receive takes the message of the highest priority, and of those the one that was sent first.
/// Any number of threads and processes may receive at once; each message goes to one of them.
///
/// # Short buffers
///
/// The kernel does not give a message to a buffer that is shorter than the queue's
/// [`message_size`](Attributes::message_size), however short the message is. A shorter buffer is
/// served through one that this end keeps. A message that is then too long for it is
/// [`ErrorKind::MessageTooLarge`] and stays **in this end**: the next receive gets it, whatever has
/// been sent meanwhile, and other receivers of the queue do not. A message that is kept is dropped
/// with the value; [`keeps_message`](Self::keeps_message) tells. With buffers of `message_size`, or
/// with [`recv_message`](Self::recv_message), none of this happens.
///
/// # Errors
///
/// As [`RecvMsg`] says. Nobody tells a receiver that there is no sender: it waits.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg, Wait};
/// use ipc_mq::posix::{Priority, QueueOptions};
///
/// let (mut rx, tx) = QueueOptions::new().pair()?;
/// tx.send_priority(b"hello", Priority::from(3), Wait::Forever)?;
///
/// let mut buf = [0; 8192];
/// let (len, priority) = rx.recv_priority(&mut buf, Wait::Forever)?;
/// assert_eq!((&buf[..len], priority.get()), (b"hello".as_slice(), 3));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mq_receive`(3), `mq_timedreceive`(3).
#[derive(Debug)]
#[doc(alias = "mq_receive")]
pub struct Receiver {
    fd: OwnedFd,
    message_size: usize,
    /// For buffers that are too short; empty until one comes.
    spill: Vec<u8>,
    /// A message that was too long for a buffer: its length in `spill`, and its priority.
    kept: Option<(usize, Priority)>,
}

/// A message and its priority.
///
/// # Examples
///
/// See [`Receiver::recv_message`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// What was sent.
    pub body: Vec<u8>,
    /// With which priority.
    pub priority: Priority,
}

impl Receiver {
    /// Trusts that `fd` is a queue that is open for receiving.
    pub(super) fn new(fd: OwnedFd, attributes: &Attributes) -> Self {
        Self { fd, message_size: attributes.message_size, spill: Vec::new(), kept: None }
    }

    /// Receives one message into the front of `buf` and returns its length and priority.
    ///
    /// [`Wait::Forever`] is one call of `mq_receive`; [`Wait::Never`] one of `mq_timedreceive` with
    /// a deadline in 1970, which never sleeps and needs no `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// As [`RecvMsg`] says.
    ///
    /// # Examples
    ///
    /// See [`Receiver`].
    #[doc(alias = "mq_timedreceive")]
    #[inline]
    pub fn recv_priority(&mut self, buf: &mut [u8], wait: Wait) -> Result<(usize, Priority)> {
        if self.kept.is_none() && buf.len() >= self.message_size {
            return match sys::receive(self.fd.as_fd(), buf, end::sleep(wait)) {
                Ok((len, priority)) => Ok((len, Priority::of_kernel(priority))),
                Err(errno) => receive_again(self.fd.as_fd(), buf, wait, errno),
            };
        }
        self.recv_through_spill(buf, wait)
    }

    /// Receives into a buffer that is shorter than the kernel demands, or what is kept.
    fn recv_through_spill(&mut self, buf: &mut [u8], wait: Wait) -> Result<(usize, Priority)> {
        let (len, priority) = self.fetch(wait)?;
        let Some(front) = buf.get_mut(..len) else {
            let kind = ErrorKind::MessageTooLarge { len, max: buf.len() };
            return Err(Error::new(kind, OP));
        };
        front.copy_from_slice(&self.spill[..len]);
        self.kept = None;
        Ok((len, priority))
    }

    /// Receives one message, however long it is.
    ///
    /// # Errors
    ///
    /// As [`RecvMsg`] says, without [`ErrorKind::MessageTooLarge`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{SendMsg, Wait};
    /// use ipc_mq::posix::{Priority, QueueOptions};
    ///
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send(b"hello")?;
    /// let message = rx.recv_message(Wait::Never)?;
    /// assert_eq!((message.body.as_slice(), message.priority), (&b"hello"[..], Priority::LOWEST));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn recv_message(&mut self, wait: Wait) -> Result<Message> {
        let (len, priority) = self.fetch(wait)?;
        self.kept = None;
        Ok(Message { body: self.spill[..len].to_vec(), priority })
    }

    /// Whether a message is kept that was too long for the buffer of the last receive: while it is
    /// so, receive before polling.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{RecvMsg, SendMsg};
    /// use ipc_mq::posix::QueueOptions;
    ///
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send(b"hello")?;
    /// rx.recv(&mut [0; 2]).unwrap_err();
    /// assert!(rx.keeps_message());
    /// assert_eq!(rx.recv(&mut [0; 5])?, 5);
    /// assert!(!rx.keeps_message());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn keeps_message(&self) -> bool {
        self.kept.is_some()
    }

    /// What the queue has room for, and what is in it: `mq_getattr`. A kept message is not counted.
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

    /// Another receiver of the same queue, through the same open file description; it does not get
    /// the message that this one keeps.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::{RecvMsg, SendMsg};
    /// # use ipc_mq::posix::QueueOptions;
    /// let (rx, mut tx) = QueueOptions::new().pair()?;
    /// let mut other = rx.try_clone()?;
    /// tx.send(b"to either")?;
    /// assert_eq!(other.recv(&mut [0; 8192])?, 9);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn try_clone(&self) -> Result<Self> {
        let fd =
            rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(os("fcntl F_DUPFD_CLOEXEC"))?;
        Ok(Self { fd, message_size: self.message_size, spill: Vec::new(), kept: None })
    }

    /// Gets a message into the spill, where it stays for now.
    fn fetch(&mut self, wait: Wait) -> Result<(usize, Priority)> {
        if let Some(kept) = self.kept {
            return Ok(kept);
        }
        self.spill.resize(self.message_size, 0);
        let fd = self.fd.as_fd();
        let kept = match sys::receive(fd, &mut self.spill, end::sleep(wait)) {
            Ok((len, priority)) => (len, Priority::of_kernel(priority)),
            Err(errno) => receive_again(fd, &mut self.spill, wait, errno)?,
        };
        self.kept = Some(kept);
        Ok(kept)
    }
}

/// Receives when that has failed with `errno`.
#[cold]
fn receive_again(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    wait: Wait,
    errno: Errno,
) -> Result<(usize, Priority)> {
    let receive = |sleep| sys::receive(fd, buf, sleep);
    let (len, priority) = end::again(OP, fd, PollFlags::IN, wait, errno, receive)?;
    Ok((len, Priority::of_kernel(priority)))
}

impl RecvMsg for Receiver {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.recv_priority(buf, wait).map(|(len, _)| len)
    }
}

impl AsFd for Receiver {
    /// The queue's descriptor: `poll` says when there is a message.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Receiver> for OwnedFd {
    fn from(receiver: Receiver) -> Self {
        receiver.fd
    }
}

/// Checks that it is a POSIX message queue that is open for receiving.
///
/// # Errors
///
/// [`ErrorKind::WrongType`]; the descriptor comes back.
impl TryFrom<OwnedFd> for Receiver {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        let (fd, attributes) = end::checked(fd, Side::Receives)?;
        Ok(Self::new(fd, &attributes))
    }
}

impl Mechanism for Receiver {
    const NAME: &'static str = "posix-mq";
    const CAPS: Caps = CAPS;
}

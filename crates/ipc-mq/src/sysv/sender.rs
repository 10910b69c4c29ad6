//! The sending end of a System V queue.

use std::sync::Arc;

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Result, SendMsg, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;

use super::limits::Limits;
use super::select::MessageType;
use super::status::status;
use super::{CAPS, RemovalGuard, transfer};
use crate::sys::sysv::{self as sys, Buffer};

/// The operation in this file's errors.
const OP: &str = "msgsnd";

/// The sending end of a System V message queue.
///
/// Messages of this end are of [type 1](MessageType::ONE) unless [`set_type`](Self::set_type) or
/// [`send_typed`](Self::send_typed) says otherwise. Any number of threads (each with a
/// [clone](Self::duplicate)) and processes may send at once.
///
/// # Errors
///
/// As [`SendMsg`] says; [`ErrorKind::Disconnected`] once the queue was removed, also under a
/// blocked sender; [`ErrorKind::PermissionDenied`] when the queue's mode does not let this user
/// send.
///
/// # Limits
///
/// [`max_len`](SendMsg::max_len) is the smaller of `/proc/sys/kernel/msgmax` (8192 by default) and
/// the bytes that the queue has room for. It is read when the end is made, and again before a
/// message is refused. If somebody makes the queue smaller than a message while it waits for room,
/// it waits until it is made larger.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg, Wait};
/// use ipc_mq::sysv::{MessageType, QueueOptions};
///
/// let (mut rx, mut tx) = QueueOptions::new().pair()?;
/// tx.send(b"of type 1")?;
/// tx.send_typed(b"of type 7", MessageType::new(7)?, Wait::Forever)?;
/// assert_eq!(rx.recv(&mut [0; 64])?, 9);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgop`(2).
#[derive(Debug)]
#[doc(alias = "msgsnd")]
pub struct Sender {
    pub(super) id: i32,
    max_len: usize,
    kind: MessageType,
    msg: Buffer,
    /// Of an anonymous queue: the last end in the process that made it removes it.
    pub(super) shared: Option<Arc<RemovalGuard>>,
}

impl Sender {
    /// Trusts that `id` was a queue a moment ago.
    pub(super) fn new(id: i32, shared: Option<Arc<RemovalGuard>>) -> Result<Self> {
        let max_len = max_len(id)?;
        Ok(Self { id, max_len, kind: MessageType::ONE, msg: Buffer::default(), shared })
    }

    /// The queue's id, as `ipcs -q` shows it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// let queue = QueueOptions::new().create(Key::PRIVATE)?;
    /// assert_eq!(queue.sender()?.id(), queue.id());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Sets the type of the messages that [`SendMsg`] sends through this value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::{SendMsg, Wait};
    /// # use ipc_mq::sysv::{MessageType, QueueOptions};
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.set_type(MessageType::new(9)?);
    /// tx.send(b"hello")?;
    /// assert_eq!(rx.recv_message(Wait::Never)?.kind.get(), 9);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn set_type(&mut self, kind: MessageType) {
        self.kind = kind;
    }

    /// Sends one message with a type of its own: `msgsnd`.
    ///
    /// # Errors
    ///
    /// See [`Sender`].
    ///
    /// # Examples
    ///
    /// See [`Sender`].
    #[inline]
    pub fn send_typed(&mut self, msg: &[u8], kind: MessageType, wait: Wait) -> Result<()> {
        if msg.len() > self.max_len {
            self.look_at_limits(msg)?;
        }
        self.msg.fill(kind.raw(), msg);
        match sys::send(self.id, &self.msg, msg.len(), transfer::sleep(wait)) {
            Ok(()) => Ok(()),
            Err(errno) => self.send_again(msg.len(), wait, errno),
        }
    }

    /// Sends what is in the buffer when that has failed with `errno`.
    #[cold]
    fn send_again(&self, len: usize, wait: Wait, errno: Errno) -> Result<()> {
        let send = |flags| sys::send(self.id, &self.msg, len, flags);
        transfer::again(OP, wait, errno, send, |errno| failed(self.id, len, errno))
    }

    /// Whether a message that was too long fits by now: somebody may have raised a limit.
    #[cold]
    fn look_at_limits(&mut self, msg: &[u8]) -> Result<()> {
        self.max_len = max_len(self.id)?;
        if msg.len() > self.max_len {
            let kind = ErrorKind::MessageTooLarge { len: msg.len(), max: self.max_len };
            return Err(Error::new(kind, OP));
        }
        Ok(())
    }

    /// Another sender of the same queue.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Disconnected`] when the queue was removed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::SendMsg;
    /// # use ipc_mq::sysv::QueueOptions;
    /// let (_rx, mut tx) = QueueOptions::new().pair()?;
    /// let mut other = tx.duplicate()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| tx.send(b"one").unwrap());
    ///     scope.spawn(|| other.send(b"two").unwrap());
    /// });
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn duplicate(&self) -> Result<Self> {
        Ok(Self { kind: self.kind, ..Self::new(self.id, self.shared.clone())? })
    }
}

/// The longest message that fits into a queue.
fn max_len(id: i32) -> Result<usize> {
    let status = status(id).map_err(|error| match error.kind() {
        ErrorKind::NotFound => error.with_kind(ErrorKind::Disconnected),
        _ => error,
    })?;
    let limits = Limits::read()?;
    // Whoever may not read a queue does not learn its size: it has the default one as a rule.
    Ok(limits.max_message_size.min(status.max_bytes.unwrap_or(limits.max_bytes)))
}

/// Why `msgsnd` failed.
#[cold]
fn failed(id: i32, len: usize, errno: Errno) -> Error {
    let error = os(OP)(errno);
    match errno {
        // No such queue any more, or a limit was lowered.
        Errno::INVAL => match max_len(id) {
            Ok(max) if len > max => error.with_kind(ErrorKind::MessageTooLarge { len, max }),
            Ok(_) => error,
            Err(_) => error.with_kind(ErrorKind::Disconnected).with_note("the queue was removed"),
        },
        Errno::IDRM => error.with_note("the queue was removed"),
        Errno::ACCESS => error.with_note("the queue's mode does not let this user send"),
        _ => error,
    }
}

impl SendMsg for Sender {
    fn max_len(&self) -> usize {
        self.max_len
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_typed(msg, self.kind, wait)
    }
}

impl Mechanism for Sender {
    const NAME: &'static str = "sysv-mq";
    const CAPS: Caps = CAPS;
}

//! The receiving end of a System V queue.

use std::sync::Arc;

use ipc_core::{Caps, Error, ErrorKind, Mechanism, RecvMsg, Result, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;

use super::limits::Limits;
use super::select::{MessageType, Select};
use super::{CAPS, RemovalGuard, transfer};
use crate::sys::sysv::{self as sys, Buffer};

/// The operation in this file's errors.
const OP: &str = "msgrcv";

/// The length of the first buffer: what a message has at most unless an administrator raised it.
const FIRST: usize = 8192;

/// The receiving end of a System V message queue.
///
/// A receive takes any message unless [`set_select`](Self::set_select) or
/// [`recv_select`](Self::recv_select) says otherwise. Any number of threads (each with a
/// [clone](Self::duplicate)) and processes may receive at once; each message goes to one of them.
///
/// A message that is too long for a buffer stays in the queue, for this or any other receiver.
///
/// # Errors
///
/// As [`RecvMsg`] says. [`ErrorKind::MessageTooLarge`] has the message's length where the kernel
/// lets one look (`MSG_COPY`, a kernel with `CONFIG_CHECKPOINT_RESTORE`, and the message is still
/// there); else its `len` is one more than the buffer's, and the note says so.
/// [`ErrorKind::Disconnected`] once the queue was removed, also under a blocked receiver;
/// [`ErrorKind::PermissionDenied`] when the queue's mode does not let this user receive.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
/// use ipc_mq::sysv::QueueOptions;
///
/// let (mut rx, mut tx) = QueueOptions::new().pair()?;
/// tx.send(b"four score and seven")?;
/// let error = rx.recv(&mut [0; 4]).unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::MessageTooLarge { max: 4, .. }));
/// assert_eq!(rx.recv(&mut [0; 64])?, 20);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgop`(2).
#[derive(Debug)]
#[doc(alias = "msgrcv")]
pub struct Receiver {
    pub(super) id: i32,
    select: Select,
    msg: Buffer,
    /// Of an anonymous queue: the last end in the process that made it removes it.
    pub(super) shared: Option<Arc<RemovalGuard>>,
}

/// A message and its type.
///
/// # Examples
///
/// See [`Receiver::recv_message`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// What was sent.
    pub body: Vec<u8>,
    /// Of which type.
    pub kind: MessageType,
}

/// What became of a message that [`Receiver::recv_truncated`] may have cut.
///
/// # Examples
///
/// See [`Receiver::recv_truncated`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Truncated {
    /// How many bytes are in the buffer. If it is full, more may have been thrown away.
    pub len: usize,
    /// The message's type.
    pub kind: MessageType,
}

impl Receiver {
    /// Trusts that `id` was a queue a moment ago.
    pub(super) fn new(id: i32, shared: Option<Arc<RemovalGuard>>) -> Self {
        let mut msg = Buffer::default();
        msg.grow(FIRST);
        Self { id, select: Select::Any, msg, shared }
    }

    /// The queue's id, as `ipcs -q` shows it.
    ///
    /// # Examples
    ///
    /// See [`Sender::id`](super::Sender::id).
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Sets which messages [`RecvMsg`] takes through this value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::{ErrorKind, RecvMsg, SendMsg};
    /// # use ipc_mq::sysv::{MessageType, QueueOptions, Select};
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// rx.set_select(Select::Type(MessageType::new(2)?));
    /// tx.send(b"of type 1")?;
    /// assert_eq!(rx.try_recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn set_select(&mut self, select: Select) {
        self.select = select;
    }

    /// Receives one message that `select` takes into the front of `buf`, and returns its length and
    /// type: `msgrcv`.
    ///
    /// # Errors
    ///
    /// See [`Receiver`].
    ///
    /// # Examples
    ///
    /// See [`Select`].
    #[inline]
    pub fn recv_select(
        &mut self,
        select: Select,
        buf: &mut [u8],
        wait: Wait,
    ) -> Result<(usize, MessageType)> {
        let (len, kind) = self.fetch(select, buf.len(), 0, wait)?;
        buf[..len].copy_from_slice(self.msg.text(len));
        Ok((len, kind))
    }

    /// Receives one message, however long it is, as [`set_select`](Self::set_select) says.
    ///
    /// # Errors
    ///
    /// See [`Receiver`], without [`ErrorKind::MessageTooLarge`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{SendMsg, Wait};
    /// use ipc_mq::sysv::{MessageType, QueueOptions};
    ///
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send_typed(b"hello", MessageType::new(3)?, Wait::Forever)?;
    /// let message = rx.recv_message(Wait::Never)?;
    /// assert_eq!((message.body.as_slice(), message.kind.get()), (&b"hello"[..], 3));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn recv_message(&mut self, wait: Wait) -> Result<Message> {
        let mut room = self.msg.capacity();
        loop {
            match self.fetch(self.select, room, 0, wait) {
                Ok((len, kind)) => return Ok(Message { body: self.msg.text(len).to_vec(), kind }),
                Err(error) => match error.kind() {
                    // Another receiver may take it first, and a longer one may follow.
                    ErrorKind::MessageTooLarge { len, .. } => room = len.max(room * 2),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Receives one message that `select` takes and **throws away** what does not fit into `buf`:
    /// `msgrcv` with `MSG_NOERROR`. Nothing else in this crate does that.
    ///
    /// # Errors
    ///
    /// See [`Receiver`], without [`ErrorKind::MessageTooLarge`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{SendMsg, Wait};
    /// use ipc_mq::sysv::{QueueOptions, Select};
    ///
    /// let (mut rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send(b"a long story")?;
    /// let mut buf = [0; 6];
    /// assert_eq!(rx.recv_truncated(Select::Any, &mut buf, Wait::Never)?.len, 6);
    /// assert_eq!(&buf, b"a long");
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "MSG_NOERROR")]
    pub fn recv_truncated(
        &mut self,
        select: Select,
        buf: &mut [u8],
        wait: Wait,
    ) -> Result<Truncated> {
        if self.msg.capacity() < buf.len() {
            // What fits into the caller's buffer must not be cut by this one.
            self.grow(buf.len());
        }
        let (len, kind) = self.fetch(select, buf.len(), libc::MSG_NOERROR, wait)?;
        buf[..len].copy_from_slice(self.msg.text(len));
        Ok(Truncated { len, kind })
    }

    /// Another receiver of the same queue.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::{RecvMsg, SendMsg};
    /// # use ipc_mq::sysv::QueueOptions;
    /// let (rx, mut tx) = QueueOptions::new().pair()?;
    /// tx.send(b"to either")?;
    /// assert_eq!(rx.duplicate().recv(&mut [0; 64])?, 9);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { select: self.select, ..Self::new(self.id, self.shared.clone()) }
    }

    /// Receives a message of at most `room` bytes into the buffer.
    #[inline]
    fn fetch(
        &mut self,
        select: Select,
        room: usize,
        flags: i32,
        wait: Wait,
    ) -> Result<(usize, MessageType)> {
        // A buffer of the caller's can be longer than any message: this one grows when it has to.
        let offered = room.min(self.msg.capacity());
        let (msgtyp, except) = select.raw();
        let flags = flags | except;
        let sleep = transfer::sleep(wait);
        match sys::receive(self.id, &mut self.msg, offered, msgtyp, flags | sleep) {
            Ok((len, kind)) => Ok((len, MessageType::of_kernel(kind))),
            Err(errno) => self.fetch_again(select, room, flags, wait, errno),
        }
    }

    /// Receives when that has failed with `errno`.
    #[cold]
    fn fetch_again(
        &mut self,
        select: Select,
        room: usize,
        flags: i32,
        wait: Wait,
        mut errno: Errno,
    ) -> Result<(usize, MessageType)> {
        let (msgtyp, _) = select.raw();
        loop {
            let offered = room.min(self.msg.capacity());
            if errno == Errno::TOOBIG {
                if offered < room {
                    self.grow(room);
                } else if let Some(error) = self.too_large(select, offered) {
                    return Err(error);
                }
                // Try again: with more room, or since somebody else took the message.
                errno = Errno::INTR;
            }
            let offered = room.min(self.msg.capacity());
            let (id, msg) = (self.id, &mut self.msg);
            let receive = |sleep| sys::receive(id, msg, offered, msgtyp, flags | sleep);
            match transfer::again(OP, wait, errno, receive, failed) {
                Ok((len, kind)) => return Ok((len, MessageType::of_kernel(kind))),
                Err(error) if error.raw_os_error() == Some(Errno::TOOBIG.raw_os_error()) => {
                    errno = Errno::TOOBIG;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the buffer longer, but not longer than a message can be.
    fn grow(&mut self, room: usize) {
        let most = Limits::read().map_or(room, |limits| limits.max_message_size);
        let more = (self.msg.capacity() * 2).max(most);
        self.msg.grow(room.min(more));
    }
}

/// Why `msgrcv` failed.
#[cold]
pub(super) fn failed(errno: Errno) -> Error {
    let error = os(OP)(errno);
    match errno {
        Errno::INVAL | Errno::IDRM => {
            error.with_kind(ErrorKind::Disconnected).with_note("the queue was removed")
        }
        Errno::ACCESS => error.with_note("the queue's mode does not let this user receive"),
        _ => error,
    }
}

impl RecvMsg for Receiver {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.recv_select(self.select, buf, wait).map(|(len, _)| len)
    }
}

impl Mechanism for Receiver {
    const NAME: &'static str = "sysv-mq";
    const CAPS: Caps = CAPS;
}

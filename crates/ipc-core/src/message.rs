//! Messages.

use std::time::Duration;

use crate::{Result, Wait};

/// The sending end of a message channel.
///
/// A message arrives whole or not at all, and messages of one sender arrive in the order in which
/// they were sent, unless the mechanism orders them by priority and says so in its
/// [`Caps`](crate::Caps).
///
/// # Errors
///
/// Every method reports
///
/// - [`ErrorKind::MessageTooLarge`](crate::ErrorKind::MessageTooLarge) for a message longer than
///   [`max_len`](Self::max_len): nothing was sent;
/// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for an empty message where the
///   mechanism has none ([`Caps::empty_messages`](crate::Caps::empty_messages));
/// - [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) once nobody can receive any more,
///   where the mechanism can tell ([`Caps::reports_peer_death`](crate::Caps::reports_peer_death));
/// - [`ErrorKind::WouldBlock`](crate::ErrorKind::WouldBlock) and
///   [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) as [`Wait`] says: the message was not sent,
///   unless it [has begun](Self::has_begun) to go out. Sending the same message again until it works
///   sends it once, either way.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
/// use ipc_pipe::PipeOptions;
///
/// let (mut rx, mut tx) = PipeOptions::new().open_packet()?;
/// let mut sent = 0;
/// let full = loop {
///     match tx.try_send(b"tick") {
///         Ok(()) => sent += 1,
///         Err(error) => break error,
///     }
/// };
/// assert_eq!(full.kind(), ErrorKind::WouldBlock);
///
/// let mut buf = [0; 16];
/// for _ in 0..sent {
///     assert_eq!(rx.recv(&mut buf)?, 4);
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait SendMsg {
    /// The longest message in bytes that [`send_with`](Self::send_with) takes.
    fn max_len(&self) -> usize;

    /// Whether a part of the last message, which failed for want of time, is out already, so that the
    /// rest will follow with the next send. Only a channel that is made of a byte stream
    /// ([`Framed`](crate::Framed)) ever says so; every mechanism of the kernel sends a message at once
    /// or not at all.
    fn has_begun(&self) -> bool {
        false
    }

    /// Sends one message.
    ///
    /// # Errors
    ///
    /// See [`SendMsg`].
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()>;

    /// Sends one message and blocks until there is room for it.
    ///
    /// # Errors
    ///
    /// See [`SendMsg`].
    fn send(&mut self, msg: &[u8]) -> Result<()> {
        self.send_with(msg, Wait::Forever)
    }

    /// Sends one message if there is room for it now.
    ///
    /// # Errors
    ///
    /// See [`SendMsg`].
    fn try_send(&mut self, msg: &[u8]) -> Result<()> {
        self.send_with(msg, Wait::Never)
    }

    /// Sends one message and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`SendMsg`].
    fn send_timeout(&mut self, msg: &[u8], timeout: Duration) -> Result<()> {
        self.send_with(msg, Wait::timeout(timeout))
    }
}

/// The receiving end of a message channel.
///
/// # Errors
///
/// Every method reports
///
/// - [`ErrorKind::MessageTooLarge`](crate::ErrorKind::MessageTooLarge) for a message longer than the
///   buffer, with both lengths: the message is kept, and a receive with a longer buffer gets it;
/// - [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) once every message was received and
///   no more can come, where the mechanism can tell;
/// - [`ErrorKind::Corrupted`](crate::ErrorKind::Corrupted) when what the peer wrote is not a message;
/// - [`ErrorKind::WouldBlock`](crate::ErrorKind::WouldBlock) and
///   [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) as [`Wait`] says: no message is lost.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
/// use ipc_pipe::PipeOptions;
///
/// let (mut rx, mut tx) = PipeOptions::new().open_packet()?;
/// tx.send(b"four score and seven")?;
///
/// let error = rx.recv(&mut [0; 4]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 20, max: 4 });
///
/// let mut buf = [0; 64];
/// assert_eq!(rx.recv(&mut buf)?, 20);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait RecvMsg {
    /// Receives one message into the front of `buf` and returns its length in bytes.
    ///
    /// # Errors
    ///
    /// See [`RecvMsg`].
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize>;

    /// Receives one message and blocks until there is one.
    ///
    /// # Errors
    ///
    /// See [`RecvMsg`].
    fn recv(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.recv_with(buf, Wait::Forever)
    }

    /// Receives one message if there is one now.
    ///
    /// # Errors
    ///
    /// See [`RecvMsg`].
    fn try_recv(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.recv_with(buf, Wait::Never)
    }

    /// Receives one message and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`RecvMsg`].
    fn recv_timeout(&mut self, buf: &mut [u8], timeout: Duration) -> Result<usize> {
        self.recv_with(buf, Wait::timeout(timeout))
    }
}

impl<T: SendMsg + ?Sized> SendMsg for &mut T {
    fn has_begun(&self) -> bool {
        (**self).has_begun()
    }

    fn max_len(&self) -> usize {
        (**self).max_len()
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        (**self).send_with(msg, wait)
    }
}

impl<T: RecvMsg + ?Sized> RecvMsg for &mut T {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (**self).recv_with(buf, wait)
    }
}

impl<T: SendMsg + ?Sized> SendMsg for Box<T> {
    fn has_begun(&self) -> bool {
        (**self).has_begun()
    }

    fn max_len(&self) -> usize {
        (**self).max_len()
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        (**self).send_with(msg, wait)
    }
}

impl<T: RecvMsg + ?Sized> RecvMsg for Box<T> {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (**self).recv_with(buf, wait)
    }
}

//! Messages of one fixed length.

use std::time::Duration;

use ipc_core::{Error, ErrorKind, RecvMsg, Result, SendMsg, Wait};

/// An end whose messages all have `N` bytes, around any end that sends or receives.
///
/// The length is part of the type, so that no message of another length can be sent through it, and
/// one that somebody else has sent is noticed.
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_mq::Fixed;
/// use ipc_mq::posix::QueueOptions;
///
/// let (rx, tx) = QueueOptions::new().message_size(8).pair()?;
/// let mut tx = Fixed::<_, 8>::new(tx);
/// let mut rx = Fixed::<_, 8>::new(rx);
/// tx.send(&42_u64.to_le_bytes(), Wait::Forever)?;
/// assert_eq!(u64::from_le_bytes(rx.recv(Wait::Forever)?), 42);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed<C, const N: usize>(C);

impl<C, const N: usize> Fixed<C, N> {
    /// Wraps an end.
    ///
    /// # Examples
    ///
    /// See [`Fixed`].
    pub fn new(end: C) -> Self {
        Self(end)
    }

    /// The end itself.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ipc_mq::Fixed::<_, 4>::new("end").into_inner(), "end");
    /// ```
    pub fn into_inner(self) -> C {
        self.0
    }
}

impl<C: SendMsg, const N: usize> Fixed<C, N> {
    /// Sends one message.
    ///
    /// # Errors
    ///
    /// As [`SendMsg`] says; [`ErrorKind::MessageTooLarge`] if the channel takes no messages of `N`
    /// bytes.
    ///
    /// # Examples
    ///
    /// See [`Fixed`].
    pub fn send(&mut self, msg: &[u8; N], wait: Wait) -> Result<()> {
        self.0.send_with(msg, wait)
    }

    /// Sends one message and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// See [`Fixed`].
    pub fn send_timeout(&mut self, msg: &[u8; N], timeout: Duration) -> Result<()> {
        self.send(msg, Wait::timeout(timeout))
    }
}

impl<C: RecvMsg, const N: usize> Fixed<C, N> {
    /// Receives one message.
    ///
    /// # Errors
    ///
    /// As [`RecvMsg`] says. For a message of another length:
    ///
    /// - [`ErrorKind::MessageTooLarge`] when it is longer; it is kept, so that [`into_inner`](
    ///   Self::into_inner) can receive it;
    /// - [`ErrorKind::Corrupted`] when it is shorter; it is gone.
    ///
    /// # Examples
    ///
    /// See [`Fixed`].
    pub fn recv(&mut self, wait: Wait) -> Result<[u8; N]> {
        let mut msg = [0; N];
        match self.0.recv_with(&mut msg, wait)? {
            len if len == N => Ok(msg),
            _ => Err(Error::new(ErrorKind::Corrupted, "receive message of fixed length")
                .with_note("a shorter message came, and was dropped")),
        }
    }

    /// Receives one message and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// See [`Fixed`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<[u8; N]> {
        self.recv(Wait::timeout(timeout))
    }
}

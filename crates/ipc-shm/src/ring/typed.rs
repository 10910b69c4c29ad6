//! Messages that are values and not bytes, over any ring (or any other channel of messages).
//!
//! ```
//! use ipc_core::Wait;
//! use ipc_shm::ring::{RingOptions, mpsc, typed};
//!
//! let (tx, rx) = mpsc::pair(&RingOptions::new().element(typed::element::<[u32; 2]>()))?;
//! let mut tx = typed::Sender::<[u32; 2], _>::new(tx);
//! let mut rx = typed::Receiver::<[u32; 2], _>::new(rx);
//! tx.send(&[640, 480], Wait::Forever)?;
//! assert_eq!(rx.recv(Wait::Forever)?, [640, 480]);
//! # Ok::<(), ipc_core::Error>(())
//! ```

use std::marker::PhantomData;

use ipc_core::{Error, ErrorKind, RecvMsg, Result, SendMsg, Wait};

use super::latest::Value;

/// A number for a type, by its length and alignment, for [`RingOptions::element`](super::RingOptions::element).
/// Two types that differ in nothing else want numbers of your own.
#[must_use]
pub const fn element<T: Value>() -> u64 {
    (size_of::<T>() as u64) << 8 | align_of::<T>() as u64
}

/// Sends values.
///
/// # Examples
///
/// See [`typed`](self).
#[derive(Debug)]
pub struct Sender<T, S> {
    channel: S,
    value: PhantomData<fn(T)>,
}

impl<T: Value, S: SendMsg> Sender<T, S> {
    /// Sends over this channel.
    pub const fn new(channel: S) -> Self {
        Self { channel, value: PhantomData }
    }

    /// Sends a value.
    ///
    /// # Errors
    ///
    /// Those of [`SendMsg`].
    pub fn send(&mut self, value: &T, wait: Wait) -> Result<()> {
        self.channel.send_with(value.as_bytes(), wait)
    }

    /// The channel.
    pub fn into_inner(self) -> S {
        self.channel
    }
}

/// Receives values.
///
/// # Examples
///
/// See [`typed`](self).
#[derive(Debug)]
pub struct Receiver<T, R> {
    channel: R,
    buf: Vec<u8>,
    value: PhantomData<fn() -> T>,
}

impl<T: Value, R: RecvMsg> Receiver<T, R> {
    /// Receives from this channel.
    pub fn new(channel: R) -> Self {
        Self { channel, buf: vec![0; size_of::<T>()], value: PhantomData }
    }

    /// Receives a value.
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`]; [`ErrorKind::Corrupted`] for a message that is shorter than a value. One that is
    /// longer is [`ErrorKind::MessageTooLarge`], and stays.
    pub fn recv(&mut self, wait: Wait) -> Result<T> {
        let len = self.channel.recv_with(&mut self.buf, wait)?;
        T::read_from_bytes(&self.buf[..len]).map_err(|_| {
            Error::new(ErrorKind::Corrupted, "receive value")
                .with_note("the message has another length than the value")
        })
    }

    /// The channel.
    pub fn into_inner(self) -> R {
        self.channel
    }
}

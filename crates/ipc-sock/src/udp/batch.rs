//! Several messages with one system call.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

use ipc_core::{Result, SendMsg, Wait};

use super::Socket;
use super::socket::{LONGEST, explain, longest, pending};
use crate::socket::{SEND, dontwait_recv, dontwait_send};
use crate::sys::mmsg;

/// The most messages of one system call.
pub const MAX_BATCH: usize = mmsg::MAX;

/// From one slot to the next. A cache line more than a message may need, so that the fronts of the
/// slots do not all compete for the same lines of the cache.
const STRIDE: usize = (1 << 16) + 64;

/// Stands for a sender that the kernel does not name, which does not happen.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Where [`Socket::recv_many`] puts messages: made once, used again and again.
///
/// Every slot has room for the longest message there can be, so that none is lost or cut off. That is
/// 64 KiB of address space for each; memory is used as far as messages are long.
///
/// # Examples
///
/// See [`Socket::recv_many`].
pub struct Batch {
    /// One slot after the other.
    slots: Vec<u8>,
    capacity: usize,
    /// Length and sender of what is in the first slots.
    received: Vec<(usize, SocketAddr)>,
}

impl Batch {
    /// Slots for so many messages: at least one, and at most [`MAX_BATCH`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ipc_sock::udp::Batch::new(16).capacity(), 16);
    /// ```
    #[must_use]
    pub fn new(messages: usize) -> Self {
        let capacity = messages.clamp(1, MAX_BATCH);
        let received = Vec::with_capacity(capacity);
        Self { slots: vec![0; capacity * STRIDE], capacity, received }
    }

    /// How many messages it has room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// The messages of the last receive, each with its sender, in the order in which they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], SocketAddr)> {
        let slots = self.slots.chunks_exact(STRIDE);
        self.received.iter().zip(slots).map(|(&(len, from), slot)| (&slot[..len], from))
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("capacity", &self.capacity)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Socket {
    /// Receives the messages that are there, waiting for the first alone, and returns how many:
    /// `recvmmsg(MSG_WAITFORONE)`.
    ///
    /// It takes as many as the batch has slots. The timeout that `recvmmsg` has is not used: the kernel
    /// looks at it after each message only, so that a call whose first message does not come would
    /// block for ever. A deadline is kept by `ppoll`, as everywhere in this crate.
    ///
    /// # Errors
    ///
    /// As [`Socket`] says; the batch is empty then. An error after the first message is reported by
    /// the next receive.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Wait;
    /// use ipc_sock::udp::{Batch, SocketOptions};
    ///
    /// let (tx, mut rx) = SocketOptions::new().pair()?;
    /// tx.send_many(&["one", "two", ""], Wait::Forever)?;
    ///
    /// let mut batch = Batch::new(16);
    /// assert_eq!(rx.recv_many(&mut batch, Wait::Forever)?, 3);
    /// let messages: Vec<&[u8]> = batch.iter().map(|(message, _)| message).collect();
    /// assert_eq!(messages, [b"one".as_slice(), b"two", b""]);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `recvmmsg`(2).
    #[doc(alias("recvmmsg", "MSG_WAITFORONE"))]
    pub fn recv_many(&mut self, batch: &mut Batch, wait: Wait) -> Result<usize> {
        batch.received.clear();
        if self.keeps_message() {
            let got = self.recv_from(&mut batch.slots[..LONGEST], wait)?;
            batch.received.push(got);
            return Ok(1);
        }
        let flags = dontwait_recv(wait).bits() as libc::c_int | libc::MSG_WAITFORONE;
        let (slots, received) = (&mut batch.slots, &mut batch.received);
        let got = self.socket().when_readable("recvmmsg", wait, || {
            let slots = slots.chunks_exact_mut(STRIDE);
            mmsg::receive(self.as_fd(), slots, flags, |len, from| {
                received.push((len, from.unwrap_or(NOBODY)));
            })
        });
        got.map_err(pending)
    }

    /// Sends messages to the connected peer, in order, and returns how many went out: `sendmmsg`, once
    /// for [`MAX_BATCH`] messages.
    ///
    /// It is less than all of them when the wait is exhausted, or one cannot be sent, after the first:
    /// call again with the rest, and the error comes if it is still there. That an earlier message was
    /// refused ([`ConnectionRefused`](ipc_core::ErrorKind::ConnectionRefused)) is not seen in between.
    ///
    /// # Errors
    ///
    /// As [`Socket`] says, about the first message; nothing was sent.
    ///
    /// # Examples
    ///
    /// See [`recv_many`](Self::recv_many).
    ///
    /// # References
    ///
    /// `sendmmsg`(2).
    #[doc(alias = "sendmmsg")]
    pub fn send_many(&self, messages: &[impl AsRef<[u8]>], wait: Wait) -> Result<usize> {
        self.send_each(messages.len(), |n| (messages[n].as_ref(), None), wait)
    }

    /// Sends messages to the addresses beside them, in order, and returns how many went out: as
    /// [`send_many`](Self::send_many).
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](Self::send_to), about the first message; nothing was sent.
    #[doc(alias = "sendmmsg")]
    pub fn send_many_to(
        &self,
        messages: &[(impl AsRef<[u8]>, SocketAddr)],
        wait: Wait,
    ) -> Result<usize> {
        self.send_each(messages.len(), |n| (messages[n].0.as_ref(), Some(messages[n].1)), wait)
    }

    /// Sends `count` messages, each of which `message` knows by its number.
    fn send_each<'a>(
        &self,
        count: usize,
        message: impl Fn(usize) -> (&'a [u8], Option<SocketAddr>),
        wait: Wait,
    ) -> Result<usize> {
        let flags = (SEND | dontwait_send(wait)).bits() as libc::c_int;
        let mut sent = 0;
        while sent < count {
            let send = || mmsg::send(self.as_fd(), (sent..count).map(&message), flags);
            match self.socket().when_writable("sendmmsg", wait, send) {
                Ok(n) => sent += n,
                Err(_) if sent > 0 => break,
                Err(error) => {
                    let (msg, to) = message(0);
                    let max = to.map_or(self.max_len(), longest);
                    return Err(explain(error, msg.len(), max));
                }
            }
        }
        Ok(sent)
    }
}

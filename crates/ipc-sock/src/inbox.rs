//! Receiving whole messages: nothing is lost because a buffer was short.

use std::io::IoSliceMut;
use std::net::SocketAddr;

use ipc_core::{Error, ErrorKind, Result, Wait};
use rustix::net::RecvFlags;

use crate::socket::Socket;
use crate::sys::control::Received;
use crate::unix::ancillary;

/// Up to this many bytes a copy costs less than receiving into two buffers.
const COPY: usize = 4096;

/// What keeps a message that was too long for the buffer of a receive.
///
/// The kernel throws away what does not fit. So a short buffer is never all that the kernel gets: the
/// rest goes into `spill`, which has room for the longest message. That is memory of the receiver's
/// own choosing; a sender cannot make it grow.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// It has room for `max` bytes from the first receive on that needs it, which are written as far as messages
    /// are long: to set a quarter of a megabyte to zero costs more than most messages, above all in a
    /// process that was just forked.
    spill: Vec<u8>,
    /// A message that waits for a longer buffer: the first `len` bytes of `spill`, and what came with
    /// them.
    kept: Option<Received>,
    max: usize,
}

impl Inbox {
    /// For messages of at most `max` bytes.
    pub(crate) const fn new(max: usize) -> Self {
        Self { spill: Vec::new(), kept: None, max }
    }

    /// The longest message that can be received.
    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    /// Whether a message is kept that was too long for the last buffer.
    pub(crate) const fn keeps_message(&self) -> bool {
        self.kept.is_some()
    }

    /// Receives one message and returns its length.
    #[inline]
    pub(crate) fn recv(&mut self, socket: &Socket, buf: &mut [u8], wait: Wait) -> Result<usize> {
        if self.kept.is_some() {
            return self.take(buf).map(|got| got.len);
        }
        if buf.len() >= self.max {
            let len = socket.recv(buf, RecvFlags::TRUNC, wait)?;
            return if len <= buf.len() { Ok(len) } else { Err(lost(len, buf.len())) };
        }
        if buf.len() > COPY {
            return self.recv_long(socket, buf, wait);
        }
        let len = if self.spill.len() < self.max {
            self.spill.reserve_exact(self.max - self.spill.len());
            socket.recv_anew(&mut self.spill, RecvFlags::TRUNC, wait)?
        } else {
            socket.recv(&mut self.spill, RecvFlags::TRUNC, wait)?
        };
        match (buf.get_mut(..len), self.spill.get(..len)) {
            (Some(front), Some(message)) => {
                front.copy_from_slice(message);
                Ok(len)
            }
            _ => self.keep(plain(len), buf.len()),
        }
    }

    /// Receives one message with what came beside its bytes.
    pub(crate) fn recv_message(
        &mut self,
        socket: &Socket,
        buf: &mut [u8],
        wait: Wait,
    ) -> Result<Received> {
        if self.kept.is_some() {
            return self.take(buf);
        }
        self.fill_spill();
        let (direct, room) = (buf.len(), self.max.saturating_sub(buf.len()));
        let mut bufs = [IoSliceMut::new(buf), IoSliceMut::new(&mut self.spill[..room])];
        let got = ancillary::recv(socket, &mut bufs, true, wait)?;
        if got.len <= direct {
            return Ok(got);
        }
        self.join(buf, got.len);
        self.keep(got, direct)
    }

    /// Receives one message and who sent it, over the Internet; of a message that [`recv`](Self::recv)
    /// has kept, nothing tells.
    pub(crate) fn recv_from(
        &mut self,
        socket: &Socket,
        buf: &mut [u8],
        wait: Wait,
    ) -> Result<(usize, Option<SocketAddr>)> {
        if self.kept.is_some() {
            return self.take(buf).map(|got| (got.len, got.from));
        }
        self.fill_spill();
        let direct = if buf.len() > COPY { buf.len() } else { 0 };
        let room = self.max.saturating_sub(direct);
        let (front, _) = buf.split_at_mut(direct);
        let mut bufs = [IoSliceMut::new(front), IoSliceMut::new(&mut self.spill[..room])];
        let (len, from) = socket.recv_vectored_from(&mut bufs, RecvFlags::TRUNC, wait)?;
        if len <= direct {
            return Ok((len, from));
        }
        if direct == 0
            && let (Some(front), Some(message)) = (buf.get_mut(..len), self.spill.get(..len))
        {
            front.copy_from_slice(message);
            return Ok((len, from));
        }
        self.join(&buf[..direct], len);
        self.keep(Received { from, ..plain(len) }, buf.len())
    }

    /// Makes all of the spill bytes that were written, as several buffers for one call must be.
    fn fill_spill(&mut self) {
        if self.spill.len() < self.max {
            self.spill.resize(self.max, 0);
        }
    }

    /// Receives into the buffer, and what does not fit into the spill.
    fn recv_long(&mut self, socket: &Socket, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.fill_spill();
        let (direct, room) = (buf.len(), self.max - buf.len());
        let mut bufs = [IoSliceMut::new(buf), IoSliceMut::new(&mut self.spill[..room])];
        let len = socket.recv_vectored(&mut bufs, RecvFlags::TRUNC, wait)?;
        if len <= direct {
            return Ok(len);
        }
        self.join(buf, len);
        self.keep(plain(len), direct)
    }

    /// Puts the front of a message, which is in `buf`, before the rest, which is in the spill.
    #[cold]
    fn join(&mut self, buf: &[u8], len: usize) {
        if let Some(rest) = len.min(self.max).checked_sub(buf.len()) {
            self.spill.copy_within(..rest, buf.len());
            self.spill[..buf.len()].copy_from_slice(buf);
        }
    }

    /// Keeps a message, of whose bytes the spill has as many as it has room for.
    #[cold]
    fn keep<T>(&mut self, got: Received, room: usize) -> Result<T> {
        let len = got.len;
        if len > self.max {
            return Err(lost(len, self.max.max(room)));
        }
        self.kept = Some(got);
        Err(too_large(len, room))
    }

    /// Hands out the message that is kept, if it fits.
    #[cold]
    fn take(&mut self, buf: &mut [u8]) -> Result<Received> {
        let got = self.kept.take().unwrap_or_else(|| plain(0));
        let (len, room) = (got.len, buf.len());
        let Some(front) = buf.get_mut(..len) else {
            self.kept = Some(got);
            return Err(too_large(len, room));
        };
        front.copy_from_slice(&self.spill[..len]);
        Ok(got)
    }
}

/// A message with nothing beside its bytes.
fn plain(len: usize) -> Received {
    Received { len, ..Received::default() }
}

fn too_large(len: usize, max: usize) -> Error {
    Error::new(ErrorKind::MessageTooLarge { len, max }, "recv")
}

/// The error for a message beyond the longest that this receiver takes.
fn lost(len: usize, max: usize) -> Error {
    too_large(len, max).with_note("it is longer than this receiver's max_message, and gone")
}

//! Pipes in packet mode: each write is read as one message.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Pair, RecvMsg, Rejected, Result, SendMsg, Shape, Wait,
};

use crate::end::End;
use crate::kind::{self, Expected};
use crate::{PIPE_BUF, PipeOptions};

const CAPS: Caps = Caps::new(Shape::Message)
    .anonymous()
    .boundaries()
    .pollable()
    .reports_peer_death()
    .max_message(PIPE_BUF)
    .atomic_write(PIPE_BUF);

/// The sending end of a pipe in packet mode.
///
/// Each message is one packet of 1 to [`PIPE_BUF`] bytes, and several processes may send at once:
/// packets are atomic. An empty packet does not exist, and sending one is [`ErrorKind::Unsupported`].
///
/// A packet takes a page of the pipe, however short it is: a pipe of the default 64 KiB holds
/// sixteen.
///
/// # Errors
///
/// As [`SendMsg`] says.
///
/// # Platform
///
/// Linux 3.4.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg};
///
/// let (mut rx, mut tx) = ipc_pipe::PipeOptions::new().open_packet()?;
/// tx.send(b"one")?;
/// tx.send(b"two")?;
/// let mut buf = [0; 64];
/// assert_eq!(rx.recv(&mut buf)?, 3);
/// assert_eq!(rx.recv(&mut buf)?, 3);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `pipe`(2), `O_DIRECT`.
#[derive(Debug)]
#[doc(alias = "O_DIRECT")]
pub struct PacketWriter(End);

/// The receiving end of a pipe in packet mode.
///
/// The kernel throws away what does not fit into the buffer of a read. Here nothing is lost: the
/// rest goes into a page that this end keeps, the call is [`ErrorKind::MessageTooLarge`], and the
/// next one returns the whole packet if its buffer is long enough. What an [`OwnedFd`] is made of is
/// the pipe alone: a kept packet is dropped with the value.
///
/// # Errors
///
/// As [`RecvMsg`] says.
///
/// # Examples
///
/// See [`PacketWriter`].
#[derive(Debug)]
pub struct PacketReader {
    end: End,
    /// A packet that was too long for a buffer: `spill[..kept]`.
    spill: Box<[u8; PIPE_BUF]>,
    kept: usize,
}

impl PacketWriter {
    pub(crate) const EXPECTED: Expected = Expected { writes: true, packets: true };

    /// Trusts that `fd` is the writing end of a pipe in packet mode.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(End::new(fd))
    }
}

impl PacketReader {
    pub(crate) const EXPECTED: Expected = Expected { writes: false, packets: true };

    /// Trusts that `fd` is the reading end of a pipe in packet mode.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { end: End::new(fd), spill: Box::new([0; PIPE_BUF]), kept: 0 }
    }

    /// Whether a packet is kept that was too long for the buffer of the last receive: while it is so,
    /// receive before polling.
    #[must_use]
    pub fn keeps_packet(&self) -> bool {
        self.kept > 0
    }
}

impl SendMsg for &PacketWriter {
    fn max_len(&self) -> usize {
        PIPE_BUF
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() > PIPE_BUF {
            let kind = ErrorKind::MessageTooLarge { len: msg.len(), max: PIPE_BUF };
            return Err(Error::new(kind, "send packet"));
        }
        if msg.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, "send packet")
                .with_note("a packet has one byte at least"));
        }
        // A write of at most PIPE_BUF bytes is atomic: all of it, or an error.
        self.0.write(msg, wait).map(drop)
    }
}

impl SendMsg for PacketWriter {
    fn max_len(&self) -> usize {
        PIPE_BUF
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        (&*self).send_with(msg, wait)
    }
}

impl RecvMsg for PacketReader {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        if self.kept == 0 {
            // A page always suffices: a short buffer is served from the spill, and a copy of a few
            // bytes costs less than a read into two buffers.
            let direct = buf.len() >= PIPE_BUF;
            let n = if direct {
                self.end.read(buf, wait)?
            } else {
                self.end.read(&mut self.spill[..], wait)?
            };
            if n == 0 {
                return Err(Error::new(ErrorKind::Disconnected, "receive packet"));
            }
            if direct {
                return Ok(n);
            }
            self.kept = n;
        }
        let len = self.kept;
        let Some(front) = buf.get_mut(..len) else {
            let kind = ErrorKind::MessageTooLarge { len, max: buf.len() };
            return Err(Error::new(kind, "receive packet"));
        };
        front.copy_from_slice(&self.spill[..len]);
        self.kept = 0;
        Ok(len)
    }
}

impl AsFd for PacketWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for PacketReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl From<PacketWriter> for OwnedFd {
    fn from(writer: PacketWriter) -> Self {
        writer.0.into_fd()
    }
}

impl From<PacketReader> for OwnedFd {
    fn from(reader: PacketReader) -> Self {
        reader.end.into_fd()
    }
}

/// Checks that it is the writing end of a pipe in packet mode.
///
/// # Errors
///
/// [`ErrorKind::WrongType`]; the descriptor comes back.
impl TryFrom<OwnedFd> for PacketWriter {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        kind::checked(fd, Self::EXPECTED).map(Self::new)
    }
}

/// Checks that it is the reading end of a pipe.
///
/// That the pipe is in packet mode only its writing end tells: on a pipe of bytes, a message is
/// whatever one read returns.
///
/// # Errors
///
/// [`ErrorKind::WrongType`]; the descriptor comes back.
impl TryFrom<OwnedFd> for PacketReader {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        kind::checked(fd, Self::EXPECTED).map(Self::new)
    }
}

impl Pair for PacketReader {
    type Peer = PacketWriter;
    type Options = PipeOptions;

    fn pair(options: &PipeOptions) -> Result<(Self, PacketWriter)> {
        options.open_packet()
    }
}

impl Mechanism for PacketWriter {
    const NAME: &'static str = "pipe-packet";
    const CAPS: Caps = CAPS;
}

impl Mechanism for PacketReader {
    const NAME: &'static str = "pipe-packet";
    const CAPS: Caps = CAPS;
}

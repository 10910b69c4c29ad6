//! Conversations that carry bytes.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::process::Command;

use ipc_core::{
    Caps, Handoff, Mechanism, Pair, Persistence, ReadBytes, Rejected, Result, Shape, Wait,
    WriteBytes,
};

use super::conversation::Conversation;
use super::endpoint::Direction;
use super::options::SocketOptions;
use super::wire::Mode;

/// One end of a conversation that carries bytes, in order and without loss: KCP's stream mode.
///
/// It reads and writes through `&self` as well, so that two threads may share it, one for each
/// direction. [`ipc_core::Framed`] around it makes messages; so does [`Messages`](super::Messages), at
/// less cost.
///
/// # Blocking
///
/// A write puts bytes into the [send queue](SocketOptions::send_queue), sends what the peer's window
/// has room for at once, and blocks while the queue is full. The [thread](super) sends the rest,
/// and again what was lost. What was written has not arrived; only dropping waits for that.
///
/// # Errors
///
/// [`ReadBytes`] and [`WriteBytes`] say which. A read returns 0 once the peer was dropped and everything
/// that it wrote was read. A peer that fell silent is
/// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected), after what had come: nothing says
/// that the stream is whole. [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) after 2³¹
/// segments of one direction, which is three terabytes of full ones.
///
/// # Examples
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use ipc_core::{Listen, Wait};
/// use ipc_sock::kcp::SocketOptions;
///
/// let listener = SocketOptions::new().listen(([127, 0, 0, 1], 0))?;
/// let mut client = SocketOptions::new().connect(listener.local_address()?, Wait::Forever)?;
/// writeln!(client, "two coffees")?;
///
/// let mut line = String::new();
/// BufReader::new(listener.accept()?).read_line(&mut line)?;
/// assert_eq!(line, "two coffees\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Stream(Conversation);

impl Stream {
    pub(super) const fn new(conversation: Conversation) -> Self {
        Self(conversation)
    }
}

super::methods::of_conversations!(Stream, Mode::Stream);

impl ReadBytes for &Stream {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.0.until(Direction::In, "read", wait, |session, now| session.read(buf, now))
    }
}

impl ReadBytes for Stream {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (&*self).read_with(buf, wait)
    }
}

impl WriteBytes for &Stream {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.0.until(Direction::Out, "write", wait, |session, now| {
            Ok(Some(session.write(bufs, now)?).filter(|written| *written > 0))
        })
    }
}

impl WriteBytes for Stream {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        (&*self).write_vectored_with(bufs, wait)
    }
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_with(buf, Wait::Forever)?)
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.write_with(buf, Wait::Forever)?)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.write_vectored_with(bufs, Wait::Forever)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pair for Stream {
    type Peer = Self;
    type Options = SocketOptions;

    fn pair(options: &SocketOptions) -> Result<(Self, Self)> {
        options.pair()
    }
}

impl Mechanism for Stream {
    const NAME: &'static str = "kcp";
    const CAPS: Caps = Caps::new(Shape::ByteStream)
        .duplex()
        .named()
        .anonymous()
        .persistence(Persistence::Process)
        .reports_peer_death();
}

//! Two pipes that make a connection.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsFd;
use std::process::Command;

use ipc_core::{Caps, Handoff, Mechanism, Pair, ReadBytes, Rejected, Result, Wait, WriteBytes};
use ipc_fd::handoff::{self, Gift};

use crate::{PipeOptions, PipeReader, PipeWriter, kind};

/// One side of a connection that is made of two pipes, one for each direction.
///
/// Each direction has its own capacity and its own end of stream; [`split`](Self::split) and drop the
/// writer to say that no more will come, and go on reading.
///
/// Two sides that both write more than a pipe holds before they read wait for each other for ever:
/// use deadlines, or a thread for each direction.
///
/// # Errors
///
/// Those of [`PipeReader`] and [`PipeWriter`].
///
/// # Examples
///
/// ```
/// use ipc_core::{Framed, RecvMsg, SendMsg};
///
/// let (client, server) = ipc_pipe::PipeOptions::new().open_duplex()?;
/// let (mut client, mut server) = (Framed::new(client, 1024), Framed::new(server, 1024));
///
/// client.send(b"ping")?;
/// let mut buf = [0; 16];
/// let n = server.recv(&mut buf)?;
/// server.send(&buf[..n])?;
/// assert_eq!(client.recv(&mut buf)?, 4);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct DuplexPipe {
    rx: PipeReader,
    tx: PipeWriter,
}

impl DuplexPipe {
    /// Makes a side of an end to read from and an end to write to, such as two FIFOs.
    #[must_use]
    pub const fn new(rx: PipeReader, tx: PipeWriter) -> Self {
        Self { rx, tx }
    }

    /// The end that reads, to poll it.
    pub const fn reader(&self) -> &PipeReader {
        &self.rx
    }

    /// The end that writes, to poll it.
    pub const fn writer(&self) -> &PipeWriter {
        &self.tx
    }

    /// Takes the two ends apart, for two threads, or to close one.
    #[must_use]
    pub fn split(self) -> (PipeReader, PipeWriter) {
        (self.rx, self.tx)
    }
}

impl ReadBytes for DuplexPipe {
    #[inline]
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.rx.read_with(buf, wait)
    }
}

impl WriteBytes for DuplexPipe {
    #[inline]
    fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
        self.tx.write_with(buf, wait)
    }

    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        self.tx.write_vectored_with(bufs, wait)
    }
}

impl ReadBytes for &DuplexPipe {
    #[inline]
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (&self.rx).read_with(buf, wait)
    }
}

impl WriteBytes for &DuplexPipe {
    #[inline]
    fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
        (&self.tx).write_with(buf, wait)
    }

    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        (&self.tx).write_vectored_with(bufs, wait)
    }
}

impl Read for DuplexPipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.rx.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.rx.read_vectored(bufs)
    }
}

impl Write for DuplexPipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.tx.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tx.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for &DuplexPipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.rx).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.rx).read_vectored(bufs)
    }
}

impl Write for &DuplexPipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&self.tx).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.tx).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The two ends go under `key` with `_rx` and `_tx` appended, so that a key has 61 bytes at most.
impl Handoff for DuplexPipe {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let (rx_key, tx_key) = (format!("{key}_rx"), format!("{key}_tx"));
        let prepare = || -> Result<_> {
            let rx = Gift::prepare(self.rx.as_fd(), command, &rx_key)?;
            Ok((rx, Gift::prepare(self.tx.as_fd(), command, &tx_key)?))
        };
        match prepare() {
            Ok((rx, tx)) => {
                rx.attach(self.rx, command);
                tx.attach(self.tx, command);
                Ok(())
            }
            Err(error) => Err(Rejected { value: self, error }),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        let (rx_key, tx_key) = (format!("{key}_rx"), format!("{key}_tx"));
        let ends = [PipeReader::EXPECTED, PipeWriter::EXPECTED];
        let [(rx, ()), (tx, ())] =
            handoff::adopt([&rx_key, &tx_key], |i, fd| kind::check(fd, ends[i]))?;
        Ok(Self { rx: PipeReader::new(rx), tx: PipeWriter::new(tx) })
    }
}

impl Pair for DuplexPipe {
    type Peer = Self;
    type Options = PipeOptions;

    fn pair(options: &PipeOptions) -> Result<(Self, Self)> {
        options.open_duplex()
    }
}

impl Mechanism for DuplexPipe {
    const NAME: &'static str = "pipe-duplex";
    const CAPS: Caps = PipeReader::CAPS.duplex();
}

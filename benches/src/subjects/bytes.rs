//! What pipes and FIFOs share: a pair of byte streams, by our crate and by bare system calls.

use std::os::fd::OwnedFd;
use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::WaitMode;
use ipc_core::{Error, ErrorKind, ReadBytes, WriteBytes};
use ipc_pipe::DuplexPipe;

use crate::link::{Link, Setup, run};
use crate::sys::Raw;

/// How the two processes come to hold the two ends of a connection made of pipes.
pub(crate) trait Source {
    /// What the initiator holds until the responder runs.
    type Offer;
    /// Whether the kernel reads and writes it with `RWF_NOWAIT`; else it is opened once more with
    /// `O_NONBLOCK` for the raw variant, as our crate does.
    const NOWAIT: bool;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Offer>;
    fn connect(offer: Self::Offer) -> Result<DuplexPipe>;
    fn join(setup: &Setup) -> Result<DuplexPipe>;
}

/// Our crate's ends.
pub(crate) struct Ours(DuplexPipe);

/// The same descriptors, read and written by bare system calls.
pub(crate) struct Bare {
    rx: Raw,
    tx: Raw,
}

/// A link over `S` by way of `L`: what the variants differ in is `send` and `recv` alone.
pub(crate) struct Over<S, L> {
    ends: L,
    source: std::marker::PhantomData<S>,
}

/// Sends and receives on the ends of a connection.
pub(crate) trait Ends: Sized {
    fn new(pipe: DuplexPipe, nowait: bool) -> Result<Self>;
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()>;
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize>;
}

impl<S: Source, L: Ends> Link for Over<S, L> {
    type Offer = S::Offer;

    fn offer(setup: &Setup, command: &mut Command) -> Result<S::Offer> {
        S::offer(setup, command)
    }

    fn connect(offer: S::Offer) -> Result<Self> {
        let ends = L::new(S::connect(offer)?, S::NOWAIT)?;
        Ok(Self { ends, source: std::marker::PhantomData })
    }

    fn join(setup: &Setup) -> Result<Self> {
        let ends = L::new(S::join(setup)?, S::NOWAIT)?;
        Ok(Self { ends, source: std::marker::PhantomData })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.ends.send(msg, wait)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.ends.recv(buf, wait)
    }
}

impl Ends for Ours {
    fn new(pipe: DuplexPipe, _nowait: bool) -> Result<Self> {
        Ok(Self(pipe))
    }

    #[inline]
    fn send(&mut self, mut msg: &[u8], wait: WaitMode) -> Result<()> {
        while !msg.is_empty() {
            let n = run(wait, |wait| self.0.write_with(msg, wait))?;
            msg = &msg[n..];
        }
        Ok(())
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        let mut len = 0;
        while len < buf.len() {
            match run(wait, |wait| self.0.read_with(&mut buf[len..], wait))? {
                0 => return Err(ended()),
                n => len += n,
            }
        }
        Ok(len)
    }
}

impl Ends for Bare {
    fn new(pipe: DuplexPipe, nowait: bool) -> Result<Self> {
        let (rx, tx) = pipe.split();
        let (rx, tx) = (OwnedFd::from(rx), OwnedFd::from(tx));
        Ok(Self { rx: Raw::reader(rx, nowait)?, tx: Raw::writer(tx, nowait)? })
    }

    #[inline]
    fn send(&mut self, mut msg: &[u8], wait: WaitMode) -> Result<()> {
        while !msg.is_empty() {
            let n = self.tx.write(msg, wait)?;
            msg = &msg[n..];
        }
        Ok(())
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        let mut len = 0;
        while len < buf.len() {
            match self.rx.read(&mut buf[len..], wait)? {
                0 => return Err(ended()),
                n => len += n,
            }
        }
        Ok(len)
    }
}

/// The error for a stream that ends before the message does.
#[cold]
fn ended() -> anyhow::Error {
    Error::new(ErrorKind::Disconnected, "read").into()
}

//! What several mechanisms share: how the two processes come to hold a connection, and how each variant
//! sends and receives on it.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::WaitMode;
use ipc_core::{Error, ErrorKind, Handoff, Pair, ReadBytes, RecvMsg, SendMsg, WriteBytes};

use crate::link::{Link, Readable, Setup, run};
use crate::sys::RawSocket;

/// How the two processes come to hold the two ends of a connection.
pub(crate) trait Source {
    /// What the initiator holds until the responder runs.
    type Offer;
    /// An end, by our crate: it sends and receives.
    type End;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Offer>;
    fn connect(offer: Self::Offer) -> Result<Self::End>;
    fn join(setup: &Setup) -> Result<Self::End>;
}

/// A pair of ends, of which the responder inherits one.
pub(crate) struct Handed<E>(PhantomData<E>);

impl<E: Pair<Peer = E> + Handoff> Source for Handed<E> {
    type Offer = E;
    type End = E;

    fn offer(setup: &Setup, command: &mut Command) -> Result<E> {
        let (ours, theirs) = E::pair(&E::Options::default())?;
        theirs.give(command, &setup.key).map_err(|rejected| rejected.error)?;
        Ok(ours)
    }

    fn connect(offer: E) -> Result<E> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<E> {
        Ok(E::adopt(&setup.key)?)
    }
}

/// How a variant sends and receives on an end: what the variants differ in.
pub(crate) trait Ends: Sized {
    /// What it is made of.
    type Of;

    fn new(end: Self::Of) -> Result<Self>;
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()>;
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize>;
}

/// A link over `S` by way of `L`.
pub(crate) struct Over<S, L> {
    ends: L,
    source: PhantomData<S>,
}

impl<S: Source, L: Ends<Of = S::End>> Link for Over<S, L> {
    type Offer = S::Offer;

    fn offer(setup: &Setup, command: &mut Command) -> Result<S::Offer> {
        S::offer(setup, command)
    }

    fn connect(offer: S::Offer) -> Result<Self> {
        Ok(Self { ends: L::new(S::connect(offer)?)?, source: PhantomData })
    }

    fn join(setup: &Setup) -> Result<Self> {
        Ok(Self { ends: L::new(S::join(setup)?)?, source: PhantomData })
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

impl<S: Source, L: Ends<Of = S::End> + AsFd> Readable for Over<S, L> {
    fn readable(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }
}

/// Declares that what an end receives on is the descriptor of what it is made of.
macro_rules! readable {
    ($($ends:ident),*) => {
        $(impl<E: AsFd> AsFd for $ends<E> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        })*
    };
}

readable!(Stream, Messages);

impl<E> AsFd for BareStream<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<E> AsFd for BareMessages<E> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A byte stream of our crates.
pub(crate) struct Stream<E>(E);

impl<E: ReadBytes + WriteBytes> Ends for Stream<E> {
    type Of = E;

    fn new(end: E) -> Result<Self> {
        Ok(Self(end))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        send_all(msg, |rest| run(wait, |wait| self.0.write_with(rest, wait)))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        recv_all(buf, |rest| run(wait, |wait| self.0.read_with(rest, wait)))
    }
}

/// A message channel of our crates.
pub(crate) struct Messages<E>(E);

impl<E: SendMsg + RecvMsg> Ends for Messages<E> {
    type Of = E;

    fn new(end: E) -> Result<Self> {
        Ok(Self(end))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        run(wait, |wait| self.0.send_with(msg, wait))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        run(wait, |wait| self.0.recv_with(buf, wait))
    }
}

/// A stream socket by bare system calls.
pub(crate) struct BareStream<E>(RawSocket, PhantomData<E>);

impl<E: Into<OwnedFd>> Ends for BareStream<E> {
    type Of = E;

    fn new(end: E) -> Result<Self> {
        Ok(Self(RawSocket::new(end.into()), PhantomData))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        send_all(msg, |rest| Ok(self.0.send(rest, wait)?))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        recv_all(buf, |rest| Ok(self.0.recv(rest, wait)?))
    }
}

/// A socket that keeps messages apart, by bare system calls.
pub(crate) struct BareMessages<E>(RawSocket, PhantomData<E>);

impl<E: Into<OwnedFd>> Ends for BareMessages<E> {
    type Of = E;

    fn new(end: E) -> Result<Self> {
        Ok(Self(RawSocket::new(end.into()), PhantomData))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.0.send(msg, wait)?;
        Ok(())
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        Ok(self.0.recv(buf, wait)?)
    }
}

/// Writes all of a message to a byte stream.
#[inline]
pub(crate) fn send_all(
    mut msg: &[u8],
    mut write: impl FnMut(&[u8]) -> Result<usize>,
) -> Result<()> {
    while !msg.is_empty() {
        let n = write(msg)?;
        msg = &msg[n..];
    }
    Ok(())
}

/// Reads a message of the buffer's length from a byte stream.
#[inline]
pub(crate) fn recv_all(
    buf: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> Result<usize>,
) -> Result<usize> {
    let mut len = 0;
    while len < buf.len() {
        match read(&mut buf[len..])? {
            0 => return Err(ended()),
            n => len += n,
        }
    }
    Ok(len)
}

/// The error for a stream that ends before the message does.
#[cold]
fn ended() -> anyhow::Error {
    Error::new(ErrorKind::Disconnected, "read").into()
}

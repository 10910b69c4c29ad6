//! Mechanisms that several processes use by the same object: a queue or a pipe that all of them hold.

use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use anyhow::{Context, Result};
use ipc_bench_schema::{Topology, WaitMode};
use ipc_core::{Handoff, ReadBytes, RecvMsg, SendMsg, WriteBytes};

use super::ends::{recv_all, send_all};
use crate::fan::{Fan, setup_of};
use crate::link::{Setup, run};
use crate::sys::Raw;

/// An object with two kinds of ends, of which each process holds one.
pub(crate) trait Common {
    /// An end that receives.
    type Rx: Handoff;
    /// An end that sends.
    type Tx: Handoff;
    /// What has to stay in the initiator besides.
    type Keep;

    fn make(setup: &Setup) -> Result<(Self::Rx, Self::Tx, Self::Keep)>;
    /// Another one, for another process.
    fn another_rx(rx: &Self::Rx) -> Result<Self::Rx>;
    /// Another one, for another process.
    fn another_tx(tx: &Self::Tx) -> Result<Self::Tx>;
}

/// Another descriptor for the same end.
pub(crate) fn another<E: AsFd + TryFrom<OwnedFd>>(end: &E) -> Result<E> {
    let fd = end.as_fd().try_clone_to_owned().context("a copy of a descriptor")?;
    E::try_from(fd).ok().context("a copy of an end is another kind of end")
}

/// How a variant sends.
pub(crate) trait Sends: Sized {
    type Of;
    fn new(tx: Self::Of, setup: &Setup) -> Result<Self>;
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()>;
}

/// How a variant receives.
pub(crate) trait Receives: Sized {
    type Of;
    fn new(rx: Self::Of, setup: &Setup) -> Result<Self>;
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize>;
}

/// One process's end of a common object.
pub(crate) enum Many<C: Common, R, S> {
    Receiver(R, Option<C::Keep>),
    Sender(S, Option<C::Keep>),
}

impl<C, R, S> Fan for Many<C, R, S>
where
    C: Common,
    R: Receives<Of = C::Rx>,
    S: Sends<Of = C::Tx>,
{
    type Offer = Self;

    fn offer(setup: &Setup, topology: Topology, commands: &mut [Command]) -> Result<Self> {
        let (rx, tx, keep) = C::make(setup)?;
        for (i, command) in commands.iter_mut().enumerate() {
            let key = setup_of(setup, i).key;
            match topology {
                Topology::FanIn => {
                    C::another_tx(&tx)?.give(command, &key).map_err(|rejected| rejected.error)?;
                }
                _ => C::another_rx(&rx)?.give(command, &key).map_err(|rejected| rejected.error)?,
            }
        }
        Ok(match topology {
            Topology::FanIn => Self::Receiver(R::new(rx, setup)?, Some(keep)),
            _ => Self::Sender(S::new(tx, setup)?, Some(keep)),
        })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup, topology: Topology, index: usize) -> Result<Self> {
        let key = setup_of(setup, index).key;
        Ok(match topology {
            Topology::FanIn => Self::Sender(S::new(C::Tx::adopt(&key)?, setup)?, None),
            _ => Self::Receiver(R::new(C::Rx::adopt(&key)?, setup)?, None),
        })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        match self {
            Self::Sender(tx, _) => tx.send(msg, wait),
            Self::Receiver(..) => Err(one_way()),
        }
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        match self {
            Self::Receiver(rx, _) => rx.recv(buf, wait),
            Self::Sender(..) => Err(one_way()),
        }
    }
}

/// The workloads know which side they are.
#[cold]
pub(crate) fn one_way() -> anyhow::Error {
    anyhow::anyhow!("this end works the other way")
}

/// Messages, by our crates.
pub(crate) struct OurMessages<E>(E);

impl<E: SendMsg> Sends for OurMessages<E> {
    type Of = E;

    fn new(tx: E, _: &Setup) -> Result<Self> {
        Ok(Self(tx))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        run(wait, |wait| self.0.send_with(msg, wait))
    }
}

impl<E: RecvMsg> Receives for OurMessages<E> {
    type Of = E;

    fn new(rx: E, _: &Setup) -> Result<Self> {
        Ok(Self(rx))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        run(wait, |wait| self.0.recv_with(buf, wait))
    }
}

/// Bytes, by our crates. A message of up to `PIPE_BUF` bytes is written in one piece.
pub(crate) struct OurBytes<E>(E);

impl<E: WriteBytes> Sends for OurBytes<E> {
    type Of = E;

    fn new(tx: E, _: &Setup) -> Result<Self> {
        Ok(Self(tx))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        send_all(msg, |rest| run(wait, |wait| self.0.write_with(rest, wait)))
    }
}

impl<E: ReadBytes> Receives for OurBytes<E> {
    type Of = E;

    fn new(rx: E, _: &Setup) -> Result<Self> {
        Ok(Self(rx))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        recv_all(buf, |rest| run(wait, |wait| self.0.read_with(rest, wait)))
    }
}

/// An end of a pipe, by bare system calls. `NOWAIT` as for
/// [`BarePipes`](super::pipes::BarePipes).
pub(crate) struct BareEnd<E, const NOWAIT: bool>(Raw, PhantomData<E>);

impl<E: Into<OwnedFd>, const NOWAIT: bool> Sends for BareEnd<E, NOWAIT> {
    type Of = E;

    fn new(tx: E, _: &Setup) -> Result<Self> {
        Ok(Self(Raw::writer(tx.into(), NOWAIT)?, PhantomData))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        send_all(msg, |rest| Ok(self.0.write(rest, wait)?))
    }
}

impl<E: Into<OwnedFd>, const NOWAIT: bool> Receives for BareEnd<E, NOWAIT> {
    type Of = E;

    fn new(rx: E, _: &Setup) -> Result<Self> {
        Ok(Self(Raw::reader(rx.into(), NOWAIT)?, PhantomData))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        recv_all(buf, |rest| Ok(self.0.read(rest, wait)?))
    }
}

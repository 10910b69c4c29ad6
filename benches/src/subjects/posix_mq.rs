//! POSIX message queues, one for each direction, with room for messages of the cell's size.
#![expect(unsafe_code, reason = "the raw variant exists to call the system without any help")]

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::ptr;

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Mechanism, RecvMsg, SendMsg};
use ipc_mq::posix::{QueueOptions, Receiver, Sender};

use super::many::{Common, Many, OurMessages, Receives, Sends, another};
use crate::link::{Link, Setup, adopt_ends, give_ends, run};
use crate::sys::as_told;
use crate::{Subject, VariantEntry};

/// The longest message where nobody has raised `/proc/sys/fs/mqueue/msgsize_max`.
const LONGEST: usize = 8192;

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "posix-mq",
    krate: "ipc-mq",
    summary: "POSIX message queue: priorities, a name, ten messages of room",
    caps: Sender::CAPS.max_message(LONGEST),
    variants: &[
        VariantEntry::of::<Ours>(Variant::Ours).adaptive().fan_in::<OurMany>().fan_out::<OurMany>(),
        VariantEntry::of::<Bare>(Variant::Raw)
            .adaptive()
            .fan_in::<BareMany>()
            .fan_out::<BareMany>(),
    ],
};

/// Our crate's ends.
struct Ours {
    rx: Receiver,
    tx: Sender,
}

/// The same descriptors, used by bare system calls.
struct Bare {
    rx: OwnedFd,
    tx: OwnedFd,
}

impl Link for Ours {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let options = QueueOptions::new().message_size(setup.size);
        let (rx, their_tx) = options.pair()?;
        let (their_rx, tx) = options.pair()?;
        give_ends(setup, command, their_rx, their_tx)?;
        Ok(Self { rx, tx })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let (rx, tx) = adopt_ends(setup)?;
        Ok(Self { rx, tx })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        // Apart, as a program that blocks has it: the call for this wait alone is compiled in.
        if wait == WaitMode::Block {
            return Ok(self.tx.send(msg)?);
        }
        run(wait, |wait| self.tx.send_with(msg, wait))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        if wait == WaitMode::Block {
            return Ok(self.rx.recv(buf)?);
        }
        run(wait, |wait| self.rx.recv_with(buf, wait))
    }
}

/// A deadline that has passed: the call does not sleep.
static PAST: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };

fn deadline(sleep: bool) -> *const libc::timespec {
    if sleep { ptr::null() } else { &raw const PAST }
}

/// What a call without sleep fails with when there is no message or no room.
fn not_yet(errno: i32) -> bool {
    errno == libc::ETIMEDOUT
}

/// `mq_timedsend`
#[inline]
fn bare_send(tx: &OwnedFd, msg: &[u8], wait: WaitMode) -> Result<()> {
    let fd = tx.as_raw_fd();
    as_told(wait, not_yet, |sleep| {
        let deadline = deadline(sleep);
        let (data, len, priority) = (msg.as_ptr(), msg.len(), 0_u32);
        // SAFETY: the descriptor is open, the message is valid for reads of its length, and the
        // deadline is null or a static.
        unsafe { libc::syscall(libc::SYS_mq_timedsend, fd, data, len, priority, deadline) as isize }
    })?;
    Ok(())
}

/// `mq_timedreceive`
#[inline]
fn bare_recv(rx: &OwnedFd, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
    let fd = rx.as_raw_fd();
    let len = as_told(wait, not_yet, |sleep| {
        let deadline = deadline(sleep);
        let (data, len) = (buf.as_mut_ptr(), buf.len());
        let mut priority = 0_u32;
        let to = &raw mut priority;
        // SAFETY: the descriptor is open, the buffer is valid for writes of its length, the
        // priority is on this stack, and the deadline is null or a static.
        unsafe { libc::syscall(libc::SYS_mq_timedreceive, fd, data, len, to, deadline) as isize }
    })?;
    Ok(len)
}

impl Link for Bare {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let ends = Ours::offer(setup, command)?;
        Ok(Self { rx: ends.rx.into(), tx: ends.tx.into() })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let ends = Ours::join(setup)?;
        Ok(Self { rx: ends.rx.into(), tx: ends.tx.into() })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        bare_send(&self.tx, msg, wait)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        bare_recv(&self.rx, buf, wait)
    }
}

/// One queue that all senders fill, or from which each receiver takes its own.
struct OneQueue;

type OurMany = Many<OneQueue, OurMessages<Receiver>, OurMessages<Sender>>;
type BareMany = Many<OneQueue, BareEnd, BareEnd>;

impl Common for OneQueue {
    type Rx = Receiver;
    type Tx = Sender;
    type Keep = ();

    fn make(setup: &Setup) -> Result<(Receiver, Sender, ())> {
        let (rx, tx) = QueueOptions::new().message_size(setup.size).pair()?;
        Ok((rx, tx, ()))
    }

    fn another_rx(rx: &Receiver) -> Result<Receiver> {
        another(rx)
    }

    fn another_tx(tx: &Sender) -> Result<Sender> {
        another(tx)
    }
}

/// An end by bare system calls.
struct BareEnd(OwnedFd);

impl Sends for BareEnd {
    type Of = Sender;

    fn new(tx: Sender, _: &Setup) -> Result<Self> {
        Ok(Self(tx.into()))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        bare_send(&self.0, msg, wait)
    }
}

impl Receives for BareEnd {
    type Of = Receiver;

    fn new(rx: Receiver, _: &Setup) -> Result<Self> {
        Ok(Self(rx.into()))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        bare_recv(&self.0, buf, wait)
    }
}

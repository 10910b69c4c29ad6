//! A standard signal there and one back, read from a descriptor.

use std::os::fd::OwnedFd;

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Mechanism, Notified, Notify};
use ipc_signal::{Signal, SignalFd, SignalSender};

use super::signal::send;
use super::signals::{Ends, Notifying, one};
use crate::link::run;
use crate::sys::Raw;
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "signalfd",
    krate: "ipc-signal",
    summary: "standard signal by pidfd, read from a descriptor: for poll and epoll",
    caps: SignalFd::CAPS,
    variants: &[
        VariantEntry::of::<Notifying<Ours>>(Variant::Ours).adaptive(),
        VariantEntry::of::<Notifying<Bare>>(Variant::Raw).adaptive(),
    ],
};

/// Our crate's ends.
struct Ours {
    rx: SignalFd,
    tx: SignalSender,
}

/// The same descriptors, used by bare system calls.
struct Bare {
    rx: Raw,
    tx: OwnedFd,
    signal: i32,
}

impl Ends for Ours {
    type Sender = SignalSender;

    fn signal() -> ipc_core::Result<Signal> {
        Ok(Signal::USR2)
    }

    fn open(tx: SignalSender) -> Result<Self> {
        Ok(Self { rx: SignalFd::open(Self::signal()?.into())?, tx })
    }

    #[inline]
    fn notify(&mut self, _: WaitMode) -> Result<()> {
        Ok(self.tx.notify()?)
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        if wait == WaitMode::Block {
            return one(self.rx.wait()?.get());
        }
        one(run(wait, |wait| self.rx.wait_with(wait))?.get())
    }
}

/// What a signalfd gives for one signal.
const INFO_BYTES: usize = size_of::<libc::signalfd_siginfo>();

impl Ends for Bare {
    type Sender = SignalSender;

    fn signal() -> ipc_core::Result<Signal> {
        Ok(Signal::URG)
    }

    fn open(tx: SignalSender) -> Result<Self> {
        let signal = Self::signal()?;
        let rx = Raw::reader(SignalFd::open(signal.into())?.into(), true)?;
        Ok(Self { rx, tx: tx.into(), signal: signal.number() })
    }

    #[inline]
    fn notify(&mut self, _: WaitMode) -> Result<()> {
        send(&self.tx, self.signal)
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        let len = self.rx.read(&mut [0; INFO_BYTES], wait)?;
        one((len / INFO_BYTES) as u64)
    }
}

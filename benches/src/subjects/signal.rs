//! A standard signal there and one back.
#![expect(unsafe_code, reason = "the raw variant exists to call the system without any help")]

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Mechanism, Notified, Notify};
use ipc_signal::{Signal, SignalReceiver, SignalSender};

use super::signals::{Ends, Notifying, one};
use crate::link::run;
use crate::sys::{as_told, until_ready};
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "signal",
    krate: "ipc-signal",
    summary: "standard signal by pidfd, and sigtimedwait: no payload, pending ones become one",
    caps: SignalSender::CAPS,
    variants: &[
        VariantEntry::of::<Notifying<Ours>>(Variant::Ours).adaptive(),
        VariantEntry::of::<Notifying<Bare>>(Variant::Raw).adaptive(),
    ],
};

/// Our crate's ends.
struct Ours {
    rx: SignalReceiver,
    tx: SignalSender,
}

/// The same signals by bare system calls.
struct Bare {
    tx: OwnedFd,
    signal: i32,
    set: u64,
}

impl Ends for Ours {
    type Sender = SignalSender;

    fn signal() -> ipc_core::Result<Signal> {
        Ok(Signal::USR2)
    }

    fn open(tx: SignalSender) -> Result<Self> {
        Ok(Self { rx: SignalReceiver::new(Self::signal()?)?, tx })
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

/// What a wait that does not sleep fails with when nothing is pending.
pub(super) fn not_yet(errno: i32) -> bool {
    errno == libc::EAGAIN
}

/// No time: the call does not sleep.
static NOW: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };

/// The length of a set of signals.
const SET_BYTES: usize = 8;

/// `rt_sigtimedwait`, and what is told of the signal where `info` is not null.
///
/// # Safety
///
/// `info` must be null or valid for writes of 128 bytes.
#[inline]
pub(super) unsafe fn take(set: u64, wait: WaitMode, info: *mut u8) -> Result<()> {
    as_told(wait, not_yet, |sleep| {
        let time = if sleep { std::ptr::null() } else { &raw const NOW };
        let set = &raw const set;
        // SAFETY: the set is on this stack and has the length that is said, the time is null or a
        // static, and the caller has promised the rest.
        unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, info, time, SET_BYTES) as isize }
    })?;
    Ok(())
}

/// `pidfd_send_signal` without a value.
#[inline]
pub(super) fn send(pidfd: &OwnedFd, signal: i32) -> Result<()> {
    let (fd, none) = (pidfd.as_raw_fd(), std::ptr::null::<u8>());
    until_ready(not_yet, || {
        // SAFETY: the descriptor is open, null stands for what `kill` would send, and there are no
        // flags.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, 0) as isize }
    })?;
    Ok(())
}

/// The set of one signal.
pub(super) fn set_of(signal: Signal) -> u64 {
    1 << (signal.number() - 1)
}

impl Ends for Bare {
    type Sender = SignalSender;

    fn signal() -> ipc_core::Result<Signal> {
        Ok(Signal::URG)
    }

    fn open(tx: SignalSender) -> Result<Self> {
        let signal = Self::signal()?;
        Ok(Self { tx: tx.into(), signal: signal.number(), set: set_of(signal) })
    }

    #[inline]
    fn notify(&mut self, _: WaitMode) -> Result<()> {
        send(&self.tx, self.signal)
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        // SAFETY: nothing is told of the signal.
        unsafe { take(self.set, wait, std::ptr::null_mut()) }
    }
}

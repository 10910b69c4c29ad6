//! What the signals share: two processes that know each other's pidfd, and turns.

use std::marker::PhantomData;
use std::process::Command;

use anyhow::{Context, Result};
use ipc_bench_schema::WaitMode;
use ipc_core::{ErrorKind, Handoff, ReadBytes, Wait, WriteBytes};
use ipc_pipe::{PipeOptions, PipeReader, PipeWriter};
use ipc_signal::{Pid, RtSender, Signal, SignalSender, SignalSet};

use crate::control::Void;
use crate::link::{Link, Setup};

/// A process's address, which can be given to a child.
pub(super) trait Address: Handoff {
    fn to(pid: Pid, signal: Signal) -> ipc_core::Result<Self>;
}

impl Address for SignalSender {
    fn to(pid: Pid, signal: Signal) -> ipc_core::Result<Self> {
        Self::to(pid, signal)
    }
}

impl Address for RtSender {
    fn to(pid: Pid, signal: Signal) -> ipc_core::Result<Self> {
        Self::to(pid, signal)
    }
}

/// One process's side: the address of the other one, and what it waits by.
pub(super) trait Ends: Sized {
    /// The other process's address.
    type Sender: Address;

    /// A signal of this variant's own: both variants are open at once.
    fn signal() -> ipc_core::Result<Signal>;
    fn open(sender: Self::Sender) -> Result<Self>;
    fn notify(&mut self, wait: WaitMode) -> Result<()>;
    /// Waits for one notification, and checks what there is to check of it.
    fn wait(&mut self, wait: WaitMode) -> Result<()>;
}

/// A link whose messages are notifications.
pub(super) struct Notifying<E>(E);

/// What the initiator needs to hear before it can send.
pub(super) struct Offer<E> {
    pid: PipeReader,
    ends: PhantomData<E>,
}

impl<E: Ends> Link for Notifying<E> {
    type Offer = Offer<E>;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Offer<E>> {
        // The responder inherits the mask, so that no signal comes too early for it.
        SignalSet::from(E::signal()?).block()?.keep();
        let (pid, tell_pid) = PipeOptions::new().open()?;
        let to_us = <E::Sender as Address>::to(Pid::this(), E::signal()?)?;
        to_us.give(command, &format!("{}_to", setup.key)).map_err(|rejected| rejected.error)?;
        tell_pid.give(command, &format!("{}_pid", setup.key)).map_err(|rejected| rejected.error)?;
        Ok(Offer { pid, ends: PhantomData })
    }

    fn connect(mut offer: Offer<E>) -> Result<Self> {
        let mut pid = [0; 4];
        offer.pid.read_exact_with(&mut pid, Wait::Forever).context("the responder's pid")?;
        let pid = Pid::new(i32::from_ne_bytes(pid))?;
        Ok(Self(E::open(<E::Sender as Address>::to(pid, E::signal()?)?)?))
    }

    fn join(setup: &Setup) -> Result<Self> {
        let to_them = E::Sender::adopt(&format!("{}_to", setup.key))?;
        let ends = E::open(to_them)?;
        let mut tell_pid = PipeWriter::adopt(&format!("{}_pid", setup.key))?;
        tell_pid.write_all_with(&Pid::this().get().to_ne_bytes(), Wait::Forever)?;
        Ok(Self(ends))
    }

    #[inline]
    fn send(&mut self, _: &[u8], wait: WaitMode) -> Result<()> {
        self.0.notify(wait)
    }

    #[inline]
    fn recv(&mut self, _: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.0.wait(wait)?;
        Ok(0)
    }

    fn quiet(&mut self) -> Result<()> {
        match SignalSet::from(E::signal()?).wait(Wait::Never) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Err(Void("a notification came that nobody made, or twice".into()).into()),
        }
    }
}

/// The numbers of the notifications that carry a value.
#[derive(Debug, Default)]
pub(super) struct Turns {
    sent: usize,
    received: usize,
}

impl Turns {
    /// The number of the next one to send.
    #[inline]
    pub(super) fn next(&mut self) -> usize {
        self.sent += 1;
        self.sent
    }

    /// Checks the number of one that came.
    #[inline]
    pub(super) fn check(&mut self, number: Option<usize>) -> Result<()> {
        self.received += 1;
        if number == Some(self.received) { Ok(()) } else { self.describe(number) }
    }

    /// Says what is wrong with a number.
    #[cold]
    fn describe(&self, number: Option<usize>) -> Result<()> {
        let due = self.received;
        let text = match number {
            Some(it) if it > due => {
                format!("notification {it} came in place of {due}: {} lost", it - due)
            }
            Some(it) => format!("notification {it} came again in place of {due}"),
            None => format!("a notification without a number came in place of {due}"),
        };
        Err(Void(text).into())
    }
}

/// Checks that a wait has brought one notification.
#[inline]
pub(super) fn one(count: u64) -> Result<()> {
    if count == 1 { Ok(()) } else { Err(Void(format!("{count} came in place of 1")).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_tell_lost_from_repeated_from_foreign() {
        for (number, says) in [
            (Some(4), "notification 4 came in place of 2: 2 lost"),
            (Some(1), "notification 1 came again in place of 2"),
            (None, "without a number came in place of 2"),
        ] {
            let mut turns = Turns::default();
            assert_eq!((turns.next(), turns.next()), (1, 2));
            turns.check(Some(1)).expect("its turn");
            let error = turns.check(number).expect_err("not its turn");
            let Void(reason) = error.downcast_ref().expect("it voids the cell");
            assert!(reason.contains(says), "{reason}");
        }
    }
}

//! What semaphores and the like share: one for each direction, of which each message is a permit.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::WaitMode;

use crate::control::Void;
use crate::link::{Link, Setup};

/// A side of one direction: a handle to a semaphore, or to what stands for one.
pub(super) trait Permits: Sized {
    /// Two handles to a new one without permits; the second is for the responder.
    fn pair() -> Result<(Self, Self)>;
    fn give(self, command: &mut Command, key: &str) -> Result<()>;
    fn adopt(key: &str) -> Result<Self>;
    /// Adds one permit.
    fn post(&mut self) -> Result<()>;
    /// Takes one, and checks what there is to check of it.
    fn wait(&mut self, wait: WaitMode) -> Result<()>;
    /// Whether there is one now. It may be taken.
    fn has_one(&mut self) -> Result<bool>;
}

/// A link whose messages are permits.
pub(super) struct Permitting<P> {
    rx: P,
    tx: P,
}

impl<P: Permits> Link for Permitting<P> {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let (tx, their_rx) = P::pair()?;
        let (rx, their_tx) = P::pair()?;
        their_rx.give(command, &format!("{}_rx", setup.key))?;
        their_tx.give(command, &format!("{}_tx", setup.key))?;
        Ok(Self { rx, tx })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let rx = P::adopt(&format!("{}_rx", setup.key))?;
        let tx = P::adopt(&format!("{}_tx", setup.key))?;
        Ok(Self { rx, tx })
    }

    #[inline]
    fn send(&mut self, _: &[u8], _: WaitMode) -> Result<()> {
        self.tx.post()
    }

    #[inline]
    fn recv(&mut self, _: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.rx.wait(wait)?;
        Ok(0)
    }

    fn quiet(&mut self) -> Result<()> {
        if self.rx.has_one()? {
            return Err(Void("a permit came that nobody posted, or twice".into()).into());
        }
        Ok(())
    }
}

/// Whether a wait that does not sleep has found a permit.
pub(super) fn found(result: ipc_core::Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ipc_core::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error.into()),
    }
}

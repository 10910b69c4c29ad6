//! Rings in shared memory with one sender and one receiver, one for each direction.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Mechanism, RecvMsg, SendMsg, Wait};
use ipc_shm::Memfd;
use ipc_shm::ring::spsc::{Receiver, Sender};
use ipc_shm::ring::{RingOptions, Strategy};

use crate::link::{Link, Setup, adopt_ends, give_ends};
use crate::{Subject, VariantEntry};

/// The row of the matrix. There is no bare variant: there are no system calls to make.
pub(super) const SUBJECT: Subject = Subject {
    id: "shm-spsc",
    krate: "ipc-shm",
    summary: "ring in shared memory: messages from one sender to one receiver, without a system call",
    caps: Sender::<Memfd>::CAPS,
    variants: &[VariantEntry::of::<Ring>(Variant::Ours)
        .adaptive()
        .no_fan_in("a ring of this kind has one sender")],
};

struct Ring {
    rx: Receiver,
    tx: Sender,
    strategy: Option<WaitMode>,
}

/// Room for some of the longest messages, and for thousands of short ones.
fn options(size: usize) -> RingOptions {
    RingOptions::new().capacity((8 * size).max(1 << 18))
}

impl Ring {
    const fn new(rx: Receiver, tx: Sender) -> Self {
        Self { rx, tx, strategy: None }
    }

    /// Waits as the cell says from now on.
    #[inline]
    fn wait_as(&mut self, wait: WaitMode) {
        if self.strategy != Some(wait) {
            let strategy = match wait {
                WaitMode::Block => Strategy::Block,
                WaitMode::Spin => Strategy::Spin,
                WaitMode::Adaptive => Strategy::Adaptive,
            };
            self.rx.set_strategy(strategy);
            self.tx.set_strategy(strategy);
            self.strategy = Some(wait);
        }
    }
}

impl Link for Ring {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let (tx, their_rx) = options(setup.size).pair()?;
        let (their_tx, rx) = options(setup.size).pair()?;
        give_ends(setup, command, their_rx, their_tx)?;
        Ok(Self::new(rx, tx))
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let (rx, tx) = adopt_ends(setup)?;
        Ok(Self::new(rx, tx))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.wait_as(wait);
        Ok(self.tx.send_with(msg, Wait::Forever)?)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.wait_as(wait);
        Ok(self.rx.recv_with(buf, Wait::Forever)?)
    }
}

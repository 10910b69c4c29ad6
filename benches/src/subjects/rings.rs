//! Rings in shared memory, one for each direction.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Payload, Variant, WaitMode};
use ipc_core::{Handoff, Mechanism, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, Strategy, broadcast, mpmc, mpsc, spsc, unbounded};

use crate::control::Void;
use crate::link::{Link, Setup, adopt_ends, give_ends};
use crate::{Subject, VariantEntry};

/// Makes rows of the matrix of rings. There is no bare variant: there are no system calls to make.
macro_rules! rings {
    ($($(#[$doc:meta])* $subject:ident = $ring:ident, $kind:ident: $id:literal, $summary:literal;)+) => {$(
        $(#[$doc])*
        pub(super) const $subject: Subject = Subject {
            id: $id,
            krate: "ipc-shm",
            summary: $summary,
            caps: <$ring::Sender as Mechanism>::CAPS,
            variants: &[VariantEntry::of::<Duplex<$kind>>(Variant::Ours)
                .adaptive()
                .in_place()
                .no_fan_in("its ends are those of one sender and one receiver")],
        };

        struct $kind;

        impl Ring for $kind {
            type Tx = $ring::Sender;
            type Rx = $ring::Receiver;

            fn pair(capacity: usize) -> ipc_core::Result<(Self::Tx, Self::Rx)> {
                $ring::pair(&RingOptions::new().capacity(capacity).senders(1))
            }

            fn wait_as(tx: &mut Self::Tx, rx: &mut Self::Rx, strategy: Strategy) {
                tx.set_strategy(strategy);
                rx.set_strategy(strategy);
            }

            #[inline]
            fn place(tx: &mut Self::Tx, len: usize, ends: &[u8]) -> ipc_core::Result<()> {
                let (begin, end) = ends.split_at(ends.len() / 2);
                let mut grant = tx.reserve(len, Wait::Forever)?;
                grant.write_at(0, begin)?;
                grant.write_at(len - end.len(), end)?;
                grant.commit();
                Ok(())
            }

            #[inline]
            fn view(rx: &mut Self::Rx, ends: &mut [u8]) -> ipc_core::Result<usize> {
                let half = ends.len() / 2;
                let (begin, end) = ends.split_at_mut(half);
                let view = rx.peek(Wait::Forever)?;
                let len = view.len();
                view.read_at(0, begin)?;
                view.read_at(len.saturating_sub(end.len()), end)?;
                view.release();
                Ok(len)
            }
        }
    )+};
}

rings! {
    /// One sender and one receiver.
    SPSC = spsc, Spsc: "shm-spsc",
        "ring in shared memory: messages from one sender to one receiver, without a system call";
    /// Several senders and one receiver.
    MPSC = mpsc, Mpsc: "shm-mpsc",
        "ring in shared memory: messages from several senders to one receiver";
    /// One sender and several receivers, of which there is one here.
    BROADCAST = broadcast, Broadcast: "shm-broadcast",
        "ring in shared memory: messages from one sender, each to all receivers";
    /// One sender and one receiver, growing.
    UNBOUNDED = unbounded, Unbounded: "shm-unbounded",
        "ring in shared memory that grows: the sender does not wait";
    /// Several senders and several receivers.
    MPMC = mpmc, Mpmc: "shm-mpmc",
        "ring in shared memory: messages from several senders, each to one of several receivers";
}

/// A kind of ring.
trait Ring {
    type Tx: SendMsg + Handoff;
    type Rx: RecvMsg + Handoff;

    fn pair(capacity: usize) -> ipc_core::Result<(Self::Tx, Self::Rx)>;
    fn wait_as(tx: &mut Self::Tx, rx: &mut Self::Rx, strategy: Strategy);
    /// Sends a message of `len` bytes by writing its beginning and its end in place.
    fn place(tx: &mut Self::Tx, len: usize, ends: &[u8]) -> ipc_core::Result<()>;
    /// Receives a message by reading its beginning and its end in place; returns its length.
    fn view(rx: &mut Self::Rx, ends: &mut [u8]) -> ipc_core::Result<usize>;
}

/// Two rings: a connection both ways.
struct Duplex<K: Ring> {
    rx: K::Rx,
    tx: K::Tx,
    /// The length of a message that is handed over in place.
    in_place: Option<usize>,
    strategy: Option<WaitMode>,
}

/// Room for some of the longest messages, and for thousands of short ones.
fn capacity(setup: &Setup) -> usize {
    (8 * setup.size).max(1 << 18)
}

impl<K: Ring> Duplex<K> {
    fn new(setup: &Setup, rx: K::Rx, tx: K::Tx) -> Self {
        let in_place = (setup.payload == Payload::Handoff).then_some(setup.size);
        Self { rx, tx, in_place, strategy: None }
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
            K::wait_as(&mut self.tx, &mut self.rx, strategy);
            self.strategy = Some(wait);
        }
    }
}

impl<K: Ring> Link for Duplex<K> {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let (tx, their_rx) = K::pair(capacity(setup))?;
        let (their_tx, rx) = K::pair(capacity(setup))?;
        give_ends(setup, command, their_rx, their_tx)?;
        Ok(Self::new(setup, rx, tx))
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let (rx, tx) = adopt_ends(setup)?;
        Ok(Self::new(setup, rx, tx))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.wait_as(wait);
        match self.in_place {
            None => Ok(self.tx.send_with(msg, Wait::Forever)?),
            Some(len) => Ok(K::place(&mut self.tx, len, msg)?),
        }
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.wait_as(wait);
        let Some(len) = self.in_place else {
            return Ok(self.rx.recv_with(buf, Wait::Forever)?);
        };
        match K::view(&mut self.rx, buf)? {
            got if got == len => Ok(buf.len()),
            got => Err(Void(format!("a message has {got} bytes, not {len}")).into()),
        }
    }
}

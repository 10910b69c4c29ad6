//! Rings in shared memory: one for each direction, or one that several processes have ends of.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Payload, Topology, Variant, WaitMode};
use ipc_core::{ErrorKind, Handoff, Mechanism, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, Strategy, broadcast, mpmc, mpsc, spsc, unbounded};

use super::many::one_way;
use crate::control::Void;
use crate::fan::{Fan, setup_of};
use crate::link::{Link, Setup, adopt_ends, give_ends};
use crate::{Subject, VariantEntry};

/// Makes rows of the matrix of rings. There is no bare variant: there are no system calls to make.
macro_rules! rings {
    ($(
        $(#[$doc:meta])*
        $subject:ident = $ring:ident, $kind:ident: $id:literal, $summary:literal
        $(, part $fan:ident $many:ty)* $(, alone: $why:expr)?;
    )+) => {$(
        $(#[$doc])*
        pub(super) const $subject: Subject = Subject {
            id: $id,
            krate: "ipc-shm",
            summary: $summary,
            caps: <$ring::Sender as Mechanism>::CAPS,
            variants: &[VariantEntry::of::<Duplex<$kind>>(Variant::Ours)
                .adaptive()
                .in_place()
                $(.$fan::<$many>())*
                $(.no_fan_in($why))?],
        };

        struct $kind;

        impl Ring for $kind {
            type Tx = $ring::Sender;
            type Rx = $ring::Receiver;

            fn pair(capacity: usize, senders: usize) -> ipc_core::Result<(Self::Tx, Self::Rx)> {
                $ring::pair(&RingOptions::new().capacity(capacity).senders(senders))
            }

            fn send_as(tx: &mut Self::Tx, strategy: Strategy) {
                tx.set_strategy(strategy);
            }

            fn receive_as(rx: &mut Self::Rx, strategy: Strategy) {
                rx.set_strategy(strategy);
            }

            #[inline(never)]
            fn place(tx: &mut Self::Tx, len: usize, begin: &[u8]) -> ipc_core::Result<()> {
                let mut grant = tx.reserve(len, Wait::Forever)?;
                grant.write_at(0, begin)?;
                grant.commit();
                Ok(())
            }

            #[inline(never)]
            fn view(rx: &mut Self::Rx, begin: &mut [u8]) -> ipc_core::Result<usize> {
                let view = rx.peek(Wait::Forever)?;
                let len = view.len();
                view.read_at(0, begin)?;
                view.release();
                Ok(len)
            }
        }
    )+};
}

rings! {
    /// One sender and one receiver.
    SPSC = spsc, Spsc: "shm-spsc",
        "ring in shared memory: messages from one sender to one receiver, without a system call",
        alone: ONE_SENDER;
    /// Several senders and one receiver.
    MPSC = mpsc, Mpsc: "shm-mpsc",
        "ring in shared memory: messages from several senders to one receiver",
        part fan_in Several<Mpsc>;
    /// One sender and several receivers.
    BROADCAST = broadcast, Broadcast: "shm-broadcast",
        "ring in shared memory: messages from one sender, each to all receivers",
        part fan_out Several<Broadcast>, alone: ONE_SENDER;
    /// One sender and one receiver, growing.
    UNBOUNDED = unbounded, Unbounded: "shm-unbounded",
        "ring in shared memory that grows: the sender does not wait",
        alone: ONE_SENDER;
    /// Several senders and several receivers.
    MPMC = mpmc, Mpmc: "shm-mpmc",
        "ring in shared memory: messages from several senders, each to one of several receivers",
        part fan_in Several<Mpmc>, part fan_out Several<Mpmc>;
}

const ONE_SENDER: &str = "it has one sender";

/// A kind of ring.
trait Ring {
    type Tx: SendMsg + Handoff;
    type Rx: RecvMsg + Handoff;

    fn pair(capacity: usize, senders: usize) -> ipc_core::Result<(Self::Tx, Self::Rx)>;
    fn send_as(tx: &mut Self::Tx, strategy: Strategy);
    fn receive_as(rx: &mut Self::Rx, strategy: Strategy);
    /// Sends a message of `len` bytes by writing its beginning in place.
    fn place(tx: &mut Self::Tx, len: usize, begin: &[u8]) -> ipc_core::Result<()>;
    /// Receives a message by reading its beginning in place; returns its length.
    fn view(rx: &mut Self::Rx, begin: &mut [u8]) -> ipc_core::Result<usize>;
}

/// A ring whose ends on one side can be as many as there are processes.
trait Shared: Ring {
    /// Whether every receiver gets every message.
    const EVERY: bool = false;

    fn another_tx(tx: &Self::Tx) -> ipc_core::Result<Self::Tx>;
    fn another_rx(rx: &Self::Rx) -> ipc_core::Result<Self::Rx>;
}

impl Shared for Mpsc {
    fn another_tx(tx: &Self::Tx) -> ipc_core::Result<Self::Tx> {
        tx.try_clone()
    }

    fn another_rx(rx: &Self::Rx) -> ipc_core::Result<Self::Rx> {
        rx.try_clone()
    }
}

impl Shared for Mpmc {
    fn another_tx(tx: &Self::Tx) -> ipc_core::Result<Self::Tx> {
        tx.try_clone()
    }

    fn another_rx(rx: &Self::Rx) -> ipc_core::Result<Self::Rx> {
        rx.try_clone()
    }
}

impl Shared for Broadcast {
    const EVERY: bool = true;

    fn another_tx(_: &Self::Tx) -> ipc_core::Result<Self::Tx> {
        Err(ipc_core::Error::new(ErrorKind::Unsupported, "clone sender").with_note(ONE_SENDER))
    }

    fn another_rx(rx: &Self::Rx) -> ipc_core::Result<Self::Rx> {
        rx.try_clone()
    }
}

/// Room for some of the longest messages, and for thousands of short ones.
fn capacity(setup: &Setup) -> usize {
    (8 * setup.size).max(1 << 18)
}

/// How an end waits, as the cell says.
const fn strategy(wait: WaitMode) -> Strategy {
    match wait {
        WaitMode::Block => Strategy::Block,
        WaitMode::Spin => Strategy::Spin,
        WaitMode::Adaptive => Strategy::Adaptive,
    }
}

/// A sending end.
struct Sending<K: Ring> {
    tx: K::Tx,
    /// The length of a message that is handed over in place.
    in_place: Option<usize>,
    waits: Option<WaitMode>,
}

/// A receiving end.
struct Receiving<K: Ring> {
    rx: K::Rx,
    in_place: Option<usize>,
    waits: Option<WaitMode>,
}

fn in_place(setup: &Setup) -> Option<usize> {
    (setup.payload == Payload::Handoff).then_some(setup.size)
}

impl<K: Ring> Sending<K> {
    fn new(setup: &Setup, tx: K::Tx) -> Self {
        Self { tx, in_place: in_place(setup), waits: None }
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        if self.waits != Some(wait) {
            self.wait_as(wait);
        }
        match self.in_place {
            None => Ok(self.tx.send_with(msg, Wait::Forever)?),
            Some(len) => Ok(K::place(&mut self.tx, len, msg)?),
        }
    }

    #[cold]
    fn wait_as(&mut self, wait: WaitMode) {
        K::send_as(&mut self.tx, strategy(wait));
        self.waits = Some(wait);
    }
}

impl<K: Ring> Receiving<K> {
    fn new(setup: &Setup, rx: K::Rx) -> Self {
        Self { rx, in_place: in_place(setup), waits: None }
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        if self.waits != Some(wait) {
            self.wait_as(wait);
        }
        match self.in_place {
            None => Ok(self.rx.recv_with(buf, Wait::Forever)?),
            Some(len) => self.recv_in_place(buf, len),
        }
    }

    #[cold]
    fn wait_as(&mut self, wait: WaitMode) {
        K::receive_as(&mut self.rx, strategy(wait));
        self.waits = Some(wait);
    }

    fn recv_in_place(&mut self, buf: &mut [u8], len: usize) -> Result<usize> {
        match K::view(&mut self.rx, buf)? {
            got if got == len => Ok(buf.len()),
            got => Err(Void(format!("a message has {got} bytes, not {len}")).into()),
        }
    }
}

/// Two rings: a connection both ways.
struct Duplex<K: Ring> {
    rx: Receiving<K>,
    tx: Sending<K>,
}

impl<K: Ring> Link for Duplex<K> {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let (tx, their_rx) = K::pair(capacity(setup), 1)?;
        let (their_tx, rx) = K::pair(capacity(setup), 1)?;
        give_ends(setup, command, their_rx, their_tx)?;
        Ok(Self { rx: Receiving::new(setup, rx), tx: Sending::new(setup, tx) })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let (rx, tx) = adopt_ends(setup)?;
        Ok(Self { rx: Receiving::new(setup, rx), tx: Sending::new(setup, tx) })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.tx.send(msg, wait)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.rx.recv(buf, wait)
    }
}

/// One ring, of which each process has an end.
enum Several<K: Ring> {
    Sender(Sending<K>),
    Receiver(Receiving<K>),
}

impl<K: Shared> Fan for Several<K> {
    type Offer = Self;

    const EVERY: bool = K::EVERY;

    fn offer(setup: &Setup, topology: Topology, commands: &mut [Command]) -> Result<Self> {
        let fan_in = topology == Topology::FanIn;
        let (tx, rx) = K::pair(capacity(setup), commands.len() + 1)?;
        for (i, command) in commands.iter_mut().enumerate() {
            let key = setup_of(setup, i).key;
            if fan_in {
                K::another_tx(&tx)?.give(command, &key).map_err(|rejected| rejected.error)?;
            } else {
                K::another_rx(&rx)?.give(command, &key).map_err(|rejected| rejected.error)?;
            }
        }
        // The other of the first two ends is dropped here: nobody waits for it.
        Ok(match fan_in {
            true => Self::Receiver(Receiving::new(setup, rx)),
            false => Self::Sender(Sending::new(setup, tx)),
        })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup, topology: Topology, index: usize) -> Result<Self> {
        let key = setup_of(setup, index).key;
        Ok(match topology {
            Topology::FanIn => Self::Sender(Sending::new(setup, K::Tx::adopt(&key)?)),
            _ => Self::Receiver(Receiving::new(setup, K::Rx::adopt(&key)?)),
        })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        match self {
            Self::Sender(tx) => tx.send(msg, wait),
            Self::Receiver(_) => Err(one_way()),
        }
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        match self {
            Self::Receiver(rx) => rx.recv(buf, wait),
            Self::Sender(_) => Err(one_way()),
        }
    }
}

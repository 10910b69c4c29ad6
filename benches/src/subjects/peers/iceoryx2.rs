//! `iceoryx2`: publish and subscribe over shared memory.
//!
//! A receiver that spins asks for samples. One that sleeps waits for an event, of which the sender makes one
//! for each message: that is how iceoryx2 wakes a process.

use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use iceoryx2::node::Node;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{
    BackpressureStrategy, Config, NodeBuilder, Path, SemanticString, ServiceName,
    SignalHandlingMode, ipc,
};
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Caps, Shape};

use crate::{Link, Setup, Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "iceoryx2",
    krate: "iceoryx2",
    summary: "iceoryx2: publish and subscribe over shared memory",
    caps: Caps::new(Shape::Message).named(),
    variants: &[VariantEntry::of::<Topics>(Variant::Peer)
        .no_fan_in("the row is of one publisher and one subscriber a topic")
        .no_setup("what the library knows of its process is wrong in a forked one")],
};

/// How many samples a subscriber's queue has room for.
const ROOM: usize = 64;

/// A topic to the other process, and one back, each with an event beside it.
struct Topics {
    tx: Publisher<ipc::Service, [u8], ()>,
    rx: Subscriber<ipc::Service, [u8], ()>,
    wake: Notifier<ipc::Service>,
    woken: Listener<ipc::Service>,
    /// Its end would be that of the ports.
    _node: Node<ipc::Service>,
}

/// The library's errors know no threads, which `anyhow` asks for.
fn said(error: impl std::fmt::Debug) -> anyhow::Error {
    anyhow!("iceoryx2: {error:?}")
}

impl Topics {
    fn open(setup: &Setup, [out, back]: [&str; 2]) -> Result<Self> {
        let dir = setup.dir.to_str().context("a directory whose name is text")?;
        let mut config = Config::default();
        // What is left of a process that was killed goes with the directory.
        config.global.set_root_path(&Path::new(dir.as_bytes()).map_err(said)?);
        let node = NodeBuilder::new().config(&config);
        let node = node.signal_handling_mode(SignalHandlingMode::Disabled);
        let node = node.create::<ipc::Service>().map_err(said)?;
        let name = |way: &str, what: &str| -> Result<ServiceName> {
            ServiceName::new(&format!("{dir}/{}/{way}/{what}", setup.key)).map_err(said)
        };
        let topic = |way: &str| {
            let service = node.service_builder(&name(way, "messages")?);
            let service = service.publish_subscribe::<[u8]>().enable_safe_overflow(false);
            let service = service.subscriber_max_buffer_size(ROOM).history_size(0);
            service.max_publishers(1).max_subscribers(1).open_or_create().map_err(said)
        };
        let event = |way: &str| {
            let service = node.service_builder(&name(way, "event")?).event();
            service.open_or_create().map_err(said)
        };
        let (to, from) = (topic(out)?, topic(back)?);
        let tx = to.publisher_builder().initial_max_slice_len(setup.size);
        let tx = tx.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
        Ok(Self {
            tx: tx.create().map_err(said)?,
            rx: from.subscriber_builder().buffer_size(ROOM).create().map_err(said)?,
            wake: event(out)?.notifier_builder().create().map_err(said)?,
            woken: event(back)?.listener_builder().create().map_err(said)?,
            _node: node,
        })
    }
}

impl Link for Topics {
    type Offer = Self;

    fn offer(setup: &Setup, _: &mut Command) -> Result<Self> {
        Self::open(setup, ["there", "back"])
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        Self::open(setup, ["back", "there"])
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        let sample = self.tx.loan_slice_uninit(msg.len()).map_err(said)?;
        sample.write_from_slice(msg).send().map_err(said)?;
        if wait == WaitMode::Block {
            self.wake.notify().map_err(said)?;
        }
        Ok(())
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        loop {
            if let Some(sample) = self.rx.receive().map_err(said)? {
                let msg = sample.payload();
                let Some(room) = buf.get_mut(..msg.len()) else {
                    bail!("a message of {} bytes", msg.len());
                };
                room.copy_from_slice(msg);
                return Ok(msg.len());
            }
            if wait == WaitMode::Block {
                self.woken.blocking_wait_one().map_err(said)?;
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

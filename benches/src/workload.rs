//! What the two processes do with a link: the loops that are measured.

use std::time::Instant;

use anyhow::Result;
use hdrhistogram::Histogram;
use ipc_bench_schema::{Setting, Topology, WaitMode};

use crate::Link;
use crate::control::{Batch, OpenLoop, Tally, Void};
use crate::drag::Drag;
use crate::paced;
use crate::payload::{fill, verify};
use crate::process::{Usage, monotonic_ns};

/// Round-trip times in nanoseconds, to three significant digits.
pub type Rtts = Histogram<u64>;

/// An empty histogram for 1 ns to a minute, so that it never grows while it is measured with.
///
/// # Errors
///
/// None that can happen: the bounds are constants.
pub fn histogram() -> Result<Rtts> {
    Ok(Rtts::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// What a histogram holds, as pairs of value and count.
pub(crate) fn pairs(rtts: &Rtts) -> Vec<(u64, u64)> {
    rtts.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value())).collect()
}

/// One variant of a mechanism, ready to run batches. The type of the link is hidden, the loops are
/// compiled for it.
pub trait Workload {
    /// The initiator's side of a batch. Round-trip times go to `rtts`.
    ///
    /// # Errors
    ///
    /// A message that was lost, repeated or changed, and whatever the mechanism says.
    fn initiate(&mut self, batch: &BatchSpec, rtts: &mut Rtts) -> Result<Tally>;

    /// The responder's side of a batch. One-way latencies go to `rtts`.
    ///
    /// # Errors
    ///
    /// As for the initiator.
    fn respond(&mut self, batch: &BatchSpec, rtts: &mut Rtts) -> Result<Tally>;

    /// In the initiator, after a batch: checks that what all responders saw fits together.
    ///
    /// # Errors
    ///
    /// A message that was lost, or that came to two of them.
    fn agree(&self, _batch: &BatchSpec, _there: &[Tally]) -> Result<()> {
        Ok(())
    }

    /// Checks that nothing is under way: see [`Link::quiet`].
    ///
    /// # Errors
    ///
    /// A message too many.
    fn quiet(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A number of messages to exchange.
#[derive(Debug, Clone, Copy)]
pub struct BatchSpec {
    topology: Topology,
    pub(crate) wait: WaitMode,
    pub(crate) size: usize,
    pub(crate) count: u64,
    pub(crate) first: u64,
    pub(crate) setting: Setting,
    pub(crate) open: OpenLoop,
    pub(crate) drag: Drag,
}

/// Which process a side of a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Initiator,
    Responder,
}

impl BatchSpec {
    #[cfg(test)]
    pub(crate) fn with(
        topology: Topology,
        size: usize,
        count: u64,
        setting: Setting,
        open: OpenLoop,
        drag: Drag,
    ) -> Self {
        Self { topology, wait: WaitMode::Block, size, count, first: 1, setting, open, drag }
    }

    /// One side's part of a batch.
    pub(crate) fn of(batch: &Batch, side: Side) -> Self {
        let Batch { topology, wait, size, count, first, setting, open, drag_ns, .. } = *batch;
        let drag = Drag::of_ns(drag_ns[side as usize]);
        Self { topology, wait, size, count, first, setting, open, drag }
    }
}

/// The loops over one type of link.
#[derive(Debug)]
pub(crate) struct Runner<L>(pub(crate) L);

impl<L: Link> Workload for Runner<L> {
    fn initiate(&mut self, batch: &BatchSpec, rtts: &mut Rtts) -> Result<Tally> {
        match batch.topology {
            Topology::PingPong => ping(&mut self.0, batch, rtts),
            Topology::IdleGap => paced::ping_after_pauses(&mut self.0, batch, rtts),
            Topology::Stream => send_stream(&mut self.0, batch),
            Topology::OpenLoop => paced::send_in_time(&mut self.0, batch),
            Topology::FanIn | Topology::FanOut | Topology::Setup => Err(no_part()),
        }
    }

    fn respond(&mut self, batch: &BatchSpec, rtts: &mut Rtts) -> Result<Tally> {
        match batch.topology {
            Topology::PingPong | Topology::IdleGap => pong(&mut self.0, batch),
            Topology::Stream => receive_stream(&mut self.0, batch),
            Topology::OpenLoop => paced::receive_in_time(&mut self.0, batch, rtts),
            Topology::FanIn | Topology::FanOut | Topology::Setup => Err(no_part()),
        }
    }

    fn quiet(&mut self) -> Result<()> {
        self.0.quiet()
    }
}

/// A link is open already, and has two ends. [`Subject::unsupported`](crate::Subject::unsupported) has
/// said so.
#[cold]
fn no_part() -> anyhow::Error {
    anyhow::anyhow!("a link between two processes takes no part in this")
}

/// Clocks each round trip: writing the message, sending it, and getting and checking the answer.
///
/// One clock reading a round trip: the end of one is the beginning of the next.
fn ping<L: Link>(link: &mut L, batch: &BatchSpec, rtts: &mut Rtts) -> Result<Tally> {
    let mut buf = vec![0; batch.size];
    measured(batch, || {
        let mut last = Instant::now();
        for seq in batch.first..batch.first + batch.count {
            fill(&mut buf, seq);
            link.send(&buf, batch.wait)?;
            receive(link, &mut buf, !seq, batch.wait)?;
            batch.drag.pull();
            let now = Instant::now();
            rtts.saturating_record(u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX));
            last = now;
        }
        Ok(())
    })
}

/// Answers each message with one of its own: the same number with all bits inverted.
fn pong<L: Link>(link: &mut L, batch: &BatchSpec) -> Result<Tally> {
    let mut buf = vec![0; batch.size];
    measured(batch, || {
        for seq in batch.first..batch.first + batch.count {
            receive(link, &mut buf, seq, batch.wait)?;
            fill(&mut buf, !seq);
            link.send(&buf, batch.wait)?;
        }
        Ok(())
    })
}

/// Sends one message after the other.
fn send_stream<L: Link>(link: &mut L, batch: &BatchSpec) -> Result<Tally> {
    let mut buf = vec![0; batch.size];
    measured(batch, || {
        for seq in batch.first..batch.first + batch.count {
            fill(&mut buf, seq);
            link.send(&buf, batch.wait)?;
            batch.drag.pull();
        }
        Ok(())
    })
}

/// Receives one message after the other.
fn receive_stream<L: Link>(link: &mut L, batch: &BatchSpec) -> Result<Tally> {
    let mut buf = vec![0; batch.size];
    measured(batch, || {
        for seq in batch.first..batch.first + batch.count {
            receive(link, &mut buf, seq, batch.wait)?;
            batch.drag.pull();
        }
        Ok(())
    })
}

/// Receives one message and checks every byte of it.
#[inline]
pub(crate) fn receive<L: Link>(
    link: &mut L,
    buf: &mut [u8],
    seq: u64,
    wait: WaitMode,
) -> Result<()> {
    let len = link.recv(buf, wait)?;
    check(buf, len, seq)
}

/// Checks the length and every byte of a message.
#[inline]
pub(crate) fn check(buf: &[u8], len: usize, seq: u64) -> Result<()> {
    if len != buf.len() {
        return Err(wrong(format_args!("message {seq} has {len} bytes, not {}", buf.len())));
    }
    verify(buf, seq).map_err(|error| wrong(format_args!("{error}")))
}

#[cold]
fn wrong(what: std::fmt::Arguments<'_>) -> anyhow::Error {
    Void(what.to_string()).into()
}

/// Runs a loop and tells when it ran and what this thread used for it.
pub(crate) fn measured(batch: &BatchSpec, run: impl FnOnce() -> Result<()>) -> Result<Tally> {
    let before = Usage::now()?;
    let begin_ns = monotonic_ns();
    run()?;
    let end_ns = monotonic_ns();
    let used = Usage::now()?.since(before);
    let Usage { cpu_ns, ctx_switches } = used;
    let messages = batch.count;
    Ok(Tally { begin_ns, end_ns, messages, cpu_ns, ctx_switches, ..Tally::default() })
}

#[cfg(test)]
mod tests;

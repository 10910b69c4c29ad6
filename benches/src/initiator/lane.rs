//! What is kept of each variant while its batches take turns.

use anyhow::Result;
use ipc_bench_schema::{CellKey, LoadSample, Topology, Variant, VariantSample};

use crate::control::{Batch, OpenLoop};
use crate::drag;
use crate::workload::{self, Rtts, Workload};

/// A variant and what was measured of it.
pub(super) struct Lane {
    pub(super) variant: Variant,
    pub(super) workload: Box<dyn Workload>,
    /// The number of the next message.
    pub(super) next: u64,
    pub(super) rtts: Rtts,
    pub(super) messages: u64,
    pub(super) elapsed_ns: u64,
    /// What all sides used.
    pub(super) cpu_ns: u64,
    pub(super) ctx_switches: u64,
    /// Nanoseconds for a message in each batch.
    pub(super) pace_ns: Vec<f64>,
    pub(super) loads: Vec<LoadSample>,
    /// What each side is slowed down by on purpose for each message.
    pub(super) drag_ns: [f64; 2],
}

impl Lane {
    pub(super) fn new(variant: Variant, workload: Box<dyn Workload>) -> Result<Self> {
        Ok(Self {
            variant,
            workload,
            next: 1,
            rtts: workload::histogram()?,
            messages: 0,
            elapsed_ns: 0,
            cpu_ns: 0,
            ctx_switches: 0,
            pace_ns: Vec::new(),
            loads: Vec::new(),
            drag_ns: [0.0; 2],
        })
    }
}

impl Lane {
    /// The next messages of this lane.
    pub(super) fn batch(&self, key: &CellKey, count: u64) -> Batch {
        Batch {
            variant: self.variant,
            topology: key.topology,
            wait: key.wait,
            size: key.payload.touched(key.size),
            count,
            first: self.next,
            setting: key.setting,
            open: OpenLoop::default(),
            drag_ns: self.drag_ns,
        }
    }

    /// Slows this lane down from now on, should the environment say so.
    pub(super) fn drag(&mut self, key: &CellKey, cpus: Option<[usize; 2]>, pace_ns: u64) {
        // In a fan-in the pace is that of as many messages as there are senders.
        let many = if key.topology == Topology::FanIn { key.setting.many() } else { 1 };
        let ns = drag::share(&key.mechanism, self.variant) * pace_ns as f64 / many as f64;
        let one_cpu = cpus.is_some_and(|[ours, theirs]| ours == theirs);
        self.drag_ns = match key.topology {
            // One after the other: once is enough.
            Topology::PingPong | Topology::IdleGap | Topology::Setup | Topology::FanIn => [ns, 0.0],
            // Whoever is the slower decides, unless they share a CPU.
            _ if one_cpu => [0.0, ns],
            _ => [ns, ns],
        };
    }

    /// Throws away what was measured until now.
    pub(super) fn forget(&mut self) {
        self.rtts.clear();
        (self.messages, self.elapsed_ns, self.cpu_ns, self.ctx_switches) = (0, 0, 0, 0);
        self.pace_ns.clear();
    }

    /// The mean of the first half of the batches, and that of the second.
    pub(super) fn halves(&self) -> Option<[f64; 2]> {
        let (first, second) = self.pace_ns.split_at(self.pace_ns.len() / 2);
        let mean = |it: &[f64]| it.iter().sum::<f64>() / it.len() as f64;
        (!first.is_empty()).then(|| [mean(first), mean(second)])
    }

    pub(super) fn sample(self, key: &CellKey) -> VariantSample {
        let halves_ns = self.halves();
        VariantSample {
            variant: self.variant,
            rtt_ns: key.topology.is_clocked_each().then(|| workload::pairs(&self.rtts)),
            messages: self.messages,
            elapsed_ns: self.elapsed_ns,
            cpu_ns: self.cpu_ns,
            ctx_switches: self.ctx_switches,
            halves_ns,
            loads: self.loads,
        }
    }
}

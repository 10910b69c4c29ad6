//! How much is measured where the command line does not say.

use std::time::Duration;

use ipc_bench_schema::{Payload, Placement, Setting, Topology, WaitMode};

use super::curated;
use crate::cli::BenchOptions;

/// How much is measured where the command line does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// Less than 45 seconds.
    Quick,
    /// Less than three minutes.
    Default,
    /// Every axis.
    Full,
}

impl Preset {
    /// The preset that the options name.
    pub(crate) fn of(options: &BenchOptions) -> Self {
        match (options.quick, options.full) {
            (true, _) => Self::Quick,
            (_, true) => Self::Full,
            _ => Self::Default,
        }
    }

    /// Its name in the results.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Full => "full",
        }
    }

    pub(super) fn topologies(self) -> &'static [Topology] {
        match self {
            Self::Quick | Self::Default => &[Topology::PingPong, Topology::Stream, Topology::Setup],
            Self::Full => Topology::ALL,
        }
    }

    pub(super) fn sizes(self, topology: Topology) -> &'static [usize] {
        match (self, topology) {
            // How long its first message is makes no difference to what was created.
            (_, Topology::Setup) => &[64],
            (Self::Full, Topology::FanIn | Topology::FanOut) => &[64, 4096],
            (_, Topology::FanIn | Topology::FanOut) => &[64],
            (_, Topology::IdleGap | Topology::OpenLoop) => &[64],
            (Self::Quick | Self::Default, _) => &[8, 64, 4096, 65536],
            (Self::Full, _) => &[8, 16, 56, 64, 256, 1024, 4096, 8192, 65536, 1 << 20],
        }
    }

    pub(super) fn settings(self, topology: Topology) -> &'static [Setting] {
        match (self, topology) {
            (_, Topology::PingPong | Topology::Stream | Topology::Setup) => &[Setting::None],
            (_, Topology::IdleGap) => &[
                Setting::Pause(0),
                Setting::Pause(50),
                Setting::Pause(1000),
                Setting::Pause(10_000),
            ],
            (Self::Full, Topology::FanIn | Topology::FanOut) => {
                &[Setting::Many(2), Setting::Many(4), Setting::Many(8)]
            }
            (_, Topology::FanIn | Topology::FanOut) => &[Setting::Many(curated::MANY)],
            (_, Topology::OpenLoop) => &[Setting::Fixed, Setting::Poisson],
        }
    }

    pub(super) fn placements(self) -> &'static [Placement] {
        match self {
            Self::Quick | Self::Default => &[Placement::SameCpu, Placement::CrossCpu],
            Self::Full => Placement::ALL,
        }
    }

    pub(super) fn waits(self, topology: Topology) -> &'static [WaitMode] {
        match self {
            _ if topology == Topology::Setup => &[WaitMode::Block],
            Self::Quick | Self::Default => &[WaitMode::Block, WaitMode::Spin],
            Self::Full => WaitMode::ALL,
        }
    }

    /// Messages are handed over without a copy where nothing else takes most of the time.
    pub(super) fn payloads(
        self,
        topology: Topology,
        placement: Placement,
        wait: WaitMode,
    ) -> &'static [Payload] {
        if !matches!(topology, Topology::PingPong | Topology::Stream) {
            return &[Payload::Touch];
        }
        match (self, placement, wait) {
            (Self::Full, ..) | (_, Placement::CrossCpu, WaitMode::Spin) => Payload::ALL,
            _ => &[Payload::Touch],
        }
    }

    /// How many rounds.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Quick => 5,
            Self::Default => 10,
            Self::Full => 15,
        }
    }

    /// How long everything may take, from the first floor to the last report; `None`: as long as
    /// the budget makes it.
    pub(crate) fn allowance(self) -> Option<Duration> {
        match self {
            Self::Quick => Some(Duration::from_secs(40)),
            Self::Default => Some(Duration::from_secs(155)),
            Self::Full => None,
        }
    }

    /// With how many milliseconds for a variant in a run the figures mean something: rather than less for
    /// each cell, there are fewer cells.
    pub(crate) fn enough_ms(self) -> u64 {
        match self {
            Self::Quick => 8,
            Self::Default | Self::Full => 10,
        }
    }

    /// How long each floor is measured in each round, in milliseconds.
    pub(crate) fn floor_budget_ms(self) -> u64 {
        match self {
            Self::Quick => 20,
            Self::Default => 40,
            Self::Full => 100,
        }
    }
}

/// The sizes of what is handed over: the time of one should be that of any other.
pub(super) const HANDOFF_SIZES: &[usize] = &[8, 8192, 1 << 20];

//! `results.json`: what a run of the benchmark leaves behind.
//!
//! A reader ignores fields it does not know. A figure that was not measured, or that has too few
//! samples to mean anything, is `null`; it is never zero and never a guess.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CellKey, MechanismInfo, Placement, Variant};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Results {
    /// [`SCHEMA`](crate::SCHEMA).
    pub schema: String,
    /// The machine.
    pub host: Host,
    /// What was measured and how it was compiled.
    pub build: Build,
    /// How the run was set up, and how it ended.
    pub config: Config,
    /// What the machine itself costs.
    pub floors: Floors,
    /// What the mechanisms can do, by `ipc-peer list`: those that were measured and the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mechanisms: Vec<MechanismInfo>,
    /// How the machine did in each round, whatever was measured meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// One entry for each cell and variant, in the order of the report.
    pub cells: Vec<Cell>,
}

/// How the machine did in one round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Round {
    /// How long it took.
    pub seconds: f64,
    /// Pairs of a CPU and the nanoseconds that the same piece of work took there, at the beginning of the
    /// round.
    pub sentinel_ns: Vec<(usize, u64)>,
    /// The share of the CPUs' time in this round that the hypervisor gave to others, by
    /// `/proc/stat`; of the CPUs that were used.
    pub steal_share: Option<f64>,
}

/// The machine that was measured. A field that could not be read is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Host {
    /// The CPU's model name.
    pub cpu: Option<String>,
    /// CPUs that this process may use.
    pub cpus: Vec<usize>,
    /// Threads per core, cores, sockets, shared caches and NUMA nodes, a line each.
    pub topology: Vec<String>,
    /// `uname -srm`.
    pub kernel: Option<String>,
    /// The hypervisor, or `none`.
    pub virtualisation: Option<String>,
    /// The clock source of the kernel.
    pub clocksource: Option<String>,
    /// The frequency governor.
    pub governor: Option<String>,
    /// CPU vulnerabilities and how the kernel mitigates them.
    pub mitigations: BTreeMap<String, String>,
    /// Limits that shape the figures, such as `fs.pipe-max-size`, by sysctl name.
    pub limits: BTreeMap<String, String>,
    /// The load average of one minute when the run began.
    pub load_1m: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Things about this machine or this run that the reader must know, in plain words.
    pub warnings: Vec<String>,
}

/// What was measured and how it was compiled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Build {
    /// The commit of the workspace, where it is a git checkout.
    pub commit: Option<String>,
    /// Whether the checkout had changes that were not committed.
    pub dirty: Option<bool>,
    /// `rustc --version`.
    pub rustc: Option<String>,
    /// The Cargo profile of the peers.
    pub profile: String,
}

/// How the run was set up, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Config {
    /// The command line after `cargo xtask`.
    pub command: String,
    /// `quick`, `default` or `full`.
    pub preset: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many rounds were planned.
    pub rounds: usize,
    /// How many entries `cells` has when nothing is missing.
    #[serde(default)]
    pub planned_cells: usize,
    /// Milliseconds for each variant in each round.
    pub budget_ms: u64,
    /// The seed of the shuffle.
    pub seed: u64,
    /// The CPUs used, initiator first.
    pub pinned_cpus: Vec<usize>,
    /// How they are related: a [`Placement`]'s word.
    #[serde(default)]
    pub pair: Option<Placement>,
    /// What would have been measured if there had been time, least important first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Whether every planned round ran; `false` in a file written before the end or after Ctrl-C.
    pub complete: bool,
}

/// What the machine itself costs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Floors {
    /// One cache line there and back between two spinning processes. This and the other round trips are clocked
    /// one by one, as those of the cells are: `probe_ns` is in them.
    pub cache_line_rtt_ns: Option<Quantiles>,
    /// Two cache lines, one a direction.
    pub two_line_rtt_ns: Option<Quantiles>,
    /// The cheapest system call.
    pub null_syscall_ns: Option<Quantiles>,
    /// A futex there and back, by placement.
    pub futex_rtt_ns: BTreeMap<Placement, Quantiles>,
    /// One CPU handed over there and back by `sched_yield`: the least for two processes that share it.
    #[serde(default)]
    pub yield_rtt_ns: Option<Quantiles>,
    /// One-way `memcpy` through shared memory across CPUs.
    pub copy_bytes_per_s: Option<Quantiles>,
    /// What the harness adds to each message that is clocked.
    #[serde(default)]
    pub probe_ns: Option<Quantiles>,
    /// Why a floor is missing, by name.
    pub missing: BTreeMap<String, String>,
}

/// One cell and variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Cell {
    /// The axes.
    #[serde(flatten)]
    pub key: CellKey,
    /// The crate that was measured.
    #[serde(rename = "crate")]
    pub krate: String,
    /// Whose code.
    pub variant: Variant,
    /// What came of it.
    pub status: Status,
    /// Why it is not `ok`.
    pub reason: Option<String>,
    /// How many rounds were measured.
    pub rounds: usize,
    /// Round-trip times over all rounds.
    pub rtt_ns: Option<Quantiles>,
    /// The median round trip: the median over the rounds of each round's p50, with its interval.
    pub rtt_p50_interval: Option<Interval>,
    /// Messages per second, the median of the rounds. A round trip counts once.
    pub msgs_per_s: Option<f64>,
    /// The interval of `msgs_per_s`.
    pub msgs_per_s_interval: Option<Interval>,
    /// Payload bytes per second, one way, the median of the rounds.
    pub bytes_per_s: Option<f64>,
    /// CPU nanoseconds of both sides for a message (for a round trip in `ping-pong`).
    pub cpu_ns_per_msg: Option<f64>,
    /// Context switches of both sides for a message (for a round trip in `ping-pong`).
    pub ctx_switches_per_msg: Option<f64>,
    /// The time of a message by the time of the raw variant's; paired by round. Above 1 is our
    /// fault.
    pub ratio_raw: Option<Interval>,
    /// The time of a message by what the machine charges for it. Above 1 is the mechanism's fault.
    pub ratio_floor: Option<Interval>,
    /// Which floor that is, in words.
    pub floor: Option<String>,
    /// The time of a message in each round, in nanoseconds and in the order of the rounds: the median where
    /// each is clocked, else the mean. `compare` works with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_round_ns: Vec<f64>,
    /// What a reader must know about these figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// `open-loop`: latency by load. The quantiles of `rtt_ns` are those at half of the saturation, and
    /// the rate is the saturation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<Load>,
    /// The share of the median time that reading the clock is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_share: Option<f64>,
    /// The merged histogram of round-trip times, as pairs of value and count: what the percentile
    /// curve is drawn from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<(u64, u64)>,
}

/// What a reader must know about a cell's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Flag {
    /// Which one.
    pub kind: FlagKind,
    /// The same in plain words, with figures.
    pub text: String,
}

/// The kinds of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum FlagKind {
    /// More processes took part than CPUs that they may use: the scheduler takes part as well.
    Oversubscribed,
    /// The second half of the batches was slower, or faster, than the first.
    Unsteady,
    /// The later rounds were slower, or faster, than the earlier.
    Drift,
    /// Reading the clock is a good part of what was measured.
    Probe,
}

impl FlagKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oversubscribed => "oversubscribed",
            Self::Unsteady => "unsteady",
            Self::Drift => "drift",
            Self::Probe => "probe",
        }
    }
}

/// Latency under one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Load {
    /// How much of the saturation was offered.
    pub percent: u32,
    /// Messages a second that were to be sent, the median of the rounds.
    pub offered_per_s: f64,
    /// Messages a second that were received, the median of the rounds.
    pub achieved_per_s: f64,
    /// From when a message was to be sent until it was received, over all rounds.
    pub latency_ns: Quantiles,
    /// The median over the rounds of each round's median.
    pub p50_interval: Option<Interval>,
    /// The median over the rounds of each round's 99th percentile, where it has enough samples.
    pub p99_interval: Option<Interval>,
}

/// What came of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Status {
    /// Measured, and every byte was right.
    Ok,
    /// The mechanism cannot do this.
    Unsupported,
    /// An operation failed.
    Failed,
    /// Data was lost or changed.
    Void,
    /// Planned, but the run was stopped before it began.
    NotRun,
}

/// Quantiles of a distribution. One that has fewer than ten samples beyond it is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Quantiles {
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The 99.9th percentile.
    pub p999: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// How many samples.
    pub count: u64,
}

/// A value with the interval that a bootstrap over the rounds puts around it (95 %).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Interval {
    /// The median over the rounds.
    pub value: f64,
    /// The lower end; equal to `value` where there was one round.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
}

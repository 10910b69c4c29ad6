//! What a measuring process answers.

use serde::{Deserialize, Serialize};

use crate::{CellKey, Payload, Topology, Variant};

/// The answer to `ipc-peer list`: what can be measured and how the peer was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Whether the peer was built with debug assertions; its figures would mean nothing, and xtask
    /// refuses them.
    pub debug_assertions: bool,
    /// Every mechanism, in the order of the report.
    pub mechanisms: Vec<MechanismInfo>,
}

/// One mechanism as the matrix sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct MechanismInfo {
    /// The id on the command line and in the report, such as `pipe-packet`.
    pub id: String,
    /// The crate that implements it.
    #[serde(rename = "crate")]
    pub krate: String,
    /// One line for a person who chooses.
    pub summary: String,
    /// The variants that can be measured, `ours` first.
    pub variants: Vec<Variant>,
    /// The topologies that it takes part in.
    pub topologies: Vec<Topology>,
    /// Topologies that it takes no part in, with the reason, where others of its kind do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apart: Vec<(Topology, String)>,
    /// Variants that take no part in a topology where the others do: there is no comparison with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
    /// What can be done with the bytes of its messages.
    #[serde(default = "touch")]
    pub payloads: Vec<Payload>,
    /// The longest message in bytes, where the mechanism has a limit; 0 for one whose messages have no
    /// bytes at all, and whose cells have size 0.
    pub max_message: Option<usize>,
    /// What the mechanism can do: pairs of a capability's name and its value, from the crate's
    /// `Caps`.
    pub caps: Vec<(String, String)>,
}

/// A variant that takes no part in a topology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Absent {
    /// Which one.
    pub variant: Variant,
    /// In which topology.
    pub topology: Topology,
    /// Why.
    pub reason: String,
}

/// What a mechanism does with bytes where nothing is said of it.
fn touch() -> Vec<Payload> {
    vec![Payload::Touch]
}

/// The answer to `ipc-peer run`: one round of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// The cell that was asked for.
    pub key: CellKey,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of one round of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Outcome {
    /// Every variant ran and every byte was right.
    Ok {
        /// One sample a variant, measured in turns by the same two processes so that their ratio is
        /// paired.
        samples: Vec<VariantSample>,
    },
    /// The mechanism cannot do this, and says why.
    Unsupported {
        /// Why not.
        reason: String,
    },
    /// A message was lost, repeated, torn or changed: the figures are worthless.
    Void {
        /// What was wrong with which message.
        reason: String,
    },
    /// An operation failed.
    Failed {
        /// The error.
        reason: String,
    },
}

/// What one variant did in one round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantSample {
    /// Whose code ran.
    pub variant: Variant,
    /// Round-trip times in nanoseconds of CLOCK_MONOTONIC, as pairs of a histogram bucket's value
    /// and its count; three significant digits. `None` for a topology without round trips.
    pub rtt_ns: Option<Vec<(u64, u64)>>,
    /// How many messages were measured: round trips for `ping-pong`, messages received for
    /// `stream`, times that something was created for `setup`.
    pub messages: u64,
    /// The wall-clock time they took, in nanoseconds of CLOCK_MONOTONIC: by the initiator's clock for
    /// `ping-pong` and `setup` (with ending what was created), from its first send until the responder
    /// has the last message for `stream`.
    pub elapsed_ns: u64,
    /// The CPU time that both sides together spent on them, in nanoseconds of
    /// CLOCK_THREAD_CPUTIME_ID.
    pub cpu_ns: u64,
    /// The context switches of both sides together, voluntary and not.
    pub ctx_switches: u64,
    /// Nanoseconds for a message in the first half of the batches and in the second: a mechanism, or a
    /// machine, that has not settled shows here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halves_ns: Option<[f64; 2]>,
    /// `open-loop`: what came of each load. The figures above are then of the stream that found the
    /// saturation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<LoadSample>,
}

/// One load of an `open-loop`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadSample {
    /// How much of the saturation was offered.
    pub percent: u32,
    /// Messages a second that were to be sent.
    pub offered_per_s: f64,
    /// Messages a second that were received.
    pub achieved_per_s: f64,
    /// From when each message was to be sent until it was received and checked: pairs of nanoseconds and
    /// count.
    pub latency_ns: Vec<(u64, u64)>,
}

/// The answer to `ipc-peer floors`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FloorReport {
    /// One sample a floor; a floor that cannot be measured here is left out and named in `missing`.
    pub floors: Vec<FloorSample>,
    /// Pairs of a floor's name and why it is not there.
    pub missing: Vec<(String, String)>,
    /// Pairs of a CPU and how many nanoseconds the same piece of work took there, in user space alone and
    /// in its own memory: a machine that is disturbed, or changes its frequency, takes longer or shorter.
    #[serde(default)]
    pub sentinel_ns: Vec<(usize, u64)>,
}

/// One floor: what the machine charges before any mechanism does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FloorSample {
    /// Which one, such as `futex_rtt_ns`.
    pub name: String,
    /// Where it was measured: `same-cpu`, `cross-cpu`, or nothing where it does not matter.
    pub placement: Option<crate::Placement>,
    /// The samples: nanoseconds for a name that ends in `_ns`, bytes per second for one that ends
    /// in `_per_s`; as pairs of value and count.
    pub values: Vec<(u64, u64)>,
}

impl FloorSample {
    /// The round trip of one cache line between two processes that spin: the store of one is seen
    /// by the other, and back.
    pub const CACHE_LINE_RTT: &'static str = "cache_line_rtt_ns";
    /// The round trip over two cache lines, one for each direction.
    pub const TWO_LINE_RTT: &'static str = "two_line_rtt_ns";
    /// The cheapest system call.
    pub const NULL_SYSCALL: &'static str = "null_syscall_ns";
    /// A round trip in which each side sleeps in `futex(FUTEX_WAIT)` and is woken by the other.
    pub const FUTEX_RTT: &'static str = "futex_rtt_ns";
    /// A round trip of two processes on one CPU in which who waits hands it over by `sched_yield`: two switches
    /// from one process to the other, and nothing else.
    pub const YIELD_RTT: &'static str = "yield_rtt_ns";
    /// What the harness adds to each message that is clocked: reading the clock and taking down the
    /// time.
    pub const PROBE: &'static str = "probe_ns";
    /// `memcpy` into shared memory by one process and out of it by another, 64 KiB at a time.
    pub const COPY_BANDWIDTH: &'static str = "copy_bytes_per_s";
}

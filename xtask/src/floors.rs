//! What the machine itself charges, and which of it a cell cannot avoid.

use std::collections::BTreeMap;

use ipc_bench_schema::results::Floors;
use ipc_bench_schema::{CellKey, FloorReport, FloorSample, Placement, Topology, WaitMode};

use crate::stats::Distribution;

/// Whether a mechanism moves bytes without a system call.
fn is_memory(krate: &str, mechanism: &str) -> bool {
    ["ipc-shm", "iceoryx2"].contains(&krate) || mechanism == "rpc-shm"
}

/// Sums up what the peer measured.
pub(crate) fn record(report: &FloorReport) -> Floors {
    let mut floors =
        Floors { missing: report.missing.iter().cloned().collect(), ..Floors::default() };
    for sample in &report.floors {
        let quantiles = Distribution::of(&sample.values).quantiles();
        match (sample.name.as_str(), sample.placement) {
            (FloorSample::CACHE_LINE_RTT, _) => floors.cache_line_rtt_ns = Some(quantiles),
            (FloorSample::TWO_LINE_RTT, _) => floors.two_line_rtt_ns = Some(quantiles),
            (FloorSample::NULL_SYSCALL, _) => floors.null_syscall_ns = Some(quantiles),
            (FloorSample::YIELD_RTT, _) => floors.yield_rtt_ns = Some(quantiles),
            (FloorSample::PROBE, _) => floors.probe_ns = Some(quantiles),
            (FloorSample::COPY_BANDWIDTH, _) => floors.copy_bytes_per_s = Some(quantiles),
            (FloorSample::FUTEX_RTT, Some(placement)) => {
                floors.futex_rtt_ns.insert(placement, quantiles);
            }
            (name, _) => {
                let why = "measured, but this xtask does not know it".to_owned();
                floors.missing.insert(name.to_owned(), why);
            }
        }
    }
    floors
}

/// Adds what another round brought.
pub(crate) fn merge(known: &mut FloorReport, more: FloorReport) {
    for sample in more.floors {
        let same =
            |it: &&mut FloorSample| (&it.name, it.placement) == (&sample.name, sample.placement);
        match known.floors.iter_mut().find(same) {
            Some(it) => it.values.extend(sample.values),
            None => known.floors.push(sample),
        }
    }
    known.missing = more.missing;
}

/// The floors when none could be measured.
pub(crate) fn none(reason: &str) -> Floors {
    let names = [
        FloorSample::CACHE_LINE_RTT,
        FloorSample::TWO_LINE_RTT,
        FloorSample::NULL_SYSCALL,
        FloorSample::FUTEX_RTT,
        FloorSample::YIELD_RTT,
        FloorSample::COPY_BANDWIDTH,
        FloorSample::PROBE,
    ];
    let missing = names.map(|name| (name.to_owned(), reason.to_owned()));
    Floors { missing: BTreeMap::from(missing), ..Floors::default() }
}

/// The least that a message of a cell can cost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CellFloor {
    /// Nanoseconds of a round trip (`ping-pong`) or of a message (`stream`).
    pub(crate) ns: f64,
    /// What that is made of.
    pub(crate) words: String,
}

/// The floor of a cell, if what it is made of was measured.
pub(crate) fn of_cell(floors: &Floors, key: &CellKey, krate: &str) -> Option<CellFloor> {
    let copy = key.payload.touched(key.size) as f64 * 1e9 / floors.copy_bytes_per_s.as_ref()?.p50?;
    match (key.topology, key.wait) {
        (Topology::PingPong, WaitMode::Block) => {
            let (ns, what) = blocking(floors, key.placement, is_memory(krate, &key.mechanism))?;
            let words = format!("{what}{}", and_copies(key.size));
            Some(CellFloor { ns: ns + 2.0 * copy, words })
        }
        (Topology::PingPong | Topology::IdleGap, WaitMode::Spin | WaitMode::Adaptive) => {
            let line = floors.cache_line_rtt_ns.as_ref()?.p50?;
            let words = format!("a cache line there and back{}", and_copies(key.size));
            Some(CellFloor { ns: line + 2.0 * copy, words })
        }
        // The pause is not in it: what a round trip costs more after one is the mechanism's.
        (Topology::IdleGap, WaitMode::Block) => {
            let (ns, what) = blocking(floors, key.placement, is_memory(krate, &key.mechanism))?;
            let words = format!("{what} without a pause{}", and_copies(key.size));
            Some(CellFloor { ns: ns + 2.0 * copy, words })
        }
        // A receiver that has not gone to sleep yet need not be woken, however it waits.
        (Topology::OpenLoop, _) => {
            let line = floors.cache_line_rtt_ns.as_ref()?.p50?;
            let words = "a cache line one way and a copy".to_owned();
            Some(CellFloor { ns: line / 2.0 + copy, words })
        }
        // Nothing is known to be the least that creating something costs.
        (Topology::Setup, _) => None,
        (Topology::Stream | Topology::FanIn | Topology::FanOut, _)
            if is_memory(krate, &key.mechanism) =>
        {
            Some(CellFloor { ns: copy, words: "one copy of the message".to_owned() })
        }
        (Topology::Stream | Topology::FanIn | Topology::FanOut, _) => {
            let syscall = floors.null_syscall_ns.as_ref()?.p50?;
            let words = "one system call or one copy of the message, whichever takes longer";
            Some(CellFloor { ns: syscall.max(copy), words: words.to_owned() })
        }
    }
}

/// What the payload adds to a round trip, in words.
fn and_copies(size: usize) -> &'static str {
    if size == 0 { "" } else { " and a copy each way" }
}

/// The least that a round trip takes in which nobody spins, and what that is. Where two processes share a CPU, and a
/// message needs no system call, who waits need not sleep: it can hand the CPU over.
fn blocking(floors: &Floors, placement: Placement, memory: bool) -> Option<(f64, String)> {
    let (futex, which) = futex(floors, placement)?;
    let futex = (futex, format!("a futex round trip ({which})"));
    let apart = !matches!(placement, Placement::SameCpu | Placement::Unpinned);
    if apart || !memory {
        return Some(futex);
    }
    // Without it there is no floor: the futex is none where nobody need sleep.
    let handed = (floors.yield_rtt_ns.as_ref()?.p50?, "a CPU handed over and back".to_owned());
    Some(if handed.0 < futex.0 { handed } else { futex })
}

/// The futex round trip of a placement; unpinned processes may have the better of the two.
fn futex(floors: &Floors, placement: Placement) -> Option<(f64, String)> {
    let all = floors.futex_rtt_ns.iter().filter_map(|(at, it)| Some((it.p50?, *at)));
    let fit = all.filter(|(_, at)| *at == placement || placement == Placement::Unpinned);
    let (ns, at) = fit.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((ns, at.to_string()))
}

#[cfg(test)]
mod tests {
    use ipc_bench_schema::{Payload, Setting};

    use super::*;

    fn floors() -> Floors {
        let sample = |name: &str, placement, value| FloorSample {
            name: name.to_owned(),
            placement,
            values: vec![(value, 1000)],
        };
        record(&FloorReport {
            floors: vec![
                sample(FloorSample::CACHE_LINE_RTT, None, 120),
                sample(FloorSample::NULL_SYSCALL, None, 60),
                sample(FloorSample::FUTEX_RTT, Some(Placement::SameCpu), 2000),
                sample(FloorSample::FUTEX_RTT, Some(Placement::CrossCpu), 70_000),
                sample(FloorSample::YIELD_RTT, Some(Placement::SameCpu), 1000),
                sample(FloorSample::COPY_BANDWIDTH, None, 10_000_000_000),
            ],
            missing: vec![("two_line_rtt_ns".to_owned(), "not today".to_owned())],
            sentinel_ns: Vec::new(),
        })
    }

    fn floor(
        topology: Topology,
        size: usize,
        placement: Placement,
        wait: WaitMode,
        krate: &str,
    ) -> f64 {
        let mechanism = "pipe".to_owned();
        let payload = Payload::Touch;
        let setting = Setting::None;
        let key = CellKey { mechanism, topology, size, placement, wait, payload, setting };
        of_cell(&floors(), &key, krate).unwrap().ns.round()
    }

    #[test]
    fn each_kind_of_cell_has_its_own_floor() {
        use Placement::{CrossCpu, SameCpu, Unpinned};
        use Topology::{PingPong, Stream};
        use WaitMode::{Block, Spin};
        // 10 bytes take a nanosecond to copy.
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.01, "{got} {want}");
        near(floor(PingPong, 10_000, SameCpu, Block, "ipc-pipe"), 4000.0);
        near(floor(PingPong, 10_000, CrossCpu, Block, "ipc-pipe"), 72_000.0);
        near(floor(PingPong, 10_000, Unpinned, Block, "ipc-pipe"), 4000.0);
        near(floor(PingPong, 10_000, SameCpu, Block, "ipc-shm"), 3000.0);
        near(floor(PingPong, 10_000, Unpinned, Block, "ipc-shm"), 3000.0);
        near(floor(PingPong, 10_000, CrossCpu, Block, "ipc-shm"), 72_000.0);
        near(floor(PingPong, 10_000, CrossCpu, Spin, "ipc-pipe"), 2120.0);
        near(floor(Stream, 10, CrossCpu, Block, "ipc-pipe"), 60.0);
        near(floor(Stream, 10_000, CrossCpu, Block, "ipc-pipe"), 1000.0);
        near(floor(Stream, 10, CrossCpu, Spin, "ipc-shm"), 1.0);
    }

    #[test]
    fn a_floor_that_was_not_measured_gives_no_ratio() {
        let key = CellKey {
            mechanism: "pipe".to_owned(),
            topology: Topology::PingPong,
            size: 8,
            placement: Placement::SameCpu,
            wait: WaitMode::Block,
            payload: Payload::Touch,
            setting: Setting::None,
        };
        assert_eq!(of_cell(&none("it died"), &key, "ipc-pipe"), None);
        assert_eq!(floors().missing["two_line_rtt_ns"], "not today");
    }
}

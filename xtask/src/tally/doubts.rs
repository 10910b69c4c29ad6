//! What a reader must know about a cell's figures, found in the figures themselves.

use ipc_bench_schema::results::{Flag, FlagKind, Floors};
use ipc_bench_schema::{CellKey, Placement};

use crate::stats::{interval, median};

/// A change of less is not worth a word.
const CHANGE: f64 = 0.10;
/// With fewer rounds, a trend is luck.
const TREND_ROUNDS: usize = 8;
/// A trend in the order of the rounds is told if chance brings it about less often than once in a hundred
/// cells: this many standard deviations of Kendall's S.
const TREND: f64 = 2.58;
/// The clock may be this share of what is measured before a reader is told.
const PROBE: f64 = 0.05;

/// More processes than CPUs.
pub(super) fn crowded(key: &CellKey, room: usize) -> Option<Flag> {
    let processes = key.processes();
    // With two processes on one CPU, that is what the placement is for.
    let known = key.placement == Placement::SameCpu && processes == 2;
    if room == 0 || known || processes <= room {
        return None;
    }
    let cpus = if room == 1 { "1 CPU".to_owned() } else { format!("{room} CPUs") };
    Some(Flag {
        kind: FlagKind::Oversubscribed,
        text: format!("{processes} processes on {cpus}: what the scheduler does is in the figures"),
    })
}

/// The second half of the runs against the first: pairs of nanoseconds for a message, a round each.
pub(super) fn unsteady(halves: &[[f64; 2]], seed: u64) -> Option<Flag> {
    let ratios = halves.iter().filter(|it| it[0] > 0.0).map(|[first, second]| second / first);
    let it = interval(&ratios.collect::<Vec<_>>(), seed).filter(|_| halves.len() >= 5)?;
    let beyond = it.lo > 1.0 + CHANGE || it.hi < 1.0 - CHANGE;
    beyond.then(|| Flag {
        kind: FlagKind::Unsteady,
        text: format!(
            "within a run the second half took {} than the first: it had not settled",
            by(it.value)
        ),
    })
}

/// Whether the times rise or fall from round to round.
pub(super) fn drift(per_round: &[f64]) -> Option<Flag> {
    let n = per_round.len();
    if n < TREND_ROUNDS {
        return None;
    }
    let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    let s: i32 = pairs.map(|(i, j)| per_round[j].total_cmp(&per_round[i]) as i32).sum();
    let rounds = n as f64;
    let deviation = (rounds * (rounds - 1.0) * (2.0 * rounds + 5.0) / 18.0).sqrt();
    let (early, late) = (median(&per_round[..n / 2])?, median(&per_round[n - n / 2..])?);
    let change = late / early;
    let beyond = f64::from(s.abs()) / deviation > TREND && (change - 1.0).abs() > CHANGE;
    beyond.then(|| Flag {
        kind: FlagKind::Drift,
        text: format!("the later rounds took {} than the earlier: the machine changed", by(change)),
    })
}

/// The share of the median that reading the clock is, where every message is clocked.
pub(super) fn probe(key: &CellKey, p50: Option<f64>, floors: &Floors) -> Option<f64> {
    let probe = floors.probe_ns.as_ref()?.p50?;
    let p50 = p50.filter(|it| *it > 0.0)?;
    key.topology.has_latency().then_some((probe / p50).min(1.0))
}

/// Whether that is much.
pub(super) fn probed(share: Option<f64>) -> Option<Flag> {
    let share = share.filter(|it| *it > PROBE)?;
    Some(Flag {
        kind: FlagKind::Probe,
        text: format!("reading the clock is about {:.0} % of what was measured", 100.0 * share),
    })
}

/// `12 % longer` or `8 % less`.
fn by(ratio: f64) -> String {
    let percent = 100.0 * (ratio - 1.0);
    if percent < 0.0 { format!("{:.0} % less", -percent) } else { format!("{percent:.0} % longer") }
}

#[cfg(test)]
mod tests {
    use ipc_bench_schema::results::Quantiles;
    use ipc_bench_schema::{Payload, Setting, Topology, WaitMode};

    use super::*;

    fn key(topology: Topology, setting: Setting, placement: Placement) -> CellKey {
        let (wait, payload) = (WaitMode::Block, Payload::Touch);
        CellKey { mechanism: "pipe".into(), topology, size: 8, placement, wait, payload, setting }
    }

    #[test]
    fn more_processes_than_cpus_are_labelled() {
        let fan = key(Topology::FanIn, Setting::Many(3), Placement::CrossCpu);
        let flag = crowded(&fan, 2).unwrap();
        assert!(flag.text.starts_with("4 processes on 2 CPUs"), "{}", flag.text);
        assert_eq!(crowded(&fan, 4), None);
        let two = key(Topology::Stream, Setting::None, Placement::SameCpu);
        assert_eq!(crowded(&two, 1), None);
        assert!(crowded(&key(Topology::Stream, Setting::None, Placement::Unpinned), 1).is_some());
    }

    #[test]
    fn a_run_that_has_not_settled_is_flagged() {
        assert!(unsteady(&[[100.0, 130.0]; 6], 1).unwrap().text.contains("30 % longer"));
        assert!(unsteady(&[[100.0, 80.0]; 6], 1).unwrap().text.contains("20 % less"));
        assert_eq!(unsteady(&[[100.0, 105.0]; 6], 1), None);
        assert_eq!(unsteady(&[[100.0, 200.0]; 2], 1), None, "two rounds are luck");
        let noisy = [[100.0, 150.0], [100.0, 60.0], [100.0, 140.0], [100.0, 70.0], [100.0, 100.0]];
        assert_eq!(unsteady(&noisy, 1), None);
    }

    #[test]
    fn rounds_that_get_slower_are_flagged_and_noise_is_not() {
        let rising: Vec<_> = (0..10).map(|i| 100.0 + 5.0 * f64::from(i)).collect();
        assert!(drift(&rising).unwrap().text.contains("longer"));
        let falling: Vec<_> = rising.iter().rev().copied().collect();
        assert!(drift(&falling).unwrap().text.contains("less"));
        assert_eq!(drift(&rising[..5]), None);
        assert_eq!(
            drift(&[100.0, 130.0, 90.0, 120.0, 95.0, 125.0, 92.0, 118.0, 99.0, 110.0]),
            None
        );
        let slight: Vec<_> = (0..10).map(|i| 100.0 + f64::from(i)).collect();
        assert_eq!(drift(&slight), None);
    }

    #[test]
    fn the_clocks_share_is_told_where_every_message_is_clocked() {
        let probe_ns = Some(Quantiles { p50: Some(25.0), ..Quantiles::default() });
        let floors = Floors { probe_ns, ..Floors::default() };
        let at = |topology| key(topology, Setting::None, Placement::CrossCpu);
        let share = probe(&at(Topology::PingPong), Some(250.0), &floors);
        assert_eq!(share, Some(0.1));
        assert!(probed(share).unwrap().text.contains("10 %"));
        assert_eq!(probed(probe(&at(Topology::PingPong), Some(2500.0), &floors)), None);
        assert_eq!(probe(&at(Topology::Stream), Some(250.0), &floors), None);
    }
}

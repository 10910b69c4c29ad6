//! Latency by load, over the rounds.

use ipc_bench_schema::LoadSample;
use ipc_bench_schema::results::Load;

use crate::stats::{Distribution, interval, median};

/// The load whose latency stands for the cell: half of the saturation.
pub(super) const TYPICAL: u32 = 50;

/// The median latency at the typical load, in one round.
pub(super) fn typical(loads: &[LoadSample]) -> Option<f64> {
    Distribution::of(&typical_of(loads)?.latency_ns).median()
}

/// The load that stands for the cell, if it was measured.
pub(super) fn typical_of(loads: &[LoadSample]) -> Option<&LoadSample> {
    loads.iter().find(|it| it.percent == TYPICAL)
}

/// What the rounds amount to, load by load.
pub(super) fn sum_up(rounds: &[&[LoadSample]], seed: u64) -> Vec<Load> {
    let mut percents: Vec<_> =
        rounds.iter().flat_map(|it| it.iter().map(|it| it.percent)).collect();
    percents.sort_unstable();
    percents.dedup();
    percents.into_iter().filter_map(|percent| of_one(rounds, percent, seed)).collect()
}

fn of_one(rounds: &[&[LoadSample]], percent: u32, seed: u64) -> Option<Load> {
    let of_rounds = rounds.iter().filter_map(|it| it.iter().find(|it| it.percent == percent));
    let mut all = Distribution::default();
    let (mut offered, mut achieved, mut p50s, mut p99s) = (vec![], vec![], vec![], vec![]);
    for sample in of_rounds {
        all.add(&sample.latency_ns);
        offered.push(sample.offered_per_s);
        achieved.push(sample.achieved_per_s);
        let one = Distribution::of(&sample.latency_ns);
        p50s.extend(one.median());
        p99s.extend(one.quantiles().p99);
    }
    Some(Load {
        percent,
        offered_per_s: median(&offered)?,
        achieved_per_s: median(&achieved)?,
        latency_ns: all.quantiles(),
        p50_interval: interval(&p50s, seed),
        p99_interval: interval(&p99s, seed),
    })
}

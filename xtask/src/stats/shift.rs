//! Whether something got slower: shifts between two sides, and how sure they are.
//!
//! A shift is the logarithm of a ratio of times, so that twice as slow and twice as fast are equally far from
//! nothing. The round is the replicate throughout: what is resampled, flipped or relabelled is rounds, never
//! the samples within one.

use ipc_bench_schema::results::Interval;

use super::RESAMPLES;

/// Relabellings of one test where not all of them are tried.
const FLIPS: usize = 20_000;
/// With so many rounds or fewer, every choice of signs is tried.
const EXACT: usize = 12;

/// The mean of the middle half. It uses more of the rounds than the median does, and is as deaf to the one
/// in which something else ran.
pub(crate) fn middle_mean(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    middle_mean_of_sorted(&sorted)
}

fn middle_mean_of_sorted(sorted: &[f64]) -> Option<f64> {
    let cut = sorted.len() / 4;
    let middle = &sorted[cut..sorted.len() - cut];
    (!middle.is_empty()).then(|| middle.iter().sum::<f64>() / middle.len() as f64)
}

/// The ratio of two sides that were measured in the same rounds, from the shift in each round, with its 95 %
/// bootstrap interval.
pub(crate) fn paired(shifts: &[f64], seed: u64) -> Option<Interval> {
    let value = middle_mean(shifts)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let draw = |resample: &mut Vec<f64>| resample.fill_with(|| shifts[rng.usize(..shifts.len())]);
    let drawn = resampled(draw, shifts.len(), middle_mean_of_sorted);
    Some(ratio_of(value, &drawn, 0.05))
}

/// The ratio of two sides that were measured in rounds of their own, in nanoseconds, with the bootstrap interval
/// that is wrong as often as `wrong` says.
pub(crate) fn unpaired(before: &[f64], after: &[f64], wrong: f64, seed: u64) -> Option<Interval> {
    let logs = |side: &[f64]| side.iter().map(|it| it.ln()).collect::<Vec<_>>();
    let (before, after) = (logs(before), logs(after));
    let value = middle_mean(&after)? - middle_mean(&before)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut side = |from: &[f64]| {
        let draw = |resample: &mut Vec<f64>| resample.fill_with(|| from[rng.usize(..from.len())]);
        resampled(draw, from.len(), middle_mean_of_sorted)
    };
    let (low, high) = (side(&before), side(&after));
    let drawn: Vec<_> = high.iter().zip(&low).map(|(high, low)| high - low).collect();
    Some(ratio_of(value, &drawn, wrong))
}

/// The statistic of each resample.
fn resampled(
    mut draw: impl FnMut(&mut Vec<f64>),
    size: usize,
    statistic: fn(&[f64]) -> Option<f64>,
) -> Vec<f64> {
    let mut resample = vec![0.0; size];
    let mut drawn = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        draw(&mut resample);
        resample.sort_unstable_by(f64::total_cmp);
        drawn.extend(statistic(&resample));
    }
    drawn
}

/// The interval of a shift as that of a ratio.
fn ratio_of(value: f64, drawn: &[f64], wrong: f64) -> Interval {
    let mut sorted = drawn.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let tail = ((wrong / 2.0 * sorted.len() as f64) as usize).min(last / 2);
    let (lo, hi) = (sorted[tail].min(value), sorted[last - tail].max(value));
    Interval { value: value.exp(), lo: lo.exp(), hi: hi.exp() }
}

/// How often shifts like these come about where there is none: where nothing differs, each is as likely to have
/// the other sign (Wilcoxon's signed-rank test, two-sided). Ranks are what is summed, so that a round in which
/// something else ran counts for no more than any other.
pub(crate) fn chance(shifts: &[f64], seed: u64) -> f64 {
    let ranks = ranks(shifts);
    let sum = |sign: &mut dyn FnMut(usize) -> bool| {
        let signed = ranks.iter().enumerate().map(|(i, rank)| if sign(i) { *rank } else { -rank });
        signed.sum::<f64>().abs()
    };
    let seen = sum(&mut |i| shifts[i] > 0.0);
    if shifts.len() <= EXACT {
        let all = 1_u32 << shifts.len();
        let count = (0..all).filter(|bits| sum(&mut |i| bits >> i & 1 == 1) >= seen).count();
        return count as f64 / f64::from(all);
    }
    let mut rng = fastrand::Rng::with_seed(seed);
    let count = (0..FLIPS).filter(|_| sum(&mut |_| rng.bool()) >= seen).count();
    (count + 1) as f64 / (FLIPS + 1) as f64
}

/// The rank of each by how far it is from zero, from 1 on; the mean rank where some are equally far, and 0
/// for no shift at all.
fn ranks(shifts: &[f64]) -> Vec<f64> {
    let far: Vec<_> = shifts.iter().map(|it| it.abs()).collect();
    let rank = |it: &f64| {
        let (less, same) = far.iter().fold((0, 0), |(less, same), other| {
            (less + usize::from(other < it), same + usize::from(other == it))
        });
        if *it == 0.0 { 0.0 } else { less as f64 + (same as f64 + 1.0) / 2.0 }
    };
    far.iter().map(rank).collect()
}

/// Which of many tests hold although they are many: Holm's procedure. If nothing differs anywhere, any holds at
/// most as often as `wrong` says.
pub(crate) fn holm(chances: &[f64], wrong: f64) -> Vec<bool> {
    let mut order: Vec<_> = (0..chances.len()).collect();
    order.sort_by(|&a, &b| chances[a].total_cmp(&chances[b]));
    let mut holds = vec![false; chances.len()];
    for (rank, &test) in order.iter().enumerate() {
        if chances[test] > wrong / (chances.len() - rank) as f64 {
            break;
        }
        holds[test] = true;
    }
    holds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rounds that differ by about 3 %, with one in twenty in which something else ran.
    fn noise(rng: &mut fastrand::Rng, rounds: usize) -> Vec<f64> {
        let normal = |rng: &mut fastrand::Rng| (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        let one = |rng: &mut fastrand::Rng| {
            let burst = if rng.u32(..20) == 0 { rng.f64() } else { 0.0 };
            0.03 * normal(rng) + burst * if rng.bool() { 1.0 } else { -1.0 }
        };
        (0..rounds).map(|_| one(rng)).collect()
    }

    #[test]
    fn the_middle_half_decides() {
        assert_eq!(middle_mean(&[1.0, 2.0, 3.0, 1000.0]), Some(2.5));
        assert_eq!(middle_mean(&[5.0]), Some(5.0));
        assert_eq!(middle_mean(&[]), None);
    }

    #[test]
    fn five_per_cent_are_seen_in_two_dozen_rounds() {
        let mut rng = fastrand::Rng::with_seed(3);
        let found = (0..60).filter(|&trial| {
            let shifts: Vec<_> = noise(&mut rng, 24).iter().map(|it| it + 1.05_f64.ln()).collect();
            paired(&shifts, trial).unwrap().lo > 1.01 && chance(&shifts, trial) < 0.002
        });
        let found = found.count();
        assert!(found >= 54, "{found} of 60");
    }

    #[test]
    fn a_difference_without_noise_is_the_surest() {
        assert!(chance(&[0.05; 24], 1) < 0.001);
        assert_eq!(chance(&[0.05; 10], 1), 2.0 / 1024.0);
        assert_eq!((chance(&[0.0; 10], 1), chance(&[], 1)), (1.0, 1.0));
        // One round in which something else ran takes nothing away from the rest.
        let mut shifts = vec![0.05; 23];
        shifts.push(-3.0);
        assert!(chance(&shifts, 1) < 0.02);
    }

    #[test]
    fn where_nothing_differs_one_test_in_a_hundred_holds() {
        let mut rng = fastrand::Rng::with_seed(4);
        let held = (0..300).filter(|&trial| chance(&noise(&mut rng, 10), trial) <= 0.01).count();
        assert!(held <= 9, "{held} of 300 at 1 %");
    }

    #[test]
    fn many_tests_of_nothing_hold_seldom() {
        let mut rng = fastrand::Rng::with_seed(5);
        let campaigns = (0..30).filter(|&trial| {
            let chances: Vec<_> = (0..20).map(|_| chance(&noise(&mut rng, 11), trial)).collect();
            holm(&chances, 0.05).contains(&true)
        });
        let campaigns = campaigns.count();
        assert!(campaigns <= 5, "{campaigns} of 30 at 5 %");
    }

    #[test]
    fn holm_asks_more_of_the_first_than_of_the_last() {
        assert_eq!(holm(&[0.02, 0.001, 0.04], 0.05), [true, true, true]);
        assert_eq!(holm(&[0.03, 0.001, 0.04], 0.05), [false, true, false]);
        assert_eq!(holm(&[0.02, 0.02, 0.02], 0.05), [false; 3]);
        assert!(holm(&[], 0.05).is_empty());
    }

    #[test]
    fn rounds_of_their_own_show_a_shift_too() {
        let mut rng = fastrand::Rng::with_seed(6);
        let mut side = |by: f64| -> Vec<_> {
            noise(&mut rng, 10).iter().map(|it| 1000.0 * by * it.exp()).collect()
        };
        let (before, slower) = (side(1.0), side(1.2));
        let it = unpaired(&before, &slower, 0.001, 1).unwrap();
        assert!(it.lo > 1.05 && it.value > 1.15 && it.hi < 1.4, "{it:?}");
        let it = unpaired(&before, &before, 0.05, 1).unwrap();
        assert!(it.lo < 1.0 && it.value == 1.0 && it.hi > 1.0, "{it:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn swapping_the_sides_turns_the_ratio_over(
            shifts in prop::collection::vec(-0.5f64..0.5, 1..12), seed: u64
        ) {
            let turned: Vec<_> = shifts.iter().map(|it| -it).collect();
            prop_assert_eq!(chance(&shifts, seed), chance(&turned, seed));
            let (it, other) = (paired(&shifts, seed).unwrap(), paired(&turned, seed).unwrap());
            prop_assert!((it.value * other.value - 1.0).abs() < 1e-9);
            prop_assert!(it.lo <= it.value && it.value <= it.hi);
        }
    }
}

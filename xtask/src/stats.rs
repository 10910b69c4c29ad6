//! Distributions, medians, and the intervals around them.

pub(crate) mod shift;

use hdrhistogram::Histogram;
use ipc_bench_schema::results::{Interval, Quantiles};

/// Resamples of one bootstrap.
const RESAMPLES: usize = 2000;
/// A quantile with fewer samples beyond it says more about luck than about the mechanism.
const BEYOND: u64 = 10;

/// A distribution of samples, to three significant digits.
#[derive(Debug, Clone)]
pub(crate) struct Distribution(Histogram<u64>);

impl Default for Distribution {
    fn default() -> Self {
        Self(Histogram::new(3).expect("three digits are a precision that histograms have"))
    }
}

impl Distribution {
    /// A distribution of pairs of value and count.
    pub(crate) fn of(pairs: &[(u64, u64)]) -> Self {
        let mut all = Self::default();
        all.add(pairs);
        all
    }

    /// Adds pairs of value and count.
    pub(crate) fn add(&mut self, pairs: &[(u64, u64)]) {
        for &(value, count) in pairs {
            // It resizes itself: only a count of more than memory holds could fail.
            let _ = self.0.record_n(value, count);
        }
    }

    /// The quantiles that have enough samples beyond them.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let count = self.0.len();
        let some = count > 0;
        Quantiles {
            p50: self.quantile(500),
            p90: self.quantile(900),
            p99: self.quantile(990),
            p999: self.quantile(999),
            max: some.then(|| self.0.max() as f64),
            mean: some.then(|| self.0.mean()),
            count,
        }
    }

    fn quantile(&self, permille: u64) -> Option<f64> {
        let beyond = self.0.len().checked_mul(1000 - permille)? / 1000;
        (beyond >= BEYOND).then(|| self.value_at(permille as f64 / 1000.0))
    }

    /// The median of however few samples there are.
    pub(crate) fn median(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.value_at(0.5))
    }

    /// The middle of the bucket that holds the quantile, so that rounding favours nobody.
    fn value_at(&self, quantile: f64) -> f64 {
        let value = self.0.median_equivalent(self.0.value_at_quantile(quantile));
        value.min(self.0.max()) as f64
    }

    /// Pairs of value and count, ascending.
    pub(crate) fn pairs(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter_recorded();
        recorded.map(|it| (it.value_iterated_to(), it.count_at_value())).collect()
    }
}

/// The median of some values; `None` of none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let (&low, &high) =
        (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(low + (high - low) / 2.0)
}

/// The median over the rounds and its 95 % bootstrap percentile interval; `None` of no rounds.
///
/// The same seed gives the same interval. One round gives an interval of no width.
pub(crate) fn interval(rounds: &[f64], seed: u64) -> Option<Interval> {
    let value = median(rounds)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut resample = vec![0.0; rounds.len()];
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        resample.fill_with(|| rounds[rng.usize(..rounds.len())]);
        resample.sort_unstable_by(f64::total_cmp);
        medians.extend(median_of_sorted(&resample));
    }
    medians.sort_unstable_by(f64::total_cmp);
    let tail = RESAMPLES / 40; // 2.5 %
    Some(Interval {
        value,
        // The percentiles of a bootstrap need not enclose the median; a reader expects it.
        lo: medians[tail].min(value),
        hi: medians[RESAMPLES - 1 - tail].max(value),
    })
}

/// The interval, every end divided by `by`.
pub(crate) fn divided(interval: Interval, by: f64) -> Interval {
    Interval { value: interval.value / by, lo: interval.lo / by, hi: interval.hi / by }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quantile_needs_ten_samples_beyond_it() {
        let count = |n: u64| Distribution::of(&[(100, n)]).quantiles();
        assert_eq!((count(19).p50, count(20).p50), (None, Some(100.0)));
        assert_eq!((count(99).p90, count(100).p90), (None, Some(100.0)));
        assert_eq!((count(999).p99, count(1000).p99), (None, Some(100.0)));
        assert_eq!((count(9_999).p999, count(10_000).p999), (None, Some(100.0)));
        let few = count(3);
        assert_eq!((few.max, few.mean, few.count), (Some(100.0), Some(100.0), 3));
    }

    #[test]
    fn nothing_measured_is_null_and_not_zero() {
        let none = Distribution::default();
        assert_eq!(none.quantiles(), Quantiles::default());
        assert_eq!((none.median(), median(&[]), interval(&[], 1)), (None, None, None));
    }

    #[test]
    fn the_quantiles_of_a_known_distribution() {
        let pairs: Vec<_> = (1..=100_000).map(|value| (value, 1)).collect();
        let all = Distribution::of(&pairs).quantiles();
        for (got, want) in [(all.p50, 50e3), (all.p90, 90e3), (all.p99, 99e3), (all.p999, 99.9e3)] {
            let got = got.unwrap();
            assert!((got / want - 1.0).abs() < 0.001, "{got} for {want}");
        }
        assert!((all.mean.unwrap() / 50e3 - 1.0).abs() < 0.001);
    }

    #[test]
    fn an_odd_and_an_even_median() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn one_round_has_an_interval_of_no_width() {
        assert_eq!(interval(&[7.0], 1), Some(Interval { value: 7.0, lo: 7.0, hi: 7.0 }));
    }

    #[test]
    fn an_interval_covers_the_true_median_about_as_often_as_it_says() {
        let mut rng = fastrand::Rng::with_seed(7);
        let trials = 400;
        let covered = (0..trials).filter(|&trial| {
            let rounds: Vec<_> = (0..10).map(|_| rng.f64()).collect();
            let it = interval(&rounds, trial).unwrap();
            it.lo <= 0.5 && 0.5 <= it.hi
        });
        let covered = covered.count() as f64 / trials as f64;
        assert!(covered > 0.90, "{covered}");
    }

    proptest! {
        #[test]
        fn an_interval_lies_within_the_data_and_around_the_median(
            rounds in prop::collection::vec(0.1f64..1e9, 1..20), seed: u64
        ) {
            let it = interval(&rounds, seed).unwrap();
            let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rounds.iter().copied().fold(0.0, f64::max);
            prop_assert!(least <= it.lo && it.lo <= it.value && it.value <= it.hi && it.hi <= most);
            prop_assert_eq!(interval(&rounds, seed), Some(it));
        }

        #[test]
        fn quantiles_never_go_down(
            pairs in prop::collection::vec((1u64..1 << 40, 1u64..5000), 1..50)
        ) {
            let all = Distribution::of(&pairs).quantiles();
            let all = [all.p50, all.p90, all.p99, all.p999, all.max];
            let known: Vec<_> = all.into_iter().flatten().collect();
            prop_assert!(known.is_sorted());
        }

        #[test]
        fn a_merged_histogram_can_be_merged_again(
            pairs in prop::collection::vec((0u64..1 << 40, 1u64..100), 1..50)
        ) {
            let once = Distribution::of(&pairs);
            let twice = Distribution::of(&once.pairs());
            prop_assert_eq!(once.pairs(), twice.pairs());
            prop_assert_eq!(once.quantiles().p50, twice.quantiles().p50);
        }
    }
}

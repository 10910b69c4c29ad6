//! How long each run may measure, so that the whole ends in time.

use std::time::{Duration, Instant};

/// Less than this measures nothing.
const LEAST_MS: u64 = 2;
/// More than this buys little: the rounds decide how good an interval is.
const MOST_MS: u64 = 200;
/// The part of the time that is planned with.
const RESERVE: (u32, u32) = (4, 5);
/// What a run costs beside its budget, before any was seen: two processes to start.
const OVERHEAD: Duration = Duration::from_millis(10);

/// Watches the clock.
#[derive(Debug)]
pub(crate) struct Pace {
    deadline: Option<Instant>,
    /// The budget of each variant in each run.
    pub(crate) budget_ms: u64,
    /// What it was when the rounds began.
    planned_ms: u64,
    /// What the latest round took for one run.
    per_run: Duration,
    variants: u32,
}

impl Pace {
    /// A pace that ends by `deadline`, or one of a fixed budget.
    pub(crate) fn new(deadline: Option<Instant>, budget_ms: u64, variants: u32) -> Self {
        let mut pace =
            Self { deadline, budget_ms, planned_ms: budget_ms, per_run: OVERHEAD, variants };
        pace.per_run += pace.measuring();
        pace
    }

    /// Whether the budget is chosen to meet a deadline.
    pub(crate) fn adapts(&self) -> bool {
        self.deadline.is_some()
    }

    /// Takes note of `runs` runs that took `took` with the present budget.
    pub(crate) fn observe(&mut self, runs: usize, took: Duration) {
        if let Some(per_run) = u32::try_from(runs).ok().and_then(|runs| took.checked_div(runs)) {
            self.per_run = per_run;
        }
    }

    /// Chooses the budget with which `runs` runs end in time.
    ///
    /// A run measures somewhat longer than its budget, as its last batch ends, and slows down when the machine has
    /// other things to do: some of the time is kept back.
    pub(crate) fn plan(&mut self, runs: usize, now: Instant) {
        self.fill(runs, now, RESERVE);
        self.planned_ms = self.budget_ms;
    }

    /// Chooses the budget for `rounds` rounds of cells with these ranks, and says up to which rank there is time
    /// for `enough_ms` each. Those above it are left out; rank 0 never is.
    pub(crate) fn make_room(
        &mut self,
        ranks: &[u8],
        rounds: usize,
        enough_ms: u64,
        now: Instant,
    ) -> u8 {
        let mut least = ranks.iter().copied().max().unwrap_or(0);
        loop {
            let kept = ranks.iter().filter(|rank| **rank <= least).count();
            self.plan(kept * rounds, now);
            if self.budget_ms >= enough_ms || least == 0 {
                return least;
            }
            // The next rank that anything has.
            least = ranks.iter().copied().filter(|rank| *rank < least).max().unwrap_or(0);
        }
    }

    fn fill(&mut self, runs: usize, now: Instant, part: (u32, u32)) {
        let overhead = self.overhead();
        let Some(deadline) = self.deadline else {
            return;
        };
        let left = deadline.saturating_duration_since(now);
        let share =
            left.checked_div(u32::try_from(runs.max(1)).unwrap_or(u32::MAX)).unwrap_or_default();
        let each = share.saturating_sub(overhead) * part.0 / part.1 / self.variants.max(1);
        let each = u64::try_from(each.as_millis()).unwrap_or(MOST_MS);
        self.budget_ms = each.clamp(LEAST_MS, MOST_MS);
        self.per_run = overhead + self.measuring();
    }

    /// Goes back to a brief budget, for a first look.
    pub(crate) fn begin(&mut self) {
        let overhead = self.overhead();
        self.budget_ms = LEAST_MS;
        self.per_run = overhead + self.measuring();
    }

    /// Makes the budget smaller if `runs` more runs would end too late, and as large as it was planned once they
    /// would not: rounds should be alike, and one that was disturbed should not spoil those after it.
    pub(crate) fn shrink(&mut self, runs: usize, now: Instant) {
        let per_run = self.per_run;
        let measuring = self.measuring();
        self.fill(runs, now, (1, 1));
        if self.budget_ms >= self.planned_ms {
            self.budget_ms = self.planned_ms;
            self.per_run = per_run.saturating_sub(measuring) + self.measuring();
        }
    }

    /// About how long `runs` more runs take.
    pub(crate) fn left(&self, runs: usize) -> Duration {
        self.per_run * u32::try_from(runs).unwrap_or(u32::MAX)
    }

    fn measuring(&self) -> Duration {
        Duration::from_millis(self.budget_ms) * self.variants
    }

    fn overhead(&self) -> Duration {
        self.per_run.saturating_sub(self.measuring())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_budget_fills_the_time_that_is_left() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(now + 36 * SECOND), 2, 2);
        pace.observe(100, 100 * Duration::from_millis(24)); // 20 ms beside 2 x 2 ms
        pace.plan(360, now); // 100 ms a run, of which 64 are planned with
        assert_eq!(pace.budget_ms, 32);
        assert_eq!(pace.left(360), 360 * Duration::from_millis(84));
    }

    #[test]
    fn a_slow_round_shrinks_the_budget_and_a_fast_one_leaves_it() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(now + 36 * SECOND), 40, 2);
        pace.observe(10, 10 * Duration::from_millis(90));
        pace.shrink(360, now);
        assert_eq!(pace.budget_ms, 40);
        pace.observe(10, 10 * Duration::from_millis(110));
        pace.shrink(360, now);
        assert_eq!(pace.budget_ms, 35);
        pace.observe(10, 10 * Duration::from_millis(80));
        pace.shrink(360, now);
        assert_eq!(pace.budget_ms, 40, "as planned, and no more");
    }

    #[test]
    fn what_matters_least_is_left_out_until_there_is_enough_for_the_rest() {
        let now = Instant::now();
        let ranks: Vec<_> = (0..100).flat_map(|_| [0, 1, 4, 9]).collect();
        let least = |seconds: u32| {
            let mut pace = Pace::new(Some(now + seconds * SECOND), 2, 2);
            pace.observe(1, Duration::from_millis(24)); // 20 ms beside 2 x 2 ms
            let least = pace.make_room(&ranks, 5, 8, now);
            (least, pace.budget_ms >= 8)
        };
        // With 8 ms a run takes 40 ms; 2000 runs.
        assert_eq!(least(100), (9, true));
        assert_eq!(least(70), (4, true));
        assert_eq!(least(45), (1, true));
        assert_eq!(least(25), (0, true));
        assert_eq!(least(5), (0, false), "rank 0 is measured whatever it takes");
        assert_eq!(Pace::new(Some(now), 2, 2).make_room(&[], 5, 8, now), 0);
    }

    #[test]
    fn no_time_left_is_still_enough_to_measure_something() {
        let now = Instant::now();
        let mut pace = Pace::new(Some(now), 40, 2);
        pace.plan(1000, now);
        assert_eq!(pace.budget_ms, LEAST_MS);
        pace.plan(0, now);
        assert_eq!(pace.budget_ms, LEAST_MS);
    }

    #[test]
    fn a_fixed_budget_stays() {
        let mut pace = Pace::new(None, 40, 2);
        pace.observe(1, 100 * SECOND);
        pace.shrink(1000, Instant::now());
        assert_eq!(pace.budget_ms, 40);
        assert!(!pace.adapts());
    }
}

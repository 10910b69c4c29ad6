//! How a pool behaves.

use std::time::Duration;

/// How a pool behaves.
///
/// # Examples
///
/// See [`Prefork`](crate::Prefork).
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the pool is started"]
pub struct PreforkOptions {
    pub(super) workers: usize,
    pub(super) backoff: Backoff,
    pub(super) drain: Duration,
}

/// When a worker that failed is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    /// A worker that lived this long had started well.
    settled: Duration,
}

impl PreforkOptions {
    /// A pool of so many workers, with 10 ms to 5 s between attempts to start one that keeps failing
    /// and 30 s for [draining](crate::Prefork::drain).
    pub const fn new(workers: usize) -> Self {
        let backoff = Backoff {
            first: Duration::from_millis(10),
            longest: Duration::from_secs(5),
            settled: Duration::from_secs(1),
        };
        Self { workers, backoff, drain: Duration::from_secs(30) }
    }

    /// How long to wait before a worker is replaced that failed soon after its start: not at all the
    /// first time, then `first`, then twice as long each time, `longest` at most.
    ///
    /// A worker that ends with status 0, or that lived for [`settled`](Self::settled), is replaced at
    /// once and counts as a good one.
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff.first = first;
        self.backoff.longest = longest;
        self
    }

    /// How long a worker must live for its failure not to count as one to start; a second, unless
    /// set.
    pub const fn settled(mut self, lifetime: Duration) -> Self {
        self.backoff.settled = lifetime;
        self
    }

    /// How long workers have to finish their work when the pool is [run](crate::Prefork::run) and told
    /// to end, or dropped.
    pub const fn drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }
}

impl Backoff {
    /// How many failures there are in a row after a worker has ended.
    pub(super) fn failures(self, before: u32, success: bool, lifetime: Duration) -> u32 {
        if success || lifetime >= self.settled { 0 } else { before.saturating_add(1) }
    }

    /// How long to wait after so many failures in a row.
    pub(super) fn delay(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.checked_mul(factor).unwrap_or(self.longest).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_less_and_less_often() {
        let backoff = PreforkOptions::new(1).backoff;
        let delays = [0, 1, 2, 3, 4, 10, 11, 12, 1000, u32::MAX].map(|n| backoff.delay(n));
        let expected = [0, 0, 10, 20, 40, 2560, 5000, 5000, 5000, 5000].map(Duration::from_millis);
        assert_eq!(delays, expected);
    }

    #[test]
    fn a_worker_that_settled_is_forgiven() {
        let backoff = PreforkOptions::new(1).settled(Duration::from_secs(2)).backoff;
        assert_eq!(backoff.failures(7, false, Duration::from_secs(1)), 8);
        assert_eq!(backoff.failures(7, false, Duration::from_secs(2)), 0);
        assert_eq!(backoff.failures(7, true, Duration::ZERO), 0);
        assert_eq!(backoff.failures(u32::MAX, false, Duration::ZERO), u32::MAX);
    }
}

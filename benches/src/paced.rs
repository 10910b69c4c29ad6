//! Messages that are sent at given times: topologies `open-loop` and `idle-gap`.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::Result;
use ipc_bench_schema::{Setting, WaitMode};

use crate::Link;
use crate::control::{OpenLoop, Tally};
use crate::payload::fill;
use crate::process::monotonic_ns;
use crate::workload::{BatchSpec, Rtts, measured, receive};

/// When the messages of an open loop are to be sent. Both sides reckon it for themselves, so that no
/// message has to carry it.
#[derive(Debug)]
struct Schedule {
    at_ns: f64,
    interval_ns: f64,
    /// The state of the generator; `None` where the distances are equal.
    random: Option<u64>,
}

impl Schedule {
    fn new(open: &OpenLoop, setting: Setting) -> Self {
        let random = (setting == Setting::Poisson).then_some(open.seed);
        // Relative to the beginning: a double has room for nanoseconds of a day, but not since boot.
        Self { at_ns: 0.0, interval_ns: open.interval_ns, random }
    }

    /// The time of the next message, in nanoseconds after the beginning.
    #[inline]
    fn next(&mut self) -> u64 {
        let distance = match &mut self.random {
            None => 1.0,
            Some(state) => exponential(state),
        };
        self.at_ns += distance * self.interval_ns;
        self.at_ns as u64
    }
}

/// The distance of independent arrivals, 1 in the mean (SplitMix64, and the logarithm of what it gives).
#[inline]
fn exponential(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut it = *state;
    it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    it ^= it >> 31;
    let uniform = ((it >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -uniform.ln()
}

/// Sends each message when its time has come, or at once if that is past.
pub(crate) fn send_in_time<L: Link>(link: &mut L, batch: &BatchSpec) -> Result<Tally> {
    let mut buf = vec![0; batch.size];
    let mut schedule = Schedule::new(&batch.open, batch.setting);
    measured(batch, || {
        for seq in batch.first..batch.first + batch.count {
            let at = batch.open.begin_ns + schedule.next();
            while monotonic_ns() < at {
                std::hint::spin_loop();
            }
            fill(&mut buf, seq);
            link.send(&buf, batch.wait)?;
        }
        Ok(())
    })
}

/// Clocks each message from when it was to be sent until it was received and checked. So a sender that is
/// held up, by a full mechanism above all, does not hide what its messages wait meanwhile.
pub(crate) fn receive_in_time<L: Link>(
    link: &mut L,
    batch: &BatchSpec,
    rtts: &mut Rtts,
) -> Result<Tally> {
    let mut buf = vec![0; batch.size];
    let mut schedule = Schedule::new(&batch.open, batch.setting);
    measured(batch, || {
        for seq in batch.first..batch.first + batch.count {
            receive(link, &mut buf, seq, batch.wait)?;
            batch.drag.pull();
            let at = batch.open.begin_ns + schedule.next();
            rtts.saturating_record(monotonic_ns().saturating_sub(at));
        }
        Ok(())
    })
}

/// Clocks round trips with a pause before each. The pauses are not in the time of the batch.
pub(crate) fn ping_after_pauses<L: Link>(
    link: &mut L,
    batch: &BatchSpec,
    rtts: &mut Rtts,
) -> Result<Tally> {
    let mut buf = vec![0; batch.size];
    let pause = match batch.setting {
        Setting::Pause(us) => Duration::from_micros(us.into()),
        _ => Duration::ZERO,
    };
    // Else the kernel wakes this process up to 50 µs late, to save power.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut all = Duration::ZERO;
    let mut tally = measured(batch, || {
        for seq in batch.first..batch.first + batch.count {
            rest(pause, batch.wait);
            let begin = Instant::now();
            fill(&mut buf, seq);
            link.send(&buf, batch.wait)?;
            receive(link, &mut buf, !seq, batch.wait)?;
            batch.drag.pull();
            let took = begin.elapsed();
            rtts.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            all += took;
        }
        Ok(())
    })?;
    tally.end_ns = tally.begin_ns + u64::try_from(all.as_nanos()).unwrap_or(u64::MAX);
    Ok(tally)
}

/// Does nothing for so long: asleep, or awake where the cell spins.
fn rest(pause: Duration, wait: WaitMode) {
    if wait != WaitMode::Spin {
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        return;
    }
    let begin = Instant::now();
    while begin.elapsed() < pause {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(setting: Setting, count: usize) -> Vec<u64> {
        let open = OpenLoop { begin_ns: 0, interval_ns: 1000.0, seed: 7 };
        let mut schedule = Schedule::new(&open, setting);
        (0..count).map(|_| schedule.next()).collect()
    }

    #[test]
    fn fixed_arrivals_are_equally_far_apart() {
        assert_eq!(times(Setting::Fixed, 4), [1000, 2000, 3000, 4000]);
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_spread_of_chance_and_both_sides_agree() {
        let times = times(Setting::Poisson, 100_000);
        assert_eq!(times, self::times(Setting::Poisson, 100_000));
        let gaps: Vec<_> = times.windows(2).map(|it| (it[1] - it[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean / 1000.0 - 1.0).abs() < 0.02, "{mean}");
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.03, "{variance}");
    }
}

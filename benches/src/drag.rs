//! Work on purpose, so that a mechanism is slower than it is: what `cargo xtask compare` must notice.
//!
//! `IPC_BENCH_SLOW=pipe:5` in the environment of `ipc-peer` makes variant `ours` of `pipe` 5 % slower than
//! the same process has just found it to be, by spinning for that long after each message. It is for the
//! tests of the harness; a run under it warns that it was.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

use ipc_bench_schema::Variant;

/// The name of the environment variable: a mechanism's id, a colon, and per cent.
pub const SLOW: &str = "IPC_BENCH_SLOW";

/// By how much a variant is to be slowed down, as a share of its time; 0 for nearly all.
pub(crate) fn share(mechanism: &str, variant: Variant) -> f64 {
    std::env::var(SLOW).map_or(0.0, |word| parse(&word, mechanism, variant))
}

fn parse(word: &str, mechanism: &str, variant: Variant) -> f64 {
    let named = word.split_once(':').filter(|(id, _)| *id == mechanism && variant == Variant::Ours);
    let percent = named.and_then(|(_, percent)| percent.parse::<f64>().ok());
    percent.filter(|it| (0.0..=1000.0).contains(it)).map_or(0.0, |it| it / 100.0)
}

/// A number of turns of an empty loop.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Drag(u32);

impl Drag {
    /// As many turns as take so long on this machine.
    pub(crate) fn of_ns(ns: f64) -> Self {
        if ns <= 0.0 {
            return Self(0);
        }
        static TURN_NS: OnceLock<f64> = OnceLock::new();
        let turn_ns = TURN_NS.get_or_init(|| {
            const TURNS: u32 = 100_000;
            // The least of some, since whatever disturbs makes it longer.
            let times = (0..10).map(|_| {
                let begin = Instant::now();
                Self(TURNS).pull();
                begin.elapsed().as_nanos() as f64 / f64::from(TURNS)
            });
            times.fold(f64::INFINITY, f64::min).max(0.01)
        });
        Self((ns / turn_ns).round().min(f64::from(u32::MAX)) as u32)
    }

    /// Does the work.
    #[inline]
    pub(crate) fn pull(self) {
        for turn in 0..self.0 {
            black_box(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_slowed_down() {
        assert_eq!(parse("pipe:5", "pipe", Variant::Ours), 0.05);
        assert_eq!(parse("pipe:5", "pipe", Variant::Raw), 0.0);
        assert_eq!(parse("pipe:5", "pipe-packet", Variant::Ours), 0.0);
        for word in ["pipe", "pipe:", "pipe:x", "pipe:-5", "pipe:NaN", ""] {
            assert_eq!(parse(word, "pipe", Variant::Ours), 0.0, "{word}");
        }
        assert_eq!(Drag::of_ns(0.0).0, 0);
        assert!(Drag::of_ns(1000.0).0 > 0);
    }
}

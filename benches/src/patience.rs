//! How long a process tries again before it sleeps.

use std::time::{Duration, Instant};

use ipc_bench_schema::WaitMode;

/// How long an adaptive wait spins: somewhat more than waking a sleeper costs.
const SPIN: Duration = Duration::from_micros(50);

/// What is left of the time to spin.
///
/// The clock is read from the second try on, so that an operation that can be done at once costs nothing
/// more.
#[derive(Debug)]
pub(crate) enum Patience {
    /// Never sleep.
    Endless,
    /// Spin for a while; when the spinning began.
    Some(Option<Instant>),
    /// Sleep at once.
    None,
}

impl Patience {
    #[inline]
    pub(crate) const fn of(wait: WaitMode) -> Self {
        match wait {
            WaitMode::Block => Self::None,
            WaitMode::Spin => Self::Endless,
            WaitMode::Adaptive => Self::Some(None),
        }
    }

    /// Whether to sleep now; else, to try again.
    #[inline]
    pub(crate) fn is_over(&mut self) -> bool {
        match self {
            Self::Endless => false,
            Self::None => true,
            Self::Some(began @ None) => {
                *began = Some(Instant::now());
                false
            }
            Self::Some(Some(began)) => began.elapsed() >= SPIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adaptive_wait_spins_first_and_sleeps_then() {
        assert!(Patience::of(WaitMode::Block).is_over());
        let mut spin = Patience::of(WaitMode::Spin);
        assert!((0..1000).all(|_| !spin.is_over()));
        let mut adaptive = Patience::of(WaitMode::Adaptive);
        assert!(!adaptive.is_over(), "it tries at least once");
        while !adaptive.is_over() {}
    }
}

//! Sets of signals.

use std::fmt;

use ipc_core::Result;

use crate::Signal;
use crate::signal::{MOST, is_reserved, uncatchable};

/// A set of signals.
///
/// # Examples
///
/// ```
/// use ipc_signal::{Signal, SignalSet};
///
/// let set = SignalSet::from([Signal::INT, Signal::TERM]);
/// assert!(set.contains(Signal::TERM) && !set.contains(Signal::HUP));
/// assert_eq!(set.with(Signal::HUP).iter().count(), 3);
/// assert_eq!(format!("{set:?}"), "{SIGINT, SIGTERM}");
/// ```
///
/// # References
///
/// `sigsetops`(3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[doc(alias = "sigset_t")]
pub struct SignalSet(u64);

/// The bit of a signal.
const fn bit(signal: Signal) -> u64 {
    1 << (signal.number() - 1)
}

impl SignalSet {
    /// No signal.
    #[doc(alias = "sigemptyset")]
    pub const EMPTY: Self = Self(0);

    /// Every signal that can be blocked: without `SIGKILL`, `SIGSTOP` and those of the C library.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Signal, SignalSet};
    /// let all = SignalSet::all();
    /// assert!(all.contains(Signal::TERM) && !all.contains(Signal::KILL));
    /// ```
    #[doc(alias = "sigfillset")]
    #[must_use]
    pub fn all() -> Self {
        let numbers = (1..=MOST).filter(|number| !is_reserved(*number));
        numbers.map(Signal::of_kernel).filter(|it| it.can_be_caught()).collect()
    }

    /// The set and this signal.
    ///
    /// # Examples
    ///
    /// See [`SignalSet`].
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | bit(signal))
    }

    /// The set without this signal.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Signal, SignalSet};
    /// assert!(SignalSet::from(Signal::HUP).without(Signal::HUP).is_empty());
    /// ```
    #[must_use]
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !bit(signal))
    }

    /// Whether a signal is in it.
    ///
    /// # Examples
    ///
    /// See [`SignalSet`].
    #[doc(alias = "sigismember")]
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & bit(signal) != 0
    }

    /// Whether no signal is in it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ipc_signal::SignalSet::EMPTY.is_empty());
    /// ```
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its signals, by number.
    ///
    /// # Examples
    ///
    /// See [`SignalSet`].
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        (1..=MOST).map(Signal::of_kernel).filter(move |signal| self.contains(*signal))
    }

    /// What the kernel takes: bit 0 is signal 1.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Refuses a set with what cannot be caught: the kernel would leave it out without a word.
    pub(crate) fn caught(self, op: &'static str) -> Result<Self> {
        if self.contains(Signal::KILL) || self.contains(Signal::STOP) {
            return Err(uncatchable(op));
        }
        Ok(self)
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// By its name.
        struct Shown(Signal);

        impl fmt::Debug for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        f.debug_set().entries(self.iter().map(Shown)).finish()
    }
}

impl From<Signal> for SignalSet {
    fn from(signal: Signal) -> Self {
        Self::EMPTY.with(signal)
    }
}

impl<const N: usize> From<[Signal; N]> for SignalSet {
    fn from(signals: [Signal; N]) -> Self {
        signals.into_iter().collect()
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        signals.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl Extend<Signal> for SignalSet {
    fn extend<I: IntoIterator<Item = Signal>>(&mut self, signals: I) {
        *self = signals.into_iter().fold(*self, Self::with);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_a_set(numbers: Vec<(i32, bool)>) {
            let (mut set, mut model) = (SignalSet::EMPTY, BTreeSet::new());
            for (number, add) in numbers {
                let Ok(signal) = Signal::new(number.rem_euclid(65)) else { continue };
                if add {
                    set = set.with(signal);
                    model.insert(signal);
                } else {
                    set = set.without(signal);
                    model.remove(&signal);
                }
                prop_assert_eq!(set.contains(signal), add);
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn all_is_what_can_be_blocked() {
        let all = SignalSet::all();
        assert!(all.caught("test").is_ok());
        assert!(all.with(Signal::STOP).caught("test").is_err());
        assert_eq!(all.bits() & 0b11 << 31, 0, "the C library's own are in it");
    }
}

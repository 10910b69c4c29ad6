//! Each datagram counts once, however often it comes.

/// How many numbers back a datagram may be late.
const WINDOW: u64 = 1024;

/// Which of the last [`WINDOW`] numbers have come.
///
/// The network duplicates datagrams, and whoever can listen can send them again; an acknowledgement of
/// an hour ago would spoil the round-trip time. A datagram that is later than the window is like one
/// that was lost: what was in it is sent again under a new number.
#[derive(Debug, Clone)]
pub(super) struct Replay {
    /// One more than the greatest number that has come.
    next: u64,
    seen: [u64; (WINDOW / 64) as usize],
}

impl Replay {
    pub(super) const fn new() -> Self {
        Self { next: 0, seen: [0; (WINDOW / 64) as usize] }
    }

    /// Whether a datagram of this number comes for the first time, and notes that it has come.
    ///
    /// The number must be below `u64::MAX`; it has 56 bits.
    pub(super) fn first(&mut self, number: u64) -> bool {
        if number >= self.next {
            let skipped = number - self.next;
            if skipped >= WINDOW {
                self.seen = [0; (WINDOW / 64) as usize];
            } else {
                for fresh in self.next..=number {
                    self.mark(fresh, false);
                }
            }
            self.next = number + 1;
        } else if self.next - number > WINDOW || self.is_marked(number) {
            return false;
        }
        self.mark(number, true);
        true
    }

    fn is_marked(&self, number: u64) -> bool {
        self.seen[Self::word(number)] & Self::bit(number) != 0
    }

    fn mark(&mut self, number: u64, yes: bool) {
        let word = &mut self.seen[Self::word(number)];
        if yes {
            *word |= Self::bit(number);
        } else {
            *word &= !Self::bit(number);
        }
    }

    const fn word(number: u64) -> usize {
        (number % WINDOW / 64) as usize
    }

    const fn bit(number: u64) -> u64 {
        1 << (number % 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        /// Against a set that forgets nothing.
        #[test]
        fn a_number_is_first_once(numbers in prop::collection::vec(
            prop_oneof![0_u64..3000, 0..3_000_000_u64, Just((1 << 56) - 1)], 0..2000,
        )) {
            let (mut replay, mut model, mut newest) = (Replay::new(), HashSet::new(), None);
            for number in numbers {
                let late = newest.is_some_and(|newest| number + WINDOW <= newest);
                let expected = !late && !model.contains(&number);
                prop_assert_eq!(replay.first(number), expected, "{} after {:?}", number, newest);
                if expected {
                    model.insert(number);
                }
                newest = newest.max(Some(number));
            }
        }
    }
}

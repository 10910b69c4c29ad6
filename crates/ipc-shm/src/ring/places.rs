//! Who the consumers of a ring are.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::layout::{CONSUMER_CAME, CONSUMER_GONE};
use super::memory::Memory;

/// Words with the identities of consumers, 0 for none. When the last one goes, CONSUMER_GONE becomes 1, until
/// another one comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub(crate) first: usize,
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

impl Places {
    pub(crate) const fn at(self, place: usize) -> usize {
        self.first + place * self.stride
    }

    /// Takes a place that is `from`'s (0: nobody's) for the process `identity`: `only` this one, if it says.
    pub(crate) fn take(
        self,
        memory: &impl Memory,
        from: u64,
        only: Option<usize>,
        identity: u64,
    ) -> Option<usize> {
        let place = take(memory, self.count, |place| self.at(place), (from, only), identity)?;
        memory.store(CONSUMER_CAME, 1, Release);
        memory.heavy_fence();
        memory.store(CONSUMER_GONE, 0, Release);
        Some(place)
    }

    /// Gives a place up, for `heir` (0: nobody); whether it was the last one.
    pub(crate) fn leave(self, memory: &impl Memory, place: usize, heir: u64) -> bool {
        memory.store(self.at(place), heir, Release);
        heir == 0 && self.are_gone(memory)
    }

    /// Takes the places of processes that have ended; whether nobody is left.
    pub(crate) fn bury(self, memory: &impl Memory, is_dead: &mut impl FnMut(u64) -> bool) -> bool {
        let mut some = false;
        for place in 0..self.count {
            some |= free(memory, self.at(place), is_dead);
        }
        // Or whoever gave the last one up, or took it from a dead process, was killed before it said so.
        let unsaid = || memory.load(CONSUMER_CAME, Acquire) != 0 && !self.any(memory);
        let gone = memory.load(CONSUMER_GONE, Relaxed) != 0;
        if some || !gone && unsaid() {
            return self.are_gone(memory);
        }
        if gone && self.any(memory) {
            // Whoever was about to take it back was killed.
            memory.store(CONSUMER_GONE, 0, Release);
        }
        false
    }

    fn any(self, memory: &impl Memory) -> bool {
        (0..self.count).any(|place| memory.load(self.at(place), Acquire) != 0)
    }

    /// Says that the last one has gone, if it has.
    fn are_gone(self, memory: &impl Memory) -> bool {
        if self.any(memory) {
            return false;
        }
        memory.store(CONSUMER_GONE, 1, Release);
        memory.heavy_fence();
        // One that came meanwhile has said so before or is seen here.
        if self.any(memory) {
            memory.store(CONSUMER_GONE, 0, Release);
            return false;
        }
        true
    }
}

/// Takes one of `count` words that is `from`'s, and `only` that one if it says so; returns which.
pub(crate) fn take(
    memory: &impl Memory,
    count: usize,
    at: impl Fn(usize) -> usize,
    (from, only): (u64, Option<usize>),
    identity: u64,
) -> Option<usize> {
    (0..count)
        .filter(|place| only.is_none_or(|only| only == *place))
        .find(|place| memory.compare_exchange(at(*place), from, identity).is_ok())
}

/// Sets a word to 0 that holds the identity of a process that has ended; whether it did.
pub(crate) fn free(memory: &impl Memory, at: usize, is_dead: &mut impl FnMut(u64) -> bool) -> bool {
    let identity = memory.load(at, Acquire);
    // By compare and exchange: it may have come to somebody else meanwhile.
    identity != 0 && is_dead(identity) && memory.compare_exchange(at, identity, 0).is_ok()
}

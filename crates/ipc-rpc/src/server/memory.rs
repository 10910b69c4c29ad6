//! What a server remembers of one client's calls: the reply cache of at-most-once calls.

use std::os::fd::OwnedFd;

use crate::fds::Beside;

/// The calls of one client from the first that it has not acknowledged on.
///
/// Invariant: a number is executed only when it moves from unknown to [`State::Running`], which happens at most
/// once, since a slot leaves `Running` for `Saved` or `Evicted` only, and is used for another number only after
/// `low` has passed its own; below `low` nothing is executed.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// Below it nothing is executed any more: acknowledged, or too old.
    low: u64,
    slots: Box<[Slot]>,
    /// How many bytes the saved replies have.
    bytes: usize,
    max_bytes: usize,
    /// Counts what the client does, to see later whether it did anything.
    pub(crate) activity: u64,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    seq: u64,
    state: State,
    reply: Vec<u8>,
    beside: Beside,
    /// What it counts for among the saved bytes.
    cost: usize,
}

/// A reply to be saved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Saved<'a> {
    pub(crate) frame: &'a [u8],
    pub(crate) beside: &'a Beside,
    /// How many bytes are in a memfd beside it.
    pub(crate) packed: usize,
}

impl<'a> Saved<'a> {
    /// A frame alone.
    pub(crate) const fn frame(frame: &'a [u8]) -> Self {
        Self { frame, beside: &None, packed: 0 }
    }

    /// What it counts for: descriptors are not for nothing.
    #[inline]
    fn cost(&self) -> usize {
        const DESCRIPTOR: usize = 1 << 16;
        let descriptors = self.beside.as_ref().map_or(0, |it| it.len());
        self.frame.len() + self.packed + DESCRIPTOR * descriptors
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Free,
    Running,
    Saved,
    /// Executed, and its reply is not kept.
    Evicted,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Execute it: it was never seen.
    New,
    /// It is being executed.
    Running,
    /// Send the reply again.
    Saved,
    /// It was executed and there is no reply any more; the client has not acknowledged it.
    Evicted,
    /// It is acknowledged, or older than the window. Never execute it.
    Stale,
}

impl Memory {
    /// Nothing is known from number `low` on; there are never more than `window` numbers under way.
    pub(crate) fn new(low: u64, window: u16, max_bytes: usize) -> Self {
        // A power of two, so that the place of a number is found without a division.
        let window = usize::from(window.max(1)).next_power_of_two();
        let slots = vec![Slot::default(); window].into_boxed_slice();
        Self { low, slots, bytes: 0, max_bytes, activity: 0 }
    }

    #[inline]
    fn index(&self, seq: u64) -> usize {
        (seq as usize) & (self.slots.len() - 1)
    }

    /// Below it the client has all replies, or was beyond its window.
    pub(crate) const fn low(&self) -> u64 {
        self.low
    }

    /// The client has the replies to everything below `low`.
    #[inline]
    pub(crate) fn advance(&mut self, low: u64) {
        self.activity += 1;
        if low <= self.low {
            return;
        }
        // One call after the other: the one before is acknowledged.
        if low - self.low == 1 {
            self.release(self.low);
            self.low = low;
        } else {
            self.advance_far(low);
        }
    }

    fn advance_far(&mut self, low: u64) {
        // Of a long way only the slots that there are matter.
        let from = self.low.max(low.saturating_sub(self.slots.len() as u64));
        for seq in from..low {
            self.release(seq);
        }
        self.low = low;
        if low - from == self.slots.len() as u64 {
            // Those before, whose slots were not looked at by their own number.
            for index in 0..self.slots.len() {
                if self.slots[index].seq < low {
                    self.release(self.slots[index].seq);
                }
            }
        }
    }

    #[inline]
    fn release(&mut self, seq: u64) {
        /// A slot keeps no more memory than this.
        const KEPT: usize = 1024;
        let index = self.index(seq);
        let slot = &mut self.slots[index];
        if slot.seq != seq || slot.state == State::Free {
            return;
        }
        if slot.state == State::Saved {
            self.bytes -= slot.cost;
        }
        slot.state = State::Free;
        slot.beside = None;
        slot.reply.clear();
        slot.reply.shrink_to(KEPT);
    }

    /// A request has come, with what its client has acknowledged.
    #[inline]
    pub(crate) fn arrive(&mut self, seq: u64, low: u64) -> Arrival {
        self.advance(low);
        if seq < self.low {
            return Arrival::Stale;
        }
        let window = self.slots.len() as u64;
        if seq - self.low >= window {
            // More under way than was agreed: the oldest are given up.
            self.advance(seq - window + 1);
        }
        let index = self.index(seq);
        let slot = &mut self.slots[index];
        if slot.seq != seq || slot.state == State::Free {
            slot.seq = seq;
            slot.state = State::Running;
            return Arrival::New;
        }
        match slot.state {
            State::Free | State::Running => Arrival::Running,
            State::Saved => Arrival::Saved,
            State::Evicted => Arrival::Evicted,
        }
    }

    /// The reply that was saved.
    pub(crate) fn saved(&self, seq: u64) -> Option<(&[u8], &Beside)> {
        let slot = &self.slots[self.index(seq)];
        (slot.seq == seq && slot.state == State::Saved).then_some((&slot.reply, &slot.beside))
    }

    /// The call is over. Without a reply it is remembered only that it was executed.
    #[inline]
    pub(crate) fn complete(&mut self, seq: u64, reply: Option<Saved<'_>>) {
        let index = self.index(seq);
        let slot = &mut self.slots[index];
        if slot.seq != seq || slot.state != State::Running {
            // It was given up meanwhile.
            return;
        }
        let cost = reply.as_ref().map_or(usize::MAX, Saved::cost);
        let Some(reply) = reply.filter(|_| cost <= self.max_bytes) else {
            slot.state = State::Evicted;
            return;
        };
        slot.state = State::Saved;
        slot.reply.clear();
        slot.reply.extend_from_slice(reply.frame);
        slot.beside.clone_from(reply.beside);
        slot.cost = cost;
        self.bytes += slot.cost;
        if self.bytes > self.max_bytes {
            self.evict();
        }
    }

    /// Lets go of the oldest replies.
    #[cold]
    fn evict(&mut self) {
        for seq in self.low..self.low.saturating_add(self.slots.len() as u64) {
            if self.bytes <= self.max_bytes {
                return;
            }
            let index = self.index(seq);
            let slot = &mut self.slots[index];
            if slot.seq == seq && slot.state == State::Saved {
                self.bytes -= slot.cost;
                slot.state = State::Evicted;
                slot.reply = Vec::new();
                slot.beside = None;
            }
        }
    }

    /// The descriptors of a reply.
    pub(crate) fn fds(beside: &Beside) -> &[OwnedFd] {
        beside.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_that_was_executed_is_answered_again_and_not_executed_again() {
        let mut memory = Memory::new(1, 4, 100);
        assert_eq!(memory.arrive(1, 1), Arrival::New);
        assert_eq!(memory.arrive(1, 1), Arrival::Running);
        memory.complete(1, Some(Saved::frame(b"one")));
        assert_eq!(memory.arrive(1, 1), Arrival::Saved);
        assert_eq!(memory.saved(1).map(|(reply, _)| reply), Some(&b"one"[..]));
        assert_eq!(memory.arrive(2, 2), Arrival::New);
        assert_eq!(memory.arrive(1, 1), Arrival::Stale, "it was acknowledged");
    }

    #[test]
    fn the_oldest_replies_go_when_there_are_too_many_bytes_and_are_never_executed_again() {
        let mut memory = Memory::new(1, 8, 10);
        for seq in 1..=3 {
            assert_eq!(memory.arrive(seq, 1), Arrival::New);
            memory.complete(seq, Some(Saved::frame(b"12345")));
        }
        assert_eq!(memory.arrive(1, 1), Arrival::Evicted);
        assert_eq!(memory.arrive(2, 1), Arrival::Saved);
        assert_eq!(memory.arrive(4, 1), Arrival::New);
        memory.complete(4, Some(Saved::frame(b"longer than ten")));
        assert_eq!(memory.arrive(4, 1), Arrival::Evicted);
    }

    #[test]
    fn who_goes_beyond_the_window_loses_the_oldest() {
        let mut memory = Memory::new(1, 4, 100);
        assert_eq!(memory.arrive(1, 1), Arrival::New);
        assert_eq!(memory.arrive(5, 1), Arrival::New);
        assert_eq!(memory.arrive(1, 1), Arrival::Stale);
        memory.complete(1, Some(Saved::frame(b"late")));
        assert!(memory.saved(1).is_none() && memory.saved(5).is_none());
        assert_eq!(memory.arrive(u64::MAX, 1), Arrival::New);
        assert_eq!(memory.arrive(u64::MAX, u64::MAX), Arrival::Running);
    }

    proptest! {
        /// Whatever comes in whatever order: no number is executed twice.
        #[test]
        fn no_number_is_executed_twice(
            steps in prop::collection::vec((0_u64..40, 0_u64..12, any::<bool>(), 0_usize..30), 0..400),
            window in 1_u16..9,
        ) {
            let mut memory = Memory::new(0, window, 40);
            let mut executed: HashMap<u64, u32> = HashMap::new();
            let mut running = Vec::new();
            for (seq, behind, completes, len) in steps {
                if memory.arrive(seq, seq.saturating_sub(behind)) == Arrival::New {
                    *executed.entry(seq).or_default() += 1;
                    running.push(seq);
                }
                if completes && !running.is_empty() {
                    let seq = running.swap_remove(len % running.len());
                    memory.complete(seq, Some(Saved::frame(&vec![7; len])));
                }
                let saved: usize = memory.slots.iter()
                    .filter(|it| it.state == State::Saved).map(|it| it.cost).sum();
                prop_assert_eq!(saved, memory.bytes);
                prop_assert!(memory.bytes <= 40);
            }
            prop_assert!(executed.values().all(|times| *times == 1), "{:?}", executed);
        }
    }
}

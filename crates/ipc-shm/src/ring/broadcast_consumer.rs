//! The consumer's side of the protocol in [`broadcast_core`](super::broadcast_core).

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::broadcast_core::{BEGIN, CHECK, DATA, Entry, FRONT, NOWHERE, PLACES, read, record};
use super::layout::{CONSUMER_CPU, FAR, HEADER, PRODUCER_GONE, PRODUCER_SLEEPS};
use super::memory::Memory;
use super::spsc_core::{Found, NotReceived, attend};

/// A consumer's own state.
#[derive(Debug)]
pub(crate) struct Consumer {
    capacity: usize,
    overwrites: bool,
    place: usize,
    head: u64,
    /// The number of the next record.
    number: u64,
    /// How many records were overwritten before they were received.
    pub(crate) lost: u64,
    /// How often it was overtaken since the last message.
    overtaken: u32,
}

impl Consumer {
    /// Of a place that was given away before it received anything.
    pub(crate) const fn inherit(capacity: usize, overwrites: bool, place: usize) -> Self {
        Self { capacity, overwrites, place, head: 0, number: 0, lost: 0, overtaken: 0 }
    }

    /// One that begins with the next message.
    pub(crate) fn join(
        memory: &impl Memory,
        capacity: usize,
        overwrites: bool,
        place: usize,
    ) -> Result<Self, NotReceived> {
        const ATTEMPTS: u32 = 10_000;
        let at = PLACES.at(place) + 8;
        memory.store(at, NOWHERE, Release);
        for _ in 0..ATTEMPTS {
            let mut new = Self::inherit(capacity, overwrites, place);
            new.head = memory.load(CHECK, Acquire);
            if !new.head.is_multiple_of(8) || new.head > FAR {
                return Err(NotReceived::Corrupted);
            }
            memory.store(at, new.head, Release);
            // Either the producer sees where we are, or we see that it is further.
            memory.fence(SeqCst);
            if memory.load(BEGIN, Acquire) <= new.head && new.catch_up(memory)? {
                memory.store(at, new.head, Release);
                return Ok(new);
            }
        }
        Err(NotReceived::Corrupted)
    }

    /// Passes all records that there are, the first of which tells the number; whether none was overwritten
    /// meanwhile.
    fn catch_up(&mut self, memory: &impl Memory) -> Result<bool, NotReceived> {
        let first = self.head;
        self.overtaken = 1;
        // A producer that is faster is not to keep us here for ever.
        while self.head.wrapping_sub(first) <= 2 * self.capacity as u64 {
            match self.peek(memory) {
                Ok(found) if !self.is_overtaken(memory) => self.skip(found),
                Err(NotReceived::Corrupted) => return Err(NotReceived::Corrupted),
                Ok(_) => return Ok(false),
                Err(_) => break,
            }
        }
        (self.lost, self.overtaken) = (0, 0);
        Ok(true)
    }

    /// Whether nothing was sent before it joined, and nothing received.
    pub(crate) const fn is_unused(&self) -> bool {
        self.head == 0
    }

    /// How far it is, in bytes since the beginning.
    pub(crate) const fn position(&self) -> u64 {
        self.head
    }

    /// Finds the next record.
    #[inline]
    pub(crate) fn peek<M: Memory>(&mut self, memory: &M) -> Result<Found, NotReceived> {
        loop {
            let pos = self.head as usize & (self.capacity - 1);
            let header = memory.load(DATA + pos, Acquire);
            let number = memory.load(DATA + (pos + HEADER).min(self.capacity - HEADER), Relaxed);
            if self.is_overtaken(memory) {
                self.go_on(memory)?;
                continue;
            }
            if header == 0 {
                return Err(self.nothing(memory, pos));
            }
            match read(header, pos, self.capacity) {
                Some(Entry::Pad(rest)) => self.head = self.head.wrapping_add(rest as u64),
                // After it was overtaken, its number tells how many are missing.
                Some(Entry::Record(len)) => match number.checked_sub(self.number) {
                    Some(missing) if missing == 0 || self.overtaken > 0 => {
                        self.lost = self.lost.saturating_add(missing);
                        self.number = number;
                        return Ok(Found { at: DATA + pos + FRONT, len });
                    }
                    _ => return Err(NotReceived::Corrupted),
                },
                None => return Err(NotReceived::Corrupted),
            }
        }
    }

    /// Whether what stands at our position may have been overwritten, or is about to be.
    #[inline]
    fn is_overtaken<M: Memory>(&self, memory: &M) -> bool {
        if !self.overwrites {
            return false;
        }
        // What was read before is not newer than this.
        memory.fence(Acquire);
        memory.load(BEGIN, Relaxed) > self.head
    }

    /// Goes on with the oldest record; if that is overwritten too before it is received, with a newer one.
    #[cold]
    fn go_on<M: Memory>(&mut self, memory: &M) -> Result<(), NotReceived> {
        // In this order: CHECK is as new as this BEGIN at least, so neither is before what was received.
        let begin = memory.load(BEGIN, Acquire);
        let check = memory.load(CHECK, Acquire);
        let head = if self.overtaken.is_multiple_of(2) { begin } else { check };
        // From 1 to 64, and again.
        self.overtaken = self.overtaken % 64 + 1;
        if head < self.head || !head.is_multiple_of(8) {
            return Err(NotReceived::Corrupted);
        }
        self.head = head;
        // A producer that is faster than we can look, or one that breaks the rules: let the caller see
        // whether its time is over.
        if self.overtaken.is_multiple_of(64) { Err(NotReceived::Empty) } else { Ok(()) }
    }

    fn nothing<M: Memory>(&self, memory: &M, pos: usize) -> NotReceived {
        if memory.load(PRODUCER_GONE, Acquire) != 0 && memory.load(DATA + pos, Acquire) == 0 {
            return NotReceived::Gone;
        }
        NotReceived::Empty
    }

    fn skip(&mut self, found: Found) {
        self.head = self.head.wrapping_add(record(found.len) as u64);
        self.number = self.number.wrapping_add(1);
        self.overtaken = 0;
    }

    /// Lets go of a record; whether it was whole until now.
    #[inline]
    pub(crate) fn release<M: Memory>(&mut self, memory: &M, found: Found) -> bool {
        if self.is_overtaken(memory) {
            return false;
        }
        self.skip(found);
        memory.store(PLACES.at(self.place) + 8, self.head, Release);
        if !self.overwrites {
            memory.light_fence();
            if memory.load(PRODUCER_SLEEPS, Relaxed) != 0 {
                attend(memory, PRODUCER_SLEEPS, CONSUMER_CPU);
            }
        }
        true
    }
}

//! The protocol of a ring with one producer whose every message is for all consumers.
//!
//! ```text
//!    0  MAGIC, LENGTH, ELEMENT, POLICY: whether old messages are overwritten
//!  128  PRODUCER: who it is
//!  256  BEGIN: everything before is being overwritten; CHECK: where a record begins that is not old
//!  512  CONSUMER_SLEEPS, CONSUMER_GONE, CONSUMER_CPU, CONSUMER_CAME: of all consumers
//!  640  PRODUCER_SLEEPS, PRODUCER_GONE, PRODUCER_CPU
//! 1024  32 places of 128 bytes: the identity of a consumer, 0 for none, and how far it is
//! 5120  data
//! ```
//!
//! A record has 16 bytes before its message: the commit word, as in a ring of one consumer, and its number.
//!
//! Nothing is overwritten before BEGIN says so. A consumer that may be overtaken copies a message out and then
//! looks at BEGIN: if it is not beyond the record, the copy is good. BEGIN moves in steps of an eighth of the
//! ring, so that its cache line is not written at each message.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

use super::layout::{
    COMMITTED, CONSUMER_CPU, CONSUMER_GONE, FAR, HEADER, PAD, PRODUCER, PRODUCER_GONE,
    PRODUCER_SLEEPS,
};
use super::memory::Memory;
use super::places::Places;
use super::sleepers::rouse_all;
use super::spsc_core::{Claim, Found, NotReceived, NotSent, attend, wake};

pub(crate) const POLICY: usize = 24;
pub(crate) const BEGIN: usize = 256;
pub(crate) const CHECK: usize = 264;
pub(crate) const DATA: usize = 5120;

/// The places of consumers. How far one is stands after its identity.
pub(crate) const PLACES: Places = Places { first: 1024, stride: 128, count: 32 };

/// What a consumer that is about to join, or has left, says of how far it is: it keeps nobody up.
const NOWHERE: u64 = u64::MAX;

/// The header of a record and its number.
const FRONT: usize = HEADER + 8;
/// How far ahead the producer sets headers to 0.
const AHEAD: usize = 512;

/// The longest message: the newest record stays when the longest one is sent, wherever they begin.
pub(crate) const fn max_len(capacity: usize) -> usize {
    capacity / 4 - 2 * FRONT
}

/// The least capacity.
pub(crate) const MIN: usize = 256;

const fn record(len: usize) -> usize {
    FRONT + len.next_multiple_of(8)
}

enum Entry {
    Record(usize),
    Pad(usize),
}

/// What a header says, if it may stand at `pos`.
fn read(header: u64, pos: usize, capacity: usize) -> Option<Entry> {
    let len = (header & !(COMMITTED | PAD)) as usize;
    let rest = capacity - pos;
    match header & (COMMITTED | PAD) {
        COMMITTED if len <= max_len(capacity) && record(len) <= rest => Some(Entry::Record(len)),
        pad if pad == COMMITTED | PAD && len == rest - HEADER && pos != 0 => Some(Entry::Pad(rest)),
        _ => None,
    }
}

/// The producer's own state. Positions are bytes since the beginning.
#[derive(Debug)]
pub(crate) struct Producer {
    capacity: usize,
    overwrites: bool,
    tail: u64,
    begin: u64,
    clean: u64,
    number: u64,
    /// Where the newest record begins.
    newest: u64,
}

impl Producer {
    /// Of a ring whose data is zero and that nobody has used.
    pub(crate) const fn new(capacity: usize, overwrites: bool) -> Self {
        let clean = capacity as u64;
        Self { capacity, overwrites, tail: 0, begin: 0, clean, number: 0, newest: 0 }
    }

    pub(crate) const fn is_unused(&self) -> bool {
        self.tail == 0
    }

    /// Where the next record begins, in bytes since the beginning.
    pub(crate) const fn position(&self) -> u64 {
        self.tail
    }

    pub(crate) const fn max_len(&self) -> usize {
        max_len(self.capacity)
    }

    /// Takes no word beyond the next header to be 0 any more.
    pub(crate) const fn forget_clean(&mut self) {
        self.clean = self.tail + HEADER as u64;
    }

    fn offset(&self, position: u64) -> usize {
        position as usize & (self.capacity - 1)
    }

    /// Finds room for a message of `len` bytes, which is not too long.
    #[inline]
    pub(crate) fn claim<M: Memory>(&mut self, memory: &M, len: usize) -> Result<Claim, NotSent> {
        if !self.overwrites && memory.load(CONSUMER_GONE, Acquire) != 0 {
            return Err(NotSent::Gone);
        }
        let size = record(len);
        let pos = self.offset(self.tail);
        let rest = self.capacity - pos;
        let (pad, at) = if size <= rest { (None, pos) } else { (Some(rest), 0) };
        let next = self.tail + (pad.unwrap_or(0) + size) as u64;
        let end = next + HEADER as u64;
        if end > self.begin + self.capacity as u64 {
            self.make_room(memory, end - self.capacity as u64)?;
        }
        Ok(Claim { at: DATA + at + FRONT, len, pad, next })
    }

    /// Moves BEGIN to `least` at least.
    #[cold]
    fn make_room<M: Memory>(&mut self, memory: &M, least: u64) -> Result<(), NotSent> {
        let limit = self.limit(memory);
        if limit < least {
            return Err(NotSent::Full);
        }
        let enough = least.max(self.begin + self.capacity as u64 / 8).min(limit);
        let mut begin = self.begin;
        while begin < enough {
            let pos = self.offset(begin);
            // Our own record, unless somebody breaks the rules.
            let size = match read(memory.load(DATA + pos, Relaxed), pos, self.capacity) {
                Some(Entry::Record(len)) => record(len),
                Some(Entry::Pad(rest)) => rest,
                None => return Err(NotSent::Corrupted),
            };
            begin += size as u64;
        }
        // Between two records nobody can be.
        if begin > limit {
            return Err(NotSent::Corrupted);
        }
        memory.store(CHECK, self.newest, Relaxed);
        memory.store(BEGIN, begin, Release);
        // Before anything is overwritten; and before we look whether somebody has joined.
        memory.fence(SeqCst);
        let limit = self.limit(memory);
        if limit < begin {
            memory.store(BEGIN, self.begin, Release);
            return Err(NotSent::Full);
        }
        self.begin = begin;
        Ok(())
    }

    /// How far BEGIN may go: to the newest record, and no further than the slowest consumer that is waited
    /// for.
    fn limit(&self, memory: &impl Memory) -> u64 {
        if self.overwrites {
            return self.newest;
        }
        let places = (0..PLACES.count).map(|place| PLACES.at(place));
        let taken = places.filter(|at| memory.load(*at, Acquire) != 0);
        let slowest = taken.map(|at| memory.load(at + 8, Acquire)).min();
        slowest.map_or(self.newest, |head| head.min(self.newest))
    }

    /// Announces the record of a claim, whose message is in place.
    #[inline]
    pub(crate) fn commit<M: Memory>(&mut self, memory: &M, claim: Claim) {
        let end = claim.next + HEADER as u64;
        if end > self.clean {
            self.clean_from(memory, claim.next);
        }
        let header = COMMITTED | claim.len as u64;
        memory.store(claim.at - 8, self.number, Relaxed);
        if let Some(pad) = claim.pad {
            memory.store(DATA, header, Relaxed);
            let pos = self.offset(self.tail);
            memory.store(DATA + pos, COMMITTED | PAD | (pad - HEADER) as u64, Release);
        } else {
            memory.store(claim.at - FRONT, header, Release);
        }
        self.newest = self.tail;
        self.tail = claim.next;
        self.number += 1;
    }

    /// Sets the next header to 0, and as many words after it as are free and not too many.
    fn clean_from<M: Memory>(&mut self, memory: &M, next: u64) {
        let end = (next + AHEAD as u64).min(self.begin + self.capacity as u64);
        let (from, len) = (self.offset(next), (end - next) as usize);
        let first = len.min(self.capacity - from);
        memory.zero(DATA + from, first);
        memory.zero(DATA, len - first);
        self.clean = end;
    }
}

/// Says that the producer has gone.
pub(crate) fn end(memory: &impl Memory) {
    memory.store(PRODUCER_GONE, 1, Release);
    rouse_all(memory);
}

/// Takes what processes held that have ended.
pub(crate) fn bury(memory: &impl Memory, mut is_dead: impl FnMut(u64) -> bool) {
    let producer = memory.load(PRODUCER, Acquire);
    // Unless it has handed its end over meanwhile.
    if producer != 0 && is_dead(producer) && memory.load(PRODUCER, Acquire) == producer {
        memory.store(PRODUCER_GONE, 1, Release);
    }
    if PLACES.bury(memory, &mut is_dead) {
        wake(memory, PRODUCER_SLEEPS);
    }
}

/// Gives a place up, for `heir` (0: nobody).
pub(crate) fn leave(memory: &impl Memory, place: usize, heir: u64) {
    if heir == 0 {
        memory.store(PLACES.at(place) + 8, NOWHERE, Release);
    }
    PLACES.leave(memory, place, heir);
    // It may have been the slowest.
    memory.heavy_fence();
    wake(memory, PRODUCER_SLEEPS);
}

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

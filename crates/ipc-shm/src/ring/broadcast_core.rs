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
    COMMITTED, CONSUMER_GONE, HEADER, PAD, PRODUCER, PRODUCER_GONE, PRODUCER_SLEEPS,
};
use super::memory::Memory;
use super::places::Places;
use super::sleepers::rouse_all;
use super::spsc_core::{Claim, NotSent, wake};

pub(crate) const POLICY: usize = 24;
pub(crate) const BEGIN: usize = 256;
pub(crate) const CHECK: usize = 264;
pub(crate) const DATA: usize = 5120;

/// The places of consumers. How far one is stands after its identity.
pub(crate) const PLACES: Places = Places { first: 1024, stride: 128, count: 32 };

/// What a consumer that is about to join, or has left, says of how far it is: it keeps nobody up.
pub(crate) const NOWHERE: u64 = u64::MAX;

/// The header of a record and its number.
pub(crate) const FRONT: usize = HEADER + 8;
/// How far ahead the producer sets headers to 0.
const AHEAD: usize = 512;

/// The longest message: the newest record stays when the longest one is sent, wherever they begin.
pub(crate) const fn max_len(capacity: usize) -> usize {
    capacity / 4 - 2 * FRONT
}

/// The least capacity.
pub(crate) const MIN: usize = 256;

pub(crate) const fn record(len: usize) -> usize {
    FRONT + len.next_multiple_of(8)
}

pub(crate) enum Entry {
    Record(usize),
    Pad(usize),
}

/// What a header says, if it may stand at `pos`.
pub(crate) fn read(header: u64, pos: usize, capacity: usize) -> Option<Entry> {
    let len = usize::try_from(header & !(COMMITTED | PAD)).unwrap_or(usize::MAX);
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

    /// Takes no word beyond the next header to be 0 any more, unless a claim of before is committed.
    pub(crate) const fn forget_clean(&mut self) {
        self.clean = self.tail + HEADER as u64;
    }

    fn offset(&self, position: u64) -> usize {
        position as usize & (self.capacity - 1)
    }

    /// Finds room for a message of `len` bytes, which is not too long.
    pub(crate) fn claim<M: Memory>(&mut self, memory: &M, len: usize) -> Result<Claim, NotSent> {
        if self.is_gone(memory) {
            return Err(NotSent::Gone);
        }
        let claim = self.place(len);
        if !self.has_room(claim.next) {
            self.make_room(memory, claim.next + HEADER as u64 - self.capacity as u64)?;
        }
        Ok(claim)
    }

    /// The same where there is room already: the way of most messages.
    #[inline]
    pub(crate) fn claim_known<M: Memory>(&self, memory: &M, len: usize) -> Option<Claim> {
        let claim = self.place(len);
        (self.has_room(claim.next) && !self.is_gone(memory)).then_some(claim)
    }

    /// Whether all consumers that are waited for have gone.
    #[inline]
    fn is_gone<M: Memory>(&self, memory: &M) -> bool {
        !self.overwrites && memory.load(CONSUMER_GONE, Acquire) != 0
    }

    /// Whether there is room up to `next`, and for the header after it.
    #[inline]
    const fn has_room(&self, next: u64) -> bool {
        next + HEADER as u64 <= self.begin + self.capacity as u64
    }

    /// Where a message of `len` bytes goes.
    #[inline]
    fn place(&self, len: usize) -> Claim {
        let size = record(len);
        let pos = self.offset(self.tail);
        let rest = self.capacity - pos;
        let (pad, at) = if size <= rest { (None, pos) } else { (Some(rest), 0) };
        let next = self.tail + (pad.unwrap_or(0) + size) as u64;
        let (at, clean) = (DATA + at + FRONT, self.clean);
        Claim { at, len, pad, next, clean, is_next_clean: next + HEADER as u64 <= clean }
    }

    /// Moves BEGIN to `least` at least.
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
        self.clean = claim.clean;
        if !claim.is_next_clean {
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

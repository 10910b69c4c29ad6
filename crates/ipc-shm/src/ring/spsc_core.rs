//! The protocol of a ring between one producer and one consumer, without anything around it.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use super::layout::{
    ASLEEP, COMMITTED, CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, DATA, HEAD, HEADER, PAD,
    PRODUCER_CPU, PRODUCER_GONE, PRODUCER_SLEEPS, WANTS_FENCES, max_len, record,
};
use super::memory::Memory;

/// How far ahead the producer sets headers to 0.
const AHEAD: usize = 512;

/// Why nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// There is no room now.
    Full,
    /// The consumer has gone.
    Gone,
    /// The consumer claims to have received what was not sent.
    Corrupted,
}

/// Why nothing was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotReceived {
    /// There is no record now.
    Empty,
    /// The producer has gone, and there is no record any more.
    Gone,
    /// What stands in the place of a record is none.
    Corrupted,
}

/// The producer's own state. Positions are bytes since the beginning of the ring.
#[derive(Debug)]
pub(crate) struct Producer {
    capacity: usize,
    tail: u64,
    /// How far the consumer was when we last looked.
    head: u64,
    /// Words from `tail` up to here are 0.
    clean: u64,
    /// And the word here, where a record as long as the last one would end. 0 is none; and what is not beyond `tail`
    /// is past, since a record that is claimed ends beyond it.
    ready: u64,
}

/// Room for a record: where its message goes.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The offset of the message.
    pub(crate) at: usize,
    pub(crate) len: usize,
    /// The bytes of the pad before the record, if there is one.
    pub(crate) pad: Option<usize>,
    /// What the tail will be.
    pub(crate) next: u64,
    /// Words from the tail up to here are 0 once the message is in place, but for the record itself.
    pub(crate) clean: u64,
    /// Whether the next header is 0.
    pub(crate) is_next_clean: bool,
}

impl Producer {
    /// Of a ring whose data is zero and that nobody has used.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { capacity, tail: 0, head: 0, clean: capacity as u64, ready: 0 }
    }

    /// Of a ring whose producer before has gone, or has handed its place over: `tail` is where its records end, and
    /// `head` how far the consumer is at least. The word at `tail` is 0.
    pub(crate) const fn resume(capacity: usize, head: u64, tail: u64) -> Self {
        Self { capacity, tail, head, clean: tail + HEADER as u64, ready: 0 }
    }

    /// Where the next record begins, in bytes since the beginning. The word there is 0.
    pub(crate) const fn position(&self) -> u64 {
        self.tail
    }

    pub(crate) const fn max_len(&self) -> usize {
        max_len(self.capacity)
    }

    /// Takes no word beyond the next header to be 0 any more, unless a claim of before is committed.
    pub(crate) fn forget_clean(&mut self) {
        self.clean = self.tail + HEADER as u64;
        self.ready = 0;
    }

    /// Finds room for a message of `len` bytes, which is not too long.
    pub(crate) fn claim<M: Memory>(&mut self, memory: &M, len: usize) -> Result<Claim, NotSent> {
        if let Some(claim) = self.claim_known(memory, len) {
            return Ok(claim);
        }
        if memory.load(CONSUMER_GONE, Acquire) != 0 {
            return Err(NotSent::Gone);
        }
        let claim = self.place(len);
        self.look_for_room(memory, claim.next + HEADER as u64)?;
        Ok(claim)
    }

    /// The same where there was room when we last looked, and nothing is special: the way of nearly all messages.
    #[inline]
    pub(crate) fn claim_known<M: Memory>(&self, memory: &M, len: usize) -> Option<Claim> {
        let (pos, size) = (self.offset(self.tail), record(len));
        let next = self.tail + size as u64;
        // GONE is in the line that `notify` reads: it stays in this processor's cache.
        let known = size <= self.capacity - pos
            && self.has_room(next)
            && memory.load(CONSUMER_GONE, Acquire) == 0;
        known.then(|| self.claim_at(pos, len, None, next))
    }

    /// Where a message of `len` bytes goes.
    fn place(&self, len: usize) -> Claim {
        let size = record(len);
        let pos = self.offset(self.tail);
        let rest = self.capacity - pos;
        let (pad, at) = if size <= rest { (None, pos) } else { (Some(rest), 0) };
        let next = self.tail + (pad.unwrap_or(0) + size) as u64;
        self.claim_at(at, len, pad, next)
    }

    #[inline]
    const fn claim_at(&self, pos: usize, len: usize, pad: Option<usize>, next: u64) -> Claim {
        let clean = self.clean;
        let is_next_clean = next + HEADER as u64 <= clean || next == self.ready;
        Claim { at: DATA + pos + HEADER, len, pad, next, clean, is_next_clean }
    }

    /// Whether there was room up to `next` when we last looked: also for the header after it, which must be 0
    /// before the record is committed.
    #[inline]
    const fn has_room(&self, next: u64) -> bool {
        next + HEADER as u64 <= self.head + self.capacity as u64
    }

    fn look_for_room<M: Memory>(&mut self, memory: &M, end: u64) -> Result<(), NotSent> {
        let head = memory.load(HEAD, Acquire);
        // It only grows, and only over what was sent. (Whoever writes something else there breaks the
        // ring, and nothing else.)
        if head < self.head || head > self.tail || !head.is_multiple_of(8) {
            return Err(NotSent::Corrupted);
        }
        self.head = head;
        if end > head + self.capacity as u64 { Err(NotSent::Full) } else { Ok(()) }
    }

    /// Announces the record of a claim, whose message is in place.
    #[inline]
    pub(crate) fn commit<M: Memory>(&mut self, memory: &M, claim: Claim) {
        if !claim.is_next_clean {
            memory.store(DATA + self.offset(claim.next), 0, Relaxed);
        }
        let header = COMMITTED | claim.len as u64;
        if let Some(pad) = claim.pad {
            // The consumer looks there only after the pad.
            memory.store(DATA, header, Relaxed);
            let pos = self.offset(self.tail);
            memory.store(DATA + pos, COMMITTED | PAD | (pad - HEADER) as u64, Release);
        } else {
            memory.store(claim.at - HEADER, header, Release);
        }
        self.tail = claim.next;
        self.clean = claim.clean.max(claim.next + HEADER as u64);
    }

    /// Sets words to 0 where headers will be, if it is time. To be called when all else is done, so that nobody waits
    /// for it. `len` is that of the last message.
    #[inline]
    pub(crate) fn tidy<M: Memory>(&mut self, memory: &M, len: usize) {
        if self.tail + (AHEAD / 2) as u64 > self.clean {
            self.clean_ahead(memory, len);
        }
    }

    /// As many words as are free and not too many; after a long message the one word at which a second one as
    /// long will end.
    #[cold]
    fn clean_ahead<M: Memory>(&mut self, memory: &M, len: usize) {
        if len >= AHEAD {
            let next = self.place(len).next;
            if self.has_room(next) {
                memory.store(DATA + self.offset(next), 0, Relaxed);
                self.ready = next;
            }
            return;
        }
        let end = (self.tail + AHEAD as u64).min(self.head + self.capacity as u64);
        let (from, len) = (self.offset(self.clean), (end - self.clean) as usize);
        let first = len.min(self.capacity - from);
        memory.zero(DATA + from, first);
        memory.zero(DATA, len - first);
        self.clean = end;
    }

    /// Wakes the consumer if it sleeps. To be called after a commit.
    #[inline]
    pub(crate) fn notify<M: Memory>(&self, memory: &M) {
        memory.light_fence();
        if memory.load(CONSUMER_SLEEPS, Relaxed) != 0 {
            attend(memory, CONSUMER_SLEEPS, PRODUCER_CPU);
        }
    }

    fn offset(&self, position: u64) -> usize {
        position as usize & (self.capacity - 1)
    }
}

/// The consumer's own state.
#[derive(Debug)]
pub(crate) struct Consumer {
    capacity: usize,
    head: u64,
}

/// A record that was found: where its message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The offset of the message.
    pub(crate) at: usize,
    /// Its length.
    pub(crate) len: usize,
}

impl Consumer {
    /// Of a ring whose data is zero and that nobody has used.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { capacity, head: 0 }
    }

    /// Of a ring that consumers before have received from, up to `head`.
    pub(crate) const fn resume(capacity: usize, head: u64) -> Self {
        Self { capacity, head }
    }

    /// How far it is, in bytes since the beginning.
    pub(crate) const fn position(&self) -> u64 {
        self.head
    }

    /// Passes a record without telling the producer.
    #[inline]
    pub(crate) fn skip(&mut self, found: Found) {
        // Where consumers come and go it began where the ring said, which may be anything.
        self.head = self.head.wrapping_add(record(found.len) as u64);
    }

    /// Finds the next record where there is one, and nothing is special: the way of nearly all messages.
    #[inline]
    pub(crate) fn peek_known<M: Memory>(&self, memory: &M) -> Option<Found> {
        let pos = self.head as usize & (self.capacity - 1);
        let header = memory.load(DATA + pos, Acquire);
        // Whatever else the header says makes it too long.
        let len = header ^ COMMITTED;
        if len > max_len(self.capacity) as u64 {
            return None;
        }
        let len = len as usize;
        (record(len) <= self.capacity - pos).then_some(Found { at: DATA + pos + HEADER, len })
    }

    /// Finds the next record.
    #[inline]
    pub(crate) fn peek<M: Memory>(&mut self, memory: &M) -> Result<Found, NotReceived> {
        loop {
            let pos = self.head as usize & (self.capacity - 1);
            let header = memory.load(DATA + pos, Acquire);
            if header == 0 {
                return Err(self.nothing(memory, pos));
            }
            // Whatever else the header says makes it too long.
            let len = usize::try_from(header & !(COMMITTED | PAD)).unwrap_or(usize::MAX);
            let rest = self.capacity - pos;
            match header & (COMMITTED | PAD) {
                COMMITTED if len <= max_len(self.capacity) && record(len) <= rest => {
                    return Ok(Found { at: DATA + pos + HEADER, len });
                }
                // A pad at the very beginning would be followed by another one, for ever.
                pad if pad == COMMITTED | PAD && len == rest - HEADER && pos != 0 => {
                    self.head = self.head.wrapping_add(rest as u64);
                }
                _ => return Err(NotReceived::Corrupted),
            }
        }
    }

    /// What it means that there is no record.
    fn nothing<M: Memory>(&self, memory: &M, pos: usize) -> NotReceived {
        // What was committed before the producer went is there now.
        if memory.load(PRODUCER_GONE, Acquire) != 0 && memory.load(DATA + pos, Acquire) == 0 {
            return NotReceived::Gone;
        }
        NotReceived::Empty
    }

    /// Lets go of a record, and wakes the producer if it sleeps for want of room.
    #[inline]
    pub(crate) fn release<M: Memory>(&mut self, memory: &M, found: Found) {
        self.skip(found);
        self.publish(memory);
    }

    /// Tells the producer of all records that were passed, and wakes it if it sleeps for want of room.
    #[inline]
    pub(crate) fn publish<M: Memory>(&self, memory: &M) {
        memory.store(HEAD, self.head, Release);
        memory.light_fence();
        if memory.load(PRODUCER_SLEEPS, Relaxed) != 0 {
            attend(memory, PRODUCER_SLEEPS, CONSUMER_CPU);
        }
    }
}

/// Does what the other end's word asks for: a full fence, because it makes none that reaches us, and to be
/// woken by an end that says where it runs, in the word `cpu`.
#[cold]
pub(crate) fn attend<M: Memory>(memory: &M, at: usize, cpu: usize) {
    if memory.load(at, Relaxed) & WANTS_FENCES != 0 {
        memory.full_fence();
    }
    if memory.load(at, Relaxed) & ASLEEP != 0 {
        publish_cpu(memory, cpu);
        wake(memory, at);
    }
}

/// Says in a word which processor this end runs on. An end that waits does not spin on that one.
pub(crate) fn publish_cpu<M: Memory>(memory: &M, at: usize) {
    let cpu = memory.this_cpu();
    if memory.load(at, Relaxed) != cpu {
        memory.store(at, cpu, Relaxed);
    }
}

/// Wakes who sleeps at a word.
pub(crate) fn wake<M: Memory>(memory: &M, at: usize) {
    let word = memory.load(at, Relaxed);
    // Only that it sleeps: whether it wants fences it may say anew at this moment.
    let _ = memory.compare_exchange(at, word, word & !ASLEEP);
    memory.wake(at, 1);
}

/// Says that this end has gone, and wakes the other.
pub(crate) fn leave<M: Memory>(memory: &M, gone: usize, sleeps: usize) {
    memory.store(gone, 1, Release);
    memory.heavy_fence();
    wake(memory, sleeps);
}

/// Asks to be woken by other means than the futex; whether that is needed, because nothing is there.
pub(crate) fn arm<M: Memory>(memory: &M, at: usize, ready: impl FnOnce() -> bool) -> bool {
    let awake = memory.load(at, Relaxed) & WANTS_FENCES;
    memory.store(at, awake | ASLEEP, Relaxed);
    memory.heavy_fence();
    if ready() {
        memory.store(at, awake, Relaxed);
        return false;
    }
    true
}

/// Sleeps until the other end wakes us, for `timeout` at most. `ready` says whether there is something to
/// do already.
///
/// The other end looks at the word after each of its steps, with nothing but a light fence between. So this
/// end makes the heavy one: either it sees the step, or the other end sees the word. Unless the word has asked
/// the other end for full fences, and was seen: then one of its own will do.
///
/// Whether the time was over.
pub(crate) fn sleep<M: Memory>(
    memory: &M,
    at: usize,
    timeout: Duration,
    ready: impl FnOnce() -> bool,
) -> bool {
    let awake = memory.load(at, Relaxed) & WANTS_FENCES;
    memory.store(at, awake | ASLEEP, Relaxed);
    if awake == 0 {
        memory.heavy_fence();
    } else {
        memory.full_fence();
    }
    let over = !ready() && memory.sleep(at, (awake | ASLEEP) as u32, timeout);
    memory.store(at, awake, Relaxed);
    over
}

/// Asks the other end, in the word at which this one sleeps, to make a full fence after each step; or no
/// more.
pub(crate) fn want_fences<M: Memory>(memory: &M, at: usize, yes: bool) {
    memory.store(at, if yes { WANTS_FENCES } else { 0 }, Relaxed);
    if yes {
        // From here on the other end's looks at the word see it.
        memory.heavy_fence();
    }
}

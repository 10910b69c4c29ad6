//! The protocol of a ring that grows.
//!
//! It is a chain of segments, each of which is a ring of one producer and one consumer. As long as the
//! consumer keeps up, both go round and round in one segment. When that is full, the producer takes another
//! one, ends the full one with a record that says which, and goes on there. The consumer follows when it has
//! received everything before, and gives the segment back.
//!
//! ```text
//!    0  MAGIC, LENGTH of a segment's data, ELEMENT, SEGMENTS: how many there are
//!  128  PRODUCER: who it is
//!  256  CONSUMER: who it is
//!  512  CONSUMER_SLEEPS, CONSUMER_GONE
//!  640  PRODUCER_SLEEPS, PRODUCER_GONE
//! 1024  TAKEN: for each segment, 1 while it is in the chain
//!       the segments, each at the beginning of a page: HEAD at 384, data at 1024
//! ```

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::layout::{COMMITTED, CONSUMER_CPU, DATA, HEAD, PRODUCER_SLEEPS};
use super::memory::Memory;
use super::part::Part;
use super::spsc_core::{Consumer, Found, NotReceived, Producer, attend};

pub(crate) const SEGMENTS: usize = 24;
pub(crate) const TAKEN: usize = 1024;

/// The bit of a header that is no message: the rest of the header is the next segment's number.
const MOVED: u64 = 1 << 61;

/// The most segments.
pub(crate) const MOST: usize = 1 << 16;

/// How many segments there are, and how long each is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain {
    pub(crate) capacity: usize,
    pub(crate) segments: usize,
    pub(crate) page: usize,
}

impl Chain {
    pub(crate) const fn header_len(self) -> usize {
        (TAKEN + 8 * self.segments).next_multiple_of(self.page)
    }

    pub(crate) const fn stride(self) -> usize {
        (DATA + self.capacity).next_multiple_of(self.page)
    }

    pub(crate) const fn region_len(self) -> usize {
        // On a small machine it is more than there is, which nobody's memory is.
        self.segments.saturating_mul(self.stride()).saturating_add(self.header_len())
    }

    /// Where a segment begins.
    pub(crate) const fn at(self, segment: usize) -> usize {
        self.header_len() + segment * self.stride()
    }

    pub(crate) fn segment<M>(self, memory: &M, segment: usize) -> Segment<'_, M> {
        Part { memory, base: self.at(segment) }
    }
}

/// A segment's memory as a ring of one producer. What says who sleeps or has gone is the same for all segments.
pub(crate) type Segment<'a, M> = Part<'a, M, true>;

/// Finds a segment that is not in the chain.
pub(crate) fn free_segment(memory: &impl Memory, chain: Chain, current: usize) -> Option<usize> {
    // The first ones first: their memory is kept, and in the caches.
    let free = |it: &usize| *it != current && memory.load(TAKEN + 8 * it, Acquire) == 0;
    (0..chain.segments).find(free)
}

/// Goes on in another segment, whose memory is reserved. `core` is that of the segment `from`.
pub(crate) fn go_on(
    memory: &impl Memory,
    chain: Chain,
    core: &Producer,
    from: usize,
    to: usize,
) -> Producer {
    memory.store(TAKEN + 8 * to, 1, Relaxed);
    let next = chain.segment(memory, to);
    // It may have been used before.
    next.store(HEAD, 0, Relaxed);
    next.store(DATA, 0, Relaxed);
    let at = DATA + (core.position() as usize & (chain.capacity - 1));
    chain.segment(memory, from).store(at, COMMITTED | MOVED | to as u64, Release);
    Producer::resume(chain.capacity, 0, 0)
}

/// The consumer's own state.
#[derive(Debug)]
pub(crate) struct Follower {
    chain: Chain,
    pub(crate) segment: usize,
    core: Consumer,
}

impl Follower {
    pub(crate) const fn new(chain: Chain) -> Self {
        Self { chain, segment: 0, core: Consumer::new(chain.capacity) }
    }

    pub(crate) const fn is_unused(&self) -> bool {
        self.segment == 0 && self.core.position() == 0
    }

    /// How far it is, as far as that tells a stream from a dialogue.
    pub(crate) const fn position(&self) -> u64 {
        self.core.position()
    }

    /// The next message of this segment, where nothing is special: the way of nearly all messages.
    #[inline]
    pub(crate) fn peek_known<M: Memory>(&self, memory: &M) -> Option<Found> {
        self.core.peek_known(&self.chain.segment(memory, self.segment))
    }

    /// Finds the next message. `leave` gives the memory of a segment back.
    #[inline]
    pub(crate) fn peek<M: Memory>(
        &mut self,
        memory: &M,
        leave: impl FnMut(usize),
    ) -> Result<Found, NotReceived> {
        match self.core.peek(&self.chain.segment(memory, self.segment)) {
            // It is no message; perhaps it says where to go on.
            Err(NotReceived::Corrupted) => self.follow(memory, leave),
            found => found,
        }
    }

    #[cold]
    fn follow<M: Memory>(
        &mut self,
        memory: &M,
        mut leave: impl FnMut(usize),
    ) -> Result<Found, NotReceived> {
        let part = self.chain.segment(memory, self.segment);
        let at = DATA + (self.core.position() as usize & (self.chain.capacity - 1));
        let header = part.load(at, Acquire);
        let to = usize::try_from(header & !(COMMITTED | MOVED)).unwrap_or(usize::MAX);
        let moved = header & (COMMITTED | MOVED) == COMMITTED | MOVED;
        if !moved || to >= self.chain.segments || to == self.segment {
            return Err(NotReceived::Corrupted);
        }
        leave(self.segment);
        memory.store(TAKEN + 8 * self.segment, 0, Release);
        memory.light_fence();
        if memory.load(PRODUCER_SLEEPS, Relaxed) != 0 {
            attend(memory, PRODUCER_SLEEPS, CONSUMER_CPU);
        }
        self.segment = to;
        self.core = Consumer::new(self.chain.capacity);
        // One segment at a time: a producer that breaks the rules could lead us in circles.
        self.core.peek(&self.chain.segment(memory, to)).map_err(|why| match why {
            NotReceived::Corrupted => NotReceived::Empty,
            why => why,
        })
    }

    /// Lets go of a message.
    #[inline]
    pub(crate) fn release<M: Memory>(&mut self, memory: &M, found: Found) {
        self.core.release(&self.chain.segment(memory, self.segment), found);
    }
}

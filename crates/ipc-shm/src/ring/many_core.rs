//! The protocol of a ring with several producers, and perhaps several consumers.
//!
//! Each producer has a **lane**: a ring of one producer, as `spsc_core` has it. So what a producer claims is its
//! own: no producer waits for another, and one that is killed or stopped in the middle of a message keeps
//! nobody else from sending or receiving. A lane is taken by writing the identity of a process into it, and is
//! taken from a process only when the kernel says that it has ended.
//!
//! A consumer looks into the lanes in turns. Where there are several consumers, a lane has a lock, which is
//! the identity of the process that receives from it.
//!
//! ```text
//!    0  MAGIC, LENGTH of a lane's data, ELEMENT, LANES: how many there are
//!  128  USED: how many lanes were ever taken
//!  512  CONSUMER_SLEEPS, CONSUMER_GONE, CONSUMER_CPU, CONSUMER_CAME: of all consumers
//! 1024  RECEIVERS: the identities of 64 consumers, 0 for none
//! 2048  the lanes. Of each, relative to its beginning:
//!   128    PRODUCER: whose it is, 0 for nobody's
//!   384    HEAD, LOCK
//!   640    PRODUCER_SLEEPS, PRODUCER_CPU
//!  1024    data
//! ```

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::dialogue::Bed;
use super::layout::{DATA, FAR, HEAD, HEADER, PRODUCER, PRODUCER_CPU, PRODUCER_SLEEPS, record};
use super::memory::Memory;
use super::part::Part;
use super::places::{Places, free, take};
use super::sleepers::{rouse_all, somebody_sleeps, wake_some};
use super::spsc_core::{Consumer, Found, NotReceived, Producer, wake};

/// How many lanes there are.
pub(crate) const LANES: usize = 24;
pub(crate) const USED: usize = 128;
pub(crate) const RECEIVERS: usize = 1024;
pub(crate) const HEADER_LEN: usize = 2048;
/// Who receives from a lane: beside HEAD, which the same process is about to write.
pub(crate) const LOCK: usize = HEAD + 8;

/// The most producers and the most consumers.
pub(crate) const MOST: usize = 64;
/// All consumers.
const ALL: u32 = 64;

/// How many messages a consumer takes from a lane before it looks into the next one.
const STREAK: u32 = 32;

/// How many lanes there are, and how long each is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) capacity: usize,
    pub(crate) lanes: usize,
    /// How many consumers there may be.
    pub(crate) receivers: usize,
}

impl Shape {
    pub(crate) const fn region_len(self) -> usize {
        // On a small machine it is more than there is, which nobody's memory is.
        self.lanes.saturating_mul(self.stride()).saturating_add(HEADER_LEN)
    }

    const fn stride(self) -> usize {
        (DATA + self.capacity).next_multiple_of(128)
    }

    pub(crate) fn lane<M>(self, memory: &M, lane: usize) -> Lane<'_, M> {
        Part { memory, base: HEADER_LEN + lane * self.stride() }
    }

    /// Where the consumers are written down.
    pub(crate) const fn places(self) -> Places {
        Places { first: RECEIVERS, stride: 8, count: self.receivers }
    }

    /// How many lanes were ever taken.
    fn used(self, memory: &impl Memory) -> usize {
        usize::try_from(memory.load(USED, Acquire)).map_or(self.lanes, |it| it.min(self.lanes))
    }
}

/// A lane's memory as a ring of one producer. What says whether consumers sleep or have gone is the same for
/// all lanes.
pub(crate) type Lane<'a, M> = Part<'a, M, false>;

/// Takes a lane that is `from`'s (0: nobody's) for the process `identity`: `only` this one, if it says.
pub(crate) fn take_lane(
    memory: &impl Memory,
    shape: Shape,
    from: u64,
    only: Option<usize>,
    identity: u64,
) -> Option<usize> {
    let at = |lane| shape.lane(memory, lane).data(PRODUCER);
    take(memory, shape.lanes, at, (from, only), identity)
}

/// The producer of a lane that was just taken: it goes on after what the one before has committed. `None` if
/// what stands there are no records.
pub(crate) fn resume(memory: &impl Memory, shape: Shape, lane: usize) -> Option<Producer> {
    let part = shape.lane(memory, lane);
    // Consumers may go on at the same time; but nobody writes.
    let head = part.load(HEAD, Acquire);
    if !head.is_multiple_of(8) || head > FAR {
        return None;
    }
    // There is always a header of 0 after the last record.
    let end = head + (shape.capacity - HEADER) as u64;
    let mut records = Consumer::resume(shape.capacity, head);
    loop {
        match records.peek(&part) {
            Ok(found) => records.skip(found),
            Err(NotReceived::Corrupted) => return None,
            Err(_) => break,
        }
        if records.position() > end {
            return None;
        }
    }
    let producer = Producer::resume(shape.capacity, head, records.position());
    // From now on consumers look into it.
    let mut used = memory.load(USED, Relaxed);
    while (used as usize) < lane + 1 {
        match memory.compare_exchange(USED, used, lane as u64 + 1) {
            Ok(_) => break,
            Err(now) => used = now,
        }
    }
    Some(producer)
}

/// Gives a lane up, for `heir` (0: nobody).
pub(crate) fn leave_lane(memory: &impl Memory, shape: Shape, lane: usize, heir: u64) {
    shape.lane(memory, lane).store(PRODUCER, heir, Release);
    rouse_all(memory);
}

/// Tells the producers that the last consumer has gone.
fn tell_producers(memory: &impl Memory, shape: Shape) {
    for lane in 0..shape.used(memory) {
        wake(&shape.lane(memory, lane), PRODUCER_SLEEPS);
    }
}

/// Gives a consumer's place up, for `heir` (0: nobody).
pub(crate) fn leave_place(memory: &impl Memory, shape: Shape, place: usize, heir: u64) {
    if shape.places().leave(memory, place, heir) {
        tell_producers(memory, shape);
    }
}

/// Takes from processes that have ended what they held: lanes, locks and places.
pub(crate) fn bury(memory: &impl Memory, shape: Shape, mut is_dead: impl FnMut(u64) -> bool) {
    // All lanes: whoever took one may have been killed before it said so in USED.
    for lane in 0..shape.lanes {
        let part = shape.lane(memory, lane);
        for word in [PRODUCER, LOCK] {
            free(&part, word, &mut is_dead);
        }
    }
    if shape.places().bury(memory, &mut is_dead) {
        tell_producers(memory, shape);
    }
}

/// A consumer's own state.
#[derive(Debug)]
pub(crate) struct Receiving {
    shape: Shape,
    /// What this consumer knows of each lane; where there are several consumers, only while it has the lock.
    lanes: Vec<Consumer>,
    /// The lane to look into first.
    turn: usize,
    streak: u32,
    /// What to lock lanes with, where there are several consumers.
    key: Option<u64>,
    /// How many bytes of records it has received.
    received: u64,
    /// How often a lane with a record was locked since [`is_kept_out`](Self::is_kept_out) was asked.
    kept_out: u32,
}

/// A message that was found, in a lane that is locked.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub(crate) lane: usize,
    pub(crate) found: Found,
}

impl Receiving {
    /// `key` is this process's identity, where there are several consumers.
    pub(crate) fn new(memory: &impl Memory, shape: Shape, key: Option<u64>) -> Self {
        let head = |lane| shape.lane(memory, lane).load(HEAD, Acquire) & !7;
        let lanes = (0..shape.lanes).map(|lane| Consumer::resume(shape.capacity, head(lane)));
        Self { shape, lanes: lanes.collect(), turn: 0, streak: 0, key, received: 0, kept_out: 0 }
    }

    /// Where it sleeps.
    pub(crate) const fn bed(&self) -> Bed {
        if self.key.is_some() { Bed::Consumers } else { Bed::OnlyConsumer }
    }

    /// How far it is, as far as that tells a stream from a dialogue.
    pub(crate) const fn position(&self) -> u64 {
        self.received
    }

    /// Whether lanes with records were often locked by others since this was asked. Who has one locked may be
    /// dead, and nobody else would look as long as there are messages in other lanes.
    #[inline]
    pub(crate) fn is_kept_out(&mut self) -> bool {
        const OFTEN: u32 = 64;
        self.kept_out >= OFTEN && std::mem::take(&mut self.kept_out) > 0
    }

    /// Whether a producer was last seen on the processor that this thread runs on.
    pub(crate) fn shares_cpu(&self, memory: &impl Memory) -> bool {
        let here = memory.this_cpu();
        (0..self.shape.used(memory)).map(|lane| self.shape.lane(memory, lane)).any(|lane| {
            lane.load(PRODUCER_CPU, Relaxed) == here && lane.load(PRODUCER, Relaxed) != 0
        })
    }

    /// The next message of the lane whose turn it is, where there is one consumer and so no lock: the way of nearly
    /// all messages.
    #[inline]
    pub(crate) fn find_known<M: Memory>(&self, memory: &M) -> Option<Taken> {
        let (lane, None) = (self.turn, self.key) else { return None };
        let found = self.lanes.get(lane)?.peek_known(&self.shape.lane(memory, lane))?;
        Some(Taken { lane, found })
    }

    /// Finds a message, and locks its lane.
    pub(crate) fn find<M: Memory>(&mut self, memory: &M) -> Result<Taken, NotReceived> {
        let used = self.shape.used(memory);
        let mut lane = self.turn;
        for _ in 0..used {
            if lane >= used {
                lane = 0;
            }
            match self.look(memory, lane) {
                Ok(found) => {
                    if lane != self.turn {
                        (self.turn, self.streak) = (lane, 0);
                    }
                    return Ok(Taken { lane, found });
                }
                Err(NotReceived::Corrupted) => return Err(NotReceived::Corrupted),
                Err(_) => lane += 1,
            }
        }
        Err(self.nothing(memory, used))
    }

    fn look<M: Memory>(&mut self, memory: &M, lane: usize) -> Result<Found, NotReceived> {
        let part = self.shape.lane(memory, lane);
        let Some(key) = self.key else { return self.lanes[lane].peek(&part) };
        if !self.has_record(memory, lane) {
            return Err(NotReceived::Empty);
        }
        if part.compare_exchange(LOCK, 0, key).is_err() {
            self.kept_out = self.kept_out.wrapping_add(1);
            return Err(NotReceived::Empty);
        }
        let head = part.load(HEAD, Relaxed);
        self.lanes[lane] = Consumer::resume(self.shape.capacity, head);
        let found = match head.is_multiple_of(8) {
            true => self.lanes[lane].peek(&part),
            false => Err(NotReceived::Corrupted),
        };
        if found.is_err() {
            self.unlock(memory, lane);
        }
        found
    }

    /// Whether there is a record in a lane, as far as can be seen without its lock.
    fn has_record(&self, memory: &impl Memory, lane: usize) -> bool {
        let part = self.shape.lane(memory, lane);
        let head = match self.key {
            Some(_) => part.load(HEAD, Acquire),
            None => self.lanes[lane].position(),
        };
        part.load(DATA + (head as usize & (self.shape.capacity - 1) & !7), Acquire) != 0
    }

    /// Whether there is something for another consumer: a record that nobody has locked.
    pub(crate) fn leaves_something(&self, memory: &impl Memory) -> bool {
        (0..self.shape.used(memory)).any(|lane| {
            self.has_record(memory, lane) && self.shape.lane(memory, lane).load(LOCK, Relaxed) == 0
        })
    }

    /// What it means that nothing was found.
    fn nothing(&self, memory: &impl Memory, used: usize) -> NotReceived {
        let lanes = || (0..used).map(|lane| self.shape.lane(memory, lane));
        if used == 0 || lanes().any(|lane| lane.load(PRODUCER, Acquire) != 0) {
            return NotReceived::Empty;
        }
        // What was committed before the last producer went is there now; and who has a lane locked may put
        // its message back.
        let rest = (0..used).any(|lane| self.has_record(memory, lane));
        if rest || self.key.is_some() && lanes().any(|lane| lane.load(LOCK, Acquire) != 0) {
            return NotReceived::Empty;
        }
        NotReceived::Gone
    }

    /// Lets go of a message that was found.
    #[inline]
    pub(crate) fn release<M: Memory>(&mut self, memory: &M, taken: Taken) {
        let Taken { lane, found } = taken;
        self.lanes[lane].release(&self.shape.lane(memory, lane), found);
        self.received = self.received.wrapping_add(record(found.len) as u64);
        self.streak += 1;
        if self.streak == STREAK {
            (self.turn, self.streak) = (lane + 1, 0);
        }
        self.unlock(memory, lane);
    }

    /// Leaves a message that was found to the next one who looks.
    pub(crate) fn put_back<M: Memory>(&self, memory: &M, taken: Taken) {
        self.unlock(memory, taken.lane);
    }

    #[inline]
    fn unlock<M: Memory>(&self, memory: &M, lane: usize) {
        if self.key.is_none() {
            return;
        }
        self.shape.lane(memory, lane).store(LOCK, 0, Release);
        // Another consumer may have found the lane locked, and gone to sleep.
        memory.light_fence();
        if somebody_sleeps(memory) {
            self.pass_on(memory, lane);
        }
    }

    #[cold]
    fn pass_on<M: Memory>(&self, memory: &M, lane: usize) {
        memory.full_fence();
        if self.has_record(memory, lane) {
            wake_some(memory, 1);
        } else if self.shape.lane(memory, lane).load(PRODUCER, Acquire) == 0 {
            // This may have been all that kept them from learning of the end.
            wake_some(memory, ALL);
        }
    }
}

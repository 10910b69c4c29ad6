//! The sending end.

use std::time::Duration;

use ipc_core::{Error, Result, SendMsg, Wait};

use super::{End, Grant, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::couple::SENDER;
use crate::ring::dialogue::Bed;
use crate::ring::in_place::{self, Reserves};
use crate::ring::layout::CONSUMER_CPU;
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::seek::{Miss, Seek, runs_here, seek};
use crate::ring::spsc_core::{Claim, NotSent, Producer};
use crate::ring::unbounded_core::{Chain, Segment, free_segment, go_on};

const SEND: &str = "send to ring";

/// The sending end of a ring that grows.
///
/// # Blocking
///
/// Sending makes no system call, unless the receiver sleeps or a segment is full; then it reserves memory for
/// the next one. It waits at [`RingOptions::limit`] only.
///
/// # Peer death
///
/// A receiver that is dropped, or whose process dies, makes every send
/// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected). The death
/// of a process is noticed when a segment is full.
///
/// # Errors
///
/// As [`SendMsg`] says; [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when there is no
/// memory for another segment: nothing was
/// sent. [`ErrorKind::Corrupted`](ipc_core::ErrorKind::Corrupted), from then on, when the receiver has written
/// nonsense into the ring.
///
/// # Examples
///
/// See [`unbounded`](crate::ring::unbounded).
#[derive(Debug)]
pub struct Sender {
    pub(super) end: End,
    segment: usize,
    core: Producer,
}

impl Sender {
    pub(super) fn open(memory: Memfd, options: &RingOptions, inherits: bool) -> Result<Self> {
        let end = open(memory, SENDER, options, inherits)?;
        let capacity = end.shape.capacity;
        let core =
            if inherits { Producer::resume(capacity, 0, 0) } else { Producer::new(capacity) };
        Ok(Self { end, segment: 0, core })
    }

    pub(super) const fn is_unused(&self) -> bool {
        self.segment == 0 && self.core.position() == 0
    }

    /// Makes room for a message of `len` bytes, which is then written in its place and not copied.
    ///
    /// # Errors
    ///
    /// Those of [`SendMsg`].
    ///
    /// # Examples
    ///
    /// See [`spsc::Sender::reserve`](crate::ring::spsc::Sender::reserve).
    #[inline]
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<Grant<'_>> {
        let claim = match self.claim_known(len) {
            Some(claim) => claim,
            None => self.claim(len, wait)?,
        };
        // What is written into a grant that is then dropped stands where headers will be.
        self.core.forget_clean();
        Ok(in_place::Grant::new(self, claim))
    }

    #[cold]
    fn claim(&mut self, len: usize, wait: Wait) -> Result<Claim> {
        self.end.check_len(len, self.core.max_len(), SEND)?;
        match self.core.claim(&self.end.shape.segment(&self.end.memory, self.segment), len) {
            Ok(claim) => Ok(claim),
            Err(NotSent::Full) => self.grow(len, wait),
            Err(why) => seek(Room { sender: self, len, failed: &mut None }, wait, why.into()),
        }
    }

    /// Room for a message, where there is some without a look.
    #[inline]
    fn claim_known(&self, len: usize) -> Option<Claim> {
        let is_possible = len <= self.core.max_len() && !self.end.corrupted;
        if is_possible { self.core.claim_known(&self.segment(), len) } else { None }
    }

    /// Writes a message into its room and sends it.
    #[inline]
    fn put(&mut self, claim: Claim, msg: &[u8]) {
        self.segment().write(claim.at, msg);
        Reserves::commit(self, claim);
    }

    #[cold]
    #[inline(never)]
    fn send_otherwise(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let claim = self.claim(msg.len(), wait)?;
        self.put(claim, msg);
        Ok(())
    }

    #[inline]
    fn segment(&self) -> Segment<'_, Mapped<Memfd>> {
        self.end.shape.segment(&self.end.memory, self.segment)
    }

    #[cold]
    fn grow(&mut self, len: usize, wait: Wait) -> Result<Claim> {
        // Nobody else would notice that a receiver is dead for which memory is taken.
        if self.end.check_is_due() {
            self.end.check();
        }
        let miss = match self.go_on(len)? {
            Ok(claim) => return Ok(claim),
            Err(why) => why.into(),
        };
        let mut failed = None;
        let claim = seek(Room { sender: self, len, failed: &mut failed }, wait, miss);
        failed.map_or(claim, Err)
    }

    /// Finds room in this segment or the next. The outer error is that there is no memory.
    fn go_on(&mut self, len: usize) -> Result<Result<Claim, NotSent>> {
        let Self { end, segment, core } = self;
        let (memory, chain) = (&end.memory, end.shape);
        match core.claim(&chain.segment(memory, *segment), len) {
            Err(NotSent::Full) => {}
            other => return Ok(other),
        }
        let Some(next) = free_segment(memory, chain, *segment) else {
            return Ok(Err(NotSent::Full));
        };
        memory.region().reserve(chain.at(next), chain.stride())?;
        *core = go_on(memory, chain, core, *segment, next);
        *segment = next;
        // The receiver may sleep, and the segment that it is in is full: it was woken when that was filled.
        Ok(core.claim(&chain.segment(memory, next), len))
    }
}

/// A sender that looks for room.
struct Room<'a> {
    sender: &'a mut Sender,
    len: usize,
    /// There is a segment, and no memory for it.
    failed: &'a mut Option<Error>,
}

impl Seek for Room<'_> {
    type Region = Memfd;
    type Shape = Chain;
    type Found = Claim;
    const ROOM: bool = true;
    const OP: &'static str = SEND;

    fn member(&mut self) -> &mut End {
        &mut self.sender.end
    }

    fn look(&mut self) -> Result<Claim, Miss> {
        match self.sender.go_on(self.len) {
            Ok(claim) => Ok(claim?),
            Err(error) => {
                *self.failed = Some(error);
                Err(Miss::Gone)
            }
        }
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Sender { end, segment, core } = &mut *self.sender;
        let (memory, chain, len) = (&end.memory, end.shape, self.len);
        // In a ring that is full, each sleep ends with a segment.
        end.dialogue.sleep(memory, Bed::Producer, core.position(), time, || {
            let full =
                matches!(core.claim(&chain.segment(memory, *segment), len), Err(NotSent::Full));
            !full || free_segment(memory, chain, *segment).is_some()
        })
    }

    fn found(&mut self) {
        let Sender { end, core, .. } = &mut *self.sender;
        end.dialogue.found(&end.memory, Bed::Producer, core.position());
    }

    fn shares_cpu(&mut self) -> bool {
        runs_here(&self.sender.end.memory, CONSUMER_CPU)
    }
}

impl SendMsg for Sender {
    fn max_len(&self) -> usize {
        self.core.max_len()
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let Some(claim) = self.claim_known(msg.len()) else {
            return self.send_otherwise(msg, wait);
        };
        self.put(claim, msg);
        Ok(())
    }
}

impl Reserves for Sender {
    type Region = Memfd;

    fn room(&self, claim: Claim) -> (&Mapped<Memfd>, usize) {
        (&self.end.memory, self.segment().data(claim.at))
    }

    #[inline]
    fn commit(&mut self, claim: Claim) {
        let part = self.end.shape.segment(&self.end.memory, self.segment);
        self.core.commit(&part, claim);
        self.core.notify(&part);
        self.core.tidy(&part, claim.len);
    }
}

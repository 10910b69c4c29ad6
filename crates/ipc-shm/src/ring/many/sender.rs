//! A sending end.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Release;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, RegionMut, Result, SendMsg, Wait};

use super::{ATTACH, End, Grant, Kind, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::dialogue::Bed;
use crate::ring::in_place::{self, Reserves};
use crate::ring::layout::{CONSUMER_CPU, PRODUCER_CPU, PRODUCER_SLEEPS, WANTS_FENCES};
use crate::ring::many_core::{Lane, Shape, leave_lane, resume, take_lane};
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::seek::{Miss, Seek, runs_here, seek};
use crate::ring::sleepers::notify;
use crate::ring::spsc_core::{Claim, NotSent, Producer};

const SEND: &str = "send to ring";

/// A sending end of a ring with several senders.
///
/// Each has room of its own, as much as [`RingOptions::capacity`] says: it waits for receivers, and never for
/// another sender. Its messages are received in the order in which it sent them; those of different senders
/// in any.
///
/// # Blocking
///
/// Sending makes no system call, unless a receiver sleeps or there is no room; then it waits as its
/// [`Strategy`](crate::ring::Strategy) says.
///
/// # Peer death
///
/// When there is no receiver any more, every send is [`ErrorKind::Disconnected`], until another one
/// attaches. The death of a process is noticed by who waits, within 20 ms. Before the first receiver has
/// attached, messages wait for it.
///
/// # Errors
///
/// As [`SendMsg`] says; [`ErrorKind::Corrupted`], from then on, when a receiver has written nonsense into
/// the ring.
///
/// # Examples
///
/// See [`mpsc`](crate::ring::mpsc) and [`mpmc`](crate::ring::mpmc).
#[derive(Debug)]
pub struct Sender<K: Kind, R: RegionMut = Memfd> {
    pub(super) end: End<R>,
    /// The number of its lane.
    pub(super) place: usize,
    core: Producer,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind, R: RegionMut> Sender<K, R> {
    /// Takes a sender's place in the ring that was made in this memory: a free one, or that of a process that
    /// has ended.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no ring yet;
    /// - [`ErrorKind::Corrupted`] when there is something else;
    /// - [`ErrorKind::WrongType`] when it is another kind of ring, one of another element, or one of another
    ///   version of this crate;
    /// - [`ErrorKind::ResourceLimit`] when all places are taken;
    /// - [`ErrorKind::InvalidInput`] when the memory is too small for any ring, or
    ///   [private](crate::Private).
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false, None)
    }

    pub(super) fn open(
        region: R,
        options: &RingOptions,
        inherits: bool,
        only: Option<usize>,
    ) -> Result<Self> {
        let mut end = open::<K, R>(region, options)?;
        let take = |end: &End<R>, from| take_lane(&end.memory, end.shape, from, only, end.identity);
        let Some(place) = end.take(inherits, take) else {
            let kind = ErrorKind::ResourceLimit {
                limit: "senders of this ring",
                knob: "RingOptions::senders, where the ring is made",
            };
            return Err(Error::new(kind, ATTACH));
        };
        let Some(core) = resume(&end.memory, end.shape, place) else {
            leave_lane(&end.memory, end.shape, place, 0);
            return Err(Error::new(ErrorKind::Corrupted, ATTACH)
                .with_note("what the sender before has left are no messages"));
        };
        // What the one before wanted is nothing to this one.
        let lane = end.shape.lane(&end.memory, place);
        let wants = if end.memory.full_fences() { WANTS_FENCES } else { 0 };
        lane.store(PRODUCER_SLEEPS, wants, Release);
        lane.store(PRODUCER_CPU, lane.this_cpu(), Release);
        Ok(Self { end, place, core, kind: PhantomData })
    }

    /// Rings a doorbell when a receiver has [armed](super::Receiver::arm) it: an `eventfd`, to which 1 is added.
    /// The receiver has the same one, and gets it as it gets any descriptor. It should not block
    /// (`EFD_NONBLOCK`): a receiver that is not to be trusted could fill it, and so keep a sender that rings it.
    #[doc(alias("eventfd", "epoll"))]
    pub fn set_doorbell(&mut self, eventfd: OwnedFd) {
        self.end.memory.set_doorbell(eventfd);
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
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<Grant<'_, K, R>> {
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
        match self.core.claim(&self.end.shape.lane(&self.end.memory, self.place), len) {
            Ok(claim) => Ok(claim),
            Err(why) => seek(Room { sender: self, len }, wait, why.into()),
        }
    }

    /// Room for a message, where there is some without a look.
    #[inline]
    fn claim_known(&self, len: usize) -> Option<Claim> {
        let is_possible = len <= self.core.max_len() && !self.end.corrupted;
        if is_possible { self.core.claim_known(&self.lane(), len) } else { None }
    }

    /// Writes a message into its room and sends it.
    #[inline]
    fn put(&mut self, claim: Claim, msg: &[u8]) {
        self.lane().write(claim.at, msg);
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
    fn lane(&self) -> Lane<'_, Mapped<R>> {
        self.end.shape.lane(&self.end.memory, self.place)
    }
}

/// A sender that looks for room.
struct Room<'a, K: Kind, R: RegionMut> {
    sender: &'a mut Sender<K, R>,
    len: usize,
}

impl<K: Kind, R: RegionMut> Seek for Room<'_, K, R> {
    type Region = R;
    type Shape = Shape;
    type Found = Claim;
    const ROOM: bool = true;
    const OP: &'static str = SEND;

    fn member(&mut self) -> &mut End<R> {
        &mut self.sender.end
    }

    fn look(&mut self) -> Result<Claim, Miss> {
        let Sender { end, place, core, .. } = &mut *self.sender;
        Ok(core.claim(&end.shape.lane(&end.memory, *place), self.len)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Sender { end, place, core, .. } = &mut *self.sender;
        let lane = end.shape.lane(&end.memory, *place);
        let position = core.position();
        let ready = || !matches!(core.claim(&lane, self.len), Err(NotSent::Full));
        end.dialogue.sleep(&lane, Bed::Producer, position, time, ready)
    }

    fn found(&mut self) {
        let Sender { end, place, core, .. } = &mut *self.sender;
        let lane = end.shape.lane(&end.memory, *place);
        end.dialogue.found(&lane, Bed::Producer, core.position());
    }

    fn shares_cpu(&mut self) -> bool {
        runs_here(&self.sender.end.memory, CONSUMER_CPU)
    }
}

impl<K: Kind, R: RegionMut> SendMsg for Sender<K, R> {
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

impl<K: Kind, R: RegionMut> Reserves for Sender<K, R> {
    type Region = R;

    fn room(&self, claim: Claim) -> (&Mapped<R>, usize) {
        (&self.end.memory, self.lane().data(claim.at))
    }

    #[inline]
    fn commit(&mut self, claim: Claim) {
        let lane = self.end.shape.lane(&self.end.memory, self.place);
        self.core.commit(&lane, claim);
        notify(&lane);
        self.core.tidy(&lane, claim.len);
    }
}

impl<K: Kind, R: RegionMut> Drop for Sender<K, R> {
    fn drop(&mut self) {
        if self.end.is_own() {
            leave_lane(&self.end.memory, self.end.shape, self.place, self.end.heir);
        }
    }
}

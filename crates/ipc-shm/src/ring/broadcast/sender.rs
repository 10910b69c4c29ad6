//! The sending end.

use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use ipc_core::{Error, ErrorKind, RegionMut, Result, SendMsg, Wait};

use super::{ATTACH, End, Grant, Layout, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::broadcast_core::{Producer, end};
use crate::ring::dialogue::Bed;
use crate::ring::in_place::{self, Reserves};
use crate::ring::layout::{CONSUMER_CPU, PRODUCER, PRODUCER_CPU, PRODUCER_SLEEPS, WANTS_FENCES};
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::peers::GIVEN;
use crate::ring::seek::{Miss, Seek, runs_here, seek};
use crate::ring::sleepers::notify_all;
use crate::ring::spsc_core::{Claim, NotSent};

const SEND: &str = "send to ring";

/// The sending end of a ring whose every message is for all receivers.
///
/// # Blocking
///
/// Sending makes no system call, unless a receiver sleeps, or there is no room and nothing may be overwritten;
/// then it waits as its [`Strategy`](crate::ring::Strategy) says.
///
/// # Peer death
///
/// A receiver whose process dies is not waited for any more; who waits notices within 20 ms. When there is
/// none left, every send is [`ErrorKind::Disconnected`], until one attaches. A sender that
/// [overwrites](RingOptions::overwrite) sends on, to nobody.
///
/// # Errors
///
/// As [`SendMsg`] says; [`ErrorKind::Corrupted`], from then on, when a receiver has written nonsense into the
/// ring.
///
/// # Examples
///
/// See [`broadcast`](crate::ring::broadcast).
#[derive(Debug)]
pub struct Sender<R: RegionMut = Memfd> {
    pub(super) end: End<R>,
    /// There is one.
    pub(super) place: usize,
    pub(super) core: Producer,
}

impl<R: RegionMut> Sender<R> {
    /// Takes the sender's place in the ring that [`init`](super::init) has made in this memory.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no ring yet;
    /// - [`ErrorKind::Corrupted`] when there is something else;
    /// - [`ErrorKind::WrongType`] when it is another kind of ring, one of another element, or one of another
    ///   version of this crate;
    /// - [`ErrorKind::AlreadyExists`] when it has, or had, a sender;
    /// - [`ErrorKind::InvalidInput`] when the memory is too small for any ring, or
    ///   [private](crate::Private).
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false, None)
    }

    pub(super) fn open(
        region: R,
        options: &RingOptions,
        inherits: bool,
        _: Option<usize>,
    ) -> Result<Self> {
        let end = open(region, options)?;
        let from = if inherits { GIVEN } else { 0 };
        if end.memory.compare_exchange(PRODUCER, from, end.identity).is_err() {
            return Err(Error::new(ErrorKind::AlreadyExists, ATTACH)
                .with_note("a broadcast has one sender, and this one is taken"));
        }
        if end.memory.full_fences() {
            end.memory.store(PRODUCER_SLEEPS, WANTS_FENCES, Release);
        }
        end.memory.store(PRODUCER_CPU, end.memory.this_cpu(), Relaxed);
        let mut core = Producer::new(end.shape.capacity, end.shape.overwrites);
        if inherits {
            core.forget_clean();
        }
        Ok(Self { end, place: 0, core })
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
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<Grant<'_, R>> {
        let claim = match self.claim_known(len) {
            Some(claim) => claim,
            None => self.claim(len, wait)?,
        };
        // What is written into a grant that is then dropped stands where headers will be.
        self.core.forget_clean();
        Ok(in_place::Grant::new(self, claim))
    }

    /// Room for a message, where there is some without a look.
    #[inline]
    fn claim_known(&self, len: usize) -> Option<Claim> {
        let is_possible = len <= self.core.max_len() && !self.end.corrupted;
        if is_possible { self.core.claim_known(&self.end.memory, len) } else { None }
    }

    /// Writes a message into its room and sends it.
    #[inline]
    fn put(&mut self, claim: Claim, msg: &[u8]) {
        self.end.memory.write(claim.at, msg);
        Reserves::commit(self, claim);
    }

    #[cold]
    #[inline(never)]
    fn send_otherwise(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let claim = self.claim(msg.len(), wait)?;
        self.put(claim, msg);
        Ok(())
    }

    #[cold]
    fn claim(&mut self, len: usize, wait: Wait) -> Result<Claim> {
        self.end.check_len(len, self.core.max_len(), SEND)?;
        match self.core.claim(&self.end.memory, len) {
            Ok(claim) => Ok(claim),
            Err(why) => seek(Room { sender: self, len }, wait, why.into()),
        }
    }
}

/// A sender that looks for room.
struct Room<'a, R: RegionMut> {
    sender: &'a mut Sender<R>,
    len: usize,
}

impl<R: RegionMut> Seek for Room<'_, R> {
    type Region = R;
    type Shape = Layout;
    type Found = Claim;
    const ROOM: bool = true;
    const OP: &'static str = SEND;

    fn member(&mut self) -> &mut End<R> {
        &mut self.sender.end
    }

    fn look(&mut self) -> Result<Claim, Miss> {
        Ok(self.sender.core.claim(&self.sender.end.memory, self.len)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Sender { end, core, .. } = &mut *self.sender;
        let position = core.position();
        let ready = || !matches!(core.claim(&end.memory, self.len), Err(NotSent::Full));
        end.dialogue.sleep(&end.memory, Bed::Producer, position, time, ready)
    }

    fn found(&mut self) {
        let Sender { end, core, .. } = &mut *self.sender;
        end.dialogue.found(&end.memory, Bed::Producer, core.position());
    }

    fn shares_cpu(&mut self) -> bool {
        runs_here(&self.sender.end.memory, CONSUMER_CPU)
    }
}

impl<R: RegionMut> SendMsg for Sender<R> {
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

impl<R: RegionMut> Reserves for Sender<R> {
    type Region = R;

    fn room(&self, claim: Claim) -> (&Mapped<R>, usize) {
        (&self.end.memory, claim.at)
    }

    #[inline]
    fn commit(&mut self, claim: Claim) {
        self.core.commit(&self.end.memory, claim);
        notify_all(&self.end.memory);
    }
}

impl<R: RegionMut> Drop for Sender<R> {
    fn drop(&mut self) {
        match self.end.heir {
            _ if !self.end.is_own() => {}
            0 => end(&self.end.memory),
            heir => self.end.memory.store(PRODUCER, heir, Release),
        }
    }
}

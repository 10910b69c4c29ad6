//! The receiving end.

use std::time::Duration;

use ipc_core::{Error, ErrorKind, RecvMsg, Result, Wait};

use super::{End, View, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::couple::RECEIVER;
use crate::ring::dialogue::Bed;
use crate::ring::in_place::{self, Finds};
use crate::ring::layout::PRODUCER_CPU;
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::seek::{Miss, Seek, runs_here, seek};
use crate::ring::spsc_core::{Found, NotReceived};
use crate::ring::unbounded_core::{Chain, Follower};

const RECV: &str = "receive from ring";

/// How many segments keep their memory when they are empty.
const KEPT: usize = 2;

/// The receiving end of a ring that grows.
///
/// What a sender that died had committed is received, each message whole and once, before
/// [`ErrorKind::Disconnected`].
///
/// # Errors
///
/// As [`RecvMsg`] says; [`ErrorKind::Corrupted`], from then on, when the sender has written nonsense into
/// the ring.
///
/// # Examples
///
/// See [`unbounded`](crate::ring::unbounded).
#[derive(Debug)]
pub struct Receiver {
    pub(super) end: End,
    core: Follower,
}

impl Receiver {
    pub(super) fn open(memory: Memfd, options: &RingOptions, inherits: bool) -> Result<Self> {
        let end = open(memory, RECEIVER, options, inherits)?;
        let core = Follower::new(end.shape);
        Ok(Self { end, core })
    }

    pub(super) const fn is_unused(&self) -> bool {
        self.core.is_unused()
    }

    /// Finds the next message, which is then read in its place and not copied.
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`], but [`ErrorKind::MessageTooLarge`].
    ///
    /// # Examples
    ///
    /// See [`spsc::Sender::reserve`](crate::ring::spsc::Sender::reserve).
    #[inline]
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_>> {
        let found = match self.find_known() {
            Some(found) => found,
            None => self.find(wait)?,
        };
        Ok(in_place::View::new(self, found))
    }

    /// The next message, where there is one without a wait.
    #[inline]
    fn find_known(&self) -> Option<Found> {
        if self.end.corrupted { None } else { self.core.peek_known(&self.end.memory) }
    }

    #[cold]
    #[inline(never)]
    fn recv_otherwise(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let found = self.find(wait)?;
        let (len, max) = (found.len, buf.len());
        let Some(front) = buf.get_mut(..len) else {
            return Err(Error::new(ErrorKind::MessageTooLarge { len, max }, RECV));
        };
        self.take_out(found, front);
        Ok(len)
    }

    /// Copies a message out and receives it.
    #[inline]
    fn take_out(&mut self, found: Found, buf: &mut [u8]) {
        self.end.shape.segment(&self.end.memory, self.core.segment).read(found.at, buf);
        self.release(found);
    }

    #[cold]
    fn find(&mut self, wait: Wait) -> Result<Found> {
        self.end.check_sound(RECV)?;
        match look(&self.end.memory, self.end.shape, &mut self.core) {
            Ok(found) => Ok(found),
            Err(why) => seek(Record(self), wait, why.into()),
        }
    }
}

/// One look for a message.
#[inline]
fn look(memory: &Mapped<Memfd>, chain: Chain, core: &mut Follower) -> Result<Found, NotReceived> {
    core.peek(memory, |segment| {
        if segment >= KEPT {
            memory.region().give_back(chain.at(segment), chain.stride());
        }
    })
}

/// A receiver that looks for a record.
struct Record<'a>(&'a mut Receiver);

impl Seek for Record<'_> {
    type Region = Memfd;
    type Shape = Chain;
    type Found = Found;
    const ROOM: bool = false;
    const OP: &'static str = RECV;

    fn member(&mut self) -> &mut End {
        &mut self.0.end
    }

    fn look(&mut self) -> Result<Found, Miss> {
        let Receiver { end, core } = &mut *self.0;
        Ok(look(&end.memory, end.shape, core)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Receiver { end, core } = &mut *self.0;
        let position = core.position();
        let ready = || !matches!(look(&end.memory, end.shape, core), Err(NotReceived::Empty));
        end.dialogue.sleep(&end.memory, Bed::Consumer, position, time, ready)
    }

    fn found(&mut self) {
        let Receiver { end, core } = &mut *self.0;
        end.dialogue.found(&end.memory, Bed::Consumer, core.position());
    }

    fn shares_cpu(&mut self) -> bool {
        runs_here(&self.0.end.memory, PRODUCER_CPU)
    }
}

impl RecvMsg for Receiver {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let known = self.find_known().filter(|it| it.len <= buf.len());
        let Some(found) = known else { return self.recv_otherwise(buf, wait) };
        self.take_out(found, &mut buf[..found.len]);
        Ok(found.len)
    }
}

impl Finds for Receiver {
    type Region = Memfd;
    type Message = Found;
    type Released = ();

    fn message(&self, found: Found) -> (&Mapped<Memfd>, usize, usize) {
        let memory = &self.end.memory;
        (memory, self.end.shape.segment(memory, self.core.segment).data(found.at), found.len)
    }

    #[inline]
    fn release(&mut self, found: Found) {
        self.core.release(&self.end.memory, found);
        self.end.patience.received();
    }
}

//! A receiving end.

use std::time::Duration;

use ipc_core::{Error, ErrorKind, RecvMsg, RegionMut, Result, Wait};

use super::{ATTACH, End, Layout, View, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::broadcast_consumer::Consumer;
use crate::ring::broadcast_core::{PLACES, leave};
use crate::ring::dialogue::Bed;
use crate::ring::in_place::{self, Finds};
use crate::ring::layout::PRODUCER_CPU;
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::seek::{Miss, Seek, runs_here, seek};
use crate::ring::sleepers::want_fences;
use crate::ring::spsc_core::{Found, NotReceived};

const RECV: &str = "receive from ring";

/// A receiving end of a ring whose every message is for all receivers.
///
/// What a sender that died had committed is received, each message whole and once, before
/// [`ErrorKind::Disconnected`].
///
/// # Errors
///
/// As [`RecvMsg`] says; [`ErrorKind::Corrupted`], from then on, when the sender has written nonsense into the
/// ring.
///
/// # Examples
///
/// See [`broadcast`](crate::ring::broadcast).
#[derive(Debug)]
pub struct Receiver<R: RegionMut = Memfd> {
    pub(super) end: End<R>,
    pub(super) place: usize,
    pub(super) core: Consumer,
}

impl<R: RegionMut> Receiver<R> {
    /// Takes a receiver's place in the ring that [`init`](super::init) has made in this memory. It receives what is sent
    /// from now on.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::attach`](super::Sender::attach); but [`ErrorKind::ResourceLimit`] when there are 32 receivers.
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false, None)
    }

    pub(super) fn open(
        region: R,
        options: &RingOptions,
        inherits: bool,
        only: Option<usize>,
    ) -> Result<Self> {
        let mut end = open(region, options)?;
        let take = |end: &End<R>, from| PLACES.take(&end.memory, from, only, end.identity);
        let Some(place) = end.take(inherits, take) else {
            let kind = ErrorKind::ResourceLimit {
                limit: "receivers of a broadcast, 32",
                knob: "a second ring",
            };
            return Err(Error::new(kind, ATTACH));
        };
        if end.memory.full_fences() {
            want_fences(&end.memory);
        }
        let Layout { capacity, overwrites } = end.shape;
        let core = if inherits {
            Ok(Consumer::inherit(capacity, overwrites, place))
        } else {
            Consumer::join(&end.memory, capacity, overwrites, place)
        };
        let Ok(core) = core else {
            leave(&end.memory, place, 0);
            return Err(Error::new(ErrorKind::Corrupted, ATTACH)
                .with_note("what stands in the ring are no messages"));
        };
        Ok(Self { end, place, core })
    }

    /// How many messages were overwritten before this end received them, since it was made: 0 where the
    /// sender waits. Those received and those lost are all that were sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{RecvMsg, SendMsg};
    /// use ipc_shm::ring::{RingOptions, broadcast};
    ///
    /// let options = RingOptions::new().capacity(1024).overwrite(true);
    /// let (mut tx, mut rx) = broadcast::pair(&options)?;
    /// for number in 0..1000_u64 {
    ///     tx.send(&number.to_le_bytes())?;
    /// }
    /// let mut number = [0; 8];
    /// rx.recv(&mut number)?;
    /// assert!(rx.lost() > 900);
    /// assert_eq!(rx.lost(), u64::from_le_bytes(number));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.core.lost
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
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_, R>> {
        let found = self.find(wait)?;
        Ok(in_place::View::new(self, found))
    }

    #[inline]
    fn find(&mut self, wait: Wait) -> Result<Found> {
        self.end.check_sound(RECV)?;
        match self.core.peek(&self.end.memory) {
            Ok(found) => Ok(found),
            Err(why) => seek(Record(self), wait, why.into()),
        }
    }
}

/// A receiver that looks for a record.
struct Record<'a, R: RegionMut>(&'a mut Receiver<R>);

impl<R: RegionMut> Seek for Record<'_, R> {
    type Region = R;
    type Shape = Layout;
    type Found = Found;
    const ROOM: bool = false;
    const OP: &'static str = RECV;

    fn member(&mut self) -> &mut End<R> {
        &mut self.0.end
    }

    fn look(&mut self) -> Result<Found, Miss> {
        Ok(self.0.core.peek(&self.0.end.memory)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Receiver { end, core, .. } = &mut *self.0;
        let position = core.position();
        let ready = || !matches!(core.peek(&end.memory), Err(NotReceived::Empty));
        end.dialogue.sleep(&end.memory, Bed::Consumers, position, time, ready)
    }

    fn found(&mut self) {
        let Receiver { end, core, .. } = &mut *self.0;
        end.dialogue.found(&end.memory, Bed::Consumers, core.position());
    }

    fn shares_cpu(&mut self) -> bool {
        runs_here(&self.0.end.memory, PRODUCER_CPU)
    }
}

impl<R: RegionMut> RecvMsg for Receiver<R> {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        // A sender that breaks the rules could overwrite each message at the wrong moment, for ever.
        for _ in 0..ATTEMPTS {
            let found = self.find(wait)?;
            let max = buf.len();
            let Some(front) = buf.get_mut(..found.len) else {
                let kind = ErrorKind::MessageTooLarge { len: found.len, max };
                return Err(Error::new(kind, RECV));
            };
            self.end.memory.read(found.at, front);
            if self.release(found) {
                return Ok(found.len);
            }
            // It was overwritten meanwhile.
        }
        self.end.corrupted = true;
        Err(Error::new(ErrorKind::Corrupted, RECV))
    }
}

/// How many messages in a row can be overwritten while they are copied: each time the sender has gone round.
const ATTEMPTS: u32 = 100_000;

impl<R: RegionMut> Finds for Receiver<R> {
    type Region = R;
    type Message = Found;
    type Released = bool;

    fn message(&self, found: Found) -> (&Mapped<R>, usize, usize) {
        (&self.end.memory, found.at, found.len)
    }

    #[inline]
    fn release(&mut self, found: Found) -> bool {
        self.end.patience.received();
        self.core.release(&self.end.memory, found)
    }
}

impl<R: RegionMut> Drop for Receiver<R> {
    fn drop(&mut self) {
        if self.end.is_own() {
            self.end.dialogue.end(&self.end.memory, Bed::Consumers);
            leave(&self.end.memory, self.place, self.end.heir);
        }
    }
}

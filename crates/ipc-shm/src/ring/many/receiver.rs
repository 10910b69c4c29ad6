//! A receiving end.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, RecvMsg, RegionMut, Result, Wait};

use super::{ATTACH, End, Kind, View, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::in_place::{self, Finds};
use crate::ring::many_core::{Receiving, Shape, Taken, leave_place};
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::seek::{Miss, Seek, seek};
use crate::ring::sleepers::{arm, want_fences};
use crate::ring::spsc_core::NotReceived;

const RECV: &str = "receive from ring";

/// A receiving end of a ring with several senders.
///
/// What a sender that died had committed is received, each message whole and once. A message that was in the
/// hands of a receiver that died, which had not released it, goes to the next one.
///
/// # Peer death
///
/// When there is no sender any more and everything was received, a receive is [`ErrorKind::Disconnected`],
/// until another one attaches. Before the first sender has attached, it waits for one.
///
/// # Errors
///
/// As [`RecvMsg`] says; [`ErrorKind::Corrupted`], from then on, when a sender has written nonsense into the
/// ring.
///
/// # Examples
///
/// See [`mpsc`](crate::ring::mpsc) and [`mpmc`](crate::ring::mpmc).
#[derive(Debug)]
pub struct Receiver<K: Kind, R: RegionMut = Memfd> {
    pub(super) end: End<R>,
    pub(super) place: usize,
    core: Receiving,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind, R: RegionMut> Receiver<K, R> {
    /// Takes a receiver's place in the ring that was made in this memory: a free one, or that of a process
    /// that has ended.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::attach`](super::Sender::attach); but [`ErrorKind::AlreadyExists`] when there is a receiver and may be only
    /// one.
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
        let places = end.shape.places();
        let take = |end: &End<R>, from| places.take(&end.memory, from, only, end.identity);
        let Some(place) = end.take(inherits, take) else {
            if K::RECEIVERS == 1 {
                return Err(Error::new(ErrorKind::AlreadyExists, ATTACH)
                    .with_note("the ring has one receiver, and that lives"));
            }
            let kind = ErrorKind::ResourceLimit {
                limit: "receivers of a ring, 64",
                knob: "a second ring",
            };
            return Err(Error::new(kind, ATTACH));
        };
        if end.memory.full_fences() {
            want_fences(&end.memory);
        }
        let key = (K::RECEIVERS > 1).then_some(end.identity);
        let core = Receiving::new(&end.memory, end.shape, key);
        Ok(Self { end, place, core, kind: PhantomData })
    }

    /// Rings the doorbell for the other receivers that poll it: when this one takes a message and leaves another,
    /// and when it is dropped. All ends have the same `eventfd`. Where one receiver polls, it needs none.
    pub fn set_doorbell(&mut self, eventfd: OwnedFd) {
        self.end.memory.set_doorbell(eventfd);
    }

    /// Asks for the doorbell, which the sender has by [`set_doorbell`](super::Sender::set_doorbell), to be rung at the
    /// next message: so the ring can wait in `poll` or `epoll` beside sockets.
    ///
    /// `false` when there is something to receive already, also [`ErrorKind::Disconnected`]; `true` when there
    /// is nothing, so that now is the time to poll. A bell may ring for nothing. A sender that is killed rings
    /// none: poll with a timeout, and receive with [`Wait::Never`] to learn of it; or poll its pidfd too. Where
    /// several receivers poll, [each rings for the others](Self::set_doorbell).
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
    /// use ipc_shm::ring::{RingOptions, mpsc};
    /// use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
    ///
    /// let (mut tx, mut rx) = mpsc::pair(&RingOptions::new())?;
    /// let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    /// tx.set_doorbell(bell.try_clone()?);
    /// let sender = std::thread::spawn(move || tx.send(b"ding"));
    ///
    /// let mut buf = [0; 64];
    /// let len = loop {
    ///     if rx.arm() {
    ///         // And sockets, in the same call.
    ///         poll(&mut [PollFd::new(&bell, PollFlags::IN)], None)?;
    ///         let _ = rustix::io::read(&bell, &mut [0; 8]);
    ///     }
    ///     match rx.try_recv(&mut buf) {
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
    ///         got => break got?,
    ///     }
    /// };
    /// assert_eq!(&buf[..len], b"ding");
    /// sender.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("eventfd", "epoll"))]
    pub fn arm(&mut self) -> bool {
        let Self { end, core, .. } = self;
        arm(&end.memory, || is_ready(core, &end.memory))
    }

    /// Finds the next message, which is then read in its place and not copied. As long as the view lives,
    /// nobody else receives from the same sender.
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`], but [`ErrorKind::MessageTooLarge`].
    ///
    /// # Examples
    ///
    /// See [`spsc::Sender::reserve`](crate::ring::spsc::Sender::reserve).
    #[inline]
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_, K, R>> {
        let taken = match self.find_known() {
            Some(taken) => taken,
            None => self.find(wait)?,
        };
        Ok(in_place::View::new(self, taken))
    }

    /// The next message, where there is one without a look at other lanes.
    #[inline]
    fn find_known(&self) -> Option<Taken> {
        if self.end.corrupted { None } else { self.core.find_known(&self.end.memory) }
    }

    /// Where there are several receivers, this is the way of all messages.
    #[inline(never)]
    fn recv_otherwise(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let taken = self.find(wait)?;
        let (len, max) = (taken.found.len, buf.len());
        let Some(front) = buf.get_mut(..len) else {
            self.put_back(taken);
            return Err(Error::new(ErrorKind::MessageTooLarge { len, max }, RECV));
        };
        self.take_out(taken, front);
        Ok(len)
    }

    /// Copies a message out and receives it.
    #[inline]
    fn take_out(&mut self, taken: Taken, buf: &mut [u8]) {
        self.end.shape.lane(&self.end.memory, taken.lane).read(taken.found.at, buf);
        self.release(taken);
    }

    fn find(&mut self, wait: Wait) -> Result<Taken> {
        self.end.check_sound(RECV)?;
        if self.core.is_kept_out() && self.end.check_is_due() {
            self.end.check();
        }
        match self.core.find(&self.end.memory) {
            Ok(taken) => Ok(taken),
            Err(why) => seek(Record(self), wait, why.into()),
        }
    }

    /// Passes the doorbell on, if another receiver may have something to do.
    #[inline]
    fn ring_for_others(&self) {
        if self.end.memory.has_doorbell() && self.core.leaves_something(&self.end.memory) {
            self.end.memory.ring();
        }
    }
}

/// Whether there is more than nothing.
fn is_ready(core: &mut Receiving, memory: &impl Memory) -> bool {
    match core.find(memory) {
        Ok(taken) => {
            core.put_back(memory, taken);
            true
        }
        Err(why) => why != NotReceived::Empty,
    }
}

/// A receiver that looks for a record.
struct Record<'a, K: Kind, R: RegionMut>(&'a mut Receiver<K, R>);

impl<K: Kind, R: RegionMut> Seek for Record<'_, K, R> {
    type Region = R;
    type Shape = Shape;
    type Found = Taken;
    const ROOM: bool = false;
    const OP: &'static str = RECV;

    fn member(&mut self) -> &mut End<R> {
        &mut self.0.end
    }

    fn look(&mut self) -> Result<Taken, Miss> {
        Ok(self.0.core.find(&self.0.end.memory)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Receiver { end, core, .. } = &mut *self.0;
        let (memory, bed, position) = (&end.memory, core.bed(), core.position());
        end.dialogue.sleep(memory, bed, position, time, || is_ready(core, memory))
    }

    fn found(&mut self) {
        let Receiver { end, core, .. } = &mut *self.0;
        end.dialogue.found(&end.memory, core.bed(), core.position());
    }

    fn shares_cpu(&mut self) -> bool {
        self.0.core.shares_cpu(&self.0.end.memory)
    }
}

impl<K: Kind, R: RegionMut> RecvMsg for Receiver<K, R> {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let known = self.find_known().filter(|it| it.found.len <= buf.len());
        let Some(taken) = known else { return self.recv_otherwise(buf, wait) };
        let len = taken.found.len;
        self.take_out(taken, &mut buf[..len]);
        Ok(len)
    }
}

impl<K: Kind, R: RegionMut> Finds for Receiver<K, R> {
    type Region = R;
    type Message = Taken;
    type Released = ();

    fn message(&self, taken: Taken) -> (&Mapped<R>, usize, usize) {
        let memory = &self.end.memory;
        let at = self.end.shape.lane(memory, taken.lane).data(taken.found.at);
        (memory, at, taken.found.len)
    }

    #[inline]
    fn release(&mut self, taken: Taken) {
        self.core.release(&self.end.memory, taken);
        self.end.patience.received();
        self.ring_for_others();
    }

    fn put_back(&mut self, taken: Taken) {
        // A forked copy does not unlock what its parent still looks at.
        if !self.end.is_own() {
            return;
        }
        self.core.put_back(&self.end.memory, taken);
        self.ring_for_others();
    }
}

impl<K: Kind, R: RegionMut> Drop for Receiver<K, R> {
    fn drop(&mut self) {
        if !self.end.is_own() {
            return;
        }
        self.end.dialogue.end(&self.end.memory, self.core.bed());
        leave_place(&self.end.memory, self.end.shape, self.place, self.end.heir);
        self.end.memory.ring();
    }
}

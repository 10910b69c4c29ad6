//! The receiving end.

use std::time::Duration;

use ipc_core::{Error, ErrorKind, RecvMsg, RegionMut, Result, Wait};

use super::{End, View, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::couple::RECEIVER;
use crate::ring::dialogue::Bed;
use crate::ring::in_place::{self, Finds};
use crate::ring::layout::{CONSUMER_SLEEPS, PRODUCER_CPU};
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::seek::{Miss, Seek, runs_here, seek};
use crate::ring::spsc_core::{Consumer, Found, NotReceived, arm};

const RECV: &str = "receive from ring";

/// The receiving end of a ring with one sender and one receiver.
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
/// See [`Sender`](super::Sender).
#[derive(Debug)]
pub struct Receiver<R: RegionMut = Memfd> {
    pub(super) end: End<R>,
    pub(super) core: Consumer,
}

impl<R: RegionMut> Receiver<R> {
    /// Takes the receiver's place in the ring that [`RingOptions::init`] has made in this memory.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::attach`](super::Sender::attach).
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false)
    }

    pub(super) fn open(region: R, options: &RingOptions, inherits: bool) -> Result<Self> {
        let end = open(region, RECEIVER, options, inherits)?;
        let core = Consumer::new(end.shape.0);
        Ok(Self { end, core })
    }

    /// Asks for the doorbell, which the sender has by [`set_doorbell`](super::Sender::set_doorbell), to be rung at the
    /// next message: so the ring can wait in `poll` or `epoll` beside sockets.
    ///
    /// `false` when there is something to receive already, also [`ErrorKind::Disconnected`]; `true` when there
    /// is nothing, so that now is the time to poll. A bell may ring for nothing. A sender that is killed rings
    /// none: poll with a timeout, and receive with [`Wait::Never`] to learn of it; or poll its pidfd too.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
    /// use ipc_shm::ring::{RingOptions, spsc};
    /// use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
    ///
    /// let (mut tx, mut rx) = spsc::pair(&RingOptions::new())?;
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
        let Self { end, core } = self;
        let ready = || !matches!(core.peek(&end.memory), Err(NotReceived::Empty));
        arm(&end.memory, CONSUMER_SLEEPS, ready)
    }

    /// Receives what there is, `most` messages at most, each into the front of `buf`, and gives each to `each`.
    /// The sender is told once. Returns how many: it waits for the first alone.
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`], when there was no first message. A message that is longer than the buffer stays;
    /// if it is not the first, the next receive says so.
    ///
    /// # Examples
    ///
    /// See [`Sender::send_batch`](super::Sender::send_batch).
    pub fn recv_batch(
        &mut self,
        buf: &mut [u8],
        most: usize,
        wait: Wait,
        mut each: impl FnMut(&[u8]),
    ) -> Result<usize> {
        let mut received = 0;
        // A sender that breaks the rules could go on for ever: there is never more than the ring holds.
        let end = self.core.position() + self.end.shape.0 as u64;
        while received < most && self.core.position() < end {
            let found = if received == 0 {
                self.find(wait)?
            } else {
                match self.core.peek(&self.end.memory) {
                    Ok(found) => found,
                    Err(_) => break,
                }
            };
            let max = buf.len();
            let Some(front) = buf.get_mut(..found.len) else {
                if received > 0 {
                    break;
                }
                let kind = ErrorKind::MessageTooLarge { len: found.len, max };
                return Err(Error::new(kind, RECV));
            };
            self.end.memory.read(found.at, front);
            self.core.skip(found);
            received += 1;
            each(front);
        }
        if received > 0 {
            self.core.publish(&self.end.memory);
            self.end.patience.received();
        }
        Ok(received)
    }

    /// Finds the next message, which is then read in its place and not copied. See
    /// [`Sender::reserve`](super::Sender::reserve).
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`], but [`ErrorKind::MessageTooLarge`].
    #[inline]
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_, R>> {
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
        self.end.memory.read(found.at, buf);
        self.release(found);
    }

    #[cold]
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
    type Shape = super::Capacity;
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
        let Receiver { end, core } = &mut *self.0;
        let position = core.position();
        let ready = || !matches!(core.peek(&end.memory), Err(NotReceived::Empty));
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

impl<R: RegionMut> RecvMsg for Receiver<R> {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let known = self.find_known().filter(|it| it.len <= buf.len());
        let Some(found) = known else { return self.recv_otherwise(buf, wait) };
        self.take_out(found, &mut buf[..found.len]);
        Ok(found.len)
    }
}

impl<R: RegionMut> Finds for Receiver<R> {
    type Region = R;
    type Message = Found;
    type Released = ();

    fn message(&self, found: Found) -> (&Mapped<R>, usize, usize) {
        (&self.end.memory, found.at, found.len)
    }

    #[inline]
    fn release(&mut self, found: Found) {
        self.core.release(&self.end.memory, found);
        self.end.patience.received();
    }
}

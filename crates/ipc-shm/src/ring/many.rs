//! The ends of rings with several senders: what [`mpsc`](super::mpsc) and [`mpmc`](super::mpmc) have in common.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Pair, Persistence, RecvMsg, RegionMut, Rejected,
    Result, SendMsg, Shape as CapsShape, Wait,
};

use super::layout::{ELEMENT, LENGTH};
use super::many_core::{
    HEADER_LEN, LANES, MOST, Receiving, Shape, Taken, bury, leave_lane, leave_place, resume,
    take_lane,
};
use super::member::{Geometry, Member};
use super::memory::Memory;
use super::peers::GIVEN;
use super::seek::{Miss, Seek, seek};
use super::sleepers::{arm, doze, notify, want_fences};
use super::spsc_core::{Claim, NotReceived, NotSent, Producer, sleep};
use super::waiting::{Patience, Waiting, look_away};
use super::{RingOptions, Strategy, attach, layout};
use crate::{Memfd, MemfdOptions};

const SEND: &str = "send to ring";
const RECV: &str = "receive from ring";
const ATTACH: &str = "attach to ring";

/// How many receivers a ring has: [`Single`] or [`Several`].
pub trait Kind: Sealed + Debug + Send + 'static {
    #[doc(hidden)]
    const NAME: &'static str;
}

mod sealed {
    pub trait Sealed {
        #[doc(hidden)]
        const MAGIC: u64;
        #[doc(hidden)]
        const RECEIVERS: usize;
    }
}
use sealed::Sealed;

/// One receiver: [`mpsc`](super::mpsc).
#[derive(Debug)]
pub enum Single {}

/// Several receivers, each message for one of them: [`mpmc`](super::mpmc).
#[derive(Debug)]
pub enum Several {}

impl Sealed for Single {
    const MAGIC: u64 = u64::from_be_bytes(*b"ipcmpsc\x01");
    const RECEIVERS: usize = 1;
}

impl Sealed for Several {
    const MAGIC: u64 = u64::from_be_bytes(*b"ipcmpmc\x01");
    const RECEIVERS: usize = MOST;
}

impl Kind for Single {
    const NAME: &'static str = "shm-mpsc";
}

impl Kind for Several {
    const NAME: &'static str = "shm-mpmc";
}

fn shape<K: Kind>(options: &RingOptions) -> Result<Shape> {
    if !(1..=MOST).contains(&options.senders) {
        return Err(Error::new(ErrorKind::InvalidInput, "make ring")
            .with_note("a ring has 1 to 64 senders: RingOptions::senders"));
    }
    Ok(Shape { capacity: options.data_len()?, lanes: options.senders, receivers: K::RECEIVERS })
}

pub(super) fn region_len<K: Kind>(options: &RingOptions) -> Result<usize> {
    shape::<K>(options).map(Shape::region_len)
}

pub(super) fn init<K: Kind>(region: &impl RegionMut, options: &RingOptions) -> Result<()> {
    let shape = shape::<K>(options)?;
    attach::create(region, shape.region_len(), K::MAGIC, |memory| {
        memory.store(LENGTH, shape.capacity as u64, Relaxed);
        memory.store(ELEMENT, options.element, Relaxed);
        memory.store(LANES, shape.lanes as u64, Relaxed);
    })
}

pub(super) fn pair<K: Kind>(options: &RingOptions) -> Result<(Sender<K>, Receiver<K>)> {
    let one = MemfdOptions::new(region_len::<K>(options)?).create()?;
    let two = one.try_clone()?;
    init::<K>(&one, options)?;
    Ok((Sender::attach(one, options)?, Receiver::attach(two, options)?))
}

type End<R> = Member<R, Shape>;

impl Geometry for Shape {
    fn bury(self, memory: &impl Memory, is_dead: impl FnMut(u64) -> bool) {
        bury(memory, self, is_dead);
    }
}

fn open<K: Kind, R: RegionMut>(region: R, options: &RingOptions) -> Result<End<R>> {
    let (memory, capacity) =
        attach::open(region, options.full_fences, K::MAGIC, HEADER_LEN, options.element)?;
    let corrupted = |note| Err(Error::new(ErrorKind::Corrupted, ATTACH).with_note(note));
    let lanes = usize::try_from(memory.load(LANES, Relaxed)).unwrap_or(0);
    if !(1..=MOST).contains(&lanes) {
        return corrupted("the number of senders makes no sense");
    }
    let shape = Shape { capacity, lanes, receivers: K::RECEIVERS };
    if memory.len() < shape.region_len() {
        return corrupted("the ring is longer than its memory");
    }
    Member::new(memory, shape, options)
}

/// A sending end of a ring with several senders.
///
/// Each has room of its own, as much as [`RingOptions::capacity`] says: it waits for receivers, and never for
/// another sender. Its messages are received in the order in which it sent them; those of different senders
/// in any.
///
/// # Blocking
///
/// Sending makes no system call, unless a receiver sleeps or there is no room; then it waits as its
/// [`Strategy`] says.
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
/// See [`mpsc`](super::mpsc) and [`mpmc`](super::mpmc).
#[derive(Debug)]
pub struct Sender<K: Kind, R: RegionMut = Memfd> {
    end: End<R>,
    lane: usize,
    core: Producer,
    corrupted: bool,
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
        Self::open(region, options, false)
    }

    fn open(region: R, options: &RingOptions, inherits: bool) -> Result<Self> {
        let mut end = open::<K, R>(region, options)?;
        let take = |end: &End<R>, from| take_lane(&end.memory, end.shape, from, end.identity);
        let Some(lane) = end.take(inherits, take) else {
            let kind = ErrorKind::ResourceLimit {
                limit: "senders of this ring",
                knob: "RingOptions::senders, where the ring is made",
            };
            return Err(Error::new(kind, ATTACH));
        };
        let Some(core) = resume(&end.memory, end.shape, lane) else {
            leave_lane(&end.memory, end.shape, lane, 0);
            return Err(Error::new(ErrorKind::Corrupted, ATTACH)
                .with_note("what the sender before has left are no messages"));
        };
        Ok(Self { end, lane, core, corrupted: false, kind: PhantomData })
    }

    /// Rings a doorbell when the receiver has [armed](Receiver::arm) it: an `eventfd`, to which 1 is added. The
    /// receiver has the same one, and gets it as it gets any descriptor.
    pub fn set_doorbell(&mut self, eventfd: OwnedFd) {
        self.end.memory.set_doorbell(eventfd);
    }

    /// How this end waits from now on.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        self.end.options.strategy = strategy;
    }

    /// Makes room for a message of `len` bytes, which is then written in its place and not copied.
    ///
    /// # Errors
    ///
    /// Those of [`SendMsg`].
    ///
    /// # Examples
    ///
    /// See [`spsc::Sender::reserve`](super::spsc::Sender::reserve).
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<Grant<'_, K, R>> {
        let claim = self.claim(len, wait)?;
        // What is written into a grant that is then dropped stands where headers will be.
        self.core.forget_clean();
        Ok(Grant { sender: self, claim, len })
    }

    #[inline]
    fn claim(&mut self, len: usize, wait: Wait) -> Result<Claim> {
        let max = self.core.max_len();
        if len > max || self.corrupted {
            return Err(refuse(len, max));
        }
        match self.core.claim(&self.end.shape.lane(&self.end.memory, self.lane), len) {
            Ok(claim) => Ok(claim),
            Err(why) => self.wait_for_room(len, wait, why),
        }
    }

    #[cold]
    fn wait_for_room(&mut self, len: usize, wait: Wait, why: NotSent) -> Result<Claim> {
        let mut waiting = Waiting::for_room(wait, self.end.options.strategy);
        let claim = seek(&mut Room { sender: self, len }, &mut waiting, wait, why.into(), SEND);
        self.corrupted |= matches!(&claim, Err(error) if error.kind() == ErrorKind::Corrupted);
        claim
    }
}

#[cold]
fn refuse(len: usize, max: usize) -> Error {
    if len > max {
        return Error::new(ErrorKind::MessageTooLarge { len, max }, SEND);
    }
    Error::new(ErrorKind::Corrupted, SEND)
}

impl From<NotSent> for Miss {
    fn from(why: NotSent) -> Self {
        match why {
            NotSent::Full => Self::Nothing,
            NotSent::Gone => Self::Gone,
            NotSent::Corrupted => Self::Corrupted,
        }
    }
}

impl From<NotReceived> for Miss {
    fn from(why: NotReceived) -> Self {
        match why {
            NotReceived::Empty => Self::Nothing,
            NotReceived::Gone => Self::Gone,
            NotReceived::Corrupted => Self::Corrupted,
        }
    }
}

/// A sender that looks for room.
struct Room<'a, K: Kind, R: RegionMut> {
    sender: &'a mut Sender<K, R>,
    len: usize,
}

impl<K: Kind, R: RegionMut> Seek for Room<'_, K, R> {
    type Found = Claim;

    fn look(&mut self) -> Result<Claim, Miss> {
        let Sender { end, lane, core, .. } = &mut *self.sender;
        Ok(core.claim(&end.shape.lane(&end.memory, *lane), self.len)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Sender { end, lane, core, .. } = &mut *self.sender;
        let part = end.shape.lane(&end.memory, *lane);
        let ready = || !matches!(core.claim(&part, self.len), Err(NotSent::Full));
        sleep(&part, layout::PRODUCER_SLEEPS, time, ready)
    }

    fn check_is_due(&self) -> bool {
        self.sender.end.check_is_due()
    }

    fn check(&mut self) {
        self.sender.end.check();
    }

    fn pause(&self) {
        look_away();
    }
}

impl<K: Kind, R: RegionMut> SendMsg for Sender<K, R> {
    fn max_len(&self) -> usize {
        self.core.max_len()
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let claim = self.claim(msg.len(), wait)?;
        let part = self.end.shape.lane(&self.end.memory, self.lane);
        part.write(claim.at, msg);
        self.core.commit(&part, claim);
        notify(&self.end.memory);
        Ok(())
    }
}

impl<K: Kind, R: RegionMut> Drop for Sender<K, R> {
    fn drop(&mut self) {
        if self.end.is_own() {
            leave_lane(&self.end.memory, self.end.shape, self.lane, self.end.heir);
        }
    }
}

/// Room in a ring for a message that is not sent yet. Dropping it sends nothing.
#[derive(Debug)]
#[must_use = "nothing is sent before commit"]
pub struct Grant<'a, K: Kind, R: RegionMut> {
    sender: &'a mut Sender<K, R>,
    claim: Claim,
    len: usize,
}

impl<K: Kind, R: RegionMut> Grant<'_, K, R> {
    /// Writes a part of the message. What is not written is whatever was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside of the message.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        layout::check(offset, bytes.len(), self.len, SEND)?;
        let Sender { end, lane, .. } = &*self.sender;
        let at = end.shape.lane(&end.memory, *lane).data(self.claim.at);
        end.memory.write_part(at + offset, bytes);
        Ok(())
    }

    /// Sends it.
    pub fn commit(self) {
        let Sender { end, lane, core, .. } = self.sender;
        core.commit(&end.shape.lane(&end.memory, *lane), self.claim);
        notify(&end.memory);
    }
}

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
/// See [`mpsc`](super::mpsc) and [`mpmc`](super::mpmc).
#[derive(Debug)]
pub struct Receiver<K: Kind, R: RegionMut = Memfd> {
    end: End<R>,
    place: usize,
    core: Receiving,
    patience: Patience,
    corrupted: bool,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind, R: RegionMut> Receiver<K, R> {
    /// Takes a receiver's place in the ring that was made in this memory: a free one, or that of a process
    /// that has ended.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::attach`]; but [`ErrorKind::AlreadyExists`] when there is a receiver and may be only
    /// one.
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false)
    }

    fn open(region: R, options: &RingOptions, inherits: bool) -> Result<Self> {
        let mut end = open::<K, R>(region, options)?;
        let take = |end: &End<R>, from| end.shape.places().take(&end.memory, from, end.identity);
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
        let patience = Patience::default();
        Ok(Self { end, place, core, patience, corrupted: false, kind: PhantomData })
    }

    /// How this end waits from now on.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        self.end.options.strategy = strategy;
    }

    /// Asks for the doorbell, which the sender has by [`set_doorbell`](Sender::set_doorbell), to be rung at the
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
        arm(&end.memory, || match core.find(&end.memory) {
            Ok(taken) => {
                core.put_back(&end.memory, taken);
                true
            }
            Err(why) => why != NotReceived::Empty,
        })
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
    /// See [`spsc::Sender::reserve`](super::spsc::Sender::reserve).
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_, K, R>> {
        let taken = self.find(wait)?;
        Ok(View { receiver: self, taken, released: false })
    }

    #[inline]
    fn find(&mut self, wait: Wait) -> Result<Taken> {
        if self.corrupted {
            return Err(Error::new(ErrorKind::Corrupted, RECV));
        }
        match self.core.find(&self.end.memory) {
            Ok(taken) => Ok(taken),
            Err(why) => self.wait_for_record(wait, why),
        }
    }

    #[cold]
    fn wait_for_record(&mut self, wait: Wait, why: NotReceived) -> Result<Taken> {
        let mut waiting = Waiting::new(wait, self.end.options.strategy);
        if why == NotReceived::Empty && waiting.spins() {
            self.patience.look_away();
        }
        let taken = seek(&mut Record(self), &mut waiting, wait, why.into(), RECV);
        match &taken {
            Ok(_) => self.patience.found(&waiting),
            Err(error) => self.corrupted |= error.kind() == ErrorKind::Corrupted,
        }
        taken
    }
}

/// A receiver that looks for a record.
struct Record<'a, K: Kind, R: RegionMut>(&'a mut Receiver<K, R>);

impl<K: Kind, R: RegionMut> Seek for Record<'_, K, R> {
    type Found = Taken;

    fn look(&mut self) -> Result<Taken, Miss> {
        Ok(self.0.core.find(&self.0.end.memory)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Receiver { end, core, .. } = &mut *self.0;
        doze(&end.memory, time, || match core.find(&end.memory) {
            Ok(taken) => {
                core.put_back(&end.memory, taken);
                true
            }
            Err(why) => why != NotReceived::Empty,
        })
    }

    fn check_is_due(&self) -> bool {
        self.0.end.check_is_due()
    }

    fn check(&mut self) {
        self.0.end.check();
    }
}

impl<K: Kind, R: RegionMut> RecvMsg for Receiver<K, R> {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let taken = self.find(wait)?;
        let (len, max) = (taken.found.len, buf.len());
        let memory = &self.end.memory;
        let Some(front) = buf.get_mut(..len) else {
            self.core.put_back(memory, taken);
            return Err(Error::new(ErrorKind::MessageTooLarge { len, max }, RECV));
        };
        self.end.shape.lane(memory, taken.lane).read(taken.found.at, front);
        self.core.release(memory, taken);
        self.patience.received();
        Ok(len)
    }
}

impl<K: Kind, R: RegionMut> Drop for Receiver<K, R> {
    fn drop(&mut self) {
        if self.end.is_own() {
            leave_place(&self.end.memory, self.end.shape, self.place, self.end.heir);
        }
    }
}

/// A message in a ring. Dropping it leaves the message there, for the next receive.
#[derive(Debug)]
pub struct View<'a, K: Kind, R: RegionMut> {
    receiver: &'a mut Receiver<K, R>,
    taken: Taken,
    released: bool,
}

impl<K: Kind, R: RegionMut> View<'_, K, R> {
    /// How many bytes the message has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is a message and no collection")]
    pub fn len(&self) -> usize {
        self.taken.found.len
    }

    /// Copies a part of the message out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside of the message.
    pub fn read_at(&self, offset: usize, buf: &mut [u8]) -> Result<()> {
        layout::check(offset, buf.len(), self.len(), RECV)?;
        self.receiver.end.memory.read_part(self.at() + offset, buf);
        Ok(())
    }

    /// Where the message is in the whole memory.
    fn at(&self) -> usize {
        let end = &self.receiver.end;
        end.shape.lane(&end.memory, self.taken.lane).data(self.taken.found.at)
    }

    /// The message as a slice.
    ///
    /// # Safety
    ///
    /// As long as the slice lives, nobody writes to it: the processes of the senders and of the other
    /// receivers are trusted to keep to the protocol.
    #[expect(unsafe_code, reason = "the contract is the caller's")]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the record was found to be in the ring; the rest is what the caller promises.
        unsafe { self.receiver.end.memory.slice(self.at(), self.len()) }
    }

    /// Receives it: the room is the sender's again.
    pub fn release(mut self) {
        self.released = true;
        self.receiver.core.release(&self.receiver.end.memory, self.taken);
    }
}

impl<K: Kind, R: RegionMut> Drop for View<'_, K, R> {
    fn drop(&mut self) {
        if !self.released {
            self.receiver.core.put_back(&self.receiver.end.memory, self.taken);
        }
    }
}

/// What both ends have.
macro_rules! end {
    ($end:ident) => {
        impl<K: Kind> $end<K> {
            /// Another end of the same ring: a place of its own.
            ///
            /// # Errors
            ///
            /// Those of [`attach`](Self::attach); [`ErrorKind::ResourceLimit`] when descriptors run out.
            pub fn try_clone(&self) -> Result<Self> {
                Self::attach(self.end.memory.region().try_clone()?, &self.end.options)
            }
        }

        impl<K: Kind> Handoff for $end<K> {
            fn give(mut self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                let copy = match self.end.memory.region().try_clone() {
                    Ok(copy) => copy,
                    Err(error) => return Err(Rejected { value: self, error }),
                };
                match copy.give(command, key) {
                    Ok(()) => {
                        // The place is the child's from now on.
                        self.end.heir = GIVEN;
                        Ok(())
                    }
                    Err(rejected) => Err(Rejected { value: self, error: rejected.error }),
                }
            }

            fn adopt(key: &str) -> Result<Self> {
                Self::open(Memfd::adopt(key)?, &RingOptions::new(), true)
            }
        }

        impl<K: Kind, R: RegionMut> Mechanism for $end<K, R> {
            const NAME: &'static str = K::NAME;
            const CAPS: Caps = Caps::new(CapsShape::Message)
                .anonymous()
                .persistence(Persistence::Process)
                .boundaries()
                .empty_messages()
                .reports_peer_death();
        }
    };
}

end!(Sender);
end!(Receiver);

impl<K: Kind> Pair for Receiver<K> {
    type Peer = Sender<K>;
    type Options = RingOptions;

    fn pair(options: &RingOptions) -> Result<(Self, Sender<K>)> {
        pair(options).map(|(tx, rx)| (rx, tx))
    }
}

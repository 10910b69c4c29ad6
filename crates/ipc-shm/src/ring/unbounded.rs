//! A ring from one sender to one receiver that grows: the sender does not wait.
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg};
//! use ipc_shm::ring::{RingOptions, unbounded};
//!
//! let (mut tx, mut rx) = unbounded::pair(&RingOptions::new().capacity(4096))?;
//! for number in 0..10_000_u64 {
//!     tx.send(&number.to_le_bytes())?; // Nobody receives yet.
//! }
//! let mut buf = [0; 8];
//! for number in 0..10_000_u64 {
//!     rx.recv(&mut buf)?;
//!     assert_eq!(u64::from_le_bytes(buf), number);
//! }
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # How it grows
//!
//! It is made of segments of [`RingOptions::capacity`] bytes. As long as the receiver keeps up, both stay in
//! one, and it is as quick as a bounded ring. When that is full the sender takes another one, whose memory it
//! reserves first; the receiver gives back the segments that it has emptied.
//!
//! All segments are in one [`Memfd`], of [`RingOptions::limit`] bytes. Both processes map it once: that takes
//! addresses, and no memory. So nothing is passed between them when the ring grows, and its size can be
//! sealed, as that of every memfd here. At the limit the sender waits; and when the machine has no memory left,
//! a send is [`ErrorKind::ResourceLimit`].

use std::process::Command;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Pair, Persistence, RecvMsg, Rejected, Result,
    SendMsg, Shape as CapsShape, Wait,
};

use super::layout::{
    self, CONSUMER, CONSUMER_GONE, CONSUMER_SLEEPS, DATA, ELEMENT, LENGTH, MAGIC, PRODUCER,
    PRODUCER_GONE, PRODUCER_SLEEPS, WANTS_FENCES,
};
use super::mapped::Mapped;
use super::member::{Geometry, Member};
use super::memory::Memory;
use super::peers::GIVEN;
use super::seek::{Miss, Seek, seek};
use super::spsc_core::{Claim, Found, NotReceived, NotSent, Producer, leave, sleep};
use super::unbounded_core::{Chain, Follower, MOST, SEGMENTS, TAKEN, free_segment, go_on};
use super::waiting::{Patience, Waiting, look_away};
use super::{RingOptions, Strategy, attach};
use crate::{Memfd, MemfdOptions};

const SEND: &str = "send to ring";
const RECV: &str = "receive from ring";
const ATTACH: &str = "attach to ring";

const MAGIC_VALUE: u64 = u64::from_be_bytes(*b"ipcunbd\x01");

/// How many segments keep their memory when they are empty.
const KEPT: usize = 2;

/// Makes a ring and both its ends.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB, or a limit that does not fit into the addresses; [`ErrorKind::ResourceLimit`] when memory, addresses or descriptors run
/// out.
pub fn pair(options: &RingOptions) -> Result<(Sender, Receiver)> {
    let capacity = options.data_len()?;
    let segments = (options.limit / capacity).clamp(2, MOST);
    let page = rustix::param::page_size();
    let chain = Chain { capacity, segments, page };
    let fits =
        segments.checked_mul(chain.stride()).is_some_and(|len| len < isize::MAX as usize / 2);
    if !fits {
        return Err(Error::new(ErrorKind::InvalidInput, "make ring")
            .with_note("there are not so many addresses: a smaller capacity or a lower limit"));
    }
    let one = MemfdOptions::new(chain.region_len()).create_sparse()?;
    one.reserve(0, chain.at(1))?;
    let two = one.try_clone()?;
    let memory = Mapped::new(&one, true);
    memory.store(LENGTH, capacity as u64, Relaxed);
    memory.store(ELEMENT, options.element, Relaxed);
    memory.store(SEGMENTS, segments as u64, Relaxed);
    memory.store(TAKEN, 1, Relaxed);
    memory.store(MAGIC, MAGIC_VALUE, Release);
    drop(memory);
    Ok((Sender::attach(one, options, 0)?, Receiver::attach(two, options, 0)?))
}

impl Geometry for Chain {
    fn bury(self, memory: &impl Memory, mut is_dead: impl FnMut(u64) -> bool) {
        for (who, gone) in [(PRODUCER, PRODUCER_GONE), (CONSUMER, CONSUMER_GONE)] {
            let identity = memory.load(who, Acquire);
            // Unless it has handed its end over meanwhile.
            if identity != 0 && is_dead(identity) && memory.load(who, Acquire) == identity {
                memory.store(gone, 1, Release);
            }
        }
    }
}

type End = Member<Memfd, Chain>;

/// Finds the ring, and takes the place at the word `who`, which is `from`'s.
fn open(
    memory: Memfd,
    options: &RingOptions,
    (who, sleeps): (usize, usize),
    from: u64,
) -> Result<End> {
    let (memory, capacity) =
        attach::open(memory, options.full_fences, MAGIC_VALUE, TAKEN, options.element)?;
    let corrupted = |note| Err(Error::new(ErrorKind::Corrupted, ATTACH).with_note(note));
    let segments = usize::try_from(memory.load(SEGMENTS, Relaxed)).unwrap_or(usize::MAX);
    if !(2..=MOST).contains(&segments) {
        return corrupted("the number of segments makes no sense");
    }
    let chain = Chain { capacity, segments, page: rustix::param::page_size() };
    if segments.checked_mul(chain.stride()).is_none() || memory.len() < chain.region_len() {
        return corrupted("the ring is longer than its memory");
    }
    let end = Member::new(memory, chain, options)?;
    if end.memory.compare_exchange(who, from, end.identity).is_err() {
        return Err(Error::new(ErrorKind::AlreadyExists, ATTACH)
            .with_note("a ring has one sender and one receiver, and this one is taken"));
    }
    if end.memory.full_fences() {
        end.memory.store(sleeps, WANTS_FENCES, Release);
    }
    Ok(end)
}

/// The sending end of a ring that grows.
///
/// # Blocking
///
/// Sending makes no system call, unless the receiver sleeps or a segment is full; then it reserves memory for
/// the next one. It waits at [`RingOptions::limit`] only.
///
/// # Peer death
///
/// A receiver that is dropped, or whose process dies, makes every send [`ErrorKind::Disconnected`]. The death
/// of a process is noticed when a segment is full.
///
/// # Errors
///
/// As [`SendMsg`] says; [`ErrorKind::ResourceLimit`] when there is no memory for another segment: nothing was
/// sent. [`ErrorKind::Corrupted`], from then on, when the receiver has written nonsense into the ring.
///
/// # Examples
///
/// See [`unbounded`](self).
#[derive(Debug)]
pub struct Sender {
    end: End,
    segment: usize,
    core: Producer,
    corrupted: bool,
}

impl Sender {
    fn attach(memory: Memfd, options: &RingOptions, from: u64) -> Result<Self> {
        let end = open(memory, options, (PRODUCER, PRODUCER_SLEEPS), from)?;
        let core = Producer::new(end.shape.capacity);
        Ok(Self { end, segment: 0, core, corrupted: false })
    }

    fn is_unused(&self) -> bool {
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
    /// See [`spsc::Sender::reserve`](super::spsc::Sender::reserve).
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<Grant<'_>> {
        let claim = self.claim(len, wait)?;
        // What is written into a grant that is then dropped stands where headers will be.
        self.core.forget_clean();
        Ok(Grant { sender: self, claim, len })
    }

    #[inline]
    fn claim(&mut self, len: usize, wait: Wait) -> Result<Claim> {
        let max = self.core.max_len();
        if len > max {
            return Err(Error::new(ErrorKind::MessageTooLarge { len, max }, SEND));
        }
        if self.corrupted {
            return Err(Error::new(ErrorKind::Corrupted, SEND));
        }
        match self.core.claim(&self.end.shape.segment(&self.end.memory, self.segment), len) {
            Ok(claim) => Ok(claim),
            Err(NotSent::Full) => self.grow(len, wait),
            Err(why) => Err(self.fail(why)),
        }
    }

    #[cold]
    fn fail(&mut self, why: NotSent) -> Error {
        self.corrupted |= why == NotSent::Corrupted;
        let gone = why == NotSent::Gone;
        Error::new(if gone { ErrorKind::Disconnected } else { ErrorKind::Corrupted }, SEND)
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
        let mut waiting = Waiting::for_room(wait, self.end.options.strategy);
        let mut room = Room { sender: self, len, failed: None };
        let claim = seek(&mut room, &mut waiting, wait, miss, SEND);
        let claim = room.failed.take().map_or(claim, Err);
        self.corrupted |= matches!(&claim, Err(error) if error.kind() == ErrorKind::Corrupted);
        claim
    }

    /// Finds room in this segment or the next. The outer error is that there is no memory.
    fn go_on(&mut self, len: usize) -> Result<Result<Claim, NotSent>> {
        let Self { end, segment, core, .. } = self;
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
    failed: Option<Error>,
}

impl Seek for Room<'_> {
    type Found = Claim;

    fn look(&mut self) -> Result<Claim, Miss> {
        match self.sender.go_on(self.len) {
            Ok(claim) => Ok(claim?),
            Err(error) => {
                self.failed = Some(error);
                Err(Miss::Gone)
            }
        }
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Sender { end, segment, core, .. } = &mut *self.sender;
        let (memory, chain, len) = (&end.memory, end.shape, self.len);
        sleep(memory, PRODUCER_SLEEPS, time, || {
            let full =
                matches!(core.claim(&chain.segment(memory, *segment), len), Err(NotSent::Full));
            !full || free_segment(memory, chain, *segment).is_some()
        })
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

impl SendMsg for Sender {
    fn max_len(&self) -> usize {
        self.core.max_len()
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let claim = self.claim(msg.len(), wait)?;
        let part = self.end.shape.segment(&self.end.memory, self.segment);
        part.write(claim.at, msg);
        self.core.commit(&part, claim);
        self.core.notify(&part);
        Ok(())
    }
}

/// Room in a ring for a message that is not sent yet. Dropping it sends nothing.
#[derive(Debug)]
#[must_use = "nothing is sent before commit"]
pub struct Grant<'a> {
    sender: &'a mut Sender,
    claim: Claim,
    len: usize,
}

impl Grant<'_> {
    /// Writes a part of the message. What is not written is whatever was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside of the message.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        layout::check(offset, bytes.len(), self.len, SEND)?;
        let Sender { end, segment, .. } = &*self.sender;
        let at = end.shape.segment(&end.memory, *segment).data(self.claim.at);
        end.memory.write_part(at + offset, bytes);
        Ok(())
    }

    /// Sends it.
    pub fn commit(self) {
        let Sender { end, segment, core, .. } = self.sender;
        let part = end.shape.segment(&end.memory, *segment);
        core.commit(&part, self.claim);
        core.notify(&part);
    }
}

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
/// See [`unbounded`](self).
#[derive(Debug)]
pub struct Receiver {
    end: End,
    core: Follower,
    patience: Patience,
    corrupted: bool,
}

impl Receiver {
    fn attach(memory: Memfd, options: &RingOptions, from: u64) -> Result<Self> {
        let end = open(memory, options, (CONSUMER, CONSUMER_SLEEPS), from)?;
        let core = Follower::new(end.shape);
        Ok(Self { end, core, patience: Patience::default(), corrupted: false })
    }

    fn is_unused(&self) -> bool {
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
    /// See [`spsc::Sender::reserve`](super::spsc::Sender::reserve).
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_>> {
        let found = self.find(wait)?;
        Ok(View { receiver: self, found })
    }

    /// One look for a message.
    #[inline]
    fn look(&mut self) -> Result<Found, NotReceived> {
        let Self { end, core, .. } = self;
        look(end, core)
    }

    #[inline]
    fn find(&mut self, wait: Wait) -> Result<Found> {
        if self.corrupted {
            return Err(Error::new(ErrorKind::Corrupted, RECV));
        }
        match self.look() {
            Ok(found) => Ok(found),
            Err(why) => self.wait_for_record(wait, why),
        }
    }

    #[cold]
    fn wait_for_record(&mut self, wait: Wait, why: NotReceived) -> Result<Found> {
        let mut waiting = Waiting::new(wait, self.end.options.strategy);
        if why == NotReceived::Empty && waiting.spins() {
            self.patience.look_away();
        }
        let found = seek(&mut Record(self), &mut waiting, wait, why.into(), RECV);
        match &found {
            Ok(_) => self.patience.found(&waiting),
            Err(error) => self.corrupted |= error.kind() == ErrorKind::Corrupted,
        }
        found
    }
}

#[inline]
fn look(end: &End, core: &mut Follower) -> Result<Found, NotReceived> {
    let chain = end.shape;
    core.peek(&end.memory, |segment| {
        if segment >= KEPT {
            end.memory.region().give_back(chain.at(segment), chain.stride());
        }
    })
}

/// A receiver that looks for a record.
struct Record<'a>(&'a mut Receiver);

impl Seek for Record<'_> {
    type Found = Found;

    fn look(&mut self) -> Result<Found, Miss> {
        Ok(self.0.look()?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Receiver { end, core, .. } = &mut *self.0;
        let ready = || !matches!(look(end, core), Err(NotReceived::Empty));
        sleep(&end.memory, CONSUMER_SLEEPS, time, ready)
    }

    fn check_is_due(&self) -> bool {
        self.0.end.check_is_due()
    }

    fn check(&mut self) {
        self.0.end.check();
    }
}

impl RecvMsg for Receiver {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let found = self.find(wait)?;
        let max = buf.len();
        let Some(front) = buf.get_mut(..found.len) else {
            let kind = ErrorKind::MessageTooLarge { len: found.len, max };
            return Err(Error::new(kind, RECV));
        };
        self.end.shape.segment(&self.end.memory, self.core.segment).read(found.at, front);
        self.core.release(&self.end.memory, found);
        self.patience.received();
        Ok(found.len)
    }
}

/// A message in a ring. Dropping it leaves the message there, for the next receive.
#[derive(Debug)]
pub struct View<'a> {
    receiver: &'a mut Receiver,
    found: Found,
}

impl View<'_> {
    /// How many bytes the message has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is a message and no collection")]
    pub fn len(&self) -> usize {
        self.found.len
    }

    /// Copies a part of the message out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside of the message.
    pub fn read_at(&self, offset: usize, buf: &mut [u8]) -> Result<()> {
        layout::check(offset, buf.len(), self.found.len, RECV)?;
        let Receiver { end, core, .. } = &*self.receiver;
        let at = end.shape.segment(&end.memory, core.segment).data(self.found.at);
        end.memory.read_part(at + offset, buf);
        Ok(())
    }

    /// Receives it: the room is the sender's again.
    pub fn release(self) {
        self.receiver.core.release(&self.receiver.end.memory, self.found);
    }
}

/// What both ends have.
macro_rules! end {
    ($end:ident, $who:ident, $gone:ident, $others:ident) => {
        /// The end must not have been used: what it knows of the ring stays in this process.
        impl Handoff for $end {
            fn give(mut self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                if !self.is_unused() {
                    let error = Error::new(ErrorKind::InvalidInput, "handoff")
                        .with_note("hand an end of a ring over before its first message");
                    return Err(Rejected { value: self, error });
                }
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
                Self::attach(Memfd::adopt(key)?, &RingOptions::new(), GIVEN)
            }
        }

        impl Drop for $end {
            fn drop(&mut self) {
                if !self.end.is_own() {
                    return;
                }
                match self.end.heir {
                    0 => leave(&self.end.memory, $gone, $others),
                    heir => self.end.memory.store($who, heir, Release),
                }
            }
        }

        impl $end {
            /// How much memory the ring takes now, in bytes: `fstat`.
            ///
            /// # Errors
            ///
            /// None that Linux documents.
            pub fn memory_len(&self) -> Result<u64> {
                self.end.memory.region().in_memory()
            }

            /// How this end waits from now on.
            pub fn set_strategy(&mut self, strategy: Strategy) {
                self.end.options.strategy = strategy;
            }
        }

        impl Mechanism for $end {
            const NAME: &'static str = "shm-unbounded";
            const CAPS: Caps = Caps::new(CapsShape::Message)
                .anonymous()
                .persistence(Persistence::Process)
                .boundaries()
                .empty_messages()
                .reports_peer_death();
        }
    };
}

end!(Sender, PRODUCER, PRODUCER_GONE, CONSUMER_SLEEPS);
end!(Receiver, CONSUMER, CONSUMER_GONE, PRODUCER_SLEEPS);

impl Pair for Receiver {
    type Peer = Sender;
    type Options = RingOptions;

    fn pair(options: &RingOptions) -> Result<(Self, Sender)> {
        pair(options).map(|(tx, rx)| (rx, tx))
    }
}

const _: () = assert!(TAKEN == DATA, "a segment's header is as long as the ring's");

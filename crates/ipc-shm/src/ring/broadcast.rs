//! A ring from one sender to several receivers: each message is for all of them.
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg};
//! use ipc_shm::ring::{RingOptions, broadcast};
//!
//! let (mut tx, mut one) = broadcast::pair(&RingOptions::new())?;
//! let mut two = one.try_clone()?;
//! tx.send(b"news")?;
//! let mut buf = [0; 64];
//! assert_eq!(one.recv(&mut buf)?, 4);
//! assert_eq!(two.recv(&mut buf)?, 4);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Who waits for whom
//!
//! - By default the sender waits for the slowest receiver, as long as its process lives.
//! - With [`RingOptions::overwrite`] it waits for nobody. A receiver that is too slow loses the oldest
//!   messages, goes on with what is there, and [`Receiver::lost`] says exactly how many it lost.
//!
//! A receiver gets what is sent after it has attached. There are 32 at most; they may come and go. The sender
//! does not.

use std::process::Command;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Pair, Persistence, RecvMsg, RegionMut, Rejected,
    Result, SendMsg, Shape as CapsShape, Wait,
};

use super::broadcast_core::{
    Claim, Consumer, DATA, MIN, PLACES, POLICY, Producer, bury, end, leave,
};
use super::layout::{self, ELEMENT, LENGTH, PRODUCER, PRODUCER_SLEEPS, WANTS_FENCES};
use super::member::{Geometry, Member};
use super::memory::Memory;
use super::peers::GIVEN;
use super::seek::{Miss, Seek, seek};
use super::sleepers::{doze, notify_all, want_fences};
use super::spsc_core::{Found, NotReceived, NotSent, sleep};
use super::waiting::{Patience, Waiting, look_away};
use super::{RingOptions, Strategy, attach};
use crate::{Memfd, MemfdOptions};

const SEND: &str = "send to ring";
const RECV: &str = "receive from ring";
const ATTACH: &str = "attach to ring";

const MAGIC_VALUE: u64 = u64::from_be_bytes(*b"ipcbcst\x01");

/// Makes a ring in memory of its own, its sender and a receiver.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB; [`ErrorKind::ResourceLimit`] when memory or
/// descriptors run out.
pub fn pair(options: &RingOptions) -> Result<(Sender, Receiver)> {
    let one = MemfdOptions::new(region_len(options)?).create()?;
    let two = one.try_clone()?;
    init(&one, options)?;
    Ok((Sender::attach(one, options)?, Receiver::attach(two, options)?))
}

/// How many bytes of memory a ring takes.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB.
pub fn region_len(options: &RingOptions) -> Result<usize> {
    Ok(DATA + options.data_len()?.max(MIN))
}

/// Makes a ring in memory that nobody uses; its first [`region_len`] bytes are overwritten. Then ends attach
/// to it, in this process or others.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB, and when the memory is too small or
/// [private](crate::Private).
pub fn init(region: &impl RegionMut, options: &RingOptions) -> Result<()> {
    let len = region_len(options)?;
    attach::create(region, len, MAGIC_VALUE, |memory| {
        memory.store(LENGTH, (len - DATA) as u64, Relaxed);
        memory.store(ELEMENT, options.element, Relaxed);
        memory.store(POLICY, options.overwrite.into(), Relaxed);
    })
}

/// What the ring is like.
#[derive(Debug, Clone, Copy)]
struct Layout {
    capacity: usize,
    overwrites: bool,
}

impl Geometry for Layout {
    fn bury(self, memory: &impl Memory, is_dead: impl FnMut(u64) -> bool) {
        bury(memory, is_dead);
    }
}

fn open<R: RegionMut>(region: R, options: &RingOptions) -> Result<Member<R, Layout>> {
    let (memory, capacity) =
        attach::open(region, options.full_fences, MAGIC_VALUE, DATA, options.element)?;
    let policy = memory.load(POLICY, Relaxed);
    if capacity < MIN || policy > 1 {
        return Err(Error::new(ErrorKind::Corrupted, ATTACH)
            .with_note("the ring's length or policy makes no sense"));
    }
    Member::new(memory, Layout { capacity, overwrites: policy == 1 }, options)
}

/// The sending end of a ring whose every message is for all receivers.
///
/// # Blocking
///
/// Sending makes no system call, unless a receiver sleeps, or there is no room and nothing may be overwritten;
/// then it waits as its [`Strategy`] says.
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
/// See [`broadcast`](self).
#[derive(Debug)]
pub struct Sender<R: RegionMut = Memfd> {
    end: Member<R, Layout>,
    core: Producer,
    corrupted: bool,
}

impl<R: RegionMut> Sender<R> {
    /// Takes the sender's place in the ring that [`init`] has made in this memory.
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
        Self::open(region, options, 0)
    }

    fn open(region: R, options: &RingOptions, from: u64) -> Result<Self> {
        let end = open(region, options)?;
        if end.memory.compare_exchange(PRODUCER, from, end.identity).is_err() {
            return Err(Error::new(ErrorKind::AlreadyExists, ATTACH)
                .with_note("a broadcast has one sender, and this one is taken"));
        }
        if end.memory.full_fences() {
            end.memory.store(PRODUCER_SLEEPS, WANTS_FENCES, Relaxed);
        }
        let core = Producer::new(end.shape.capacity, end.shape.overwrites);
        Ok(Self { end, core, corrupted: false })
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
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<Grant<'_, R>> {
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
        match self.core.claim(&self.end.memory, len) {
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

/// A sender that looks for room.
struct Room<'a, R: RegionMut> {
    sender: &'a mut Sender<R>,
    len: usize,
}

impl<R: RegionMut> Seek for Room<'_, R> {
    type Found = Claim;

    fn look(&mut self) -> Result<Claim, Miss> {
        Ok(self.sender.core.claim(&self.sender.end.memory, self.len)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Sender { end, core, .. } = &mut *self.sender;
        let ready = || !matches!(core.claim(&end.memory, self.len), Err(NotSent::Full));
        sleep(&end.memory, PRODUCER_SLEEPS, time, ready)
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

impl<R: RegionMut> SendMsg for Sender<R> {
    fn max_len(&self) -> usize {
        self.core.max_len()
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let claim = self.claim(msg.len(), wait)?;
        self.end.memory.write(claim.at, msg);
        self.core.commit(&self.end.memory, claim);
        notify_all(&self.end.memory);
        Ok(())
    }
}

impl<R: RegionMut> Drop for Sender<R> {
    fn drop(&mut self) {
        if !self.end.is_own() {
            return;
        }
        match self.end.heir {
            0 => end(&self.end.memory),
            heir => self.end.memory.store(PRODUCER, heir, Release),
        }
    }
}

/// Room in a ring for a message that is not sent yet. Dropping it sends nothing.
#[derive(Debug)]
#[must_use = "nothing is sent before commit"]
pub struct Grant<'a, R: RegionMut> {
    sender: &'a mut Sender<R>,
    claim: Claim,
    len: usize,
}

impl<R: RegionMut> Grant<'_, R> {
    /// Writes a part of the message. What is not written is whatever was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside of the message.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        layout::check(offset, bytes.len(), self.len, SEND)?;
        self.sender.end.memory.write_part(self.claim.at + offset, bytes);
        Ok(())
    }

    /// Sends it.
    pub fn commit(self) {
        self.sender.core.commit(&self.sender.end.memory, self.claim);
        notify_all(&self.sender.end.memory);
    }
}

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
/// See [`broadcast`](self).
#[derive(Debug)]
pub struct Receiver<R: RegionMut = Memfd> {
    end: Member<R, Layout>,
    place: usize,
    core: Consumer,
    patience: Patience,
    corrupted: bool,
}

impl<R: RegionMut> Receiver<R> {
    /// Takes a receiver's place in the ring that [`init`] has made in this memory. It receives what is sent
    /// from now on.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::attach`]; but [`ErrorKind::ResourceLimit`] when there are 32 receivers.
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false)
    }

    fn open(region: R, options: &RingOptions, inherits: bool) -> Result<Self> {
        let mut end = open(region, options)?;
        let take = |end: &Member<R, Layout>, from| PLACES.take(&end.memory, from, end.identity);
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
        Ok(Self { end, place, core, patience: Patience::default(), corrupted: false })
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
    /// See [`spsc::Sender::reserve`](super::spsc::Sender::reserve).
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_, R>> {
        let found = self.find(wait)?;
        Ok(View { receiver: self, found })
    }

    #[inline]
    fn find(&mut self, wait: Wait) -> Result<Found> {
        if self.corrupted {
            return Err(Error::new(ErrorKind::Corrupted, RECV));
        }
        match self.core.peek(&self.end.memory) {
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

/// A receiver that looks for a record.
struct Record<'a, R: RegionMut>(&'a mut Receiver<R>);

impl<R: RegionMut> Seek for Record<'_, R> {
    type Found = Found;

    fn look(&mut self) -> Result<Found, Miss> {
        Ok(self.0.core.peek(&self.0.end.memory)?)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let Receiver { end, core, .. } = &mut *self.0;
        doze(&end.memory, time, || !matches!(core.peek(&end.memory), Err(NotReceived::Empty)))
    }

    fn check_is_due(&self) -> bool {
        self.0.end.check_is_due()
    }

    fn check(&mut self) {
        self.0.end.check();
    }
}

impl<R: RegionMut> RecvMsg for Receiver<R> {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        loop {
            let found = self.find(wait)?;
            let max = buf.len();
            let Some(front) = buf.get_mut(..found.len) else {
                let kind = ErrorKind::MessageTooLarge { len: found.len, max };
                return Err(Error::new(kind, RECV));
            };
            self.end.memory.read(found.at, front);
            if self.core.release(&self.end.memory, found) {
                self.patience.received();
                return Ok(found.len);
            }
            // It was overwritten meanwhile.
        }
    }
}

impl<R: RegionMut> Drop for Receiver<R> {
    fn drop(&mut self) {
        if self.end.is_own() {
            leave(&self.end.memory, self.place, self.end.heir);
        }
    }
}

/// A message in a ring. Dropping it leaves the message there, for the next receive.
#[derive(Debug)]
pub struct View<'a, R: RegionMut> {
    receiver: &'a mut Receiver<R>,
    found: Found,
}

impl<R: RegionMut> View<'_, R> {
    /// How many bytes the message has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is a message and no collection")]
    pub fn len(&self) -> usize {
        self.found.len
    }

    /// Copies a part of the message out. Where the sender overwrites, it may be a part of another message:
    /// [`release`](Self::release) tells.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside of the message.
    pub fn read_at(&self, offset: usize, buf: &mut [u8]) -> Result<()> {
        layout::check(offset, buf.len(), self.found.len, RECV)?;
        self.receiver.end.memory.read_part(self.found.at + offset, buf);
        Ok(())
    }

    /// Receives it. Whether the message was whole until now: `false` if the sender has overwritten it
    /// meanwhile, so that what was read of it is worth nothing.
    pub fn release(self) -> bool {
        self.receiver.core.release(&self.receiver.end.memory, self.found)
    }
}

impl Receiver {
    /// Another receiver of the same ring. It receives what is sent from now on.
    ///
    /// # Errors
    ///
    /// Those of [`attach`](Self::attach); [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        Self::attach(self.end.memory.region().try_clone()?, &self.end.options)
    }
}

/// What both ends have.
macro_rules! end {
    ($end:ident, |$key:ident| $adopt:expr) => {
        /// The end must not have been used: what it knows of the ring stays in this process.
        impl Handoff for $end {
            fn give(mut self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                if !self.core.is_unused() {
                    let error = Error::new(ErrorKind::InvalidInput, "handoff")
                        .with_note("hand an end of a broadcast over before its first message");
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

            fn adopt($key: &str) -> Result<Self> {
                $adopt
            }
        }

        impl<R: RegionMut> $end<R> {
            /// How this end waits from now on.
            pub fn set_strategy(&mut self, strategy: Strategy) {
                self.end.options.strategy = strategy;
            }
        }

        impl<R: RegionMut> Mechanism for $end<R> {
            const NAME: &'static str = "shm-broadcast";
            const CAPS: Caps = Caps::new(CapsShape::Message)
                .anonymous()
                .persistence(Persistence::Process)
                .boundaries()
                .empty_messages()
                .reports_peer_death();
        }
    };
}

end!(Sender, |key| Self::open(Memfd::adopt(key)?, &RingOptions::new(), GIVEN));
end!(Receiver, |key| Self::open(Memfd::adopt(key)?, &RingOptions::new(), true));

impl Pair for Receiver {
    type Peer = Sender;
    type Options = RingOptions;

    fn pair(options: &RingOptions) -> Result<(Self, Sender)> {
        pair(options).map(|(tx, rx)| (rx, tx))
    }
}

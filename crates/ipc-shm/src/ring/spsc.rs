//! A ring between one sender and one receiver.

use std::os::fd::OwnedFd;
use std::process::Command;

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Pair, Persistence, RecvMsg, RegionMut, Rejected,
    Result, SendMsg, Shape, Wait,
};

use super::RingOptions;
use super::end::{Dialogue, Place, Role};
use super::layout::check;
use super::memory::Memory;
use super::spsc_core::{Claim, Consumer, Found, NotReceived, NotSent, Producer};
use super::waiting::{Next, Patience, Waiting, look_away};
use crate::Memfd;

/// The sending end of a ring with one sender and one receiver.
///
/// # Blocking
///
/// Sending makes no system call, unless the receiver sleeps or there is no room; then it waits as its
/// [`Strategy`](super::Strategy) says.
///
/// # Peer death
///
/// A receiver that is dropped, or whose process dies, makes every send [`ErrorKind::Disconnected`]. The
/// death of a process is noticed by who waits, within 20 ms.
///
/// # Errors
///
/// As [`SendMsg`] says; [`ErrorKind::Corrupted`], from then on, when the receiver has written nonsense
/// into the ring.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
/// use ipc_shm::ring::RingOptions;
///
/// let (mut tx, mut rx) = RingOptions::new().pair()?;
/// tx.send(b"one")?;
/// tx.send(b"two")?;
/// drop(tx);
///
/// let mut buf = [0; 64];
/// assert_eq!(rx.recv(&mut buf)?, 3);
/// assert_eq!(rx.recv(&mut buf)?, 3);
/// assert_eq!(rx.recv(&mut buf).unwrap_err().kind(), ErrorKind::Disconnected);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Sender<R: RegionMut = Memfd> {
    place: Place<R>,
    core: Producer,
    dialogue: Dialogue,
    corrupted: bool,
}

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
/// See [`Sender`].
#[derive(Debug)]
pub struct Receiver<R: RegionMut = Memfd> {
    place: Place<R>,
    core: Consumer,
    patience: Patience,
    dialogue: Dialogue,
    corrupted: bool,
}

const SEND: &str = "send to ring";
const RECV: &str = "receive from ring";

/// Makes a ring in memory of its own, and both its ends: [`RingOptions::pair`].
///
/// # Errors
///
/// Those of [`RingOptions::pair`].
pub fn pair(options: &RingOptions) -> Result<(Sender, Receiver)> {
    options.pair()
}

impl<R: RegionMut> Sender<R> {
    /// Takes the sender's place in the ring that [`RingOptions::init`] has made in this memory.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no ring yet;
    /// - [`ErrorKind::Corrupted`] when there is something else;
    /// - [`ErrorKind::WrongType`] when it is a ring of another version of this crate;
    /// - [`ErrorKind::AlreadyExists`] when it has, or had, a sender;
    /// - [`ErrorKind::InvalidInput`] when the memory is too small for any ring.
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Place::take(region, Role::Producer, options, false).map(Self::new)
    }

    fn new(place: Place<R>) -> Self {
        let core = Producer::new(place.capacity);
        Self { place, core, dialogue: Dialogue::default(), corrupted: false }
    }

    /// Rings a doorbell when the receiver has [armed](Receiver::arm) it: an `eventfd`, to which 1 is added. The
    /// receiver has the same one, and gets it as it gets any descriptor.
    pub fn set_doorbell(&mut self, eventfd: OwnedFd) {
        self.place.set_doorbell(eventfd);
    }

    /// Sends one message after the other and wakes the receiver once. Returns how many were sent: it waits for
    /// room for the first, and stops when there is no more.
    ///
    /// # Errors
    ///
    /// Those of [`SendMsg`], when the first message was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Wait;
    /// use ipc_shm::ring::RingOptions;
    ///
    /// let (mut tx, mut rx) = RingOptions::new().pair()?;
    /// let messages = ["one", "two", "three"];
    /// assert_eq!(tx.send_batch(messages.iter().map(|it| it.as_bytes()), Wait::Forever)?, 3);
    /// let (mut buf, mut lengths) = ([0; 64], Vec::new());
    /// assert_eq!(rx.recv_batch(&mut buf, 100, Wait::Forever, |msg| lengths.push(msg.len()))?, 3);
    /// assert_eq!(lengths, [3, 3, 5]);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn send_batch<'m>(
        &mut self,
        messages: impl IntoIterator<Item = &'m [u8]>,
        wait: Wait,
    ) -> Result<usize> {
        let mut sent = 0;
        for msg in messages {
            let wait = if sent == 0 { wait } else { Wait::Never };
            let claim = match self.claim(msg.len(), wait) {
                Ok(claim) => claim,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => break,
            };
            let memory = self.place.memory();
            memory.write(claim.at, msg);
            self.core.commit(memory, claim);
            sent += 1;
        }
        if sent > 0 {
            self.core.notify(self.place.memory());
        }
        Ok(sent)
    }

    /// Makes room for a message of `len` bytes, which is then written in its place and not copied.
    ///
    /// # Errors
    ///
    /// Those of [`SendMsg`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{RecvMsg, Wait};
    /// use ipc_shm::ring::RingOptions;
    ///
    /// let (mut tx, mut rx) = RingOptions::new().pair()?;
    /// let mut grant = tx.reserve(11, Wait::Forever)?;
    /// grant.write_at(0, b"hello ")?;
    /// grant.write_at(6, b"world")?;
    /// grant.commit();
    ///
    /// let view = rx.peek(Wait::Forever)?;
    /// let mut word = [0; 5];
    /// view.read_at(6, &mut word)?;
    /// view.release();
    /// assert_eq!(&word, b"world");
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn reserve(&mut self, len: usize, wait: Wait) -> Result<Grant<'_, R>> {
        let claim = self.claim(len, wait)?;
        // What is written into a grant that is then dropped stands where headers will be.
        self.core.forget_clean();
        Ok(Grant { sender: self, claim, len })
    }

    #[inline]
    fn claim(&mut self, len: usize, wait: Wait) -> Result<Claim> {
        let max = self.core.max_len();
        if len > max || self.corrupted {
            return Err(self.refuse(len, max));
        }
        match self.core.claim(self.place.memory(), len) {
            Ok(claim) => Ok(claim),
            Err(why) => self.wait_for_room(len, wait, why),
        }
    }

    #[cold]
    fn refuse(&self, len: usize, max: usize) -> Error {
        if len > max {
            return Error::new(ErrorKind::MessageTooLarge { len, max }, SEND);
        }
        Error::new(ErrorKind::Corrupted, SEND)
    }

    #[cold]
    fn wait_for_room(&mut self, len: usize, wait: Wait, mut why: NotSent) -> Result<Claim> {
        let mut waiting = Waiting::for_room(wait, self.place.strategy_now());
        loop {
            match why {
                NotSent::Full => {}
                NotSent::Gone => return Err(Error::new(ErrorKind::Disconnected, SEND)),
                NotSent::Corrupted => {
                    self.corrupted = true;
                    return Err(Error::new(ErrorKind::Corrupted, SEND));
                }
            }
            match waiting.next() {
                // The receiver writes how far it is for every message: to look too often slows it
                // down, and finds room for one message.
                Next::Look => look_away(),
                Next::Sleep(time) => {
                    self.dialogue.before_sleep(&self.place, self.core.position());
                    let (core, memory) = (&mut self.core, self.place.memory());
                    let ready = || !matches!(core.claim(memory, len), Err(NotSent::Full));
                    waiting.slept(self.place.sleep(time, ready));
                }
                Next::CheckPeer => self.place.check_peer(),
                Next::GiveUp if !self.place.check_is_due() => {
                    return Err(Error::new(wait.exhausted(), SEND));
                }
                // Whoever only ever waits shortly must learn of a dead peer as well.
                Next::GiveUp => self.place.check_peer(),
            }
            match self.core.claim(self.place.memory(), len) {
                Ok(claim) => {
                    self.dialogue.after_wait(&self.place, self.core.position());
                    return Ok(claim);
                }
                Err(next) => why = next,
            }
        }
    }
}

impl<R: RegionMut> SendMsg for Sender<R> {
    fn max_len(&self) -> usize {
        self.core.max_len()
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        let claim = self.claim(msg.len(), wait)?;
        let memory = self.place.memory();
        memory.write(claim.at, msg);
        self.core.commit(memory, claim);
        self.core.notify(memory);
        Ok(())
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
        check(offset, bytes.len(), self.len, SEND)?;
        self.sender.place.memory().write_part(self.claim.at + offset, bytes);
        Ok(())
    }

    /// Sends it.
    pub fn commit(self) {
        let memory = self.sender.place.memory();
        self.sender.core.commit(memory, self.claim);
        self.sender.core.notify(memory);
    }
}

impl<R: RegionMut> Receiver<R> {
    /// Takes the receiver's place in the ring that [`RingOptions::init`] has made in this memory.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::attach`].
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Place::take(region, Role::Consumer, options, false).map(Self::new)
    }

    fn new(place: Place<R>) -> Self {
        let core = Consumer::new(place.capacity);
        let (patience, dialogue) = (Patience::default(), Dialogue::default());
        Self { place, core, patience, dialogue, corrupted: false }
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
        let Self { place, core, .. } = self;
        place.arm(|| !matches!(core.peek(place.memory()), Err(NotReceived::Empty)))
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
    /// See [`Sender::send_batch`].
    pub fn recv_batch(
        &mut self,
        buf: &mut [u8],
        most: usize,
        wait: Wait,
        mut each: impl FnMut(&[u8]),
    ) -> Result<usize> {
        let mut received = 0;
        while received < most {
            let found = if received == 0 {
                self.find(wait)?
            } else {
                match self.core.peek(self.place.memory()) {
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
            self.place.memory().read(found.at, front);
            self.core.skip(found);
            received += 1;
            each(front);
        }
        if received > 0 {
            self.core.publish(self.place.memory());
            self.patience.received();
        }
        Ok(received)
    }

    /// Finds the next message, which is then read in its place and not copied. See [`Sender::reserve`].
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`], but [`ErrorKind::MessageTooLarge`].
    pub fn peek(&mut self, wait: Wait) -> Result<View<'_, R>> {
        let found = self.find(wait)?;
        Ok(View { receiver: self, found })
    }

    #[inline]
    fn find(&mut self, wait: Wait) -> Result<Found> {
        if self.corrupted {
            return Err(Error::new(ErrorKind::Corrupted, RECV));
        }
        match self.core.peek(self.place.memory()) {
            Ok(found) => Ok(found),
            Err(why) => self.wait_for_record(wait, why),
        }
    }

    #[cold]
    fn wait_for_record(&mut self, wait: Wait, mut why: NotReceived) -> Result<Found> {
        let mut waiting = Waiting::new(wait, self.place.strategy_now());
        if why == NotReceived::Empty && waiting.spins() {
            self.patience.look_away();
        }
        loop {
            match why {
                NotReceived::Empty => {}
                NotReceived::Gone => return Err(Error::new(ErrorKind::Disconnected, RECV)),
                NotReceived::Corrupted => {
                    self.corrupted = true;
                    return Err(Error::new(ErrorKind::Corrupted, RECV));
                }
            }
            match waiting.next() {
                Next::Look => {}
                Next::Sleep(time) => {
                    self.dialogue.before_sleep(&self.place, self.core.position());
                    let (core, memory) = (&mut self.core, self.place.memory());
                    let ready = || !matches!(core.peek(memory), Err(NotReceived::Empty));
                    waiting.slept(self.place.sleep(time, ready));
                }
                Next::CheckPeer => self.place.check_peer(),
                Next::GiveUp if !self.place.check_is_due() => {
                    return Err(Error::new(wait.exhausted(), RECV));
                }
                // Whoever only ever waits shortly must learn of a dead peer as well.
                Next::GiveUp => self.place.check_peer(),
            }
            match self.core.peek(self.place.memory()) {
                Ok(found) => {
                    self.patience.found(&waiting);
                    self.dialogue.after_wait(&self.place, self.core.position());
                    return Ok(found);
                }
                Err(next) => why = next,
            }
        }
    }
}

impl<R: RegionMut> RecvMsg for Receiver<R> {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let found = self.find(wait)?;
        let max = buf.len();
        let Some(front) = buf.get_mut(..found.len) else {
            let kind = ErrorKind::MessageTooLarge { len: found.len, max };
            return Err(Error::new(kind, RECV));
        };
        let memory = self.place.memory();
        memory.read(found.at, front);
        self.core.release(memory, found);
        self.patience.received();
        Ok(found.len)
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

    /// Copies a part of the message out.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for bytes outside of the message.
    pub fn read_at(&self, offset: usize, buf: &mut [u8]) -> Result<()> {
        check(offset, buf.len(), self.found.len, RECV)?;
        self.receiver.place.memory().read_part(self.found.at + offset, buf);
        Ok(())
    }

    /// The message as a slice.
    ///
    /// # Safety
    ///
    /// As long as the slice lives, nobody writes to it: the sender's process is trusted to keep to the
    /// protocol.
    #[expect(unsafe_code, reason = "the contract is the caller's")]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the record was found to be in the ring; the rest is what the caller promises.
        unsafe { self.receiver.place.memory().slice(self.found.at, self.found.len) }
    }

    /// Receives it: the room is the sender's again.
    pub fn release(self) {
        let memory = self.receiver.place.memory();
        self.receiver.core.release(memory, self.found);
    }
}

/// What both ends have for the default memory.
macro_rules! end {
    ($end:ident, $role:expr) => {
        /// The end must not have been used: what it knows of the ring stays in this process.
        impl Handoff for $end<Memfd> {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                if self.core.position() != 0 {
                    let error = Error::new(ErrorKind::InvalidInput, "handoff")
                        .with_note("hand an end of a ring over before its first message");
                    return Err(Rejected { value: self, error });
                }
                let copy = match self.place.region().try_clone() {
                    Ok(copy) => copy,
                    Err(error) => return Err(Rejected { value: self, error }),
                };
                match copy.give(command, key) {
                    Ok(()) => {
                        // Not dropped: the place is the child's.
                        self.place.give();
                        Ok(())
                    }
                    Err(rejected) => Err(Rejected { value: self, error: rejected.error }),
                }
            }

            fn adopt(key: &str) -> Result<Self> {
                let memory = Memfd::adopt(key)?;
                Place::take(memory, $role, &RingOptions::new(), true).map(Self::new)
            }
        }

        impl<R: RegionMut> $end<R> {
            /// How this end waits from now on.
            pub fn set_strategy(&mut self, strategy: super::Strategy) {
                self.place.strategy = strategy;
            }
        }

        impl<R: RegionMut> Mechanism for $end<R> {
            const NAME: &'static str = "shm-spsc";
            const CAPS: Caps = Caps::new(Shape::Message)
                .anonymous()
                .persistence(Persistence::Process)
                .boundaries()
                .empty_messages()
                .reports_peer_death();
        }
    };
}

end!(Sender, Role::Producer);
end!(Receiver, Role::Consumer);

impl Pair for Receiver<Memfd> {
    type Peer = Sender<Memfd>;
    type Options = RingOptions;

    fn pair(options: &RingOptions) -> Result<(Self, Sender<Memfd>)> {
        options.pair().map(|(tx, rx)| (rx, tx))
    }
}

//! The sending end.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_core::{RegionMut, Result, SendMsg, Wait};

use super::{End, Grant, open};
use crate::Memfd;
use crate::ring::RingOptions;
use crate::ring::couple::SENDER;
use crate::ring::dialogue::Bed;
use crate::ring::in_place::{self, Reserves};
use crate::ring::layout::CONSUMER_CPU;
use crate::ring::mapped::Mapped;
use crate::ring::memory::Memory;
use crate::ring::seek::{Miss, Seek, runs_here, seek};
use crate::ring::spsc_core::{Claim, NotSent, Producer};

const SEND: &str = "send to ring";

/// The sending end of a ring with one sender and one receiver.
///
/// # Blocking
///
/// Sending makes no system call, unless the receiver sleeps or there is no room; then it waits as its
/// [`Strategy`](crate::ring::Strategy) says.
///
/// # Peer death
///
/// A receiver that is dropped, or whose process dies, makes every send
/// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected). The
/// death of a process is noticed by who waits, within 20 ms.
///
/// # Errors
///
/// As [`SendMsg`] says; [`ErrorKind::Corrupted`](ipc_core::ErrorKind::Corrupted), from then on, when the
/// receiver has written nonsense
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
    pub(super) end: End<R>,
    pub(super) core: Producer,
}

impl<R: RegionMut> Sender<R> {
    /// Takes the sender's place in the ring that [`RingOptions::init`] has made in this memory.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`](ipc_core::ErrorKind::NotFound) when there is no ring yet;
    /// - [`ErrorKind::Corrupted`](ipc_core::ErrorKind::Corrupted) when there is something else;
    /// - [`ErrorKind::WrongType`](ipc_core::ErrorKind::WrongType) when it is a ring of another version of this
    ///   crate;
    /// - [`ErrorKind::AlreadyExists`](ipc_core::ErrorKind::AlreadyExists) when it has, or had, a sender;
    /// - [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) when the memory is too small for any
    ///   ring.
    pub fn attach(region: R, options: &RingOptions) -> Result<Self> {
        Self::open(region, options, false)
    }

    pub(super) fn open(region: R, options: &RingOptions, inherits: bool) -> Result<Self> {
        let end = open(region, SENDER, options, inherits)?;
        let core =
            if inherits { Producer::resume(end.shape.0, 0, 0) } else { Producer::new(end.shape.0) };
        Ok(Self { end, core })
    }

    /// Rings a doorbell when the receiver has [armed](super::Receiver::arm) it: an `eventfd`, to which 1 is
    /// added. The
    /// receiver has the same one, and gets it as it gets any descriptor. It should not block
    /// (`EFD_NONBLOCK`): a receiver that is not to be trusted could fill it, and so keep a sender that rings
    /// it.
    #[doc(alias("eventfd", "epoll"))]
    pub fn set_doorbell(&mut self, eventfd: OwnedFd) {
        self.end.memory.set_doorbell(eventfd);
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
            let claim = match self.claim_known(msg.len()) {
                Some(claim) => claim,
                None => match self.claim(msg.len(), wait) {
                    Ok(claim) => claim,
                    Err(error) if sent == 0 => return Err(error),
                    Err(_) => break,
                },
            };
            let memory = &self.end.memory;
            memory.write(claim.at, msg);
            self.core.commit(memory, claim);
            self.core.tidy(memory, msg.len());
            sent += 1;
        }
        if sent > 0 {
            self.core.notify(&self.end.memory);
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

    #[cold]
    fn claim(&mut self, len: usize, wait: Wait) -> Result<Claim> {
        self.end.check_len(len, self.core.max_len(), SEND)?;
        match self.core.claim(&self.end.memory, len) {
            Ok(claim) => Ok(claim),
            Err(why) => seek(Room { sender: self, len }, wait, why.into()),
        }
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
}

/// A sender that looks for room.
struct Room<'a, R: RegionMut> {
    sender: &'a mut Sender<R>,
    len: usize,
}

impl<R: RegionMut> Seek for Room<'_, R> {
    type Region = R;
    type Shape = super::Capacity;
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
        let Sender { end, core } = &mut *self.sender;
        let position = core.position();
        let ready = || !matches!(core.claim(&end.memory, self.len), Err(NotSent::Full));
        end.dialogue.sleep(&end.memory, Bed::Producer, position, time, ready)
    }

    fn found(&mut self) {
        let Sender { end, core } = &mut *self.sender;
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
        let memory = &self.end.memory;
        self.core.commit(memory, claim);
        self.core.notify(memory);
        self.core.tidy(memory, claim.len);
    }
}

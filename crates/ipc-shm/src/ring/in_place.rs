//! Messages that are written and read where they are.

use std::fmt::Debug;

use ipc_core::{RegionMut, Result};

use super::layout::check;
use super::mapped::Mapped;
use super::spsc_core::Claim;

/// An end that sends messages from where they are written.
pub trait Reserves {
    #[doc(hidden)]
    type Region: RegionMut;

    /// The memory, and where the message of a claim is in it.
    #[doc(hidden)]
    fn room(&self, claim: Claim) -> (&Mapped<Self::Region>, usize);
    #[doc(hidden)]
    fn commit(&mut self, claim: Claim);
}

/// Room in a ring for a message that is not sent yet. Dropping it sends nothing.
#[derive(Debug)]
#[must_use = "nothing is sent before commit"]
pub struct Grant<'a, S: Reserves> {
    sender: &'a mut S,
    claim: Claim,
}

impl<'a, S: Reserves> Grant<'a, S> {
    pub(crate) const fn new(sender: &'a mut S, claim: Claim) -> Self {
        Self { sender, claim }
    }

    /// Writes a part of the message. What is not written is whatever was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for bytes outside of the message.
    #[inline]
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        check(offset, bytes.len(), self.claim.len, "write message")?;
        let (memory, at) = self.sender.room(self.claim);
        memory.write_part(at + offset, bytes);
        Ok(())
    }

    /// Sends it.
    #[inline]
    pub fn commit(self) {
        self.sender.commit(self.claim);
    }
}

/// An end that finds messages where they are.
pub trait Finds {
    #[doc(hidden)]
    type Region: RegionMut;
    #[doc(hidden)]
    type Message: Debug + Copy;
    /// What is known of a message that was received.
    #[doc(hidden)]
    type Released;

    /// The memory, where the message is in it, and its length.
    #[doc(hidden)]
    fn message(&self, message: Self::Message) -> (&Mapped<Self::Region>, usize, usize);
    #[doc(hidden)]
    fn release(&mut self, message: Self::Message) -> Self::Released;
    #[doc(hidden)]
    fn put_back(&mut self, _message: Self::Message) {}
}

/// A message in a ring. Dropping it leaves the message there, for the next receive.
#[derive(Debug)]
pub struct View<'a, F: Finds> {
    receiver: &'a mut F,
    message: F::Message,
    released: bool,
}

impl<'a, F: Finds> View<'a, F> {
    pub(crate) const fn new(receiver: &'a mut F, message: F::Message) -> Self {
        Self { receiver, message, released: false }
    }

    /// How many bytes the message has.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is a message and no collection")]
    pub fn len(&self) -> usize {
        self.receiver.message(self.message).2
    }

    /// Copies a part of the message out. Where the sender [overwrites](super::RingOptions::overwrite), it may
    /// be a part of another message: [`release`](Self::release) tells.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for bytes outside of the message.
    #[inline]
    pub fn read_at(&self, offset: usize, buf: &mut [u8]) -> Result<()> {
        let (memory, at, len) = self.receiver.message(self.message);
        check(offset, buf.len(), len, "read message")?;
        memory.read_part(at + offset, buf);
        Ok(())
    }

    /// The message as a slice.
    ///
    /// # Safety
    ///
    /// As long as the slice lives, nobody writes to it: the sender does not
    /// [overwrite](super::RingOptions::overwrite), and the processes of all other ends are trusted to keep to
    /// the protocol.
    #[expect(unsafe_code, reason = "the contract is the caller's")]
    pub unsafe fn as_slice(&self) -> &[u8] {
        let (memory, at, len) = self.receiver.message(self.message);
        // SAFETY: the record was found to be in the ring; the rest is what the caller promises.
        unsafe { memory.slice(at, len) }
    }

    /// Receives it: the room is the sender's again.
    ///
    /// From a [`broadcast`](super::broadcast) this says whether the message was whole until now: `false` if
    /// the sender has overwritten it meanwhile, so that what was read of it is worth nothing.
    #[inline]
    pub fn release(mut self) -> F::Released {
        self.released = true;
        self.receiver.release(self.message)
    }
}

impl<F: Finds> Drop for View<'_, F> {
    fn drop(&mut self) {
        if !self.released {
            self.receiver.put_back(self.message);
        }
    }
}

//! A ring's memory, over a region that is mapped.
#![expect(unsafe_code, reason = "every access of a ring to its region is made here")]

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};
use std::time::Duration;

use ipc_core::RegionMut;
use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::thread::futex;

use super::fences;
use super::layout::CONSUMER_SLEEPS;
use super::memory::Memory;
use crate::copy::{LONG, copy};
use crate::{RegionExt, sys};

/// A region, as a ring sees it.
///
/// Invariant: the region is as long as the ring says, which was checked when the ring was attached.
#[derive(Debug)]
pub struct Mapped<R> {
    region: R,
    /// Whether a light fence must be a full one: this process cannot be reached by `membarrier`, or
    /// cannot make one, or somebody wants it so.
    full_fences: bool,
    /// What is written to when consumers are woken.
    doorbell: Option<OwnedFd>,
}

impl<R: RegionMut> Mapped<R> {
    pub(crate) fn new(region: R, full_fences: bool) -> Self {
        Self { region, full_fences: full_fences || !fences::register(), doorbell: None }
    }

    pub(crate) fn set_doorbell(&mut self, eventfd: OwnedFd) {
        self.doorbell = Some(eventfd);
    }

    pub(crate) const fn has_doorbell(&self) -> bool {
        self.doorbell.is_some()
    }

    /// Rings the doorbell, if there is one.
    pub(crate) fn ring(&self) {
        if let Some(eventfd) = &self.doorbell {
            // It fails when it has rung so often that nobody can have listened.
            let _ = rustix::io::write(eventfd, &1_u64.to_ne_bytes());
        }
    }

    pub(crate) fn region(&self) -> &R {
        &self.region
    }

    /// Whether this process must make full fences, and ask the peer for them.
    pub(crate) const fn full_fences(&self) -> bool {
        self.full_fences
    }

    pub(crate) fn len(&self) -> usize {
        self.region.len()
    }

    /// Copies a part of a message out.
    #[inline]
    pub(crate) fn read_part(&self, at: usize, buf: &mut [u8]) {
        if at.is_multiple_of(8) {
            return self.read(at, buf);
        }
        // A record is in the region: the check cannot fail.
        let _ = self.region.read_at(at, buf);
    }

    /// Copies a part of a message in.
    #[inline]
    pub(crate) fn write_part(&self, at: usize, bytes: &[u8]) {
        // What comes after is another part's.
        if at.is_multiple_of(8) && bytes.len().is_multiple_of(8) {
            return self.write(at, bytes);
        }
        // A claim is in the region: the check cannot fail.
        let _ = self.region.write_at(at, bytes);
    }

    /// A message as a slice.
    ///
    /// # Safety
    ///
    /// The bytes are in the region, and nobody writes to them as long as the slice lives.
    pub(crate) unsafe fn slice(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: the region is mapped, initialised and readable as long as it is borrowed; the rest is
        // what the caller promises.
        unsafe { std::slice::from_raw_parts(self.at(at), len) }
    }

    fn at(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.region.len(), "{offset} is not in the region");
        // SAFETY: callers pass offsets within the ring or, for no bytes, its end, and the ring is within the
        // region.
        unsafe { self.region.base().as_ptr().add(offset) }
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the word is in the region, which is mapped, initialised and writable as long as it is
        // borrowed, and aligned to 64; offsets of words are multiples of 8.
        unsafe { &*self.at(offset).cast::<AtomicU64>() }
    }

    /// The half of a word that the kernel compares.
    fn futex(&self, offset: usize) -> &AtomicU32 {
        let low = offset + if cfg!(target_endian = "big") { 4 } else { 0 };
        // SAFETY: as for the whole word.
        unsafe { &*self.at(low).cast::<AtomicU32>() }
    }
}

/// A word that begins with these bytes, of which there are less than 8. (A call of `memcpy` would take as long as all
/// else that a short message costs.)
#[inline]
fn join(bytes: &[u8]) -> u64 {
    let (four, rest) = bytes.split_at(bytes.len() & 4);
    let (two, one) = rest.split_at(rest.len() & 2);
    let mut word = one.first().map_or(0, |it| u64::from(*it));
    if let Some(two) = two.first_chunk() {
        word = word << 16 | u64::from(u16::from_le_bytes(*two));
    }
    if let Some(four) = four.first_chunk() {
        word = word << 32 | u64::from(u32::from_le_bytes(*four));
    }
    word.to_le()
}

/// The first bytes of a word, less than 8.
#[inline]
fn split(word: u64, bytes: &mut [u8]) {
    let mut word = word.to_le();
    let (four, rest) = bytes.split_at_mut(bytes.len() & 4);
    let (two, one) = rest.split_at_mut(rest.len() & 2);
    if let Some(four) = four.first_chunk_mut() {
        *four = (word as u32).to_le_bytes();
        word >>= 32;
    }
    if let Some(two) = two.first_chunk_mut() {
        *two = (word as u16).to_le_bytes();
        word >>= 16;
    }
    if let Some(one) = one.first_mut() {
        *one = word as u8;
    }
}

impl<R: RegionMut> Memory for Mapped<R> {
    #[inline]
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.word(at).load(order)
    }

    #[inline]
    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.word(at).store(value, order);
    }

    fn compare_exchange(&self, at: usize, old: u64, new: u64) -> Result<u64, u64> {
        self.word(at).compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
    }

    #[inline]
    fn read(&self, at: usize, buf: &mut [u8]) {
        if buf.len() >= LONG {
            // SAFETY: a record is in the region, which is mapped as long as it is borrowed.
            unsafe { copy(self.at(at), buf.as_mut_ptr(), buf.len()) };
            return;
        }
        let (words, rest) = buf.as_chunks_mut::<8>();
        let end = at + 8 * words.len();
        for (i, word) in words.iter_mut().enumerate() {
            *word = self.load(at + 8 * i, Ordering::Relaxed).to_ne_bytes();
        }
        if !rest.is_empty() {
            split(self.load(end, Ordering::Relaxed), rest);
        }
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) {
        if bytes.len() >= LONG {
            // SAFETY: a claim is in the region, which is mapped, for writing too, as long as it is borrowed.
            unsafe { copy(bytes.as_ptr(), self.at(at), bytes.len()) };
            return;
        }
        let (words, rest) = bytes.as_chunks::<8>();
        let end = at + 8 * words.len();
        for (i, word) in words.iter().enumerate() {
            self.store(at + 8 * i, u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            self.store(end, join(rest), Ordering::Relaxed);
        }
    }

    fn zero(&self, at: usize, len: usize) {
        for word in (at..at + len).step_by(8) {
            self.store(word, 0, Ordering::Relaxed);
        }
    }

    #[inline]
    fn light_fence(&self) {
        if self.full_fences {
            fence(Ordering::SeqCst);
        } else {
            compiler_fence(Ordering::SeqCst);
        }
    }

    fn full_fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn heavy_fence(&self) {
        fence(Ordering::SeqCst);
        // Where the kernel has none, both ends make full fences.
        fences::heavy();
    }

    fn sleep(&self, at: usize, value: u32, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).ok();
        // Woken, changed before, a signal: the caller looks again in any case.
        let slept = futex::wait(self.futex(at), futex::Flags::empty(), value, timeout.as_ref());
        slept == Err(Errno::TIMEDOUT)
    }

    fn this_cpu(&self) -> u64 {
        u64::from(sys::this_cpu().wrapping_add(1))
    }

    fn wake(&self, at: usize, most: u32) -> u32 {
        if at == CONSUMER_SLEEPS {
            self.ring();
        }
        let woken = futex::wake(self.futex(at), futex::Flags::empty(), most);
        woken.map_or(0, |woken| woken.try_into().unwrap_or(most))
    }

    #[inline]
    fn fence(&self, order: Ordering) {
        fence(order);
    }
}

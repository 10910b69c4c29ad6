//! What a ring asks of its memory: words, bytes, fences, and a place to sleep.

use std::sync::atomic::Ordering;
use std::time::Duration;

/// Memory that a ring lives in, and the machine around it.
///
/// Offsets are bytes from the beginning of the ring; those of words are multiples of 8. Who calls has
/// checked that they are in the ring. A model implements it over atomics that a model checker watches.
pub(crate) trait Memory {
    fn load(&self, at: usize, order: Ordering) -> u64;
    fn store(&self, at: usize, value: u64, order: Ordering);
    fn compare_exchange(&self, at: usize, old: u64, new: u64) -> Result<u64, u64>;

    /// Copies bytes out that the peer may change meanwhile, from the beginning of a word.
    fn read(&self, at: usize, buf: &mut [u8]);
    /// Copies bytes in, from the beginning of a word; the rest of the last word is set to anything.
    fn write(&self, at: usize, bytes: &[u8]);
    /// Sets `len` bytes to zero, both multiples of 8.
    fn zero(&self, at: usize, len: usize);

    /// Orders this thread's stores before its later loads, as far as a peer goes that makes a
    /// [`heavy_fence`](Self::heavy_fence) between its own.
    fn light_fence(&self);
    /// Orders this thread's stores before its later loads, and those of every peer.
    fn heavy_fence(&self);
    /// Orders this thread's stores before its later loads.
    fn full_fence(&self);

    /// Sleeps while the low half of the word at `at` is `value`, at most for `timeout`. May return early;
    /// whether the time was over.
    fn sleep(&self, at: usize, value: u32, timeout: Duration) -> bool;
    /// The processor that this thread runs on, counted from 1.
    fn this_cpu(&self) -> u64;

    /// Wakes so many at most who sleep at a word; returns how many there were.
    fn wake(&self, at: usize, most: u32) -> u32;
    /// Orders this thread's accesses as [`std::sync::atomic::fence`] does.
    fn fence(&self, order: Ordering);
}

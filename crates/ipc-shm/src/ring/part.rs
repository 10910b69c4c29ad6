//! A ring of one producer and one consumer that is a part of something larger.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::layout::{
    CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, PRODUCER_CPU, PRODUCER_GONE, PRODUCER_SLEEPS,
};
use super::memory::Memory;

/// The part that begins at `base`. Whether consumers sleep or have gone, and with `ALL` whether the producer
/// does, is said once for the whole.
#[derive(Debug)]
pub(crate) struct Part<'a, M, const ALL: bool> {
    pub(crate) memory: &'a M,
    pub(crate) base: usize,
}

impl<M, const ALL: bool> Part<'_, M, ALL> {
    #[inline]
    fn at(&self, at: usize) -> usize {
        let consumers = matches!(at, CONSUMER_SLEEPS | CONSUMER_GONE | CONSUMER_CPU);
        let producers = ALL && matches!(at, PRODUCER_SLEEPS | PRODUCER_GONE | PRODUCER_CPU);
        if consumers || producers { at } else { self.base + at }
    }

    /// The offset of some data in the whole memory.
    #[inline]
    pub(crate) fn data(&self, at: usize) -> usize {
        self.base + at
    }
}

impl<M: Memory, const ALL: bool> Memory for Part<'_, M, ALL> {
    #[inline]
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.memory.load(self.at(at), order)
    }

    #[inline]
    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.memory.store(self.at(at), value, order);
    }

    fn compare_exchange(&self, at: usize, old: u64, new: u64) -> Result<u64, u64> {
        self.memory.compare_exchange(self.at(at), old, new)
    }

    #[inline]
    fn read(&self, at: usize, buf: &mut [u8]) {
        self.memory.read(self.base + at, buf);
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) {
        self.memory.write(self.base + at, bytes);
    }

    fn zero(&self, at: usize, len: usize) {
        self.memory.zero(self.base + at, len);
    }

    #[inline]
    fn light_fence(&self) {
        self.memory.light_fence();
    }

    fn heavy_fence(&self) {
        self.memory.heavy_fence();
    }

    fn full_fence(&self) {
        self.memory.full_fence();
    }

    fn sleep(&self, at: usize, value: u32, timeout: Duration) -> bool {
        self.memory.sleep(self.at(at), value, timeout)
    }

    fn this_cpu(&self) -> u64 {
        self.memory.this_cpu()
    }

    fn wake(&self, at: usize, most: u32) -> u32 {
        self.memory.wake(self.at(at), most)
    }

    fn fence(&self, order: Ordering) {
        self.memory.fence(order);
    }
}

//! Memory that a model checker watches, and the futex as the kernel has it.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use loom::sync::atomic::{AtomicU64, fence};
use loom::sync::{Arc, Condvar, Mutex};

use super::layout::{
    CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, DATA, HEAD, PRODUCER, PRODUCER_CPU,
    PRODUCER_GONE, PRODUCER_SLEEPS,
};
use super::memory::Memory;

/// The words of a ring that are more than names, and no others: the fewer, the faster is the checker.
pub(super) struct Model {
    words: HashMap<usize, AtomicU64>,
    kernel: Mutex<Kernel>,
    woken: Condvar,
    fences: Fences,
}

/// Which fences there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fences {
    /// All. A heavy fence also makes the other threads' light ones full, which the checker has no word for:
    /// so light ones are full.
    All,
    /// All but light ones: a thread that sleeps must have asked for full ones.
    NotLight,
    None,
}

/// Who sleeps where, in the order in which they came.
#[derive(Default)]
struct Kernel {
    asleep: Vec<(usize, u32)>,
    next: u32,
}

impl Model {
    /// Of all words at the offsets that are given.
    pub(super) fn new(words: impl IntoIterator<Item = usize>, fences: Fences) -> Arc<Self> {
        let words = words.into_iter().map(|at| (at, AtomicU64::new(0))).collect();
        let kernel = Mutex::new(Kernel::default());
        Arc::new(Self { words, kernel, woken: Condvar::new(), fences })
    }

    pub(super) fn of_spsc(capacity: usize, fences: Fences) -> Arc<Self> {
        let control = [
            HEAD,
            CONSUMER_SLEEPS,
            CONSUMER_GONE,
            CONSUMER_CPU,
            PRODUCER_SLEEPS,
            PRODUCER_GONE,
            PRODUCER_CPU,
            PRODUCER,
        ];
        Self::new(control.into_iter().chain((DATA..DATA + capacity).step_by(8)), fences)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        self.words.get(&at).expect("a word of the layout")
    }
}

impl Memory for Model {
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.word(at).load(order)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.word(at).store(value, order);
    }

    fn compare_exchange(&self, at: usize, old: u64, new: u64) -> Result<u64, u64> {
        self.word(at).compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
    }

    fn read(&self, at: usize, buf: &mut [u8]) {
        for (i, chunk) in buf.chunks_mut(8).enumerate() {
            let word = self.load(at + 8 * i, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        for (i, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.store(at + 8 * i, u64::from_le_bytes(word), Ordering::Relaxed);
        }
    }

    fn zero(&self, at: usize, len: usize) {
        (at..at + len).step_by(8).for_each(|word| self.store(word, 0, Ordering::Relaxed));
    }

    fn light_fence(&self) {
        if self.fences == Fences::All {
            fence(Ordering::SeqCst);
        }
    }

    fn full_fence(&self) {
        if self.fences != Fences::None {
            fence(Ordering::SeqCst);
        }
    }

    fn heavy_fence(&self) {
        self.full_fence();
    }

    fn fence(&self, order: Ordering) {
        if self.fences != Fences::None {
            fence(order);
        }
    }

    fn sleep(&self, at: usize, value: u32, _timeout: Duration) -> bool {
        // As the kernel does: it compares under the lock that a wake takes. There is no timeout, so that a
        // wake-up that is lost is a deadlock, which the checker reports.
        let mut kernel = self.kernel.lock().expect("lock");
        if self.load(at, Ordering::SeqCst) as u32 != value {
            return false;
        }
        let sleeper = (at, kernel.next);
        kernel.next += 1;
        kernel.asleep.push(sleeper);
        while kernel.asleep.contains(&sleeper) {
            kernel = self.woken.wait(kernel).expect("wait");
        }
        false
    }

    fn this_cpu(&self) -> u64 {
        1
    }

    fn wake(&self, at: usize, most: u32) -> u32 {
        let mut kernel = self.kernel.lock().expect("lock");
        let mut woken = 0;
        while woken < most
            && let Some(first) = kernel.asleep.iter().position(|(word, _)| *word == at)
        {
            kernel.asleep.remove(first);
            woken += 1;
        }
        self.woken.notify_all();
        woken
    }
}

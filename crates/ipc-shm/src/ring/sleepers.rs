//! Several consumers that sleep at one word.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::layout::{ASLEEP, CONSUMER_SLEEPS, WANTS_FENCES};
use super::memory::Memory;

/// More than a ring has consumers.
const MOST: usize = 64;

/// Sleeps until a producer wakes us, for `timeout` at most, unless there is something to do already.
///
/// The word has a number that every sleeper changes, so that the flag is never taken away from one that
/// came after the look. Whether the time was over.
pub(crate) fn doze(memory: &impl Memory, timeout: Duration, ready: impl FnOnce() -> bool) -> bool {
    let asleep = lie_down(memory);
    !ready() && memory.sleep(CONSUMER_SLEEPS, asleep as u32, timeout)
    // The flag stays: others may sleep too. Who wakes and finds nobody takes it away.
}

/// Asks to be woken by other means than the futex; whether that is needed, because nothing is there.
pub(crate) fn arm(memory: &impl Memory, ready: impl FnOnce() -> bool) -> bool {
    lie_down(memory);
    !ready()
}

/// Says that somebody sleeps; returns the word for it.
fn lie_down(memory: &impl Memory) -> u64 {
    let mut word = memory.load(CONSUMER_SLEEPS, Relaxed);
    let asleep = loop {
        let asleep = (word.wrapping_add(STEP) | ASLEEP) & u64::from(u32::MAX);
        match memory.compare_exchange(CONSUMER_SLEEPS, word, asleep) {
            Ok(_) => break asleep,
            Err(now) => word = now,
        }
    };
    memory.heavy_fence();
    asleep
}

/// What a sleeper adds to the word: the bits below are the flags.
const STEP: u64 = 4;

/// Wakes a consumer if one sleeps. To be called after a commit.
#[inline]
pub(crate) fn notify<M: Memory>(memory: &M) {
    notify_some(memory, 1);
}

/// Wakes all consumers that sleep. To be called after a commit.
#[inline]
pub(crate) fn notify_all<M: Memory>(memory: &M) {
    notify_some(memory, MOST);
}

#[inline]
fn notify_some<M: Memory>(memory: &M, most: usize) {
    memory.light_fence();
    if memory.load(CONSUMER_SLEEPS, Relaxed) & (ASLEEP | WANTS_FENCES) != 0 {
        attend(memory, most);
    }
}

#[cold]
fn attend(memory: &impl Memory, most: usize) {
    if memory.load(CONSUMER_SLEEPS, Relaxed) & WANTS_FENCES != 0 {
        memory.full_fence();
    }
    wake_some(memory, most);
}

/// Wakes all consumers.
pub(crate) fn rouse_all(memory: &impl Memory) {
    memory.heavy_fence();
    wake_some(memory, MOST);
}

/// Wakes so many consumers at most.
///
/// The number is changed first: one that is about to sleep, and that no wake reaches yet, finds another word
/// than its own and does not sleep. When nobody is left, the flag is taken away, unless the number has changed
/// again: that is one who came later.
pub(crate) fn wake_some(memory: &impl Memory, most: usize) {
    let mut word = memory.load(CONSUMER_SLEEPS, Relaxed);
    let changed = loop {
        if word & ASLEEP == 0 {
            return;
        }
        let changed = word.wrapping_add(STEP) & u64::from(u32::MAX);
        match memory.compare_exchange(CONSUMER_SLEEPS, word, changed) {
            Ok(_) => break changed,
            Err(now) => word = now,
        }
    };
    for _ in 0..most {
        if !memory.wake(CONSUMER_SLEEPS) {
            let _ = memory.compare_exchange(CONSUMER_SLEEPS, changed, changed & !ASLEEP);
            return;
        }
    }
}

/// Asks everybody who notifies consumers for a full fence.
pub(crate) fn want_fences(memory: &impl Memory) {
    let mut word = memory.load(CONSUMER_SLEEPS, Relaxed);
    while let Err(now) = memory.compare_exchange(CONSUMER_SLEEPS, word, word | WANTS_FENCES) {
        word = now;
    }
}

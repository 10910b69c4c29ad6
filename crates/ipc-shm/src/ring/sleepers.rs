//! Several consumers that sleep at one word.
//!
//! ```text
//! bit 0       ASLEEP: somebody sleeps, or is about to
//! bit 1       WANTS_FENCES: a process that cannot be reached by, or make, a membarrier
//! bits 2..9   how many have asked for fences
//! bits 9..32  a number that every sleeper and every waker changes
//! ```

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::layout::{ASLEEP, CONSUMER_SLEEPS, PRODUCER_CPU, WANTS_FENCES};
use super::memory::Memory;
use super::spsc_core::publish_cpu;

/// More than a ring has consumers.
const MOST: u32 = 64;

/// One who has asked for fences. One that is killed is counted for ever, which is slow and not wrong.
const ASKER: u64 = 1 << 2;
const ASKERS: u64 = 127 * ASKER;

/// What a sleeper adds to the word.
const STEP: u64 = ASKERS + ASKER;

/// Sleeps until a producer wakes us, for `timeout` at most, unless there is something to do already. `asked`:
/// this consumer has [asked](ask) for fences, and makes no heavy one.
///
/// The word has a number that every sleeper changes, so that the flag is never taken away from one that
/// came after the look. Whether the time was over.
pub(crate) fn doze(
    memory: &impl Memory,
    asked: bool,
    timeout: Duration,
    ready: impl FnOnce() -> bool,
) -> bool {
    let asleep = lie_down(memory);
    if asked {
        memory.full_fence();
    } else {
        memory.heavy_fence();
    }
    !ready() && memory.sleep(CONSUMER_SLEEPS, asleep as u32, timeout)
    // The flag stays: others may sleep too. Who wakes and finds nobody takes it away.
}

/// Says that nobody sleeps any more: for the only consumer, which is awake. So that no producer makes a system
/// call to find that out.
pub(crate) fn get_up(memory: &impl Memory) {
    change(memory, |word| (word & ASLEEP != 0).then(|| word.wrapping_add(STEP) & !ASLEEP));
}

/// Asks to be woken by other means than the futex; whether that is needed, because nothing is there.
pub(crate) fn arm(memory: &impl Memory, ready: impl FnOnce() -> bool) -> bool {
    lie_down(memory);
    memory.heavy_fence();
    !ready()
}

/// Says that somebody sleeps; returns the word for it.
fn lie_down(memory: &impl Memory) -> u64 {
    change(memory, |word| Some(word.wrapping_add(STEP) | ASLEEP)).unwrap_or(ASLEEP)
}

/// Changes the word, unless `new` says nothing; returns what it is then.
fn change(memory: &impl Memory, new: impl Fn(u64) -> Option<u64>) -> Option<u64> {
    let mut word = memory.load(CONSUMER_SLEEPS, Relaxed);
    loop {
        let changed = new(word)? & u64::from(u32::MAX);
        match memory.compare_exchange(CONSUMER_SLEEPS, word, changed) {
            Ok(_) => return Some(changed),
            Err(now) => word = now,
        }
    }
}

/// Asks everybody who notifies consumers for a full fence, or no more; whether that is how it is now.
pub(crate) fn ask(memory: &impl Memory, yes: bool) -> bool {
    if !yes {
        change(memory, |word| (word & ASKERS != 0).then(|| word - ASKER));
        return false;
    }
    let asked = change(memory, |word| (word & ASKERS != ASKERS).then(|| word + ASKER)).is_some();
    // From here on everybody's looks at the word see it.
    memory.heavy_fence();
    asked
}

/// The same for ever, for a process that cannot make a heavy fence.
pub(crate) fn want_fences(memory: &impl Memory) {
    change(memory, |word| Some(word | WANTS_FENCES));
}

/// Whether a consumer sleeps, or wants a fence before that can be known.
#[inline]
pub(crate) fn somebody_sleeps<M: Memory>(memory: &M) -> bool {
    memory.load(CONSUMER_SLEEPS, Relaxed) & (ASLEEP | WANTS_FENCES | ASKERS) != 0
}

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
fn notify_some<M: Memory>(memory: &M, most: u32) {
    memory.light_fence();
    if somebody_sleeps(memory) {
        attend(memory, most);
    }
}

#[cold]
fn attend(memory: &impl Memory, most: u32) {
    if memory.load(CONSUMER_SLEEPS, Relaxed) & (WANTS_FENCES | ASKERS) != 0 {
        memory.full_fence();
    }
    if memory.load(CONSUMER_SLEEPS, Relaxed) & ASLEEP != 0 {
        publish_cpu(memory, PRODUCER_CPU);
        wake_some(memory, most);
    }
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
pub(crate) fn wake_some(memory: &impl Memory, most: u32) {
    let step = |word: u64| (word & ASLEEP != 0).then(|| word.wrapping_add(STEP));
    let Some(changed) = change(memory, step) else { return };
    if memory.wake(CONSUMER_SLEEPS, most) < most {
        let _ = memory.compare_exchange(CONSUMER_SLEEPS, changed, changed & !ASLEEP);
    }
}

//! The protocol of the condition variable: one word, which waiters sleep on.
//!
//! The two lowest bits say whether somebody may be asleep, the others count notifications. A waiter writes
//! [`AWAITED`] while it holds the mutex, remembers the word, unlocks, and sleeps as long as the word is that one. A
//! notification counts, so that who has not come to sleep does not, writes [`WAKING`], and wakes everybody. Only then,
//! and only if nobody has written [`AWAITED`] since, it says that nobody is asleep.
//!
//! Nothing in it is a number of waiters, and no wake-up is meant for one of them: a waiter that is killed leaves at
//! most [`AWAITED`] behind, which costs the next notification a system call, and takes nothing away. A notifier that
//! is killed leaves [`AWAITED`] or [`WAKING`], and the next notification wakes those whom it has not woken.

/// The word, and the place to sleep at it. A model implements it over what a model checker watches.
pub(crate) trait Word {
    fn load(&self) -> u32;
    fn compare_exchange(&self, old: u32, new: u32) -> bool;
    /// Wakes all sleepers.
    fn wake_all(&self);
}

/// The bits that are not the count.
const STATE: u32 = 3;
/// Somebody may be asleep.
pub(super) const AWAITED: u32 = 1;
/// Somebody may be asleep, and who has counted is about to wake them, unless it was killed.
const WAKING: u32 = 3;
/// One notification.
pub(super) const ONE: u32 = 4;

/// Gets ready to sleep, with the mutex held: the word to sleep on.
#[inline]
pub(crate) fn prepare(word: &impl Word) -> u32 {
    loop {
        let now = word.load();
        let ready = now & !STATE | AWAITED;
        if now == ready || word.compare_exchange(now, ready) {
            return ready;
        }
    }
}

/// Wakes everybody who has got ready before.
#[inline]
pub(crate) fn notify(word: &impl Word) {
    loop {
        let now = word.load();
        if now & STATE == 0 {
            return;
        }
        let counted = (now & !STATE).wrapping_add(ONE) | WAKING;
        if word.compare_exchange(now, counted) {
            word.wake_all();
            // Whoever has come since has written another word.
            word.compare_exchange(counted, counted & !STATE);
            return;
        }
    }
}

//! The protocol of the condition variable: one word, which waiters sleep on.
//!
//! The lowest bit says that somebody may be asleep, the others count notifications. A waiter sets the bit while it
//! holds the mutex, remembers the word, unlocks, and sleeps as long as the word is that one. A notification
//! changes the word, so that who has not come to sleep does not, and takes the bit away; then it wakes everybody.
//! Nothing in it is a number of waiters, and no wake-up is meant for one of them: who is killed leaves at most the
//! bit behind, which costs the next notification a system call, and takes nothing away.

/// The word, and the place to sleep at it. A model implements it over what a model checker watches.
pub(crate) trait Word {
    fn load(&self) -> u32;
    fn fetch_or(&self, bits: u32) -> u32;
    fn compare_exchange(&self, old: u32, new: u32) -> bool;
    /// Wakes all sleepers.
    fn wake_all(&self);
}

/// Somebody may be asleep.
const SLEEPERS: u32 = 1;

/// Gets ready to sleep, with the mutex held: the word to sleep on.
pub(crate) fn prepare(word: &impl Word) -> u32 {
    word.fetch_or(SLEEPERS) | SLEEPERS
}

/// Wakes everybody who has got ready before.
#[inline]
pub(crate) fn notify(word: &impl Word) {
    loop {
        let now = word.load();
        if now & SLEEPERS == 0 {
            return;
        }
        // The next even number: counted, and nobody is asleep who is not about to be woken.
        if word.compare_exchange(now, now.wrapping_add(1)) {
            return word.wake_all();
        }
    }
}

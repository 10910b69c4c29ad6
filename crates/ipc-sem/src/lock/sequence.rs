//! The protocol of the condition variable: one word, which waiters sleep on.
//!
//! The lowest bit says that somebody may be asleep, the others count notifications. A waiter sets the bit while it
//! holds the mutex, remembers the word, unlocks, and sleeps as long as the word is that one. A notification
//! changes the word, so that who has not come to sleep does not, and then wakes. Nothing in it is a number of
//! waiters: those who are killed leave at most the bit behind, which costs the next notification a system call.

/// The word, and the place to sleep at it. A model implements it over what a model checker watches.
pub(crate) trait Word {
    fn load(&self) -> u32;
    fn fetch_or(&self, bits: u32) -> u32;
    fn compare_exchange(&self, old: u32, new: u32) -> bool;
    /// Wakes so many sleepers at most, and returns how many.
    fn wake(&self, count: u32) -> usize;
}

/// Somebody may be asleep.
const SLEEPERS: u32 = 1;

/// Gets ready to sleep, with the mutex held: the word to sleep on.
pub(crate) fn prepare(word: &impl Word) -> u32 {
    word.fetch_or(SLEEPERS) | SLEEPERS
}

/// Wakes everybody who has got ready before.
pub(crate) fn notify_all(word: &impl Word) {
    loop {
        let now = word.load();
        if now & SLEEPERS == 0 {
            return;
        }
        // The next even number: counted, and nobody is asleep who has not been woken.
        if word.compare_exchange(now, now.wrapping_add(1)) {
            break;
        }
    }
    word.wake(u32::MAX);
}

/// Wakes one of those who have got ready before.
pub(crate) fn notify_one(word: &impl Word) {
    let counted = loop {
        let now = word.load();
        if now & SLEEPERS == 0 {
            return;
        }
        let next = now.wrapping_add(2);
        if word.compare_exchange(now, next) {
            break next;
        }
    };
    if word.wake(1) > 0 {
        return;
    }
    // Nobody was asleep: the bit was left behind. Who has come to sleep since is woken for nothing, and sets it
    // again.
    if word.compare_exchange(counted, counted.wrapping_add(1)) {
        word.wake(u32::MAX);
    }
}


//! How an end of a ring waits for the other.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ipc_core::Wait;

/// What an end does while there is nothing to do.
///
/// # Examples
///
/// ```
/// use ipc_shm::ring::{RingOptions, Strategy};
/// let options = RingOptions::new().strategy(Strategy::Block);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// Looks again and again. The fastest answer, for a whole processor; on one that the other end needs,
    /// the slowest of all.
    Spin,
    /// Sleeps (`futex`) and never spins. Waking costs the other end a system call, and some ten microseconds
    /// where the processor sleeps too. When the other end was last seen on the same processor, it lets that one
    /// run first (`sched_yield`), as long as it gets something for it: so a dialogue on one processor needs no
    /// sleep at all.
    Block,
    /// Spins for as long as a sleep would cost, then sleeps. When the other end was last seen on the processor
    /// that it would spin on, it is as `Block`.
    #[default]
    Adaptive,
}

/// How long `Adaptive` spins: about what waking a sleeper costs.
const SPIN: Duration = Duration::from_micros(50);

/// How long a sleep lasts before the peer's life is looked at, and how often a spinner does so.
pub(crate) const SLICE: Duration = Duration::from_millis(20);

/// How many looks for a record there are between two at the clock: a power of two.
const LOOKS: u32 = 64;

/// How long a receiver that spins lets the sender alone before its first look.
///
/// A receiver that is quicker than the sender finds each message the moment it is there, and looks at the
/// cache line into which the next one is being written: the line goes to and fro for every message. So it
/// looks away for a moment now and then. If there are several messages afterwards, this is a stream, and it
/// looks away for longer, until there are enough at a time. If there is one, as in a dialogue, where the next
/// comes only after an answer, it looks all the time, and tries again after more and more waits.
#[derive(Debug)]
pub(crate) struct Patience {
    pauses: u32,
    /// Messages since there was none.
    received: u32,
    /// Whether the last one was there at the first looks.
    quick: bool,
    /// Waits until it looks away the next time.
    until_try: u32,
    /// How many there are between two tries.
    between: u32,
}

impl Default for Patience {
    fn default() -> Self {
        let between = Self::OFTEN;
        Self { pauses: 0, received: 0, quick: false, until_try: between, between }
    }
}

impl Patience {
    const FIRST: u32 = 4;
    const MOST: u32 = 64;
    /// So many messages at a time are worth the look.
    const ENOUGH: u32 = 16;
    /// A wait of no more looks was none.
    const QUICK: u32 = 2;
    const OFTEN: u32 = 8;
    const SELDOM: u32 = 1024;

    /// A message was received.
    #[inline]
    pub(crate) fn received(&mut self) {
        // A receiver that sleeps never looks away, and counts for ever.
        self.received = self.received.wrapping_add(1);
    }

    /// There is none: looks away.
    pub(crate) fn look_away(&mut self) {
        let received = std::mem::take(&mut self.received);
        if self.pauses == 0 {
            self.until_try -= 1;
            if self.until_try > 0 {
                return;
            }
            self.pauses = Self::FIRST;
        } else if received < 2 {
            self.pauses = 0;
            self.between = (self.between * 2).min(Self::SELDOM);
            self.until_try = self.between;
            return;
        } else {
            self.between = Self::OFTEN;
            self.until_try = self.between;
            if !self.quick {
                self.pauses /= 2;
            } else if received < Self::ENOUGH {
                self.pauses = (self.pauses * 2).min(Self::MOST);
            }
        }
        for _ in 0..self.pauses {
            std::hint::spin_loop();
        }
    }

    /// There is one again, after so many looks.
    pub(crate) fn found(&mut self, waiting: &Waiting) {
        self.quick = waiting.looks <= Self::QUICK;
    }
}

/// Whether an end lets the other one run before it sleeps.
///
/// Of two ends on one processor one alone can run. Who waits hands the processor over (`sched_yield`), and has it
/// back when the other one has done its part and waits in turn: a system call each, where a sleep takes two,
/// and a timer. It is for nothing when the other end has nothing to do: who got nothing for it does without for
/// more and more waits. And it is bad when a third process takes the processor for its slice of time: then no end
/// of this thread does so for as long as that, and if it happens again, for many times as long.
#[derive(Debug)]
pub(crate) struct Courtesy {
    /// Waits until it does so again.
    until: u32,
    /// How many there are the next time that it did not pay.
    next: u32,
}

thread_local! {
    /// Until when this thread shows no courtesy.
    static NOT_BEFORE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// How many times as long as the next one that is slow there will be none.
    static DISTRUST: Cell<u32> = const { Cell::new(1) };
}

/// Lets others run on this processor; for how long they did.
pub(crate) fn yield_now() -> Duration {
    let began = Instant::now();
    std::thread::yield_now();
    began.elapsed()
}

impl Default for Courtesy {
    fn default() -> Self {
        Self { until: 0, next: Self::FEW }
    }
}

impl Courtesy {
    const FEW: u32 = 4;
    const MANY: u32 = 1 << 12;
    /// Nearly as long as the slice of a third process. The other end is quicker, or its work is worth the wait.
    const SLOW: Duration = Duration::from_millis(1);
    /// At most so many times as long as was lost there is no courtesy.
    const RARELY: u32 = 128;

    /// Whether to do so at this wait.
    pub(crate) fn is_due(&mut self) -> bool {
        if self.until > 0 {
            self.until -= 1;
            return false;
        }
        match NOT_BEFORE.get() {
            Some(at) if at > Instant::now() => {
                // The clock is not looked at for each wait.
                self.until = self.next;
                false
            }
            Some(_) => {
                NOT_BEFORE.set(None);
                true
            }
            None => true,
        }
    }

    /// Others were let run, for so long, and the other end did its part or not.
    pub(crate) fn was_shown(&mut self, time: Duration, done: bool) {
        if time >= Self::SLOW {
            let distrust = DISTRUST.get();
            NOT_BEFORE.set(Instant::now().checked_add(time.saturating_mul(distrust)));
            DISTRUST.set((distrust * 8).min(Self::RARELY));
        } else if done {
            DISTRUST.set((DISTRUST.get() / 2).max(1));
        }
        if done {
            self.next = (self.next / 2).max(Self::FEW);
        } else {
            self.until = self.next;
            self.next = (self.next * 2).min(Self::MANY);
        }
    }
}

/// Lets the receiver of a full ring work for some ten microseconds.
pub(crate) fn look_away() {
    const PAUSES: u32 = 512;
    for _ in 0..PAUSES {
        std::hint::spin_loop();
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again.
    Look,
    /// Sleep, for this long at most, and look again.
    Sleep(Duration),
    /// See whether the peer is alive, and look again.
    CheckPeer,
    /// The time is over.
    GiveUp,
}

/// One wait, from its first look on.
#[derive(Debug)]
pub(crate) struct Waiting {
    wait: Wait,
    strategy: Strategy,
    /// There is a look at the clock after so many looks less one: all ones in binary.
    clock: u32,
    looks: u32,
    began: Option<Instant>,
    checked: Option<Instant>,
    /// The last sleep lasted until its time was over.
    overslept: bool,
}

impl Waiting {
    /// A wait for a message, where looks are short; or for room, where it looks away between two.
    pub(crate) fn new(wait: Wait, strategy: Strategy, room: bool) -> Self {
        let clock = if room { 0 } else { LOOKS - 1 };
        let (looks, began, checked) = (0, None, None);
        Self { wait, strategy, clock, looks, began, checked, overslept: false }
    }

    /// Whether this wait looks again and again at first.
    pub(crate) fn spins(&self) -> bool {
        self.wait != Wait::Never && self.strategy != Strategy::Block
    }

    /// What to do after a look that found nothing.
    #[inline]
    pub(crate) fn next(&mut self) -> Next {
        if self.wait == Wait::Never {
            return Next::GiveUp;
        }
        if self.strategy == Strategy::Block {
            return self.sleep();
        }
        // A spinner may look for days.
        self.looks = self.looks.wrapping_add(1);
        if self.looks & self.clock != 0 {
            std::hint::spin_loop();
            return Next::Look;
        }
        self.look_at_the_clock()
    }

    /// How a sleep has ended.
    pub(crate) fn slept(&mut self, overslept: bool) {
        self.overslept = overslept;
    }

    /// Sleeps, one slice after the other, and sees whether the peer lives in between. Whoever waits for ever
    /// needs no clock for that.
    fn sleep(&mut self) -> Next {
        let left = self.wait.remaining().unwrap_or(Duration::MAX);
        if left.is_zero() {
            return Next::GiveUp;
        }
        if std::mem::take(&mut self.overslept) {
            return Next::CheckPeer;
        }
        Next::Sleep(left.min(SLICE))
    }

    #[cold]
    fn look_at_the_clock(&mut self) -> Next {
        if self.wait.remaining().is_some_and(|left| left.is_zero()) {
            return Next::GiveUp;
        }
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let checked = *self.checked.get_or_insert(now);
        if self.strategy == Strategy::Adaptive && now - began >= SPIN {
            self.strategy = Strategy::Block;
            return self.sleep();
        }
        if now - checked >= SLICE {
            self.checked = Some(now);
            return Next::CheckPeer;
        }
        Next::Look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spinner_looks_for_days() {
        let mut waiting = Waiting::new(Wait::Forever, Strategy::Spin, false);
        waiting.looks = u32::MAX - 1;
        assert_eq!([waiting.next(), waiting.next(), waiting.next()], [Next::Look; 3]);
    }

    /// How many waits there are until the next courtesy, which takes so long and is for something or not.
    fn waits(courtesy: &mut Courtesy, time: Duration, done: bool) -> u32 {
        let mut waits = 0;
        while !courtesy.is_due() {
            waits += 1;
        }
        courtesy.was_shown(time, done);
        waits
    }

    #[test]
    fn who_gets_nothing_for_a_courtesy_shows_fewer_and_fewer() {
        let quick = Duration::from_micros(1);
        let mut courtesy = Courtesy::default();
        let got: Vec<_> = (0..4).map(|_| waits(&mut courtesy, quick, false)).collect();
        assert_eq!(got, [0, 4, 8, 16]);
        for _ in 0..30 {
            waits(&mut courtesy, quick, false);
        }
        assert_eq!(waits(&mut courtesy, quick, true), Courtesy::MANY);
        // Once is not always.
        assert_eq!([waits(&mut courtesy, quick, true), waits(&mut courtesy, quick, false)], [0, 0]);
        assert_eq!(waits(&mut courtesy, quick, true), Courtesy::MANY / 4);
    }

    #[test]
    fn a_third_process_ends_the_courtesies_of_all_ends_of_a_thread_for_a_while() {
        let time = Courtesy::SLOW;
        Courtesy::default().was_shown(time / 2, true);
        assert!(Courtesy::default().is_due(), "that was the other end");
        for times in [1, 8, 64, 128, 128] {
            let begin = Instant::now();
            Courtesy::default().was_shown(time, true);
            // A ring that was made a moment ago, too.
            while !Courtesy::default().is_due() {}
            assert!(begin.elapsed() >= time * times);
        }
        for _ in 0..10 {
            Courtesy::default().was_shown(time / 100, true);
        }
        assert_eq!(DISTRUST.get(), 1);
    }

    #[test]
    fn a_receiver_that_sleeps_counts_for_ever() {
        let mut patience = Patience { received: u32::MAX, ..Patience::default() };
        patience.received();
        patience.look_away();
    }
}

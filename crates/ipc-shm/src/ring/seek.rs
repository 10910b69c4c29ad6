//! How every end of every ring waits: look, spin or sleep, see whether the others live, look again.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, RegionMut, Result, Wait};

use super::Strategy;
use super::member::{Geometry, Member};
use super::memory::Memory;
use super::spsc_core::{NotReceived, NotSent};
use super::waiting::{Next, SLICE, Waiting, look_away, yield_now};

/// Why a look found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// There is nothing now.
    Nothing,
    /// The others have gone, and there will be nothing.
    Gone,
    /// What is there breaks the rules.
    Corrupted,
}

impl From<NotSent> for Miss {
    fn from(why: NotSent) -> Self {
        match why {
            NotSent::Full => Self::Nothing,
            NotSent::Gone => Self::Gone,
            NotSent::Corrupted => Self::Corrupted,
        }
    }
}

impl From<NotReceived> for Miss {
    fn from(why: NotReceived) -> Self {
        match why {
            NotReceived::Empty => Self::Nothing,
            NotReceived::Gone => Self::Gone,
            NotReceived::Corrupted => Self::Corrupted,
        }
    }
}

/// An end that looks for something: room, or a message.
pub(crate) trait Seek {
    type Region: RegionMut;
    type Shape: Geometry;
    type Found;

    /// Whether it looks for room, and not for a message.
    const ROOM: bool;
    /// What it does, for errors.
    const OP: &'static str;

    fn member(&mut self) -> &mut Member<Self::Region, Self::Shape>;
    fn look(&mut self) -> Result<Self::Found, Miss>;
    /// Sleeps until somebody wakes it, unless a look would find more than nothing. Whether the time was over.
    fn sleep(&mut self, time: Duration) -> bool;
    /// What is done when it has found something after a wait.
    fn found(&mut self);
    /// Whether the one that it waits for was last seen on the processor that this thread runs on.
    fn shares_cpu(&mut self) -> bool;
}

/// Whether an end that says in the word at `cpu` where it runs was last seen where this thread does.
pub(crate) fn runs_here(memory: &impl Memory, cpu: usize) -> bool {
    memory.load(cpu, Relaxed) == memory.this_cpu()
}

/// Lets the other end run, on the processor that both are on, and looks what it has done.
fn give_way<S: Seek>(end: &mut S) -> Result<S::Found, Miss> {
    let time = yield_now();
    let found = end.look();
    end.member().courtesy.was_shown(time, found.is_ok());
    if found.is_ok() {
        end.found();
    }
    found
}

/// Looks again and again, after a first look that found nothing.
#[cold]
pub(crate) fn seek<S: Seek>(mut end: S, wait: Wait, mut miss: Miss) -> Result<S::Found> {
    let mut strategy = end.member().options.strategy;
    if wait != Wait::Never && strategy != Strategy::Spin && end.shares_cpu() {
        // A processor that the other end needs is not to be spun on.
        strategy = Strategy::Block;
        // Whoever runs next may do so for its slice of time, and no timer takes the processor back from it.
        let has_time = wait.remaining().is_none_or(|left| left >= SLICE);
        if miss == Miss::Nothing && has_time && end.member().courtesy.is_due() {
            match give_way(&mut end) {
                Ok(found) => return Ok(found),
                Err(next) => miss = next,
            }
        }
    }
    let mut waiting = Waiting::new(wait, strategy, S::ROOM);
    if !S::ROOM && miss == Miss::Nothing && waiting.spins() {
        end.member().patience.look_away();
    }
    loop {
        match miss {
            Miss::Nothing => {}
            Miss::Gone => return Err(Error::new(ErrorKind::Disconnected, S::OP)),
            Miss::Corrupted => {
                end.member().corrupted = true;
                return Err(Error::new(ErrorKind::Corrupted, S::OP));
            }
        }
        match waiting.next() {
            // The receiver writes how far it is for every message: to look too often slows it down, and
            // finds room for one message.
            Next::Look if S::ROOM => look_away(),
            Next::Look => {}
            Next::Sleep(time) => waiting.slept(end.sleep(time)),
            Next::CheckPeer => end.member().check(),
            Next::GiveUp if !end.member().check_is_due() => {
                return Err(Error::new(wait.exhausted(), S::OP));
            }
            // Whoever only ever waits shortly must learn of a dead peer as well.
            Next::GiveUp => end.member().check(),
        }
        match end.look() {
            Ok(found) => {
                if !S::ROOM {
                    end.member().patience.found(&waiting);
                }
                end.found();
                return Ok(found);
            }
            Err(next) => miss = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Anonymous;
    use crate::ring::RingOptions;
    use crate::ring::mapped::Mapped;

    #[derive(Debug, Clone, Copy)]
    struct Nothing;

    impl Geometry for Nothing {
        fn bury(self, _: &impl Memory, _: impl FnMut(u64) -> bool) {}
    }

    /// An end that finds something at a look that comes after so many others, and what it did until then.
    struct Neighbour {
        member: Member<Anonymous, Nothing>,
        shares_cpu: bool,
        misses: u32,
        sleeps: u32,
    }

    impl Neighbour {
        fn new(strategy: Strategy, shares_cpu: bool, misses: u32) -> Self {
            let memory = Mapped::new(Anonymous::new(4096).expect("memory"), false);
            let options = RingOptions::new().strategy(strategy);
            let member = Member::new(memory, Nothing, &options).expect("this process");
            Self { member, shares_cpu, misses, sleeps: 0 }
        }

        /// How often it has slept until it found something.
        fn sleeps(mut self, wait: Wait) -> Result<u32> {
            seek(&mut self, wait, Miss::Nothing)?;
            Ok(self.sleeps)
        }
    }

    impl Seek for &mut Neighbour {
        type Region = Anonymous;
        type Shape = Nothing;
        type Found = ();
        const ROOM: bool = false;
        const OP: &'static str = "test";

        fn member(&mut self) -> &mut Member<Anonymous, Nothing> {
            &mut self.member
        }

        fn look(&mut self) -> Result<(), Miss> {
            self.misses.checked_sub(1).map_or(Ok(()), |left| {
                self.misses = left;
                Err(Miss::Nothing)
            })
        }

        fn sleep(&mut self, _: Duration) -> bool {
            self.sleeps += 1;
            false
        }

        fn found(&mut self) {}

        fn shares_cpu(&mut self) -> bool {
            self.shares_cpu
        }
    }

    #[test]
    fn on_the_processor_of_the_other_end_it_yields_before_it_sleeps() {
        // Each on a thread that knows of no third process.
        let sleeps = |strategy, shares, misses, wait| {
            let run = move || Neighbour::new(strategy, shares, misses).sleeps(wait);
            std::thread::spawn(run).join().expect("no panic")
        };
        for strategy in [Strategy::Block, Strategy::Adaptive] {
            assert_eq!(sleeps(strategy, true, 0, Wait::Forever), Ok(0), "it came meanwhile");
            assert_eq!(sleeps(strategy, true, 1, Wait::Forever), Ok(1));
            let long = Wait::timeout(Duration::from_secs(100));
            assert_eq!(sleeps(strategy, true, 0, long), Ok(0));
            // A yield could last for longer than this.
            assert_eq!(sleeps(strategy, true, 0, Wait::timeout(SLICE / 2)), Ok(1));
        }
        assert_eq!(sleeps(Strategy::Block, false, 0, Wait::Forever), Ok(1));
        let none = sleeps(Strategy::Block, true, 0, Wait::Never).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::WouldBlock);
    }
}

//! Where ends sleep, and who makes the fence that a sleep takes.

use std::time::Duration;

use super::layout::{CONSUMER_CPU, CONSUMER_SLEEPS, PRODUCER_CPU, PRODUCER_SLEEPS};
use super::memory::Memory;
use super::sleepers::{ask, doze, get_up};
use super::spsc_core::{publish_cpu, sleep, want_fences};

/// The word at which an end sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bed {
    /// The producer's own.
    Producer,
    /// The consumer's own.
    Consumer,
    /// That of all consumers, of which there is one.
    OnlyConsumer,
    /// That of all consumers.
    Consumers,
}

impl Bed {
    /// Asks the others for a full fence after each step, or no more; whether that is how it is now.
    fn ask(self, memory: &impl Memory, yes: bool) -> bool {
        match self {
            Self::Producer => want_fences(memory, PRODUCER_SLEEPS, yes),
            Self::Consumer => want_fences(memory, CONSUMER_SLEEPS, yes),
            Self::OnlyConsumer | Self::Consumers => return ask(memory, yes),
        }
        yes
    }

    /// The word that says on which processor who sleeps here last was, counted from 1.
    const fn cpu(self) -> usize {
        match self {
            Self::Producer => PRODUCER_CPU,
            Self::Consumer | Self::OnlyConsumer | Self::Consumers => CONSUMER_CPU,
        }
    }
}

/// Who makes the fence that a sleep takes: this end, by a system call that reaches the others, or they, by an
/// instruction after each of their steps.
///
/// In a stream sleeps are rare and steps are many; in a dialogue there is a sleep for each step. So an end
/// asks for fences when it sleeps again after little has passed through the ring.
#[derive(Debug)]
pub(crate) struct Dialogue {
    /// Where the ring was when this end last slept.
    slept_at: u64,
    asked: bool,
    /// It never asks: it wants fences in any case, and has said so.
    settled: bool,
}

impl Dialogue {
    /// So many bytes are little.
    const LITTLE: u64 = 1024;

    /// Of an end that wants full fences for ever, or not.
    pub(crate) const fn new(full_fences: bool) -> Self {
        Self { slept_at: 0, asked: false, settled: full_fences }
    }

    /// Sleeps until another end makes a step, unless there is something to do already. `position` is how far
    /// this end is. Whether the time was over.
    pub(crate) fn sleep(
        &mut self,
        memory: &impl Memory,
        bed: Bed,
        position: u64,
        time: Duration,
        ready: impl FnOnce() -> bool,
    ) -> bool {
        let little = position.wrapping_sub(self.slept_at) < Self::LITTLE;
        self.slept_at = position;
        if little != self.asked && !self.settled {
            self.asked = bed.ask(memory, little);
        }
        let over = match bed {
            Bed::Producer => sleep(memory, PRODUCER_SLEEPS, time, ready),
            Bed::Consumer => sleep(memory, CONSUMER_SLEEPS, time, ready),
            Bed::Consumers => doze(memory, self.asked, time, ready),
            Bed::OnlyConsumer => {
                let over = doze(memory, self.asked, time, ready);
                get_up(memory);
                over
            }
        };
        // Whoever sleeps may wake elsewhere.
        publish_cpu(memory, bed.cpu());
        over
    }

    /// To be called after a wait that has succeeded: whether this is a stream by now.
    pub(crate) fn found(&mut self, memory: &impl Memory, bed: Bed, position: u64) {
        if self.asked && position.wrapping_sub(self.slept_at) >= Self::LITTLE {
            self.end(memory, bed);
        }
    }

    /// Asks no more.
    pub(crate) fn end(&mut self, memory: &impl Memory, bed: Bed) {
        if self.asked {
            self.asked = bed.ask(memory, false);
        }
    }
}

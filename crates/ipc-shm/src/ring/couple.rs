//! One sender and one receiver, for the whole life of a ring: what [`spsc`](super::spsc) and
//! [`unbounded`](super::unbounded) have in common.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use ipc_core::{Error, ErrorKind, RegionMut, Result};

use super::layout::{
    CONSUMER, CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, PRODUCER, PRODUCER_CPU, PRODUCER_GONE,
    PRODUCER_SLEEPS, WANTS_FENCES,
};
use super::member::{Geometry, Member};
use super::memory::Memory;
use super::peers::GIVEN;
use super::spsc_core::leave;

/// The words of one of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    identity: usize,
    gone: usize,
    sleeps: usize,
    cpu: usize,
}

pub(crate) const SENDER: Role =
    Role { identity: PRODUCER, gone: PRODUCER_GONE, sleeps: PRODUCER_SLEEPS, cpu: PRODUCER_CPU };
pub(crate) const RECEIVER: Role =
    Role { identity: CONSUMER, gone: CONSUMER_GONE, sleeps: CONSUMER_SLEEPS, cpu: CONSUMER_CPU };

impl Role {
    /// Takes the place. With `inherits` it is taken from the process that gave it away.
    pub(crate) fn take<R: RegionMut, S: Geometry>(
        self,
        end: &Member<R, S>,
        inherits: bool,
    ) -> Result<()> {
        let memory = &end.memory;
        let before = if inherits { GIVEN } else { 0 };
        if memory.compare_exchange(self.identity, before, end.identity).is_err() {
            return Err(Error::new(ErrorKind::AlreadyExists, "attach to ring")
                .with_note("a ring has one sender and one receiver, and this one is taken"));
        }
        if memory.full_fences() {
            memory.store(self.sleeps, WANTS_FENCES, Release);
        }
        memory.store(self.cpu, memory.this_cpu(), Relaxed);
        Ok(())
    }

    /// Gives the place up: for ever, or to the process that it was given to.
    pub(crate) fn leave<R: RegionMut, S: Geometry>(self, end: &Member<R, S>, other: Self) {
        match end.heir {
            _ if !end.is_own() => {}
            0 => leave(&end.memory, self.gone, other.sleeps),
            heir => end.memory.store(self.identity, heir, Release),
        }
    }
}

/// Says in the ring who of the two has ended.
pub(crate) fn bury(memory: &impl Memory, mut is_dead: impl FnMut(u64) -> bool) {
    for Role { identity: who, gone, .. } in [SENDER, RECEIVER] {
        let identity = memory.load(who, Acquire);
        // Unless it has handed its end over meanwhile.
        if identity != 0 && is_dead(identity) && memory.load(who, Acquire) == identity {
            memory.store(gone, 1, Release);
        }
    }
}

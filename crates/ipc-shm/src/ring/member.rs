//! What every end has of a ring whose ends come and go.

use std::time::Instant;

use ipc_core::{RegionMut, Result};

use super::RingOptions;
use super::mapped::Mapped;
use super::memory::Memory;
use super::peers::{GIVEN, Peers, this_process};
use super::waiting::SLICE;

/// Where things are in a kind of ring.
pub(crate) trait Geometry: Copy {
    /// Takes from processes that have ended what they held.
    fn bury(self, memory: &impl Memory, is_dead: impl FnMut(u64) -> bool);
}

/// The ring, and what an end knows of the others.
#[derive(Debug)]
pub(crate) struct Member<R, S> {
    pub(crate) memory: Mapped<R>,
    pub(crate) shape: S,
    pub(crate) identity: u64,
    pub(crate) options: RingOptions,
    peers: Peers,
    /// When the others' processes were last looked at.
    checked: Instant,
    /// The process that took the place.
    pid: u32,
    /// Who has the place when this end is dropped.
    pub(crate) heir: u64,
}

impl<R: RegionMut, S: Geometry> Member<R, S> {
    pub(crate) fn new(memory: Mapped<R>, shape: S, options: &RingOptions) -> Result<Self> {
        Ok(Self {
            memory,
            shape,
            identity: this_process()?,
            options: *options,
            peers: Peers::default(),
            checked: Instant::now(),
            pid: std::process::id(),
            heir: 0,
        })
    }

    /// Takes a place, if need be one of a process that has ended. With `inherits` it is one that was given.
    pub(crate) fn take<T>(
        &mut self,
        inherits: bool,
        take: impl Fn(&Self, u64) -> Option<T>,
    ) -> Option<T> {
        let from = if inherits { GIVEN } else { 0 };
        take(self, from).or_else(|| {
            self.check();
            take(self, from)
        })
    }

    pub(crate) fn check_is_due(&self) -> bool {
        self.checked.elapsed() >= SLICE
    }

    pub(crate) fn check(&mut self) {
        self.checked = Instant::now();
        let (own, peers) = (self.identity, &mut self.peers);
        let is_dead = |identity| identity != own && peers.is_dead(identity);
        self.shape.bury(&self.memory, is_dead);
    }

    /// A forked copy does not end what its parent still uses.
    pub(crate) fn is_own(&self) -> bool {
        self.pid == std::process::id()
    }
}

//! What every end has of a ring.

use std::process::Command;
use std::time::Instant;

use ipc_core::{Error, ErrorKind, Handoff, RegionMut, Rejected, Result};

use super::RingOptions;
use super::dialogue::Dialogue;
use super::mapped::Mapped;
use super::memory::Memory;
use super::peers::{GIVEN, Peers, this_process};
use super::waiting::{Courtesy, Patience, SLICE};
use crate::Memfd;

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
    pub(crate) dialogue: Dialogue,
    /// A receiver's.
    pub(crate) patience: Patience,
    pub(crate) courtesy: Courtesy,
    /// Others have written nonsense into the ring: this end is of no use any more.
    pub(crate) corrupted: bool,
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
        let dialogue = Dialogue::new(memory.full_fences());
        Ok(Self {
            memory,
            shape,
            identity: this_process()?,
            options: *options,
            dialogue,
            patience: Patience::default(),
            courtesy: Courtesy::default(),
            corrupted: false,
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

    /// Whether it is time to look whether the others' processes live.
    pub(crate) fn check_is_due(&self) -> bool {
        self.checked.elapsed() >= SLICE
    }

    /// Takes from the others what they held, if they have ended.
    pub(crate) fn check(&mut self) {
        self.checked = Instant::now();
        let (own, peers) = (self.identity, &mut self.peers);
        let is_dead = |identity| identity != own && peers.is_dead(identity);
        self.shape.bury(&self.memory, is_dead);
    }

    /// Why no message of `len` bytes can be sent at all, if it cannot.
    #[inline]
    pub(crate) fn check_len(&self, len: usize, max: usize, op: &'static str) -> Result<()> {
        if len > max || self.corrupted {
            return Err(refuse(len, max, op));
        }
        Ok(())
    }

    /// Says that nothing is to be received any more from a ring that was found corrupted.
    #[inline]
    pub(crate) fn check_sound(&self, op: &'static str) -> Result<()> {
        self.check_len(0, 0, op)
    }

    /// A forked copy does not end what its parent still uses.
    pub(crate) fn is_own(&self) -> bool {
        self.pid == std::process::id()
    }
}

#[cold]
fn refuse(len: usize, max: usize, op: &'static str) -> Error {
    let large = ErrorKind::MessageTooLarge { len, max };
    Error::new(if len > max { large } else { ErrorKind::Corrupted }, op)
}

/// An end that can be handed over.
pub(crate) trait Passes: Sized {
    type Shape: Geometry;

    fn member(&mut self) -> &mut Member<Memfd, Self::Shape>;
    /// The number of its place, where there are several.
    fn place(&self) -> usize;
    /// Whether all that it knows of the ring stands in the ring.
    fn can_pass(&self) -> bool;
}

/// The variable that says which place was given.
fn variable(key: &str) -> String {
    format!("{key}_PLACE")
}

/// Hands an end over: its place is the child's from now on.
pub(crate) fn give<E: Passes>(
    mut end: E,
    command: &mut Command,
    key: &str,
) -> Result<(), Rejected<E>> {
    if !end.can_pass() {
        let error = Error::new(ErrorKind::InvalidInput, "handoff")
            .with_note("hand an end of a ring over before its first message");
        return Err(Rejected { value: end, error });
    }
    let copy = match end.member().memory.region().try_clone() {
        Ok(copy) => copy,
        Err(error) => return Err(Rejected { value: end, error }),
    };
    if let Err(rejected) = copy.give(command, key) {
        return Err(Rejected { value: end, error: rejected.error });
    }
    command.env(variable(key), end.place().to_string());
    end.member().heir = GIVEN;
    Ok(())
}

/// Which place was given to this process with a key.
pub(crate) fn given_place(key: &str) -> Option<usize> {
    std::env::var(variable(key)).ok()?.parse().ok()
}

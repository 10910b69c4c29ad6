//! What both ends of a ring do: find it in their memory, take their place, and see whether the other lives.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, RegionMut, Result};
use ipc_process::{Pid, Process, ProcessId};

use super::Strategy;
use super::layout::{
    CONSUMER, CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, DATA, ELEMENT, LENGTH, MAGIC,
    MAGIC_VALUE, MAX, MIN, PRODUCER, PRODUCER_CPU, PRODUCER_GONE, PRODUCER_SLEEPS, WANTS_FENCES,
};
use super::mapped::Mapped;
use super::memory::Memory;
use super::spsc::{Receiver, Sender};
use super::spsc_core::{leave, publish_cpu, sleep, want_fences};
use super::waiting::SLICE;
use crate::{Memfd, MemfdOptions};

/// How large a ring is, and how its ends wait.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg};
/// use ipc_shm::ring::RingOptions;
///
/// let (mut tx, mut rx) = RingOptions::new().capacity(1 << 16).pair()?;
/// tx.send(b"hello")?;
/// let mut buf = [0; 64];
/// assert_eq!(rx.recv(&mut buf)?, 5);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until a ring is made"]
pub struct RingOptions {
    capacity: usize,
    strategy: Strategy,
    full_fences: bool,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl RingOptions {
    /// A ring of 64 KiB, whose ends spin a little and then sleep.
    pub const fn new() -> Self {
        Self { capacity: 1 << 16, strategy: Strategy::Adaptive, full_fences: false }
    }

    /// How many bytes of records it holds: rounded up to a power of two, and 64 at least. A record is a
    /// message and 8 bytes, rounded up to a multiple of 8, and takes at most half of it.
    ///
    /// # Limits
    ///
    /// 2 GiB.
    pub const fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// How an end waits that is made with these options. The two may differ.
    pub const fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Makes a full fence at every message, as is done in any case where the kernel has no `membarrier`.
    /// It costs a ring most of its throughput, and is for tests of that case.
    pub const fn full_fences(mut self, yes: bool) -> Self {
        self.full_fences = yes;
        self
    }

    /// How many bytes of memory a ring of this capacity needs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] above 2 GiB.
    pub fn region_len(&self) -> Result<usize> {
        Ok(DATA + self.data_len()?)
    }

    /// Makes a ring in memory of its own, and both its ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a capacity above 2 GiB; [`ErrorKind::ResourceLimit`] when memory or
    /// descriptors run out.
    pub fn pair(&self) -> Result<(Sender<Memfd>, Receiver<Memfd>)> {
        let one = MemfdOptions::new(self.region_len()?).create()?;
        let two = one.try_clone()?;
        self.init(&one)?;
        Ok((Sender::attach(one, self)?, Receiver::attach(two, self)?))
    }

    /// Makes a ring in memory that nobody uses; its first [`region_len`](Self::region_len) bytes are
    /// overwritten. Then one [`Sender`] and one [`Receiver`] attach to it, in this process or others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the memory is too small.
    pub fn init(&self, region: &impl RegionMut) -> Result<()> {
        if region.len() < self.region_len()? {
            return Err(Error::new(ErrorKind::InvalidInput, "make ring").with_note(
                "the memory is too small: RingOptions::region_len says how much it takes",
            ));
        }
        let memory = Mapped::new(region, true);
        memory.zero(0, self.region_len()?);
        memory.store(LENGTH, self.data_len()? as u64, Relaxed);
        memory.store(ELEMENT, 0, Relaxed);
        // Last: who finds this finds the rest.
        memory.store(MAGIC, MAGIC_VALUE, Release);
        Ok(())
    }

    fn data_len(&self) -> Result<usize> {
        if self.capacity > MAX {
            return Err(Error::new(ErrorKind::InvalidInput, "make ring")
                .with_note("a ring holds 2 GiB at most"));
        }
        Ok(self.capacity.max(MIN).next_power_of_two())
    }
}

/// Which end of a ring, as the layout has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer,
    Consumer,
}

impl Role {
    const fn other(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }

    /// The word that says who it is.
    const fn identity(self) -> usize {
        match self {
            Self::Producer => PRODUCER,
            Self::Consumer => CONSUMER,
        }
    }

    const fn gone(self) -> usize {
        match self {
            Self::Producer => PRODUCER_GONE,
            Self::Consumer => CONSUMER_GONE,
        }
    }

    const fn sleeps(self) -> usize {
        match self {
            Self::Producer => PRODUCER_SLEEPS,
            Self::Consumer => CONSUMER_SLEEPS,
        }
    }

    /// The word that says on which processor it last was, counted from 1.
    const fn cpu(self) -> usize {
        match self {
            Self::Producer => PRODUCER_CPU,
            Self::Consumer => CONSUMER_CPU,
        }
    }
}

/// An end's place in its ring. It is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Place<R: RegionMut> {
    /// `None` only while the memory is moved out.
    memory: Option<Mapped<R>>,
    pub(crate) capacity: usize,
    pub(crate) strategy: Strategy,
    role: Role,
    /// The other end's process, as it was known by this identity.
    peer: Option<(u64, Process)>,
    /// When the other end's process was last looked at.
    checked: Instant,
    /// The process that took the place.
    pid: u32,
}

impl<R: RegionMut> Place<R> {
    /// Finds the ring in `region` and takes the place of `role`. With `inherits` it is taken from the
    /// process that gave it away.
    pub(crate) fn take(
        region: R,
        role: Role,
        options: &RingOptions,
        inherits: bool,
    ) -> Result<Self> {
        const OP: &str = "attach to ring";
        let corrupted = |note| Err(Error::new(ErrorKind::Corrupted, OP).with_note(note));
        if region.len() < DATA + MIN {
            return Err(Error::new(ErrorKind::InvalidInput, OP)
                .with_note("the memory is too small for any ring"));
        }
        let memory = Mapped::new(region, options.full_fences);
        match memory.load(MAGIC, Acquire) {
            MAGIC_VALUE => {}
            0 => {
                return Err(Error::new(ErrorKind::NotFound, OP)
                    .with_note("there is no ring in this memory, or not yet"));
            }
            other if other >> 8 == MAGIC_VALUE >> 8 => {
                let kind = ErrorKind::WrongType {
                    expected: "a ring of layout 1",
                    found: "a ring of another layout",
                };
                return Err(Error::new(kind, OP));
            }
            _ => return corrupted("there is something else in this memory"),
        }
        let capacity = usize::try_from(memory.load(LENGTH, Relaxed)).unwrap_or(usize::MAX);
        if !capacity.is_power_of_two() || !(MIN..=MAX).contains(&capacity) {
            return corrupted("the ring's length makes no sense");
        }
        if memory.len() - DATA < capacity {
            return corrupted("the ring is longer than its memory");
        }
        let identity = encode(ProcessId::this()?);
        let before = if inherits { GIVEN } else { 0 };
        if memory.compare_exchange(role.identity(), before, identity).is_err() {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("a ring has one sender and one receiver, and this one is taken"));
        }
        if memory.full_fences() {
            memory.store(role.sleeps(), WANTS_FENCES, Release);
        }
        memory.store(role.cpu(), memory.this_cpu(), Relaxed);
        let strategy = options.strategy;
        let pid = std::process::id();
        Ok(Self {
            memory: Some(memory),
            capacity,
            strategy,
            role,
            peer: None,
            checked: Instant::now(),
            pid,
        })
    }

    #[inline]
    pub(crate) fn memory(&self) -> &Mapped<R> {
        match &self.memory {
            Some(memory) => memory,
            None => unreachable!("the memory is moved out by a method that consumes the end"),
        }
    }

    /// How to wait now: a processor on which the other end runs is not to be spun on.
    pub(crate) fn strategy_now(&self) -> Strategy {
        let (memory, there) = (self.memory(), self.role.other().cpu());
        match self.strategy {
            Strategy::Adaptive if memory.load(there, Relaxed) == memory.this_cpu() => {
                Strategy::Block
            }
            strategy => strategy,
        }
    }

    /// Sleeps until the other end makes a step, unless there is something to do already. Whether `timeout`
    /// has passed.
    pub(crate) fn sleep(&self, timeout: Duration, ready: impl FnOnce() -> bool) -> bool {
        let over = sleep(self.memory(), self.role.sleeps(), timeout, ready);
        // Whoever sleeps may wake elsewhere.
        publish_cpu(self.memory(), self.role.cpu());
        over
    }

    /// Whether it is time to look whether the other end's process lives.
    pub(crate) fn check_is_due(&self) -> bool {
        self.checked.elapsed() >= SLICE
    }

    /// Sees whether the other end's process lives, and says in the ring that it has gone if it does not.
    pub(crate) fn check_peer(&mut self) {
        self.checked = Instant::now();
        let other = self.role.other();
        let identity = self.memory().load(other.identity(), Acquire);
        // Nobody has attached yet, or nobody has adopted what was given.
        let Some(id) = decode(identity) else { return };
        let dead = match &self.peer {
            Some((known, process)) if *known == identity => !process.is_alive().unwrap_or(true),
            _ => match Process::open_id(id) {
                Ok(process) => {
                    let dead = !process.is_alive().unwrap_or(true);
                    self.peer = Some((identity, process));
                    dead
                }
                Err(error) => {
                    // The last: its number is that of a thread by now.
                    matches!(
                        error.kind(),
                        ErrorKind::NotFound | ErrorKind::WrongType { .. } | ErrorKind::InvalidInput
                    )
                }
            },
        };
        // Unless it has handed its end over meanwhile.
        if dead && self.memory().load(other.identity(), Acquire) == identity {
            self.memory().store(other.gone(), 1, Release);
        }
    }

    /// Leaves the place to the process that the memory was given to.
    pub(crate) fn give(mut self) {
        if let Some(memory) = self.memory.take() {
            memory.store(self.role.identity(), GIVEN, Release);
        }
    }

    pub(crate) fn region(&self) -> &R {
        self.memory().region()
    }
}

impl<R: RegionMut> Drop for Place<R> {
    fn drop(&mut self) {
        // A forked copy does not end what its parent still uses.
        if let Some(memory) = &self.memory
            && self.pid == std::process::id()
        {
            leave(memory, self.role.gone(), self.role.other().sleeps());
        }
    }
}

/// Who makes the fence that a sleep takes: this end, by a system call that reaches the other, or the other
/// end, by an instruction after each of its steps.
///
/// In a stream sleeps are rare and steps are many; in a dialogue there is a sleep for each step. So this end
/// asks for fences when it sleeps again after little has passed through the ring.
#[derive(Debug, Default)]
pub(crate) struct Dialogue {
    /// Where the ring was when this end last slept.
    slept_at: u64,
    asked: bool,
}

impl Dialogue {
    /// So many bytes are little.
    const LITTLE: u64 = 1024;

    /// To be called before a sleep, with the position of this end.
    pub(crate) fn before_sleep<R: RegionMut>(&mut self, place: &Place<R>, position: u64) {
        let little = position - self.slept_at < Self::LITTLE;
        self.slept_at = position;
        if little != self.asked && !place.memory().full_fences() {
            want_fences(place.memory(), place.role.sleeps(), little);
            self.asked = little;
        }
    }

    /// To be called after a wait that has succeeded, with the position of this end.
    pub(crate) fn after_wait<R: RegionMut>(&mut self, place: &Place<R>, position: u64) {
        if self.asked && position - self.slept_at >= Self::LITTLE {
            want_fences(place.memory(), place.role.sleeps(), false);
            self.asked = false;
        }
    }
}

/// The identity of an end that was given to a child and that the child has not adopted: no process.
const GIVEN: u64 = u64::MAX;

/// How many bits of an identity are the start time, in clock ticks since the machine started.
const START_BITS: u32 = 42;

/// A process in one word; 0 is none.
fn encode(id: ProcessId) -> u64 {
    u64::from(id.pid.get().cast_unsigned()) << START_BITS | id.start_time & ((1 << START_BITS) - 1)
}

fn decode(identity: u64) -> Option<ProcessId> {
    if identity == GIVEN {
        return None;
    }
    let pid = Pid::try_from(u32::try_from(identity >> START_BITS).ok()?).ok()?;
    Some(ProcessId { pid, start_time: identity & ((1 << START_BITS) - 1) })
}

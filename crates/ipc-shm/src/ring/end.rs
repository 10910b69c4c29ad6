//! What both ends of a ring do: find it in their memory, take their place, and see whether the other lives.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, RegionMut, Result};

use super::layout::{
    CONSUMER, CONSUMER_CPU, CONSUMER_GONE, CONSUMER_SLEEPS, DATA, ELEMENT, LENGTH, MAGIC_VALUE,
    PRODUCER, PRODUCER_CPU, PRODUCER_GONE, PRODUCER_SLEEPS, WANTS_FENCES,
};
use super::mapped::Mapped;
use super::memory::Memory;
use super::peers::{self, GIVEN, Peers};
use super::spsc::{Receiver, Sender};
use super::spsc_core::{arm, leave, publish_cpu, sleep, want_fences};
use super::waiting::SLICE;
use super::{Strategy, attach};
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
    pub(crate) strategy: Strategy,
    pub(crate) full_fences: bool,
    pub(crate) senders: usize,
    pub(crate) overwrite: bool,
    pub(crate) limit: usize,
    pub(crate) element: u64,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl RingOptions {
    /// A ring of 64 KiB, whose ends spin a little and then sleep.
    pub const fn new() -> Self {
        Self {
            capacity: 1 << 16,
            strategy: Strategy::Adaptive,
            full_fences: false,
            senders: 8,
            overwrite: false,
            limit: 1 << 30,
            element: 0,
        }
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

    /// How many senders there can be at the same time, in a ring that takes several: 8 unless set. Each has
    /// room of its own, [`capacity`](Self::capacity) bytes.
    ///
    /// # Limits
    ///
    /// 64.
    pub const fn senders(mut self, count: usize) -> Self {
        self.senders = count;
        self
    }

    /// Lets the sender of a [`broadcast`](super::broadcast) go on when a receiver is too slow: its oldest
    /// messages are overwritten, and it learns how many. Otherwise the sender waits for the slowest.
    pub const fn overwrite(mut self, yes: bool) -> Self {
        self.overwrite = yes;
        self
    }

    /// How much an [`unbounded`](super::unbounded) ring may hold, in bytes: 1 GiB unless set, but 65536
    /// segments at most, and 2 at least. It takes addresses, and memory only when that is needed.
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Says what the messages are, by a number that the programs agree on. An end with another one is
    /// refused with [`ErrorKind::WrongType`]. 0, unless set, is bytes.
    pub const fn element(mut self, id: u64) -> Self {
        self.element = id;
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
        let len = self.data_len()?;
        attach::create(region, self.region_len()?, MAGIC_VALUE, |memory| {
            memory.store(LENGTH, len as u64, Relaxed);
            memory.store(ELEMENT, self.element, Relaxed);
        })
    }

    pub(crate) fn data_len(&self) -> Result<usize> {
        attach::data_len(self.capacity)
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
    /// The other end's process.
    peers: Peers,
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
        let (memory, capacity) =
            attach::open(region, options.full_fences, MAGIC_VALUE, DATA, options.element)?;
        let identity = peers::this_process()?;
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
            peers: Peers::default(),
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

    pub(crate) fn set_doorbell(&mut self, eventfd: OwnedFd) {
        if let Some(memory) = &mut self.memory {
            memory.set_doorbell(eventfd);
        }
    }

    /// Asks for the doorbell, unless there is something to do already.
    pub(crate) fn arm(&self, ready: impl FnOnce() -> bool) -> bool {
        arm(self.memory(), self.role.sleeps(), ready)
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
        let dead = self.peers.is_dead(identity);
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

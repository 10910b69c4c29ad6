//! What a ring is to be like.

use std::sync::atomic::Ordering::Relaxed;

use ipc_core::{RegionMut, Result};

use super::layout::{DATA, ELEMENT, LENGTH, MAGIC_VALUE};
use super::memory::Memory;
use super::spsc::{Receiver, Sender};
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
    /// refused with [`ErrorKind::WrongType`](ipc_core::ErrorKind::WrongType). 0, unless set, is bytes.
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
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) above 2 GiB.
    pub fn region_len(&self) -> Result<usize> {
        Ok(DATA + self.data_len()?)
    }

    /// Makes a ring in memory of its own, and both its ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a capacity above 2 GiB;
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when memory or
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
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) when the memory is too small.
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

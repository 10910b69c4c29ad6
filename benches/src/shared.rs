//! Memory that two measuring processes share, for the floors.
#![expect(unsafe_code, reason = "the floors measure bare memory and futexes")]

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustix::fs::MemfdFlags;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::thread::futex;

/// The distance between two words that must not share a line, nor a pair of lines that a prefetcher
/// fetches together.
const APART: usize = 128;

/// Where the data begins.
const DATA: usize = 4096;

/// A mapping of a memfd: a few words on cache lines of their own, and a data area.
#[derive(Debug)]
pub(crate) struct Shared {
    base: NonNull<u8>,
    len: usize,
}

/// The words of a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    Ping = 0,
    Pong = 1,
}

impl Shared {
    /// Makes a memfd with `data` bytes of data.
    pub(crate) fn create(data: usize) -> Result<OwnedFd> {
        let fd = rustix::fs::memfd_create("ipc-bench-floor", MemfdFlags::CLOEXEC)
            .context("memfd_create")?;
        rustix::fs::ftruncate(&fd, (DATA + data) as u64).context("ftruncate")?;
        Ok(fd)
    }

    /// Maps what [`create`](Self::create) made, and touches every page.
    pub(crate) fn map(fd: impl AsFd) -> Result<Self> {
        let len = usize::try_from(rustix::fs::fstat(&fd).context("fstat")?.st_size)?;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps no Rust object.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, flags, fd, 0) };
        let base = NonNull::new(base.context("mmap")?.cast()).context("mmap")?;
        Ok(Self { base, len })
    }

    /// One of the words.
    pub(crate) fn word(&self, word: Word) -> &AtomicU32 {
        let offset = word as usize * APART;
        // SAFETY: the words lie in the first page, which every mapping has.
        let at = unsafe { self.base.add(offset) };
        // SAFETY: it is aligned to 128 bytes, mapped for as long as `self` lives, zero or written by
        // atomics of the other process, and never accessed otherwise.
        unsafe { at.cast::<AtomicU32>().as_ref() }
    }

    /// Copies `from` into the data area at `offset`. The caller's protocol sees to it that the other
    /// process does not touch these bytes meanwhile.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        assert!(DATA + offset + from.len() <= self.len, "outside of the mapping");
        // SAFETY: the range was checked to be inside the mapping.
        let to = unsafe { self.base.add(DATA + offset) };
        // SAFETY: both ranges are valid, and a private buffer does not overlap the mapping.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), from.len()) };
    }

    /// Copies from the data area at `offset`, as [`write`](Self::write) does into it.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) {
        assert!(DATA + offset + to.len() <= self.len, "outside of the mapping");
        // SAFETY: the range was checked to be inside the mapping.
        let from = unsafe { self.base.add(DATA + offset) };
        // SAFETY: both ranges are valid, and a private buffer does not overlap the mapping.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), to.len()) };
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's alone, and nothing borrows from it any more.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Sleeps while `word` is `value`, between processes; may wake for no reason.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32) {
    let _ = futex::wait(word, futex::Flags::empty(), value, None);
}

/// Stores `value` and wakes the other process, should it sleep on it.
pub(crate) fn store_and_wake(word: &AtomicU32, value: u32) {
    word.store(value, Ordering::Release);
    let _ = futex::wake(word, futex::Flags::empty(), 1);
}

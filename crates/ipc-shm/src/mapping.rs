//! Memory that is mapped, and what can be asked of it. The only file but `bytes.rs` with `unsafe` code.
#![expect(unsafe_code, reason = "every mapping of the crate is made, advised and unmapped here")]

use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};

use ipc_core::{Error, ErrorKind, Region, RegionMut, Result};
use ipc_fd::kind::os;
use rustix::io::Errno;
use rustix::mm::{Advice, MsyncFlags};

use crate::access::Map;
use crate::{
    Access, Anonymous, FileMap, Memfd, PosixShm, Private, ReadWrite, SysvShm, sys::last_errno,
};

/// One mapping.
///
/// Invariant: `base` is the address of `len` bytes that this value mapped, and unmaps when it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping<A> {
    base: NonNull<u8>,
    len: usize,
    undo: Undo,
    access: PhantomData<A>,
}

// SAFETY: the memory is shared between processes in any case; a pointer to it is as good in one thread
// as in another.
unsafe impl<A> Send for Mapping<A> {}
// SAFETY: as above: through a shared reference it is reached by atomics and volatile copies alone.
unsafe impl<A> Sync for Mapping<A> {}

/// How a mapping is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undo {
    Munmap,
    Shmdt,
}

impl<A: Access> Mapping<A> {
    /// Attaches a System V segment of `len` bytes: `shmat`.
    pub(crate) fn attach(id: i32, len: usize) -> Result<Self, Errno> {
        let flags = if A::WRITES { 0 } else { libc::SHM_RDONLY };
        // SAFETY: the kernel chooses an address that is free.
        let base = unsafe { libc::shmat(id, ptr::null(), flags) };
        if base.addr() == usize::MAX {
            return Err(last_errno());
        }
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { base, len, undo: Undo::Shmdt, access: PhantomData })
    }

    /// Maps `len` bytes of a file from `offset` on, or new memory without a file.
    pub(crate) fn new(file: Option<BorrowedFd<'_>>, offset: u64, len: usize) -> Result<Self> {
        let Map { prot, flags } = A::MAP;
        let anywhere = ptr::null_mut();
        let mapped = match file {
            // SAFETY: the kernel chooses an address that is free.
            Some(fd) => unsafe { rustix::mm::mmap(anywhere, len, prot, flags, fd, offset) },
            // SAFETY: as above.
            None => unsafe { rustix::mm::mmap_anonymous(anywhere, len, prot, flags) },
        };
        let base = mapped.map_err(|errno| match errno {
            Errno::NOMEM => os("mmap")(errno).with_kind(ErrorKind::ResourceLimit {
                limit: "memory, addresses or mappings of this process",
                knob: "RLIMIT_AS, /proc/sys/vm/max_map_count, /proc/sys/vm/overcommit_memory",
            }),
            Errno::PERM | Errno::ACCESS => os("mmap")(errno)
                .with_kind(ErrorKind::PermissionDenied)
                .with_note("the memory may not be mapped so: it is sealed, or open for less"),
            errno => os("mmap")(errno),
        })?;
        let base = NonNull::new(base.cast()).ok_or_else(|| Error::new(ErrorKind::Other, "mmap"))?;
        Ok(Self { base, len, undo: Undo::Munmap, access: PhantomData })
    }
}

impl<A> Mapping<A> {
    /// `madvise` for all of it.
    pub(crate) fn advise(&self, advice: Advice) -> Result<(), Errno> {
        // SAFETY: the bytes are mapped. No advice that callers in this crate give changes what they
        // hold: none is `MADV_DONTNEED`, `MADV_FREE` or `MADV_REMOVE`.
        unsafe { rustix::mm::madvise(self.base.as_ptr().cast(), self.len, advice) }
    }

    /// `mlock`
    pub(crate) fn lock(&self) -> Result<(), Errno> {
        // SAFETY: the bytes are mapped, and locking changes none.
        unsafe { rustix::mm::mlock(self.base.as_ptr().cast(), self.len) }
    }

    /// `msync(MS_SYNC)` of the pages that some bytes are in.
    pub(crate) fn flush(&self, from: usize, len: usize) -> Result<(), Errno> {
        let page = rustix::param::page_size();
        let start = from - from % page;
        let len = (from + len).min(self.len) - start;
        // SAFETY: `start` is within the mapping, by the caller's check.
        let at = unsafe { self.base.add(start) };
        // SAFETY: the bytes are mapped, and writing them back changes none.
        unsafe { rustix::mm::msync(at.as_ptr().cast(), len, MsyncFlags::SYNC) }
    }
}

impl<A> Drop for Mapping<A> {
    fn drop(&mut self) {
        let base = self.base.as_ptr().cast();
        match self.undo {
            // SAFETY: it was mapped with this length, and nothing borrows from it any more.
            Undo::Munmap => _ = unsafe { rustix::mm::munmap(base, self.len) },
            // SAFETY: it was attached there, and nothing borrows from it any more.
            Undo::Shmdt => _ = unsafe { libc::shmdt(base) },
        }
    }
}

// SAFETY: the address and length never change, the bytes are mapped readable until the value is dropped,
// and no Rust object lives in them. That touching them does not fault is for the type around it to see to.
unsafe impl<A> Region for Mapping<A> {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: it is mapped to be written.
unsafe impl RegionMut for Mapping<ReadWrite> {}
// SAFETY: it is mapped to be written; the pages that are written are copies.
unsafe impl RegionMut for Mapping<Private> {
    fn is_shared(&self) -> bool {
        false
    }
}

/// Says of types with a field `mapping` that they are regions, and writable ones where the mapping is.
macro_rules! regions {
    ($($region:ident),+) => {$(
        // SAFETY: the mapping promises it, and is dropped with this value. What stands behind it is
        // reserved, or the type's documentation says what happens if it goes away.
        unsafe impl<A> Region for $region<A> {
            fn base(&self) -> NonNull<u8> {
                self.mapping.base
            }

            fn len(&self) -> usize {
                self.mapping.len
            }
        }

        // SAFETY: it is mapped to be written.
        unsafe impl RegionMut for $region<ReadWrite> {}
        // SAFETY: it is mapped to be written; the pages that are written are copies.
        unsafe impl RegionMut for $region<Private> {
            fn is_shared(&self) -> bool {
                false
            }
        }
    )+};
}

regions!(Memfd, PosixShm, FileMap, Anonymous, SysvShm);

//! Regions over `memfd_create`.
#![expect(unsafe_code, reason = "mapping memory and promising that it stays")]

use std::os::fd::OwnedFd;
use std::process::Command;
use std::ptr::NonNull;

use ipc_core::{Caps, Handoff, Region, RegionMut, Rejected, Result, Shape};
use ipc_testkit::{ByHandoff, Regions, adopt_descriptor, give_descriptor};
use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::wait::error;

/// One mapping.
#[derive(Debug)]
pub struct View {
    pub base: NonNull<u8>,
    pub len: usize,
    pub fd: OwnedFd,
}

// SAFETY: the memory is shared between processes in any case; a pointer to it is as good in one
// thread as in another.
unsafe impl Send for View {}

impl View {
    pub fn map(fd: OwnedFd) -> Result<Self> {
        let len = fstat(&fd).map_err(error("fstat"))?.st_size;
        let len = usize::try_from(len).expect("lengths are not negative");
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses an address that is free.
        let base = unsafe { mmap(std::ptr::null_mut(), len, prot, flags, &fd, 0) };
        let base = base.map_err(error("mmap"))?;
        Ok(Self { base: NonNull::new(base.cast()).expect("a mapping is not null"), len, fd })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

// SAFETY: the mapping stays until it is dropped, no Rust object lives in it, and nobody who has the
// descriptor shortens it.
unsafe impl Region for View {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: it is mapped to be read and written.
unsafe impl RegionMut for View {}

impl Handoff for View {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).expect("there are descriptors");
        give_descriptor(fd, command, key).expect("the suite's keys are good");
        Ok(())
    }

    fn adopt(key: &str) -> Result<Self> {
        Self::map(adopt_descriptor(key)?)
    }
}

/// New memory.
pub fn create(len: usize) -> Result<OwnedFd> {
    let fd = memfd_create("ipc-testkit", MemfdFlags::CLOEXEC).map_err(error("memfd_create"))?;
    ftruncate(&fd, len as u64).map_err(error("ftruncate"))?;
    Ok(fd)
}

pub fn pair(len: usize) -> Result<(View, View)> {
    let one = create(len)?;
    let two = rustix::io::fcntl_dupfd_cloexec(&one, 0).map_err(error("fcntl"))?;
    Ok((View::map(one)?, View::map(two)?))
}

/// The fixture.
pub struct Memory;

impl Regions for Memory {
    const NAME: &'static str = "memfd";
    const CAPS: Caps = Caps::new(Shape::Region).anonymous();
    type View = View;
    type Across = ByHandoff;

    fn pair(len: usize) -> Result<(View, View)> {
        pair(len)
    }
}

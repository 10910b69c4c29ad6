//! Memory of this crate's own: with a name in `/dev/shm`, or without.
#![expect(unsafe_code, reason = "every mapping of the crate is made and unmapped here")]

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Name, Region, RegionMut, Rejected, Result};
use ipc_fd::kind::{checked, file_type, os};
use ipc_fd::place::Place;
use ipc_fd::user::is_owner;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, MemfdFlags, Mode, OFlags, SealFlags, Stat,
};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

/// Where the C library keeps shared memory and semaphores.
const DIR: &str = "/dev/shm";

/// What a name stands for, in words and errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sort {
    /// As in "it must be a POSIX semaphore".
    pub(crate) name: &'static str,
    /// The operation in errors.
    pub(crate) op: &'static str,
    /// What the user is to do about an object of somebody else.
    pub(crate) foreign: &'static str,
}

/// Memory that holds one object of this crate, and that nothing else in this process reaches.
///
/// There is nothing to do with it: it is what a [`Shared`](crate::Shared) has its object in, unless that is
/// in a region of the caller's.
///
/// Invariant: `base` is the address of `len` bytes of `fd` that this value mapped, and unmaps when it is
/// dropped.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<u8>,
    len: usize,
    /// `None` only while the value ends.
    fd: Option<OwnedFd>,
    name: Option<Named>,
}

/// A name in `/dev/shm`.
#[derive(Debug)]
struct Named {
    name: Name,
    place: Arc<Place>,
    /// The process that created it and is to remove it.
    creator: Option<u32>,
}

// SAFETY: the memory is shared between processes in any case; a pointer to it is as good in one thread as in
// another.
unsafe impl Send for Memory {}
// SAFETY: as above; through a shared reference there is only its address.
unsafe impl Sync for Memory {}

impl Memory {
    /// Memory without a name, of fixed size: `memfd_create`.
    pub(crate) fn unnamed(len: usize) -> Result<Self> {
        const NAME: &str = "ipc-sem";
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = match rustix::fs::memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
            // Before Linux 6.3.
            Err(Errno::INVAL) => rustix::fs::memfd_create(NAME, flags),
            fd => fd,
        }
        .map_err(os("memfd_create"))?;
        reserve(&fd, len)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&fd, seals).map_err(os("fcntl F_ADD_SEALS"))?;
        Ok(Self::map(fd, len, None)?)
    }

    /// Creates a file in `/dev/shm`, and lets `init` fill it **before** its name appears.
    pub(crate) fn create(
        file: &OsStr,
        name: &Name,
        len: usize,
        mode: u32,
        sort: Sort,
        init: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        if mode > 0o777 {
            return Err(
                Error::new(ErrorKind::InvalidInput, sort.op).with_note("a mode is at most 0777")
            );
        }
        let place = place(file, sort)?;
        // A file without a name: it is gone if this process dies before it gets one.
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = rustix::fs::open(DIR, flags, Mode::RUSR | Mode::WUSR).map_err(os(sort.op))?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(os("fchmod"))?;
        reserve(&fd, len)?;
        let mut memory = Self::map(fd, len, None)?;
        init(&memory)?;
        let unnamed = format!("/proc/self/fd/{}", memory.as_fd().as_raw_fd());
        let (dir, name_there) = (place.dir(), place.name());
        rustix::fs::linkat(CWD, unnamed, dir, name_there, AtFlags::SYMLINK_FOLLOW)
            .map_err(os(sort.op))?;
        let creator = Some(std::process::id());
        memory.name = Some(Named { name: name.clone(), place, creator });
        Ok(memory)
    }

    /// Opens a file in `/dev/shm` that has `len` bytes at least.
    pub(crate) fn open(
        file: &OsStr,
        name: &Name,
        len: usize,
        owner: Option<u32>,
        sort: Sort,
    ) -> Result<Self> {
        let place = place(file, sort)?;
        // Nothing that has the name may make the open wait, or be followed.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let wrong = |found| ErrorKind::WrongType { expected: sort.name, found };
        let fd = place.open(flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP => os(sort.op)(errno).with_kind(wrong("a symbolic link")),
            Errno::ISDIR => os(sort.op)(errno).with_kind(wrong("a directory")),
            Errno::NXIO => os(sort.op)(errno).with_kind(wrong("a FIFO or socket")),
            errno => os(sort.op)(errno),
        })?;
        let stat = check(fd.as_fd(), len, sort)?;
        if !is_owner(stat.st_uid, owner) {
            return Err(Error::new(ErrorKind::ForeignOwner { uid: stat.st_uid }, sort.op)
                .with_note(sort.foreign));
        }
        Ok(Self::map(fd, len, Some(Named { name: name.clone(), place, creator: None }))?)
    }

    /// Maps a descriptor that came from somewhere else.
    pub(crate) fn of_descriptor(
        fd: OwnedFd,
        len: usize,
        sort: Sort,
    ) -> Result<Self, Rejected<OwnedFd>> {
        let (fd, _) = checked(fd, |fd| check(fd, len, sort))?;
        Self::map(fd, len, None)
    }

    fn map(fd: OwnedFd, len: usize, name: Option<Named>) -> Result<Self, Rejected<OwnedFd>> {
        let (fd, base) = checked(fd, |fd| {
            let prot = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: the kernel chooses an address that is free.
            let base =
                unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, 0) };
            let base = base.map_err(|errno| match errno {
                Errno::NOMEM => os("mmap")(errno).with_kind(ErrorKind::ResourceLimit {
                    limit: "memory, addresses or mappings of this process",
                    knob: "RLIMIT_AS, /proc/sys/vm/max_map_count",
                }),
                errno => os("mmap")(errno),
            })?;
            NonNull::new(base.cast()).ok_or_else(|| Error::new(ErrorKind::Other, "mmap"))
        })?;
        Ok(Self { base, len, fd: Some(fd), name })
    }

    pub(crate) fn name(&self) -> Option<&Name> {
        self.name.as_ref().map(|named| &named.name)
    }

    /// Leaves the name when this value is dropped.
    pub(crate) fn keep(&mut self) {
        if let Some(named) = &mut self.name {
            named.creator = None;
        }
    }

    /// Removes the name now, if it is still this memory's.
    pub(crate) fn unlink(&mut self, op: &'static str) -> Result<()> {
        let Some(named) = &mut self.name else {
            return Err(Error::new(ErrorKind::NotFound, op).with_note("it has no name"));
        };
        named.creator = None;
        let fd = self.fd.as_ref().expect("it is there until the value ends");
        named.place.unlink_if(fd.as_fd(), op)
    }

    /// The descriptor alone; the memory stays mapped for ever.
    pub(crate) fn leak(mut self) -> OwnedFd {
        self.remove_name();
        let fd = self.fd.take().expect("it is there until the value ends");
        std::mem::forget(self);
        fd
    }

    /// Removes the name, if that is up to this value.
    fn remove_name(&mut self) {
        if let (Some(named), Some(fd)) = (self.name.take(), &self.fd) {
            // A forked copy must not remove what its parent still uses. A name that is gone, or somebody
            // else's by now, is none of ours to complain about.
            if named.creator == Some(std::process::id()) {
                let _ = named.place.unlink_if(fd.as_fd(), "unlink");
            }
        }
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_ref().expect("it is there until the value ends").as_fd()
    }
}

/// Unmaps it, and removes its name where dropping would.
impl From<Memory> for OwnedFd {
    fn from(mut memory: Memory) -> Self {
        memory.remove_name();
        memory.fd.take().expect("it is there until the value ends")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.remove_name();
        // SAFETY: it was mapped with this length, and nothing borrows from it any more.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

// SAFETY: address and length never change; the bytes are mapped until the value is dropped, and reserved or
// checked to be there. Without a name they are sealed in their size; with one, the documentation of what is
// in it says who can take them away.
unsafe impl Region for Memory {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: it is mapped to be written.
unsafe impl RegionMut for Memory {}

/// Where a file of this name is.
fn place(file: &OsStr, sort: Sort) -> Result<Arc<Place>> {
    Ok(Arc::new(Place::new(&Path::new(DIR).join(file), sort.op)?))
}

/// Checks that a descriptor is a file of so many bytes.
pub(crate) fn check(fd: BorrowedFd<'_>, len: usize, sort: Sort) -> Result<Stat> {
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    let wrong =
        |found| Err(Error::new(ErrorKind::WrongType { expected: sort.name, found }, sort.op));
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return wrong(file_type(&stat));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size == 0 {
        return wrong("a file without a byte");
    }
    if size < len as u64 {
        return wrong("a file that is too short");
    }
    Ok(stat)
}

/// Gives a file its bytes, so that no later touch finds that there are none.
fn reserve(fd: &OwnedFd, len: usize) -> Result<()> {
    loop {
        return match rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, len as u64) {
            Err(Errno::INTR) => continue,
            reserved => reserved.map_err(os("fallocate")),
        };
    }
}

//! What can be asked for with a mapping, and what was granted.

use std::os::fd::AsFd;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::mm::Advice;

use crate::mapping::Mapping;

/// What to ask for with a mapping. None of it is promised: [`Granted`] says what came of it.
///
/// # Examples
///
/// ```
/// use ipc_shm::{MapOptions, MemfdOptions};
///
/// let memory = MemfdOptions::new(1 << 20).map(MapOptions::new().prefault(true)).create()?;
/// assert!(memory.granted().prefault.is_granted());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `madvise`(2), `mlock`(2).
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options do nothing by themselves"]
pub struct MapOptions {
    prefault: bool,
    lock: bool,
    huge_pages: bool,
}

impl MapOptions {
    /// Nothing: pages come when they are first touched.
    pub const fn new() -> Self {
        Self { prefault: false, lock: false, huge_pages: false }
    }

    /// Brings every page in before the mapping is returned, so that no later touch waits for one:
    /// `MADV_POPULATE_WRITE`, or `MADV_POPULATE_READ` for a mapping that cannot be written.
    ///
    /// # Platform
    ///
    /// Linux 5.14.
    #[doc(alias("MADV_POPULATE_WRITE", "MAP_POPULATE"))]
    pub const fn prefault(mut self, yes: bool) -> Self {
        self.prefault = yes;
        self
    }

    /// Keeps the pages in memory: `mlock`.
    ///
    /// # Limits
    ///
    /// `RLIMIT_MEMLOCK` (`ulimit -l`), for a process without `CAP_IPC_LOCK`.
    #[doc(alias = "mlock")]
    pub const fn lock(mut self, yes: bool) -> Self {
        self.lock = yes;
        self
    }

    /// Asks for huge pages: `MADV_HUGEPAGE`. That it is granted means that the kernel has taken note; how
    /// many it uses, `/proc/self/smaps` tells.
    ///
    /// # Limits
    ///
    /// `/sys/kernel/mm/transparent_hugepage/shmem_enabled` must be `advise` or `always` for shared
    /// memory; it is `never` unless changed.
    #[doc(alias = "MADV_HUGEPAGE")]
    pub const fn huge_pages(mut self, yes: bool) -> Self {
        self.huge_pages = yes;
        self
    }
}

/// Whether something that was asked for was granted.
///
/// # Examples
///
/// See [`MapOptions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// It was not asked for.
    NotAsked,
    /// It was granted.
    Granted,
    /// It was refused, and why. The mapping is good without it.
    Refused(Error),
}

impl Grant {
    /// Whether it was asked for and granted.
    #[must_use]
    pub const fn is_granted(&self) -> bool {
        matches!(self, Self::Granted)
    }

    fn of(asked: bool, op: &'static str, ask: impl FnOnce() -> Result<(), Errno>) -> Self {
        if !asked {
            return Self::NotAsked;
        }
        match ask() {
            Ok(()) => Self::Granted,
            Err(errno)
                if op == LOCK && matches!(errno, Errno::NOMEM | Errno::PERM | Errno::AGAIN) =>
            {
                Self::Refused(os(op)(errno).with_kind(ErrorKind::ResourceLimit {
                    limit: "memory that this process may lock",
                    knob: "RLIMIT_MEMLOCK (ulimit -l), CAP_IPC_LOCK",
                }))
            }
            Err(errno) => Self::Refused(os(op)(errno)),
        }
    }
}

/// What came of [`MapOptions`].
///
/// # Examples
///
/// See [`MapOptions`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// Every page was brought in.
    pub prefault: Grant,
    /// The pages stay in memory.
    pub lock: Grant,
    /// The kernel was advised to use huge pages.
    pub huge_pages: Grant,
}

const LOCK: &str = "mlock";

impl Granted {
    /// Asks for what the options say.
    pub(crate) fn ask<A>(mapping: &Mapping<A>, options: MapOptions, writes: bool) -> Self {
        let populate = if writes { Advice::LinuxPopulateWrite } else { Advice::LinuxPopulateRead };
        // Huge pages first: it is no use to say so when the small ones are there.
        let huge_pages = Grant::of(options.huge_pages, "madvise MADV_HUGEPAGE", || {
            mapping.advise(Advice::LinuxHugepage)
        });
        let prefault =
            Grant::of(options.prefault, "madvise MADV_POPULATE", || mapping.advise(populate));
        let lock = Grant::of(options.lock, LOCK, || mapping.lock());
        Self { prefault, lock, huge_pages }
    }
}

/// Checks a length that memory is to have.
pub(crate) fn check_len(len: usize, op: &'static str) -> Result<u64> {
    let invalid = |note| Err(Error::new(ErrorKind::InvalidInput, op).with_note(note));
    match isize::try_from(len) {
        Ok(0) => invalid("memory has one byte at least"),
        Ok(_) => Ok(len as u64),
        Err(_) => invalid("memory has isize::MAX bytes at most"),
    }
}

/// Refuses what `RLIMIT_FSIZE` does: the kernel would send `SIGXFSZ`, which ends the process.
fn check_file_size(end: u64) -> Result<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    if limit.is_some_and(|limit| end > limit) {
        let kind = ErrorKind::ResourceLimit {
            limit: "length of a file that this process may write",
            knob: "RLIMIT_FSIZE (ulimit -f)",
        };
        return Err(Error::new(kind, "fallocate"));
    }
    Ok(())
}

/// Makes a file at least `end` bytes long, and never shorter, whatever others do to it at the same time.
pub(crate) fn grow(file: impl AsFd, end: u64) -> Result<()> {
    match reserve(&file, end - 1, 1) {
        // The file system knows no fallocate. Two that grow the file at the same moment may shorten it.
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            rustix::fs::ftruncate(&file, end).map_err(os("ftruncate"))
        }
        grown => grown,
    }
}

/// Reserves `len` bytes of a file from `offset` on, so that no later touch finds that there are none:
/// `fallocate`.
pub(crate) fn reserve(file: impl AsFd, offset: u64, len: u64) -> Result<()> {
    check_file_size(offset.saturating_add(len))?;
    loop {
        return match fallocate(&file, FallocateFlags::empty(), offset, len) {
            Err(Errno::INTR) => continue,
            Err(errno @ (Errno::NOSPC | Errno::FBIG | Errno::NOMEM)) => Err(os("fallocate")(errno)
                .with_kind(ErrorKind::ResourceLimit {
                    limit: "space of the file system (tmpfs: memory)",
                    knob: "df; size= of a tmpfs (mount -o remount), RLIMIT_FSIZE (ulimit -f)",
                })),
            reserved => reserved.map_err(os("fallocate")),
        };
    }
}

/// Reserves memory for a file that is made of memory.
///
/// The kernel would go on until the machine has none and then kill processes, this one or others: a memfd
/// has no limit of its own, and a tmpfs may be as large as the memory. So what the machine does not have
/// is refused here.
pub(crate) fn reserve_memory(file: impl AsFd, len: u64) -> Result<()> {
    check_available(len, "fallocate")?;
    reserve(file, 0, len)
}

/// Refuses more memory than the machine has to give.
pub(crate) fn check_available(len: u64, op: &'static str) -> Result<()> {
    if available().is_some_and(|available| len > available) {
        let kind = ErrorKind::ResourceLimit {
            limit: "memory of this machine (MemAvailable of /proc/meminfo)",
            knob: "free; more memory or swap, or a smaller length",
        };
        return Err(Error::new(kind, op));
    }
    Ok(())
}

/// How many bytes of memory can be had, as the kernel estimates it.
fn available() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

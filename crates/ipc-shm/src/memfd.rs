//! Memory that is a descriptor and has no name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use ipc_core::{Caps, Error, ErrorKind, Handoff, Mechanism, Persistence, Rejected, Result, Shape};
use ipc_fd::handoff::{adopt, give};
use ipc_fd::kind::{checked, file_type, os};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;

use crate::mapping::Mapping;
use crate::options::{check_available, check_len, reserve, reserve_memory};
use crate::{Access, Granted, MapOptions, ReadOnly, ReadWrite};

/// What nobody can do with memory any more, whoever has it.
///
/// # Examples
///
/// ```
/// use ipc_shm::Seals;
/// assert!(Seals::CONTENTS.contain(Seals::SIZE));
/// assert!(!Seals::SIZE.contain(Seals::CONTENTS));
/// ```
///
/// # References
///
/// `fcntl`(2), section *File Sealing*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias("F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_WRITE", "F_SEAL_FUTURE_WRITE"))]
pub struct Seals(SealFlags);

impl Seals {
    /// The size cannot change, and no seal can be added: `F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL`. So a
    /// mapping is never cut off; its contents can change at any moment. Its pages may not be there yet: they
    /// are charged to who touches them, so that the size a peer has chosen is to be looked at first.
    pub const SIZE: Self = Self(SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL));

    /// As [`SIZE`](Self::SIZE), and nobody can begin to write: `F_SEAL_FUTURE_WRITE`. Who has a writable
    /// mapping goes on, which is the one who made it; everybody else reads.
    ///
    /// # Platform
    ///
    /// Linux 5.1.
    pub const ONE_WRITER: Self = Self(Self::SIZE.0.union(SealFlags::FUTURE_WRITE));

    /// Nothing can change, neither size nor contents: `F_SEAL_WRITE` besides. What was checked stays
    /// as it was checked. The kernel refuses it while anybody has a writable mapping.
    pub const CONTENTS: Self = Self(Self::SIZE.0.union(SealFlags::WRITE));

    /// Whether these are all of `others`, and perhaps more.
    #[must_use]
    pub const fn contain(self, others: Self) -> bool {
        self.0.contains(others.0)
    }
}

/// How to make memory that has no name.
///
/// # Examples
///
/// ```
/// use ipc_shm::{MemfdOptions, RegionExt, Seals};
///
/// let memory = MemfdOptions::new(1 << 20).create()?;
/// memory.write_at(0, b"hello")?;
/// assert!(memory.seals()?.contain(Seals::SIZE));
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the memory is made"]
pub struct MemfdOptions {
    len: usize,
    seals: Seals,
    map: MapOptions,
}

impl MemfdOptions {
    /// Memory of `len` bytes, zeroed, reserved, and [sealed in its size](Seals::SIZE).
    pub const fn new(len: usize) -> Self {
        Self { len, seals: Seals::SIZE, map: MapOptions::new() }
    }

    /// Lets this process alone write, by the mapping that it makes: [`Seals::ONE_WRITER`].
    pub const fn one_writer(mut self) -> Self {
        self.seals = Seals::ONE_WRITER;
        self
    }

    /// Leaves room for [`Memfd::freeze`]: who has the memory may still seal its contents, after which
    /// nobody can write. The size is sealed in any case.
    pub const fn freezable(mut self) -> Self {
        self.seals = Seals(SealFlags::SHRINK.union(SealFlags::GROW));
        self
    }

    /// What to ask for with the mapping.
    pub const fn map(mut self, options: MapOptions) -> Self {
        self.map = options;
        self
    }

    /// Makes the memory and maps it: `memfd_create`, `fallocate`, `mmap`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] for a length of zero or above `isize::MAX`;
    /// - [`ErrorKind::ResourceLimit`] when descriptors or memory run out.
    ///
    /// # Limits
    ///
    /// What is available of the machine's memory (`/proc/meminfo`), and `RLIMIT_FSIZE`. A control group
    /// (`memory.max`) has no error to give: who goes beyond it is killed, here and not at some later touch.
    #[doc(alias = "memfd_create")]
    pub fn create(&self) -> Result<Memfd> {
        self.create_with(|fd, len| reserve_memory(fd, len))
    }

    /// As [`create`](Self::create), but reserves nothing: [`Memfd::reserve`] does, part by part.
    pub(crate) fn create_sparse(&self) -> Result<Memfd> {
        self.create_with(|fd, len| rustix::fs::ftruncate(fd, len).map_err(os("ftruncate")))
    }

    fn create_with(&self, size: impl FnOnce(BorrowedFd<'_>, u64) -> Result<()>) -> Result<Memfd> {
        const NAME: &str = "ipc-shm";
        let len = check_len(self.len, "memfd_create")?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = match rustix::fs::memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
            // Before Linux 6.3.
            Err(Errno::INVAL) => rustix::fs::memfd_create(NAME, flags),
            fd => fd,
        }
        .map_err(os("memfd_create"))?;
        size(fd.as_fd(), len)?;
        let mapping = Mapping::new(Some(fd.as_fd()), 0, self.len)?;
        rustix::fs::fcntl_add_seals(&fd, self.seals.0).map_err(os("fcntl F_ADD_SEALS"))?;
        let granted = Granted::ask(&mapping, self.map, true);
        Ok(Memfd { fd, mapping, granted })
    }
}

/// Memory that is a descriptor (`memfd_create`): the default for processes that can pass one.
///
/// It has no name that could be squatted or left behind, and is gone with its last descriptor and
/// mapping. Its size is sealed, so that no peer can take the memory away under this process's hands,
/// which would raise `SIGBUS`; and it is reserved, so that no touch finds the machine out of memory.
///
/// # Giving it away
///
/// Pass the descriptor over a Unix socket, or to a child with [`ipc_core::Handoff`]. Whoever gets one
/// makes a `Memfd` of it by `try_from`, which checks the seals **before** it maps anything.
///
/// # Examples
///
/// ```
/// use std::os::fd::{AsFd, OwnedFd};
/// use ipc_shm::{Memfd, MemfdOptions, ReadOnly, RegionExt};
///
/// let ours = MemfdOptions::new(4096).one_writer().create()?;
/// ours.write_at(0, b"price: 42")?;
///
/// // In another process, which got the descriptor:
/// let fd: OwnedFd = ours.as_fd().try_clone_to_owned().unwrap();
/// let theirs = Memfd::<ReadOnly>::try_from(fd)?;
/// let mut text = [0; 9];
/// theirs.read_at(0, &mut text)?;
/// assert_eq!(&text, b"price: 42");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `memfd_create`(2), `mmap`(2).
#[derive(Debug)]
#[doc(alias = "memfd_create")]
pub struct Memfd<A = ReadWrite> {
    fd: OwnedFd,
    pub(crate) mapping: Mapping<A>,
    granted: Granted,
}

impl<A> Memfd<A> {
    /// What can be done with the memory no more: `F_GET_SEALS`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] for an errno that Linux does not document.
    #[doc(alias = "F_GET_SEALS")]
    pub fn seals(&self) -> Result<Seals> {
        rustix::fs::fcntl_get_seals(&self.fd).map(Seals).map_err(os("fcntl F_GET_SEALS"))
    }

    /// What was granted of what was asked for with the mapping.
    #[must_use]
    pub const fn granted(&self) -> &Granted {
        &self.granted
    }
}

impl<A: Access> Memfd<A> {
    /// A second mapping of the same memory, with a descriptor of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors or addresses run out;
    /// [`ErrorKind::PermissionDenied`] to write to memory that is sealed against it.
    pub fn try_clone(&self) -> Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(os("fcntl"))?;
        Ok(Self::try_from(fd)?)
    }

    /// Checks a descriptor and maps it, with these options. `try_from` does so with none.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] for what is no memfd, and for one that its sender can still shorten;
    /// - [`ErrorKind::InvalidInput`] for memory without a byte;
    /// - [`ErrorKind::PermissionDenied`] to write to memory that is sealed against it;
    /// - [`ErrorKind::ResourceLimit`] when addresses run out.
    ///
    /// The descriptor comes back, and nothing is mapped.
    pub fn from_fd(fd: OwnedFd, options: MapOptions) -> Result<Self, Rejected<OwnedFd>> {
        let map = |fd: BorrowedFd<'_>| Mapping::new(Some(fd), 0, check(fd)?);
        let (fd, mapping) = checked(fd, map)?;
        let granted = Granted::ask(&mapping, options, A::WRITES);
        Ok(Self { fd, mapping, granted })
    }
}

/// Checks that a descriptor is memory whose size nobody can change, and returns the size.
fn check(fd: BorrowedFd<'_>) -> Result<usize> {
    const OP: &str = "adopt descriptor";
    let wrong = |found| {
        let expected = "a memfd with F_SEAL_SHRINK and F_SEAL_GROW";
        Err(Error::new(ErrorKind::WrongType { expected, found }, OP))
    };
    let seals = match rustix::fs::fcntl_get_seals(fd) {
        Err(Errno::INVAL | Errno::BADF) => {
            return wrong(file_type(&rustix::fs::fstat(fd).map_err(os("fstat"))?));
        }
        seals => seals.map_err(os("fcntl F_GET_SEALS"))?,
    };
    // First the seals and then the size, or it might change in between.
    if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
        return wrong("a memfd that its sender can still shorten");
    }
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    let len = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    check_len(len, OP)?;
    Ok(len)
}

impl<A> AsFd for Memfd<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Unmaps the memory and keeps the descriptor.
impl<A> From<Memfd<A>> for OwnedFd {
    fn from(memory: Memfd<A>) -> Self {
        memory.fd
    }
}

/// Checks the seals, and maps it.
///
/// # Errors
///
/// Those of [`Memfd::from_fd`].
impl<A: Access> TryFrom<OwnedFd> for Memfd<A> {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        Self::from_fd(fd, MapOptions::new())
    }
}

impl<A: Access> Handoff for Memfd<A> {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, mapping)] = adopt([key], |_, fd| Mapping::new(Some(fd), 0, check(fd)?))?;
        let granted = Granted::ask(&mapping, MapOptions::new(), A::WRITES);
        Ok(Self { fd, mapping, granted })
    }
}

impl<A> Mechanism for Memfd<A> {
    const NAME: &'static str = "memfd";
    const CAPS: Caps =
        Caps::new(Shape::Region).anonymous().fd_passing().persistence(Persistence::Process);
}

impl Memfd<ReadWrite> {
    /// Reserves a part of memory that was made sparse: what is there stays.
    pub(crate) fn reserve(&self, offset: usize, len: usize) -> Result<()> {
        check_available(len as u64, "fallocate")?;
        reserve(&self.fd, offset as u64, len as u64)
    }

    /// How many bytes of memory there are behind it.
    pub(crate) fn in_memory(&self) -> Result<u64> {
        let stat = rustix::fs::fstat(&self.fd).map_err(os("fstat"))?;
        Ok(u64::try_from(stat.st_blocks).unwrap_or(0) * 512)
    }

    /// Gives the memory of a part back: it reads as zeros from now on. Offset and length are multiples of a
    /// page.
    pub(crate) fn give_back(&self, offset: usize, len: usize) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // If it fails, the memory is kept.
        let _ = rustix::fs::fallocate(&self.fd, flags, offset as u64, len as u64);
    }

    /// Seals the contents for ever ([`Seals::CONTENTS`]), and maps them again for reading. The memory
    /// must have been made [`freezable`](MemfdOptions::freezable).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] when no seal can be added; [`ErrorKind::Other`] (`EBUSY`) while
    /// another process has it mapped for writing. The descriptor comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_shm::{MemfdOptions, RegionExt, Seals};
    /// let picture = MemfdOptions::new(4096).freezable().create()?;
    /// picture.write_at(0, b"done")?;
    /// let picture = picture.freeze()?;
    /// assert!(picture.seals()?.contain(Seals::CONTENTS));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "F_SEAL_WRITE")]
    pub fn freeze(self) -> Result<Memfd<ReadOnly>, Rejected<OwnedFd>> {
        // The kernel refuses while anybody has a writable mapping, also this process.
        let Self { fd, mapping, .. } = self;
        drop(mapping);
        let seal = |fd: BorrowedFd<'_>| {
            rustix::fs::fcntl_add_seals(fd, Seals::CONTENTS.0).map_err(os("fcntl F_ADD_SEALS"))
        };
        let (fd, ()) = checked(fd, seal)?;
        Memfd::try_from(fd)
    }
}

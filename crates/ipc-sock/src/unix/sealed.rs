//! Memory that came as a descriptor, and that its sender cannot change under the receiver's hands.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use ipc_core::{Error, ErrorKind, Rejected, Result};
use ipc_fd::kind::{checked, file_type, os};
use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use rustix::io::Errno;

/// What the sender of memory must have given up.
///
/// # Examples
///
/// ```
/// use ipc_sock::unix::Seals;
/// assert!(Seals::CONTENTS.contain(Seals::SIZE));
/// assert!(!Seals::SIZE.contain(Seals::CONTENTS));
/// ```
///
/// # References
///
/// `memfd_create`(2), `fcntl`(2), section *File Sealing*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias("F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_WRITE", "F_SEAL_SEAL"))]
pub struct Seals(SealFlags);

impl Seals {
    /// The size cannot change, and no seal can be added: `F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL`. So a
    /// mapping is never cut off; its contents can change at any moment. Its pages may not be there yet: they
    /// are charged to who touches them, so that the size a peer has chosen is to be looked at first.
    pub const SIZE: Self = Self(SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL));

    /// Nothing can change, neither size nor contents: `F_SEAL_WRITE` besides. What was checked stays
    /// as it was checked.
    pub const CONTENTS: Self = Self(Self::SIZE.0.union(SealFlags::WRITE));

    /// Whether these are all of `others`, and perhaps more.
    #[must_use]
    pub const fn contain(self, others: Self) -> bool {
        self.0.contains(others.0)
    }
}

/// Memory that is a descriptor (`memfd_create`), with seals that were checked.
///
/// A process that maps memory which another one can truncate is killed by `SIGBUS` whenever that one
/// likes, and what it checks there may be something else a moment later. Seals are the kernel's word
/// that this cannot happen, and nobody can take them back.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use ipc_core::{ErrorKind, Wait};
/// use ipc_sock::unix::{SealedMemfd, Seals, SocketOptions};
///
/// let (tx, mut rx) = SocketOptions::new().pair_seqpacket()?;
/// let picture = SealedMemfd::new(&[7; 1_000_000])?;
/// tx.send_message(b"picture", &[picture.as_fd()], Wait::Forever)?;
///
/// let (_, picture) = rx.recv_sealed(&mut [0; 64], Seals::CONTENTS, Wait::Forever)?;
/// assert_eq!(picture.len(), 1_000_000);
/// assert_eq!(picture.read(1 << 20)?, [7; 1_000_000]);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
#[doc(alias = "memfd")]
pub struct SealedMemfd {
    file: File,
    len: u64,
}

impl SealedMemfd {
    /// New memory with these contents, sealed with [`Seals::CONTENTS`]. It cannot be executed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors or memory run out.
    ///
    /// # Platform
    ///
    /// Linux 3.17; that it cannot be executed is Linux 6.3, and left out before that.
    #[doc(alias = "memfd_create")]
    pub fn new(contents: &[u8]) -> Result<Self> {
        const NAME: &str = "ipc-sock";
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = match rustix::fs::memfd_create(NAME, flags | MemfdFlags::NOEXEC_SEAL) {
            Err(Errno::INVAL) => rustix::fs::memfd_create(NAME, flags),
            fd => fd,
        };
        let mut file = File::from(fd.map_err(os("memfd_create"))?);
        file.write_all(contents).map_err(|error| io("write", &error))?;
        rustix::fs::fcntl_add_seals(&file, Seals::CONTENTS.0).map_err(os("fcntl F_ADD_SEALS"))?;
        Ok(Self { file, len: contents.len() as u64 })
    }

    /// Checks that a descriptor is memory with these seals at least.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`], with the descriptor: for what cannot be sealed or read, and for memory
    /// that is not sealed.
    #[doc(alias = "F_GET_SEALS")]
    pub fn check(fd: OwnedFd, seals: Seals) -> Result<Self, Rejected<OwnedFd>> {
        let (fd, len) = checked(fd, |fd| check(fd, seals))?;
        Ok(Self { file: fd.into(), len })
    }

    /// How many bytes it has, which cannot change.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is not a collection")]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// A copy of the contents, if they are no longer than `max` bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MessageTooLarge`], before a byte is allocated.
    pub fn read(&self, max: usize) -> Result<Vec<u8>> {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        if len > max {
            return Err(Error::new(ErrorKind::MessageTooLarge { len, max }, "read memfd"));
        }
        let mut contents = vec![0; len];
        self.file.read_exact_at(&mut contents, 0).map_err(|error| io("pread", &error))?;
        Ok(contents)
    }
}

/// Checks the seals of a descriptor, and returns the size.
fn check(fd: BorrowedFd<'_>, seals: Seals) -> Result<u64> {
    const OP: &str = "fcntl F_GET_SEALS";
    let wrong = |found| {
        let expected = "a memfd with the seals that were asked for";
        Err(Error::new(ErrorKind::WrongType { expected, found }, OP))
    };
    // A descriptor of a place in the file system, or one to write with, would do for the seals alone.
    let flags = rustix::fs::fcntl_getfl(fd).map_err(os("fcntl F_GETFL"))?;
    if flags.contains(OFlags::PATH) || flags & OFlags::ACCMODE == OFlags::WRONLY {
        return wrong("a descriptor that cannot be read from");
    }
    let has = match rustix::fs::fcntl_get_seals(fd) {
        Err(Errno::INVAL) => {
            let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
            return wrong(file_type(&stat));
        }
        has => has.map_err(os(OP))?,
    };
    // First the seals and then the size, or it might change in between.
    if !Seals(has).contain(seals) {
        return wrong("a memfd that its sender can still change");
    }
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// The one descriptor that a message came with, if it is sealed memory.
pub(super) fn one_of(mut fds: Vec<OwnedFd>, seals: Seals) -> Result<SealedMemfd> {
    match (fds.pop(), fds.len()) {
        (Some(fd), 0) => Ok(SealedMemfd::check(fd, seals)?),
        (None, _) => wrong_number("a message without one"),
        (Some(_), _) => wrong_number("a message with several"),
    }
}

fn wrong_number(found: &'static str) -> Result<SealedMemfd> {
    let expected = "a message with one descriptor";
    Err(Error::new(ErrorKind::WrongType { expected, found }, "recvmsg"))
}

fn io(op: &'static str, error: &std::io::Error) -> Error {
    os(op)(Errno::from_io_error(error).unwrap_or(Errno::IO))
}

impl AsFd for SealedMemfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<SealedMemfd> for OwnedFd {
    fn from(memfd: SealedMemfd) -> Self {
        memfd.file.into()
    }
}

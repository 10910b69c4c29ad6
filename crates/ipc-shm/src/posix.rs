//! Memory that unrelated processes find by a name.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Name, Named, Persistence, RegionMut, Result, Shape,
};
use ipc_fd::kind::{file_type, os};
use ipc_fd::place::Place;
use ipc_fd::user::is_owner;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::mapping::Mapping;
use crate::options::{check_len, reserve_memory};
use crate::{Access, Granted, MapOptions, ReadOnly, ReadWrite};

/// Where `shm_open` keeps its objects.
const DIR: &str = "/dev/shm";

/// The operation in this file's errors.
const OP: &str = "shm_open";

/// How to create or to open memory with a name.
///
/// # Examples
///
/// ```
/// use ipc_core::{Name, Region};
/// use ipc_shm::PosixShmOptions;
///
/// let name = Name::new(format!("ipc-shm-doc-options-{}", std::process::id()))?;
/// let ours = PosixShmOptions::new().len(8192).mode(0o640).create(&name)?;
/// let theirs = PosixShmOptions::new().open_read_only(&name)?;
/// assert_eq!(theirs.len(), 8192);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the memory is created or opened"]
pub struct PosixShmOptions {
    len: usize,
    mode: u32,
    owner: Option<u32>,
    map: MapOptions,
}

impl Default for PosixShmOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl PosixShmOptions {
    /// Private to this user (mode 0600), of 4096 bytes where it is created.
    pub const fn new() -> Self {
        Self { len: 4096, mode: 0o600, owner: None, map: MapOptions::new() }
    }

    /// How many bytes the memory has that is created.
    pub const fn len(mut self, bytes: usize) -> Self {
        self.len = bytes;
        self
    }

    /// The permissions of what is created, whatever the umask. A mode that lets others write gives up that
    /// the memory cannot be shortened by them: see [`PosixShm`].
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Opens memory of this user, in place of this process's own.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// What to ask for with the mapping.
    pub const fn map(mut self, options: MapOptions) -> Self {
        self.map = options;
        self
    }

    /// Creates the memory, zeroed and reserved; nothing may have the name: `shm_open(O_CREAT | O_EXCL)`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`];
    /// - [`ErrorKind::InvalidInput`] for a length of zero or above `isize::MAX`, or a mode above 0777;
    /// - [`ErrorKind::ResourceLimit`] when `/dev/shm`, memory or descriptors run out: nothing is left;
    /// - [`ErrorKind::NotFound`] and [`ErrorKind::PermissionDenied`] for `/dev/shm` itself.
    ///
    /// # Limits
    ///
    /// The size of the tmpfs at `/dev/shm`: half the memory unless mounted with another `size=`.
    pub fn create(&self, name: &Name) -> Result<PosixShm> {
        self.create_with(name, |_| Ok(()))
    }

    /// Creates the memory and lets `init` fill it **before** the name appears: whoever finds it finds it
    /// whole. If `init` fails, or the process dies in it, there never was a name.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), and of `init`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Name;
    /// use ipc_shm::{PosixShmOptions, RegionExt};
    ///
    /// let name = Name::new(format!("ipc-shm-doc-init-{}", std::process::id()))?;
    /// let memory = PosixShmOptions::new().create_with(&name, |new| new.write_at(0, b"MAGIC"))?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn create_with(
        &self,
        name: &Name,
        init: impl FnOnce(&dyn RegionMut) -> Result<()>,
    ) -> Result<PosixShm> {
        let len = check_len(self.len, OP)?;
        if self.mode > 0o777 {
            return Err(Error::new(ErrorKind::InvalidInput, OP).with_note("a mode is at most 0777"));
        }
        let place = place(name)?;
        // A file without a name: it is gone if this process dies before it gets one.
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let private = Mode::RUSR | Mode::WUSR;
        let fd = rustix::fs::open(DIR, flags, private).map_err(os(OP))?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(self.mode)).map_err(os("fchmod"))?;
        reserve_memory(&fd, len)?;
        let mapping = Mapping::new(Some(fd.as_fd()), 0, self.len)?;
        let granted = Granted::ask(&mapping, self.map, true);
        init(&mapping)?;
        let unnamed = format!("/proc/self/fd/{}", fd.as_raw_fd());
        rustix::fs::linkat(CWD, unnamed, place.dir(), place.name(), AtFlags::SYMLINK_FOLLOW)
            .map_err(os(OP))?;
        let owner = Some(std::process::id());
        Ok(PosixShm { fd, mapping, granted, name: name.clone(), place, owner })
    }

    /// Opens memory that exists, to read and write it: `shm_open(O_RDWR)`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`];
    /// - [`ErrorKind::WrongType`] for what is no file, and no link is followed;
    /// - [`ErrorKind::ForeignOwner`] for another user's;
    /// - [`ErrorKind::Corrupted`] for one without a byte: its creator has not come to that yet, or died;
    /// - [`ErrorKind::ResourceLimit`] when descriptors or addresses run out.
    pub fn open(&self, name: &Name) -> Result<PosixShm> {
        self.open_for(name, OFlags::RDWR)
    }

    /// Opens memory that exists, to read it: `shm_open(O_RDONLY)`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_read_only(&self, name: &Name) -> Result<PosixShm<ReadOnly>> {
        self.open_for(name, OFlags::RDONLY)
    }

    fn open_for<A: Access>(&self, name: &Name, flags: OFlags) -> Result<PosixShm<A>> {
        let place = place(name)?;
        // Nothing that has the name may make the open wait, or be followed.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let wrong = |found| ErrorKind::WrongType { expected: "shared memory", found };
        let fd = place.open(flags, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP => os(OP)(errno).with_kind(wrong("a symbolic link")),
            Errno::ISDIR => os(OP)(errno).with_kind(wrong("a directory")),
            Errno::NXIO => os(OP)(errno).with_kind(wrong("a FIFO or socket")),
            errno => os(OP)(errno),
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(os("fstat"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::new(wrong(file_type(&stat)), OP));
        }
        if !is_owner(stat.st_uid, self.owner) {
            return Err(Error::new(ErrorKind::ForeignOwner { uid: stat.st_uid }, OP)
                .with_note("name the owner in PosixShmOptions::owner if you trust it"));
        }
        let len = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        if len == 0 {
            return Err(Error::new(ErrorKind::Corrupted, OP)
                .with_note("it has no bytes: its creator has not sized it yet, or has died"));
        }
        check_len(len, OP)?;
        let mapping = Mapping::new(Some(fd.as_fd()), 0, len)?;
        let granted = Granted::ask(&mapping, self.map, A::WRITES);
        Ok(PosixShm { fd, mapping, granted, name: name.clone(), place, owner: None })
    }
}

/// Where an object of this name is.
fn place(name: &Name) -> Result<Arc<Place>> {
    Ok(Arc::new(Place::new(&Path::new(DIR).join(name.as_os_str()), OP)?))
}

/// Memory that unrelated processes find by a name: `shm_open`.
///
/// C programs find it by the same name with a slash before it. The value that created it removes the name
/// when it is dropped, in the process that created it; call [`keep`](Self::keep) to leave it. The memory
/// lives on as long as somebody has it mapped.
///
/// # Trust
///
/// Whoever may write to it may also shorten it, and then a touch beyond its new end raises `SIGBUS`, which
/// kills the process: such an object cannot be sealed. With the default mode that is this user's own
/// processes. For peers that are not trusted, take a [`Memfd`](crate::Memfd) and pass it on.
///
/// # Examples
///
/// ```
/// use ipc_core::Name;
/// use ipc_shm::{PosixShmOptions, RegionExt};
///
/// let name = Name::new(format!("ipc-shm-doc-posix-{}", std::process::id()))?;
/// let server = PosixShmOptions::new().len(1 << 16).create(&name)?;
///
/// // In another process:
/// let client = PosixShmOptions::new().open(&name)?;
/// client.write_at(100, b"hello")?;
///
/// let mut text = [0; 5];
/// server.read_at(100, &mut text)?;
/// assert_eq!(&text, b"hello");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `shm_overview`(7), `shm_open`(3), `shm_unlink`(3).
#[derive(Debug)]
#[doc(alias("shm_open", "shm_unlink"))]
pub struct PosixShm<A = ReadWrite> {
    fd: OwnedFd,
    pub(crate) mapping: Mapping<A>,
    granted: Granted,
    name: Name,
    place: Arc<Place>,
    /// The process that created it and is to remove its name.
    owner: Option<u32>,
}

impl<A> PosixShm<A> {
    /// The name by which it was created or opened.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What was granted of what was asked for with the mapping.
    #[must_use]
    pub const fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Leaves the name when this value is dropped.
    pub fn keep(&mut self) {
        self.owner = None;
    }

    /// Removes the name now, if it is still this memory's. Mappings stay.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the name is gone or stands for something else by now, which is left
    /// alone; [`ErrorKind::PermissionDenied`] when another user owns it.
    #[doc(alias = "shm_unlink")]
    pub fn unlink(mut self) -> Result<()> {
        self.owner = None;
        self.place.unlink_if(self.fd.as_fd(), "shm_unlink")
    }
}

impl<A> Drop for PosixShm<A> {
    fn drop(&mut self) {
        // A forked copy must not remove what its parent still uses. A name that is gone, or somebody
        // else's by now, is none of ours to complain about.
        if self.owner == Some(std::process::id()) {
            let _ = self.place.unlink_if(self.fd.as_fd(), "shm_unlink");
        }
    }
}

impl Named for PosixShm {
    type Address = Name;
    type Options = PosixShmOptions;

    fn create(name: &Name, options: &PosixShmOptions) -> Result<Self> {
        options.create(name)
    }

    fn open(name: &Name, options: &PosixShmOptions) -> Result<Self> {
        options.open(name)
    }

    fn unlink(self) -> Result<()> {
        Self::unlink(self)
    }
}

impl<A> AsFd for PosixShm<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<A> Mechanism for PosixShm<A> {
    const NAME: &'static str = "posix-shm";
    const CAPS: Caps = Caps::new(Shape::Region).named().persistence(Persistence::Kernel);
}

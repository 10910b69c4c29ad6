//! Memory that programs find by a System V key.

use std::process::Command;
use std::time::SystemTime;

use ipc_core::{
    Caps, Error, ErrorKind, Handoff, Mechanism, Named, Persistence, Rejected, Result, Shape,
};
use ipc_fd::handoff::free_variable;
use ipc_fd::kind::os;
use ipc_fd::user::is_owner;
pub use ipc_sysv::Key;
use ipc_sysv::handoff::Sort;
use ipc_sysv::{Removal, pid, time};
use rustix::io::Errno;
use rustix::mm::Advice;

use crate::mapping::Mapping;
use crate::options::{check_available, check_len};
use crate::{Access, Granted, MapOptions, ReadOnly, ReadWrite, sys};

/// The operations in this file's errors.
const GET: &str = "shmget";
const AT: &str = "shmat";

const SEGMENT: Sort = Sort { word: "shmid", name: "a System V shared memory segment" };

/// How to create or to attach a System V segment.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, Region};
/// use ipc_shm::{Key, SysvShmOptions};
///
/// let dir = tempfile::tempdir().unwrap();
/// let key = Key::from_path_id(dir.path(), 1)?;
/// let ours = SysvShmOptions::new().len(8192).mode(0o640).create(key)?;
/// let theirs = SysvShmOptions::new().open_read_only(key)?;
/// assert_eq!(theirs.len(), 8192);
/// let again = SysvShmOptions::new().create(key).unwrap_err();
/// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the segment is created or attached"]
pub struct SysvShmOptions {
    len: usize,
    mode: u32,
    owner: Option<u32>,
    map: MapOptions,
}

impl Default for SysvShmOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SysvShmOptions {
    /// Private to this user (mode 0600), of 4096 bytes where it is created.
    pub const fn new() -> Self {
        Self { len: 4096, mode: 0o600, owner: None, map: MapOptions::new() }
    }

    /// How many bytes a segment has that is created.
    pub const fn len(mut self, bytes: usize) -> Self {
        self.len = bytes;
        self
    }

    /// The permissions of a segment that is created; the umask has no say in it.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Attaches a segment that the user `uid` created, and no other. The default is the effective user
    /// of this process.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// What to ask for with the mapping.
    pub const fn map(mut self, options: MapOptions) -> Self {
        self.map = options;
        self
    }

    /// Creates a segment, zeroed, and attaches it; there must not be one of that key:
    /// `shmget(IPC_CREAT | IPC_EXCL)`, `shmat`.
    ///
    /// Its pages are brought in at once, so that no later touch finds the machine out of memory.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when there is a segment of that key;
    /// - [`ErrorKind::InvalidInput`] for a length of zero or above `isize::MAX`, or a mode above 0777;
    /// - [`ErrorKind::ResourceLimit`], which names the limit: `shmmax`, `shmall`, `shmmni` (all in
    ///   `/proc/sys/kernel`), memory, addresses: nothing is left behind;
    /// - [`ErrorKind::Unsupported`] when the kernel has no System V IPC.
    #[doc(alias = "shmget")]
    pub fn create(&self, key: Key) -> Result<SysvShm> {
        let len = check_len(self.len, GET)?;
        if self.mode > 0o777 {
            return Err(
                Error::new(ErrorKind::InvalidInput, GET).with_note("a mode is at most 0777")
            );
        }
        check_available(len, GET)?;
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | self.mode.cast_signed();
        let id = sys::shmget(key.get(), self.len, flags).map_err(|errno| self.too_much(errno))?;
        let guard = RemovalGuard(Removal::new(id, sys::shm_remove));
        let mapping = attach(id, self.len)?;
        match mapping.advise(Advice::LinuxPopulateWrite) {
            // Before Linux 5.14.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(os("madvise MADV_POPULATE_WRITE")(errno)),
        }
        let granted = Granted::ask(&mapping, self.map, true);
        Ok(SysvShm { id, key, mapping, granted, guard: Some(guard) })
    }

    /// Attaches a segment that exists, to read and write it: `shmget`, `shmat`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no segment of that key;
    /// - [`ErrorKind::ForeignOwner`] when another user created it than the one expected, since keys
    ///   collide;
    /// - [`ErrorKind::PermissionDenied`] when its mode does not allow it;
    /// - [`ErrorKind::InvalidInput`] for [`Key::PRIVATE`], which finds nothing.
    #[doc(alias("shmget", "shmat"))]
    pub fn open(&self, key: Key) -> Result<SysvShm> {
        self.open_id(find(key)?)
    }

    /// Attaches a segment that exists, to read it: `shmat(SHM_RDONLY)`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    #[doc(alias = "SHM_RDONLY")]
    pub fn open_read_only(&self, key: Key) -> Result<SysvShm<ReadOnly>> {
        self.open_id(find(key)?)
    }

    /// Attaches the segment whose id its creator has passed on.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    #[doc(alias = "shmid")]
    pub fn open_id<A: Access>(&self, id: i32) -> Result<SysvShm<A>> {
        let status = status(id)?;
        let uid = status.creator_uid;
        if !is_owner(uid, self.owner) {
            return Err(Error::new(ErrorKind::ForeignOwner { uid }, AT)
                .with_note("name the creator in SysvShmOptions::owner if you trust it"));
        }
        let mapping = attach(id, status.len)?;
        let granted = Granted::ask(&mapping, self.map, A::WRITES);
        Ok(SysvShm { id, key: status.key, mapping, granted, guard: None })
    }

    /// The error of a segment that the kernel does not make.
    fn too_much(self, errno: Errno) -> Error {
        let limit =
            |limit, knob| os(GET)(errno).with_kind(ErrorKind::ResourceLimit { limit, knob });
        match errno {
            Errno::INVAL => limit("bytes in one System V segment", "/proc/sys/kernel/shmmax"),
            Errno::NOSPC => limit(
                "System V segments, or pages of all of them, in this IPC namespace",
                "/proc/sys/kernel/shmmni and shmall (ipcs -m lists the segments, ipcrm removes them)",
            ),
            errno => os(GET)(errno),
        }
    }
}

/// The id of the segment that has a key.
fn find(key: Key) -> Result<i32> {
    if key == Key::PRIVATE {
        return Err(Error::new(ErrorKind::InvalidInput, GET)
            .with_note("IPC_PRIVATE finds no segment: attach it by its id"));
    }
    sys::shmget(key.get(), 0, 0).map_err(os(GET))
}

fn attach<A: Access>(id: i32, len: usize) -> Result<Mapping<A>> {
    Mapping::attach(id, len).map_err(|errno| match errno {
        Errno::INVAL | Errno::IDRM => gone(AT, errno),
        Errno::NOMEM => os(AT)(errno).with_kind(ErrorKind::ResourceLimit {
            limit: "addresses or mappings of this process",
            knob: "RLIMIT_AS, /proc/sys/vm/max_map_count",
        }),
        errno => os(AT)(errno),
    })
}

/// The error of a call on an id for which there is no segment.
#[cold]
fn gone(op: &'static str, errno: Errno) -> Error {
    os(op)(errno).with_kind(ErrorKind::NotFound).with_note("the segment was removed")
}

/// What the kernel knows of a segment.
///
/// # Examples
///
/// ```
/// use ipc_shm::{Key, SysvShmOptions};
///
/// let memory = SysvShmOptions::new().len(100).create(Key::PRIVATE)?;
/// let status = memory.status()?;
/// assert_eq!((status.len, status.attached, status.mode), (100, 1, 0o600));
/// assert_eq!(status.creator, Some(std::process::id()));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `shmctl`(2), `struct shmid_ds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "shmid_ds")]
pub struct Status {
    /// The key, [`Key::PRIVATE`] without one, and once it was removed.
    pub key: Key,
    /// How many bytes it has.
    pub len: usize,
    /// How many mappings there are of it, in all processes.
    pub attached: usize,
    /// Whether it was removed: it is gone with its last mapping.
    pub removed: bool,
    /// The user who owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// The user who created it, which nobody can change.
    pub creator_uid: u32,
    /// Its permissions, such as 0o600.
    pub mode: u32,
    /// The process that created it.
    pub creator: Option<u32>,
    /// The process that attached or detached it last.
    pub last: Option<u32>,
    /// When it was attached last, to the second.
    pub last_attach: Option<SystemTime>,
    /// When it was detached last, to the second.
    pub last_detach: Option<SystemTime>,
    /// When it was created or its status was changed last, to the second.
    pub last_change: Option<SystemTime>,
}

#[expect(
    clippy::allow_attributes,
    reason = "whether the next one is fulfilled depends on the target"
)]
#[allow(clippy::useless_conversion, reason = "the fields differ between targets")]
fn status(id: i32) -> Result<Status> {
    /// `mode` of a segment that was removed.
    const SHM_DEST: u32 = 0o1000;
    let ds = sys::shm_stat(id).map_err(|errno| match errno {
        Errno::INVAL | Errno::IDRM => gone("shmctl", errno),
        errno => os("shmctl")(errno),
    })?;
    let mode = u32::from(ds.shm_perm.mode);
    Ok(Status {
        key: Key::of_kernel(ds.shm_perm.__key),
        len: ds.shm_segsz,
        attached: usize::try_from(u64::from(ds.shm_nattch)).unwrap_or(usize::MAX),
        removed: mode & SHM_DEST != 0,
        uid: ds.shm_perm.uid,
        gid: ds.shm_perm.gid,
        creator_uid: ds.shm_perm.cuid,
        mode: mode & 0o777,
        creator: pid(ds.shm_cpid.into()),
        last: pid(ds.shm_lpid.into()),
        last_attach: time(ds.shm_atime.into()),
        last_detach: time(ds.shm_dtime.into()),
        last_change: time(ds.shm_ctime.into()),
    })
}

/// Memory that programs find by a System V key: `shmget`, `shmat`.
///
/// For programs that have it already, and for an operating-systems course; new ones are better off with a
/// [`Memfd`](crate::Memfd) or a [`PosixShm`](crate::PosixShm), which have names that do not collide.
///
/// The value that created a segment removes it when it is dropped, in the process that created it; call
/// [`keep`](Self::keep) to leave it. A removed segment lives on as long as somebody has it attached, and
/// nobody finds it by its key. One that is not removed outlives everybody: `ipcs -m`, `ipcrm -m`.
///
/// # Trust
///
/// Nobody can shorten a segment, so that no touch raises `SIGBUS`. Whoever its mode lets write can write
/// at any moment.
///
/// # Examples
///
/// ```
/// use ipc_shm::{Key, RegionExt, SysvShm, SysvShmOptions};
///
/// let server = SysvShmOptions::new().create(Key::PRIVATE)?;
/// server.write_at(0, b"hello")?;
///
/// // In another process, which was told the id:
/// let client: SysvShm = SysvShmOptions::new().open_id(server.id())?;
/// let mut text = [0; 5];
/// client.read_at(0, &mut text)?;
/// assert_eq!(&text, b"hello");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sysvipc`(7), `shmget`(2), `shmop`(2), `shmctl`(2).
#[derive(Debug)]
#[doc(alias("shmget", "shmat", "shmdt"))]
pub struct SysvShm<A = ReadWrite> {
    id: i32,
    key: Key,
    pub(crate) mapping: Mapping<A>,
    granted: Granted,
    guard: Option<RemovalGuard>,
}

impl<A> SysvShm<A> {
    /// The id, which is as good in another process of the same IPC namespace.
    #[must_use]
    #[doc(alias = "shmid")]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// The key by which it was created or found.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// What was granted of what was asked for with the mapping.
    #[must_use]
    pub const fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Asks the kernel: `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`] for a segment that this user may not read any more.
    #[doc(alias = "IPC_STAT")]
    pub fn status(&self) -> Result<Status> {
        status(self.id)
    }

    /// Leaves the segment when this value is dropped.
    pub fn keep(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
    }

    /// Removes a segment when the guard is dropped, in this process: for one that was opened, by the last
    /// of several programs, say.
    pub fn removal_guard(&self) -> RemovalGuard {
        RemovalGuard(Removal::new(self.id, sys::shm_remove))
    }

    /// Removes the segment now: `shmctl(IPC_RMID)`. Mappings stay.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it was removed before, [`ErrorKind::PermissionDenied`] when this user
    /// neither owns nor created it.
    #[doc(alias = "IPC_RMID")]
    pub fn remove(mut self) -> Result<()> {
        const OP: &str = "shmctl IPC_RMID";
        self.keep();
        // The kernel would say nothing: a removed segment that is attached can be removed again.
        if self.status()?.removed {
            return Err(gone(OP, Errno::IDRM));
        }
        sys::shm_remove(self.id).map_err(|errno| match errno {
            Errno::INVAL | Errno::IDRM => gone(OP, errno),
            errno => os(OP)(errno),
        })
    }
}

/// Removes a segment when it is dropped, in the process that made the guard. A forked child's copy does
/// nothing.
///
/// # Examples
///
/// ```
/// use ipc_shm::{Key, SysvShmOptions};
///
/// let mut memory = SysvShmOptions::new().create(Key::PRIVATE)?;
/// memory.keep();
/// drop(memory.removal_guard());
/// assert!(memory.status()?.removed);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `shmctl`(2), `IPC_RMID`.
#[derive(Debug)]
#[doc(alias = "IPC_RMID")]
#[must_use = "dropping it removes the segment"]
pub struct RemovalGuard(Removal);

impl RemovalGuard {
    /// Leaves the segment where it is.
    pub fn disarm(self) {
        self.0.disarm();
    }
}

impl Named for SysvShm {
    type Address = Key;
    type Options = SysvShmOptions;

    fn create(key: &Key, options: &SysvShmOptions) -> Result<Self> {
        options.create(*key)
    }

    fn open(key: &Key, options: &SysvShmOptions) -> Result<Self> {
        options.open(*key)
    }

    fn unlink(self) -> Result<()> {
        self.remove()
    }
}

/// The segment's id goes to the child in an environment variable, `shmid:<id>:<uid>`. There is no descriptor that
/// keeps it: the `Command` does, and must not be dropped before the child has adopted it, or the segment must be
/// [kept](SysvShm::keep).
impl<A: Access> Handoff for SysvShm<A> {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let prepare = || {
            let variable = free_variable(command, key)?;
            Ok((variable, SEGMENT.ticket(self.id, self.status()?.creator_uid)))
        };
        match prepare() {
            Ok((variable, ticket)) => {
                command.env(variable, ticket);
                // As with a descriptor: the segment stays as long as the command does.
                ipc_fd::handoff::hold(command, self);
                Ok(())
            }
            Err(error) => Err(Rejected { value: self, error }),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        let creator = |id| Ok(status(id)?.creator_uid);
        let id = SEGMENT.adopt(key, creator)?;
        // Whose it is, the parent has said, and it was checked.
        SysvShmOptions::new().owner(creator(id)?).open_id(id)
    }
}

impl<A> Mechanism for SysvShm<A> {
    const NAME: &'static str = "sysv-shm";
    const CAPS: Caps =
        Caps::new(Shape::Region).named().anonymous().persistence(Persistence::Kernel);
}

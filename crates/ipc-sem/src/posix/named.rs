//! A POSIX semaphore that unrelated processes find by its name.
#![expect(unsafe_code, reason = "the semaphore is made, and found, in a file that is mapped")]

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use ipc_core::handoff::Handoff;
use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Name, NameProblem, Named, Persistence, Region, Rejected,
    Result, Semaphore, Shape, Wait,
};
use ipc_fd::handoff::{adopt, give};
use ipc_fd::kind::os;

use crate::memory::{Memory, Sort, check};
use crate::sys::sem::RawSem;

/// What the C library puts before a name.
const PREFIX: &str = "sem.";

const SORT: Sort = Sort {
    name: "a POSIX semaphore",
    op: "sem_open",
    foreign: "name the owner in SemOptions::owner if you trust it",
};

/// How to create or to open a named POSIX semaphore.
///
/// # Examples
///
/// ```
/// use ipc_core::{Name, Semaphore};
/// use ipc_sem::posix::SemOptions;
///
/// let name = Name::new(format!("ipc-sem-doc-options-{}", std::process::id()))?;
/// let ours = SemOptions::new().value(3).mode(0o660).create(&name)?;
/// let theirs = SemOptions::new().open(&name)?;
/// theirs.try_wait()?;
/// assert_eq!(ours.value(), 2);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until the semaphore is created or opened"]
pub struct SemOptions {
    value: u32,
    mode: u32,
    owner: Option<u32>,
}

impl Default for SemOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SemOptions {
    /// Private to this user (mode 0600), without a permit where it is created.
    pub const fn new() -> Self {
        Self { value: 0, mode: 0o600, owner: None }
    }

    /// How many permits a semaphore has that is created.
    pub const fn value(mut self, permits: u32) -> Self {
        self.value = permits;
        self
    }

    /// The permissions of what is created, whatever the umask. Who is to use it needs to read **and** write.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Opens a semaphore of this user, in place of this process's own.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Creates a semaphore; nothing may have the name: as `sem_open(O_CREAT | O_EXCL)` does. It is whole before
    /// its name appears.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`];
    /// - [`ErrorKind::InvalidName`] for a name of more than 251 bytes;
    /// - [`ErrorKind::InvalidInput`] for a value above [`VALUE_MAX`](super::VALUE_MAX), or a mode above 0777;
    /// - [`ErrorKind::ResourceLimit`] when `/dev/shm`, memory or descriptors run out: nothing is left;
    /// - [`ErrorKind::NotFound`] and [`ErrorKind::PermissionDenied`] for `/dev/shm` itself.
    #[doc(alias("sem_open", "O_EXCL"))]
    pub fn create(&self, name: &Name) -> Result<NamedSem> {
        super::check_value(self.value)?;
        let file = file(name)?;
        let memory = Memory::create(&file, name, size_of::<RawSem>(), self.mode, SORT, |memory| {
            let place = memory.base().cast::<RawSem>().as_ptr();
            // SAFETY: the mapping has room for one and is aligned to a page; nobody has seen it yet.
            unsafe { RawSem::init(place, self.value) }.map_err(os("sem_init"))
        })?;
        Ok(NamedSem { memory })
    }

    /// Opens a semaphore that exists: as `sem_open` does.
    ///
    /// A file in `/dev/shm` has no mark that says what it is: what is long enough is taken for one. Using it is
    /// sound whatever it is.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], [`ErrorKind::InvalidName`];
    /// - [`ErrorKind::WrongType`] for what is no file, or too short; no link is followed;
    /// - [`ErrorKind::ForeignOwner`] for another user's;
    /// - [`ErrorKind::ResourceLimit`] when descriptors or addresses run out.
    #[doc(alias = "sem_open")]
    pub fn open(&self, name: &Name) -> Result<NamedSem> {
        let memory = Memory::open(&file(name)?, name, size_of::<RawSem>(), self.owner, SORT)?;
        Ok(NamedSem { memory })
    }

    /// Opens a semaphore, or creates it. Whoever created it removes its name: see [`NamedSem`].
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create) and [`open`](Self::open), but neither [`ErrorKind::AlreadyExists`] nor
    /// [`ErrorKind::NotFound`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Name;
    /// # use ipc_sem::posix::SemOptions;
    /// let name = Name::new(format!("ipc-sem-doc-either-{}", std::process::id()))?;
    /// let first = SemOptions::new().value(5).open_or_create(&name)?;
    /// let second = SemOptions::new().value(9).open_or_create(&name)?;
    /// assert_eq!(second.value(), 5);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "O_CREAT")]
    pub fn open_or_create(&self, name: &Name) -> Result<NamedSem> {
        loop {
            match self.open(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return result,
            }
            match self.create(name) {
                // Somebody else was quicker.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result,
            }
        }
    }
}

/// The file of a name.
fn file(name: &Name) -> Result<OsString> {
    let name = name.as_os_str();
    let max = Name::MAX - PREFIX.len();
    if name.len() > max {
        let problem = NameProblem::TooLong { len: name.len(), max };
        return Err(Error::new(ErrorKind::InvalidName(problem), SORT.op));
    }
    let mut file = OsString::from(PREFIX);
    file.push(name);
    Ok(file)
}

/// A POSIX semaphore that unrelated processes find by its name.
///
/// A C program opens the same by `sem_open("/NAME")`, Python by `posix_ipc.Semaphore("/NAME")`. The value that
/// [`SemOptions::create`] returned removes the name when it is dropped, in the process that created it; call
/// [`keep`](Self::keep) to leave it. The semaphore lives on as long as somebody has it open.
///
/// See the [module's documentation](super) for what happens when a process dies.
///
/// # Trust
///
/// Whoever may open it may also shorten the file, and then using it raises `SIGBUS`, which kills the process:
/// with the default mode that is this user's own processes.
///
/// # Errors
///
/// Of `post`: [`ErrorKind::ResourceLimit`] at [`VALUE_MAX`](super::VALUE_MAX).
///
/// # Examples
///
/// ```
/// use ipc_core::{Name, Semaphore};
/// use ipc_sem::posix::SemOptions;
///
/// let name = Name::new(format!("ipc-sem-doc-named-{}", std::process::id()))?;
/// let server = SemOptions::new().create(&name)?;
///
/// // In another process:
/// let client = SemOptions::new().open(&name)?;
/// client.post()?;
///
/// server.wait()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sem_overview`(7), `sem_open`(3), `sem_post`(3), `sem_wait`(3), `sem_unlink`(3).
#[derive(Debug)]
#[doc(alias("sem_open", "sem_post", "sem_wait", "sem_unlink"))]
pub struct NamedSem {
    /// Invariant: it has room for a semaphore.
    memory: Memory,
}

impl NamedSem {
    #[inline]
    fn raw(&self) -> &RawSem {
        // SAFETY: the memory has room for one, is aligned to a page, and lives as long as the reference. Any
        // bytes are a semaphore, which is reached by atomic operations alone.
        unsafe { self.memory.base().cast().as_ref() }
    }

    /// The name by which it was created or opened; none in a process that adopted it.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.memory.name()
    }

    /// How many permits there are now: `sem_getvalue`. It may be another number before this returns.
    #[doc(alias = "sem_getvalue")]
    #[must_use]
    pub fn value(&self) -> u32 {
        self.raw().value()
    }

    /// Leaves the name when this value is dropped.
    pub fn keep(&mut self) {
        self.memory.keep();
    }

    /// Removes the name now, if it is still this semaphore's. Who has it open keeps it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the name is gone or stands for something else by now, which is left alone;
    /// [`ErrorKind::PermissionDenied`] when another user owns it.
    #[doc(alias = "sem_unlink")]
    pub fn unlink(mut self) -> Result<()> {
        self.memory.unlink("sem_unlink")
    }
}

impl Semaphore for NamedSem {
    #[inline]
    fn post(&self) -> Result<()> {
        super::post(self.raw())
    }

    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<()> {
        super::wait_with(self.raw(), wait)
    }
}

impl Named for NamedSem {
    type Address = Name;
    type Options = SemOptions;

    fn create(name: &Name, options: &SemOptions) -> Result<Self> {
        options.create(name)
    }

    fn open(name: &Name, options: &SemOptions) -> Result<Self> {
        options.open(name)
    }

    fn unlink(self) -> Result<()> {
        Self::unlink(self)
    }
}

/// By the descriptor of its file. The value that created it removes its name now.
impl Handoff for NamedSem {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, _)] = adopt([key], |_, fd| check(fd, size_of::<RawSem>(), SORT))?;
        Ok(Self { memory: Memory::of_descriptor(fd, size_of::<RawSem>(), SORT)? })
    }
}

impl AsFd for NamedSem {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl TryFrom<OwnedFd> for NamedSem {
    type Error = Rejected<OwnedFd>;

    /// Takes the descriptor of a semaphore's file.
    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        let memory = Memory::of_descriptor(fd, size_of::<RawSem>(), SORT)?;
        Ok(Self { memory })
    }
}

/// Removes the name where dropping would.
impl From<NamedSem> for OwnedFd {
    fn from(sem: NamedSem) -> Self {
        sem.memory.into()
    }
}

impl Mechanism for NamedSem {
    const NAME: &'static str = "posix-sem";
    const CAPS: Caps = Caps::new(Shape::Semaphore).named().persistence(Persistence::Kernel);
}

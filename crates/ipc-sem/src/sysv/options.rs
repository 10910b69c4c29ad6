//! How to create or to open a set of System V semaphores.

use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::user::is_owner;
use ipc_fd::wait::Naps;
use rustix::io::Errno;

use super::limits::{Limits, SEMMNI, SEMMNS, SEMMSL};
use super::set::{operate, set_all};
use super::status::status;
use super::{Key, Op, RemovalGuard, Set, VALUE_MAX};
use crate::sys::semop as sys;

/// How to create or to open a set of System V semaphores.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_sem::sysv::{Key, SetOptions};
///
/// let dir = tempfile::tempdir().unwrap();
/// let key = Key::from_path_id(dir.path(), 1)?;
/// let set = SetOptions::new().values(&[1, 0, 5]).mode(0o660).create(key)?;
/// assert_eq!(set.len(), 3);
///
/// let again = SetOptions::new().create(key).unwrap_err();
/// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until the set is created or opened"]
pub struct SetOptions {
    values: Vec<u16>,
    mode: u32,
    owner: Option<u32>,
    patience: Duration,
    unused: bool,
}

impl Default for SetOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SetOptions {
    /// Private to this user (mode 0600); one semaphore without a permit where it is created.
    pub fn new() -> Self {
        let patience = Duration::from_secs(1);
        Self { values: vec![0], mode: 0o600, owner: None, patience, unused: false }
    }

    /// How many semaphores a set has that is created, and how many permits each.
    pub fn values(mut self, values: &[u16]) -> Self {
        self.values = values.to_vec();
        self
    }

    /// The permissions of a set that is created; the umask has no say in it. To operate needs write permission.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Opens a set that the user `uid` created, and no other. The default is the effective user of this process.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// How long to wait, when opening, for a set to be given its values by its creator. One second unless said.
    pub const fn patience(mut self, longest: Duration) -> Self {
        self.patience = longest;
        self
    }

    /// Opens a set on which nobody has operated yet, without waiting: for sets of programs that set the values by
    /// `semctl` alone. Whether they have done so, nobody can tell.
    pub const fn accept_unused(mut self, yes: bool) -> Self {
        self.unused = yes;
        self
    }

    /// Creates a set; there must not be one: `semget(IPC_CREAT | IPC_EXCL)`, and one `semop` that gives all
    /// semaphores their values.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when there is a set of that key;
    /// - [`ErrorKind::InvalidInput`] for a set without semaphores, a value above 32767, or a mode above 0777;
    /// - [`ErrorKind::ResourceLimit`], which names the limit: `SEMMSL`, `SEMMNS`, `SEMMNI` (all in
    ///   `/proc/sys/kernel/sem`), memory;
    /// - [`ErrorKind::Unsupported`] when the kernel has no System V IPC.
    #[doc(alias = "semget")]
    pub fn create(&self, key: Key) -> Result<Set> {
        let invalid = |note| Err(Error::new(ErrorKind::InvalidInput, "semget").with_note(note));
        if self.mode > 0o777 {
            return invalid("a mode is at most 0777");
        }
        if self.values.iter().any(|value| *value > VALUE_MAX) {
            return invalid("a System V semaphore has 32767 permits at most");
        }
        let (Ok(len), false) = (u16::try_from(self.values.len()), self.values.is_empty()) else {
            return invalid("a set has 1 to 65535 semaphores");
        };
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | self.mode.cast_signed();
        let id = sys::get(key.get(), len.into(), flags).map_err(|errno| self.error(errno))?;
        let guard = RemovalGuard::new(id);
        self.give_values(id)?;
        Ok(Set::created(key, guard, len))
    }

    /// Gives a new set, whose semaphores are all zero, its values, by one last operation.
    fn give_values(&self, id: i32) -> Result<()> {
        let posts = (0..).zip(&self.values).filter(|(_, value)| **value > 0);
        let mut ops: Vec<_> = posts.map(|(num, value)| Op::post(num, *value)).collect();
        match finish(id, &mut ops) {
            // Too many for one operation: all but the first are set beforehand.
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => {
                let mut values = self.values.clone();
                let first = std::mem::take(&mut values[0]);
                set_all(id, &values)?;
                finish(id, &mut (first > 0).then(|| Op::post(0, first)).into_iter().collect())
            }
            result => result,
        }
    }

    #[cold]
    fn error(&self, errno: Errno) -> Error {
        let error = os("semget")(errno);
        match (errno, Limits::read()) {
            (Errno::INVAL, Ok(it)) if self.values.len() > it.max_set => error.with_kind(SEMMSL),
            (Errno::NOSPC, Ok(it)) if super::sets().is_ok_and(|sets| sets.len() >= it.max_sets) => {
                error.with_kind(SEMMNI)
            }
            (Errno::NOSPC, _) => error.with_kind(SEMMNS),
            (Errno::NOSYS, _) => error.with_note("the kernel has no System V IPC (CONFIG_SYSVIPC)"),
            _ => error,
        }
    }

    /// Finds a set that exists and was given its values: `semget`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no set of that key;
    /// - [`ErrorKind::ForeignOwner`] when another user created it than the one expected;
    /// - [`ErrorKind::Corrupted`] when it was not given its values within [`patience`](Self::patience): its creator
    ///   has died, or does it in another way ([`accept_unused`](Self::accept_unused));
    /// - [`ErrorKind::PermissionDenied`] when this user may not look at it;
    /// - [`ErrorKind::InvalidInput`] for [`Key::PRIVATE`], which finds nothing.
    pub fn open(&self, key: Key) -> Result<Set> {
        if key == Key::PRIVATE {
            return Err(Error::new(ErrorKind::InvalidInput, "semget")
                .with_note("IPC_PRIVATE finds no set: open it by its id"));
        }
        let id = sys::get(key.get(), 0, 0).map_err(os("semget"))?;
        self.open_id(id)
    }

    /// Takes a set by the id that its creator has passed on.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_sem::sysv::{Key, SetOptions};
    /// let set = SetOptions::new().values(&[4]).private()?;
    /// assert_eq!(SetOptions::new().open_id(set.id())?.values()?, [4]);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "semid")]
    pub fn open_id(&self, id: i32) -> Result<Set> {
        let mut naps = Naps::new(Wait::timeout(self.patience));
        loop {
            let status = status(id)?;
            let uid = status.creator_uid;
            if !is_owner(uid, self.owner) {
                return Err(Error::new(ErrorKind::ForeignOwner { uid }, "semget")
                    .with_note("name the creator in SetOptions::owner if you trust it"));
            }
            if status.last_operation.is_some() || self.unused {
                return Ok(Set::opened(status.key, id, status.len));
            }
            // The creator is at it: there is no call that waits for it to be done.
            let Some(nap) = naps.next_nap() else {
                return Err(Error::new(ErrorKind::Corrupted, "semget").with_note(
                    "nobody has operated on the set: its creator has died before it gave it values, or \
                     does it by semctl alone (SetOptions::accept_unused)",
                ));
            };
            std::thread::sleep(nap);
        }
    }

    /// Opens a set, or creates it. Whoever created it removes it: see [`Set`].
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create) and [`open`](Self::open), but neither [`ErrorKind::AlreadyExists`] nor
    /// [`ErrorKind::NotFound`].
    pub fn open_or_create(&self, key: Key) -> Result<Set> {
        loop {
            match self.create(key) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result,
            }
            match self.open(key) {
                // It was removed in between.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return result,
            }
        }
    }

    /// Creates a set without a key, for a process and its children: `IPC_PRIVATE`.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create), without [`ErrorKind::AlreadyExists`].
    #[doc(alias = "IPC_PRIVATE")]
    pub fn private(&self) -> Result<Set> {
        self.create(Key::PRIVATE)
    }
}

/// The operation that says that a set has its values; `ops` may be empty.
fn finish(id: i32, ops: &mut Vec<Op>) -> Result<()> {
    if ops.is_empty() {
        ops.push(Op::wait_zero(0));
    }
    let ops: Result<Vec<_>> = ops.iter().map(|op| op.of_kernel(true)).collect();
    operate(id, &mut ops?, Wait::Never)
}

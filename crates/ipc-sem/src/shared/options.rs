//! How to make or to find an object that has a name.

use std::marker::PhantomData;

use ipc_core::{Name, Result};

use super::header::{Placed, len_of};
use super::{Shareable, Shared};
use crate::memory::{Memory, Sort};

pub(super) const SORT: Sort = Sort {
    name: "an object in shared memory",
    op: "shm_open",
    foreign: "name the owner in SharedOptions::owner if you trust it",
};

/// How to make or to find an object that unrelated processes know by a name.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, Name};
/// use ipc_sem::{Mutex, SharedOptions};
///
/// let name = Name::new(format!("ipc-sem-doc-shared-{}", std::process::id()))?;
/// let ours = SharedOptions::<Mutex<u64>>::new().create(&name, 5)?;
///
/// // In another process:
/// let theirs = SharedOptions::<Mutex<u64>>::new().open(&name)?;
/// *theirs.lock()? += 1;
/// assert_eq!(*ours.lock()?, 6);
///
/// let wrong = SharedOptions::<Mutex<i64>>::new().open(&name).unwrap_err();
/// assert!(matches!(wrong.kind(), ErrorKind::WrongType { .. }));
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "options do nothing until the object is made or opened"]
pub struct SharedOptions<S> {
    mode: u32,
    owner: Option<u32>,
    object: PhantomData<fn() -> S>,
}

impl<S: Shareable> Default for SharedOptions<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Shareable> SharedOptions<S> {
    /// Private to this user (mode 0600).
    pub const fn new() -> Self {
        Self { mode: 0o600, owner: None, object: PhantomData }
    }

    /// The permissions of what is created, whatever the umask.
    ///
    /// Who may open it is trusted: see [`Shared`].
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Opens an object of this user, in place of this process's own.
    pub const fn owner(mut self, uid: u32) -> Self {
        self.owner = Some(uid);
        self
    }

    /// Makes the object in memory with a name, which nothing may have (`/dev/shm/NAME`, as `shm_open` has it).
    /// It is whole before the name appears. The value removes the name when it is dropped, in the process that
    /// made it.
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](ipc_core::ErrorKind::AlreadyExists);
    /// - [`InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a mode above 0777, and from the object;
    /// - [`ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when `/dev/shm`, memory or descriptors run out:
    ///   nothing is left;
    /// - [`NotFound`](ipc_core::ErrorKind::NotFound) and
    ///   [`PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) for `/dev/shm` itself.
    pub fn create(&self, name: &Name, init: S::Init) -> Result<Shared<S>> {
        let file = name.as_os_str();
        let memory = Memory::create(file, name, len_of::<S>(), self.mode, SORT, |memory| {
            Placed::<S>::new(memory, 0, true)?.make(init)
        })?;
        Shared::in_own(memory)
    }

    /// Finds an object by its name.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ipc_core::ErrorKind::NotFound),
    ///   [`PermissionDenied`](ipc_core::ErrorKind::PermissionDenied);
    /// - [`WrongType`](ipc_core::ErrorKind::WrongType) for what is no file, too short, or another object;
    /// - [`ForeignOwner`](ipc_core::ErrorKind::ForeignOwner) for another user's;
    /// - [`Unsupported`](ipc_core::ErrorKind::Unsupported) for a lock of another PID namespace;
    /// - [`ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors or addresses run out.
    pub fn open(&self, name: &Name) -> Result<Shared<S>> {
        let file = name.as_os_str();
        let memory = Memory::open(file, name, len_of::<S>(), self.owner, SORT)?;
        Shared::in_own(memory)
    }
}

//! Removing a set when nobody needs it any more.

use ipc_core::Result;
use ipc_sysv::Removal;

use super::status::gone;
use crate::sys::semop as sys;

/// Removes a set when it is dropped, in the process that made the guard.
///
/// A [`Set`](super::Set) that was created here has one of its own. This is for a set that was opened: by the last of
/// several programs, say. A forked child's copy does nothing.
///
/// # Examples
///
/// ```
/// use ipc_sem::sysv::SetOptions;
///
/// let mut set = SetOptions::new().private()?;
/// set.keep();
/// let guard = set.removal_guard();
/// drop(guard);
/// assert!(set.status().is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `semctl`(2), `IPC_RMID`.
#[derive(Debug)]
#[doc(alias = "IPC_RMID")]
#[must_use = "dropping it removes the set"]
pub struct RemovalGuard(Removal);

impl RemovalGuard {
    pub(super) fn new(id: i32) -> Self {
        Self(Removal::new(id, sys::remove))
    }

    pub(super) fn id(&self) -> i32 {
        self.0.id()
    }

    /// Removes the set now.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ipc_core::ErrorKind::NotFound) when it was removed before,
    /// [`PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) when this user neither owns nor created it.
    pub fn remove(self) -> Result<()> {
        self.0.now().map_err(|errno| gone("semctl IPC_RMID", errno))
    }

    /// Leaves the set where it is.
    pub fn disarm(self) {
        self.0.disarm();
    }
}

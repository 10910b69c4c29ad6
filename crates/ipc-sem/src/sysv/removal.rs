//! Removing a set when nobody needs it any more.

use ipc_core::Result;

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
pub struct RemovalGuard {
    id: i32,
    /// The process that is to remove the set.
    pid: Option<u32>,
}

impl RemovalGuard {
    pub(super) fn new(id: i32) -> Self {
        Self { id, pid: Some(std::process::id()) }
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// Removes the set now.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ipc_core::ErrorKind::NotFound) when it was removed before,
    /// [`PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) when this user neither owns nor created it.
    pub fn remove(mut self) -> Result<()> {
        self.pid = None;
        sys::remove(self.id).map_err(|errno| gone("semctl IPC_RMID", errno))
    }

    /// Leaves the set where it is.
    pub fn disarm(mut self) {
        self.pid = None;
    }
}

impl Drop for RemovalGuard {
    fn drop(&mut self) {
        // A forked copy must not remove what its parent still uses.
        if self.pid == Some(std::process::id()) {
            // An id is not used again for a long time, so that this removes no other set. One that is gone is none
            // of ours to complain about.
            let _ = sys::remove(self.id);
        }
    }
}

//! Removing a queue when nobody needs it any more.

use ipc_core::Result;
use ipc_sysv::Removal;

use super::status::gone;
use crate::sys::sysv as sys;

/// Removes a queue when it is dropped, in the process that made the guard.
///
/// A [`Queue`](super::Queue) that was created here has one of its own. This is for a queue that was
/// opened: by the last of several programs, say. A forked child's copy does nothing.
///
/// # Examples
///
/// ```
/// use ipc_mq::sysv::{Key, QueueOptions};
///
/// let mut queue = QueueOptions::new().create(Key::PRIVATE)?;
/// queue.keep();
/// let guard = queue.removal_guard();
/// drop(guard);
/// assert!(queue.status().is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgctl`(2), `IPC_RMID`.
#[derive(Debug)]
#[doc(alias = "IPC_RMID")]
#[must_use = "dropping it removes the queue"]
pub struct RemovalGuard(Removal);

impl RemovalGuard {
    pub(super) fn new(id: i32) -> Self {
        Self(Removal::new(id, sys::remove))
    }

    pub(super) fn id(&self) -> i32 {
        self.0.id()
    }

    /// Removes the queue now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](ipc_core::ErrorKind::NotFound) when it was removed before,
    /// [`ErrorKind::PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) when this user
    /// neither owns nor created it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// let mut queue = QueueOptions::new().create(Key::PRIVATE)?;
    /// queue.keep();
    /// queue.removal_guard().remove()?;
    /// assert!(queue.removal_guard().remove().is_err());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn remove(self) -> Result<()> {
        self.0.now().map_err(|errno| gone("msgctl IPC_RMID", errno))
    }

    /// Leaves the queue where it is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_mq::sysv::{Key, QueueOptions};
    /// let queue = QueueOptions::new().create(Key::PRIVATE)?;
    /// queue.removal_guard().disarm();
    /// assert!(queue.status().is_ok());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn disarm(self) {
        self.0.disarm();
    }
}

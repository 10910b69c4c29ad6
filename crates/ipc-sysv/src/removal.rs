//! Removing what has an id, once.

use rustix::io::Errno;

/// Removes an object when it is dropped, in the process that made this value.
///
/// What the mechanism crates' removal guards have in common: `remove` is `msgctl`, `semctl` or `shmctl` with
/// `IPC_RMID`.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicI32, Ordering};
/// use ipc_sysv::Removal;
///
/// static REMOVED: AtomicI32 = AtomicI32::new(0);
/// let removal = Removal::new(7, |id| Ok(REMOVED.store(id, Ordering::Relaxed)));
/// assert_eq!(removal.id(), 7);
/// drop(removal);
/// assert_eq!(REMOVED.load(Ordering::Relaxed), 7);
/// ```
#[derive(Debug)]
#[doc(alias = "IPC_RMID")]
#[must_use = "dropping it removes the object"]
pub struct Removal {
    id: i32,
    remove: fn(i32) -> Result<(), Errno>,
    /// The process that is to remove it.
    pid: Option<u32>,
}

impl Removal {
    /// For the object with this id.
    pub fn new(id: i32, remove: fn(i32) -> Result<(), Errno>) -> Self {
        Self { id, remove, pid: Some(std::process::id()) }
    }

    /// The object's id.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// Removes it now.
    ///
    /// # Errors
    ///
    /// What the call says.
    pub fn now(mut self) -> Result<(), Errno> {
        self.pid = None;
        (self.remove)(self.id)
    }

    /// Leaves it where it is.
    pub fn disarm(mut self) {
        self.pid = None;
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        // A forked copy must not remove what its parent still uses.
        if self.pid == Some(std::process::id()) {
            // An id is not used again for a long time, so that this removes nothing else. What is gone is none of
            // ours to complain about.
            let _ = (self.remove)(self.id);
        }
    }
}

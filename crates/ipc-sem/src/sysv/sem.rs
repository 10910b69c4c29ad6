//! One semaphore of a set.

use std::sync::Arc;

use ipc_core::{Caps, Mechanism, Result, Semaphore, Wait};

use super::set::operate;
use super::status::gone;
use super::{CAPS, Op, RemovalGuard, Set, SetOptions};
use crate::sys::semop as sys;

/// One semaphore of a [`Set`], with `post` and `wait`.
///
/// A wait is one `semop`. With [`undo`](Self::undo), the kernel takes back what this process has posted and taken
/// when it ends.
///
/// # Errors
///
/// - [`ipc_core::ErrorKind::Disconnected`] when the set is removed, or was;
/// - of `post`, [`ipc_core::ErrorKind::ResourceLimit`] at 32767;
/// - of the waits, [`ipc_core::ErrorKind::WouldBlock`] and [`ipc_core::ErrorKind::TimedOut`];
/// - [`ipc_core::ErrorKind::PermissionDenied`].
///
/// # Examples
///
/// ```
/// use ipc_core::Semaphore;
/// use ipc_sem::sysv::Sem;
///
/// let (ours, theirs) = Sem::pair(1)?;
/// let theirs = theirs.undo();
/// theirs.wait()?; // Were this another process, and killed now, the permit would come back.
/// assert!(ours.try_wait().is_err());
/// theirs.post()?;
/// ours.wait()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `semop`(2).
#[derive(Debug)]
#[doc(alias = "semop")]
pub struct Sem {
    id: i32,
    num: u16,
    undo: bool,
    /// Removes a set without a key, with its last handle.
    pub(super) shared: Option<Arc<RemovalGuard>>,
}

impl Sem {
    pub(super) fn new(id: i32, num: u16, shared: Option<Arc<RemovalGuard>>) -> Self {
        Self { id, num, undo: false, shared }
    }

    /// Two handles to a semaphore without a key, of so many permits, for a process and its children. It is removed
    /// when both are dropped in the process that made it, and the [`Command`](std::process::Command)s that they
    /// were [given](ipc_core::Handoff) to; whoever still uses it then gets [`ipc_core::ErrorKind::Disconnected`].
    ///
    /// # Errors
    ///
    /// Those of [`SetOptions::create`].
    pub fn pair(permits: u16) -> Result<(Self, Self)> {
        let mut set = SetOptions::new().values(&[permits]).private()?;
        let guard = Arc::new(set.removal_guard());
        set.keep();
        let one = Self::new(set.id(), 0, Some(Arc::clone(&guard)));
        Ok((one, Self::new(set.id(), 0, Some(guard))))
    }

    /// The kernel takes back what this process does by this handle, when it ends: `SEM_UNDO`.
    ///
    /// For a permit that is taken and given back by the same process. A semaphore that one process posts and
    /// another one takes must not be undone.
    #[must_use]
    #[doc(alias = "SEM_UNDO")]
    pub fn undo(mut self) -> Self {
        self.undo = true;
        self
    }

    /// The id of the set.
    #[must_use]
    #[doc(alias = "semid")]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Its number in the set.
    #[must_use]
    pub fn num(&self) -> u16 {
        self.num
    }

    /// How many permits there are now: `semctl(GETVAL)`. It may be another number before this returns.
    ///
    /// # Errors
    ///
    /// [`ipc_core::ErrorKind::NotFound`] when the set was removed; [`ipc_core::ErrorKind::PermissionDenied`].
    #[doc(alias = "GETVAL")]
    pub fn value(&self) -> Result<u16> {
        let value = sys::ask(self.id, self.num.into(), libc::GETVAL);
        let value = value.map_err(|errno| gone("semctl GETVAL", errno))?;
        Ok(u16::try_from(value).unwrap_or(0))
    }

    /// Sets the number of permits: `semctl(SETVAL)`. Who waits and can go on does. What was to be undone is
    /// forgotten.
    ///
    /// # Errors
    ///
    /// As for [`value`](Self::value); [`ipc_core::ErrorKind::ResourceLimit`] above 32767.
    #[doc(alias = "SETVAL")]
    pub fn set_value(&self, permits: u16) -> Result<()> {
        if permits > super::VALUE_MAX {
            return Err(super::set::overflow());
        }
        sys::set_value(self.id, self.num.into(), permits.into())
            .map_err(|errno| gone("semctl SETVAL", errno))
    }

    /// The process that operated on it last: `semctl(GETPID)`.
    ///
    /// # Errors
    ///
    /// As for [`value`](Self::value).
    #[doc(alias = "GETPID")]
    pub fn last_process(&self) -> Result<Option<u32>> {
        let pid = sys::ask(self.id, self.num.into(), libc::GETPID);
        let pid = pid.map_err(|errno| gone("semctl GETPID", errno))?;
        Ok(ipc_sysv::pid(pid.into()))
    }

    #[inline]
    fn operate(&self, op: Op, wait: Wait) -> Result<()> {
        let op = if self.undo { op.undo() } else { op };
        operate(self.id, &mut [op.of_kernel(wait == Wait::Never)?], wait)
    }
}

impl Semaphore for Sem {
    #[inline]
    fn post(&self) -> Result<()> {
        // It never sleeps.
        self.operate(Op::post(self.num, 1), Wait::Forever)
    }

    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<()> {
        self.operate(Op::wait(self.num, 1), wait)
    }
}

impl Mechanism for Sem {
    const NAME: &'static str = Set::NAME;
    const CAPS: Caps = CAPS;
}

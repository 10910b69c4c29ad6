//! What the kernel knows of a set.

use std::time::SystemTime;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use ipc_sysv::time;
use rustix::io::Errno;

use super::{Key, listing};
use crate::sys::semop as sys;

/// What the kernel knows of a set.
///
/// # Examples
///
/// ```
/// use ipc_sem::sysv::{Key, SetOptions};
///
/// let status = SetOptions::new().values(&[1, 2]).private()?.status()?;
/// assert_eq!((status.len, status.mode, status.key), (2, 0o600, Key::PRIVATE));
/// assert!(status.last_operation.is_some());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `semctl`(2), `struct semid_ds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "semid_ds")]
pub struct Status {
    /// The key, [`Key::PRIVATE`] without one.
    pub key: Key,
    /// The user who owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// The user who created it, which nobody can change.
    pub creator_uid: u32,
    /// The group that created it.
    pub creator_gid: u32,
    /// Its permissions, such as 0o600.
    pub mode: u32,
    /// How many semaphores it has.
    pub len: u16,
    /// When somebody operated on it last, to the second. `None` for a set that has not been given its values.
    pub last_operation: Option<SystemTime>,
    /// When it was created, or its status or values were set last, to the second.
    pub last_change: Option<SystemTime>,
}

/// Asks the kernel: `semctl(IPC_STAT)`, or `/proc/sysvipc/sem` for a set that this user may not read.
pub(super) fn status(id: i32) -> Result<Status> {
    match sys::stat(id) {
        Ok(ds) => Ok(of_kernel(&ds)),
        Err(Errno::ACCESS) => {
            let listed = listing::sets()?.into_iter().find(|it| it.id == id);
            listed.map(|it| it.status).ok_or_else(|| Error::new(ErrorKind::NotFound, "semctl"))
        }
        Err(errno) => Err(gone("semctl IPC_STAT", errno)),
    }
}

/// The error of a call on an id, where there is no other reason for `EINVAL` than that there is no such set.
#[cold]
pub(super) fn gone(op: &'static str, errno: Errno) -> Error {
    match errno {
        Errno::INVAL | Errno::IDRM => {
            os(op)(errno).with_kind(ErrorKind::NotFound).with_note("the set was removed")
        }
        errno => os(op)(errno),
    }
}

#[expect(
    clippy::allow_attributes,
    reason = "whether the next one is fulfilled depends on the target"
)]
#[allow(clippy::useless_conversion, reason = "the fields differ between targets")]
fn of_kernel(ds: &libc::semid_ds) -> Status {
    Status {
        key: Key::of_kernel(ds.sem_perm.__key),
        uid: ds.sem_perm.uid,
        gid: ds.sem_perm.gid,
        creator_uid: ds.sem_perm.cuid,
        creator_gid: ds.sem_perm.cgid,
        mode: u32::from(ds.sem_perm.mode) & 0o777,
        len: u16::try_from(ds.sem_nsems).unwrap_or(u16::MAX),
        last_operation: time(ds.sem_otime.into()),
        last_change: time(ds.sem_ctime.into()),
    }
}

//! The sets that exist: `/proc/sysvipc/sem`.

use std::fs;

use ipc_core::{Error, ErrorKind, Result};
use ipc_sysv::time;

use super::{Key, Status};

/// A set that exists.
///
/// # Examples
///
/// See [`sets`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetEntry {
    /// Its id: see [`SetOptions::open_id`](super::SetOptions::open_id).
    pub id: i32,
    /// What the kernel tells everybody about it.
    pub status: Status,
}

/// Every set of this IPC namespace, as `ipcs -s` shows them.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] when `/proc` is not mounted or the kernel has no System V IPC.
///
/// # Examples
///
/// ```
/// use ipc_sem::sysv::{self, SetOptions};
///
/// let set = SetOptions::new().private()?;
/// assert!(sysv::sets()?.iter().any(|it| it.id == set.id() && it.status.len == 1));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sysvipc`(7), `ipcs`(1).
pub fn sets() -> Result<Vec<SetEntry>> {
    let text = fs::read_to_string("/proc/sysvipc/sem").map_err(|_| {
        Error::new(ErrorKind::Unsupported, "list System V sets")
            .with_note("/proc/sysvipc/sem: /proc is not mounted or the kernel has no System V IPC")
    })?;
    // key semid perms nsems uid gid cuid cgid otime ctime, after a headline
    Ok(text.lines().skip(1).filter_map(entry).collect())
}

fn entry(line: &str) -> Option<SetEntry> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
    let id_of = |at: usize| u32::try_from(number(at)?).ok();
    let status = Status {
        key: Key::of_kernel(i32::try_from(number(0)?).ok()?),
        mode: u32::from_str_radix(fields.get(2)?, 8).ok()? & 0o777,
        len: u16::try_from(number(3)?).ok()?,
        uid: id_of(4)?,
        gid: id_of(5)?,
        creator_uid: id_of(6)?,
        creator_gid: id_of(7)?,
        last_operation: time(number(8)?),
        last_change: time(number(9)?),
    };
    Some(SetEntry { id: i32::try_from(number(1)?).ok()?, status })
}

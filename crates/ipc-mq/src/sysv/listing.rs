//! The queues that exist: `/proc/sysvipc/msg`.

use std::fs;

use ipc_core::{Error, ErrorKind, Result};

use super::Key;
use ipc_sysv::{pid, time};

use super::status::Status;

/// A queue that exists.
///
/// # Examples
///
/// See [`queues`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueEntry {
    /// Its id: see [`QueueOptions::open_id`](super::QueueOptions::open_id).
    pub id: i32,
    /// What the kernel tells everybody about it.
    pub status: Status,
}

/// Every queue of this IPC namespace, as `ipcs -q` shows them.
///
/// # Errors
///
/// [`ErrorKind::Unsupported`] when `/proc` is not mounted or the kernel has no System V IPC.
///
/// # Examples
///
/// ```
/// use ipc_mq::sysv::{self, Key, QueueOptions};
///
/// let queue = QueueOptions::new().create(Key::PRIVATE)?;
/// assert!(sysv::queues()?.iter().any(|it| it.id == queue.id() && it.status.mode == 0o600));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sysvipc`(7), `ipcs`(1).
pub fn queues() -> Result<Vec<QueueEntry>> {
    let text = fs::read_to_string("/proc/sysvipc/msg").map_err(|_| {
        Error::new(ErrorKind::Unsupported, "list System V queues")
            .with_note("/proc/sysvipc/msg: /proc is not mounted or the kernel has no System V IPC")
    })?;
    // key msqid perms cbytes qnum lspid lrpid uid gid cuid cgid stime rtime ctime, after a headline
    Ok(text.lines().skip(1).filter_map(entry).collect())
}

fn entry(line: &str) -> Option<QueueEntry> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
    let count = |at: usize| usize::try_from(number(at)?).ok();
    let id_of = |at: usize| u32::try_from(number(at)?).ok();
    let status = Status {
        key: Key::of_kernel(i32::try_from(number(0)?).ok()?),
        mode: u32::from_str_radix(fields.get(2)?, 8).ok()? & 0o777,
        bytes: count(3)?,
        messages: count(4)?,
        max_bytes: None,
        last_sender: pid(number(5)?),
        last_receiver: pid(number(6)?),
        uid: id_of(7)?,
        gid: id_of(8)?,
        creator_uid: id_of(9)?,
        creator_gid: id_of(10)?,
        last_send: time(number(11)?),
        last_receive: time(number(12)?),
        last_change: time(number(13)?),
    };
    Some(QueueEntry { id: i32::try_from(number(1)?).ok()?, status })
}

//! What the kernel knows of a queue.

use std::time::SystemTime;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use ipc_sysv::{pid, time};
use rustix::io::Errno;

use super::{Key, listing};
use crate::sys::sysv as sys;

/// What the kernel knows of a queue.
///
/// # Examples
///
/// ```
/// use ipc_core::SendMsg;
/// use ipc_mq::sysv::{Key, QueueOptions};
///
/// let queue = QueueOptions::new().create(Key::PRIVATE)?;
/// queue.sender()?.send(b"hello")?;
/// let status = queue.status()?;
/// assert_eq!((status.messages, status.bytes), (1, 5));
/// assert_eq!(status.last_sender, Some(std::process::id()));
/// assert_eq!((status.last_receiver, status.mode), (None, 0o600));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgctl`(2), `struct msqid_ds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "msqid_ds")]
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
    /// How many messages are in it.
    pub messages: usize,
    /// How many bytes of messages are in it.
    pub bytes: usize,
    /// How many bytes of messages fit, and how many messages at most: `msg_qbytes`. `None` where
    /// this user may not read the queue.
    pub max_bytes: Option<usize>,
    /// The process that sent last.
    pub last_sender: Option<u32>,
    /// The process that received last.
    pub last_receiver: Option<u32>,
    /// When somebody sent last, to the second.
    pub last_send: Option<SystemTime>,
    /// When somebody received last, to the second.
    pub last_receive: Option<SystemTime>,
    /// When it was created or its status was changed last, to the second.
    pub last_change: Option<SystemTime>,
}

/// Asks the kernel: `msgctl(IPC_STAT)`, or `/proc/sysvipc/msg` for a queue that this user may not
/// read.
pub(super) fn status(id: i32) -> Result<Status> {
    match sys::stat(id) {
        Ok(ds) => Ok(of_kernel(&ds)),
        Err(Errno::ACCESS) => {
            let listed = listing::queues()?.into_iter().find(|it| it.id == id);
            listed.map(|it| it.status).ok_or_else(|| Error::new(ErrorKind::NotFound, "msgctl"))
        }
        Err(errno) => Err(gone("msgctl", errno)),
    }
}

/// The error of a call on an id, where there is no other reason for `EINVAL` than that there is no
/// such queue.
#[cold]
pub(super) fn gone(op: &'static str, errno: Errno) -> Error {
    match errno {
        Errno::INVAL | Errno::IDRM => {
            os(op)(errno).with_kind(ErrorKind::NotFound).with_note("the queue was removed")
        }
        errno => os(op)(errno),
    }
}

#[expect(
    clippy::allow_attributes,
    reason = "whether the next one is fulfilled depends on the target"
)]
#[allow(clippy::useless_conversion, reason = "the fields differ between targets")]
fn of_kernel(ds: &libc::msqid_ds) -> Status {
    let size = |it: u64| usize::try_from(it).unwrap_or(usize::MAX);
    Status {
        key: Key::of_kernel(ds.msg_perm.__key),
        uid: ds.msg_perm.uid,
        gid: ds.msg_perm.gid,
        creator_uid: ds.msg_perm.cuid,
        creator_gid: ds.msg_perm.cgid,
        mode: u32::from(ds.msg_perm.mode) & 0o777,
        messages: size(ds.msg_qnum.into()),
        bytes: size(ds.__msg_cbytes.into()),
        max_bytes: Some(size(ds.msg_qbytes.into())),
        last_sender: pid(ds.msg_lspid.into()),
        last_receiver: pid(ds.msg_lrpid.into()),
        last_send: time(ds.msg_stime.into()),
        last_receive: time(ds.msg_rtime.into()),
        last_change: time(ds.msg_ctime.into()),
    }
}

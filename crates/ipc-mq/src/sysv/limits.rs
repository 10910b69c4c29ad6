//! What the kernel allows.

use ipc_core::{ErrorKind, Result};
use ipc_fd::kind::os;

use crate::sys::sysv as sys;

/// Too many bytes wanted for a queue.
pub(super) const MSGMNB: ErrorKind = ErrorKind::ResourceLimit {
    limit: "bytes in one System V queue",
    knob: "/proc/sys/kernel/msgmnb (CAP_SYS_RESOURCE goes beyond it)",
};

/// Too many queues.
pub(super) const MSGMNI: ErrorKind = ErrorKind::ResourceLimit {
    limit: "System V message queues in this IPC namespace",
    knob: "/proc/sys/kernel/msgmni (ipcs -q lists the queues, ipcrm removes them)",
};

/// What limits System V message queues here: `msgctl(IPC_INFO)`, which an administrator sets in
/// `/proc/sys/kernel/msg*`.
///
/// # Units
///
/// Bytes and queues, as each field says.
///
/// # Examples
///
/// ```
/// let limits = ipc_mq::sysv::Limits::read()?;
/// assert!(limits.max_queues > 0);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgctl`(2), `proc_sys_kernel`(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "IPC_INFO")]
pub struct Limits {
    /// The longest message, in bytes: `msgmax`.
    pub max_message_size: usize,
    /// How many bytes of messages a new queue has room for, and the most an unprivileged process
    /// can give it: `msgmnb`.
    pub max_bytes: usize,
    /// The most queues in this IPC namespace: `msgmni`.
    pub max_queues: usize,
}

impl Limits {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when the kernel has no System V IPC.
    ///
    /// # Examples
    ///
    /// See [`Limits`].
    pub fn read() -> Result<Self> {
        let info = sys::info().map_err(os("msgctl IPC_INFO"))?;
        let number = |it| usize::try_from(it).unwrap_or(usize::MAX);
        Ok(Self {
            max_message_size: number(info.msgmax),
            max_bytes: number(info.msgmnb),
            max_queues: number(info.msgmni),
        })
    }
}

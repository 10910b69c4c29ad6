//! What the kernel allows.

use std::fs;

use ipc_core::{Error, ErrorKind, Result};

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

/// What limits System V message queues here: `/proc/sys/kernel/msg*`.
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
/// `proc_sys_kernel`(5), `msgget`(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest message, in bytes: `msgmax`.
    pub max_message_size: usize,
    /// How many bytes of messages a new queue has room for, and the most an unprivileged process can give
    /// it: `msgmnb`.
    pub max_bytes: usize,
    /// The most queues in this IPC namespace: `msgmni`.
    pub max_queues: usize,
}

impl Limits {
    /// Reads the limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when `/proc` is not mounted or the kernel has no System V IPC.
    ///
    /// # Examples
    ///
    /// See [`Limits`].
    pub fn read() -> Result<Self> {
        Ok(Self {
            max_message_size: sysctl("msgmax")?,
            max_bytes: sysctl("msgmnb")?,
            max_queues: sysctl("msgmni")?,
        })
    }
}

fn sysctl(name: &str) -> Result<usize> {
    let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    text.ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "read limits")
            .with_note("/proc/sys/kernel/msg*: /proc is not mounted or the kernel has no System V IPC")
    })
}

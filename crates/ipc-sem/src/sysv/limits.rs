//! What the kernel allows.

use std::fs;

use ipc_core::{Error, ErrorKind, Result};

/// The operation in this file's errors.
const OP: &str = "read limits";

/// Too many semaphores wanted in one set.
pub(super) const SEMMSL: ErrorKind = ErrorKind::ResourceLimit {
    limit: "semaphores in one System V set",
    knob: "SEMMSL, the first number in /proc/sys/kernel/sem",
};

/// Too many semaphores.
pub(super) const SEMMNS: ErrorKind = ErrorKind::ResourceLimit {
    limit: "System V semaphores in this IPC namespace",
    knob: "SEMMNS, the second number in /proc/sys/kernel/sem (ipcs -s lists the sets, ipcrm removes them)",
};

/// Too many sets.
pub(super) const SEMMNI: ErrorKind = ErrorKind::ResourceLimit {
    limit: "sets of System V semaphores in this IPC namespace",
    knob: "SEMMNI, the fourth number in /proc/sys/kernel/sem (ipcs -s lists the sets, ipcrm removes them)",
};

/// What limits System V semaphores here: `/proc/sys/kernel/sem`.
///
/// # Examples
///
/// ```
/// let limits = ipc_sem::sysv::Limits::read()?;
/// assert!(limits.max_set > 0 && limits.max_ops > 0);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `semget`(2), `proc_sys_kernel`(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias("SEMMSL", "SEMMNS", "SEMOPM", "SEMMNI"))]
pub struct Limits {
    /// The most semaphores in a set: `SEMMSL`.
    pub max_set: usize,
    /// The most semaphores in this IPC namespace: `SEMMNS`.
    pub max_semaphores: usize,
    /// The most operations at once: `SEMOPM`.
    pub max_ops: usize,
    /// The most sets in this IPC namespace: `SEMMNI`.
    pub max_sets: usize,
}

impl Limits {
    /// Reads the limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when `/proc` is not mounted or the kernel has no System V IPC.
    pub fn read() -> Result<Self> {
        let unsupported = || {
            Error::new(ErrorKind::Unsupported, OP).with_note(
                "/proc/sys/kernel/sem: /proc is not mounted or the kernel has no System V IPC",
            )
        };
        let text = fs::read_to_string("/proc/sys/kernel/sem").map_err(|error| {
            match error.raw_os_error() {
                None | Some(libc::ENOENT) => unsupported(),
                Some(errno) => Error::from_os(OP, errno),
            }
        })?;
        let mut numbers = text.split_whitespace().map_while(|it| it.parse().ok());
        let mut next = || numbers.next().ok_or_else(unsupported);
        Ok(Self { max_set: next()?, max_semaphores: next()?, max_ops: next()?, max_sets: next()? })
    }
}

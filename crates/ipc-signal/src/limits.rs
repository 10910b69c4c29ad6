//! What the kernel allows.

use std::fs;

use ipc_core::{Error, ErrorKind, Result};

/// Too many signals are pending.
pub(crate) const SIGPENDING: ErrorKind = ErrorKind::ResourceLimit {
    limit: "room for pending signals of the receiving process's user",
    knob: "RLIMIT_SIGPENDING of the receiving process (ulimit -i)",
};

/// How many signals may be pending for this process's user, and how many are: `SigQ` in
/// `/proc/self/status`.
///
/// It is the **receiver's** limit that counts, and what is pending for all processes of the
/// receiver's real user id counts against it, POSIX timers included. When it is reached, a realtime
/// signal that is [queued](crate::queue) is refused; a standard signal still comes, but without the
/// particulars: no pid, no value.
///
/// # Units
///
/// Signals.
///
/// # Examples
///
/// ```
/// let limits = ipc_signal::Limits::read()?;
/// assert!(limits.pending <= limits.max_pending);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `getrlimit`(2), `RLIMIT_SIGPENDING`; `proc_pid_status`(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "RLIMIT_SIGPENDING")]
pub struct Limits {
    /// How many are pending for this user now.
    pub pending: u64,
    /// How many may be.
    pub max_pending: u64,
}

impl Limits {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when `/proc` is not mounted.
    ///
    /// # Examples
    ///
    /// See [`Limits`].
    pub fn read() -> Result<Self> {
        let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("SigQ:"));
        let parse = |line: &str| {
            let (pending, most) = line.trim().split_once('/')?;
            Some(Self { pending: pending.parse().ok()?, max_pending: most.parse().ok()? })
        };
        line.and_then(parse).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "read limits")
                .with_note("/proc/self/status: /proc is not mounted")
        })
    }
}

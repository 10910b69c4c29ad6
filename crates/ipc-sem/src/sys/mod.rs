//! The calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "these calls are not in rustix")]

pub(crate) mod mutex;
pub(crate) mod sem;
pub(crate) mod semop;

use std::time::Instant;

use rustix::io::Errno;
use rustix::time::{ClockId, Timespec};

/// The errno of the call that this thread made last.
#[cold]
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The errno of a call that returns -1 when it fails.
#[inline]
fn check(returned: libc::c_int) -> Result<libc::c_int, Errno> {
    if returned == -1 { Err(last_errno()) } else { Ok(returned) }
}

/// A deadline as `CLOCK_MONOTONIC` has it; never earlier than it is.
fn monotonic(deadline: Instant) -> libc::timespec {
    // The time that is left is looked up before the time that it is.
    let left = deadline.saturating_duration_since(Instant::now());
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let far = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
    let at = Timespec::try_from(left).ok().and_then(|left| now.checked_add(left)).unwrap_or(far);
    libc::timespec { tv_sec: at.tv_sec as _, tv_nsec: at.tv_nsec as _ }
}

//! The system calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "every block of the crate that the compiler cannot check is here")]

pub(crate) mod posix;
pub(crate) mod sysv;

use rustix::io::Errno;

/// The errno of the call that this thread made last.
#[cold]
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The errno of a call that returns -1 when it fails.
fn check(returned: libc::c_int) -> Result<libc::c_int, Errno> {
    if returned == -1 { Err(last_errno()) } else { Ok(returned) }
}

//! Errors of the kernel.

use ipc_core::Error;
use rustix::io::Errno;

/// The error for a system call that failed.
pub(crate) fn os(op: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_os(op, errno.raw_os_error())
}

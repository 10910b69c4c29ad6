//! The system calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "every block of the crate that the compiler cannot check is here")]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{Errno, FdFlags};

/// Lets the child of `command` inherit `fd` under the number it has here.
///
/// `command` keeps `fd` open until it is dropped. Close-on-exec goes off in the child alone.
pub(crate) fn inherit(command: &mut Command, fd: OwnedFd) {
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are
    // allowed. It makes one system call, `fcntl`, on a descriptor that it owns, and does not
    // allocate: `Errno` is a number.
    unsafe {
        command.pre_exec(move || {
            rustix::io::fcntl_setfd(&fd, FdFlags::empty())?;
            Ok(())
        });
    }
}

/// Keeps `value` alive until `command` is dropped.
pub(crate) fn hold<T: Send + Sync + 'static>(command: &mut Command, value: T) {
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are
    // allowed. It makes none and does nothing: it only owns the value, in the parent.
    unsafe {
        command.pre_exec(move || {
            let _held = &value;
            Ok(())
        });
    }
}

/// A descriptor that this process has inherited under a known number, to be looked at; `EBADF` if
/// nothing is open there.
pub(crate) fn look_at(fd: RawFd) -> Result<BorrowedFd<'static>, Errno> {
    // SAFETY: `fcntl(F_GETFD)` takes any number and touches no memory.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: it is open, as the call before has seen, and not -1. It stays open: if the ticket is
    // honest, the only one who may close it is `handoff::adopt`, which calls this under a lock.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Takes possession of an inherited descriptor.
pub(crate) fn take(fd: RawFd) -> OwnedFd {
    // SAFETY: `handoff::adopt` has seen that the descriptor is open, is the very file that the
    // ticket names, is not close-on-exec as nearly everything is that this process opened itself, and
    // was never adopted before. That the ticket was written by a parent that gave this descriptor
    // away is what the documentation of `Handoff::adopt` asks of whoever sets the environment.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

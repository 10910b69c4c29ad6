//! Errors of the kernel, and the wait that all handles share.

use std::io::{PipeReader, PipeWriter};
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::any_ready;
use rustix::event::PollFd;
use rustix::io::Errno;

/// How long to let a tracer be that has a child's end before its parent has: `poll` says that it has
/// ended, and `waitid` that it has not.
pub(crate) const TRACED: Duration = Duration::from_millis(1);

/// There is, or can be, no process behind what the caller named.
pub(crate) fn gone(op: &'static str) -> Error {
    os(op)(Errno::SRCH).with_note("the process has ended and its parent has waited for it")
}

/// A child whose exit status somebody else has taken, or the kernel has thrown away.
pub(crate) fn status_lost(op: &'static str) -> Error {
    os(op)(Errno::CHILD).with_kind(ErrorKind::Disconnected).with_note(
        "its exit status is lost: SIGCHLD is ignored, another part of this process waits for any \
         child, or this is a forked copy of the handle",
    )
}

/// No child is left.
pub(crate) fn no_children(op: &'static str) -> Error {
    os(op)(Errno::CHILD).with_note("there is no child to wait for")
}

/// Whether one of some descriptors is ready now.
pub(crate) fn is_any_ready(fds: &mut [PollFd<'_>]) -> Result<bool> {
    match any_ready("poll", fds, Wait::Never) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// A pipe whose ends are close-on-exec.
pub(crate) fn pipe() -> Result<(PipeReader, PipeWriter)> {
    std::io::pipe().map_err(|error| os("pipe2")(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
}

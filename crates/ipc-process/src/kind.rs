//! Errors of the kernel, and the wait that all handles share.

use std::io::{PipeReader, PipeWriter};
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::any_ready;
use rustix::event::PollFd;
use rustix::io::Errno;

/// Leaves a child to a tracer for a moment, which has its end before its parent has: `poll` says that it has
/// ended, `waitid` that it has not, and nothing tells when it will.
pub(crate) fn leave_to_tracer(op: &'static str, wait: Wait) -> Result<()> {
    std::thread::sleep(Duration::from_millis(1));
    if wait.remaining().is_some_and(|left| left.is_zero()) {
        return Err(Error::new(wait.exhausted(), op));
    }
    Ok(())
}

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

//! Waiting for a descriptor with a deadline.

use std::os::fd::{AsFd, BorrowedFd};

use ipc_core::{Error, Result, Wait};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

pub fn error(op: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_os(op, errno.raw_os_error())
}

/// Tries `op`, which does not block, until it is done or the wait is exhausted.
pub fn retry<T>(
    fd: BorrowedFd<'_>,
    ready: PollFlags,
    name: &'static str,
    wait: Wait,
    mut op: impl FnMut() -> Result<T, Errno>,
) -> Result<T> {
    loop {
        match op() {
            Ok(value) => return Ok(value),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(error(name)(errno)),
        }
        until_ready(fd, ready, name, wait)?;
    }
}

/// Blocks until the descriptor is ready.
pub fn until_ready(
    fd: BorrowedFd<'_>,
    ready: PollFlags,
    name: &'static str,
    wait: Wait,
) -> Result<()> {
    loop {
        let left = wait.remaining();
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Error::new(wait.exhausted(), name));
        }
        let left = left.map(|left| Timespec::try_from(left).expect("it fits"));
        match poll(&mut [PollFd::new(&fd.as_fd(), ready)], left.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(error("poll")(errno)),
        }
    }
}

//! One call or many until a [`Wait`] is exhausted.

use std::os::fd::BorrowedFd;

use ipc_core::{Error, Result, Wait};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::kind::os;

/// Waits until a descriptor is ready, has hung up, or is in error: `ppoll`.
///
/// # Errors
///
/// [`WouldBlock`](ipc_core::ErrorKind::WouldBlock) and [`TimedOut`](ipc_core::ErrorKind::TimedOut) in
/// operation `op`, as `wait` says.
///
/// # References
///
/// `ppoll`(2).
pub fn ready(op: &'static str, fd: BorrowedFd<'_>, ready: PollFlags, wait: Wait) -> Result<()> {
    any_ready(op, &mut [PollFd::from_borrowed_fd(fd, ready)], wait)
}

/// Waits until one of several descriptors is ready, has hung up, or is in error, and leaves in `fds`
/// which: `ppoll`.
///
/// # Errors
///
/// Those of [`ready`].
///
/// # References
///
/// `ppoll`(2).
pub fn any_ready(op: &'static str, fds: &mut [PollFd<'_>], wait: Wait) -> Result<()> {
    loop {
        let timeout = wait.remaining().and_then(|left| Timespec::try_from(left).ok());
        match rustix::event::poll(fds, timeout.as_ref()) {
            Ok(0) => return Err(Error::new(wait.exhausted(), op)),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(os("poll")(errno)),
        }
    }
}

/// Tries a non-blocking call again and again, with a wait in between, until `wait` is exhausted.
///
/// [`Wait::Never`] is one call. `until_ready` must fail once the deadline has passed, as [`ready`]
/// does.
///
/// # Errors
///
/// Those of the calls; [`WouldBlock`](ipc_core::ErrorKind::WouldBlock) for `EAGAIN` with
/// [`Wait::Never`].
pub fn again<T>(
    op: &'static str,
    wait: Wait,
    mut now: impl FnMut() -> Result<T, Errno>,
    mut until_ready: impl FnMut() -> Result<()>,
) -> Result<T> {
    let mut waited = false;
    loop {
        match now() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if wait == Wait::Never => return Err(os(op)(Errno::AGAIN)),
            // It was ready, and somebody else was quicker, again and again.
            Err(Errno::AGAIN) if waited && wait.remaining().is_some_and(|left| left.is_zero()) => {
                return Err(Error::new(wait.exhausted(), op));
            }
            Err(Errno::AGAIN) => {
                until_ready()?;
                waited = true;
            }
            result => return result.map_err(os(op)),
        }
    }
}

/// Goes on after a call that blocks has failed with `errno`: again after a signal, and also on a
/// descriptor that somebody has set to `O_NONBLOCK`.
///
/// The caller makes the first call, which is the one that matters, so that it can be inlined.
///
/// # Errors
///
/// Those of the calls.
#[cold]
pub fn go_on<T>(
    op: &'static str,
    fd: BorrowedFd<'_>,
    readiness: PollFlags,
    mut errno: Errno,
    mut call: impl FnMut() -> Result<T, Errno>,
) -> Result<T> {
    loop {
        match errno {
            Errno::INTR => {}
            Errno::AGAIN => ready(op, fd, readiness, Wait::Forever)?,
            errno => return Err(os(op)(errno)),
        }
        match call() {
            Ok(value) => return Ok(value),
            Err(next) => errno = next,
        }
    }
}

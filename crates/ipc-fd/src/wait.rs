//! One call or many until a [`Wait`] is exhausted.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use ipc_core::{Error, Result, Wait};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::kind::os;

/// The naps between two looks at something that the kernel has no call to wait for: 50 µs at first, twice
/// as long each time, and 2 ms at most.
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_fd::wait::Naps;
///
/// assert_eq!(Naps::new(Wait::Never).next_nap(), None);
/// let mut naps = Naps::new(Wait::Forever);
/// assert!(naps.next_nap() < naps.next_nap());
/// ```
#[derive(Debug)]
pub struct Naps {
    wait: Wait,
    next: Duration,
}

impl Naps {
    const SHORTEST: Duration = Duration::from_micros(50);
    const LONGEST: Duration = Duration::from_millis(2);

    /// The naps of one wait.
    #[must_use]
    pub fn new(wait: Wait) -> Self {
        Self { wait, next: Self::SHORTEST }
    }

    /// How long to sleep before the next look, or `None` when the wait is exhausted.
    pub fn next_nap(&mut self) -> Option<Duration> {
        let left = self.wait.remaining().unwrap_or(Duration::MAX);
        let nap = self.next.min(left);
        self.next = Self::LONGEST.min(self.next * 2);
        (!left.is_zero()).then_some(nap)
    }
}

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

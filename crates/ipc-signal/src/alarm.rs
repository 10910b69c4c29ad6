//! The timers that every process has: `alarm` and `setitimer`.

use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::io::Errno;

use crate::sys::timer as sys;
/// Has `SIGALRM` sent to this process in so many seconds, or not at all with 0: `alarm`. Returns how
/// many seconds were left of the one before, 0 if there was none.
///
/// There is one such timer in a process, which [`IntervalTimer`] uses too: libraries should use
/// [`Timer`](crate::Timer). The default of `SIGALRM` is to end the process.
///
/// # Units
///
/// Seconds of `CLOCK_MONOTONIC`.
///
/// # Examples
///
/// A program that must not take longer than a minute:
///
/// ```
/// use ipc_signal::alarm;
/// alarm(60);
/// // It works on something, and is ended if it does not come here in time.
/// assert!(alarm(0) > 0);
/// ```
///
/// # References
///
/// `alarm`(2).
pub fn alarm(seconds: u32) -> u32 {
    sys::alarm(seconds)
}

/// Has `SIGALRM` sent to this process again and again, until it is dropped: `setitimer` with
/// `ITIMER_REAL`.
///
/// What comes while one is pending becomes one with it, and nobody counts how many: a
/// [`Timer`](crate::Timer) does ([`Origin::overrun`](crate::Origin::overrun)). There is one such timer
/// in a process.
///
/// # Units
///
/// Microseconds of `CLOCK_MONOTONIC`; shorter times are rounded up.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_core::Wait;
/// use ipc_signal::{IntervalTimer, Signal, SignalSet};
///
/// let set = SignalSet::from(Signal::ALRM);
/// let _guard = set.block()?;
/// let timer = IntervalTimer::start(Duration::from_millis(1), Duration::from_millis(1))?;
/// for _ in 0..3 {
///     set.wait(Wait::Forever)?;
/// }
/// drop(timer);
/// # while set.wait(Wait::Never).is_ok() {}
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `setitimer`(2).
#[derive(Debug)]
#[doc(alias = "setitimer")]
#[must_use = "dropping it stops the timer"]
pub struct IntervalTimer {
    /// The process that has it: a forked child has none.
    pid: u32,
}

impl IntervalTimer {
    /// Starts it: the first signal after `first`, the others every `every`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when the process's timer, or an [`alarm`], runs: it goes on;
    /// - [`ErrorKind::InvalidInput`] for `first` of no length, and for times too long for the kernel.
    ///
    /// # Examples
    ///
    /// See [`IntervalTimer`].
    pub fn start(first: Duration, every: Duration) -> Result<Self> {
        const OP: &str = "setitimer";
        if first.is_zero() {
            return Err(crate::kind::invalid(OP, "a first time of 0 would stop the timer"));
        }
        let failed = |errno| match errno {
            Errno::INVAL => os(OP)(errno).with_note("the time is too long for the kernel"),
            errno => os(OP)(errno),
        };
        let (left, interval) = sys::set_interval(first, every).map_err(failed)?;
        if !left.is_zero() {
            sys::set_interval(left, interval).map_err(failed)?;
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("the process's only timer runs already, or an alarm does"));
        }
        Ok(Self { pid: std::process::id() })
    }
}

impl Drop for IntervalTimer {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            // It cannot fail with times of 0.
            let _ = sys::set_interval(Duration::ZERO, Duration::ZERO);
        }
    }
}

//! Waiting for signals.

use std::time::Duration;

use ipc_core::{Error, Result, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;

use crate::signal::uncatchable;
use crate::sys::info::SigInfo;
use crate::sys::transfer::{self as sys, KernelTime, Sleep};
use crate::{Origin, Signal, SignalSet};
/// The operation in this file's errors.
const OP: &str = "sigtimedwait";

impl SignalSet {
    /// Takes one pending signal of this set, and waits for one: `sigwaitinfo`, `sigtimedwait`.
    ///
    /// **The calling thread must block these signals** ([`block`](Self::block)), and so must all
    /// others: a signal that nobody blocks is delivered, not waited for. Of several that are pending,
    /// those for this thread come before those for the process, and then the lower number; of one
    /// realtime signal the oldest. Each is taken by one thread.
    ///
    /// [`Wait::Forever`] is one system call that sleeps, [`Wait::Never`] one that does not. Another
    /// signal that is handled meanwhile neither ends the wait nor stretches it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`](ipc_core::ErrorKind) and `TimedOut` as [`Wait`] says;
    /// - `Unsupported` for a set with `SIGKILL` or `SIGSTOP`, which never come here.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ipc_core::{ErrorKind, Wait};
    /// use ipc_signal::{Pid, Signal, SignalSet, Target, send};
    ///
    /// let set = SignalSet::from([Signal::USR1, Signal::TERM]);
    /// let _guard = set.block()?;
    /// send(Target::Process(Pid::this()), Signal::TERM)?;
    /// assert_eq!(set.wait(Wait::Forever)?.signal(), Signal::TERM);
    /// let error = set.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `sigwaitinfo`(2), `sigtimedwait`(2).
    #[doc(alias = "sigwaitinfo")]
    #[doc(alias = "sigtimedwait")]
    #[doc(alias = "sigwait")]
    #[inline]
    pub fn wait(self, wait: Wait) -> Result<Origin> {
        let mut info = SigInfo::ZERO;
        self.take(wait, Some(&mut info))?;
        Ok(info.origin())
    }

    /// Takes one pending signal of this set, and waits for `timeout` at most: see
    /// [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// See [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// See [`wait`](Self::wait).
    pub fn wait_timeout(self, timeout: Duration) -> Result<Origin> {
        self.wait(Wait::timeout(timeout))
    }

    /// Takes one, and tells of it only if somebody wants to know.
    #[inline]
    pub(crate) fn take(self, wait: Wait, mut info: Option<&mut SigInfo>) -> Result<Signal> {
        if self.contains(Signal::KILL) || self.contains(Signal::STOP) {
            return Err(uncatchable(OP));
        }
        match sys::wait(self.bits(), sleep(wait), info.as_deref_mut()) {
            Ok(number) => Ok(Signal::of_kernel(number)),
            Err(errno) => self.take_again(wait, info, errno),
        }
    }

    /// Takes one when that has failed with `errno`.
    #[cold]
    fn take_again(
        self,
        wait: Wait,
        mut info: Option<&mut SigInfo>,
        mut errno: Errno,
    ) -> Result<Signal> {
        loop {
            match errno {
                // Another signal was handled; with a deadline, what is left of it follows.
                Errno::INTR => {}
                // The kernel's timers are exact, but the clock is read again to be sure.
                Errno::AGAIN if wait.remaining().is_none_or(|left| !left.is_zero()) => {}
                Errno::AGAIN => return Err(Error::new(wait.exhausted(), OP)),
                errno => return Err(os(OP)(errno)),
            }
            match sys::wait(self.bits(), sleep(wait), info.as_deref_mut()) {
                Ok(number) => return Ok(Signal::of_kernel(number)),
                Err(next) => errno = next,
            }
        }
    }
}

/// How long the kernel may put this thread to sleep.
#[inline]
fn sleep(wait: Wait) -> Sleep {
    match wait {
        Wait::Forever => Sleep::Forever,
        Wait::Never => Sleep::For(KernelTime::ZERO),
        Wait::Until(_) => {
            let left = wait.remaining().unwrap_or_default();
            // A time too long for the kernel is shortened: the wait goes on when it is over.
            let sec = libc::c_long::try_from(left.as_secs()).unwrap_or(libc::c_long::MAX);
            Sleep::For(KernelTime { sec, nsec: left.subsec_nanos().cast_signed().into() })
        }
    }
}

//! Sleeping until a word in shared memory changes: `futex`.
//!
//! What the locks of this crate are built of, for those who build another: words of 32 bits, shared between
//! processes, and a [`Wait`].
//!
//! # Examples
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use ipc_core::{ErrorKind, Wait};
//! use ipc_sem::futex;
//!
//! let word = AtomicU32::new(0);
//! let error = futex::wait(&word, 0, Wait::Never).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::WouldBlock);
//!
//! std::thread::scope(|scope| {
//!     scope.spawn(|| {
//!         word.store(1, Ordering::Release);
//!         futex::wake(&word, u32::MAX);
//!     });
//!     while word.load(Ordering::Acquire) == 0 {
//!         futex::wait(&word, 0, Wait::Forever)?;
//!     }
//!     Ok::<(), ipc_core::Error>(())
//! })?;
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # References
//!
//! `futex`(2), `FUTEX_WAIT`, `FUTEX_WAKE`.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use ipc_core::{Error, Result, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::Timespec;

/// How long a sleeper of this crate's locks sleeps before it looks for itself.
///
/// The process that was to wake it may have been killed between its change and its call, or the wake-up may
/// have gone to a process that was killed before it could act.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// Sleeps while the word is `expected`, until somebody [wakes](wake) it.
///
/// It may return early, for no reason: look at the word again. The kernel compares the word and goes to sleep
/// in one step, so that no wake-up after a change is missed.
///
/// # Errors
///
/// [`WouldBlock`](ipc_core::ErrorKind::WouldBlock) and [`TimedOut`](ipc_core::ErrorKind::TimedOut) as `wait` says, when
/// the word is still `expected`.
///
/// # Examples
///
/// See the [module's documentation](self).
#[doc(alias = "FUTEX_WAIT")]
pub fn wait(word: &AtomicU32, expected: u32, wait: Wait) -> Result<()> {
    loop {
        let left = wait.remaining();
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match futex::wait(word, futex::Flags::empty(), expected, timeout.as_ref()) {
            Ok(()) | Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::TIMEDOUT) if wait.remaining().is_some_and(|left| left.is_zero()) => {
                return Err(Error::new(wait.exhausted(), "futex"));
            }
            Err(Errno::TIMEDOUT) => {}
            Err(errno) => return Err(os("futex")(errno)),
        }
    }
}

/// Wakes at most `count` sleepers, and returns how many.
///
/// # Examples
///
/// See the [module's documentation](self).
#[doc(alias = "FUTEX_WAKE")]
pub fn wake(word: &AtomicU32, count: u32) -> usize {
    // The kernel takes a signed number.
    let count = count.min(i32::MAX.cast_unsigned());
    futex::wake(word, futex::Flags::empty(), count).unwrap_or_default()
}

/// As [`wait`], but returns after [`LOOK`] in any case, and perhaps after a signal.
///
/// Without a deadline, nobody looks at the clock.
pub(crate) fn doze(word: &AtomicU32, expected: u32, until: Wait) -> Result<()> {
    const LONGEST: Timespec = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos() as _ };
    let left = match until {
        Wait::Forever => LOOK,
        Wait::Never | Wait::Until(_) => until.remaining().unwrap_or(LOOK),
    };
    if left < LOOK {
        return wait(word, expected, until);
    }
    match futex::wait(word, futex::Flags::empty(), expected, Some(&LONGEST)) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => Ok(()),
        Err(errno) => Err(os("futex")(errno)),
    }
}

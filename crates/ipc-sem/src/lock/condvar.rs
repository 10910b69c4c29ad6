//! A condition variable that survives the death of waiters.
#![expect(unsafe_code, reason = "it says of itself that it may be shared")]

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use ipc_core::{Caps, ErrorKind, Mechanism, Persistence, Result, Shape, Wait};

use super::mutex::MutexGuard;
use super::owner::LockError;
use super::sequence::{self, Word};
use crate::futex;
use crate::shared::Shareable;

/// A condition variable in shared memory, for [`Mutex`](crate::Mutex)es: a futex with a sequence counter of its
/// own.
///
/// Not the C library's, which counts its waiters in groups, and hangs for ever when one of them was killed.
/// So C programs cannot use it.
///
/// # When a process dies
///
/// - A **waiter** that is killed, at any moment, takes nothing from the others: every notification wakes all who
///   sleep, and they look for themselves.
/// - A **notifier** that is killed between its change and its notification: those who wait look for themselves
///   every 100 ms all the same, and find the change, or get [`LockError::OwnerDied`] where the notifier has died with
///   the mutex.
///
/// So a wait may end without a notification, as with condition variables in any case. Look, or use
/// [`wait_while`](Self::wait_while).
///
/// # Limits
///
/// A waiter that is stopped between unlocking and going to sleep misses its wake-up if 2³⁰ notifications of others
/// who wait, or a multiple, happen meanwhile; it looks for itself then.
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_sem::{Condvar, Mutex, Shared};
///
/// let queue = Shared::<(Mutex<u32>, Condvar)>::new((0, ()))?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         *queue.0.lock().unwrap() += 1;
///         queue.1.notify_one();
///     });
///     let guard = queue.0.lock()?;
///     let (mut guard, _) = queue.1.wait_while(guard, Wait::Forever, |left| *left == 0)?;
///     *guard -= 1;
///     Ok::<(), ipc_core::Error>(())
/// })?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `futex`(2), `pthread_cond_wait`(3).
#[doc(alias("pthread_cond_t", "pthread_cond_wait"))]
#[repr(transparent)]
pub struct Condvar(AtomicU32);

/// Why a wait has ended.
///
/// # Examples
///
/// See [`Condvar::wait_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// A notification, or nothing at all.
    Woken,
    /// The deadline passed first.
    TimedOut,
}

/// What waiting gives.
type Relocked<'a, T> = Result<(MutexGuard<'a, T>, Waited), LockError<MutexGuard<'a, T>>>;

impl Condvar {
    /// Unlocks, sleeps until notified, and locks again.
    ///
    /// It may return without a notification, and does so every 100 ms.
    ///
    /// # Errors
    ///
    /// Those of [`Mutex::lock`](crate::Mutex::lock), from locking again.
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
    ) -> Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>> {
        Ok(self.wait_with(guard, Wait::Forever)?.0)
    }

    /// Unlocks, sleeps until notified or the deadline passes, and locks again.
    ///
    /// It may return without a notification. Locking again is not bound by the deadline. With
    /// [`Wait::Never`] the mutex is not unlocked.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait). That the deadline passed is no error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ipc_sem::{Condvar, Mutex, Shared, Waited};
    ///
    /// let pair = Shared::<(Mutex<u32>, Condvar)>::new((0, ()))?;
    /// let guard = pair.0.lock()?;
    /// let (_guard, waited) = pair.1.wait_with(guard, Duration::from_millis(1).into())?;
    /// assert_eq!(waited, Waited::TimedOut);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn wait_with<'a, T>(&self, guard: MutexGuard<'a, T>, wait: Wait) -> Relocked<'a, T> {
        if wait.remaining().is_some_and(|left| left.is_zero()) {
            return Ok((guard, Waited::TimedOut));
        }
        let mutex = guard.mutex();
        let word = sequence::prepare(&self.0);
        guard.unlock()?;
        let waited = match futex::doze(&self.0, word, wait) {
            Ok(()) => Waited::Woken,
            Err(error) if error.kind() == ErrorKind::TimedOut => Waited::TimedOut,
            Err(error) => return Err(error.into()),
        };
        Ok((mutex.lock()?, waited))
    }

    /// Waits as long as `condition` holds, or until the deadline passes: then [`Waited::TimedOut`], and the
    /// condition still holds.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    pub fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        wait: Wait,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Relocked<'a, T> {
        let mut waited = Waited::Woken;
        loop {
            if !condition(&mut guard) {
                return Ok((guard, Waited::Woken));
            }
            if waited == Waited::TimedOut {
                return Ok((guard, waited));
            }
            (guard, waited) = self.wait_with(guard, wait)?;
        }
    }

    /// Wakes those who wait, of whom one would do. Without any, it is no system call.
    ///
    /// It wakes all of them, as [`notify_all`](Self::notify_all) does: the one that would be chosen may be killed
    /// before it does anything, and nobody would know. It says what the program means.
    ///
    /// Change what they wait for with the mutex held; this may be called with it or without.
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    #[doc(alias = "pthread_cond_signal")]
    #[inline]
    pub fn notify_one(&self) {
        sequence::notify(&self.0);
    }

    /// Wakes all who wait. Without any, it is no system call.
    ///
    /// # Examples
    ///
    /// See [`Condvar`].
    #[doc(alias = "pthread_cond_broadcast")]
    #[inline]
    pub fn notify_all(&self) {
        sequence::notify(&self.0);
    }
}

impl Word for AtomicU32 {
    #[inline]
    fn load(&self) -> u32 {
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn compare_exchange(&self, old: u32, new: u32) -> bool {
        self.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    #[inline]
    fn wake_all(&self) {
        futex::wake(self, u32::MAX);
    }
}

// SAFETY: it is an atomic, of which any value is good.
unsafe impl Shareable for Condvar {
    type Init = ();

    unsafe fn init(this: *mut Self, (): ()) -> Result<()> {
        // SAFETY: the caller promises the place.
        unsafe { this.write(Self(AtomicU32::new(0))) };
        Ok(())
    }

    fn describe(to: &mut String) {
        to.push_str("Condvar");
    }
}

impl Mechanism for Condvar {
    const NAME: &'static str = "mutex-condvar";
    const CAPS: Caps = Caps::new(Shape::Notification)
        .anonymous()
        .named()
        .persistence(Persistence::Process)
        .coalesces();
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_notifications_wraps_around() {
        let condvar = Condvar(AtomicU32::new(!3));
        let ready = sequence::prepare(&condvar.0);
        assert_eq!(ready, !3 | 1);
        condvar.notify_one();
        assert_eq!(condvar.0.load(Ordering::Relaxed), 0);
        // Who has got ready before does not sleep.
        assert_eq!(futex::wait(&condvar.0, ready, Wait::Forever), Ok(()));
        assert_eq!(sequence::prepare(&condvar.0), 1);
        condvar.notify_all();
        assert_eq!(condvar.0.load(Ordering::Relaxed), 4);
        condvar.notify_all();
        assert_eq!(condvar.0.load(Ordering::Relaxed), 4, "nobody waits");
    }
}

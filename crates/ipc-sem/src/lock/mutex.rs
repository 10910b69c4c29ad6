//! A mutex that survives the death of its holder.
#![expect(unsafe_code, reason = "a lock gives access to what it protects")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use ipc_core::{Caps, Mechanism, Persistence, Result, Shape, Wait};
use ipc_fd::kind::os;

use super::owner::{LockError, OwnerDied, Sealed};
use super::{lock_with, unlock};
use crate::shared::{Plain, Shareable, describe_plain};
use crate::sys::mutex::{Got, RawMutex};

/// A mutex in shared memory: the C library's, robust and shared between processes (`pthread_mutex_lock`).
///
/// It is an object of a [`Shared`](crate::Shared), alone or beside others. What a C program sees at its place is
/// a structure of a `pthread_mutex_t` and a `T`.
///
/// # When the holder dies
///
/// The kernel notices, whatever the process died of, also a thread that ends, or `exec`. Who waits for the lock,
/// or comes next, gets it, as [`LockError::OwnerDied`], and decides whether what it protects is whole: see
/// [`OwnerDied`]. Nobody waits for a dead process.
///
/// A **panic** unlocks, as the guard is dropped: it does not poison. A process that catches panics repairs what
/// it was changing first.
///
/// # Errors
///
/// Of all ways to lock, in [`LockError::Failed`]:
///
/// - [`WouldBlock`](ipc_core::ErrorKind::WouldBlock) and [`TimedOut`](ipc_core::ErrorKind::TimedOut);
/// - [`InvalidInput`](ipc_core::ErrorKind::InvalidInput) when this thread holds the lock already;
/// - [`Corrupted`](ipc_core::ErrorKind::Corrupted) when a holder died, and who was told so gave the lock up
///   without [`recover`](OwnerDied::recover): it is **unrecoverable**, for ever. Make a new one.
///
/// # Limits
///
/// A thread that dies with more than 2048 locks leaves the rest locked for ever (`ROBUST_LIST_LIMIT` of the
/// kernel).
///
/// # Platform
///
/// The GNU C library, 2.30 or later. All processes use the same C library, of the same word size, and are in the
/// same PID namespace: the holder is known by its thread's number. Whoever attaches from another one is refused.
///
/// # Examples
///
/// ```
/// use ipc_sem::{Mutex, Shared};
///
/// let numbers = Shared::<Mutex<[u32; 4]>>::new([0; 4])?;
/// let mut guard = numbers.lock()?;
/// guard[2] = 7;
/// drop(guard);
/// assert_eq!(*numbers.lock()?, [0, 0, 7, 0]);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `pthread_mutexattr_setrobust`(3), `pthread_mutexattr_setpshared`(3), `get_robust_list`(2).
#[doc(alias("pthread_mutex_t", "pthread_mutex_lock", "PTHREAD_MUTEX_ROBUST"))]
#[repr(C)]
pub struct Mutex<T> {
    raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one thread at a time, which holds the lock.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// What the thread that holds a [`Mutex`] has: access, until it is dropped.
///
/// It stays in the thread that locked. A forked child's copy unlocks nothing, and must not be used.
///
/// # Examples
///
/// See [`Mutex`].
#[must_use = "the lock is given back when it is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// The thread that locked must unlock.
    stays: PhantomData<*const ()>,
}

// SAFETY: through a shared guard there is a shared value.
unsafe impl<T: Sync> Sync for MutexGuard<'_, T> {}

/// What locking gives.
type Locked<'a, T> = Result<MutexGuard<'a, T>, LockError<MutexGuard<'a, T>>>;

impl<T> Mutex<T> {
    /// Locks, as `wait` says.
    ///
    /// # Errors
    ///
    /// See [`Mutex`].
    #[inline]
    pub fn lock_with(&self, wait: Wait) -> Locked<'_, T> {
        let got = lock_with(&self.raw, wait)?;
        let guard = MutexGuard { mutex: self, stays: PhantomData };
        match got {
            Got::Clean => Ok(guard),
            Got::OwnerDied => Err(LockError::OwnerDied(OwnerDied::new(guard))),
        }
    }

    /// Locks, and blocks until it can.
    ///
    /// # Errors
    ///
    /// See [`Mutex`].
    #[inline]
    pub fn lock(&self) -> Locked<'_, T> {
        self.lock_with(Wait::Forever)
    }

    /// Locks if it can do so now.
    ///
    /// # Errors
    ///
    /// See [`Mutex`].
    #[inline]
    pub fn try_lock(&self) -> Locked<'_, T> {
        self.lock_with(Wait::Never)
    }

    /// Locks, and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`Mutex`].
    pub fn lock_timeout(&self, timeout: Duration) -> Locked<'_, T> {
        self.lock_with(Wait::timeout(timeout))
    }
}

impl<'a, T> MutexGuard<'a, T> {
    /// Unlocks, and says if that was refused.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) (`EPERM`) in a thread that has not locked it:
    /// a forked child has a copy of a guard, but not the lock. The lock stays as it is.
    pub fn unlock(self) -> Result<()> {
        let guard = ManuallyDrop::new(self);
        unlock(&guard.mutex.raw)
    }

    /// The mutex that it is of.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Sealed for MutexGuard<'_, T> {
    fn vouch(&mut self) {
        self.mutex.raw.consistent();
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this thread holds the lock, and nobody writes to the value but through a guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread holds the lock, by this guard alone; nobody else reaches the value.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Refused to a forked child's copy, which has nothing to unlock.
        let _ = self.mutex.raw.unlock();
    }
}

// SAFETY: `init` makes a mutex that is shared between processes; the value holds no address; and the addresses in
// a locked mutex are the C library's own affair.
unsafe impl<T: Plain> Shareable for Mutex<T> {
    type Init = T;

    const KNOWS_THREADS: bool = true;

    unsafe fn init(this: *mut Self, value: T) -> Result<()> {
        // SAFETY: the caller promises the place.
        let raw = unsafe { &raw mut (*this).raw };
        // SAFETY: a part of the caller's place.
        unsafe { RawMutex::init(raw) }.map_err(os("pthread_mutex_init"))?;
        // SAFETY: the caller promises the place.
        let to = unsafe { &raw mut (*this).value };
        // SAFETY: a part of the caller's place.
        unsafe { to.write(UnsafeCell::new(value)) };
        Ok(())
    }

    fn describe(to: &mut String) {
        to.push_str("Mutex<");
        describe_plain::<T>(to);
        to.push('>');
    }

    fn is_held_here(&self) -> bool {
        self.raw.is_held_here()
    }
}

impl<T> Mechanism for Mutex<T> {
    const NAME: &'static str = "mutex";
    const CAPS: Caps = Caps::new(Shape::Semaphore)
        .anonymous()
        .named()
        .persistence(Persistence::Process)
        .reports_peer_death();
}

/// Without the value, which somebody may be changing.
impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

//! Readers and writers, any of whom may die.
//!
//! Every reader holds a robust mutex of its own, a *place*; a writer holds a mutex for writers, the *gate*, and
//! then all places. So there is nothing to count, and the kernel itself gives back what a dead process held.
#![expect(unsafe_code, reason = "a lock gives access to what it protects")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Persistence, Result, Shape, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;

use super::owner::{LockError, OwnerDied, Sealed};
use super::{lock_error, lock_with};
use crate::shared::{Plain, Shareable, describe_plain};
use crate::sys::mutex::{Got, RawMutex};

/// How many readers there can be at the same time.
const PLACES: usize = 16;

/// A lock in shared memory for many readers or one writer.
///
/// It is made of robust mutexes, one for each of 16 readers and one for writers. Writers come before readers that
/// come later. It costs a reader what a mutex costs, and a writer 17 times that.
///
/// # When a process dies
///
/// - A **reader**: nothing has happened. The writer that waits for it goes on.
/// - A **writer**: what the lock protects may be half changed. A reader is told so
///   ([`ErrorKind::OwnerDied`]) and does not get the lock; a writer gets it as [`LockError::OwnerDied`], repairs
///   it and calls [`recover`](OwnerDied::recover). Until that happens, everybody is told. (So it never becomes
///   unrecoverable, as a [`Mutex`](crate::Mutex) can.)
/// - A writer that is still **waiting**: nothing has happened.
///
/// # Errors
///
/// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`];
/// - [`ErrorKind::OwnerDied`] for readers, as above;
/// - [`ErrorKind::InvalidInput`] when this thread waits for itself: it is the writer, or wants to write and
///   reads.
///
/// # Limits
///
/// A seventeenth reader waits for one of the others.
///
/// # Limitations
///
/// A thread that reads may get the lock a second time, but not while a writer waits: then it waits for itself, for
/// ever without a deadline.
///
/// # Platform
///
/// As for [`Mutex`](crate::Mutex).
///
/// # Examples
///
/// ```
/// use ipc_sem::{RwLock, Shared};
///
/// let prices = Shared::<RwLock<[u64; 3]>>::new([10, 20, 30])?;
/// {
///     let one = prices.read()?;
///     let two = prices.read()?;
///     assert_eq!(one[0] + two[1], 30);
/// }
/// prices.write()?[2] = 35;
/// assert_eq!(prices.read()?[2], 35);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[doc(alias = "pthread_rwlock_t")]
#[repr(C)]
pub struct RwLock<T> {
    gate: Place,
    /// A writer holds the gate, or has died with it.
    pending: AtomicU32,
    /// A writer holds everything, or has died with it.
    writing: AtomicU32,
    places: [Place; PLACES],
    value: UnsafeCell<T>,
}

/// A mutex in a cache line of its own.
#[repr(C, align(64))]
struct Place(RawMutex);

// SAFETY: the value is reached by readers together, which do not change it, or by one writer.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}

/// What a reader of a [`RwLock`] has, until it is dropped. It stays in its thread.
///
/// # Examples
///
/// See [`RwLock`].
#[must_use = "the lock is given back when it is dropped"]
pub struct ReadGuard<'a, T> {
    lock: &'a RwLock<T>,
    place: &'a Place,
    stays: PhantomData<*const ()>,
}

// SAFETY: through a shared guard there is a shared value.
unsafe impl<T: Sync> Sync for ReadGuard<'_, T> {}

/// What the writer of a [`RwLock`] has, until it is dropped. It stays in its thread.
///
/// # Examples
///
/// See [`RwLock`].
#[must_use = "the lock is given back when it is dropped"]
pub struct WriteGuard<'a, T> {
    lock: &'a RwLock<T>,
    /// Whether what it protects is whole once this writer is done.
    whole: bool,
    stays: PhantomData<*const ()>,
}

// SAFETY: through a shared guard there is a shared value.
unsafe impl<T: Sync> Sync for WriteGuard<'_, T> {}

/// What locking for writing gives.
type Written<'a, T> = Result<WriteGuard<'a, T>, LockError<WriteGuard<'a, T>>>;

impl Place {
    /// Locks it. Whoever died with it left nothing half done that is not said elsewhere.
    #[inline]
    fn lock(&self, wait: Wait) -> Result<()> {
        if lock_with(&self.0, wait)? == Got::OwnerDied {
            self.0.consistent();
        }
        Ok(())
    }

    #[inline]
    fn try_lock(&self) -> Result<(), Errno> {
        if self.0.try_lock()? == Got::OwnerDied {
            self.0.consistent();
        }
        Ok(())
    }

    #[inline]
    fn unlock(&self) {
        // Refused to a forked child's copy of a guard, which has nothing to unlock.
        let _ = self.0.unlock();
    }
}

impl<T> RwLock<T> {
    /// Locks for reading, as `wait` says.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn read_with(&self, wait: Wait) -> Result<ReadGuard<'_, T>> {
        let place = if self.pending.load(Ordering::Acquire) == 0 {
            self.take_place(wait)?
        } else {
            // Behind the writer. Who holds the gate knows that no writer lives.
            self.gate.lock(wait)?;
            let place = self.take_place(wait);
            self.pending.store(0, Ordering::Release);
            self.gate.unlock();
            place?
        };
        // Whoever reads this holds a place, so that no living writer holds all of them.
        if self.writing.load(Ordering::Acquire) != 0 {
            place.unlock();
            return Err(Error::new(ErrorKind::OwnerDied, "lock for reading")
                .with_note("a writer died: let a writer repair and recover what it left"));
        }
        Ok(ReadGuard { lock: self, place, stays: PhantomData })
    }

    /// Locks for reading, and blocks until it can.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn read(&self) -> Result<ReadGuard<'_, T>> {
        self.read_with(Wait::Forever)
    }

    /// Locks for reading if it can do so now.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>> {
        self.read_with(Wait::Never)
    }

    /// Locks for reading, and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn read_timeout(&self, timeout: Duration) -> Result<ReadGuard<'_, T>> {
        self.read_with(Wait::timeout(timeout))
    }

    /// Locks for writing, as `wait` says.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn write_with(&self, wait: Wait) -> Written<'_, T> {
        self.gate.lock(wait)?;
        self.pending.store(1, Ordering::Release);
        for (taken, place) in self.places.iter().enumerate() {
            if let Err(error) = place.lock(wait) {
                self.places[..taken].iter().for_each(Place::unlock);
                self.open_gate();
                return Err(error.into());
            }
        }
        let died = self.writing.swap(1, Ordering::AcqRel) != 0;
        let guard = WriteGuard { lock: self, whole: !died, stays: PhantomData };
        if died {
            return Err(LockError::OwnerDied(OwnerDied::new(guard)));
        }
        Ok(guard)
    }

    /// Locks for writing, and blocks until it can.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn write(&self) -> Written<'_, T> {
        self.write_with(Wait::Forever)
    }

    /// Locks for writing if it can do so now.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn try_write(&self) -> Written<'_, T> {
        self.write_with(Wait::Never)
    }

    /// Locks for writing, and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`RwLock`].
    pub fn write_timeout(&self, timeout: Duration) -> Written<'_, T> {
        self.write_with(Wait::timeout(timeout))
    }

    fn open_gate(&self) {
        self.pending.store(0, Ordering::Release);
        self.gate.unlock();
    }

    /// Locks one place, whichever can be had.
    #[inline]
    fn take_place(&self, wait: Wait) -> Result<&Place> {
        let first = &self.places[favourite()];
        match first.try_lock() {
            Ok(()) => Ok(first),
            Err(_) => self.take_other_place(wait),
        }
    }

    #[cold]
    fn take_other_place(&self, wait: Wait) -> Result<&Place> {
        let from = favourite();
        let mut others = (0..PLACES).map(|n| &self.places[(from + n) % PLACES]);
        let mut theirs = None;
        let free = others.find(|place| match place.try_lock() {
            Ok(()) => true,
            Err(errno) => {
                if errno == Errno::BUSY {
                    theirs = theirs.or(Some(*place));
                }
                false
            }
        });
        if let Some(place) = free {
            return Ok(place);
        }
        // For one that is not this thread's own.
        let place = theirs.ok_or_else(|| lock_error(Errno::DEADLK, wait))?;
        place.lock(wait)?;
        Ok(place)
    }
}

/// The place that this thread tries first: others than its neighbours'.
fn favourite() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static FAVOURITE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    FAVOURITE.with(|favourite| {
        favourite.get().unwrap_or_else(|| {
            let count = NEXT.fetch_add(1, Ordering::Relaxed);
            let place = (std::process::id() as usize).wrapping_add(count) % PLACES;
            favourite.set(Some(place));
            place
        })
    })
}

impl<T> Sealed for WriteGuard<'_, T> {
    fn vouch(&mut self) {
        self.whole = true;
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this thread holds a place, so that nobody writes.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this thread holds all places, so that nobody else reads or writes.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and by this guard alone.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.place.unlock();
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        // A forked child's copy has nothing to unlock, and must not say that the parent has done with it.
        if !self.lock.gate.0.is_held_by_this_thread() {
            return;
        }
        if self.whole {
            self.lock.writing.store(0, Ordering::Release);
        }
        self.lock.places.iter().for_each(Place::unlock);
        self.lock.open_gate();
    }
}

// SAFETY: `init` makes mutexes that are shared between processes, the value holds no address, and the rest are
// atomics.
unsafe impl<T: Plain + Sync> Shareable for RwLock<T> {
    type Init = T;

    const KNOWS_THREADS: bool = true;

    unsafe fn init(this: *mut Self, value: T) -> Result<()> {
        // SAFETY: the caller promises the place. The atomics in it are zero already.
        let gate = unsafe { &raw mut (*this).gate };
        // SAFETY: as above.
        let places = unsafe { &raw mut (*this).places };
        let first = places.cast::<Place>();
        for place in (0..PLACES).map(|n| first.wrapping_add(n)).chain([gate]) {
            // SAFETY: a part of the caller's place, and a place begins with its mutex.
            unsafe { RawMutex::init(place.cast()) }.map_err(os("pthread_mutex_init"))?;
        }
        // SAFETY: the caller promises the place.
        let to = unsafe { &raw mut (*this).value };
        // SAFETY: a part of the caller's place.
        unsafe { to.write(UnsafeCell::new(value)) };
        Ok(())
    }

    fn describe(to: &mut String) {
        to.push_str("RwLock<");
        describe_plain::<T>(to);
        to.push('>');
    }

    fn is_held_here(&self) -> bool {
        self.gate.0.is_held_here() || self.places.iter().any(|place| place.0.is_held_here())
    }
}

impl<T> Mechanism for RwLock<T> {
    const NAME: &'static str = "rwlock";
    const CAPS: Caps = Caps::new(Shape::Semaphore)
        .anonymous()
        .named()
        .persistence(Persistence::Process)
        .reports_peer_death();
}

/// Without the value, which somebody may be changing.
impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for WriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

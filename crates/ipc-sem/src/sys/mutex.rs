//! `pthread_mutex_t`, robust and shared between processes: one function for each call.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use rustix::io::Errno;

use super::monotonic;

// Not in the `libc` crate for glibc; the third since 2.30.
unsafe extern "C" {
    fn pthread_mutexattr_setrobust(
        attr: *mut libc::pthread_mutexattr_t,
        robust: libc::c_int,
    ) -> libc::c_int;
    fn pthread_mutex_consistent(mutex: *mut libc::pthread_mutex_t) -> libc::c_int;
    fn pthread_mutex_clocklock(
        mutex: *mut libc::pthread_mutex_t,
        clock: libc::clockid_t,
        deadline: *const libc::timespec,
    ) -> libc::c_int;
}

/// `PTHREAD_MUTEX_ROBUST`
const ROBUST: libc::c_int = 1;

/// What stands in the lock's word beside the holder's thread id: that somebody waits, and that the holder has
/// died. The kernel knows the word (`FUTEX_TID_MASK`).
const TID_MASK: u32 = 0x3fff_ffff;

/// A robust mutex in shared memory, which tells who locks it twice or unlocks what it has not locked.
///
/// Invariant: it was initialised, stays where it is, and only the C libraries of processes that keep to their
/// rules have written to it. Whoever makes a reference to one upholds that. While it is locked, the locking
/// thread's list of robust mutexes leads through it.
#[repr(transparent)]
pub(crate) struct RawMutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: being used by several threads is what it is for.
unsafe impl Send for RawMutex {}
// SAFETY: as above.
unsafe impl Sync for RawMutex {}

/// How a lock was got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// As it should be.
    Clean,
    /// Its holder has died with it (`EOWNERDEAD`).
    OwnerDied,
}

/// What a call that returns an errno or zero says.
#[inline]
fn got(returned: libc::c_int) -> Result<Got, Errno> {
    match returned {
        0 => Ok(Got::Clean),
        libc::EOWNERDEAD => Ok(Got::OwnerDied),
        errno => Err(Errno::from_raw_os_error(errno)),
    }
}

#[inline]
fn done(returned: libc::c_int) -> Result<(), Errno> {
    if returned == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(returned)) }
}

impl RawMutex {
    /// `pthread_mutex_init`, robust, for processes, and checking for errors.
    ///
    /// # Safety
    ///
    /// `this` is valid for writes, aligned, and nobody uses it yet.
    pub(crate) unsafe fn init(this: *mut Self) -> Result<(), Errno> {
        let mut attr = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let attr = attr.as_mut_ptr();
        // SAFETY: there is room for the attributes.
        done(unsafe { libc::pthread_mutexattr_init(attr) })?;
        // SAFETY: they were initialised, here and below.
        done(unsafe { libc::pthread_mutexattr_setpshared(attr, libc::PTHREAD_PROCESS_SHARED) })?;
        // SAFETY: as above.
        done(unsafe { pthread_mutexattr_setrobust(attr, ROBUST) })?;
        // SAFETY: as above.
        done(unsafe { libc::pthread_mutexattr_settype(attr, libc::PTHREAD_MUTEX_ERRORCHECK) })?;
        // SAFETY: the caller promises the place; the cell has the layout of what is in it.
        done(unsafe { libc::pthread_mutex_init(this.cast(), attr) })
    }

    /// `pthread_mutex_lock`
    #[inline]
    pub(crate) fn lock(&self) -> Result<Got, Errno> {
        // SAFETY: the type's invariant.
        got(unsafe { libc::pthread_mutex_lock(self.0.get()) })
    }

    /// `pthread_mutex_trylock`
    #[inline]
    pub(crate) fn try_lock(&self) -> Result<Got, Errno> {
        // SAFETY: the type's invariant.
        let result = got(unsafe { libc::pthread_mutex_trylock(self.0.get()) });
        if result == Err(Errno::NOTRECOVERABLE) {
            self.give_back();
        }
        result
    }

    /// Undoes what glibc's `pthread_mutex_trylock` forgets: of a mutex that is unrecoverable and free, it leaves
    /// the lock's word taken by this thread (seen in 2.36), so that others would wait for it.
    #[cold]
    fn give_back(&self) {
        let word = self.word();
        let tid = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let taken = word.load(Ordering::Relaxed);
        if taken & TID_MASK == tid
            && word.compare_exchange(taken, 0, Ordering::Release, Ordering::Relaxed).is_ok()
        {
            crate::futex::wake(word, u32::MAX);
        }
    }

    /// The word that the kernel looks at when a holder dies.
    fn word(&self) -> &AtomicU32 {
        // SAFETY: a lock that the kernel can clean up begins with a word for it, which is reached by atomic
        // operations alone.
        unsafe { &*self.0.get().cast::<AtomicU32>() }
    }

    /// `pthread_mutex_clocklock(CLOCK_MONOTONIC)`
    pub(crate) fn lock_until(&self, deadline: Instant) -> Result<Got, Errno> {
        let at = monotonic(deadline);
        // SAFETY: the type's invariant; the time outlives the call.
        let returned =
            unsafe { pthread_mutex_clocklock(self.0.get(), libc::CLOCK_MONOTONIC, &raw const at) };
        got(returned)
    }

    /// `pthread_mutex_unlock`, which refuses (`EPERM`) every thread but the one that has locked it. Without
    /// [`consistent`](Self::consistent) before, after `OwnerDied`, nobody will lock it again.
    #[inline]
    pub(crate) fn unlock(&self) -> Result<(), Errno> {
        // SAFETY: the type's invariant.
        done(unsafe { libc::pthread_mutex_unlock(self.0.get()) })
    }

    /// `pthread_mutex_consistent`
    pub(crate) fn consistent(&self) {
        // SAFETY: the type's invariant. It fails for who has not got `OwnerDied`, and nothing happens then.
        unsafe { pthread_mutex_consistent(self.0.get()) };
    }

    /// Whether this thread holds it, and not the one of which this process is a forked copy. For locks whose
    /// holder's death is told by something else too.
    pub(crate) fn is_held_by_this_thread(&self) -> bool {
        match self.try_lock() {
            // It checks for errors.
            Err(errno) => errno == Errno::DEADLK,
            Ok(got) => {
                if got == Got::OwnerDied {
                    self.consistent();
                }
                let _ = self.unlock();
                false
            }
        }
    }

    /// Whether a thread of this process holds it: then the memory must stay mapped.
    pub(crate) fn is_held_here(&self) -> bool {
        let tid = self.word().load(Ordering::Relaxed) & TID_MASK;
        tid != 0 && std::path::Path::new(&format!("/proc/self/task/{tid}")).exists()
    }
}

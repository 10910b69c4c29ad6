//! `sem_t`: one safe function for each call.

use std::cell::UnsafeCell;
use std::time::Instant;

use rustix::io::Errno;

use super::{check, monotonic};

// glibc 2.30; not in the `libc` crate.
unsafe extern "C" {
    fn sem_clockwait(
        sem: *mut libc::sem_t,
        clock: libc::clockid_t,
        deadline: *const libc::timespec,
    ) -> libc::c_int;
    fn sem_getvalue(sem: *mut libc::sem_t, value: *mut libc::c_int) -> libc::c_int;
}

/// The greatest value: `SEM_VALUE_MAX`.
pub(crate) const MAX: u32 = i32::MAX.cast_unsigned();

/// A semaphore in shared memory.
///
/// It is two integers that the C library reaches by atomic operations alone, and none is an address: whatever
/// stands there, using it is sound.
#[repr(transparent)]
pub(crate) struct RawSem(UnsafeCell<libc::sem_t>);

// SAFETY: it is used by atomic operations alone; being shared is what it is for.
unsafe impl Send for RawSem {}
// SAFETY: as above.
unsafe impl Sync for RawSem {}

impl RawSem {
    /// `sem_init`, for processes.
    ///
    /// # Safety
    ///
    /// `this` is valid for writes, aligned, and nobody uses it yet.
    pub(crate) unsafe fn init(this: *mut Self, value: u32) -> Result<(), Errno> {
        // SAFETY: the caller promises it; the cell has the layout of what is in it.
        check(unsafe { libc::sem_init(this.cast(), 1, value) }).map(drop)
    }

    /// `sem_post`
    #[inline]
    pub(crate) fn post(&self) -> Result<(), Errno> {
        // SAFETY: it is in memory that lives as long as the reference.
        check(unsafe { libc::sem_post(self.0.get()) }).map(drop)
    }

    /// `sem_trywait`
    #[inline]
    pub(crate) fn try_wait(&self) -> Result<(), Errno> {
        // SAFETY: as for `post`.
        check(unsafe { libc::sem_trywait(self.0.get()) }).map(drop)
    }

    /// `sem_wait`
    #[inline]
    pub(crate) fn wait(&self) -> Result<(), Errno> {
        // SAFETY: as for `post`.
        check(unsafe { libc::sem_wait(self.0.get()) }).map(drop)
    }

    /// `sem_clockwait(CLOCK_MONOTONIC)`
    pub(crate) fn wait_until(&self, deadline: Instant) -> Result<(), Errno> {
        let at = monotonic(deadline);
        // SAFETY: as for `post`; the time outlives the call.
        let result = unsafe { sem_clockwait(self.0.get(), libc::CLOCK_MONOTONIC, &raw const at) };
        check(result).map(drop)
    }

    /// `sem_getvalue`
    pub(crate) fn value(&self) -> u32 {
        let mut value = 0;
        // SAFETY: as for `post`; the call writes one integer. It cannot fail.
        unsafe { sem_getvalue(self.0.get(), &raw mut value) };
        u32::try_from(value).unwrap_or(0)
    }
}

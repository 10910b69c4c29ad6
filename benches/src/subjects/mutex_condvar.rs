//! A number behind a mutex, and a condition variable, for each direction.
#![expect(unsafe_code, reason = "the raw variant exists to call the C library without any help")]

use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::AsFd;
use std::process::Command;

use anyhow::{Result, ensure};
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Error, Handoff, Mechanism, Region, Wait};
use ipc_sem::{Condvar, LockError, Mutex, MutexGuard, Shared};
use ipc_shm::{Memfd, MemfdOptions};

use super::semaphores::{Permits, Permitting};
use super::signals::one;
use crate::patience::Patience;
use crate::{Subject, VariantEntry};

/// Who does nothing but take the mutex and look keeps the other from it: which of the two gets it is chance, and would
/// be all that a cell of spinning shows.
const WAITS: &[WaitMode] = &[WaitMode::Block, WaitMode::Adaptive];

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "mutex-condvar",
    krate: "ipc-sem",
    summary: "robust mutex and condition variable in shared memory: the death of a holder is told",
    caps: Condvar::CAPS,
    variants: &[
        VariantEntry::of::<Permitting<Ours>>(Variant::Ours).waits(WAITS),
        VariantEntry::of::<Permitting<Bare>>(Variant::Raw).waits(WAITS),
    ],
};

/// How many were posted and not taken.
type Count = Shared<(Mutex<u64>, Condvar)>;

/// Our crate's locks.
struct Ours(Count);

/// The other process has died, and there is nothing to repair.
#[cold]
fn failed(error: LockError<MutexGuard<'_, u64>>) -> anyhow::Error {
    Error::from(error).into()
}

impl Permits for Ours {
    fn pair() -> Result<(Self, Self)> {
        let one = Count::new((0, ()))?;
        let fd = one.as_fd().try_clone_to_owned()?;
        Ok((Self(one), Self(Count::try_from(fd).map_err(|rejected| rejected.error)?)))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        Ok(self.0.give(command, key).map_err(|rejected| rejected.error)?)
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self(Count::adopt(key)?))
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        *self.0.0.lock().map_err(failed)? += 1;
        self.0.1.notify_one();
        Ok(())
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        let mut patience = Patience::of(wait);
        let mut count = self.0.0.lock().map_err(failed)?;
        while *count == 0 {
            if patience.is_over() {
                count = self.0.1.wait_with(count, Wait::Forever).map_err(failed)?.0;
            } else {
                drop(count);
                std::hint::spin_loop();
                count = self.0.0.lock().map_err(failed)?;
            }
        }
        one(std::mem::take(&mut *count))
    }

    fn has_one(&mut self) -> Result<bool> {
        Ok(*self.0.0.lock().map_err(failed)? > 0)
    }
}

/// The C library's mutex and condition variable, of which the latter hangs for ever when a waiter is killed.
#[repr(C)]
struct Place {
    mutex: libc::pthread_mutex_t,
    more: libc::pthread_cond_t,
    count: u64,
}

unsafe extern "C" {
    fn pthread_mutexattr_setrobust(
        attr: *mut libc::pthread_mutexattr_t,
        robust: libc::c_int,
    ) -> libc::c_int;
}

/// `PTHREAD_MUTEX_ROBUST`
const ROBUST: libc::c_int = 1;

/// The same by bare calls of the C library.
struct Bare {
    mutex: *mut libc::pthread_mutex_t,
    more: *mut libc::pthread_cond_t,
    count: *mut u64,
    memory: Memfd,
}

fn check(errno: libc::c_int) -> Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno).into()) }
}

/// Invariant: the three are in the memory, which stays mapped as long as the value lives, and are made before anything
/// but [`init`](Self::init) is called.
impl Bare {
    fn new(memory: Memfd) -> Result<Self> {
        ensure!(memory.len() >= size_of::<Place>(), "too small");
        let at = memory.base().as_ptr();
        let mutex = at.wrapping_add(offset_of!(Place, mutex)).cast();
        let more = at.wrapping_add(offset_of!(Place, more)).cast();
        let count = at.wrapping_add(offset_of!(Place, count)).cast();
        Ok(Self { mutex, more, count, memory })
    }

    /// Makes the two in new memory, which is zeroed.
    fn init(&self) -> Result<()> {
        const SHARED: libc::c_int = libc::PTHREAD_PROCESS_SHARED;
        let mut attr = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        let attr = attr.as_mut_ptr();
        // SAFETY: there is room for the attributes.
        check(unsafe { libc::pthread_mutexattr_init(attr) })?;
        // SAFETY: they were initialised, here and below.
        check(unsafe { libc::pthread_mutexattr_setpshared(attr, SHARED) })?;
        // SAFETY: as above.
        check(unsafe { pthread_mutexattr_setrobust(attr, ROBUST) })?;
        // SAFETY: there is room for it, aligned to a page, and nobody else has the memory yet.
        check(unsafe { libc::pthread_mutex_init(self.mutex, attr) })?;
        let mut attr = MaybeUninit::<libc::pthread_condattr_t>::uninit();
        let attr = attr.as_mut_ptr();
        // SAFETY: there is room for the attributes.
        check(unsafe { libc::pthread_condattr_init(attr) })?;
        // SAFETY: they were initialised.
        check(unsafe { libc::pthread_condattr_setpshared(attr, SHARED) })?;
        // SAFETY: as for the mutex.
        check(unsafe { libc::pthread_cond_init(self.more, attr) })
    }

    #[inline]
    fn lock(&self) -> Result<()> {
        // SAFETY: the invariant.
        check(unsafe { libc::pthread_mutex_lock(self.mutex) })
    }

    #[inline]
    fn unlock(&self) -> Result<()> {
        // SAFETY: the invariant.
        check(unsafe { libc::pthread_mutex_unlock(self.mutex) })
    }

    /// The count, of which this thread has the mutex.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the mutex decides who has it")]
    fn count(&self) -> &mut u64 {
        // SAFETY: the invariant; and who calls holds the mutex, and lets go of the reference before it unlocks.
        unsafe { &mut *self.count }
    }
}

impl Permits for Bare {
    fn pair() -> Result<(Self, Self)> {
        let memory = MemfdOptions::new(4096).create()?;
        let fd = memory.as_fd().try_clone_to_owned()?;
        let one = Self::new(memory)?;
        one.init()?;
        Ok((one, Self::new(Memfd::try_from(fd).map_err(|rejected| rejected.error)?)?))
    }

    fn give(self, command: &mut Command, key: &str) -> Result<()> {
        Ok(self.memory.give(command, key).map_err(|rejected| rejected.error)?)
    }

    fn adopt(key: &str) -> Result<Self> {
        Self::new(Memfd::adopt(key)?)
    }

    #[inline]
    fn post(&mut self) -> Result<()> {
        self.lock()?;
        *self.count() += 1;
        self.unlock()?;
        // SAFETY: the invariant.
        check(unsafe { libc::pthread_cond_signal(self.more) })
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        let mut patience = Patience::of(wait);
        self.lock()?;
        while *self.count() == 0 {
            if patience.is_over() {
                // SAFETY: the invariant; this thread has the mutex, and has it again afterwards.
                check(unsafe { libc::pthread_cond_wait(self.more, self.mutex) })?;
            } else {
                self.unlock()?;
                std::hint::spin_loop();
                self.lock()?;
            }
        }
        let count = std::mem::take(self.count());
        self.unlock()?;
        one(count)
    }

    fn has_one(&mut self) -> Result<bool> {
        self.lock()?;
        let some = *self.count() > 0;
        self.unlock()?;
        Ok(some)
    }
}

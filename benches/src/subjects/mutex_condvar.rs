//! A number behind a mutex, and a condition variable, for each direction.
#![expect(unsafe_code, reason = "the raw variant exists to call the C library without any help")]

use std::io;
use std::os::fd::AsFd;
use std::process::Command;

use anyhow::{Result, ensure};
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Error, Handoff, Mechanism, Region, Wait};
use ipc_sem::{Condvar, LockError, Mutex, MutexGuard, Shared};
use ipc_shm::{Memfd, MemfdOptions};

use super::semaphores::{Permits, Permitting};
use super::signals::one;
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "mutex-condvar",
    krate: "ipc-sem",
    summary: "robust mutex and condition variable in shared memory: the death of a holder is told",
    caps: Condvar::CAPS,
    variants: &[
        VariantEntry::of::<Permitting<Ours>>(Variant::Ours),
        VariantEntry::of::<Permitting<Bare>>(Variant::Raw),
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
        let mut count = self.0.0.lock().map_err(failed)?;
        while *count == 0 {
            if wait == WaitMode::Block {
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
    at: *mut Place,
    memory: Memfd,
}

fn check(errno: libc::c_int) -> Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno).into()) }
}

impl Bare {
    fn new(memory: Memfd) -> Result<Self> {
        ensure!(memory.len() >= size_of::<Place>(), "too small");
        Ok(Self { at: memory.base().as_ptr().cast(), memory })
    }

    /// Makes the two in new memory, which is zeroed.
    fn init(&self) -> Result<()> {
        // SAFETY: there is room for both, aligned to a page, and nobody else has the memory yet; the attributes
        // are integers, which the calls initialise.
        unsafe {
            let mut attr = std::mem::zeroed();
            check(libc::pthread_mutexattr_init(&raw mut attr))?;
            check(libc::pthread_mutexattr_setpshared(&raw mut attr, libc::PTHREAD_PROCESS_SHARED))?;
            check(pthread_mutexattr_setrobust(&raw mut attr, ROBUST))?;
            check(libc::pthread_mutex_init(&raw mut (*self.at).mutex, &raw const attr))?;
            let mut attr = std::mem::zeroed();
            check(libc::pthread_condattr_init(&raw mut attr))?;
            check(libc::pthread_condattr_setpshared(&raw mut attr, libc::PTHREAD_PROCESS_SHARED))?;
            check(libc::pthread_cond_init(&raw mut (*self.at).more, &raw const attr))
        }
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
        // SAFETY: both are mapped and were made; the count is this thread's while it holds the mutex.
        unsafe {
            check(libc::pthread_mutex_lock(&raw mut (*self.at).mutex))?;
            (*self.at).count += 1;
            check(libc::pthread_mutex_unlock(&raw mut (*self.at).mutex))?;
            check(libc::pthread_cond_signal(&raw mut (*self.at).more))
        }
    }

    #[inline]
    fn wait(&mut self, wait: WaitMode) -> Result<()> {
        // SAFETY: as above; waiting gives the mutex back meanwhile.
        unsafe {
            check(libc::pthread_mutex_lock(&raw mut (*self.at).mutex))?;
            while (*self.at).count == 0 {
                if wait == WaitMode::Block {
                    let (more, mutex) = (&raw mut (*self.at).more, &raw mut (*self.at).mutex);
                    check(libc::pthread_cond_wait(more, mutex))?;
                } else {
                    check(libc::pthread_mutex_unlock(&raw mut (*self.at).mutex))?;
                    std::hint::spin_loop();
                    check(libc::pthread_mutex_lock(&raw mut (*self.at).mutex))?;
                }
            }
            let count = std::mem::take(&mut (*self.at).count);
            check(libc::pthread_mutex_unlock(&raw mut (*self.at).mutex))?;
            one(count)
        }
    }

    fn has_one(&mut self) -> Result<bool> {
        // SAFETY: as above.
        unsafe {
            check(libc::pthread_mutex_lock(&raw mut (*self.at).mutex))?;
            let count = (*self.at).count;
            check(libc::pthread_mutex_unlock(&raw mut (*self.at).mutex))?;
            Ok(count > 0)
        }
    }
}

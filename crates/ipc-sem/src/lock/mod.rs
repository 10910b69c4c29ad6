//! Locks in shared memory.

mod barrier;
mod condvar;
mod event;
#[cfg(test)]
mod model;
mod mutex;
mod owner;
mod rwlock;
mod sequence;

pub use barrier::{Barrier, Member};
pub use condvar::{Condvar, Waited};
pub use event::{Event, Reset};
pub use mutex::{Mutex, MutexGuard};
pub use owner::{LockError, OwnerDied, Recover};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;

use crate::sys::mutex::{Got, RawMutex};

/// Locks a mutex as `wait` says.
#[inline]
fn lock_with(raw: &RawMutex, wait: Wait) -> Result<Got> {
    let got = match wait {
        Wait::Forever => raw.lock(),
        Wait::Never => raw.try_lock(),
        Wait::Until(deadline) => raw.lock_until(deadline),
    };
    got.map_err(|errno| lock_error(errno, wait))
}

#[cold]
fn lock_error(errno: Errno, wait: Wait) -> Error {
    let error = os("pthread_mutex_lock")(errno);
    match errno {
        Errno::BUSY | Errno::TIMEDOUT => error.with_kind(wait.exhausted()),
        Errno::DEADLK => {
            error.with_kind(ErrorKind::InvalidInput).with_note("this thread holds the lock already")
        }
        Errno::NOTRECOVERABLE => error.with_kind(ErrorKind::Corrupted).with_note(
            "its holder died, and who was told so gave it up without `recover`: make a new one",
        ),
        Errno::INVAL => error
            .with_kind(ErrorKind::Corrupted)
            .with_note("there is no mutex in this memory any more"),
        _ => error,
    }
}

/// Unlocks a mutex, if this thread has locked it: a forked child's copy of a guard has not.
#[inline]
fn unlock(raw: &RawMutex) -> Result<()> {
    raw.unlock().map_err(|errno| {
        os("pthread_mutex_unlock")(errno)
            .with_note("another thread has locked it: this is a forked child's copy of a guard")
    })
}

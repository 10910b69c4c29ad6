//! POSIX semaphores: with a name, or in shared memory.
//!
//! | you want | take |
//! |---|---|
//! | a semaphore that programs find by a name, C programs too | [`NamedSem`], [`SemOptions`] |
//! | one in memory that processes share anyway | [`UnnamedSem`] in a [`Shared`](crate::Shared) |
//!
//! Both are the C library's `sem_t`. A permit is taken and given back without a system call as long as nobody
//! has to sleep.
//!
//! # What happens when a process dies
//!
//! A `sem_t` **has no owner**. Who is killed between `wait` and `post` takes its permit with it, and nobody
//! can tell: where that matters, take [`sysv`](crate::sysv) with `undo`, or a [`Mutex`](crate::Mutex).
//! A waiter that is killed takes no permit, but it may take a wake-up: if it dies in the moment between being
//! woken and taking its permit, the permit is there and the other sleepers are not told before the next
//! `post`. So wait with a deadline, again and again, where waiters are killed.
//!
//! # Limitations
//!
//! - There is no descriptor to poll: see [`EventFdSem`](crate::EventFdSem).
//! - A name outlives everybody until it is removed or the machine restarts; `ls /dev/shm/sem.*` shows them.
//! - It needs the GNU C library, 2.30 or later: others keep semaphores elsewhere.

mod named;
mod unnamed;

pub use named::{NamedSem, SemOptions};
pub use unnamed::UnnamedSem;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;

use crate::sys::sem::{MAX, RawSem};

/// The greatest value of a POSIX semaphore, `SEM_VALUE_MAX`.
pub const VALUE_MAX: u32 = MAX;

#[cold]
fn post_error(errno: Errno) -> Error {
    match errno {
        Errno::OVERFLOW => os("sem_post")(errno).with_kind(ErrorKind::ResourceLimit {
            limit: "permits in one POSIX semaphore",
            knob: "SEM_VALUE_MAX (2147483647), which is fixed",
        }),
        errno => os("sem_post")(errno),
    }
}

#[inline]
fn post(sem: &RawSem) -> Result<()> {
    sem.post().map_err(post_error)
}

#[inline]
fn wait_with(sem: &RawSem, wait: Wait) -> Result<()> {
    let result = match wait {
        Wait::Never => sem.try_wait(),
        Wait::Forever => sem.wait(),
        Wait::Until(deadline) => sem.wait_until(deadline),
    };
    result.or_else(|errno| wait_on(sem, wait, errno))
}

/// Goes on after a signal has ended the call.
#[cold]
fn wait_on(sem: &RawSem, wait: Wait, mut errno: Errno) -> Result<()> {
    while errno == Errno::INTR {
        let result = match wait {
            Wait::Never => sem.try_wait(),
            Wait::Forever => sem.wait(),
            Wait::Until(deadline) => sem.wait_until(deadline),
        };
        match result {
            Ok(()) => return Ok(()),
            Err(next) => errno = next,
        }
    }
    Err(os(match wait {
        Wait::Never => "sem_trywait",
        Wait::Forever => "sem_wait",
        Wait::Until(_) => "sem_clockwait",
    })(errno))
}

fn check_value(value: u32) -> Result<()> {
    if value > VALUE_MAX {
        return Err(Error::new(ErrorKind::InvalidInput, "sem_init")
            .with_note("a POSIX semaphore has SEM_VALUE_MAX (2147483647) permits at most"));
    }
    Ok(())
}

//! One operation on one semaphore of a set.

use ipc_core::{Error, ErrorKind, Result};

use super::VALUE_MAX;
use crate::sys::semop::sembuf;

/// One operation on one semaphore of a [`Set`](super::Set).
///
/// # Examples
///
/// See [`Set::operate`](super::Set::operate).
///
/// # References
///
/// `semop`(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "sembuf")]
pub struct Op {
    pub(super) num: u16,
    pub(super) change: i32,
    undo: bool,
}

impl Op {
    /// Adds so many permits to semaphore `num`.
    #[must_use]
    pub const fn post(num: u16, permits: u16) -> Self {
        Self { num, change: permits as i32, undo: false }
    }

    /// Takes so many permits from semaphore `num`, all at once, and waits until there are so many.
    #[must_use]
    pub const fn wait(num: u16, permits: u16) -> Self {
        Self { num, change: -(permits as i32), undo: false }
    }

    /// Waits until semaphore `num` has no permit.
    #[must_use]
    #[doc(alias = "wait-for-zero")]
    pub const fn wait_zero(num: u16) -> Self {
        Self { num, change: 0, undo: false }
    }

    /// The kernel takes the operation back when this process ends, whatever it dies of.
    ///
    /// The process, and not the thread: what one thread has done, its end does not undo. A forked child has
    /// nothing to undo.
    #[must_use]
    #[doc(alias = "SEM_UNDO")]
    pub const fn undo(mut self) -> Self {
        self.undo = true;
        self
    }

    /// As the kernel wants it.
    #[inline]
    pub(super) fn of_kernel(self, nowait: bool) -> Result<sembuf> {
        let wrong = || {
            let most = const { VALUE_MAX as i32 };
            if self.change > most {
                return super::set::overflow();
            }
            Error::new(ErrorKind::InvalidInput, "semop")
                .with_note("a System V semaphore never has more than 32767 permits")
        };
        let mut flags = 0;
        if nowait {
            flags |= libc::IPC_NOWAIT;
        }
        if self.undo {
            flags |= libc::SEM_UNDO;
        }
        let change = i16::try_from(self.change).map_err(|_| wrong())?;
        Ok(sembuf { sem_num: self.num, sem_op: change, sem_flg: flags as _ })
    }
}

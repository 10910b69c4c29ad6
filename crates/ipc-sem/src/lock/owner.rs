//! What it means that the holder of a lock died.

use std::fmt;
use std::ops::{Deref, DerefMut};

use ipc_core::{Error, ErrorKind};

/// The lock was got, and its last holder died with it: what it protects may be half changed.
///
/// Look at what is there, repair it, and call [`recover`](Self::recover). The lock is held until then.
///
/// **To drop this is to give up.** A [`Mutex`](crate::Mutex) can then never be locked again, by anybody, since
/// nobody vouches for what it protects ([`Corrupted`](ErrorKind::Corrupted)): so says POSIX, and C programs
/// rely on it. Of an [`RwLock`](crate::RwLock), the next writer gets this again. Who dies with this in its hands
/// leaves it to the next one, of either.
///
/// # Examples
///
/// ```no_run
/// use ipc_sem::{LockError, Mutex, Shared};
///
/// # let pair: Shared<Mutex<[u64; 2]>> = Shared::new([1, 1])?;
/// // Both numbers are the same, but while they are being changed.
/// let mut guard = match pair.lock() {
///     Ok(guard) => guard,
///     Err(LockError::OwnerDied(mut died)) => {
///         died[1] = died[0];
///         died.recover()
///     }
///     Err(LockError::Failed(error)) => return Err(error),
/// };
/// guard[0] += 1;
/// guard[1] += 1;
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "to drop it is to give the lock up for good"]
#[doc(alias = "EOWNERDEAD")]
pub struct OwnerDied<G: Recover> {
    guard: G,
}

/// A guard that can be vouched for: of a mutex, or of a writer.
pub trait Recover: Sealed {}

impl<G: Sealed> Recover for G {}

mod sealed {
    /// What the outside need not know of a guard.
    pub trait Sealed {
        /// Makes the lock as if nobody had died.
        #[doc(hidden)]
        fn vouch(&mut self);
    }
}

pub(super) use sealed::Sealed;

impl<G: Recover> OwnerDied<G> {
    pub(super) fn new(guard: G) -> Self {
        Self { guard }
    }

    /// Vouches for what the lock protects, and goes on as if nobody had died.
    #[doc(alias = "pthread_mutex_consistent")]
    pub fn recover(mut self) -> G {
        self.guard.vouch();
        self.guard
    }
}

impl<G: Recover + Deref> Deref for OwnerDied<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: Recover + DerefMut> DerefMut for OwnerDied<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// Why a lock was not got as it should be.
///
/// To turn it into an [`Error`] by `?` is to give the lock up where the holder has died: see [`OwnerDied`].
///
/// # Examples
///
/// See [`OwnerDied`].
#[derive(Debug)]
pub enum LockError<G: Recover> {
    /// It was got, from one who died.
    OwnerDied(OwnerDied<G>),
    /// It was not got.
    Failed(Error),
}

impl<G: Recover> LockError<G> {
    /// What went wrong: [`ErrorKind::OwnerDied`] where the holder has died.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::ErrorKind;
    /// use ipc_sem::{Mutex, Shared};
    ///
    /// let lock = Shared::<Mutex<u32>>::new(0)?;
    /// let held = lock.lock()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         let kind = lock.try_lock().map(drop).map_err(|error| error.kind());
    ///         assert_eq!(kind, Err(ErrorKind::WouldBlock));
    ///     });
    /// });
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::OwnerDied(_) => ErrorKind::OwnerDied,
            Self::Failed(error) => error.kind(),
        }
    }
}

impl<G: Recover> From<Error> for LockError<G> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<G: Recover> From<LockError<G>> for Error {
    fn from(error: LockError<G>) -> Self {
        match error {
            LockError::OwnerDied(_) => Self::new(ErrorKind::OwnerDied, "lock"),
            LockError::Failed(error) => error,
        }
    }
}

impl<G: Recover> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerDied(_) => Error::new(ErrorKind::OwnerDied, "lock").fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<G: Recover + fmt::Debug> std::error::Error for LockError<G> {}

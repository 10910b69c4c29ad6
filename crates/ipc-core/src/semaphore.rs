//! Semaphores.

use std::sync::Arc;
use std::time::Duration;

use crate::{Result, Wait};

/// A counter of permits: `post` adds one, `wait` takes one and blocks while there is none.
///
/// Each permit is taken exactly once, whoever waits. `post` happens before the `wait` that takes
/// its permit.
///
/// # Errors
///
/// [`ErrorKind::ResourceLimit`](crate::ErrorKind::ResourceLimit) from `post` at the greatest value,
/// [`ErrorKind::WouldBlock`](crate::ErrorKind::WouldBlock) and
/// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) from the waits as [`Wait`] says: no permit
/// is lost by it.
///
/// # Examples
///
/// ```
/// use std::sync::{Condvar, Mutex};
/// use ipc_core::{Error, Result, Semaphore, Wait};
///
/// struct Permits(Mutex<u32>, Condvar);
///
/// impl Semaphore for Permits {
///     fn post(&self) -> Result<()> {
///         *self.0.lock().unwrap() += 1;
///         self.1.notify_one();
///         Ok(())
///     }
///
///     fn wait_with(&self, wait: Wait) -> Result<()> {
///         let mut permits = self.0.lock().unwrap();
///         while *permits == 0 {
///             permits = match wait.remaining() {
///                 None => self.1.wait(permits).unwrap(),
///                 Some(left) if left.is_zero() => {
///                     return Err(Error::new(wait.exhausted(), "wait"));
///                 }
///                 Some(left) => self.1.wait_timeout(permits, left).unwrap().0,
///             };
///         }
///         *permits -= 1;
///         Ok(())
///     }
/// }
///
/// let permits = Permits(Mutex::new(1), Condvar::new());
/// permits.wait()?;
/// assert!(permits.try_wait().is_err());
/// permits.post()?;
/// permits.try_wait()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait Semaphore {
    /// Adds one permit and wakes one waiter. It does not block.
    ///
    /// # Errors
    ///
    /// See [`Semaphore`].
    fn post(&self) -> Result<()>;

    /// Takes one permit.
    ///
    /// # Errors
    ///
    /// See [`Semaphore`].
    fn wait_with(&self, wait: Wait) -> Result<()>;

    /// Takes one permit and blocks until there is one.
    ///
    /// # Errors
    ///
    /// See [`Semaphore`].
    fn wait(&self) -> Result<()> {
        self.wait_with(Wait::Forever)
    }

    /// Takes one permit if there is one now.
    ///
    /// # Errors
    ///
    /// See [`Semaphore`].
    fn try_wait(&self) -> Result<()> {
        self.wait_with(Wait::Never)
    }

    /// Takes one permit and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`Semaphore`].
    fn wait_timeout(&self, timeout: Duration) -> Result<()> {
        self.wait_with(Wait::timeout(timeout))
    }
}

impl<T: Semaphore + ?Sized> Semaphore for &T {
    fn post(&self) -> Result<()> {
        (**self).post()
    }

    fn wait_with(&self, wait: Wait) -> Result<()> {
        (**self).wait_with(wait)
    }
}

impl<T: Semaphore + ?Sized> Semaphore for Box<T> {
    fn post(&self) -> Result<()> {
        (**self).post()
    }

    fn wait_with(&self, wait: Wait) -> Result<()> {
        (**self).wait_with(wait)
    }
}

impl<T: Semaphore + ?Sized> Semaphore for Arc<T> {
    fn post(&self) -> Result<()> {
        (**self).post()
    }

    fn wait_with(&self, wait: Wait) -> Result<()> {
        (**self).wait_with(wait)
    }
}

//! Notifications.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::{Result, Wait};

/// The end that says "something happened".
///
/// # Errors
///
/// [`ErrorKind::ResourceLimit`](crate::ErrorKind::ResourceLimit) where notifications queue and the
/// queue is full, [`ErrorKind::Disconnected`](crate::ErrorKind::Disconnected) where the mechanism
/// notices that nobody listens.
///
/// # Examples
///
/// See [`Notified`].
pub trait Notify {
    /// Notifies once. It does not block.
    ///
    /// # Errors
    ///
    /// See [`Notify`].
    fn notify(&self) -> Result<()>;
}

/// The end that waits for something to happen.
///
/// Where the mechanism coalesces ([`Caps::coalesces`](crate::Caps::coalesces)), several
/// notifications may be seen as one. Then a count above 1 is a lower bound of how often something
/// happened, and none is ever lost altogether: after the last [`notify`](Notify::notify) at least
/// one wait returns.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`](crate::ErrorKind::WouldBlock) and
/// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) as [`Wait`] says: no notification is lost by
/// it.
///
/// # Examples
///
/// A counter in one process, which is the whole contract in a few lines:
///
/// ```
/// use std::{num::NonZeroU64, sync::{Condvar, Mutex}};
/// use ipc_core::{Error, Notified, Notify, Result, Wait};
///
/// #[derive(Default)]
/// struct Counter(Mutex<u64>, Condvar);
///
/// impl Notify for Counter {
///     fn notify(&self) -> Result<()> {
///         *self.0.lock().unwrap() += 1;
///         self.1.notify_one();
///         Ok(())
///     }
/// }
///
/// impl Notified for Counter {
///     fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
///         let mut count = self.0.lock().unwrap();
///         loop {
///             if let Some(n) = NonZeroU64::new(std::mem::take(&mut *count)) {
///                 return Ok(n);
///             }
///             count = match wait.remaining() {
///                 None => self.1.wait(count).unwrap(),
///                 Some(left) if left.is_zero() => {
///                     return Err(Error::new(wait.exhausted(), "wait"));
///                 }
///                 Some(left) => self.1.wait_timeout(count, left).unwrap().0,
///             };
///         }
///     }
/// }
///
/// let counter = Counter::default();
/// counter.notify()?;
/// counter.notify()?;
/// assert_eq!(counter.wait()?.get(), 2);
/// assert!(counter.try_wait().is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait Notified {
    /// Waits until it was notified, and returns how often since the last wait.
    ///
    /// # Errors
    ///
    /// See [`Notified`].
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64>;

    /// Waits and blocks until it was notified.
    ///
    /// # Errors
    ///
    /// See [`Notified`].
    fn wait(&self) -> Result<NonZeroU64> {
        self.wait_with(Wait::Forever)
    }

    /// Takes the notifications that are there now.
    ///
    /// # Errors
    ///
    /// See [`Notified`].
    fn try_wait(&self) -> Result<NonZeroU64> {
        self.wait_with(Wait::Never)
    }

    /// Waits and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`Notified`].
    fn wait_timeout(&self, timeout: Duration) -> Result<NonZeroU64> {
        self.wait_with(Wait::timeout(timeout))
    }
}

impl<T: Notify + ?Sized> Notify for &T {
    fn notify(&self) -> Result<()> {
        (**self).notify()
    }
}

impl<T: Notify + ?Sized> Notify for Box<T> {
    fn notify(&self) -> Result<()> {
        (**self).notify()
    }
}

impl<T: Notify + ?Sized> Notify for Arc<T> {
    fn notify(&self) -> Result<()> {
        (**self).notify()
    }
}

impl<T: Notified + ?Sized> Notified for &T {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        (**self).wait_with(wait)
    }
}

impl<T: Notified + ?Sized> Notified for Box<T> {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        (**self).wait_with(wait)
    }
}

impl<T: Notified + ?Sized> Notified for Arc<T> {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        (**self).wait_with(wait)
    }
}

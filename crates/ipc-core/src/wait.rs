//! How long an operation may block.

use std::time::{Duration, Instant};

use crate::ErrorKind;

/// How long an operation may block.
///
/// A deadline is absolute, so that a signal handler that interrupts the wait (`EINTR`) never
/// stretches it: the operation goes on waiting for what is left.
///
/// An operation that can be done at once is done at once, whatever the `Wait`; also with a deadline
/// that has passed. Only an operation that would have to block looks at it.
///
/// # Units
///
/// [`Instant`] is `CLOCK_MONOTONIC`: it does not jump when somebody sets the time of day, and it
/// stands still while the machine is suspended.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_core::{ErrorKind, ReadBytes, Wait};
/// use ipc_pipe::PipeOptions;
///
/// let (mut rx, _tx) = PipeOptions::new().open()?;
/// let mut buf = [0; 8];
///
/// let error = rx.read_with(&mut buf, Wait::Never).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::WouldBlock);
///
/// let error = rx.read_with(&mut buf, Wait::timeout(Duration::from_millis(1))).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Does not block: one non-blocking system call, and [`ErrorKind::WouldBlock`] if it would have
    /// to wait.
    Never,
    /// Blocks until the deadline at most, then [`ErrorKind::TimedOut`].
    Until(Instant),
    /// Blocks until it is done: one blocking system call.
    Forever,
}

impl Wait {
    /// Waits for `duration` from now at most.
    ///
    /// A duration too long for the clock to hold is [`Wait::Forever`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use ipc_core::Wait;
    ///
    /// assert!(matches!(Wait::timeout(Duration::from_secs(1)), Wait::Until(_)));
    /// assert_eq!(Wait::timeout(Duration::MAX), Wait::Forever);
    /// ```
    #[must_use]
    pub fn timeout(duration: Duration) -> Self {
        Instant::now().checked_add(duration).map_or(Self::Forever, Self::Until)
    }

    /// How much time is left: `None` for ever, zero when a wait must not begin.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use ipc_core::Wait;
    ///
    /// assert_eq!(Wait::Forever.remaining(), None);
    /// assert_eq!(Wait::Never.remaining(), Some(Duration::ZERO));
    /// assert_eq!(Wait::Until(Instant::now()).remaining(), Some(Duration::ZERO));
    /// ```
    #[must_use]
    pub fn remaining(self) -> Option<Duration> {
        match self {
            Self::Never => Some(Duration::ZERO),
            Self::Until(deadline) => Some(deadline.saturating_duration_since(Instant::now())),
            Self::Forever => None,
        }
    }

    /// The kind of error for an operation that this wait did not suffice for.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Instant;
    /// use ipc_core::{ErrorKind, Wait};
    ///
    /// assert_eq!(Wait::Never.exhausted(), ErrorKind::WouldBlock);
    /// assert_eq!(Wait::Until(Instant::now()).exhausted(), ErrorKind::TimedOut);
    /// ```
    #[must_use]
    pub const fn exhausted(self) -> ErrorKind {
        match self {
            Self::Never => ErrorKind::WouldBlock,
            Self::Until(_) | Self::Forever => ErrorKind::TimedOut,
        }
    }
}

/// [`Wait::timeout`].
impl From<Duration> for Wait {
    fn from(duration: Duration) -> Self {
        Self::timeout(duration)
    }
}

/// [`Wait::Until`].
impl From<Instant> for Wait {
    fn from(deadline: Instant) -> Self {
        Self::Until(deadline)
    }
}

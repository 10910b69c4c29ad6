//! Priorities of messages.

use std::fmt;

use ipc_core::{Error, ErrorKind, Result};

/// The priority of a message: 0 (the lowest, and the default) to 32767.
///
/// A receive takes the message of the highest priority; among messages of one priority, the one
/// that was sent first.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_mq::posix::Priority;
///
/// assert!(Priority::new(9)? > Priority::LOWEST);
/// assert_eq!(Priority::new(32_768).unwrap_err().kind(), ErrorKind::InvalidInput);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mq_send`(3), `sysconf`(3): `_SC_MQ_PRIO_MAX` is 32768 on Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[doc(alias = "MQ_PRIO_MAX")]
pub struct Priority(u16);

impl Priority {
    /// 0, the default.
    pub const LOWEST: Self = Self(0);
    /// 32767.
    pub const HIGHEST: Self = Self(32_767);

    /// A priority.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] above 32767.
    pub const fn new(priority: u32) -> Result<Self> {
        if priority > Self::HIGHEST.get() {
            return Err(Error::new(ErrorKind::InvalidInput, "priority")
                .with_note("a priority is 0 to 32767 (MQ_PRIO_MAX - 1)"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "it was checked to be below 2^15")]
        Ok(Self(priority as u16))
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }

    /// What the kernel has given.
    #[inline]
    pub(super) fn of_kernel(priority: u32) -> Self {
        Self(u16::try_from(priority).unwrap_or(Self::HIGHEST.0))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u8> for Priority {
    fn from(priority: u8) -> Self {
        Self(priority.into())
    }
}

/// As [`Priority::new`].
impl TryFrom<u32> for Priority {
    type Error = Error;

    fn try_from(priority: u32) -> Result<Self> {
        Self::new(priority)
    }
}

impl From<Priority> for u32 {
    fn from(priority: Priority) -> Self {
        priority.get()
    }
}

//! The id of a process or thread, checked.

use std::fmt;
use std::process::Child;

use ipc_core::{Error, Result};

use crate::kind::invalid;
use crate::sys;

/// The id of a process, process group or thread: a positive number.
///
/// `kill` takes 0 for the caller's own group and a negative number for another, -1 for **every**
/// process of the machine. None of these is a `Pid`, so that a pid that was parsed wrong, or a
/// variable that was never set, cannot hit a group. Groups are asked for by
/// [`Target::Group`](crate::Target::Group).
///
/// A number alone says nothing about who has it: when a process has ended and was waited for,
/// another one may get its number. A parent's own children cannot be mistaken before it has waited
/// for them; for all others there is [`Target::PidFd`](crate::Target::PidFd).
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_signal::Pid;
///
/// assert_eq!(Pid::this().get(), std::process::id() as i32);
/// for wrong in [0, -1, -4711] {
///     assert_eq!(Pid::new(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "pid_t")]
pub struct Pid(i32);

impl Pid {
    /// The id of a number.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for 0 and below.
    ///
    /// # Examples
    ///
    /// See [`Pid`].
    pub fn new(number: i32) -> Result<Self> {
        match number {
            1.. => Ok(Self(number)),
            0 => Err(invalid("pid", "0 is no process: to kill(2) it is the caller's whole group")),
            _ => Err(invalid("pid", "a negative number is no process: to kill(2) it is a group")),
        }
    }

    /// This process: `getpid`.
    ///
    /// # Examples
    ///
    /// See [`Pid`].
    #[doc(alias = "getpid")]
    #[must_use]
    pub fn this() -> Self {
        Self(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// The process that has started this one, or that has taken its place: `getppid`. `None` when it
    /// is in another pid namespace.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_ne!(ipc_signal::Pid::parent(), Some(ipc_signal::Pid::this()));
    /// ```
    #[doc(alias = "getppid")]
    #[must_use]
    pub fn parent() -> Option<Self> {
        rustix::process::getppid().map(|pid| Self(pid.as_raw_nonzero().get()))
    }

    /// The process group of this process: `getpgrp`. `None` when whoever leads it is in another pid
    /// namespace, as in a container that was started without a group of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Pid, Target, exists};
    ///
    /// if let Some(group) = Pid::own_group() {
    ///     assert!(exists(Target::Group(group))?); // This process is in it.
    /// }
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "getpgrp")]
    #[must_use]
    pub fn own_group() -> Option<Self> {
        Self::new(sys::process_group()).ok()
    }

    /// The number.
    ///
    /// # Examples
    ///
    /// See [`Pid`].
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// As rustix has it.
    pub(crate) fn rustix(self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(self.0)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The process of a child. It has this number until it was waited for.
impl From<&Child> for Pid {
    fn from(child: &Child) -> Self {
        Self(child.id().cast_signed())
    }
}

/// The number as `std::process::id` and `Child::id` have it.
impl TryFrom<u32> for Pid {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self> {
        let number = i32::try_from(number);
        Self::new(number.map_err(|_| invalid("pid", "no process has so high a number"))?)
    }
}

//! Process ids, and what tells a process from a later one with the same id.

use std::fmt;
use std::num::NonZeroI32;

use ipc_core::{Error, ErrorKind, Result};

use crate::stat::Stat;

/// The id of one process: a number above zero.
///
/// `kill`(2) takes 0 for "my own process group", -1 for "everybody" and other negative numbers for
/// process groups. No [`Pid`] is one of them, so that a number that went wrong (a failed parse, a
/// child that was never started) hits nobody.
///
/// A pid says who it is only as long as its process has not been waited for; then the kernel gives
/// the number to another. A [`Process`](crate::Process) does not have that problem.
///
/// # Examples
///
/// ```
/// use ipc_process::Pid;
///
/// assert_eq!(Pid::this().get(), std::process::id() as i32);
/// assert!(Pid::new(0).is_err() && Pid::new(-1).is_err());
/// ```
///
/// # References
///
/// `credentials`(7), `kill`(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[doc(alias = "pid_t")]
pub struct Pid(NonZeroI32);

impl Pid {
    /// The pid of this number.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for zero and for negative numbers, each with its reason.
    ///
    /// # Examples
    ///
    /// See [`Pid`].
    pub const fn new(number: i32) -> Result<Self> {
        match NonZeroI32::new(number) {
            Some(pid) if number > 0 => Ok(Self(pid)),
            Some(_) => Err(Error::new(ErrorKind::InvalidInput, "pid")
                .with_note("a negative number would mean a process group, or everybody")),
            None => Err(Error::new(ErrorKind::InvalidInput, "pid")
                .with_note("0 would mean this process's own group")),
        }
    }

    /// This process: `getpid`.
    ///
    /// # Examples
    ///
    /// See [`Pid`].
    #[must_use]
    #[doc(alias = "getpid")]
    pub fn this() -> Self {
        Self(rustix::process::getpid().as_raw_nonzero())
    }

    /// The parent of this process: `getppid`. Without one in this pid namespace there is none.
    ///
    /// After the parent has ended this is the reaper that took over: compare it with what the parent
    /// said its pid was before you believe it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_ne!(ipc_process::Pid::parent(), Some(ipc_process::Pid::this()));
    /// ```
    #[must_use]
    #[doc(alias = "getppid")]
    pub fn parent() -> Option<Self> {
        rustix::process::getppid().map(Self::of)
    }

    /// The number.
    ///
    /// # Examples
    ///
    /// See [`Pid`].
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0.get()
    }

    pub(crate) fn of(pid: rustix::process::Pid) -> Self {
        Self(pid.as_raw_nonzero())
    }

    /// The same for rustix.
    pub(crate) fn raw(self) -> rustix::process::Pid {
        // It is above zero, so that there always is one.
        rustix::process::Pid::from_raw(self.get()).unwrap_or_else(rustix::process::getpid)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Pid> for i32 {
    fn from(pid: Pid) -> Self {
        pid.get()
    }
}

/// What [`std::process::id`] and [`std::process::Child::id`] return.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for 0 and for what no pid can be.
impl TryFrom<u32> for Pid {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self> {
        match i32::try_from(number) {
            Ok(number) => Self::new(number),
            Err(_) => Err(Error::new(ErrorKind::InvalidInput, "pid")
                .with_note("no pid is as great as that: was it negative?")),
        }
    }
}

/// A pid together with when its process started: no other process of this boot has both.
///
/// Put it where other processes find it, in shared memory, a lock file or a message; who reads it
/// calls [`Process::open_id`](crate::Process::open_id) and learns whether *that* process lives, and
/// not whether some process has its number by now.
///
/// # Units
///
/// `start_time` is in clock ticks (1/100 s) since the machine started. The same pid twice within one
/// tick would take a round through all pids in 10 ms.
///
/// # Limits
///
/// It means something within this boot, this pid namespace and this time namespace.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_process::{Process, ProcessId};
///
/// let me = ProcessId::this()?;
/// assert!(Process::open_id(me)?.is_alive()?);
///
/// // The same number at another time is another process.
/// let earlier = ProcessId { start_time: me.start_time - 1, ..me };
/// let error = Process::open_id(earlier).unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::WrongType { .. }));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `proc_pid_stat`(5), field *starttime*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// The pid.
    pub pid: Pid,
    /// When it started, in clock ticks since the machine did.
    pub start_time: u64,
}

impl ProcessId {
    /// This process's own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when `/proc` is not mounted.
    ///
    /// # Examples
    ///
    /// See [`ProcessId`].
    pub fn this() -> Result<Self> {
        let pid = Pid::this();
        Ok(Self { pid, start_time: Stat::read(pid)?.start_time })
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (started at {})", self.pid, self.start_time)
    }
}

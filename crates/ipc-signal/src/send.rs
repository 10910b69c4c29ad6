//! Sending signals.

use std::os::fd::BorrowedFd;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::io::Errno;

use crate::kind::invalid;
use crate::limits::SIGPENDING;
use crate::sys::transfer as sys;
use crate::{Pid, Signal, Value, origin};

/// Who gets a signal.
///
/// # Examples
///
/// ```
/// use ipc_signal::{Pid, Signal, Target, send};
/// use rustix::process::{PidfdFlags, pidfd_open};
/// use std::os::fd::AsFd;
///
/// let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
/// let pid = rustix::process::Pid::from_child(&child);
/// let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
/// send(Target::PidFd(pidfd.as_fd()), Signal::TERM)?;
/// child.wait().unwrap();
/// // Whoever has the number now, this is nobody any more.
/// assert!(send(Target::PidFd(pidfd.as_fd()), Signal::TERM).is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A process by its number, which may be another process's when it has ended: `kill`. One of its
    /// threads that does not block the signal gets it.
    Process(Pid),
    /// Every process of a group that this process may signal: `kill` with a negative number. A group
    /// 1 is refused: to the kernel, -1 is every process of the machine.
    Group(Pid),
    /// One thread of a process: `tgkill`. A disposition that ends or stops does so to the process.
    Thread {
        /// The process.
        process: Pid,
        /// The thread's id, as `gettid` says it in that thread.
        thread: Pid,
    },
    /// The very process that a pidfd refers to: `pidfd_send_signal`.
    PidFd(BorrowedFd<'a>),
}

impl Target<'_> {
    /// `kill`, or what does the same for this target; signal 0 only checks.
    fn kill(self, op: &'static str, signal: i32) -> Result<()> {
        let sent = match self {
            Self::Process(pid) => sys::kill(pid.get(), signal),
            Self::Group(group) => sys::kill(negative(op, group)?, signal),
            Self::Thread { process, thread } => sys::tgkill(process.get(), thread.get(), signal),
            Self::PidFd(fd) => sys::send(fd, signal, None),
        };
        sent.map_err(|errno| send_error(op, errno))
    }
}

/// What `kill` takes for a group.
fn negative(op: &'static str, group: Pid) -> Result<i32> {
    match group.get() {
        1 => Err(invalid(op, "to kill(2), group 1 (-1) is every process of the machine")),
        group => Ok(-group),
    }
}

/// Sends a signal: `kill`, `tgkill` or `pidfd_send_signal`. It does not block.
///
/// A standard signal that is pending already is not sent again: two become one. A realtime signal
/// that is sent without a value queues, and does **not** when the receiver's queue is full, without
/// an error: the kernel has it so for `kill`. [`queue`] fails then.
///
/// # Errors
///
/// - [`ErrorKind::NotFound`] when there is no such process, group or thread. A process that has ended
///   and was not waited for is there still, and its signals go nowhere;
/// - [`ErrorKind::PermissionDenied`] when it is another user's; for a group, when **all** of it is;
/// - [`ErrorKind::InvalidInput`] for group 1;
/// - [`ErrorKind::WrongType`] when the descriptor is no pidfd.
///
/// # Platform
///
/// [`Target::PidFd`] since Linux 5.1.
///
/// # Examples
///
/// See [`Target`].
///
/// # References
///
/// `kill`(2), `tgkill`(2), `pidfd_send_signal`(2).
#[doc(alias = "kill")]
#[doc(alias = "tgkill")]
#[doc(alias = "killpg")]
#[doc(alias = "pidfd_send_signal")]
pub fn send(target: Target<'_>, signal: Signal) -> Result<()> {
    target.kill("kill", signal.number())
}

/// Whether there is such a process, group or thread, also one that this process may not signal:
/// `kill` with signal 0. One that has ended and was not waited for still is.
///
/// The answer is about a moment that has passed when it comes.
///
/// # Errors
///
/// As [`send`], without those two.
///
/// # Examples
///
/// ```
/// use ipc_signal::{Pid, Target, exists};
/// assert!(exists(Target::Process(Pid::this()))?);
/// assert!(exists(Target::Process(Pid::new(1)?))?, "also if it is root's");
/// assert!(!exists(Target::Process(Pid::new(i32::MAX)?))?);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub fn exists(target: Target<'_>) -> Result<bool> {
    match target.kill("kill", 0) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Ok(false),
            ErrorKind::PermissionDenied => Ok(true),
            _ => Err(error),
        },
    }
}

/// Sends a signal with a value: `sigqueue`. It does not block.
///
/// A realtime signal arrives exactly once, and after those of the same number that were queued
/// before. A standard signal that is pending already is not sent again, and its value is lost.
///
/// For more than a few, [`RtSender`](crate::RtSender) makes one system call each, where this makes
/// three, and can wait for room.
///
/// # Errors
///
/// As [`send`]; and
///
/// - [`ErrorKind::ResourceLimit`] when the queue is full, for a realtime signal: nothing was sent;
/// - [`ErrorKind::Unsupported`] for a group: a value goes to one process.
///
/// # Limits
///
/// `RLIMIT_SIGPENDING` (`ulimit -i`) of the **receiving** process limits what is pending for all
/// processes of its user together: see [`Limits`](crate::Limits).
///
/// # Examples
///
/// See [`Origin`](crate::Origin).
///
/// # References
///
/// `sigqueue`(3), `rt_sigqueueinfo`(2), `pidfd_send_signal`(2).
#[doc(alias = "sigqueue")]
#[doc(alias = "rt_sigqueueinfo")]
#[doc(alias = "pthread_sigqueue")]
pub fn queue(target: Target<'_>, signal: Signal, value: Value) -> Result<()> {
    const OP: &str = "sigqueue";
    let info = origin::queued(signal, value);
    let number = signal.number();
    let queued = match target {
        Target::Process(pid) => sys::queue(pid.get(), number, &info),
        Target::Thread { process, thread } => {
            sys::queue_thread(process.get(), thread.get(), number, &info)
        }
        Target::PidFd(fd) => sys::send(fd, number, Some(&info)),
        Target::Group(_) => {
            return Err(Error::new(ErrorKind::Unsupported, OP)
                .with_note("a value is queued for one process, not for a group"));
        }
    };
    queued.map_err(|errno| send_error(OP, errno))
}

/// Why a signal was not sent.
#[cold]
pub(crate) fn send_error(op: &'static str, errno: Errno) -> Error {
    let error = os(op)(errno);
    match errno {
        Errno::AGAIN => error.with_kind(SIGPENDING),
        Errno::SRCH => error.with_note("there is no such process, or it is gone"),
        Errno::PERM => error.with_note("it is another user's process"),
        Errno::BADF => error
            .with_kind(ErrorKind::WrongType { expected: "a pidfd", found: "another descriptor" }),
        _ => error,
    }
}

//! A handle of any process: a pidfd.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use ipc_core::{Error, ErrorKind, Handoff, Rejected, Result, Wait};
use ipc_fd::handoff::{adopt, give};
use ipc_fd::kind::{checked, file_type, os};
use ipc_fd::wait::any_ready;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::PidfdFlags;

use crate::kind::{gone, is_any_ready};
use crate::stat::{Referent, Stat, referent};
use crate::{Pid, ProcessId, sys};

/// A process, be it a child or not: a pidfd.
///
/// It refers to one process for ever, also when that has ended and another one has its pid. So a
/// signal never hits the wrong one, and "is it alive?" is answered about the right one. It keeps
/// nothing of the process but that identity: it does not keep it from ending, and holding it makes no
/// zombie.
///
/// For a process that this one has started there is [`Child`](crate::Child), which knows how it
/// ended. What is not a child can only be seen to end.
///
/// It is a descriptor: [`AsFd`] for `poll` and `epoll` (readable once the process has ended),
/// [`OwnedFd`] both ways, so that it can be sent through a Unix socket. It is close-on-exec.
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_process::{Pid, Process};
///
/// let mut child = std::process::Command::new("sleep").arg("60").spawn()?;
/// let process = Process::open(Pid::try_from(child.id())?)?;
/// assert!(process.is_alive()?);
/// process.kill()?;
/// process.wait_exit(Wait::Forever)?;
/// assert!(!process.is_alive()?);
/// child.wait()?; // Whoever the parent is, it has to wait for it, or a zombie stays.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # References
///
/// `pidfd_open`(2), `pidfd_send_signal`(2).
#[derive(Debug)]
#[doc(alias = "pidfd")]
pub struct Process {
    fd: OwnedFd,
    pid: Option<Pid>,
}

/// What has become of a process.
///
/// # Examples
///
/// ```
/// use ipc_process::{Liveness, Process};
/// assert_eq!(Process::this()?.liveness()?, Liveness::Running);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It has not ended. It may be stopped, or sleep.
    Running,
    /// It has ended, and its parent has not waited for it: its pid is still taken.
    Zombie,
    /// It has ended and was waited for: its pid may be another process's by now.
    Gone,
}

impl Process {
    /// The process that has this pid now: `pidfd_open`.
    ///
    /// "Now" is what makes it hard: the process that was meant may have ended, and its pid be
    /// another's. That cannot be with the pid of a child that nobody has waited for, nor of this
    /// process's parent ([`Process::parent`] checks that). Otherwise [`open_id`](Self::open_id) tells.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when there is no such process (any more);
    /// - [`ErrorKind::InvalidInput`] when the number is the id of a thread that is not its process's
    ///   first;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out;
    /// - [`ErrorKind::Unsupported`] before Linux 5.3.
    ///
    /// # Examples
    ///
    /// See [`Process`].
    #[doc(alias = "pidfd_open")]
    pub fn open(pid: Pid) -> Result<Self> {
        const OP: &str = "pidfd_open";
        let fd = rustix::process::pidfd_open(pid.raw(), PidfdFlags::empty());
        let fd = fd.map_err(|errno| match errno {
            Errno::SRCH => gone(OP),
            // Linux 5.3 said EINVAL for it, Linux 6.18 says ENOENT.
            Errno::INVAL | Errno::NOENT => os(OP)(errno)
                .with_kind(ErrorKind::InvalidInput)
                .with_note("this is the id of a thread and not of a process"),
            errno => os(OP)(errno),
        })?;
        Ok(Self { fd, pid: Some(pid) })
    }

    /// The process that was named by pid and start time, if it has not been waited for.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when it has gone and nobody has its pid;
    /// - [`ErrorKind::WrongType`] when it has gone and another process has its pid;
    /// - those of [`open`](Self::open), and [`ErrorKind::Unsupported`] when `/proc` is not mounted.
    ///
    /// # Examples
    ///
    /// See [`ProcessId`].
    pub fn open_id(id: ProcessId) -> Result<Self> {
        let process = Self::open(id.pid)?;
        if process.id()? == id {
            return Ok(process);
        }
        Err(Error::new(
            ErrorKind::WrongType {
                expected: "the process that started at that time",
                found: "another one, which has its pid now",
            },
            "pidfd_open",
        ))
    }

    /// This process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// See [`Liveness`].
    pub fn this() -> Result<Self> {
        Self::open(Pid::this())
    }

    /// The parent of this process, for [`wait_exit`](Self::wait_exit): unlike the
    /// [parent-death signal](crate::die_with_parent) it means the process and not one thread of it.
    ///
    /// A child that was started by `parent` passes its pid, lest it take the reaper for it that has
    /// taken over after the parent's death.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Disconnected`] when the parent has ended, and those of [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_process::{Pid, Process};
    /// if let Some(parent) = Pid::parent() {
    ///     assert_eq!(Process::parent(parent)?.pid(), Some(parent));
    /// }
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "getppid")]
    pub fn parent(parent: Pid) -> Result<Self> {
        let opened = Self::open(parent);
        // It was the parent before and is so still: nobody else had its pid in between.
        if Pid::parent() == Some(parent) {
            return opened;
        }
        Err(Error::new(ErrorKind::Disconnected, "getppid").with_note("the parent has ended"))
    }

    /// Its pid. `None` for a pidfd that came from elsewhere when the process had been waited for by
    /// then, or lies outside of this process's pid namespace.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_process::{Pid, Process};
    /// assert_eq!(Process::this()?.pid(), Some(Pid::this()));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Its pid and when it started, to tell others which process this is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it has been waited for, [`ErrorKind::Unsupported`] when `/proc` is
    /// not mounted, or hides processes of other users (`hidepid`).
    ///
    /// # Examples
    ///
    /// See [`ProcessId`].
    pub fn id(&self) -> Result<ProcessId> {
        let pid = self.pid.ok_or_else(|| gone("process id"))?;
        let stat = match Stat::read(pid) {
            // It is there and not to be seen: /proc is mounted with hidepid.
            Err(error) if error.kind() == ErrorKind::NotFound && self.is_alive()? => {
                return Err(error
                    .with_kind(ErrorKind::Unsupported)
                    .with_note("/proc hides processes of other users (hidepid)"));
            }
            stat => stat?,
        };
        // If it has its pid still, it had it when the file was read.
        if self.liveness()? == Liveness::Gone {
            return Err(gone("process id"));
        }
        Ok(ProcessId { pid, start_time: stat.start_time })
    }

    /// Whether it has not ended. A zombie has.
    ///
    /// An answer of `true` is about the past when it arrives; `false` stays so.
    ///
    /// # Errors
    ///
    /// None that a pidfd gives.
    ///
    /// # Examples
    ///
    /// See [`Process`].
    pub fn is_alive(&self) -> Result<bool> {
        Ok(!is_any_ready(&mut [PollFd::new(&self.fd, PollFlags::IN)])?)
    }

    /// Whether it runs, has ended, or has ended and was waited for.
    ///
    /// # Errors
    ///
    /// None that a pidfd gives.
    ///
    /// # Examples
    ///
    /// See [`Liveness`].
    #[doc(alias = "zombie")]
    pub fn liveness(&self) -> Result<Liveness> {
        if self.is_alive()? {
            return Ok(Liveness::Running);
        }
        match sys::pidfd_send_signal(self.as_fd(), 0) {
            Err(Errno::SRCH) => Ok(Liveness::Gone),
            // That this user may not signal it says that it is there.
            Ok(()) | Err(Errno::PERM) => Ok(Liveness::Zombie),
            Err(errno) => Err(os("pidfd_send_signal")(errno)),
        }
    }

    /// Waits until it has ended: `ppoll`. Any process may wait so, and all that do see it.
    ///
    /// It takes no exit status and leaves no zombie away: that is its parent's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says.
    ///
    /// # Examples
    ///
    /// See [`Process`].
    pub fn wait_exit(&self, wait: Wait) -> Result<()> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        any_ready("wait for the end of a process", &mut fds, wait)
    }

    /// Sends it a signal: `pidfd_send_signal`. It cannot hit another process, nor a group.
    ///
    /// A zombie takes every signal, and nothing happens.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] for a number that is no signal, for 0 (which would only look:
    ///   that is [`liveness`](Self::liveness)), and for the realtime signals that the C library keeps
    ///   for itself;
    /// - [`ErrorKind::NotFound`] when the process has ended and was waited for;
    /// - [`ErrorKind::PermissionDenied`] when it belongs to another user;
    /// - [`ErrorKind::ResourceLimit`] when too many realtime signals are queued.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::ErrorKind;
    /// use ipc_process::Process;
    ///
    /// let error = Process::this()?.send_signal(0).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "pidfd_send_signal")]
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        const OP: &str = "pidfd_send_signal";
        check_signal(OP, signal)?;
        sys::pidfd_send_signal(self.as_fd(), signal).map_err(|errno| match errno {
            Errno::SRCH => gone(OP),
            Errno::AGAIN => os(OP)(errno).with_kind(ErrorKind::ResourceLimit {
                limit: "queued signals of this user",
                knob: "RLIMIT_SIGPENDING (ulimit -i)",
            }),
            errno => os(OP)(errno),
        })
    }

    /// Ends it, whatever it does: `SIGKILL`.
    ///
    /// It returns when the signal is sent, which is before the process has ended.
    ///
    /// # Errors
    ///
    /// As [`send_signal`](Self::send_signal).
    ///
    /// # Examples
    ///
    /// See [`Process`].
    #[doc(alias = "SIGKILL")]
    pub fn kill(&self) -> Result<()> {
        self.send_signal(libc::SIGKILL)
    }

    /// Asks it to end: `SIGTERM`.
    ///
    /// # Errors
    ///
    /// As [`send_signal`](Self::send_signal).
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_process::Child;
    /// use std::{os::unix::process::ExitStatusExt, process::Command};
    ///
    /// let mut child = Child::spawn(Command::new("sleep").arg("60"))?;
    /// child.process().terminate()?;
    /// assert_eq!(child.wait()?.signal(), Some(15));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "SIGTERM")]
    pub fn terminate(&self) -> Result<()> {
        self.send_signal(libc::SIGTERM)
    }

    /// A second handle of the same process.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// ```
    /// let me = ipc_process::Process::this()?;
    /// assert!(me.try_clone()?.is_alive()?);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn try_clone(&self) -> Result<Self> {
        let fd =
            rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(os("fcntl F_DUPFD_CLOEXEC"))?;
        Ok(Self { fd, pid: self.pid })
    }
}

/// Checks that a number is a signal that one may send, and not 0.
pub(crate) fn check_signal(op: &'static str, signal: i32) -> Result<()> {
    /// The first realtime signal of the kernel; the C library takes two or three for itself.
    const KERNEL_SIGRTMIN: i32 = 32;
    let why = match signal {
        0 => "signal 0 is sent to nobody; liveness() looks whether there is a process",
        n if n < 0 || n > sys::highest_signal() => "there is no signal of this number",
        n if (KERNEL_SIGRTMIN..sys::lowest_realtime_signal()).contains(&n) => {
            "the C library keeps this realtime signal for itself"
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::InvalidInput, op).with_note(why))
}

impl AsFd for Process {
    /// The pidfd: `poll` says that it is readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Process> for OwnedFd {
    fn from(process: Process) -> Self {
        process.fd
    }
}

/// Checks that it is a pidfd: one that came through a socket, say (`SO_PEERPIDFD`, `SCM_PIDFD`).
///
/// # Errors
///
/// [`ErrorKind::WrongType`], and [`ErrorKind::Unsupported`] when `/proc` is not mounted; the
/// descriptor comes back.
impl TryFrom<OwnedFd> for Process {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        checked(fd, check).map(|(fd, pid)| Self { fd, pid })
    }
}

/// A child can be given a handle of any process: of its parent, say, whose end it then notices however
/// early that is.
///
/// # Examples
///
/// ```no_run
/// use std::process::Command;
/// use ipc_core::{Handoff, Wait};
/// use ipc_process::Process;
///
/// # fn parent() -> ipc_core::Result<()> {
/// let mut command = Command::new("worker");
/// Process::this()?.give(&mut command, "parent")?;
/// # Ok(()) }
/// # fn child() -> ipc_core::Result<()> {
/// // In the child, on a thread of its own:
/// Process::adopt("parent")?.wait_exit(Wait::Forever)?;
/// std::process::exit(1)
/// # }
/// ```
impl Handoff for Process {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, pid)] = adopt([key], |_, fd| check(fd))?;
        Ok(Self { fd, pid })
    }
}

/// Checks that a descriptor is a pidfd, and says whose.
fn check(fd: BorrowedFd<'_>) -> Result<Option<Pid>> {
    match referent(fd)? {
        Some(Referent::Pid(pid)) => Ok(Some(pid)),
        Some(Referent::Nameless) => Ok(None),
        None => {
            let found = file_type(&rustix::fs::fstat(fd).map_err(os("fstat"))?);
            let kind = ErrorKind::WrongType { expected: "a pidfd", found };
            Err(Error::new(kind, "adopt descriptor"))
        }
    }
}

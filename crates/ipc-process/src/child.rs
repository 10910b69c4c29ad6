//! A child of this process.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;
use rustix::process::{
    Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, kill_process, waitid, waitpid,
};

use crate::kind::{leave_to_tracer, status_lost};
use crate::{Pid, Process};

/// The operation in this file's errors.
const OP: &str = "waitid";

/// What happens to a child that nobody has waited for when its [`Child`] is dropped.
///
/// Without a choice it is [`Wait`](Self::Wait), so that neither a zombie nor half-done work is left.
/// In a forked copy of the handle dropping does nothing, whatever was chosen: the child is the
/// parent's.
///
/// To let a process run that nobody waits for, start it [detached](crate::ForkOptions::detach).
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use ipc_process::{Child, OnDrop};
///
/// let mut child = Child::spawn(Command::new("sleep").arg("60"))?;
/// child.on_drop(OnDrop::Kill);
/// drop(child); // At once, and it is gone.
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDrop {
    /// Waits until it ends, for as long as it takes, as [`std::thread::scope`] waits for threads.
    #[default]
    Wait,
    /// Kills it with `SIGKILL` and waits until it is dead. For what can be started again.
    Kill,
    /// Leaves it alone: it becomes a zombie when it ends, until this process waits for any child
    /// ([`reap_any`](crate::reap_any)) or ends.
    Leave,
}

/// A child of this process, on a pidfd.
///
/// Made by [`ForkOptions::fork`](crate::ForkOptions::fork) and [`Child::spawn`]. Waiting for it takes
/// its exit status, once. Until then its pid is its own, so that signals cannot miss.
///
/// # Errors
///
/// Of all ways to wait:
///
/// - [`ErrorKind::InvalidInput`] when it has been waited for before: [`status`](Self::status) has
///   what that brought;
/// - [`ErrorKind::Disconnected`] when the status is lost: `SIGCHLD` is ignored in this process, or
///   somebody else waited for any child, or this handle is a forked copy.
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use std::time::Duration;
/// use ipc_core::ErrorKind;
/// use ipc_process::Child;
///
/// let mut child = Child::spawn(Command::new("sleep").arg("60"))?;
/// let error = child.wait_timeout(Duration::from_millis(10)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TimedOut);
/// child.process().kill()?;
/// let status = child.wait()?;
/// assert!(!status.success());
/// assert_eq!(child.status(), Some(status));
/// assert_eq!(child.wait().unwrap_err().kind(), ErrorKind::InvalidInput);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `waitid`(2), `pidfd_open`(2).
#[derive(Debug)]
#[must_use = "dropping a child waits for it"]
#[doc(alias = "waitpid")]
pub struct Child {
    process: Process,
    pid: Pid,
    /// Who has forked it: in a copy of this value in another process, it is somebody else's.
    parent: Pid,
    status: Option<ExitStatus>,
    on_drop: OnDrop,
    /// The writing end of its standard input, where [`Child::spawn`] was told to make one.
    pub stdin: Option<ChildStdin>,
    /// The reading end of its standard output, likewise.
    pub stdout: Option<ChildStdout>,
    /// The reading end of its standard error, likewise.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    /// Starts a program: [`Command::spawn`], then `pidfd_open`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] and [`ErrorKind::PermissionDenied`] for the program;
    /// - [`ErrorKind::ResourceLimit`] when processes (`RLIMIT_NPROC`, `pids.max`) or descriptors run
    ///   out. If it was the last descriptor, the program has run for a moment and was killed;
    /// - [`ErrorKind::Disconnected`] when `SIGCHLD` is ignored and it has ended already.
    ///
    /// # Examples
    ///
    /// See [`Child`].
    #[doc(alias = "posix_spawn")]
    #[doc(alias = "execve")]
    pub fn spawn(command: &mut Command) -> Result<Self> {
        const OP: &str = "spawn";
        let started = command.spawn().map_err(|error| match error.raw_os_error() {
            Some(errno) => start_error(OP, Errno::from_raw_os_error(errno)),
            None => Error::new(ErrorKind::InvalidInput, OP)
                .with_note("an argument or a variable contains a NUL"),
        })?;
        let mut child = Self::of(Pid::try_from(started.id())?)?;
        (child.stdin, child.stdout, child.stderr) = (started.stdin, started.stdout, started.stderr);
        Ok(child)
    }

    /// The child of this pid, which has been started just now and waited for by nobody.
    pub(crate) fn of(pid: Pid) -> Result<Self> {
        let process = Process::open(pid).map_err(|error| match error.kind() {
            ErrorKind::NotFound => status_lost("pidfd_open"),
            _ => {
                // Without a handle it must not live on. Its pid is its own until the second line.
                let _ = kill_process(pid.raw(), Signal::KILL);
                let _ = waitpid(Some(pid.raw()), WaitOptions::empty());
                error
            }
        })?;
        Ok(Self {
            process,
            pid,
            parent: Pid::this(),
            status: None,
            on_drop: OnDrop::default(),
            stdin: None,
            stdout: None,
            stderr: None,
        })
    }

    /// Chooses what dropping this value does if nobody has waited by then.
    ///
    /// # Examples
    ///
    /// See [`OnDrop`].
    pub fn on_drop(&mut self, choice: OnDrop) {
        self.on_drop = choice;
    }

    /// Its pid; after it was waited for, that may be another process's.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::process::Command;
    /// let child = ipc_process::Child::spawn(&mut Command::new("true"))?;
    /// assert!(child.pid().get() > 1);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The process, to send it signals or to hand a copy of the handle to somebody.
    ///
    /// # Examples
    ///
    /// See [`Process::terminate`].
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Waits until it has ended and takes its exit status: one call of `waitid`.
    ///
    /// The status is that of the standard library: `code()` for a process that ended itself,
    /// `signal()` and `core_dumped()` ([`ExitStatusExt`]) for one that was killed.
    ///
    /// # Errors
    ///
    /// See [`Child`].
    ///
    /// # Examples
    ///
    /// See [`Child`].
    #[doc(alias = "waitid")]
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.wait_with(Wait::Forever)
    }

    /// Takes its exit status if it has ended: one call of `waitid(WNOHANG)`.
    ///
    /// # Errors
    ///
    /// See [`Child`], and [`ErrorKind::WouldBlock`] while it runs.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::process::Command;
    /// use ipc_core::ErrorKind;
    /// let mut child = ipc_process::Child::spawn(Command::new("sleep").arg("60"))?;
    /// assert_eq!(child.try_wait().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// child.process().kill()?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "WNOHANG")]
    pub fn try_wait(&mut self) -> Result<ExitStatus> {
        self.wait_with(Wait::Never)
    }

    /// Waits until it has ended, `timeout` at most, and takes its exit status.
    ///
    /// # Errors
    ///
    /// See [`Child`], and [`ErrorKind::TimedOut`]: then it runs on.
    ///
    /// # Examples
    ///
    /// See [`Child`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.wait_with(Wait::timeout(timeout))
    }

    /// Waits as `wait` says until it has ended, and takes its exit status.
    ///
    /// With a deadline it sleeps in `ppoll` on the pidfd.
    ///
    /// # Errors
    ///
    /// See [`Child`], and those that [`Wait`] names.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::process::Command;
    /// use std::time::Instant;
    /// use ipc_core::Wait;
    /// let mut child = ipc_process::Child::spawn(&mut Command::new("true"))?;
    /// let deadline = Instant::now() + std::time::Duration::from_secs(60);
    /// assert!(child.wait_with(Wait::Until(deadline))?.success());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn wait_with(&mut self, wait: Wait) -> Result<ExitStatus> {
        if self.status.is_some() {
            return Err(Error::new(ErrorKind::InvalidInput, OP)
                .with_note("this child has been waited for; status() says how it ended"));
        }
        let now = match wait {
            Wait::Forever => WaitIdOptions::EXITED,
            Wait::Never | Wait::Until(_) => WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        };
        let mut ended = false;
        loop {
            match take_status(self.as_fd(), now) {
                Ok(Some(status)) => {
                    self.status = Some(status);
                    return Ok(status);
                }
                Ok(None) if wait == Wait::Never => {
                    return Err(Error::new(ErrorKind::WouldBlock, OP));
                }
                Ok(None) => {
                    if ended {
                        leave_to_tracer(OP, wait)?;
                    }
                    self.process.wait_exit(wait)?;
                    ended = true;
                }
                Err(Errno::CHILD) => return Err(status_lost(OP)),
                Err(errno) => return Err(os(OP)(errno)),
            }
        }
    }

    /// How it ended, once it has been waited for.
    ///
    /// # Examples
    ///
    /// See [`Child`].
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }
}

impl AsFd for Child {
    /// The pidfd: `poll` says that it is readable once the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status.is_some() || self.on_drop == OnDrop::Leave || Pid::this() != self.parent {
            return;
        }
        if self.on_drop == OnDrop::Kill {
            // It fails only for what has ended already, or has changed its user.
            let _ = self.process.kill();
        }
        // A child that reads its input would wait for us.
        drop(self.stdin.take());
        let _ = self.wait();
    }
}

/// Takes the status of a child that has ended: `waitid`. `None` if it has not, with `NOHANG`.
fn take_status(
    pidfd: BorrowedFd<'_>,
    options: WaitIdOptions,
) -> std::result::Result<Option<ExitStatus>, Errno> {
    let ended = rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd), options))?;
    Ok(ended.as_ref().map(exit_status))
}

/// The status as `wait`(2) packs it, which is how the standard library takes it.
fn exit_status(ended: &WaitIdStatus) -> ExitStatus {
    /// The bit that tells that there is a core file.
    const CORE: i32 = 0x80;
    ExitStatus::from_raw(match (ended.exit_status(), ended.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) if ended.dumped() => signal | CORE,
        (None, signal) => signal.unwrap_or(0),
    })
}

/// Why a process could not be started.
pub(crate) fn start_error(op: &'static str, errno: Errno) -> Error {
    match errno {
        Errno::AGAIN => os(op)(errno).with_kind(ErrorKind::ResourceLimit {
            limit: "processes and threads",
            knob: "RLIMIT_NPROC (ulimit -u), pids.max of the control group, kernel.threads-max",
        }),
        errno => os(op)(errno),
    }
}

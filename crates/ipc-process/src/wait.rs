//! Waiting for several children, or for whichever there are.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::any_ready;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;

use crate::kind::{leave_to_tracer, no_children};
use crate::{Child, Pid};

/// How often [`reap_any`] looks while it waits for a deadline.
const LOOK: Duration = Duration::from_millis(2);

/// Waits until one of `children` has ended, takes its exit status, and says which it was, by its
/// index: `ppoll` on their pidfds, then `waitid`.
///
/// Those that have been waited for are passed over. Of several that have ended the first in the slice
/// is taken. Other children of the process are left alone, unlike with [`reap_any`].
///
/// # Errors
///
/// - [`ErrorKind::NotFound`] when `children` has none that was not waited for;
/// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says;
/// - [`ErrorKind::Disconnected`] as [`Child`] says.
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use ipc_core::Wait;
/// use ipc_process::{Child, wait_all, wait_any};
///
/// let mut children =
///     [Child::spawn(Command::new("sleep").arg("60"))?, Child::spawn(&mut Command::new("true"))?];
/// let (which, status) = wait_any(&mut children, Wait::Forever)?;
/// assert!(which == 1 && status.success());
///
/// children[0].process().kill()?;
/// wait_all(&mut children, Wait::Forever)?;
/// assert!(children.iter().all(|child| child.status().is_some()));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `poll`(2), `waitid`(2).
pub fn wait_any(children: &mut [Child], wait: Wait) -> Result<(usize, ExitStatus)> {
    const OP: &str = "wait for any of some children";
    loop {
        let waiting = |child: &&Child| child.status().is_none();
        let mut fds: Vec<_> = children
            .iter()
            .filter(waiting)
            .map(|child| PollFd::new(child, PollFlags::IN))
            .collect();
        if fds.is_empty() {
            return Err(no_children(OP));
        }
        any_ready(OP, &mut fds, wait)?;
        let ended = fds.iter().position(|fd| !fd.revents().is_empty());
        drop(fds);
        let Some(ended) = ended else { continue };
        let which = children.iter().enumerate().filter(|(_, child)| waiting(child)).nth(ended);
        let Some((which, _)) = which else { continue };
        match children[which].try_wait() {
            Ok(status) => return Ok((which, status)),
            Err(error) if error.kind() == ErrorKind::WouldBlock && wait != Wait::Never => {
                leave_to_tracer(OP, wait)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until all `children` have ended and takes their exit statuses, which
/// [`Child::status`] then tells.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says, and
/// [`ErrorKind::Disconnected`] as [`Child`] says. Those that have ended by then were waited for, and
/// another call goes on with the others. No children at all are no error.
///
/// # Examples
///
/// See [`wait_any`].
pub fn wait_all(children: &mut [Child], wait: Wait) -> Result<()> {
    let mut first_error = None;
    for child in children.iter_mut().filter(|child| child.status().is_none()) {
        if let Err(error) = child.wait_with(wait) {
            first_error = first_error.or(Some(error));
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Waits until any child of this process has ended, and takes its exit status: `wait4(-1)`.
///
/// This is for a process that inherits children it never started: a [subreaper](crate::set_subreaper)
/// or the first process of a container. It takes the status of *every* child, also of one that a
/// [`Child`], or [`std::process::Child`], of another part of the program is for, which then learns
/// that it is lost.
///
/// With a deadline it looks every 2 ms, since no descriptor tells of children in general. The other
/// two ways to wait are one system call.
///
/// # Errors
///
/// - [`ErrorKind::NotFound`] when this process has no child;
/// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says.
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use ipc_core::{ErrorKind, Wait};
/// use ipc_process::{Child, reap_any};
///
/// let child = Child::spawn(&mut Command::new("true"))?;
/// let (pid, status) = reap_any(Wait::Forever)?;
/// assert!(pid == child.pid() && status.success());
/// assert_eq!(reap_any(Wait::Forever).unwrap_err().kind(), ErrorKind::NotFound);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `wait4`(2), `PR_SET_CHILD_SUBREAPER`(2const).
#[doc(alias = "waitpid")]
#[doc(alias = "wait4")]
pub fn reap_any(wait: Wait) -> Result<(Pid, ExitStatus)> {
    const OP: &str = "wait4";
    let options = match wait {
        Wait::Forever => WaitOptions::empty(),
        Wait::Never | Wait::Until(_) => WaitOptions::NOHANG,
    };
    loop {
        match rustix::process::wait(options) {
            Ok(Some((pid, status))) => {
                return Ok((Pid::of(pid), ExitStatus::from_raw(status.as_raw())));
            }
            Ok(None) => match wait.remaining() {
                Some(left) if left.is_zero() => return Err(Error::new(wait.exhausted(), OP)),
                left => std::thread::sleep(left.map_or(LOOK, |left| left.min(LOOK))),
            },
            Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Err(no_children(OP)),
            Err(errno) => return Err(os(OP)(errno)),
        }
    }
}

//! What happens to children when their parent ends.

use std::process::Command;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::process::child_subreaper;

use crate::process::check_signal;
use crate::{Pid, sys};

/// Has the child of `command` signalled when this thread ends: `prctl(PR_SET_PDEATHSIG)` between fork
/// and exec, after which it looks whether the parent is still there.
///
/// So there is no moment in which the parent's death goes unnoticed: before the child has asked for
/// the signal it sees that it has another parent, and does not become the program. `SIGKILL` (9) and
/// `SIGTERM` (15) are the usual choices.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] as [`Process::send_signal`](crate::Process::send_signal).
///
/// # Limits
///
/// - **It is the thread that counts, not the process**: the signal comes when the *thread* that
///   started the child ends. Start it from one that lives as long as the process, such as the main
///   thread. [`Process::parent`](crate::Process::parent) means the process.
/// - The kernel forgets it when the child changes its user or runs a set-user-id program, and does not
///   pass it on to the child's own children.
/// - A command with it is started by fork and exec, since `posix_spawn` cannot do it.
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use ipc_process::Child;
///
/// let mut command = Command::new("sleep");
/// ipc_process::die_with_parent(command.arg("60"), 9)?;
/// let child = Child::spawn(&mut command)?; // Should this process be killed, sleep is too.
/// # child.process().kill()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `PR_SET_PDEATHSIG`(2const).
#[doc(alias = "PR_SET_PDEATHSIG")]
pub fn die_with_parent(command: &mut Command, signal: i32) -> Result<()> {
    check_signal("prctl PR_SET_PDEATHSIG", signal)?;
    sys::arm_parent_death_signal(command, signal, Pid::this().get());
    Ok(())
}

/// Has this process signalled when the thread that started it ends: `prctl(PR_SET_PDEATHSIG)`, after
/// which it looks whether `parent` is still its parent.
///
/// For a child whose parent knows nothing of this crate but has told it its pid. The limits of
/// [`die_with_parent`] apply.
///
/// # Errors
///
/// - [`ErrorKind::Disconnected`] when the parent has ended already: nobody will send the signal, and
///   the child should end now;
/// - [`ErrorKind::InvalidInput`] as [`Process::send_signal`](crate::Process::send_signal).
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_process::{Pid, set_parent_death_signal};
///
/// // This process is not its own parent: so has the "parent" died.
/// let error = set_parent_death_signal(15, Pid::this()).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Disconnected);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `PR_SET_PDEATHSIG`(2const).
#[doc(alias = "PR_SET_PDEATHSIG")]
pub fn set_parent_death_signal(signal: i32, parent: Pid) -> Result<()> {
    const OP: &str = "prctl PR_SET_PDEATHSIG";
    check_signal(OP, signal)?;
    sys::set_parent_death_signal(signal).map_err(os(OP))?;
    if sys::parent_is(parent.get()) {
        return Ok(());
    }
    // Whoever the parent is now has nothing to do with it.
    sys::set_parent_death_signal(0).map_err(os(OP))?;
    Err(Error::new(ErrorKind::Disconnected, OP).with_note("the parent has ended"))
}

/// Makes this process the reaper of its descendants, or no longer: `prctl(PR_SET_CHILD_SUBREAPER)`.
///
/// A process whose parent ends is an *orphan*, and gets a new parent: the nearest ancestor that is a
/// subreaper, otherwise the first process of the pid namespace. The new parent must wait for it, or it
/// stays a zombie: see [`reap_any`](crate::reap_any). A forked child is no subreaper itself.
///
/// # Errors
///
/// None that Linux documents.
///
/// # Examples
///
/// ```
/// use ipc_process::{is_subreaper, set_subreaper};
///
/// set_subreaper(true)?;
/// assert!(is_subreaper()?);
/// set_subreaper(false)?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `PR_SET_CHILD_SUBREAPER`(2const).
#[doc(alias = "PR_SET_CHILD_SUBREAPER")]
pub fn set_subreaper(on: bool) -> Result<()> {
    // The call takes a number, and rustix calls any but zero a pid.
    let on = on.then(rustix::process::getpid);
    rustix::process::set_child_subreaper(on).map_err(os("prctl PR_SET_CHILD_SUBREAPER"))
}

/// Whether this process is a reaper of its descendants: `prctl(PR_GET_CHILD_SUBREAPER)`.
///
/// # Errors
///
/// None that Linux documents.
///
/// # Examples
///
/// See [`set_subreaper`].
#[doc(alias = "PR_GET_CHILD_SUBREAPER")]
pub fn is_subreaper() -> Result<bool> {
    Ok(child_subreaper().map_err(os("prctl PR_GET_CHILD_SUBREAPER"))?.is_some())
}

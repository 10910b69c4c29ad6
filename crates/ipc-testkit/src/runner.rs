//! One case in a process of its own, under a watchdog.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{io, process};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use crate::{environment, proc, verdict};

/// What a report says of a case that the watchdog killed.
pub(crate) const HUNG: &str = "hung: it was not finished";

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
}

/// A command that runs this binary again as a `what` (a case or a role) that is named `name`.
///
/// `/proc/self/exe` is this very file, also when a compiler has put another one in its place.
pub(crate) fn this_binary(what: &str, name: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name).env(what, name).env(environment::PARENT, process::id().to_string());
    command
}

/// Runs a case and waits for it, `deadline` at most.
///
/// `capture` collects what it prints, for the report of a failure.
pub(crate) fn run(case: &str, deadline: Duration, capture: bool) -> Outcome {
    try_run(case, deadline, capture)
        .unwrap_or_else(|error| Outcome::Failed(format!("the harness could not run it: {error}")))
}

fn try_run(case: &str, deadline: Duration, capture: bool) -> io::Result<Outcome> {
    let dir = tempfile::Builder::new().prefix("ipc-testkit-").rand_bytes(10).tempdir()?;
    let output = tempfile::tempfile()?;
    let mut command = this_binary(environment::CASE, case);
    command.process_group(0).env_remove(environment::ROLE).env(environment::DIR, dir.path());
    command.stdin(Stdio::null());
    if capture {
        command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    }
    let mut child = command.spawn()?;
    drop(command);

    let group = Pid::from_child(&child);
    let hung = match wait(group, deadline)? {
        true => None,
        false => Some(autopsy(group)),
    };
    // The case is dead or doomed, but not reaped: nobody else can have its process group.
    let left = match &hung {
        None => proc::members(group),
        Some(_) => Vec::new(),
    };
    let left: Vec<_> = left.into_iter().map(proc::describe).collect();
    kill_group(group)?;
    let status = reap(&mut child)?;

    let printed = printed(&output)?;
    let fail = |what: String| Outcome::Failed(verdict::with_output(&what, &printed));
    Ok(match hung {
        Some(autopsy) => fail(format!(
            "{case} {HUNG} after {deadline:?} ({} changes that), and its \
             processes were killed.\n{autopsy}",
            environment::DEADLINE
        )),
        None if !left.is_empty() => {
            fail(format!("{case} ended and left processes behind:\n{}", left.concat()))
        }
        None => match ended(status, &printed) {
            Outcome::Failed(how) => fail(format!("{case} {how}")),
            Outcome::Passed if !environment::list(dir.path()).is_empty() => {
                let names = environment::list(dir.path()).join(", ");
                fail(format!("{case} passed, but left these behind in its directory: {names}"))
            }
            outcome => outcome,
        },
    })
}

/// Waits for the process to end, without reaping it; `false` when the deadline passed first.
fn wait(pid: Pid, deadline: Duration) -> io::Result<bool> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a deadline fits a timespec");
        match poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What each process of the group is blocked in.
fn autopsy(group: Pid) -> String {
    proc::members(group).into_iter().map(proc::describe).collect()
}

/// Kills every process of the group and waits until none is left.
///
/// A process that forks while it is killed makes more members: the loop ends when there are none.
fn kill_group(group: Pid) -> io::Result<()> {
    loop {
        let members = proc::members(group);
        if members.is_empty() {
            return Ok(());
        }
        let pidfds: Vec<_> =
            members.iter().flat_map(|pid| pidfd_open(*pid, PidfdFlags::empty())).collect();
        match kill_process_group(group, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
        for pidfd in pidfds {
            while let Err(Errno::INTR) =
                poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], None)
            {}
        }
    }
}

fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    child.wait()
}

/// What the exit status says.
fn ended(status: ExitStatus, printed: &str) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(0), _) => Outcome::Passed,
        (Some(verdict::SKIPPED), _) => Outcome::Skipped(verdict::skip_reason(printed)),
        (Some(verdict::PANICKED), _) => Outcome::Failed("failed".into()),
        (Some(code), _) => Outcome::Failed(format!("failed with exit status {code}")),
        (None, Some(signal)) => {
            Outcome::Failed(format!("was killed by {}", verdict::signal_name(signal)))
        }
        (None, None) => Outcome::Failed("ended in an unknown way".into()),
    }
}

/// What the case and its peers have printed, without the middle if it is very long.
fn printed(output: &File) -> io::Result<String> {
    const MOST: u64 = 32 << 10;
    let len = output.metadata()?.len();
    let mut text = vec![0; usize::try_from(len.min(MOST)).expect("it is small")];
    output.read_exact_at(&mut text, len.saturating_sub(MOST))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(if len > MOST { format!("[… {} bytes before]\n{text}", len - MOST) } else { text })
}

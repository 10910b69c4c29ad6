//! Runs one program to its end: in its own process group, with a deadline, and leaving none behind.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::interrupt::Interrupts;

/// The most that is kept of what a program prints.
const KEEP: usize = 64 << 20;

/// How a program ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Killed, because its time was over.
    Hung,
    /// Killed, because this signal asked us to stop.
    Stopped(i32),
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) ended: Ended,
    /// Its standard output.
    pub(crate) stdout: Vec<u8>,
    /// Its standard error, where it was captured.
    pub(crate) stderr: Vec<u8>,
}

/// What is done with a program's standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stderr {
    /// It is ours.
    Inherit,
    /// It is kept, to be quoted when the program fails.
    Capture,
}

/// Runs `command` and sleeps until it exits, the deadline passes, or a signal asks us to stop.
///
/// The program leads a process group of its own, and the whole group is killed at the end, whatever
/// the end was: a responder whose initiator died or hung does not outlive this call.
pub(crate) fn run(
    command: &mut Command,
    stderr: Stderr,
    limit: Option<Duration>,
    interrupts: &Interrupts,
) -> Result<Finished> {
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(match stderr {
        Stderr::Inherit => Stdio::inherit(),
        Stderr::Capture => Stdio::piped(),
    });
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let mut group = Group::new(child)?;
    let mut out = Capture::new(group.child.stdout.take())?;
    let mut err = Capture::new(group.child.stderr.take())?;
    let deadline = limit.map(|limit| Instant::now() + limit);

    let stop = loop {
        if let Some(signal) = interrupts.caught() {
            break Some(Ended::Stopped(signal));
        }
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            break Some(Ended::Hung);
        }
        if wait(&group.pidfd, &mut out, &mut err, interrupts, left)? {
            break None;
        }
    };
    let status = group.kill()?;
    out.drain()?;
    err.drain()?;
    Ok(Finished {
        ended: stop.unwrap_or(Ended::Exited(status)),
        stdout: out.bytes,
        stderr: err.bytes,
    })
}

/// Sleeps until something happens, takes what was printed, and says whether the program has exited.
fn wait(
    pidfd: &OwnedFd,
    out: &mut Capture,
    err: &mut Capture,
    interrupts: &Interrupts,
    left: Option<Duration>,
) -> Result<bool> {
    let (mut exited, mut printed) = (false, [false; 2]);
    {
        let mut fds =
            vec![PollFd::new(pidfd, PollFlags::IN), PollFd::new(interrupts, PollFlags::IN)];
        let pipes = [out.source.as_ref(), err.source.as_ref()];
        fds.extend(
            pipes
                .into_iter()
                .flatten()
                .map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)),
        );
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(err) => return Err(err).context("cannot wait for a child process"),
        }
        exited |= !fds[0].revents().is_empty();
        let mut ready = fds[2..].iter().map(|fd| !fd.revents().is_empty());
        for (pipe, printed) in pipes.iter().zip(&mut printed) {
            *printed = pipe.is_some() && ready.next().unwrap_or(false);
        }
    }
    if printed[0] {
        out.drain()?;
    }
    if printed[1] {
        err.drain()?;
    }
    Ok(exited)
}

/// A child that leads a process group. Dropped, the group is killed and the child is reaped.
#[derive(Debug)]
struct Group {
    child: Child,
    pid: Pid,
    pidfd: OwnedFd,
    reaped: bool,
}

impl Group {
    fn new(mut child: Child) -> Result<Self> {
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { child, pid, pidfd, reaped: false }),
            Err(err) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(err).context("pidfd_open failed: Linux 5.3 or later is needed")
            }
        }
    }

    /// Kills whoever is left of the group. The child is not reaped before, so that the group's
    /// number cannot have passed to somebody else.
    fn kill(&mut self) -> Result<ExitStatus> {
        // ESRCH: nobody is left.
        let _ = kill_process_group(self.pid, Signal::KILL);
        self.reaped = true;
        self.child.wait().context("cannot reap a child process")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.kill();
        }
    }
}

/// The read end of a pipe and what came out of it.
#[derive(Debug, Default)]
struct Capture {
    source: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Capture {
    fn new(pipe: Option<impl Into<OwnedFd>>) -> Result<Self> {
        let source = pipe.map(Into::into);
        if let Some(pipe) = &source {
            rustix::io::ioctl_fionbio(pipe, true).context("cannot make a pipe non-blocking")?;
        }
        Ok(Self { source, bytes: Vec::new() })
    }

    /// Takes what is there now; forgets the pipe at its end.
    fn drain(&mut self) -> Result<()> {
        let mut chunk = [0; 64 << 10];
        while let Some(pipe) = self.source.take() {
            let mut file = std::fs::File::from(pipe);
            let got = file.read(&mut chunk);
            if !matches!(got, Ok(0)) {
                self.source = Some(file.into());
            }
            match got {
                Ok(n) => {
                    let room = KEEP.saturating_sub(self.bytes.len());
                    self.bytes.extend_from_slice(&chunk[..n.min(room)]);
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => break,
                Err(err) => return Err(err).context("cannot read what a child process prints"),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Finished {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(&mut command, Stderr::Capture, Some(limit), &Interrupts::deaf()).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn both_outputs_and_the_status_are_kept() {
        let done = sh("echo out; echo err >&2; exit 3", LONG);
        assert!(matches!(done.ended, Ended::Exited(status) if status.code() == Some(3)));
        assert_eq!(
            (done.stdout.as_slice(), done.stderr.as_slice()),
            (&b"out\n"[..], &b"err\n"[..])
        );
    }

    #[test]
    fn output_longer_than_a_pipe_arrives_whole() {
        let done = sh("i=0; while [ $i -lt 30000 ]; do echo 0123456789; i=$((i+1)); done", LONG);
        assert_eq!(done.stdout.len(), 30000 * 11);
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let done = sh("sleep 1000 & echo $!; wait", Duration::from_millis(300));
        assert!(matches!(done.ended, Ended::Hung));
        let pid: i32 = String::from_utf8(done.stdout).unwrap().trim().parse().unwrap();
        assert_gone(pid);
    }

    #[test]
    fn a_child_left_behind_by_its_parent_is_killed() {
        let done = sh("sleep 1000 & echo $!", LONG);
        assert!(matches!(done.ended, Ended::Exited(status) if status.success()));
        let pid: i32 = String::from_utf8(done.stdout).unwrap().trim().parse().unwrap();
        assert_gone(pid);
    }

    /// Waits until the process is no more, or a zombie that its new parent has yet to reap.
    fn assert_gone(pid: i32) {
        for _ in 0..3000 {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if stat.is_empty() || stat.contains(") Z ") {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("process {pid} is still there");
    }
}

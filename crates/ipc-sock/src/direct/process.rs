//! A process that stays the one that was meant, whoever gets its pid later.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::any_ready;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process, by a pidfd, and what tells it from others that have had its pid.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// Its effective user.
    pub(super) uid: u32,
    /// When it started, in clock ticks since the machine did: field 22 of `/proc/PID/stat`.
    pub(super) start: u64,
    pidfd: OwnedFd,
}

impl Process {
    /// Finds the process that has this pid now: `pidfd_open`, and a look at `/proc`.
    pub(super) fn find(pid: u32, op: &'static str) -> Result<Self> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, op)
                .with_note("a pid is a number from 1 to 2147483647; 0 is no process")
        })?;
        let none = |note| Error::new(ErrorKind::NotFound, op).with_note(note);
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|errno| match errno {
            Errno::SRCH => none("no process has this pid"),
            // EINVAL before Linux 6.15.
            Errno::NOENT | Errno::INVAL => none("this is the id of a thread, not of a process"),
            errno => os("pidfd_open")(errno),
        })?;
        // What is read here is of this very process if it is alive afterwards: nobody else can have
        // the pid before that.
        let facts = facts(pid);
        if ended(pidfd.as_fd())? {
            return Err(none("the process of this pid has ended"));
        }
        match facts {
            Ok((start, uid)) => Ok(Self { pid, uid, start, pidfd }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::new(ErrorKind::PermissionDenied, op)
                    .with_note("/proc hides this process: it belongs to another user (hidepid)"))
            }
            Err(error) => Err(proc_error(&error)),
        }
    }

    /// Whether it has ended, also if nobody has waited for it yet.
    pub(super) fn has_ended(&self) -> Result<bool> {
        ended(self.pidfd.as_fd())
    }

    /// Waits until a descriptor is ready, or this process ends: `ppoll`.
    pub(super) fn ready_or_ended(
        &self,
        op: &'static str,
        fd: BorrowedFd<'_>,
        ready: PollFlags,
        wait: Wait,
    ) -> Result<()> {
        let end = PollFd::new(&self.pidfd, PollFlags::IN);
        any_ready(op, &mut [PollFd::from_borrowed_fd(fd, ready), end], wait)
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// The pid and the start of this process.
pub(super) fn this() -> Result<(u32, u64)> {
    let pid = std::process::id();
    let stat = fs::read("/proc/self/stat").map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => proc_error(&error)
            .with_kind(ErrorKind::Unsupported)
            .with_note("/proc must be mounted: mount -t proc proc /proc"),
        _ => proc_error(&error),
    })?;
    // Another pid namespace's /proc would name other processes by the pids of this one.
    if stat.split(|byte| *byte == b' ').next() != Some(pid.to_string().as_bytes()) {
        return Err(Error::new(ErrorKind::Unsupported, "read /proc/self/stat")
            .with_note("the /proc that is mounted here is of another pid namespace"));
    }
    start_of(&stat).map(|start| (pid, start)).ok_or_else(unreadable)
}

/// When the process that has this pid started, if there is one.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    start_of(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The start and the effective user of whoever has this pid.
fn facts(pid: u32) -> io::Result<(u64, u32)> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    // Not the owner of the directory: that is root for a process that may not be dumped.
    let status = fs::read(format!("/proc/{pid}/status"))?;
    let facts = start_of(&stat).zip(uid_of(&status));
    facts.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Field 22 of `/proc/PID/stat`. The second, the program's name, may have blanks and parentheses in it.
fn start_of(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    fields(&stat[name_end + 1..]).nth(19).and_then(number)
}

/// The second number of `Uid:` in `/proc/PID/status`: real, effective, saved, for files.
fn uid_of(status: &[u8]) -> Option<u32> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    fields(line).nth(1).and_then(number)
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

/// A decimal number.
fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn ended(pidfd: BorrowedFd<'_>) -> Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        let mut poll = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut poll, Some(&now)) {
            Err(Errno::INTR) => {}
            ready => return ready.map(|n| n > 0).map_err(os("poll")),
        }
    }
}

fn proc_error(error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(errno) => Error::from_os("read /proc", errno),
        None => unreadable(),
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Unsupported, "read /proc").with_note("it is not as Linux writes it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat = b"42 (a) R 7 (x) S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        assert_eq!(start_of(stat), Some(98765));
        assert_eq!(start_of(b"42 (a"), None);
        assert_eq!(start_of(b"42 (a) S 1"), None);
    }

    #[test]
    fn the_effective_user_is_the_second_number() {
        assert_eq!(uid_of(b"Name:\tx\nUid:\t1000\t0\t3\t4\nGid:\t5\t5\t5\t5\n"), Some(0));
        assert_eq!(uid_of(b"Name:\tUid: 1\n"), None);
    }
}

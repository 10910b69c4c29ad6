//! What `/proc` says of a process.

use std::fs;
use std::io::{self, ErrorKind as Io};
use std::os::fd::{AsRawFd, BorrowedFd};

use ipc_core::{Error, ErrorKind, Result};

use crate::Pid;
use crate::kind::gone;

/// The fields of `/proc/PID/stat` that this crate needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Since the machine started, in clock ticks.
    pub(crate) start_time: u64,
}

impl Stat {
    pub(crate) fn read(pid: Pid) -> Result<Self> {
        const OP: &str = "read /proc/PID/stat";
        let text = match fs::read(format!("/proc/{pid}/stat")) {
            Ok(text) => text,
            // The file was opened, and then its process went.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Err(gone(OP)),
            Err(error) if error.kind() == Io::NotFound && is_mounted() => return Err(gone(OP)),
            Err(error) => return Err(proc_error(OP)(error)),
        };
        Self::parse(&text).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, OP).with_note("the file has another layout")
        })
    }

    /// The command's name stands in parentheses and may contain anything, parentheses too.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
        // Of the fields of proc_pid_stat(5), the state is the third and comes first here.
        let start_time = rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
        Some(Self { start_time })
    }
}

/// Whether `/proc` is there.
fn is_mounted() -> bool {
    fs::exists("/proc/self/stat").unwrap_or(true)
}

/// Why a file that is always there could not be read.
fn proc_error(op: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| match error.raw_os_error() {
        Some(errno) if error.kind() != Io::NotFound => Error::from_os(op, errno),
        _ => Error::new(ErrorKind::Unsupported, op).with_note("/proc is not mounted"),
    }
}

/// Which process a pidfd refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Referent {
    /// The process of this pid.
    Pid(Pid),
    /// One that has been waited for, or that lies outside of this pid namespace.
    Nameless,
}

/// Asks `/proc/self/fdinfo` which process a pidfd refers to; `None` if it is no pidfd.
pub(crate) fn referent(fd: BorrowedFd<'_>) -> Result<Option<Referent>> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let text = fs::read_to_string(path).map_err(proc_error("read /proc/self/fdinfo"))?;
    let Some(pid) = text.lines().find_map(|line| line.strip_prefix("Pid:")) else {
        return Ok(None);
    };
    let pid = pid.trim().parse().ok().and_then(|pid| Pid::new(pid).ok());
    Ok(Some(pid.map_or(Referent::Nameless, Referent::Pid)))
}

/// How many threads this process has.
pub(crate) fn threads() -> Result<usize> {
    let tasks = fs::read_dir("/proc/self/task").map_err(proc_error("read /proc/self/task"))?;
    Ok(tasks.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_look_like_the_rest_of_the_line() {
        let line = b"42 (a) R 1 (b) S 7 8) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 991 20";
        assert_eq!(Stat::parse(line), Some(Stat { start_time: 991 }));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            let _ = Stat::parse(&text);
        }
    }
}

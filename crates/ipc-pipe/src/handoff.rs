//! Giving an end to a child process, and taking it there.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use ipc_core::handoff::{Handoff, Ticket};
use ipc_core::{Error, ErrorKind, Rejected, Result};
use rustix::io::FdFlags;

use crate::kind::{self, Expected, os};
use crate::{PacketReader, PacketWriter, PipeReader, PipeWriter, sys};

/// Standard input, output and error: `Command` moves other files there in the child.
const STDIO: i32 = 3;

/// The operation in this file's errors.
const OP: &str = "handoff";

/// Everything about a handoff that can fail, done.
#[derive(Debug)]
pub(crate) struct Gift {
    variable: String,
    ticket: Ticket,
    /// A copy with a higher number, of a descriptor that has the number of standard input or output.
    moved: Option<OwnedFd>,
}

impl Gift {
    /// Gets ready to give `fd` to the child of `command` under `key`.
    pub(crate) fn prepare(fd: BorrowedFd<'_>, command: &Command, key: &str) -> Result<Self> {
        let variable = Ticket::variable(key)?;
        if command.get_envs().any(|(name, value)| name == &variable[..] && value.is_some()) {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("this command has been given an end under this key"));
        }
        let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
        let moved = if fd.as_raw_fd() < STDIO {
            Some(rustix::io::fcntl_dupfd_cloexec(fd, STDIO).map_err(os("fcntl F_DUPFD_CLOEXEC"))?)
        } else {
            None
        };
        let number = moved.as_ref().map_or(fd.as_raw_fd(), AsRawFd::as_raw_fd);
        let ticket = Ticket { fd: number, dev: stat.st_dev, ino: stat.st_ino };
        Ok(Self { variable, ticket, moved })
    }

    /// Gives `fd`, which this was prepared for.
    pub(crate) fn attach(self, fd: impl Into<OwnedFd>, command: &mut Command) {
        let fd = self.moved.unwrap_or_else(|| fd.into());
        command.env(self.variable, self.ticket.to_string());
        sys::inherit(command, fd);
    }
}

/// Takes the descriptors that the parent gave under some keys: all of them, or none.
pub(crate) fn adopt<const N: usize>(wanted: [(&str, Expected); N]) -> Result<[OwnedFd; N]> {
    /// The numbers that were ever adopted: a number that was closed since may be anybody's.
    static ADOPTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

    let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut numbers = [-1; N];
    for (i, (key, want)) in wanted.into_iter().enumerate() {
        let ticket = Ticket::from_env(key)?;
        if adopted.contains(&ticket.fd) || numbers.contains(&ticket.fd) {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("this process has adopted it before"));
        }
        check(ticket, want)?;
        numbers[i] = ticket.fd;
    }
    for number in numbers {
        let fd = sys::look_at(number).map_err(os(OP))?;
        rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(os("fcntl"))?;
    }
    adopted.extend(numbers);
    Ok(numbers.map(sys::take))
}

/// Checks that what a ticket names is there, and is what a type stands for.
fn check(ticket: Ticket, want: Expected) -> Result<()> {
    if ticket.fd < STDIO {
        return Err(Error::new(ErrorKind::Corrupted, OP)
            .with_note("the environment variable names standard input, output or error"));
    }
    let stale = |error: Error| {
        error
            .with_kind(ErrorKind::NotFound)
            .with_note("the environment variable is stale: it was meant for another process")
    };
    let fd = sys::look_at(ticket.fd).map_err(|errno| stale(os(OP)(errno)))?;
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    let flags = rustix::io::fcntl_getfd(fd).map_err(os("fcntl"))?;
    // An inherited descriptor is not close-on-exec; what this process opens for itself is.
    if (stat.st_dev, stat.st_ino) != (ticket.dev, ticket.ino) || flags.contains(FdFlags::CLOEXEC) {
        return Err(stale(Error::new(ErrorKind::NotFound, OP)));
    }
    kind::check(fd, want)
}

/// The ends differ in their types alone.
macro_rules! handoff {
    ($($end:ty),+) => {$(
        impl Handoff for $end {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                match Gift::prepare(self.as_fd(), command, key) {
                    Ok(gift) => {
                        gift.attach(self, command);
                        Ok(())
                    }
                    Err(error) => Err(Rejected { value: self, error }),
                }
            }

            fn adopt(key: &str) -> Result<Self> {
                adopt([(key, Self::EXPECTED)]).map(|[fd]| Self::new(fd))
            }
        }
    )+};
}

handoff!(PipeReader, PipeWriter, PacketReader, PacketWriter);

#[cfg(test)]
mod tests {
    use super::*;

    /// `Command` puts the child's standard input, output and error over these numbers.
    #[test]
    fn numbers_of_standard_io_are_moved_out_of_the_way() {
        let gift =
            Gift::prepare(std::io::stdin().as_fd(), &Command::new("true"), "low").expect("prepare");
        assert!(gift.ticket.fd >= STDIO, "{gift:?}");
        assert!(gift.moved.is_some(), "{gift:?}");
    }
}

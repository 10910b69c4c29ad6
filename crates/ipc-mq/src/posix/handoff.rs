//! Giving an end to a child process, and taking it there.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::sync::Mutex;

use ipc_core::handoff::{Handoff, Ticket};
use ipc_core::{Error, ErrorKind, Rejected, Result};
use rustix::io::{Errno, FdFlags};

use super::end::{self, Attributes, Side};
use super::{Receiver, Sender};
use crate::kind::os;
use crate::sys;

/// Standard input, output and error: `Command` moves other files there in the child.
const STDIO: i32 = 3;

/// Everything about a handoff that can fail, done.
struct Gift {
    variable: String,
    ticket: Ticket,
    /// A copy with a higher number, of a descriptor that has the number of standard input or
    /// output.
    moved: Option<OwnedFd>,
}

impl Gift {
    /// Gets ready to give `fd` under `key`.
    fn prepare(fd: BorrowedFd<'_>, key: &str) -> Result<Self> {
        let variable = Ticket::variable(key)?;
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
    fn attach(self, fd: impl Into<OwnedFd>, command: &mut Command) {
        let fd = self.moved.unwrap_or_else(|| fd.into());
        command.env(self.variable, self.ticket.to_string());
        sys::inherit(command, fd);
    }
}

/// Takes the descriptor that the parent gave under `key`.
fn adopt(key: &str, side: Side) -> Result<(OwnedFd, Attributes)> {
    /// Two threads that adopt one key must not both find it free.
    static ADOPTING: Mutex<()> = Mutex::new(());

    const OP: &str = "handoff";
    let ticket = Ticket::from_env(key)?;
    if ticket.fd < STDIO {
        return Err(Error::new(ErrorKind::Corrupted, OP)
            .with_note("the environment variable names standard input, output or error"));
    }
    let _alone = ADOPTING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let fd = sys::look_at(ticket.fd);
    let stale = |error: Error| {
        error
            .with_kind(ErrorKind::NotFound)
            .with_note("the environment variable is stale: it was meant for another process")
    };
    let stat = match rustix::fs::fstat(fd) {
        Err(Errno::BADF) => return Err(stale(os(OP)(Errno::BADF))),
        stat => stat.map_err(os("fstat"))?,
    };
    if (stat.st_dev, stat.st_ino) != (ticket.dev, ticket.ino) {
        return Err(stale(Error::new(ErrorKind::NotFound, OP)));
    }
    // An inherited descriptor is not close-on-exec, and one that was adopted is.
    if rustix::io::fcntl_getfd(fd).map_err(os("fcntl"))?.contains(FdFlags::CLOEXEC) {
        return Err(Error::new(ErrorKind::AlreadyExists, OP)
            .with_note("this process has adopted it before"));
    }
    let attributes = end::check(fd, side)?;
    rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(os("fcntl"))?;
    Ok((sys::take(ticket.fd), attributes))
}

impl Handoff for Sender {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        match Gift::prepare(self.as_fd(), key) {
            Ok(gift) => {
                gift.attach(self, command);
                Ok(())
            }
            Err(error) => Err(Rejected { value: self, error }),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        let (fd, attributes) = adopt(key, Side::Sends)?;
        Ok(Self::new(fd, &attributes))
    }
}

/// A receiver that [keeps a message](Receiver::keeps_message) is refused with
/// [`ErrorKind::InvalidInput`]: the message would be lost.
impl Handoff for Receiver {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        if self.keeps_message() {
            let error = Error::new(ErrorKind::InvalidInput, "handoff")
                .with_note("this receiver keeps a message: receive it first");
            return Err(Rejected { value: self, error });
        }
        match Gift::prepare(self.as_fd(), key) {
            Ok(gift) => {
                gift.attach(self, command);
                Ok(())
            }
            Err(error) => Err(Rejected { value: self, error }),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        let (fd, attributes) = adopt(key, Side::Receives)?;
        Ok(Self::new(fd, &attributes))
    }
}

//! Giving an end to a child process, and taking it there.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use ipc_core::handoff::{Handoff, Ticket};
use ipc_core::{Error, ErrorKind, Rejected, Result};
use rustix::io::FdFlags;

use super::end::{self, Attributes, Side};
use super::{Receiver, Sender};
use crate::kind::os;
use crate::sys;

/// Standard input, output and error: `Command` moves other files there in the child.
const STDIO: i32 = 3;

/// The operation in this file's errors.
const OP: &str = "handoff";

/// Everything about a handoff that can fail, done.
struct Gift {
    variable: String,
    ticket: Ticket,
    /// A copy with a higher number, of a descriptor that has the number of standard input or
    /// output.
    moved: Option<OwnedFd>,
}

impl Gift {
    /// Gets ready to give `fd` to the child of `command` under `key`.
    fn prepare(fd: BorrowedFd<'_>, command: &Command, key: &str) -> Result<Self> {
        let variable = crate::kind::free_variable(command, key)?;
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
    /// The numbers that were ever adopted: a number that was closed since may be anybody's.
    static ADOPTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

    let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let ticket = Ticket::from_env(key)?;
    if adopted.contains(&ticket.fd) {
        return Err(Error::new(ErrorKind::AlreadyExists, OP)
            .with_note("this process has adopted it before"));
    }
    let attributes = check(ticket, side)?;
    let fd = sys::look_at(ticket.fd).map_err(os(OP))?;
    rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(os("fcntl"))?;
    adopted.insert(ticket.fd);
    Ok((sys::take(ticket.fd), attributes))
}

/// Checks that what a ticket names is there, and is the end that a type stands for.
fn check(ticket: Ticket, side: Side) -> Result<Attributes> {
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
    end::check(fd, side)
}

impl Handoff for Sender {
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
        let (fd, attributes) = adopt(key, Side::Sends)?;
        Ok(Self::new(fd, &attributes))
    }
}

/// A receiver that [keeps a message](Receiver::keeps_message) is refused with
/// [`ErrorKind::InvalidInput`]: the message would be lost.
impl Handoff for Receiver {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        if self.keeps_message() {
            let error = Error::new(ErrorKind::InvalidInput, OP)
                .with_note("this receiver keeps a message: receive it first");
            return Err(Rejected { value: self, error });
        }
        match Gift::prepare(self.as_fd(), command, key) {
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

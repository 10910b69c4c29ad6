//! Giving a descriptor to a child process, and taking it there: what stands behind
//! [`ipc_core::Handoff`] for everything that is a descriptor.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use ipc_core::handoff::Ticket;
use ipc_core::{Error, ErrorKind, Rejected, Result};
use rustix::io::FdFlags;

use crate::kind::os;
use crate::sys;

/// Standard input, output and error: `Command` moves other files there in the child.
const STDIO: i32 = 3;

/// The operation in this file's errors.
const OP: &str = "handoff";

/// Everything about a handoff that can fail, done.
///
/// An end that is made of several descriptors prepares all before it attaches the first.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use std::process::Command;
/// use ipc_fd::handoff::Gift;
///
/// let (rx, tx) = std::io::pipe()?;
/// let mut command = Command::new("worker");
/// let (one, two) = (Gift::prepare(rx.as_fd(), &command, "rx")?, Gift::prepare(tx.as_fd(), &command, "tx")?);
/// one.attach(rx, &mut command);
/// two.attach(tx, &mut command);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Gift {
    variable: String,
    ticket: Ticket,
    /// A copy with a higher number, of a descriptor that has the number of standard input or output.
    moved: Option<OwnedFd>,
}

impl Gift {
    /// Gets ready to give `fd` to the child of `command` under `key`.
    ///
    /// # Errors
    ///
    /// Those of [`free_variable`]; [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn prepare(fd: BorrowedFd<'_>, command: &Command, key: &str) -> Result<Self> {
        let variable = free_variable(command, key)?;
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
    pub fn attach(self, fd: impl Into<OwnedFd>, command: &mut Command) {
        let fd = self.moved.unwrap_or_else(|| fd.into());
        command.env(self.variable, self.ticket.to_string());
        sys::inherit(command, fd);
    }
}

/// Gives an end that is one descriptor: [`ipc_core::Handoff::give`].
///
/// # Errors
///
/// Those of [`Gift::prepare`], with the end.
pub fn give<T: AsFd + Into<OwnedFd>>(
    end: T,
    command: &mut Command,
    key: &str,
) -> Result<(), Rejected<T>> {
    match Gift::prepare(end.as_fd(), command, key) {
        Ok(gift) => {
            gift.attach(end, command);
            Ok(())
        }
        Err(error) => Err(Rejected { value: end, error }),
    }
}

/// The environment variable of a handoff, if `command` was given nothing under this key before.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a key that is none, [`ErrorKind::AlreadyExists`] for one that is
/// taken.
pub fn free_variable(command: &Command, key: &str) -> Result<String> {
    let variable = Ticket::variable(key)?;
    if command.get_envs().any(|(name, value)| name == &variable[..] && value.is_some()) {
        return Err(Error::new(ErrorKind::AlreadyExists, OP)
            .with_note("this command has been given an end under this key"));
    }
    Ok(variable)
}

/// Keeps `value` alive until `command` is dropped, as a descriptor that was given is.
pub fn hold<T: Send + Sync + 'static>(command: &mut Command, value: T) {
    sys::hold(command, value);
}

/// Takes the descriptors that the parent gave under some keys: all of them, or none.
///
/// `check` gets the index of the key, and says what the descriptor is.
///
/// # Errors
///
/// Those of [`ipc_core::Handoff::adopt`], and of `check`.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// let nothing = ipc_fd::handoff::adopt(["nobody"], |_, _| Ok(()));
/// assert_eq!(nothing.unwrap_err().kind(), ErrorKind::NotFound);
/// ```
pub fn adopt<C, const N: usize>(
    keys: [&str; N],
    check: impl Fn(usize, BorrowedFd<'_>) -> Result<C>,
) -> Result<[(OwnedFd, C); N]> {
    /// The numbers that were ever adopted: a number that was closed since may be anybody's.
    static ADOPTED: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

    let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found = Vec::with_capacity(N);
    for (i, key) in keys.into_iter().enumerate() {
        let ticket = Ticket::from_env(key)?;
        if adopted.contains(&ticket.fd) || found.iter().any(|(number, _)| *number == ticket.fd) {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("this process has adopted it before"));
        }
        let fd = look_at(ticket)?;
        found.push((ticket.fd, check(i, fd)?));
    }
    for (number, _) in &found {
        let fd = sys::look_at(*number).map_err(os(OP))?;
        rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(os("fcntl"))?;
    }
    let mut ends = found.into_iter().map(|(number, what)| {
        adopted.insert(number);
        (sys::take(number), what)
    });
    Ok(std::array::from_fn(|_| ends.next().expect("one was found for each key")))
}

/// Checks that what a ticket names is there, and was inherited.
fn look_at(ticket: Ticket) -> Result<BorrowedFd<'static>> {
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
    Ok(fd)
}

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

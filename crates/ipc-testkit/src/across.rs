//! How an end reaches another process.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use ipc_core::handoff::Ticket;
use ipc_core::{Error, ErrorKind, Handoff, Result};

use crate::sys;

/// A way in which an end of type `T` reaches a child process.
///
/// [`ByHandoff`] is right for whatever implements [`Handoff`], and [`InProcess`] for what cannot
/// leave its process. A mechanism that is found by name implements it itself: `give` puts the name
/// into the child's environment, `adopt` opens it there.
pub trait Across<T> {
    /// Why there is no way, where there is none: the cases with two processes are skipped, with
    /// this reason.
    const IMPOSSIBLE: Option<&'static str> = None;

    /// Arranges for the child that `command` starts to find the end under `key`.
    ///
    /// The harness starts the child once and drops `command` then.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism reports.
    fn give(end: T, command: &mut Command, key: &str) -> Result<()>;

    /// Takes the end that the parent gave.
    ///
    /// # Errors
    ///
    /// Whatever the mechanism reports.
    fn adopt(key: &str) -> Result<T>;
}

/// By [`Handoff`].
#[derive(Debug, Clone, Copy)]
pub struct ByHandoff;

impl<T: Handoff> Across<T> for ByHandoff {
    fn give(end: T, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.give(command, key)?)
    }

    fn adopt(key: &str) -> Result<T> {
        T::adopt(key)
    }
}

/// Not at all.
#[derive(Debug, Clone, Copy)]
pub struct InProcess;

impl<T> Across<T> for InProcess {
    const IMPOSSIBLE: Option<&'static str> = Some("its ends cannot leave their process");

    fn give(_: T, _: &mut Command, _: &str) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "give"))
    }

    fn adopt(_: &str) -> Result<T> {
        Err(Error::new(ErrorKind::Unsupported, "adopt"))
    }
}

/// Gives a descriptor to a child as [`ipc_core::handoff`] lays down: a plain implementation for
/// fixtures and references. A mechanism crate has its own.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a bad key.
///
/// # Panics
///
/// If `/proc` is not mounted.
pub fn give_descriptor(fd: OwnedFd, command: &mut Command, key: &str) -> Result<()> {
    let variable = Ticket::variable(key)?;
    let number = fd.as_raw_fd();
    let meta = std::fs::metadata(format!("/proc/self/fd/{number}")).expect("stat /proc/self/fd");
    let ticket = Ticket { fd: number, dev: meta.dev(), ino: meta.ino() };
    command.env(variable, ticket.to_string());
    sys::inherit(command, fd);
    Ok(())
}

/// Takes the descriptor that [`give_descriptor`] gave; it is close-on-exec again.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] when the parent gave nothing under this key or what it gave is not
/// there.
pub fn adopt_descriptor(key: &str) -> Result<OwnedFd> {
    let ticket = Ticket::from_env(key)?;
    let other = || Error::new(ErrorKind::NotFound, "adopt");
    let meta = std::fs::metadata(format!("/proc/self/fd/{}", ticket.fd)).map_err(|_| other())?;
    if (meta.dev(), meta.ino()) != (ticket.dev, ticket.ino) {
        return Err(other());
    }
    let fd = sys::adopt(ticket.fd).map_err(|_| other())?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)
        .map_err(|errno| Error::from_os("fcntl", errno.raw_os_error()))?;
    Ok(fd)
}

/// Skips the case if an end of type `T` has no way into another process.
pub(crate) fn require<A: Across<T>, T>() {
    if let Some(reason) = A::IMPOSSIBLE {
        crate::skip(reason);
    }
}

//! Errors of the kernel, and what both kinds of queue share.

use std::process::Command;

use ipc_core::handoff::Ticket;
use ipc_core::{Error, ErrorKind, Result};
use rustix::io::Errno;

/// The error for a system call that failed.
pub(crate) fn os(op: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_os(op, errno.raw_os_error())
}

/// The environment variable of a handoff, if `command` was given nothing under this key before.
pub(crate) fn free_variable(command: &Command, key: &str) -> Result<String> {
    let variable = Ticket::variable(key)?;
    if command.get_envs().any(|(name, value)| name == &variable[..] && value.is_some()) {
        return Err(Error::new(ErrorKind::AlreadyExists, "handoff")
            .with_note("this command has been given an end under this key"));
    }
    Ok(variable)
}

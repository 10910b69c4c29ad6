//! Giving an end to a child process.
//!
//! A parent gives an end under a key to a [`Command`], the child adopts it by the same key:
//!
//! ```no_run
//! use std::process::Command;
//! use ipc_core::Handoff;
//! use ipc_pipe::{PipeOptions, PipeReader};
//!
//! # fn parent() -> Result<(), Box<dyn std::error::Error>> {
//! // In the parent:
//! let (rx, tx) = PipeOptions::new().open()?;
//! let mut command = Command::new("worker");
//! rx.give(&mut command, "orders")?;
//! let mut child = command.spawn()?;
//! drop(command); // It holds the parent's copy of `rx`, as it would a `Stdio`.
//! # Ok(()) }
//!
//! # fn child() -> ipc_core::Result<()> {
//! // In the child:
//! let rx = PipeReader::adopt("orders")?;
//! # Ok(()) }
//! ```
//!
//! The end keeps its descriptor number, close-on-exec is taken off in the child alone (so that no
//! other child that is started at the same moment gets it), and an environment variable tells the
//! number together with the device and inode, so that a stale variable that a grandchild inherited
//! is not mistaken for a descriptor. A child that is not written in Rust reads the variable itself:
//! `IPC_HANDOFF_ORDERS=7:12:34567` is descriptor 7.
//!
//! Standard input and output need none of this: every end is an `OwnedFd`, and
//! `command.stdin(OwnedFd::from(rx))` is safe Rust.

use std::process::Command;

use crate::{Error, ErrorKind, Rejected, Result};

/// An end that a parent can give to a child process.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for a key that is not 1 to 64 ASCII letters, digits or underscores;
/// and those of the two methods.
///
/// # Examples
///
/// See the [module's documentation](self), and `examples/` of the mechanism crates for programs
/// that run.
pub trait Handoff: Sized {
    /// Arranges for the child that `command` starts to inherit this end under `key`.
    ///
    /// Every child that this `command` starts gets a copy. The parent's own copy stays open until
    /// `command` is dropped; a reader sees no end of the stream before that.
    ///
    /// # Errors
    ///
    /// See [`Handoff`]; [`ErrorKind::AlreadyExists`] when `command` was given an end under this key.
    /// The end comes back with the error.
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>>;

    /// Takes the end that the parent gave under `key`.
    ///
    /// # Trust
    ///
    /// The environment says which descriptor it is, so that whoever starts this process must be
    /// trusted to set it right, as with `sd_listen_fds`(3) or a job server. What can be checked is:
    /// the descriptor is the file that the parent named, of the right type, not one of standard input
    /// and output, not one that this process opened itself, and not one that was adopted before.
    ///
    /// # Errors
    ///
    /// See [`Handoff`]; [`ErrorKind::NotFound`] when the parent gave nothing under this key,
    /// [`ErrorKind::AlreadyExists`] when it was adopted before, [`ErrorKind::WrongType`] when it is
    /// something else, [`ErrorKind::Corrupted`] when the variable makes no sense.
    fn adopt(key: &str) -> Result<Self>;
}

/// What stands in the environment variable of a handoff: `fd:device:inode`.
///
/// A later version may append more after another colon; a reader ignores it.
///
/// Mechanism crates use it to implement [`Handoff`]; programs do not need it.
///
/// # Examples
///
/// ```
/// use ipc_core::handoff::Ticket;
///
/// let ticket = Ticket { fd: 7, dev: 12, ino: 34567 };
/// assert_eq!(ticket.to_string(), "7:12:34567");
/// assert_eq!("7:12:34567".parse(), Ok(ticket));
/// assert!("7:12".parse::<Ticket>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The descriptor's number in the child.
    pub fd: i32,
    /// `st_dev` of what it refers to.
    pub dev: u64,
    /// `st_ino` of what it refers to.
    pub ino: u64,
}

impl Ticket {
    /// The name of the environment variable for `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a key that is not 1 to 64 ASCII letters, digits or
    /// underscores.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::handoff::Ticket;
    /// assert_eq!(Ticket::variable("orders")?, "IPC_HANDOFF_ORDERS");
    /// assert!(Ticket::variable("or=ders").is_err());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn variable(key: &str) -> Result<String> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if key.is_empty() || key.len() > 64 || !key.bytes().all(valid) {
            return Err(Error::new(ErrorKind::InvalidInput, "handoff")
                .with_note("a key is 1 to 64 ASCII letters, digits or underscores"));
        }
        Ok(format!("IPC_HANDOFF_{}", key.to_ascii_uppercase()))
    }

    /// Reads the ticket that the parent left under `key`.
    ///
    /// # Errors
    ///
    /// See [`Handoff::adopt`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{ErrorKind, handoff::Ticket};
    /// assert_eq!(Ticket::from_env("nobody").unwrap_err().kind(), ErrorKind::NotFound);
    /// ```
    pub fn from_env(key: &str) -> Result<Self> {
        let Some(value) = std::env::var_os(Self::variable(key)?) else {
            return Err(Error::new(ErrorKind::NotFound, "handoff")
                .with_note("the parent gave nothing under this key"));
        };
        value.to_str().unwrap_or_default().parse()
    }
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fd, dev, ino } = self;
        write!(f, "{fd}:{dev}:{ino}")
    }
}

impl std::str::FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let mut parts = text.split(':');
            let fd = parts.next()?.parse().ok().filter(|fd| *fd >= 0)?;
            let dev = parts.next()?.parse().ok()?;
            let ino = parts.next()?.parse().ok()?;
            Some(Self { fd, dev, ino })
        };
        parse().ok_or_else(|| {
            Error::new(ErrorKind::Corrupted, "handoff")
                .with_note("the environment variable must be fd:device:inode")
        })
    }
}

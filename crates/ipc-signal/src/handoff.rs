//! Giving an end to a child process, and taking it there.
//!
//! `IPC_HANDOFF_<KEY>=fd:device:inode:signal` names a pidfd and the signal that is sent by it; without
//! a signal it is a signalfd.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use ipc_core::handoff::{Handoff, Ticket};
use ipc_core::{Error, ErrorKind, Rejected, Result};
use ipc_fd::handoff::{Gift, adopt, give};

use crate::signalfd::set_of;
use crate::standard::check_pidfd;
use crate::{RtSender, Signal, SignalFd, SignalSender};

/// Gives a sender: its pidfd, and behind that its signal.
fn give_sender<T: AsFd + Into<OwnedFd>>(
    sender: T,
    signal: Signal,
    command: &mut Command,
    key: &str,
) -> Result<(), Rejected<T>> {
    let gift = match Gift::prepare(sender.as_fd(), command, key) {
        Ok(gift) => gift,
        Err(error) => return Err(Rejected { value: sender, error }),
    };
    gift.attach(sender, command);
    // That the key makes a variable, and that it has a value, the gift has seen to.
    let variable = Ticket::variable(key).unwrap_or_default();
    let mut given = command.get_envs().filter(|(name, _)| *name == &variable[..]);
    if let Some(ticket) = given.next().and_then(|(_, ticket)| ticket?.to_str()) {
        let ticket = format!("{ticket}:{}", signal.number());
        command.env(variable, ticket);
    }
    Ok(())
}

/// Takes a sender's pidfd and signal.
fn adopt_sender(key: &str) -> Result<(OwnedFd, Signal)> {
    // What is wrong with a variable that is missing or not text, `adopt` says.
    let text = std::env::var(Ticket::variable(key)?).unwrap_or_default();
    let number = text.split(':').nth(3).and_then(|number| number.parse().ok());
    let signal = number.and_then(|number| Signal::new(number).ok());
    let [(pidfd, signal)] = adopt([key], |_, fd| {
        check_pidfd(fd)?;
        signal.ok_or_else(|| {
            Error::new(ErrorKind::Corrupted, "handoff")
                .with_note("the environment variable must be fd:device:inode:signal")
        })
    })?;
    Ok((pidfd, signal))
}

/// The child gets the pidfd: it signals the same process as the parent would.
impl Handoff for SignalSender {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let signal = self.signal();
        give_sender(self, signal, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let (pidfd, signal) = adopt_sender(key)?;
        Ok(Self::from_pidfd(pidfd, signal)?)
    }
}

/// The child gets the pidfd: it queues values for the same process as the parent would, in its own
/// name.
impl Handoff for RtSender {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let signal = self.signal();
        give_sender(self, signal, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let (pidfd, signal) = adopt_sender(key)?;
        Ok(Self::from_pidfd(pidfd, signal)?)
    }
}

/// The child reads **its own** signals from it. It inherits the mask in which they are blocked, so
/// that none is delivered before it adopts the descriptor.
impl Handoff for SignalFd {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, _)] = adopt([key], |_, fd| set_of(fd))?;
        Ok(Self::try_from(fd)?)
    }
}

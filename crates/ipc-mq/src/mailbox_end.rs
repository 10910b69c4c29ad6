//! The ends of a mailbox.

use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use ipc_core::handoff::{Handoff, Ticket};
use ipc_core::{Caps, Error, ErrorKind, Mechanism, RecvMsg, Rejected, Result, SendMsg, Wait};

use crate::mailbox::CAPS;
use crate::{posix, sysv};

/// The sending end of a [`Mailbox`](crate::Mailbox).
///
/// # Examples
///
/// See [`Mailbox`](crate::Mailbox).
#[derive(Debug)]
pub struct MailboxSender(pub(crate) Sender);

#[derive(Debug)]
pub(crate) enum Sender {
    Posix(posix::Sender),
    /// With the longest message that this mailbox is to take.
    SystemV(sysv::Sender, usize),
}

/// The receiving end of a [`Mailbox`](crate::Mailbox).
///
/// # Examples
///
/// See [`Mailbox`](crate::Mailbox).
#[derive(Debug)]
pub struct MailboxReceiver(pub(crate) Receiver);

#[derive(Debug)]
pub(crate) enum Receiver {
    Posix(posix::Receiver),
    SystemV(sysv::Receiver),
}

impl MailboxReceiver {
    /// Receives one message, however long it is.
    ///
    /// # Errors
    ///
    /// As [`RecvMsg`] says, without [`ErrorKind::MessageTooLarge`](ipc_core::ErrorKind).
    ///
    /// # Examples
    ///
    /// See [`Mailbox`](crate::Mailbox).
    pub fn recv_message(&mut self, wait: Wait) -> Result<Vec<u8>> {
        match &mut self.0 {
            Receiver::Posix(receiver) => receiver.recv_message(wait).map(|message| message.body),
            Receiver::SystemV(receiver) => receiver.recv_message(wait).map(|message| message.body),
        }
    }
}

impl SendMsg for MailboxSender {
    fn max_len(&self) -> usize {
        match &self.0 {
            Sender::Posix(sender) => sender.max_len(),
            Sender::SystemV(sender, most) => sender.max_len().min(*most),
        }
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        match &mut self.0 {
            Sender::Posix(sender) => sender.send_with(msg, wait),
            Sender::SystemV(_, most) if msg.len() > *most => {
                let kind = ErrorKind::MessageTooLarge { len: msg.len(), max: *most };
                Err(Error::new(kind, "send to mailbox"))
            }
            Sender::SystemV(sender, _) => sender.send_with(msg, wait),
        }
    }
}

impl RecvMsg for MailboxReceiver {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        match &mut self.0 {
            Receiver::Posix(receiver) => receiver.recv_with(buf, wait),
            Receiver::SystemV(receiver) => receiver.recv_with(buf, wait),
        }
    }
}

/// As the end below; the longest message of a System V mailbox does not go with it.
impl Handoff for MailboxSender {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let wrap = |sender| move |error| Rejected { value: Self(sender), error };
        match self.0 {
            Sender::Posix(sender) => {
                sender.give(command, key).map_err(|it| wrap(Sender::Posix(it.value))(it.error))
            }
            Sender::SystemV(sender, most) => sender
                .give(command, key)
                .map_err(|it| wrap(Sender::SystemV(it.value, most))(it.error)),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self(match is_id(key)? {
            true => Sender::SystemV(sysv::Sender::adopt(key)?, usize::MAX),
            false => Sender::Posix(posix::Sender::adopt(key)?),
        }))
    }
}

impl Handoff for MailboxReceiver {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let wrap = |receiver| move |error| Rejected { value: Self(receiver), error };
        match self.0 {
            Receiver::Posix(receiver) => {
                receiver.give(command, key).map_err(|it| wrap(Receiver::Posix(it.value))(it.error))
            }
            Receiver::SystemV(receiver) => receiver
                .give(command, key)
                .map_err(|it| wrap(Receiver::SystemV(it.value))(it.error)),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self(match is_id(key)? {
            true => Receiver::SystemV(sysv::Receiver::adopt(key)?),
            false => Receiver::Posix(posix::Receiver::adopt(key)?),
        }))
    }
}

/// Whether a System V queue was given under `key`.
fn is_id(key: &str) -> Result<bool> {
    let value = std::env::var_os(Ticket::variable(key)?);
    Ok(value.is_some_and(|value| value.as_bytes().starts_with(b"msqid:")))
}

impl Mechanism for MailboxSender {
    const NAME: &'static str = "mailbox";
    const CAPS: Caps = CAPS;
}

impl Mechanism for MailboxReceiver {
    const NAME: &'static str = "mailbox";
    const CAPS: Caps = CAPS;
}

//! Giving a socket to a child process, and taking it there.

use std::process::Command;

use ipc_core::{Error, ErrorKind, Handoff, Rejected, Result};
use ipc_fd::handoff::{adopt, give};

use crate::{kind, tcp, udp, unix};

/// The types differ in what they expect alone.
macro_rules! handoff {
    ($($end:ty),+ $(,)?) => {$(
        impl Handoff for $end {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                give(self, command, key)
            }

            fn adopt(key: &str) -> Result<Self> {
                let [(fd, ())] = adopt([key], |_, fd| kind::check(fd, Self::EXPECTED))?;
                Ok(Self::adopted(fd))
            }
        }
    )+};
}

handoff!(unix::Stream, tcp::Stream);

/// The same for those that may keep a message that was too long for a buffer.
macro_rules! handoff_of_messages {
    ($($end:ty),+ $(,)?) => {$(
        /// One that [keeps a message](Self::keeps_message) is refused with [`ErrorKind::InvalidInput`]: the
        /// message would be lost.
        impl Handoff for $end {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                if self.keeps_message() {
                    let error = Error::new(ErrorKind::InvalidInput, "handoff")
                        .with_note("this end keeps a message: receive it first");
                    return Err(Rejected { value: self, error });
                }
                give(self, command, key)
            }

            fn adopt(key: &str) -> Result<Self> {
                let [(fd, ())] = adopt([key], |_, fd| kind::check(fd, Self::EXPECTED))?;
                Ok(Self::adopted(fd))
            }
        }
    )+};
}

handoff_of_messages!(unix::Seqpacket, unix::Datagram, udp::Socket);

/// The name stays. The child accepts with the default options: see
/// [`set_options`](unix::Listener::set_options).
impl<C: unix::Connection> Handoff for unix::Listener<C> {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, ())] = adopt([key], |_, fd| kind::check(fd, Self::EXPECTED))?;
        Self::adopted(fd)
    }
}

/// The child accepts with the default options: see [`set_options`](tcp::Listener::set_options).
impl Handoff for tcp::Listener {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, ())] = adopt([key], |_, fd| kind::check(fd, Self::EXPECTED))?;
        Self::adopted(fd)
    }
}

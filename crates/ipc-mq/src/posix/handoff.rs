//! Giving an end to a child process, and taking it there.

use std::process::Command;

use ipc_core::handoff::Handoff;
use ipc_core::{Error, ErrorKind, Rejected, Result};
use ipc_fd::handoff::{adopt, give};

use super::end::{self, Side};
use super::{Receiver, Sender};

impl Handoff for Sender {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, attributes)] = adopt([key], |_, fd| end::check(fd, Side::Sends))?;
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
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, attributes)] = adopt([key], |_, fd| end::check(fd, Side::Receives))?;
        Ok(Self::new(fd, &attributes))
    }
}

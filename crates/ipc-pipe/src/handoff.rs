//! Giving an end to a child process, and taking it there.

use std::process::Command;

use ipc_core::{Handoff, Rejected, Result};
use ipc_fd::handoff::{adopt, give};

use crate::{PacketReader, PacketWriter, PipeReader, PipeWriter, kind};

/// The ends differ in their types alone.
macro_rules! handoff {
    ($($end:ty),+) => {$(
        impl Handoff for $end {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                give(self, command, key)
            }

            fn adopt(key: &str) -> Result<Self> {
                let [(fd, ())] = adopt([key], |_, fd| kind::check(fd, Self::EXPECTED))?;
                Ok(Self::new(fd))
            }
        }
    )+};
}

handoff!(PipeReader, PipeWriter, PacketReader, PacketWriter);

//! Giving an end to a child process: by the queue's id in an environment variable.

use std::process::Command;

use ipc_core::handoff::Handoff;
use ipc_core::{Rejected, Result};
use ipc_fd::handoff::{self, free_variable};
use ipc_sysv::handoff::Sort;

use super::status::status;
use super::{Receiver, Sender};

const QUEUE: Sort = Sort { word: "msqid", name: "a System V message queue" };

fn ticket(id: i32) -> Result<String> {
    Ok(QUEUE.ticket(id, status(id)?.creator_uid))
}

fn adopt(key: &str) -> Result<i32> {
    QUEUE.adopt(key, |id| Ok(status(id)?.creator_uid))
}

/// The ends differ in their types alone.
macro_rules! give {
    () => {
        fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
            let prepare = || Ok((free_variable(command, key)?, ticket(self.id)?));
            match prepare() {
                Ok((variable, ticket)) => {
                    command.env(variable, ticket);
                    // As with a descriptor: the queue stays as long as the command does.
                    if let Some(shared) = self.shared {
                        handoff::hold(command, shared);
                    }
                    Ok(())
                }
                Err(error) => Err(Rejected { value: self, error }),
            }
        }
    };
}

/// The queue's id goes to the child in an environment variable, `msqid:<id>:<uid>`.
impl Handoff for Sender {
    give!();

    fn adopt(key: &str) -> Result<Self> {
        Self::new(adopt(key)?, None)
    }
}

/// The queue's id goes to the child in an environment variable, `msqid:<id>:<uid>`.
impl Handoff for Receiver {
    give!();

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self::new(adopt(key)?, None))
    }
}

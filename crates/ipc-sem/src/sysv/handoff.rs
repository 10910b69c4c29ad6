//! Giving a semaphore to a child process: by the set's id in an environment variable.

use std::process::Command;

use ipc_core::handoff::Handoff;
use ipc_core::{Rejected, Result};
use ipc_fd::handoff::{self, free_variable};
use ipc_sysv::handoff::Sort;

use super::Sem;
use super::status::status;

const SET: Sort = Sort { word: "semid", name: "a System V semaphore" };

/// The set's id goes to the child in an environment variable, `semid:<id>:<uid>`. The child gets semaphore 0, without
/// `undo`; another one is refused with [`InvalidInput`](ipc_core::ErrorKind::InvalidInput): pass the set's id on.
impl Handoff for Sem {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let prepare = || {
            if self.num() != 0 {
                return Err(ipc_core::Error::new(ipc_core::ErrorKind::InvalidInput, "handoff")
                    .with_note("only semaphore 0 of a set can be given: pass on the set's id"));
            }
            Ok((
                free_variable(command, key)?,
                SET.ticket(self.id(), status(self.id())?.creator_uid),
            ))
        };
        match prepare() {
            Ok((variable, ticket)) => {
                command.env(variable, ticket);
                // As with a descriptor: the set stays as long as the command does.
                if let Some(shared) = self.shared {
                    handoff::hold(command, shared);
                }
                Ok(())
            }
            Err(error) => Err(Rejected { value: self, error }),
        }
    }

    fn adopt(key: &str) -> Result<Self> {
        Ok(Self::new(SET.adopt(key, |id| Ok(status(id)?.creator_uid))?, 0, None))
    }
}

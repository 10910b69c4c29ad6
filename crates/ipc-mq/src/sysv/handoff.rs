//! Giving an end to a child process: by the queue's id in an environment variable.
//!
//! `IPC_HANDOFF_<KEY>=msqid:<id>:<uid>` names the queue and the user who created it. There is no
//! descriptor to inherit; the id is as good in the child as it is here.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use ipc_core::handoff::{Handoff, Ticket};
use ipc_core::{Error, ErrorKind, Rejected, Result};

use super::status::status;
use super::{Receiver, Sender};
use crate::kind::free_variable;
use crate::sys;

const OP: &str = "handoff";

/// What stands in the variable.
fn ticket(id: i32) -> Result<String> {
    Ok(format!("msqid:{id}:{}", status(id)?.creator_uid))
}

/// The id that the parent gave under `key`, of a queue that exists.
fn adopt(key: &str) -> Result<i32> {
    /// Which variables this process has adopted, as the contract of a handoff demands.
    static ADOPTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

    let variable = Ticket::variable(key)?;
    let Some(value) = std::env::var_os(&variable) else {
        return Err(
            Error::new(ErrorKind::NotFound, OP).with_note("the parent gave nothing under this key")
        );
    };
    let value = value.to_str().unwrap_or_default();
    if value.parse::<Ticket>().is_ok() {
        let (expected, found) = ("a System V message queue", "a descriptor");
        return Err(Error::new(ErrorKind::WrongType { expected, found }, OP));
    }
    let (id, uid) = parse(value).ok_or_else(|| {
        Error::new(ErrorKind::Corrupted, OP)
            .with_note("the environment variable must be msqid:id:uid")
    })?;
    let stale = |error: Error| {
        error.with_kind(ErrorKind::NotFound).with_note("the queue was removed, or never was")
    };
    let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
    if adopted.contains(&variable) {
        return Err(Error::new(ErrorKind::AlreadyExists, OP)
            .with_note("this process has adopted it before"));
    }
    if status(id).map_err(stale)?.creator_uid != uid {
        return Err(stale(Error::new(ErrorKind::NotFound, OP)));
    }
    adopted.insert(variable);
    Ok(id)
}

fn parse(text: &str) -> Option<(i32, u32)> {
    let (id, uid) = text.strip_prefix("msqid:")?.split_once(':')?;
    Some((id.parse().ok().filter(|id| *id >= 0)?, uid.parse().ok()?))
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
                        sys::hold(command, shared);
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

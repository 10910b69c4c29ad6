//! Giving an object to a child process by its id, in an environment variable:
//! `IPC_HANDOFF_<KEY>=<word>:<id>:<uid>` names the object and the user who created it. There is no
//! descriptor to inherit; the id is as good in the child as it is here.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use ipc_core::handoff::Ticket;
use ipc_core::{Error, ErrorKind, Result};

const OP: &str = "handoff";

/// A sort of object.
#[derive(Debug, Clone, Copy)]
pub struct Sort {
    /// The word before the id: `msqid`, `shmid` or `semid`.
    pub word: &'static str,
    /// In words, as in "it must be a System V message queue".
    pub name: &'static str,
}

impl Sort {
    /// What stands in the variable.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_sysv::handoff::Sort;
    /// let queue = Sort { word: "msqid", name: "a System V message queue" };
    /// assert_eq!(queue.ticket(7, 1000), "msqid:7:1000");
    /// ```
    #[must_use]
    pub fn ticket(self, id: i32, creator_uid: u32) -> String {
        format!("{}:{id}:{creator_uid}", self.word)
    }

    /// The id that the parent gave under `key`, of an object that exists: `creator_uid` asks the kernel
    /// who created it.
    ///
    /// # Errors
    ///
    /// Those of [`ipc_core::Handoff::adopt`].
    pub fn adopt(self, key: &str, creator_uid: impl FnOnce(i32) -> Result<u32>) -> Result<i32> {
        /// Which variables this process has adopted, as the contract of a handoff demands.
        static ADOPTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

        let variable = Ticket::variable(key)?;
        let Some(value) = std::env::var_os(&variable) else {
            return Err(Error::new(ErrorKind::NotFound, OP)
                .with_note("the parent gave nothing under this key"));
        };
        let value = value.to_str().unwrap_or_default();
        if value.parse::<Ticket>().is_ok() {
            let (expected, found) = (self.name, "a descriptor");
            return Err(Error::new(ErrorKind::WrongType { expected, found }, OP));
        }
        let (id, uid) = self.parse(value).ok_or_else(|| {
            Error::new(ErrorKind::Corrupted, OP)
                .with_note("the environment variable must be the sort, an id and a uid")
        })?;
        let stale = |error: Error| {
            error.with_kind(ErrorKind::NotFound).with_note("the object was removed, or never was")
        };
        let mut adopted = ADOPTED.lock().unwrap_or_else(PoisonError::into_inner);
        if adopted.contains(&variable) {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("this process has adopted it before"));
        }
        if creator_uid(id).map_err(stale)? != uid {
            return Err(stale(Error::new(ErrorKind::NotFound, OP)));
        }
        adopted.insert(variable);
        Ok(id)
    }

    fn parse(self, text: &str) -> Option<(i32, u32)> {
        let (id, uid) = text.strip_prefix(self.word)?.strip_prefix(':')?.split_once(':')?;
        Some((id.parse().ok().filter(|id| *id >= 0)?, uid.parse().ok()?))
    }
}

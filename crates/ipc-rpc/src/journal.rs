//! What makes a call exactly once.

use std::any::Any;
use std::fmt;

use ipc_core::Result;

use crate::ClientId;

/// A call, by a name that no other call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CallId {
    /// Who made it.
    pub client: ClientId,
    /// Its number among the client's calls.
    pub seq: u64,
}

impl CallId {
    pub(crate) const fn new(client: ClientId, seq: u64) -> Self {
        Self { client, seq }
    }
}

/// What a [`Journal`] did about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// It was executed now, and its effect and its reply are committed.
    Executed,
    /// It was executed before: this is the reply of then.
    Replayed,
    /// It was executed now and failed: there is no effect, and no record of it.
    RolledBack,
    /// Its client has acknowledged it: there is no reply to it any more, and it is not executed.
    Stale,
}

/// Whether what a method has done is to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Commit it, together with the reply.
    Commit,
    /// Undo it: the method panicked, or does not exist.
    RollBack,
}

/// Where a server records its exactly-once calls: a store that can change several things in one transaction, which
/// a crash does not tear apart.
///
/// The record of a call must be committed in the same transaction as the effect of the call. Then a server that
/// is killed has done both or neither, and the client, which asks again, gets the reply or has the call executed.
///
/// `RedbJournal` (feature `redb`) is one. For another store, implement this: it is a look-up, a begin, and a commit.
pub trait Journal: Send + Sync + fmt::Debug {
    /// Executes a call, unless it is recorded.
    ///
    /// In one transaction: if there is a record of `call`, put its reply into `reply`. If the client's records were
    /// deleted up to this number and beyond, it is stale. Otherwise call `execute` with the transaction, by which
    /// the method makes its changes ([`Call::transaction`](crate::Call::transaction)), and which puts the reply into
    /// `reply`; and commit both, if it says so. The records of `call`'s client below `low` may be deleted: it has
    /// those replies.
    ///
    /// # Errors
    ///
    /// What the store says: the call counts as not known to be executed, and the client is told so.
    fn once(
        &self,
        call: CallId,
        low: u64,
        reply: &mut Vec<u8>,
        execute: &mut dyn FnMut(&dyn Any, &mut Vec<u8>) -> Verdict,
    ) -> Result<Once>;

    /// Puts the reply of a recorded call into `reply`; `false` if there is no record.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn find(&self, call: CallId, reply: &mut Vec<u8>) -> Result<bool>;
}

//! Calls between processes.

mod call;
mod client;
mod error;
mod fds;
mod hash;
mod id;
mod journal;
#[cfg(not(feature = "unix"))]
mod large;
mod link;
mod marshal;
#[cfg(feature = "unix")]
pub mod matchmaker;
#[cfg(feature = "redb")]
mod redb_journal;
mod semantics;
mod server;
mod service;
#[cfg(feature = "unix")]
mod unix;
pub mod wire;

#[cfg(feature = "unix")]
use unix as large;

/// A client's side of the protocol, without any input or output.
pub mod session {
    pub use crate::client::session::{Event, Finished, Session};
}

pub use call::Call;
pub use client::{Client, ClientOptions, Pipelined, Ticket};
pub use error::{CallError, ConnectError, Outcome, Refusal, Status};
pub use fds::Fd;
pub use id::ClientId;
pub use journal::{CallId, Journal, Once, Verdict};
pub use link::{Ends, RecvFrame, SendFrame};
#[cfg(feature = "redb")]
pub use redb_journal::RedbJournal;
pub use semantics::{CallOptions, Semantics};
pub use serde_bytes;
pub use server::{
    Answer, Connection, Host, HostOptions, OnFull, Pool, PoolOptions, serve, serve_while,
};
pub use service::{Caller, Serve, ServiceInfo};
#[cfg(feature = "unix")]
pub use unix::WithFds;

#[doc(hidden)]
pub use call::{Dispatched, Results};
#[doc(hidden)]
pub use hash::{distinct, method_id, signature};
#[doc(hidden)]
pub use serde::de::DeserializeOwned;

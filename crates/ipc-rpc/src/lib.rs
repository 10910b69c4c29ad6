//! Calls between processes: a method of a trait here, its execution there.
//!
//! What sets it apart is that the promise of a call is chosen, stated and tested: how often the method is executed
//! when messages are lost, repeated and overtaken, and when the server is killed. See [`Semantics`].
//!
//! | you want | take |
//! |---|---|
//! | a service out of a trait | [`service!`] |
//! | to call one, and wait | [`Client`], which the service's own client is made of |
//! | many calls under way at once | [`Pipelined`], by `pipelined()` of the service's client |
//! | to serve one connection in this thread | [`serve`] with a [`Host`] |
//! | to serve many, with threads and a bounded queue | [`Pool`] |
//! | calls that are executed once although the server is killed | [`Semantics::ExactlyOnce`] and a [`Journal`]: `RedbJournal` (feature `redb`) |
//! | open files, or long arguments | [`Fd`] and any arguments, over [`WithFds`] (feature `unix`, on by default) |
//! | to find a server | [`matchmaker`] (feature `unix`) |
//! | to drive the protocol by hand | [`session::Session`] and [`Host::handle`] |
//!
//! Calls go over whatever sends and receives messages ([`SendMsg`](ipc_core::SendMsg) and
//! [`RecvMsg`](ipc_core::RecvMsg)):
//!
//! | over | link |
//! |---|---|
//! | Unix seqpacket and datagram sockets, UDP, `kcp::Messages` | the socket itself |
//! | Unix and TCP streams, pipes, `kcp::Stream` | [`Framed`](ipc_core::Framed) around it |
//! | rings in shared memory, POSIX and System V queues, packet pipes | [`Ends`] of two, one for each direction |
//!
//! Over a link that loses messages (UDP, datagram proxies) set [`ClientOptions::retry`].
//!
//! # Examples
//!
//! ```
//! use ipc_rpc::{Call, CallOptions, ClientOptions, Ends, Host, HostOptions, Semantics, serve};
//! use ipc_shm::ring::RingOptions;
//!
//! ipc_rpc::service! {
//!     #[service(name = "greeter", version = 1, client = GreeterClient, server = GreeterServer)]
//!     /// Greets.
//!     trait Greeter {
//!         fn greet(&self, call: &Call<'_>, name: &str) -> Result<String, String>;
//!     }
//! }
//!
//! struct Polite;
//! impl Greeter for Polite {
//!     fn greet(&self, _: &Call<'_>, name: &str) -> Result<String, String> {
//!         if name.is_empty() { Err("nobody is there".into()) } else { Ok(format!("hello, {name}")) }
//!     }
//! }
//!
//! // Two rings: a call makes no system call, unless somebody sleeps.
//! let (requests, their_requests) = RingOptions::new().pair()?;
//! let (their_replies, replies) = RingOptions::new().pair()?;
//! let server = std::thread::spawn(move || {
//!     let host = Host::new(GreeterServer(Polite), &HostOptions::new())?;
//!     serve(Ends::new(their_replies, their_requests), &host)
//! });
//!
//! let mut greeter = GreeterClient::connect(Ends::new(requests, replies), &ClientOptions::new())?;
//! assert_eq!(greeter.greet("world")?, Ok("hello, world".to_owned()));
//! assert_eq!(greeter.greet("")?, Err("nobody is there".to_owned()));
//! let twice_does_no_harm = CallOptions::new().semantics(Semantics::AtLeastOnce);
//! assert!(greeter.with(twice_does_no_harm).greet("again")?.is_ok());
//! drop(greeter);
//! server.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trust
//!
//! A server trusts no client: nothing that a client sends makes it panic, or allocate more than
//! [`HostOptions`] say, but for what a method does with its arguments and for up to 1 MiB that `serde` sets aside
//! for a collection whose bytes have begun to come. A method that panics fails its call. A client trusts its server to
//! tell the truth, and not to send sense.
//!
//! A client is who knows its [`ClientId`] and token, which are random. Over a link that strangers can write to, such
//! as UDP beyond the machine, they can be read as well: nothing here is encrypted.
//!
//! Who can connect can fill the table of clients for the time of a [lease](HostOptions::lease), and the connections of
//! a [`Pool`]: decide by the mode of a socket and its [`SocketOptions`](ipc_sock::unix::SocketOptions) who can.
//!
//! # Limitations
//!
//! - A reply is owned: arguments are borrowed from the frame that came, results are not.
//! - A [`Call`] cannot be told to end: a method that takes long asks [`Call::is_over`].
//! - A server over UDP serves one client for each socket, which is connected to it.
//! - Collections of values without bytes, such as `Vec<()>`, take time for each that is claimed: do not have them as
//!   arguments.
//! - Arguments of a recursive type, such as a list of boxes, are read as deep as a frame is long, on the thread's
//!   stack: do not have them either, or keep [`HostOptions::max_frame`] and [`HostOptions::max_large`] small.
//! - Replies come in the order in which they are ready. Who needs requests executed in order makes them one after the
//!   other, or is served by [`serve`].

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
    pub use crate::client::event::{Event, Finished};
    pub use crate::client::session::Session;
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

//! Sockets for programs of one machine, and of several.
//!
//! | you want | take |
//! |---|---|
//! | a connection that carries bytes, between programs that know a path | [`unix::Stream`] |
//! | a connection that carries messages | [`unix::Seqpacket`] |
//! | messages to whoever has a name, without a connection | [`unix::Datagram`] |
//! | to serve connections | [`unix::Listener`] |
//! | two ends for a process and its child | [`unix::SocketOptions::pair`] and its like |
//! | messages of any length over a stream | [`ipc_core::Framed`] around it |
//! | to give an open file or memory to another process | [`unix::Seqpacket::send_message`], [`unix::SealedMemfd`] |
//! | to know who is at the other end | [`unix::Stream::peer`], [`unix::Stream::peer_pidfd`], [`unix::Trust`] |
//! | a connection between machines | [`tcp::Stream`], [`tcp::Listener`] |
//! | messages between machines, which may be lost | [`udp::Socket`] |
//! | a connection over UDP that sends again early, over a network that loses | `kcp::Stream`, `kcp::Messages` (feature `kcp`) |
//! | messages to a process by its pid | [`direct::Port`] |
//!
//! # Examples
//!
//! ```
//! use ipc_core::{Framed, Listen, RecvMsg, SendMsg, Wait};
//! use ipc_sock::unix::SocketOptions;
//!
//! let dir = tempfile::tempdir().unwrap();
//! let path = dir.path().join("orders");
//! // The server: private to this user, and in the place of one that has crashed.
//! let listener = SocketOptions::new().listen(&path)?;
//!
//! // A client, which only talks to a server of the same user.
//! let client = SocketOptions::new().connect(&path, Wait::Forever)?;
//! let mut client = Framed::new(client, 1 << 16);
//! client.send(b"two coffees")?;
//!
//! let server = listener.accept()?;
//! println!("an order of process {}", server.peer()?.pid);
//! let mut order = [0; 64];
//! let len = Framed::new(server, 1 << 16).recv(&mut order)?;
//! assert_eq!(&order[..len], b"two coffees");
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # What the kernel promises, and what it does not
//!
//! Of Unix sockets:
//!
//! - Nothing is lost, repeated or overtaken, also not in datagrams; a sender waits while the receiver has
//!   no room. What was sent before a process was killed is there for the other end.
//! - A message of a seqpacket or datagram socket arrives whole or not at all. A write to a stream may be
//!   taken in pieces, and bytes of two writers may mix: give each a connection.
//! - The end of a connection shows when the last copy of the other end is closed. All sockets here are
//!   close-on-exec, so that only a child to which one was [given](ipc_core::Handoff) has a copy.
//! - Sending to a peer that is gone is [`ErrorKind::Disconnected`](ipc_core::ErrorKind), and never kills
//!   the process: everything is sent with `MSG_NOSIGNAL`. Whether the peer has *done* anything with what
//!   it received, no socket knows.
//! - Descriptors arrive with the bytes that they were sent with, close-on-exec from the first moment. If
//!   the receiver may have no more of them, all are closed and the receive says so.
//! - The user and the process at the other end are the kernel's word, not the peer's.
//!
//! TCP differs in that the first write after the peer's close succeeds, and that nothing tells who is at
//! the other end: see [`tcp`]. UDP promises nothing: see [`udp`].
//!
//! # Waiting
//!
//! Every operation takes a [`Wait`](ipc_core::Wait). `Forever` is one blocking system call, `Never` one
//! with `MSG_DONTWAIT`, and with a deadline calls with `MSG_DONTWAIT` alternate with `ppoll`. `O_NONBLOCK` is
//! never switched on for a connection, since a process that has a copy of it would be surprised. A
//! listener has it from the start, because `accept` has no flag for one call.
//!
//! `ppoll` calls a Unix socket writable once three quarters of its buffer are free. So a send with a deadline
//! may wait although there is room for it, but it fails only if there is none at the deadline.
//!
//! # Limitations
//!
//! - `/proc` must be mounted to take over a path that a dead process left, and to set a mode that the umask
//!   forbids, or an owner.
//! - A path has 107 bytes at most, for which there is no knob.
//! - Whoever can write to the directory of a path can remove or replace the socket there. A server does not
//!   notice; clients notice if the new one belongs to another user.
//! - A process that connects and then runs another program, or gives its end away, stays the peer for
//!   `SO_PEERCRED`. [Credentials](unix::SocketOptions::credentials) with each message tell who sent that one.

pub mod direct;
mod handoff;
mod inbox;
mod inet;
#[cfg(feature = "kcp")]
pub mod kcp;
mod kind;
mod methods;
mod socket;
mod sys;
pub mod tcp;
pub mod udp;
pub mod unix;

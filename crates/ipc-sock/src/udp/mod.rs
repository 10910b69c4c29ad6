//! UDP: messages to whoever has an address, which may be lost.
//!
//! | you want | take |
//! |---|---|
//! | to receive from anybody, and answer | [`SocketOptions::bind`], [`Socket::recv_from`], [`Socket::send_to`] |
//! | to talk to one peer | [`SocketOptions::connect`], or [`Socket::connect`] |
//! | two ends for a process and its child | [`SocketOptions::pair`] |
//! | many messages with one system call | [`Socket::send_many`], [`Socket::recv_many`] and [`Batch`] |
//!
//! # What can happen to a message
//!
//! A datagram arrives whole and unchanged (a checksum of 16 bits watches over it), or not at all. On the
//! way between machines it may be lost, come twice, or be overtaken, and nobody is told.
//!
//! Between processes of one machine, over the loopback interface, datagrams of one sender are neither
//! repeated nor overtaken. **They are lost when the receiver's buffer is full**: the sender is not made
//! to wait, and its send succeeds. So a sender must not be ahead of its receiver by more than fits: let
//! the receiver answer, or give it a greater [`recv_buffer`](SocketOptions::recv_buffer), and look at
//! [`Socket::dropped`]. A [Unix datagram](crate::unix::Datagram) makes the sender wait instead.
//!
//! # Examples
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg, Wait};
//! use ipc_sock::udp::SocketOptions;
//!
//! let mut server = SocketOptions::new().bind("127.0.0.1:0".parse().unwrap())?;
//! let mut client = SocketOptions::new().connect(server.local_address()?)?;
//!
//! client.send(b"what time is it?")?;
//! let mut buf = [0; 64];
//! let (_, who) = server.recv_from(&mut buf, Wait::Forever)?;
//! server.send_to(b"late", who, Wait::Forever)?;
//! assert_eq!(client.recv(&mut buf)?, 4);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Limitations
//!
//! - **A sender's address proves nothing.** Whoever may open raw sockets writes any address into a
//!   datagram. A connected socket filters by address and is no more secure for it.
//! - Without a connection nobody learns that nobody receives: `ECONNREFUSED` comes on connected sockets
//!   only. See [`Socket`].
//! - Neither broadcast nor multicast.

mod batch;
mod options;
mod socket;

pub use batch::{Batch, MAX_BATCH};
pub use options::SocketOptions;
pub use socket::Socket;

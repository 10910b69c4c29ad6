//! Unix sockets: streams, seqpackets and datagrams between processes of one machine.
//!
//! | you want | take |
//! |---|---|
//! | a connection that carries bytes | [`Stream`] |
//! | a connection that carries messages | [`Seqpacket`] |
//! | messages to whoever has a name, without a connection | [`Datagram`] |
//! | to serve connections | [`Listener`] |
//! | two ends for a process and its child | [`SocketOptions::pair`] and its like |
//!
//! All are made by [`SocketOptions`]. On each of them, [`send_message`](Stream::send_message) and
//! [`recv_message`](Stream::recv_message) carry open descriptors and the sender's credentials beside
//! the bytes.
//!
//! # Examples
//!
//! ```
//! use ipc_core::{Listen, RecvMsg, SendMsg, Wait};
//! use ipc_sock::unix::SocketOptions;
//!
//! let dir = tempfile::tempdir().unwrap();
//! let path = dir.path().join("orders");
//! let listener = SocketOptions::new().listen_seqpacket(&path)?;
//!
//! let mut client = SocketOptions::new().connect_seqpacket(&path, Wait::Forever)?;
//! client.send(b"two coffees")?;
//!
//! let mut server = listener.accept()?;
//! let mut buf = [0; 64];
//! let n = server.recv(&mut buf)?;
//! assert_eq!(&buf[..n], b"two coffees");
//! assert_eq!(server.peer()?.pid, std::process::id());
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Limitations
//!
//! - A listener is non-blocking, since `accept` has no flag for one call. Whoever gets a copy of its
//!   descriptor sees that; [`Wait::Forever`](ipc_core::Wait) is then `accept`, `ppoll` and `accept`.
//! - Whoever can write to the directory of a path can remove or replace the socket there. Keep it in a
//!   directory that only trusted users can write to.
//! - Names of abstract sockets end with the network namespace, not with the user: see [`Address`].

mod address;
pub(crate) mod ancillary;
mod bound;
mod connect;
mod datagram;
mod listener;
mod methods;
mod options;
mod peer;
mod sealed;
mod seqpacket;
mod stream;

pub use address::{Address, ToAddress};
pub use ancillary::{MAX_FDS, Message};
pub use datagram::Datagram;
pub use listener::{Connection, Listener};
pub use options::SocketOptions;
pub use peer::{Credentials, Trust};
pub use sealed::{SealedMemfd, Seals};
pub use seqpacket::Seqpacket;
pub use stream::Stream;

pub(crate) use bound::{Bound, LOCK, STALE, is_live};
pub(crate) use seqpacket::{max_len, too_long};

//! TCP: connections that carry bytes, to processes of this machine and of others.
//!
//! | you want | take |
//! |---|---|
//! | a connection | [`SocketOptions::connect`] |
//! | to serve connections | [`SocketOptions::listen`] and [`Listener`] |
//! | two ends for a process and its child | [`SocketOptions::pair`] |
//! | messages | [`ipc_core::Framed`] around a [`Stream`] |
//!
//! Between processes of one machine a [Unix socket](crate::unix) is quicker, and tells who is at the
//! other end. TCP is for where the two may stand on different machines, or the other program speaks
//! nothing else.
//!
//! # Examples
//!
//! ```
//! use ipc_core::{Framed, Listen, RecvMsg, SendMsg, Wait};
//! use ipc_sock::tcp::SocketOptions;
//!
//! let listener = SocketOptions::new().listen("127.0.0.1:0".parse().unwrap())?;
//! let client = SocketOptions::new().connect(listener.local_address()?, Wait::Forever)?;
//! let (mut client, mut server) = (Framed::new(client, 1024), Framed::new(listener.accept()?, 1024));
//!
//! client.send(b"two coffees")?;
//! let mut buf = [0; 1024];
//! assert_eq!(server.recv(&mut buf)?, 11);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Limitations
//!
//! - **Nothing says who is at the other end.** Every user of this machine reaches a port on the loopback
//!   address, and every machine one on `0.0.0.0`. What arrives is to be authenticated by the bytes
//!   themselves, or the address to be one of [`unix`](crate::unix).
//! - **A write that succeeds says that the kernel has the bytes**, not that the peer has read them. After
//!   the peer has closed its end, the first write still succeeds; then its kernel answers, and the next
//!   one is [`ErrorKind::Disconnected`](ipc_core::ErrorKind). Only an answer of the peer's program proves
//!   that it got something.
//! - **A machine that vanishes says nothing.** Without [`keep_alive`](SocketOptions::keep_alive) a read
//!   waits for ever, and without [`user_timeout`](SocketOptions::user_timeout) a write fails after a
//!   quarter of an hour. A process that is killed is no such case: its kernel closes the connection.
//! - Neither lingering (`SO_LINGER`) nor urgent data: closing sends what is left in the background, and
//!   whoever must know that it arrived waits for an answer.

mod connect;
mod listener;
mod options;
mod stream;

pub use listener::Listener;
pub use options::SocketOptions;
pub use stream::Stream;

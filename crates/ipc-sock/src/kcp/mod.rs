//! KCP: conversations over UDP that lose nothing and wait for little.
//!
//! | you want | take |
//! |---|---|
//! | a conversation that carries bytes | [`Stream`] |
//! | a conversation that carries messages | [`Messages`] |
//! | to serve conversations | [`Listener`] |
//! | two ends for a process and its child | [`SocketOptions::pair`], [`SocketOptions::pair_messages`] |
//!
//! KCP sends a lost segment again earlier, and more often, than TCP does: it spends bandwidth on delay.
//! That pays where datagrams are lost. Between processes of one machine nothing is lost, and
//! [Unix sockets](crate::unix) are quicker at everything.
//!
//! The protocol is that of the [`kcp`](https://docs.rs/kcp) crate. Around it this module has an opening,
//! a goodbye, keep-alives, deadlines, and a header that tells datagrams of the peer from others. So both
//! ends must be of this crate: **it does not talk to other implementations of KCP**, which have no
//! opening that they agree on.
//!
//! # Not authenticated, not encrypted
//!
//! Every datagram bears a number and a keyed checksum of 64 bits. Random, foreign, changed, repeated and
//! truncated datagrams are dropped and do nothing. But both halves of the key go over the network in the
//! opening: **who can listen on the way can take part.** Nothing hides the contents. On a network that
//! others use, encrypt and authenticate what you send.
//!
//! # The thread
//!
//! A protocol in user space needs somebody to send again what was lost, to acknowledge, and to notice
//! that the peer has died, also while the program is in no call. So each socket has a thread, named
//! `kcp`, which sleeps in `ppoll` on the socket until the next moment that matters. Sending happens in
//! the caller's thread; receiving is done by the thread, which wakes whoever waits. All signals are
//! blocked in it. It ends with the last value on its socket.
//!
//! # Examples
//!
//! ```
//! use ipc_core::{Listen, RecvMsg, SendMsg, Wait};
//! use ipc_sock::kcp::SocketOptions;
//!
//! let listener = SocketOptions::new().listen_messages(([127, 0, 0, 1], 0))?;
//! let address = listener.local_address()?;
//!
//! let mut client = SocketOptions::new().connect_messages(address, Wait::Forever)?;
//! client.send(b"two coffees")?;
//!
//! let mut server = listener.accept()?;
//! let mut buf = [0; 64];
//! let n = server.recv(&mut buf)?;
//! assert_eq!(&buf[..n], b"two coffees");
//! drop(client); // Waits until the server's end has everything.
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # Limitations
//!
//! - No [`AsFd`](std::os::fd::AsFd): a conversation has no descriptor of its own, and what comes to the
//!   socket may be for another one, or for nobody. [`Messages::readiness`], [`Stream::readiness`] and
//!   [`Listener::readiness`] make one to poll, for receiving; it costs a system call or two for each time
//!   that something comes, so it is made when it is asked for, and [`Caps::pollable`](ipc_core::Caps) is
//!   false. There is none for sending.
//! - A conversation that has begun cannot move to another process; an unused end of a pair can.
//! - A forked copy of a process has the values without their thread: nothing moves there, and dropping
//!   them does nothing. Fork before, or execute another program.
//! - A process that exits without dropping its ends (`std::process::exit`) loses what was not
//!   acknowledged, and its peers notice after their timeout.
//! - A listener on a wildcard address answers from the address that the kernel chooses, which on a
//!   machine with several may not be the one that the client asked.

mod bell;
mod conversation;
mod doorman;
mod endpoint;
mod guard;
mod listener;
mod messages;
mod methods;
mod options;
mod outbox;
mod replay;
mod session;
mod siphash;
mod stream;
mod wire;

pub use listener::{Accepted, Listener};
pub use messages::Messages;
pub use options::SocketOptions;
pub use stream::Stream;

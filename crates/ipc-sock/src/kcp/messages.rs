//! Conversations that carry messages.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::process::Command;

use ipc_core::{
    Caps, Handoff, Mechanism, Pair, Persistence, RecvMsg, Rejected, Result, SendMsg, Shape, Wait,
};

use super::conversation::Conversation;
use super::endpoint::Direction;
use super::options::SocketOptions;
use super::wire::Mode;

/// One end of a conversation that carries messages, each whole, once and in order: KCP's message mode.
///
/// It sends and receives through `&self` as well, so that several threads may share it; each message
/// goes to one of them.
///
/// # Blocking
///
/// A send puts the message into the [send queue](SocketOptions::send_queue), sends what the peer's
/// window has room for at once, and blocks while there is no room for all of it. The [thread](super)
/// sends the rest, and again what was lost. What was sent has not arrived; only dropping waits for that.
///
/// # Errors
///
/// [`SendMsg`] and [`RecvMsg`] say which.
/// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected) has a note when the peer fell silent,
/// and none when it was dropped; what had come is received first.
/// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) after 2³¹ segments of one
/// direction: a message has one at least.
///
/// # Examples
///
/// ```
/// use ipc_core::{Listen, RecvMsg, SendMsg, Wait};
/// use ipc_sock::kcp::SocketOptions;
///
/// let listener = SocketOptions::new().listen_messages(([127, 0, 0, 1], 0))?;
/// let address = listener.local_address()?;
/// let mut client = SocketOptions::new().connect_messages(address, Wait::Forever)?;
/// client.send(b"two coffees")?;
///
/// let mut server = listener.accept()?;
/// let mut buf = [0; 64];
/// let n = server.recv(&mut buf)?;
/// assert_eq!(&buf[..n], b"two coffees");
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Messages(Conversation);

impl Messages {
    pub(super) const fn new(conversation: Conversation) -> Self {
        Self(conversation)
    }
}

super::methods::of_conversations!(Messages, Mode::Messages);

impl SendMsg for &Messages {
    fn max_len(&self) -> usize {
        self.0.max_message()
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.0.until(Direction::Out, "send", wait, |session, now| {
            Ok(session.send(msg, now)?.then_some(()))
        })
    }
}

impl SendMsg for Messages {
    fn max_len(&self) -> usize {
        self.0.max_message()
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        (&*self).send_with(msg, wait)
    }
}

impl RecvMsg for &Messages {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.0.until(Direction::In, "recv", wait, |session, now| session.recv(buf, now))
    }
}

impl RecvMsg for Messages {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (&*self).recv_with(buf, wait)
    }
}

impl Pair for Messages {
    type Peer = Self;
    type Options = SocketOptions;

    fn pair(options: &SocketOptions) -> Result<(Self, Self)> {
        options.pair_messages()
    }
}

impl Mechanism for Messages {
    const NAME: &'static str = "kcp";
    const CAPS: Caps = Caps::new(Shape::Message)
        .duplex()
        .named()
        .anonymous()
        .persistence(Persistence::Process)
        .boundaries()
        .empty_messages()
        .reports_peer_death();
}

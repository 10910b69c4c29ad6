//! Messages over a pair of `SOCK_SEQPACKET` sockets.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use ipc_core::{Caps, Error, ErrorKind, Handoff, RecvMsg, Rejected, Result, SendMsg, Shape, Wait};
use ipc_testkit::{ByHandoff, Messages, adopt_descriptor, give_descriptor};
use rustix::event::PollFlags;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send};

use super::wait::{error, retry};

pub const MAX: usize = 8192;

pub const CAPS: Caps = Caps::new(Shape::Message)
    .anonymous()
    .boundaries()
    .pollable()
    .reports_peer_death()
    .max_message(MAX);

/// Either end.
#[derive(Debug)]
pub struct Socket(pub OwnedFd);

pub fn pair() -> Result<(Socket, Socket)> {
    let family = AddressFamily::UNIX;
    let (tx, rx) =
        rustix::net::socketpair(family, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(error("socketpair"))?;
    Ok((Socket(tx), Socket(rx)))
}

impl SendMsg for Socket {
    fn max_len(&self) -> usize {
        MAX
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        if msg.len() > MAX {
            let kind = ErrorKind::MessageTooLarge { len: msg.len(), max: MAX };
            return Err(Error::new(kind, "send"));
        }
        if msg.is_empty() {
            // It would look like the end.
            return Err(Error::new(ErrorKind::Unsupported, "send"));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent =
            retry(self.0.as_fd(), PollFlags::OUT, "send", wait, || send(&self.0, msg, flags))?;
        assert_eq!(sent, msg.len(), "a packet is never sent in part");
        Ok(())
    }
}

impl RecvMsg for Socket {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let peek = flags | RecvFlags::PEEK;
        let (_, len) =
            retry(self.0.as_fd(), PollFlags::IN, "recv", wait, || recv(&self.0, &mut *buf, peek))?;
        if len == 0 {
            return Err(Error::new(ErrorKind::Disconnected, "recv"));
        }
        if len > buf.len() {
            let kind = ErrorKind::MessageTooLarge { len, max: buf.len() };
            return Err(Error::new(kind, "recv"));
        }
        recv(&self.0, &mut *buf, flags).map_err(error("recv"))?;
        Ok(len)
    }
}

impl Handoff for Socket {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give_descriptor(self.0, command, key).expect("the suite's keys are good");
        Ok(())
    }

    fn adopt(key: &str) -> Result<Self> {
        adopt_descriptor(key).map(Self)
    }
}

/// The fixture.
pub struct SeqPacket;

impl Messages for SeqPacket {
    const NAME: &'static str = "seqpacket";
    const CAPS: Caps = CAPS;
    type Tx = Socket;
    type Rx = Socket;
    type Across = ByHandoff;

    fn pair() -> Result<(Socket, Socket)> {
        pair()
    }
}

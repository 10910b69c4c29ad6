//! Bytes over a pair of stream sockets, and messages in frames over that.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use ipc_core::{
    Caps, Framed, Handoff, Mechanism, ReadBytes, Rejected, Result, Shape, Wait, WriteBytes,
};
use ipc_testkit::{Across, ByHandoff, Bytes, Messages, adopt_descriptor, give_descriptor};
use rustix::event::PollFlags;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, recv,
    sendmsg, socketpair,
};

use super::wait::{error, retry};

/// Either end.
#[derive(Debug)]
pub struct Stream(pub OwnedFd);

impl Mechanism for Stream {
    const NAME: &'static str = "stream";
    const CAPS: Caps = Caps::new(Shape::ByteStream).anonymous().pollable().reports_peer_death();
}

pub fn pair() -> Result<(Stream, Stream)> {
    let (tx, rx) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(error("socketpair"))?;
    Ok((Stream(tx), Stream(rx)))
}

impl WriteBytes for Stream {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        retry(self.0.as_fd(), PollFlags::OUT, "sendmsg", wait, || {
            sendmsg(&self.0, bufs, &mut SendAncillaryBuffer::default(), flags)
        })
    }
}

impl ReadBytes for Stream {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        retry(self.0.as_fd(), PollFlags::IN, "recv", wait, || {
            Ok(recv(&self.0, &mut *buf, RecvFlags::DONTWAIT)?.0)
        })
    }
}

impl Handoff for Stream {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give_descriptor(self.0, command, key).expect("the suite's keys are good");
        Ok(())
    }

    fn adopt(key: &str) -> Result<Self> {
        adopt_descriptor(key).map(Self)
    }
}

/// The fixture for bytes.
pub struct Streams;

impl Bytes for Streams {
    const NAME: &'static str = "stream";
    const CAPS: Caps = Stream::CAPS;
    type Tx = Stream;
    type Rx = Stream;
    type Across = ByHandoff;

    fn pair() -> Result<(Stream, Stream)> {
        pair()
    }
}

/// The fixture for frames.
pub struct Frames;

/// The longest frame: more than the sockets hold at once.
const LONGEST: u32 = 1 << 20;

impl Messages for Frames {
    const NAME: &'static str = "framed-stream";
    const CAPS: Caps = Framed::<Stream>::CAPS;
    type Tx = Framed<Stream>;
    type Rx = Framed<Stream>;
    type Across = Self;

    fn pair() -> Result<(Framed<Stream>, Framed<Stream>)> {
        let (tx, rx) = pair()?;
        Ok((Framed::new(tx, LONGEST), Framed::new(rx, LONGEST)))
    }
}

/// The stream travels, and is framed again over there.
impl Across<Framed<Stream>> for Frames {
    fn give(end: Framed<Stream>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.into_parts().0.give(command, key)?)
    }

    fn adopt(key: &str) -> Result<Framed<Stream>> {
        Ok(Framed::new(Stream::adopt(key)?, LONGEST))
    }
}

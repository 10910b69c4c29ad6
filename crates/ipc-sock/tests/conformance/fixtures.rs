//! The mechanisms of this crate, as the suites see them.

use std::process::Command;

use ipc_core::{Caps, Framed, Handoff, Mechanism, Result, Wait};
use ipc_sock::unix::{Address, Datagram, Listener, Seqpacket, SocketOptions, Stream};
use ipc_testkit::{Across, ByHandoff, Bytes, Listeners, Messages, dir, unique_name};

/// The longest message of the framed fixtures: more than a socket holds, so that frames are torn.
pub(crate) const FRAME: u32 = 500_000;

pub(crate) struct UnixStreams;

impl Bytes for UnixStreams {
    const NAME: &'static str = "unix-stream";
    const CAPS: Caps = Stream::CAPS;
    type Tx = Stream;
    type Rx = Stream;
    type Across = ByHandoff;

    fn pair() -> Result<(Stream, Stream)> {
        SocketOptions::new().pair()
    }
}

pub(crate) struct Seqpackets;

impl Messages for Seqpackets {
    const NAME: &'static str = "unix-seqpacket";
    const CAPS: Caps = Seqpacket::CAPS;
    type Tx = Seqpacket;
    type Rx = Seqpacket;
    type Across = ByHandoff;

    fn pair() -> Result<(Seqpacket, Seqpacket)> {
        SocketOptions::new().pair_seqpacket()
    }
}

pub(crate) struct Datagrams;

impl Messages for Datagrams {
    const NAME: &'static str = "unix-dgram";
    const CAPS: Caps = Datagram::CAPS;
    type Tx = Datagram;
    type Rx = Datagram;
    type Across = ByHandoff;

    fn pair() -> Result<(Datagram, Datagram)> {
        SocketOptions::new().pair_datagram()
    }
}

pub(crate) struct FramedStreams;

impl Messages for FramedStreams {
    const NAME: &'static str = "framed-unix-stream";
    const CAPS: Caps = Framed::<Stream>::CAPS;
    type Tx = Framed<Stream>;
    type Rx = Framed<Stream>;
    type Across = Frames;

    fn pair() -> Result<(Framed<Stream>, Framed<Stream>)> {
        let (tx, rx) = UnixStreams::pair()?;
        Ok((Framed::new(tx, FRAME), Framed::new(rx, FRAME)))
    }
}

/// Hands over the stream below the frames.
pub(crate) struct Frames;

impl<S: Handoff> Across<Framed<S>> for Frames {
    fn give(end: Framed<S>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.into_parts().0.give(command, key)?)
    }

    fn adopt(key: &str) -> Result<Framed<S>> {
        Ok(Framed::new(S::adopt(key)?, FRAME))
    }
}

pub(crate) struct StreamListener;

impl Listeners for StreamListener {
    const NAME: &'static str = "unix-stream";
    const CAPS: Caps = Stream::CAPS;
    type Listener = Listener<Stream>;
    type Conn = Stream;
    type Client = Stream;

    fn listen() -> Result<Listener<Stream>> {
        SocketOptions::new().listen(dir().join(unique_name()))
    }

    fn arrive(listener: &Listener<Stream>) -> Result<Stream> {
        SocketOptions::new().connect(listener.local_address()?, Wait::Forever)
    }
}

pub(crate) struct SeqpacketListener;

impl Listeners for SeqpacketListener {
    const NAME: &'static str = "unix-seqpacket";
    const CAPS: Caps = Seqpacket::CAPS;
    type Listener = Listener<Seqpacket>;
    type Conn = Seqpacket;
    type Client = Seqpacket;

    fn listen() -> Result<Listener<Seqpacket>> {
        SocketOptions::new().listen_seqpacket(dir().join(unique_name()))
    }

    fn arrive(listener: &Listener<Seqpacket>) -> Result<Seqpacket> {
        SocketOptions::new().connect_seqpacket(listener.local_address()?, Wait::Forever)
    }
}

pub(crate) struct AbstractListener;

impl Listeners for AbstractListener {
    const NAME: &'static str = "unix-stream-abstract";
    const CAPS: Caps = Stream::CAPS;
    type Listener = Listener<Stream>;
    type Conn = Stream;
    type Client = Stream;

    fn listen() -> Result<Listener<Stream>> {
        SocketOptions::new().listen(Address::abstract_name(unique_name())?)
    }

    fn arrive(listener: &Listener<Stream>) -> Result<Stream> {
        SocketOptions::new().connect(listener.local_address()?, Wait::Forever)
    }
}

//! KCP, as the suites see it.

use std::io::IoSlice;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ipc_core::{
    Caps, Error, Listen, Mechanism, ReadBytes, RecvMsg, Result, SendMsg, Wait, WriteBytes,
};
use ipc_sock::kcp::{Listener, Messages, SocketOptions, Stream};
use ipc_testkit::{ByHandoff, Bytes, InProcess, Listeners};

use crate::proxy::{Network, Proxy};

/// Any port of the loopback device.
pub(crate) const HERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// The suites kill peers and wait until it is noticed; and many cases share a few processors.
pub(crate) fn options() -> SocketOptions {
    SocketOptions::new().timeout(Duration::from_secs(5)).keep_alive(Duration::from_millis(500))
}

pub(crate) struct Streams;

impl Bytes for Streams {
    const NAME: &'static str = "kcp-stream";
    const CAPS: Caps = Stream::CAPS;
    type Tx = Stream;
    type Rx = Stream;
    type Across = ByHandoff;

    fn pair() -> Result<(Stream, Stream)> {
        options().pair()
    }
}

pub(crate) struct Conversations;

impl ipc_testkit::Messages for Conversations {
    const NAME: &'static str = "kcp-messages";
    const CAPS: Caps = Messages::CAPS;
    type Tx = Messages;
    type Rx = Messages;
    type Across = ByHandoff;

    fn pair() -> Result<(Messages, Messages)> {
        options().pair_messages()
    }
}

/// An end with the bad network that it is on, which goes when both ends have.
#[derive(Debug)]
pub(crate) struct OnBadNetwork<T> {
    end: T,
    _proxy: Arc<Proxy>,
}

/// Two ends of a conversation over a proxy: the client's and the server's.
fn over_proxy<T>(
    listener: &impl Listen<Conn = T>,
    address: std::net::SocketAddr,
    connect: impl FnOnce(std::net::SocketAddr) -> Result<T>,
) -> Result<(OnBadNetwork<T>, OnBadNetwork<T>)> {
    let proxy = Proxy::start(address, Network::BAD)
        .map_err(|error| Error::from_os("proxy", error.raw_os_error().unwrap_or_default()))?;
    let proxy = Arc::new(proxy);
    let client = connect(proxy.address())?;
    let client = OnBadNetwork { end: client, _proxy: Arc::clone(&proxy) };
    Ok((client, OnBadNetwork { end: listener.accept()?, _proxy: proxy }))
}

pub(crate) struct LossyStreams;

impl Bytes for LossyStreams {
    const NAME: &'static str = "kcp-stream-lossy";
    const CAPS: Caps = Stream::CAPS;
    type Tx = OnBadNetwork<Stream>;
    type Rx = OnBadNetwork<Stream>;
    type Across = InProcess;

    fn pair() -> Result<(Self::Tx, Self::Rx)> {
        let listener = options().listen(HERE)?;
        over_proxy(&listener, listener.local_address()?, |address| {
            options().connect(address, Wait::Forever)
        })
    }
}

pub(crate) struct LossyConversations;

impl ipc_testkit::Messages for LossyConversations {
    const NAME: &'static str = "kcp-messages-lossy";
    const CAPS: Caps = Messages::CAPS;
    type Tx = OnBadNetwork<Messages>;
    type Rx = OnBadNetwork<Messages>;
    type Across = InProcess;

    fn pair() -> Result<(Self::Tx, Self::Rx)> {
        let listener = options().listen_messages(HERE)?;
        over_proxy(&listener, listener.local_address()?, |address| {
            options().connect_messages(address, Wait::Forever)
        })
    }
}

impl WriteBytes for OnBadNetwork<Stream> {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        self.end.write_vectored_with(bufs, wait)
    }
}

impl ReadBytes for OnBadNetwork<Stream> {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.end.read_with(buf, wait)
    }
}

impl SendMsg for OnBadNetwork<Messages> {
    fn max_len(&self) -> usize {
        self.end.max_len()
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.end.send_with(msg, wait)
    }
}

impl RecvMsg for OnBadNetwork<Messages> {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.end.recv_with(buf, wait)
    }
}

pub(crate) struct StreamListener;

impl Listeners for StreamListener {
    const NAME: &'static str = "kcp-stream";
    const CAPS: Caps = Stream::CAPS;
    type Listener = Listener<Stream>;
    type Conn = Stream;
    type Client = Stream;

    fn listen() -> Result<Listener<Stream>> {
        options().listen(HERE)
    }

    fn arrive(listener: &Listener<Stream>) -> Result<Stream> {
        options().connect(listener.local_address()?, Wait::Forever)
    }
}

pub(crate) struct MessagesListener;

impl Listeners for MessagesListener {
    const NAME: &'static str = "kcp-messages";
    const CAPS: Caps = Messages::CAPS;
    type Listener = Listener<Messages>;
    type Conn = Messages;
    type Client = Messages;

    fn listen() -> Result<Listener<Messages>> {
        options().listen_messages(HERE)
    }

    fn arrive(listener: &Listener<Messages>) -> Result<Messages> {
        options().connect_messages(listener.local_address()?, Wait::Forever)
    }
}

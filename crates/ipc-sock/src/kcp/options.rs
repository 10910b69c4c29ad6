//! How to make conversations.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use rustix::net::{AddressFamily, SocketType};

use super::conversation::Conversation;
use super::doorman::{self, Doorman};
use super::endpoint::Endpoint;
use super::guard::FRAGMENTS;
use super::listener::Listener;
use super::messages::Messages;
use super::session::{Agreement, LEAST_MTU};
use super::stream::Stream;
use super::wire::{LONGEST, Mode};
use crate::socket::Socket;

/// What a session is told, checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    pub(super) nodelay: bool,
    /// In milliseconds.
    pub(super) interval: i32,
    pub(super) resend: i32,
    pub(super) congestion_window: bool,
    pub(super) send_window: u16,
    pub(super) recv_window: u16,
    pub(super) mtu: usize,
    pub(super) timeout: Duration,
    pub(super) keep_alive: Duration,
    pub(super) linger: Option<Duration>,
    pub(super) send_queue: usize,
    pub(super) max_message: usize,
}

/// How to make a KCP conversation, and how it weighs delay against bandwidth.
///
/// The defaults are KCP's fast mode: for a machine's own network, or one where delay counts for more
/// than bandwidth. On a network that others need too, switch the
/// [congestion window](Self::congestion_window) on.
///
/// # Errors
///
/// Every method that makes something reports
///
/// - [`ErrorKind::InvalidInput`] for options out of their range;
/// - [`ErrorKind::ResourceLimit`] when descriptors or threads run out.
///
/// # Limits
///
/// Two descriptors and one thread for each socket: for a connection, and for a listener together with
/// all that it has accepted.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_core::{Listen, Wait};
/// use ipc_sock::kcp::SocketOptions;
///
/// let options = SocketOptions::new().timeout(Duration::from_secs(3)).send_window(256);
/// let listener = options.listen(([127, 0, 0, 1], 0))?;
/// let _client = options.connect(listener.local_address()?, Wait::Forever)?;
/// let _server = listener.accept()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// [KCP](https://github.com/skywind3000/kcp), `udp`(7).
#[derive(Debug, Clone)]
#[must_use = "options do nothing until a socket is made"]
pub struct SocketOptions {
    nodelay: bool,
    interval: Duration,
    resend: u8,
    congestion_window: bool,
    send_window: u16,
    recv_window: u16,
    mtu: usize,
    timeout: Duration,
    keep_alive: Option<Duration>,
    linger: Option<Duration>,
    send_queue: usize,
    max_message: usize,
    backlog: usize,
    buffers: usize,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SocketOptions {
    /// KCP's fast mode, in datagrams that every Ethernet carries, and a peer that is given up after ten
    /// seconds of silence.
    pub const fn new() -> Self {
        Self {
            nodelay: true,
            interval: Duration::from_millis(10),
            resend: 2,
            congestion_window: false,
            send_window: 128,
            recv_window: 128,
            mtu: 1400,
            timeout: Duration::from_secs(10),
            keep_alive: None,
            linger: None,
            send_queue: 256,
            max_message: 1 << 16,
            backlog: 128,
            buffers: 1 << 20,
        }
    }

    /// Whether a lost segment is sent again after 30 ms at the least, and half as long again each time;
    /// otherwise after 100 ms, and twice as long each time. On unless told otherwise.
    #[doc(alias = "ikcp_nodelay")]
    pub const fn nodelay(mut self, yes: bool) -> Self {
        self.nodelay = yes;
        self
    }

    /// How often the thread looks for acknowledgements to send and segments to send again: 10 ms unless
    /// told otherwise, 10 ms to 5 s.
    ///
    /// # Units
    ///
    /// Whole milliseconds, as of all times here.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// A segment is sent again at once when so many later ones were acknowledged: 2 unless told
    /// otherwise; 0 waits for the time instead.
    #[doc(alias("fastresend", "fast retransmit"))]
    pub const fn resend(mut self, acknowledgements: u8) -> Self {
        self.resend = acknowledgements;
        self
    }

    /// Whether to send less when segments are lost, as TCP does: off unless told otherwise. Without it a
    /// conversation takes from other traffic what it can get; the [send window](Self::send_window) alone
    /// bounds it.
    #[doc(alias = "nc")]
    pub const fn congestion_window(mut self, yes: bool) -> Self {
        self.congestion_window = yes;
        self
    }

    /// How many segments may be on their way: 128 unless told otherwise, 1 to 32,767.
    #[doc(alias = "ikcp_wndsize")]
    pub const fn send_window(mut self, segments: u16) -> Self {
        self.send_window = segments;
        self
    }

    /// How many segments that nobody has received are kept: 128 unless told otherwise, and at least, so
    /// that a message of 127 segments fits; at most 32,767. As many again that came out of order are
    /// kept besides.
    #[doc(alias = "ikcp_wndsize")]
    pub const fn recv_window(mut self, segments: u16) -> Self {
        self.recv_window = segments;
        self
    }

    /// The length of the longest datagram that is sent, in bytes of UDP's payload: 1400 unless told
    /// otherwise, up to 65,507. 44 of them are headers.
    ///
    /// Longer ones than that, and than 1500, are not taken either: what a peer can make this end keep is
    /// bounded by this and the [window](Self::recv_window). So give both ends the same.
    ///
    /// More than the network carries is cut up by IP, and lost when one piece is. The loopback device
    /// carries 65,507.
    #[doc(alias = "ikcp_setmtu")]
    pub const fn mtu(mut self, bytes: usize) -> Self {
        self.mtu = bytes;
        self
    }

    /// A peer of whom nothing was heard for so long is [`ErrorKind::Disconnected`]: 10 s unless told
    /// otherwise, up to an hour. One that is heard of and acknowledges nothing of what it is sent is so
    /// after ten times as long.
    ///
    /// This is the only way to see that a process was killed, so that a short time is quick to notice it,
    /// and takes a process that was stopped or starved for a dead one.
    #[doc(alias = "dead_link")]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// An end that has nothing to say says so after so long: a fifth of the [timeout](Self::timeout)
    /// unless told otherwise. It must suit the timeout of the *peer*.
    pub const fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = Some(interval);
        self
    }

    /// How long dropping an end waits until the peer has everything that was sent to it: as long as the
    /// [timeout](Self::timeout) unless told otherwise. What is not acknowledged by then is given up, and
    /// the peer is told.
    ///
    /// A peer that has no room, or is yet to start, and takes nothing for half a second, is waited for by
    /// the thread alone, for the rest of this time; what it does not take before the process ends is
    /// lost. [`Messages::wait_acknowledged`] waits as long as it is told to, and says whether everything
    /// came.
    #[doc(alias = "SO_LINGER")]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// How many segments may wait to be sent or acknowledged before a send blocks: 256 unless told
    /// otherwise.
    pub const fn send_queue(mut self, segments: usize) -> Self {
        self.send_queue = segments;
        self
    }

    /// The longest message in bytes, of both directions: 64 KiB unless told otherwise. A longer one of
    /// the peer's is [`ErrorKind::Corrupted`]; a peer with this crate is told of it and sends none.
    ///
    /// # Limits
    ///
    /// A message has 127 segments at most, of 44 bytes less than the [mtu](Self::mtu), and fits into the
    /// [send queue](Self::send_queue).
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// How many conversations may wait to be accepted: 128 unless told otherwise. A client beyond that
    /// keeps asking.
    pub const fn backlog(mut self, conversations: usize) -> Self {
        self.backlog = conversations;
        self
    }

    /// Asks for so many bytes of room in the UDP socket, for either direction: 1 MiB unless told
    /// otherwise. Datagrams that find no room are lost, and sent again.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/rmem_max` and `wmem_max`; the kernel takes no more, and says nothing.
    #[doc(alias("SO_RCVBUF", "SO_SNDBUF"))]
    pub const fn socket_buffers(mut self, bytes: usize) -> Self {
        self.buffers = bytes;
        self
    }

    /// Listens for streams: `socket`, `bind`, and a thread. Port 0 lets the kernel choose one.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`]; [`ErrorKind::AlreadyExists`] when the port is taken,
    /// [`ErrorKind::PermissionDenied`] for a port that this user may not have.
    pub fn listen(&self, address: impl Into<SocketAddr>) -> Result<Listener<Stream>> {
        self.listen_for(Mode::Stream, address.into()).map(Listener::new)
    }

    /// Listens for conversations of messages, as [`listen`](Self::listen) does for streams.
    ///
    /// # Errors
    ///
    /// See [`listen`](Self::listen).
    pub fn listen_messages(&self, address: impl Into<SocketAddr>) -> Result<Listener<Messages>> {
        self.listen_for(Mode::Messages, address.into()).map(Listener::new)
    }

    /// Connects a stream: `socket`, `connect`, the opening, and a thread.
    ///
    /// It waits until the listener has a place for the conversation, not until it is accepted.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`]; [`ErrorKind::ConnectionRefused`] when the machine there says that nobody
    /// has the port; [`ErrorKind::TimedOut`] when nobody answers; [`ErrorKind::WrongType`] when the
    /// listener is one for messages. An opening takes time: [`Wait::Never`] is
    /// [`ErrorKind::WouldBlock`].
    pub fn connect(&self, address: impl Into<SocketAddr>, wait: Wait) -> Result<Stream> {
        self.connect_to(Mode::Stream, address.into(), wait).map(Stream::new)
    }

    /// Connects a conversation of messages, as [`connect`](Self::connect) does a stream.
    ///
    /// # Errors
    ///
    /// See [`connect`](Self::connect).
    pub fn connect_messages(&self, address: impl Into<SocketAddr>, wait: Wait) -> Result<Messages> {
        self.connect_to(Mode::Messages, address.into(), wait).map(Messages::new)
    }

    /// Makes two ends of a stream on the loopback device: two sockets that are connected to each other.
    ///
    /// An end sleeps until it is used first, and can be [given](ipc_core::Handoff) to a child process
    /// before that. Its peer waits for it: the [timeout](Self::timeout) counts from when it was first
    /// heard of.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`].
    pub fn pair(&self) -> Result<(Stream, Stream)> {
        let (one, two) = self.pair_of(Mode::Stream)?;
        Ok((Stream::new(one), Stream::new(two)))
    }

    /// Makes two ends of a conversation of messages, as [`pair`](Self::pair) does of a stream.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`].
    pub fn pair_messages(&self) -> Result<(Messages, Messages)> {
        let (one, two) = self.pair_of(Mode::Messages)?;
        Ok((Messages::new(one), Messages::new(two)))
    }

    /// Checks the options.
    pub(super) fn tuning(&self) -> Result<Tuning> {
        let check = |right: bool, note| {
            if right { Ok(()) } else { Err(invalid(note)) }
        };
        let millis = |time: Duration| time.as_millis();
        let keep_alive = self.keep_alive.unwrap_or(self.timeout / 5);
        let window = 1..=i16::MAX as u16;
        check((10..=5000).contains(&millis(self.interval)), "the interval must be 10 ms to 5 s")?;
        check(window.contains(&self.send_window), "the send window must be 1 to 32767 segments")?;
        check(
            self.recv_window >= 128 && window.contains(&self.recv_window),
            "the receive window must be 128 to 32767 segments",
        )?;
        check((LEAST_MTU..=LONGEST).contains(&self.mtu), "the mtu must be 76 to 65507 bytes")?;
        check(
            (10..=3_600_000).contains(&millis(self.timeout)),
            "the timeout must be 10 ms to an hour",
        )?;
        check(
            keep_alive >= Duration::from_millis(1) && keep_alive < self.timeout,
            "the keep-alive interval must be 1 ms at least and shorter than the timeout",
        )?;
        check(
            self.linger.is_none_or(|linger| millis(linger) <= 86_400_000),
            "the linger time must be a day at most",
        )?;
        check(
            (1..=1 << 20).contains(&self.send_queue),
            "the send queue must be 1 to 1048576 segments",
        )?;
        Ok(Tuning {
            nodelay: self.nodelay,
            interval: i32::try_from(millis(self.interval)).unwrap_or(5000),
            resend: i32::from(self.resend),
            congestion_window: self.congestion_window,
            send_window: self.send_window,
            recv_window: self.recv_window,
            mtu: self.mtu,
            timeout: self.timeout,
            keep_alive,
            linger: self.linger,
            send_queue: self.send_queue,
            max_message: self.max_message.min(FRAGMENTS * LONGEST),
        })
    }

    fn socket(&self, address: SocketAddr) -> Result<Socket> {
        let domain = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = Socket::open(domain, SocketType::DGRAM)?;
        socket.set_buffers(Some(self.buffers), Some(self.buffers))?;
        Ok(socket)
    }

    /// A socket that has this address.
    fn bind(&self, address: SocketAddr) -> Result<Socket> {
        let socket = self.socket(address)?;
        rustix::net::bind(&socket, &address).map_err(|errno| {
            let error = os("bind")(errno);
            if errno == rustix::io::Errno::ADDRINUSE {
                return error.with_kind(ErrorKind::AlreadyExists);
            }
            error
        })?;
        Ok(socket)
    }

    fn listen_for(&self, mode: Mode, address: SocketAddr) -> Result<Arc<Endpoint>> {
        let doorman = Doorman::new(mode, self.backlog, self.tuning()?)?;
        let endpoint = Endpoint::new(self.bind(address)?, Some(doorman))?;
        endpoint.add_listener();
        if let Err(error) = endpoint.start() {
            endpoint.stop_listening();
            return Err(error);
        }
        Ok(endpoint)
    }

    fn connect_to(&self, mode: Mode, address: SocketAddr, wait: Wait) -> Result<Conversation> {
        let tuning = self.tuning()?;
        if wait == Wait::Never {
            return Err(Error::new(ErrorKind::WouldBlock, "connect"));
        }
        let socket = self.socket(address)?;
        rustix::net::connect(&socket, &address).map_err(os("connect"))?;
        let agreement = doorman::knock(&socket, mode, &tuning, wait)?;
        let conversation = Conversation::new(Endpoint::new(socket, None)?, agreement, tuning, true);
        conversation.start()?;
        Ok(conversation)
    }

    fn pair_of(&self, mode: Mode) -> Result<(Conversation, Conversation)> {
        let tuning = self.tuning()?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (one, two) = (self.bind(any)?, self.bind(any)?);
        for (socket, peer) in [(&one, &two), (&two, &one)] {
            rustix::net::connect(socket, &local_address(peer)?).map_err(os("connect"))?;
        }
        let agreement = doorman::draw_agreement(mode)?;
        let agreement = Agreement { peer_max: tuning.max_message, ..agreement };
        let (one, two) = (Endpoint::new(one, None)?, Endpoint::new(two, None)?);
        let end = |endpoint| Conversation::new(endpoint, agreement, tuning, false);
        Ok((end(one), end(two)))
    }
}

/// The address of a socket: `getsockname`.
pub(super) fn local_address(socket: &Socket) -> Result<SocketAddr> {
    let address = rustix::net::getsockname(socket).map_err(os("getsockname"))?;
    SocketAddr::try_from(address).map_err(os("getsockname"))
}

fn invalid(note: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "kcp").with_note(note)
}

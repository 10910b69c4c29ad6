//! How to make TCP sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Listen, Result, Wait};
use ipc_fd::kind::os;
use rustix::net::{SocketType, sockopt};

use super::connect::connect;
use super::{Listener, Stream};
use crate::inet;
use crate::socket::Socket;

/// How to make a TCP socket.
///
/// # Errors
///
/// The methods that take an address report
///
/// - [`ErrorKind::AlreadyExists`] when another socket listens at the address;
/// - [`ErrorKind::PermissionDenied`] for a port that this user may not have;
/// - [`ErrorKind::NotFound`] when no interface has the address, or no route leads to it;
/// - [`ErrorKind::Unsupported`] for an IPv6 address where the kernel has no IPv6;
/// - [`ErrorKind::InvalidInput`] for an address that cannot be connected to, such as one of port 0,
///   and for options that the kernel does not take;
/// - [`ErrorKind::ResourceLimit`] when descriptors, memory or local ports run out.
///
/// # Limits
///
/// A descriptor for each socket (`RLIMIT_NOFILE`), and a local port for each connection that goes out
/// (`/proc/sys/net/ipv4/ip_local_port_range`).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_core::{Listen, Wait};
/// use ipc_sock::tcp::SocketOptions;
///
/// let options = SocketOptions::new().user_timeout(Duration::from_secs(10));
/// let listener = options.listen("127.0.0.1:0".parse().unwrap())?;
/// let soon = Wait::timeout(Duration::from_secs(5));
/// let _client = options.connect(listener.local_address()?, soon)?;
/// let _server = listener.accept_with(soon)?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `tcp`(7), `ip`(7), `ipv6`(7), `socket`(7), `bind`(2), `listen`(2), `connect`(2).
#[derive(Debug, Clone)]
#[must_use = "options do nothing until a socket is made"]
pub struct SocketOptions {
    nodelay: bool,
    keep_alive: Option<KeepAlive>,
    user_timeout: Option<Duration>,
    pub(super) backlog: u32,
    pub(super) local_address: Option<SocketAddr>,
    dual_stack: bool,
    reuse_port: bool,
    send_buffer: Option<usize>,
    recv_buffer: Option<usize>,
}

/// When a connection on which nothing happens is tested.
#[derive(Debug, Clone, Copy)]
struct KeepAlive {
    idle: Duration,
    interval: Duration,
    count: u32,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SocketOptions {
    /// For messages: what is written goes out at once.
    pub const fn new() -> Self {
        Self {
            nodelay: true,
            keep_alive: None,
            user_timeout: None,
            backlog: 4096,
            local_address: None,
            dual_stack: false,
            reuse_port: false,
            send_buffer: None,
            recv_buffer: None,
        }
    }

    /// Whether what is written goes out at once, which is so unless told otherwise: `TCP_NODELAY`.
    ///
    /// Without it the kernel collects small writes while earlier ones are under way (Nagle's
    /// algorithm), which saves packets and can cost a conversation of small messages 40 ms each.
    #[doc(alias("TCP_NODELAY", "Nagle"))]
    pub const fn nodelay(mut self, yes: bool) -> Self {
        self.nodelay = yes;
        self
    }

    /// Tests a connection on which nothing came for `idle`, every `interval`, and gives it up after
    /// `count` tests without an answer: `SO_KEEPALIVE`, `TCP_KEEPIDLE`, `TCP_KEEPINTVL`,
    /// `TCP_KEEPCNT`. Reads and writes are then [`ErrorKind::Disconnected`] (`ETIMEDOUT`).
    ///
    /// # Units
    ///
    /// The kernel counts whole seconds; a fraction is rounded up.
    ///
    /// # Limits
    ///
    /// Each 1 s to 32,767 s, and at most 127 tests.
    #[doc(alias("SO_KEEPALIVE", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"))]
    pub const fn keep_alive(mut self, idle: Duration, interval: Duration, count: u32) -> Self {
        self.keep_alive = Some(KeepAlive { idle, interval, count });
        self
    }

    /// Gives a connection up when what was written is not acknowledged, or cannot be sent for want of
    /// room at the peer, for this long: `TCP_USER_TIMEOUT`. Reads and writes are then
    /// [`ErrorKind::Disconnected`] (`ETIMEDOUT`).
    ///
    /// A peer that is alive and does not read counts too.
    ///
    /// # Units
    ///
    /// Milliseconds; a fraction is rounded up.
    #[doc(alias = "TCP_USER_TIMEOUT")]
    pub const fn user_timeout(mut self, timeout: Duration) -> Self {
        self.user_timeout = Some(timeout);
        self
    }

    /// How many connections may wait to be accepted: 4096 unless told otherwise.
    ///
    /// # Limits
    ///
    /// The kernel takes no more than `/proc/sys/net/core/somaxconn`, and says nothing.
    pub const fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// From which address, and if its port is not 0 from which port, [`connect`](Self::connect) goes
    /// out; the kernel chooses both unless told.
    #[doc(alias = "bind")]
    pub const fn local_address(mut self, address: SocketAddr) -> Self {
        self.local_address = Some(address);
        self
    }

    /// Whether a listener at `[::]` takes connections over IPv4 as well, whose peers have addresses such
    /// as `::ffff:192.0.2.1`: not unless told, whatever `/proc/sys/net/ipv6/bindv6only` says. A filter
    /// for addresses that knows only the usual form of IPv4 would let them pass.
    #[doc(alias = "IPV6_V6ONLY")]
    pub const fn dual_stack(mut self, yes: bool) -> Self {
        self.dual_stack = yes;
        self
    }

    /// Lets several listeners of this user share an address, among which the kernel spreads the
    /// connections: `SO_REUSEPORT`. All must say so.
    ///
    /// It gives up that an address belongs to one listener: another process of this user can take a part
    /// of the connections, and what waits at a listener that dies is lost.
    #[doc(alias = "SO_REUSEPORT")]
    pub const fn reuse_port(mut self, yes: bool) -> Self {
        self.reuse_port = yes;
        self
    }

    /// Asks for room for what was sent and not acknowledged: `SO_SNDBUF`. The kernel doubles the figure
    /// for its own needs, and does not adapt the buffer to the connection any more.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/wmem_max`; the kernel takes no more, and says nothing. Unless told, the
    /// buffer grows up to the third figure of `/proc/sys/net/ipv4/tcp_wmem`.
    #[doc(alias = "SO_SNDBUF")]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Asks for room for what has come and was not read: `SO_RCVBUF`. The kernel doubles the figure for
    /// its own needs, and does not adapt the buffer to the connection any more.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/rmem_max`; the kernel takes no more, and says nothing. Unless told, the
    /// buffer grows up to the third figure of `/proc/sys/net/ipv4/tcp_rmem`.
    #[doc(alias = "SO_RCVBUF")]
    pub const fn recv_buffer(mut self, bytes: usize) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// Listens at an address: `socket`, `SO_REUSEADDR`, `bind`, `listen`. With port 0 the kernel chooses
    /// one, which [`Listener::local_address`] tells.
    ///
    /// `SO_REUSEADDR` lets a server start again while connections of the last one are closing. It does
    /// not let two listen at one address.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`].
    pub fn listen(&self, address: SocketAddr) -> Result<Listener> {
        let socket = inet::open(address, SocketType::STREAM)?;
        sockopt::set_socket_reuseaddr(&socket, true).map_err(os("setsockopt SO_REUSEADDR"))?;
        inet::set_reuse_port(&socket, self.reuse_port)?;
        // Before the first connection: its window is agreed on when it begins.
        self.apply(&socket)?;
        inet::bind(&socket, address, self.dual_stack)?;
        Listener::new(socket, self)
    }

    /// Connects to a listener: `socket`, `connect`.
    ///
    /// With [`Wait::Never`] only a connection that comes about at once is made, as on the loopback
    /// interface; an attempt that is given up is closed.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`]; [`ErrorKind::ConnectionRefused`] when nobody listens there, or there is
    /// nothing but this socket itself, to which the kernel connects a socket that happens to get the port
    /// that it asks for; [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says, and
    /// [`ErrorKind::TimedOut`] also with [`Wait::Forever`] when no answer comes for two minutes
    /// (`/proc/sys/net/ipv4/tcp_syn_retries`).
    pub fn connect(&self, address: SocketAddr, wait: Wait) -> Result<Stream> {
        connect(address, self, wait).map(Stream::new)
    }

    /// Makes two streams that are connected to each other, over the loopback interface: a listener that
    /// lives for a moment, `connect`, `accept`.
    ///
    /// Whoever else connects in that moment is closed: what is accepted has the address of the other
    /// end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`].
    pub fn pair(&self) -> Result<(Stream, Stream)> {
        // What would let others between the two, or the one end not reach the other, is left out.
        let options = self.clone().reuse_port(false).backlog(Self::new().backlog);
        let options = Self { local_address: None, ..options };
        let listener = options.listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let one = options.connect(listener.local_address()?, Wait::Forever)?;
        let two = accept_from(&listener, one.local_address()?)?;
        Ok((one, two))
    }

    /// Sets what each socket gets, also those that are accepted.
    pub(super) fn apply(&self, socket: &Socket) -> Result<()> {
        socket.set_buffers(self.send_buffer, self.recv_buffer)?;
        sockopt::set_tcp_nodelay(socket, self.nodelay).map_err(os("setsockopt TCP_NODELAY"))?;
        if let Some(KeepAlive { idle, interval, count }) = self.keep_alive {
            sockopt::set_tcp_keepidle(socket, idle).map_err(os("setsockopt TCP_KEEPIDLE"))?;
            sockopt::set_tcp_keepintvl(socket, interval).map_err(os("setsockopt TCP_KEEPINTVL"))?;
            sockopt::set_tcp_keepcnt(socket, count).map_err(os("setsockopt TCP_KEEPCNT"))?;
            sockopt::set_socket_keepalive(socket, true).map_err(os("setsockopt SO_KEEPALIVE"))?;
        }
        if let Some(timeout) = self.user_timeout {
            // Zero would be the kernel's default, and the field of the kernel has 31 bits.
            let millis = timeout.as_nanos().div_ceil(1_000_000).max(1);
            let millis = i32::try_from(millis).map_err(|_| {
                Error::new(ErrorKind::InvalidInput, "setsockopt TCP_USER_TIMEOUT")
                    .with_note("at most 24 days")
            })?;
            sockopt::set_tcp_user_timeout(socket, millis.unsigned_abs())
                .map_err(os("setsockopt TCP_USER_TIMEOUT"))?;
        }
        Ok(())
    }
}

/// Accepts the connection of this peer, and closes all others.
fn accept_from(listener: &Listener, peer: SocketAddr) -> Result<Stream> {
    loop {
        let stream = listener.accept()?;
        // A stranger that has gone by now has no address.
        if stream.peer_address().is_ok_and(|it| it == peer) {
            return Ok(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_pair_is_not_made_with_a_stranger_who_came_first() {
        let options = SocketOptions::new();
        let listener = options.listen((Ipv4Addr::LOCALHOST, 0).into()).expect("listen");
        let address = listener.local_address().expect("address");
        let mut stranger = options.connect(address, Wait::Forever).expect("connect");
        drop(options.connect(address, Wait::Forever).expect("a stranger that goes"));
        let mut ours = options.connect(address, Wait::Forever).expect("connect");
        let mut accepted =
            accept_from(&listener, ours.local_address().expect("address")).expect("accept");
        ours.write_all(b"ours").expect("write");
        let mut buf = [0; 4];
        accepted.read_exact(&mut buf).expect("read");
        assert_eq!(&buf, b"ours");
        assert_eq!(stranger.read(&mut buf).expect("it was closed"), 0);
    }
}

//! How to make UDP sockets.

use std::net::{Ipv4Addr, SocketAddr};

use ipc_core::Result;
use rustix::net::SocketType;

use super::Socket;
use crate::inet;
use crate::socket;

/// How to make a UDP socket.
///
/// # Errors
///
/// The methods that take an address report
///
/// - [`ErrorKind::AlreadyExists`](ipc_core::ErrorKind::AlreadyExists) when another socket has the
///   address;
/// - [`ErrorKind::PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) for a port that this user
///   may not have;
/// - [`ErrorKind::NotFound`](ipc_core::ErrorKind::NotFound) when no interface has the address, or no
///   route leads to it;
/// - [`ErrorKind::Unsupported`](ipc_core::ErrorKind::Unsupported) for an IPv6 address where the kernel
///   has no IPv6;
/// - [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for an address that cannot be sent
///   to, such as one of port 0;
/// - [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors, memory or local
///   ports run out.
///
/// # Limits
///
/// A descriptor for each socket (`RLIMIT_NOFILE`), and a local port for each that is not bound to one
/// (`/proc/sys/net/ipv4/ip_local_port_range`).
///
/// # Examples
///
/// ```
/// use ipc_sock::udp::SocketOptions;
///
/// let socket = SocketOptions::new().recv_buffer(1 << 20).bind("127.0.0.1:0".parse().unwrap())?;
/// assert_ne!(socket.local_address()?.port(), 0);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `udp`(7), `ip`(7), `ipv6`(7), `socket`(7), `bind`(2), `connect`(2).
#[derive(Debug, Clone, Default)]
#[must_use = "options do nothing until a socket is made"]
pub struct SocketOptions {
    dual_stack: bool,
    reuse_port: bool,
    send_buffer: Option<usize>,
    recv_buffer: Option<usize>,
}

impl SocketOptions {
    /// An address that belongs to one socket, and the buffers of the kernel.
    pub const fn new() -> Self {
        Self { dual_stack: false, reuse_port: false, send_buffer: None, recv_buffer: None }
    }

    /// Whether a socket that is bound to `[::]` receives over IPv4 as well, from senders with addresses
    /// such as `::ffff:192.0.2.1`: not unless told, whatever `/proc/sys/net/ipv6/bindv6only` says. A
    /// filter for addresses that knows only the usual form of IPv4 would let them pass.
    #[doc(alias = "IPV6_V6ONLY")]
    pub const fn dual_stack(mut self, yes: bool) -> Self {
        self.dual_stack = yes;
        self
    }

    /// Lets several sockets of this user share an address, among which the kernel spreads the senders:
    /// `SO_REUSEPORT`. All must say so.
    ///
    /// It gives up that an address belongs to one socket: another process of this user can take a part
    /// of the messages.
    #[doc(alias = "SO_REUSEPORT")]
    pub const fn reuse_port(mut self, yes: bool) -> Self {
        self.reuse_port = yes;
        self
    }

    /// Asks for room for what was sent and has not left this machine: `SO_SNDBUF`. The kernel doubles
    /// the figure for its own needs.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/wmem_max`; the kernel takes no more, and says nothing.
    #[doc(alias = "SO_SNDBUF")]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Asks for room for what has come and was not received: `SO_RCVBUF`. The kernel doubles the figure
    /// for its own needs: a message of a few bytes takes some 800 of them. What does not fit is dropped.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/rmem_max`; the kernel takes no more, and says nothing.
    /// [`Socket::recv_buffer`] tells what there is. Unless told, `/proc/sys/net/core/rmem_default`.
    #[doc(alias = "SO_RCVBUF")]
    pub const fn recv_buffer(mut self, bytes: usize) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// Makes a socket with an address: `socket`, `bind`. With port 0 the kernel chooses one, which
    /// [`Socket::local_address`] tells.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`].
    pub fn bind(&self, address: SocketAddr) -> Result<Socket> {
        let socket = self.open(address)?;
        inet::set_reuse_port(&socket, self.reuse_port)?;
        inet::bind(&socket, address, self.dual_stack)?;
        Ok(Socket::new(socket, address))
    }

    /// Makes a socket that sends to one peer and receives from it alone, at an address that the kernel
    /// chooses: `socket`, `connect`. Nothing is sent, and nobody need be there.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`].
    pub fn connect(&self, address: SocketAddr) -> Result<Socket> {
        let mut socket = Socket::new(self.open(address)?, address);
        socket.connect(address)?;
        socket.discard()?;
        Ok(socket)
    }

    /// Makes two sockets that are connected to each other, over the loopback interface.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit).
    pub fn pair(&self) -> Result<(Socket, Socket)> {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let exclusive = self.clone().reuse_port(false);
        let (mut one, mut two) = (exclusive.bind(any)?, exclusive.bind(any)?);
        one.connect(two.local_address()?)?;
        two.connect(one.local_address()?)?;
        one.discard()?;
        two.discard()?;
        Ok((one, two))
    }

    /// A new socket with these options.
    fn open(&self, address: SocketAddr) -> Result<socket::Socket> {
        let socket = inet::open(address, SocketType::DGRAM)?;
        socket.set_buffers(self.send_buffer, self.recv_buffer)?;
        Ok(socket)
    }
}

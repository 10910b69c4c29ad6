//! Messages to whoever has an address.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Pair, Persistence, RecvMsg, Rejected, Result, SendMsg,
    Shape, Wait,
};
use ipc_fd::kind::{checked, os};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType};

use super::SocketOptions;
use crate::inbox::Inbox;
use crate::kind::{self, Expected};
use crate::socket::{SEND, dontwait_send};
use crate::{inet, socket, sys};

/// The longest message over IPv4: 65,535 bytes without the headers of IPv4 and UDP.
const MAX_IPV4: usize = 65_507;

/// The longest message over IPv6, whose length does not count its own header.
const MAX_IPV6: usize = 65_527;

/// No message is longer than this: the length field of UDP has 16 bits.
pub(super) const LONGEST: usize = 65_535;

/// A socket that sends messages to addresses, and receives what others send to its own.
///
/// [`connect`](Self::connect) names the peer once; then [`SendMsg`] sends to it, and only its messages
/// are received. Without that, [`send_to`](Self::send_to) and [`recv_from`](Self::recv_from) tell
/// addresses, and [`RecvMsg`] receives from anybody.
///
/// It sends through `&self` as well, and needs `&mut self` to receive, since a message that was too long
/// for a buffer is kept for the next receive. [`try_clone`](Self::try_clone) makes a second value for
/// another thread. A message may be empty.
///
/// # Loss
///
/// See [the module](super#what-can-happen-to-a-message).
///
/// # Errors
///
/// [`SendMsg`] and [`RecvMsg`] say which, besides [`ErrorKind::Disconnected`], since there is no
/// connection. Instead, when a message of a *connected* socket arrives where nobody receives, and the
/// machine there says so (ICMP), one of the next operations is [`ErrorKind::ConnectionRefused`]: about
/// that earlier message, and once for any number of them. A send that reports it has sent nothing, and a
/// receive that does has lost nothing: what had come is still there. The socket can be used further, and
/// reaches the peer when it is back.
///
/// # Limits
///
/// A message has at most 65,507 bytes over IPv4 and 65,527 over IPv6. Above the path's MTU (65,536 on
/// the loopback interface, 1500 usually elsewhere) it travels in pieces, and is lost when one of them is.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
///
/// let (mut tx, mut rx) = ipc_sock::udp::SocketOptions::new().pair()?;
/// tx.send(b"four score and seven")?;
///
/// let error = rx.recv(&mut [0; 4]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 20, max: 4 });
/// let mut buf = [0; 64];
/// assert_eq!(rx.recv(&mut buf)?, 20);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `udp`(7), `send`(2), `recv`(2).
#[derive(Debug)]
#[doc(alias("SOCK_DGRAM", "UdpSocket"))]
pub struct Socket {
    socket: socket::Socket,
    pub(super) inbox: Inbox,
    /// Whom it is connected to.
    peer: Option<SocketAddr>,
    max_len: usize,
}

impl Socket {
    pub(crate) const EXPECTED: Expected = Expected {
        domains: inet::DOMAINS,
        kind: SocketType::DGRAM,
        listens: false,
        name: "a UDP socket",
    };

    /// A socket for addresses of the same family as this one.
    pub(super) fn new(socket: socket::Socket, address: SocketAddr) -> Self {
        let max_len = if address.is_ipv4() { MAX_IPV4 } else { MAX_IPV6 };
        Self { socket, inbox: Inbox::new(LONGEST), peer: None, max_len }
    }

    pub(crate) fn adopted(fd: OwnedFd) -> Self {
        let socket = socket::Socket::new(fd);
        let peer = inet::peer(&socket).ok();
        let max_len = peer.or(inet::local(&socket).ok()).map_or(MAX_IPV4, longest);
        Self { socket, inbox: Inbox::new(LONGEST), peer, max_len }
    }

    pub(super) fn socket(&self) -> &socket::Socket {
        &self.socket
    }

    fn into_socket(self) -> socket::Socket {
        self.socket
    }

    /// Sends to this address from now on, and receives from nobody else: `connect`. Nothing is sent, and
    /// nobody need be there.
    ///
    /// What others sent before is still received. Values that [`try_clone`](Self::try_clone) made before
    /// are connected too, and do not know it: they should only send.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`].
    pub fn connect(&mut self, address: SocketAddr) -> Result<()> {
        inet::refuse_port_0(address)?;
        rustix::net::connect(&self.socket, &address)
            .map_err(|errno| inet::cannot_connect(errno, address))?;
        self.peer = Some(address);
        self.max_len = longest(address);
        Ok(())
    }

    /// Throws away what has come already.
    pub(super) fn discard(&self) -> Result<()> {
        loop {
            match self.socket.recv(&mut [], RecvFlags::empty(), Wait::Never) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a message to an address: `sendto`.
    ///
    /// # Errors
    ///
    /// As [`Socket`] says; [`ErrorKind::NotFound`] when no route leads to the address;
    /// [`ErrorKind::InvalidInput`] for one that cannot be sent to, such as one of port 0 or of the other
    /// family; [`ErrorKind::PermissionDenied`] for a broadcast address, or when a firewall forbids it.
    #[doc(alias = "sendto")]
    pub fn send_to(&self, msg: &[u8], address: SocketAddr, wait: Wait) -> Result<()> {
        let flags = SEND | dontwait_send(wait);
        let sent = self.socket.when_writable("sendto", wait, || {
            rustix::net::sendto(&self.socket, msg, flags, &address)
        });
        sent.map(drop).map_err(|error| explain(error, msg.len(), longest(address)))
    }

    /// Receives a message and the address of its sender: `recvmsg`.
    ///
    /// # Errors
    ///
    /// As [`Socket`] says.
    #[doc(alias("recvfrom", "recvmsg"))]
    pub fn recv_from(&mut self, buf: &mut [u8], wait: Wait) -> Result<(usize, SocketAddr)> {
        let (len, from) = self.inbox.recv_from(&self.socket, buf, wait).map_err(pending)?;
        // Only a connected socket keeps a message without its sender.
        match from.or(self.peer) {
            Some(from) => Ok((len, from)),
            None => Err(Error::new(ErrorKind::Other, "recvmsg")
                .with_note("the kernel did not say who sent it")),
        }
    }

    /// Whether a message is kept that was too long for the buffer of the last receive: while it is so,
    /// receive before polling.
    #[must_use]
    pub fn keeps_message(&self) -> bool {
        self.inbox.keeps_message()
    }

    /// How many messages this socket has lost, because its receive buffer was full or a checksum was
    /// wrong, since it was made: `SO_MEMINFO`. It begins anew after 4,294,967,295.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] for an errno that Linux does not document.
    ///
    /// # Platform
    ///
    /// Linux 4.12.
    #[doc(alias("SO_MEMINFO", "SO_RXQ_OVFL"))]
    pub fn dropped(&self) -> Result<u32> {
        sys::dropped(self.socket.as_fd()).map_err(os("getsockopt SO_MEMINFO"))
    }

    /// A second value for the same socket. A message that this one [keeps](Self::keeps_message) stays
    /// with this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        let socket = self.socket.try_clone()?;
        let inbox = Inbox::new(self.inbox.max());
        Ok(Self { socket, inbox, peer: self.peer, max_len: self.max_len })
    }

    /// The address that this socket is connected to: `getpeername`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Disconnected`] when it is not connected.
    #[doc(alias = "getpeername")]
    pub fn peer_address(&self) -> Result<SocketAddr> {
        inet::peer(&self.socket)
    }
}

/// The longest message to, or from, an address.
pub(super) fn longest(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V6(address) if address.ip().to_ipv4_mapped().is_none() => MAX_IPV6,
        _ => MAX_IPV4,
    }
}

/// What it means that a message of `len` bytes could not be sent where at most `max` can be.
#[cold]
pub(super) fn explain(error: Error, len: usize, max: usize) -> Error {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MSGSIZE) if len > max => {
            error.with_kind(ErrorKind::MessageTooLarge { len, max })
        }
        Some(Errno::DESTADDRREQ) => {
            error.with_kind(ErrorKind::InvalidInput).with_note("connect it, or use send_to")
        }
        _ => pending(error),
    }
}

/// What it means that a socket reports an error that has nothing to do with the operation: it is about
/// a message that was sent before.
#[cold]
pub(super) fn pending(error: Error) -> Error {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => error.with_note("of a message that was sent earlier"),
        Some(Errno::MSGSIZE) => error
            .with_note("a message sent earlier was longer than the path takes; it will split more"),
        _ => inet::cannot_reach(error),
    }
}

crate::methods::of_every_socket!(Socket);
crate::methods::of_internet_sockets!(Socket);

impl SendMsg for &Socket {
    fn max_len(&self) -> usize {
        self.max_len
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        match self.socket.send(msg, wait) {
            Ok(_) => Ok(()),
            Err(error) => Err(explain(error, msg.len(), self.max_len)),
        }
    }
}

impl SendMsg for Socket {
    fn max_len(&self) -> usize {
        self.max_len
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        (&*self).send_with(msg, wait)
    }
}

impl RecvMsg for Socket {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let received = if self.peer.is_some() {
            self.inbox.recv(&self.socket, buf, wait)
        } else {
            self.inbox.recv_from(&self.socket, buf, wait).map(|(len, _)| len)
        };
        received.map_err(pending)
    }
}

impl Pair for Socket {
    type Peer = Self;
    type Options = SocketOptions;

    fn pair(options: &SocketOptions) -> Result<(Self, Self)> {
        options.pair()
    }
}

impl Mechanism for Socket {
    const NAME: &'static str = "udp";
    const CAPS: Caps = Caps::new(Shape::Message)
        .duplex()
        .named()
        .anonymous()
        .persistence(Persistence::Process)
        .boundaries()
        .pollable()
        .empty_messages()
        .max_message(MAX_IPV6);
}

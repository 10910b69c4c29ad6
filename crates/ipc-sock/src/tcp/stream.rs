//! Connections.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Mechanism, Pair, Persistence, ReadBytes, Rejected, Result, Shape, Wait, WriteBytes,
};
use ipc_fd::kind::checked;
use rustix::net::{RecvFlags, SocketType};

use super::SocketOptions;
use crate::inet;
use crate::kind::{self, Expected};
use crate::socket::Socket;

/// One end of a connection that carries bytes.
///
/// It reads and writes through `&self` as well, so that two threads may share it, one for each
/// direction. [`ipc_core::Framed`] around it makes messages.
///
/// # Errors
///
/// [`ReadBytes`] and [`WriteBytes`] say which. The end of the stream is no error but a count of zero. A
/// peer that closes its end without having read everything, or is killed then, makes one read fail with
/// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected) (`ECONNRESET`), after all that had
/// come from it was read: what was written to it last is lost. The same kind with `ETIMEDOUT` is a
/// connection that was given up: see [`SocketOptions::keep_alive`] and
/// [`SocketOptions::user_timeout`]. After either, a read returns zero. No write raises `SIGPIPE`.
///
/// A write after the peer has closed its end succeeds once: see the
/// [module's limitations](super#limitations).
///
/// # Examples
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use ipc_sock::tcp::SocketOptions;
///
/// let (mut client, server) = SocketOptions::new().pair()?;
/// writeln!(client, "two coffees")?;
///
/// let mut line = String::new();
/// BufReader::new(server).read_line(&mut line)?;
/// assert_eq!(line, "two coffees\n");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// `tcp`(7), `send`(2), `recv`(2).
#[derive(Debug)]
#[doc(alias("SOCK_STREAM", "TcpStream"))]
pub struct Stream(Socket);

impl Stream {
    pub(crate) const EXPECTED: Expected = Expected {
        domains: inet::DOMAINS,
        kind: SocketType::STREAM,
        listens: false,
        name: "a TCP socket",
    };

    pub(crate) const fn new(socket: Socket) -> Self {
        Self(socket)
    }

    pub(crate) const fn adopted(fd: OwnedFd) -> Self {
        Self(Socket::new(fd))
    }

    #[inline]
    fn socket(&self) -> &Socket {
        &self.0
    }

    fn into_socket(self) -> Socket {
        self.0
    }

    /// A second value for the same end. The peer sees the end of the stream when all are closed, or one
    /// is [shut down](Self::shutdown).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The address of the other end: `getpeername`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Disconnected`](ipc_core::ErrorKind::Disconnected) when there is no connection any
    /// more.
    #[doc(alias = "getpeername")]
    pub fn peer_address(&self) -> Result<SocketAddr> {
        inet::peer(&self.0)
    }
}

crate::methods::of_every_socket!(Stream);
crate::methods::of_internet_sockets!(Stream);
crate::methods::of_connections!(Stream);
crate::methods::of_byte_streams!(Stream);

impl Pair for Stream {
    type Peer = Self;
    type Options = SocketOptions;

    fn pair(options: &SocketOptions) -> Result<(Self, Self)> {
        options.pair()
    }
}

impl Mechanism for Stream {
    const NAME: &'static str = "tcp";
    const CAPS: Caps = Caps::new(Shape::ByteStream)
        .duplex()
        .named()
        .anonymous()
        .persistence(Persistence::Process)
        .pollable()
        .reports_peer_death();
}

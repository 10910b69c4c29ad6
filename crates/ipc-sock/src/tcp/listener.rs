//! Accepting connections.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Listen, Rejected, Result, Wait};
use ipc_fd::kind::{checked, os};
use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType};

use super::{SocketOptions, Stream};
use crate::inet;
use crate::kind::{self, Expected};
use crate::socket::Socket;

/// A socket that accepts connections.
///
/// Several threads and processes may accept from one listener; each connection goes to one of them. A
/// client may have gone before it was accepted: reading from its stream says so.
///
/// # Blocking
///
/// The listener is non-blocking, since `accept` has no flag for one call: [`Wait::Never`] is one
/// `accept4`, and the other waits are `ppoll` between two of them.
///
/// # Errors
///
/// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors run out: the
/// client keeps waiting. [`ErrorKind::WouldBlock`](ipc_core::ErrorKind::WouldBlock) and
/// [`ErrorKind::TimedOut`](ipc_core::ErrorKind::TimedOut) as [`Wait`] says.
///
/// # Examples
///
/// See [the module](super).
///
/// # References
///
/// `accept4`(2), `tcp`(7).
#[derive(Debug)]
#[doc(alias("accept", "TcpListener"))]
pub struct Listener {
    socket: Socket,
    options: SocketOptions,
}

impl Listener {
    pub(crate) const EXPECTED: Expected = Expected {
        domains: inet::DOMAINS,
        kind: SocketType::STREAM,
        listens: true,
        name: "a listening TCP socket",
    };

    /// Listens on a socket that has an address.
    pub(super) fn new(socket: Socket, options: &SocketOptions) -> Result<Self> {
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        rustix::net::listen(&socket, backlog).map_err(|errno| match errno {
            Errno::ADDRINUSE => os("listen")(errno).with_note("another socket listens here"),
            _ => os("listen")(errno),
        })?;
        rustix::io::ioctl_fionbio(&socket, true).map_err(os("ioctl FIONBIO"))?;
        Ok(Self { socket, options: options.clone() })
    }

    pub(crate) fn adopted(fd: OwnedFd) -> Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true).map_err(os("ioctl FIONBIO"))?;
        Ok(Self { socket: Socket::new(fd), options: SocketOptions::new() })
    }

    fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Uses these options for what is accepted from now on; ones that the kernel does not take make
    /// every accept fail. An adopted listener has the default ones.
    ///
    /// A greater [`recv_buffer`](SocketOptions::recv_buffer) than the listener was made with has less
    /// effect than one that it was made with: a window is agreed on before a connection is accepted.
    pub fn set_options(&mut self, options: SocketOptions) {
        self.options = options;
    }
}

crate::methods::of_internet_sockets!(Listener);

impl Listen for Listener {
    type Conn = Stream;

    fn accept_with(&self, wait: Wait) -> Result<Stream> {
        let accept = || match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC) {
            Err(errno) if has_gone(errno) => Err(Errno::INTR),
            accepted => accepted,
        };
        let socket = Socket::new(self.socket.when_readable("accept", wait, accept)?);
        self.options.apply(&socket)?;
        Ok(Stream::new(socket))
    }
}

/// Whether an error is the connection's and not the listener's: Linux reports what happened to a
/// connection before it was accepted, which has then been taken from the queue.
fn has_gone(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::NOPROTOOPT
            | Errno::OPNOTSUPP
    )
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> Self {
        listener.socket.into_fd()
    }
}

/// Checks that it is a listening TCP socket, and sets it to `O_NONBLOCK`, which everybody sees who has
/// a copy of it.
///
/// # Errors
///
/// [`ErrorKind::WrongType`](ipc_core::ErrorKind::WrongType); the descriptor comes back.
impl TryFrom<OwnedFd> for Listener {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        let (fd, ()) = checked(fd, |fd| {
            kind::check(fd, Self::EXPECTED)?;
            rustix::io::ioctl_fionbio(fd, true).map_err(os("ioctl FIONBIO"))
        })?;
        Ok(Self { socket: Socket::new(fd), options: SocketOptions::new() })
    }
}

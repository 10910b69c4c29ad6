//! Connections that carry bytes.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Pair, Persistence, ReadBytes, Rejected, Result, Shape, Wait,
    WriteBytes,
};
use ipc_fd::kind::checked;
use rustix::net::{AddressFamily, RecvFlags, SocketType};

use super::{Message, SocketOptions, ancillary};
use crate::kind::{self, Expected};
use crate::socket::Socket;

/// One end of a connection that carries bytes: `SOCK_STREAM`.
///
/// It reads and writes through `&self` as well, so that two threads may share it, one for each
/// direction. [`ipc_core::Framed`] around it makes messages.
///
/// # Errors
///
/// [`ReadBytes`] and [`WriteBytes`] say which. The end of the stream is no error but a count of zero. A
/// peer that closes its end without having read everything makes one read fail with
/// [`ErrorKind::Disconnected`] (`ECONNRESET`), after all that it sent was read: what was written to it
/// last is lost. No write raises `SIGPIPE`.
///
/// # Examples
///
/// ```
/// use std::io::{BufRead, BufReader, Write};
/// use ipc_core::{Listen, Wait};
/// use ipc_sock::unix::SocketOptions;
///
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("orders");
/// let listener = SocketOptions::new().listen(&path)?;
///
/// let mut client = SocketOptions::new().connect(&path, Wait::Forever)?;
/// writeln!(client, "two coffees")?;
///
/// let mut line = String::new();
/// BufReader::new(listener.accept()?).read_line(&mut line)?;
/// assert_eq!(line, "two coffees\n");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// `unix`(7), `send`(2), `recv`(2).
#[derive(Debug)]
#[doc(alias("SOCK_STREAM", "UnixStream"))]
pub struct Stream(Socket);

impl Stream {
    pub(crate) const EXPECTED: Expected = Expected {
        domains: &[AddressFamily::UNIX],
        kind: SocketType::STREAM,
        listens: false,
        name: "a Unix stream socket",
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
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends bytes with open descriptors beside them, and returns how many bytes went out: at least
    /// one, and with the first of them all the descriptors. `sendmsg(SCM_RIGHTS)`.
    ///
    /// The peer gets copies, as from `dup`. They arrive with the receive that takes the first of these
    /// bytes, which takes no byte that was sent after them.
    ///
    /// # Errors
    ///
    /// Those of [`WriteBytes`]; [`ErrorKind::InvalidInput`] for more than [`MAX_FDS`](super::MAX_FDS)
    /// descriptors, or descriptors without a byte; [`ErrorKind::ResourceLimit`] when too many of this
    /// user are under way.
    #[doc(alias("SCM_RIGHTS", "sendmsg", "send_fds"))]
    pub fn send_message(&self, msg: &[u8], fds: &[BorrowedFd<'_>], wait: Wait) -> Result<usize> {
        if msg.is_empty() && !fds.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "sendmsg")
                .with_note("descriptors go with a byte at least"));
        }
        ancillary::send(&self.0, msg, fds, None, wait)
    }

    /// Receives bytes, and the descriptors and credentials that came with them.
    /// `recvmsg(MSG_CMSG_CLOEXEC)`.
    ///
    /// [`read`](Read::read) closes descriptors that come with the bytes. `len` is 0 at the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// Those of [`ReadBytes`]; [`ErrorKind::ResourceLimit`] when this process may have no more
    /// descriptors: none is kept, and the bytes are lost, so that the connection is of no more use.
    #[doc(alias("SCM_RIGHTS", "SCM_CREDENTIALS", "recvmsg", "recv_fds"))]
    pub fn recv_message(&self, buf: &mut [u8], wait: Wait) -> Result<Message> {
        let got = ancillary::recv(&self.0, &mut [IoSliceMut::new(buf)], false, wait)?;
        Ok(got.into())
    }
}

crate::methods::of_every_socket!(Stream);
crate::methods::of_connections!(Stream);
crate::methods::of_byte_streams!(Stream);
super::methods::of_unix_connections!(Stream);

impl Pair for Stream {
    type Peer = Self;
    type Options = SocketOptions;

    fn pair(options: &SocketOptions) -> Result<(Self, Self)> {
        options.pair()
    }
}

impl Mechanism for Stream {
    const NAME: &'static str = "unix-stream";
    const CAPS: Caps = Caps::new(Shape::ByteStream)
        .duplex()
        .named()
        .anonymous()
        .persistence(Persistence::Process)
        .fd_passing()
        .pollable()
        .reports_peer_death();
}

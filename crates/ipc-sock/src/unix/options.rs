//! How to make Unix sockets.

use std::os::fd::OwnedFd;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::bound::{self, Bound};
use super::connect::connect;
use super::listener::Listener;
use super::{Address, Datagram, Seqpacket, Stream, ToAddress, Trust};
use crate::socket::Socket;

/// How to make a Unix socket, and whom to let near it.
///
/// # Errors
///
/// The methods that take a name report
///
/// - [`ErrorKind::InvalidName`] for one that cannot be the name of a socket: see [`Address`];
/// - [`ErrorKind::NotFound`] when the directory, or to connect the socket, is not there;
/// - [`ErrorKind::WrongType`] when the path is a file that is no socket, or a socket of another type;
/// - [`ErrorKind::ForeignOwner`] when the socket, or the process at the other end, belongs to a user
///   who is not [trusted](Self::trust);
/// - [`ErrorKind::PermissionDenied`] when a mode does not allow it;
/// - [`ErrorKind::ResourceLimit`] when descriptors or memory run out.
///
/// # Limits
///
/// A descriptor for each socket, and two more for one with a path: its directory and its inode
/// (`RLIMIT_NOFILE`).
///
/// # Examples
///
/// ```
/// use ipc_core::{Listen, Wait};
/// use ipc_sock::unix::SocketOptions;
///
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("orders");
/// let listener = SocketOptions::new().mode(0o660).backlog(16).listen(&path)?;
/// let _client = SocketOptions::new().connect(&path, Wait::Forever)?;
/// let _server = listener.accept()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `unix`(7), `socket`(2), `bind`(2), `listen`(2), `connect`(2), `socketpair`(2).
#[derive(Debug, Clone)]
#[must_use = "options do nothing until a socket is made"]
pub struct SocketOptions {
    pub(super) mode: u32,
    pub(super) owner: (Option<u32>, Option<u32>),
    pub(super) backlog: u32,
    pub(super) trust: Trust,
    pub(super) credentials: bool,
    pub(super) max_message: usize,
    send_buffer: Option<usize>,
    recv_buffer: Option<usize>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SocketOptions {
    /// Private to this user: mode 0600, and only this user's processes at the other end.
    pub const fn new() -> Self {
        Self {
            mode: 0o600,
            owner: (None, None),
            backlog: 4096,
            trust: Trust::SameUser,
            credentials: false,
            max_message: 1 << 18,
            send_buffer: None,
            recv_buffer: None,
        }
    }

    /// The permissions of a path, whatever the umask; who may connect needs write permission. The
    /// file never has more than these, not even for a moment.
    ///
    /// A mode that lets other users connect gives up that only this user's processes reach the
    /// socket; they must be [trusted](Self::trust) as well.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Gives the file of a path to another user or group, before anybody can connect.
    pub const fn owner(mut self, uid: Option<u32>, gid: Option<u32>) -> Self {
        self.owner = (uid, gid);
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

    /// Which users may be at the other end of a connection.
    pub const fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Asks the kernel for the sender's credentials with every message: `SO_PASSCRED`. They are in
    /// [`Message::credentials`](super::Message).
    #[doc(alias = "SO_PASSCRED")]
    pub const fn credentials(mut self, yes: bool) -> Self {
        self.credentials = yes;
        self
    }

    /// The longest message in bytes that a seqpacket or datagram socket receives, or keeps when the
    /// buffer was too short: 256 KiB unless told otherwise, which is more than the kernel's default lets
    /// anybody send. A longer one that does not fit into the buffer either is
    /// [`ErrorKind::MessageTooLarge`] and lost. This much memory is reserved, at the first receive with
    /// a shorter buffer, and used as far as messages are long.
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Asks for room for what was sent and not received: `SO_SNDBUF`. The kernel doubles the figure for
    /// its own needs. On a Unix socket it is the sender's buffer that counts.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/wmem_max`; the kernel takes no more, and says nothing.
    #[doc(alias = "SO_SNDBUF")]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Asks for room for what has come: `SO_RCVBUF`, which Unix sockets take and do not use.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/rmem_max`; the kernel takes no more, and says nothing.
    #[doc(alias = "SO_RCVBUF")]
    pub const fn recv_buffer(mut self, bytes: usize) -> Self {
        self.recv_buffer = Some(bytes);
        self
    }

    /// Makes two streams that are connected: `socketpair(SOCK_STREAM)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`].
    #[doc(alias = "socketpair")]
    pub fn pair(&self) -> Result<(Stream, Stream)> {
        let (one, two) = self.pair_of(SocketType::STREAM)?;
        Ok((Stream::new(one), Stream::new(two)))
    }

    /// Makes two seqpacket sockets that are connected: `socketpair(SOCK_SEQPACKET)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`].
    pub fn pair_seqpacket(&self) -> Result<(Seqpacket, Seqpacket)> {
        let (one, two) = self.pair_of(SocketType::SEQPACKET)?;
        Ok((Seqpacket::new(one, self.max_message), Seqpacket::new(two, self.max_message)))
    }

    /// Makes two datagram sockets that are connected: `socketpair(SOCK_DGRAM)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`].
    pub fn pair_datagram(&self) -> Result<(Datagram, Datagram)> {
        let (one, two) = self.pair_of(SocketType::DGRAM)?;
        Ok((Datagram::new(one, None, self), Datagram::new(two, None, self)))
    }

    /// Listens for streams: `socket`, `bind`, `listen`.
    ///
    /// A path that a process left behind when it died is taken over. One where somebody listens is
    /// not, whatever program it is: the kernel tells the two apart. The name is removed when the
    /// listener is dropped.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`]; [`ErrorKind::AlreadyExists`] when somebody listens there.
    #[doc(alias = "bind")]
    pub fn listen(&self, address: impl ToAddress) -> Result<Listener<Stream>> {
        Listener::new(&address.to_address()?, SocketType::STREAM, self)
    }

    /// Listens for seqpacket connections, as [`listen`](Self::listen) does for streams.
    ///
    /// # Errors
    ///
    /// See [`listen`](Self::listen).
    pub fn listen_seqpacket(&self, address: impl ToAddress) -> Result<Listener<Seqpacket>> {
        Listener::new(&address.to_address()?, SocketType::SEQPACKET, self)
    }

    /// Connects a stream: `connect`.
    ///
    /// It waits while the listener's backlog is full, not until the connection is accepted: what is
    /// written before that waits for it.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`]; [`ErrorKind::ConnectionRefused`] when nobody listens there;
    /// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says.
    pub fn connect(&self, address: impl ToAddress, wait: Wait) -> Result<Stream> {
        connect(SocketType::STREAM, &address.to_address()?, self, wait).map(Stream::new)
    }

    /// Connects a seqpacket socket, as [`connect`](Self::connect) does a stream.
    ///
    /// # Errors
    ///
    /// See [`connect`](Self::connect).
    pub fn connect_seqpacket(&self, address: impl ToAddress, wait: Wait) -> Result<Seqpacket> {
        let socket = connect(SocketType::SEQPACKET, &address.to_address()?, self, wait)?;
        Ok(Seqpacket::new(socket, self.max_message))
    }

    /// Makes a datagram socket with a name: `socket`, `bind`. Stale paths are taken over, as
    /// [`listen`](Self::listen) does. The name is removed when the socket is dropped.
    ///
    /// A datagram has no connection that could be checked once. Who may send to a path is a matter of
    /// its mode; an abstract name has none, so that it takes [`Trust::Anyone`], and
    /// [`credentials`](Self::credentials) tell who sent what.
    ///
    /// # Errors
    ///
    /// See [`SocketOptions`]; [`ErrorKind::AlreadyExists`] when a socket has this name;
    /// [`ErrorKind::InvalidInput`] for an abstract name without [`Trust::Anyone`].
    pub fn bind_datagram(&self, address: impl ToAddress) -> Result<Datagram> {
        let address = address.to_address()?;
        if address.as_path().is_none() && self.trust != Trust::Anyone {
            return Err(Error::new(ErrorKind::InvalidInput, "bind").with_note(
                "anybody can send to an abstract name: say Trust::Anyone, or take a path",
            ));
        }
        let (socket, bound) = self.bind(&address, SocketType::DGRAM)?;
        Ok(Datagram::new(socket, bound, self))
    }

    /// Makes a datagram socket without a name, which can send. Nobody can send to it.
    ///
    /// With [`credentials`](Self::credentials), the kernel gives it an abstract name when it connects or
    /// sends, and then anybody can; connect it, so that it receives from its peer alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`].
    pub fn datagram(&self) -> Result<Datagram> {
        Ok(Datagram::new(self.open(SocketType::DGRAM)?, None, self))
    }

    /// A new socket with these options.
    pub(crate) fn open(&self, kind: SocketType) -> Result<Socket> {
        let socket = Socket::open(AddressFamily::UNIX, kind)?;
        self.apply(&socket)?;
        Ok(socket)
    }

    /// Sets what each socket gets, also those that are accepted.
    pub(super) fn apply(&self, socket: &Socket) -> Result<()> {
        socket.set_buffers(self.send_buffer, self.recv_buffer)?;
        if self.credentials {
            rustix::net::sockopt::set_socket_passcred(socket, true)
                .map_err(os("setsockopt SO_PASSCRED"))?;
        }
        Ok(())
    }

    /// A new socket with a name.
    pub(crate) fn bind(
        &self,
        address: &Address,
        kind: SocketType,
    ) -> Result<(Socket, Option<Bound>)> {
        if self.mode > 0o777 {
            return Err(
                Error::new(ErrorKind::InvalidInput, "bind").with_note("a mode is at most 0777")
            );
        }
        let socket = self.open(kind)?;
        let bound = bound::bind(&socket, address, self)?;
        Ok((socket, bound))
    }

    fn pair_of(&self, kind: SocketType) -> Result<(Socket, Socket)> {
        let pair: (OwnedFd, OwnedFd) =
            socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
                .map_err(os("socketpair"))?;
        let (one, two) = (Socket::new(pair.0), Socket::new(pair.1));
        self.apply(&one)?;
        self.apply(&two)?;
        Ok((one, two))
    }
}

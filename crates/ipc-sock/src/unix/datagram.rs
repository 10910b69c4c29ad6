//! Messages to whoever has a name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Pair, Persistence, RecvMsg, Rejected, Result, SendMsg,
    Shape, Wait,
};
use ipc_fd::kind::{checked, os};
use ipc_fd::wait::ready;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::bound::Bound;
use super::connect::explain;
use super::seqpacket::{max_len, too_long};
use super::{
    Address, Message, SealedMemfd, Seals, SocketOptions, ToAddress, Trust, address, ancillary,
    sealed,
};
use crate::inbox::Inbox;
use crate::kind::{self, Expected};
use crate::socket::{SEND, Socket, dontwait_send};

/// A socket that sends messages to names, and receives what others send to its own: `SOCK_DGRAM`.
///
/// Unlike UDP, no message is lost, repeated or overtaken: a sender waits while the receiver has as many
/// as it may have. A message may be empty.
///
/// [`connect`](Self::connect) names the peer once; then [`SendMsg`] sends to it, and only its messages
/// are received. It sends through `&self` as well, and needs `&mut self` to receive, as
/// [`Seqpacket`](super::Seqpacket) does.
///
/// # Peer death
///
/// There is no connection, so that a receiver is not told when senders are gone. A sender is: sending
/// to a socket that was closed is [`ErrorKind::Disconnected`] on a connected one, as on one that was
/// never connected, and [`ErrorKind::ConnectionRefused`] from [`send_to`](Self::send_to).
///
/// Of two sockets that are connected to each other, one may connect to a third without having received
/// everything. Then one receive of the other fails with [`ErrorKind::Disconnected`] (`ECONNRESET`).
///
/// # Limits
///
/// Senders wait while a receiver holds more than `/proc/sys/net/unix/max_dgram_qlen` messages (10, so
/// that it holds 11), or while what they have sent and nobody has received fills their own buffer
/// ([`SocketOptions::send_buffer`]); for two sockets that are connected to each other, as a pair is, only
/// the latter counts. A message is shorter than the sender's buffer by 32 bytes, as for
/// [`Seqpacket`](super::Seqpacket).
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, Wait};
/// use ipc_sock::unix::SocketOptions;
///
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("log");
/// let mut log = SocketOptions::new().bind_datagram(&path)?;
///
/// let client = SocketOptions::new().datagram()?;
/// client.send_to(b"it rains", &path, Wait::Forever)?;
/// let mut buf = [0; 64];
/// assert_eq!(log.recv(&mut buf)?, 8);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `unix`(7), `sendto`(2), `recvfrom`(2).
#[derive(Debug)]
#[doc(alias("SOCK_DGRAM", "UnixDatagram"))]
pub struct Datagram {
    /// Before the socket, so that the name goes first.
    bound: Option<Bound>,
    socket: Socket,
    inbox: Inbox,
    /// Whose sockets it sends to.
    trust: Trust,
}

impl Datagram {
    pub(crate) const EXPECTED: Expected = Expected {
        domains: &[AddressFamily::UNIX],
        kind: SocketType::DGRAM,
        listens: false,
        name: "a Unix datagram socket",
    };

    pub(super) fn new(socket: Socket, bound: Option<Bound>, options: &SocketOptions) -> Self {
        Self { socket, inbox: Inbox::new(options.max_message), trust: options.trust, bound }
    }

    pub(crate) const fn adopted(fd: OwnedFd) -> Self {
        let inbox = Inbox::new(SocketOptions::new().max_message);
        Self { socket: Socket::new(fd), inbox, trust: Trust::SameUser, bound: None }
    }

    fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The name stays.
    fn into_socket(mut self) -> Socket {
        self.keep();
        self.socket
    }

    /// Sends to this name from now on, and receives from nobody else: `connect`.
    ///
    /// A path must belong to a user who is [trusted](SocketOptions::trust). An abstract name belongs to
    /// nobody: what is sent there, whoever has it gets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ForeignOwner`] when the path is not one of a trusted user's;
    /// [`ErrorKind::ConnectionRefused`] when nobody has the socket open,
    /// [`ErrorKind::PermissionDenied`] also when that socket is connected to another one;
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongType`] and [`ErrorKind::InvalidName`] for the name.
    pub fn connect(&self, address: impl ToAddress) -> Result<()> {
        let address = address.to_address()?;
        let sockaddr = address.to_sockaddr()?;
        self.check_owner(&address)?;
        rustix::net::connect(&self.socket, &sockaddr)
            .map_err(|errno| explain("connect", errno, &address))
    }

    /// Sends a message to a name: `sendto`.
    ///
    /// With a deadline, a receiver that is full is waited for by a second socket, which is connected to
    /// it: of a socket that is not, `poll` cannot tell.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect) and of [`SendMsg`].
    #[doc(alias = "sendto")]
    pub fn send_to(&self, msg: &[u8], address: impl ToAddress, wait: Wait) -> Result<()> {
        self.send_message_to(msg, &[], address, wait)
    }

    /// Sends a message with open descriptors beside it to a name: `sendmsg(SCM_RIGHTS)`.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](Self::send_to), and as for
    /// [`Seqpacket::send_message`](super::Seqpacket::send_message).
    #[doc(alias("SCM_RIGHTS", "sendmsg"))]
    pub fn send_message_to(
        &self,
        msg: &[u8],
        fds: &[BorrowedFd<'_>],
        address: impl ToAddress,
        wait: Wait,
    ) -> Result<()> {
        let address = address.to_address()?;
        let sockaddr = address.to_sockaddr()?;
        self.check_owner(&address)?;
        // For ever is one call that blocks; everything else begins with one that does not.
        let first = if wait == Wait::Forever { wait } else { Wait::Never };
        let send = || self.send_once(msg, fds, &sockaddr, first);
        let mut sent = send();
        while would_block(&sent) && wait != Wait::Never {
            let waited = self.wait_for_room(&sockaddr, &address, wait);
            // Also at the deadline: there may be room that `poll` does not tell of.
            sent = send();
            if would_block(&sent) {
                waited?;
            }
        }
        sent.map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(errno @ (Errno::CONNREFUSED | Errno::PROTOTYPE)) => {
                explain("sendto", errno, &address)
            }
            _ => too_long(error, &self.socket, msg.len()),
        })
    }

    /// Sends a message with open descriptors beside it to the connected peer: `sendmsg(SCM_RIGHTS)`.
    ///
    /// # Errors
    ///
    /// Those of [`SendMsg`], and as for
    /// [`Seqpacket::send_message`](super::Seqpacket::send_message).
    #[doc(alias("SCM_RIGHTS", "sendmsg", "send_fds"))]
    pub fn send_message(&self, msg: &[u8], fds: &[BorrowedFd<'_>], wait: Wait) -> Result<()> {
        let sent = ancillary::send(&self.socket, msg, fds, None, wait);
        sent.map(drop).map_err(|error| gone(error, &self.socket, msg.len()))
    }

    /// Receives a message, with its sender's name, and the descriptors and credentials that came with
    /// it: `recvmsg(MSG_CMSG_CLOEXEC)`.
    ///
    /// [`recv`](RecvMsg::recv) closes descriptors that come with the message.
    ///
    /// # Errors
    ///
    /// As for [`Seqpacket::recv_message`](super::Seqpacket::recv_message).
    #[doc(alias("SCM_RIGHTS", "SCM_CREDENTIALS", "recvmsg", "recvfrom", "recv_fds"))]
    pub fn recv_message(&mut self, buf: &mut [u8], wait: Wait) -> Result<Message> {
        self.inbox.recv_message(&self.socket, buf, wait).map(Message::from)
    }

    /// Receives a message that comes with sealed memory, as
    /// [`Seqpacket::recv_sealed`](super::Seqpacket::recv_sealed) does.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn recv_sealed(
        &mut self,
        buf: &mut [u8],
        seals: Seals,
        wait: Wait,
    ) -> Result<(usize, SealedMemfd)> {
        let message = self.recv_message(buf, wait)?;
        Ok((message.len, sealed::one_of(message.fds, seals)?))
    }

    /// Whether a message is kept that was too long for the buffer of the last receive: while it is so,
    /// receive before polling.
    #[must_use]
    pub fn keeps_message(&self) -> bool {
        self.inbox.keeps_message()
    }

    /// A second value for the same socket. A message that this one [keeps](Self::keeps_message) stays
    /// with this one, and so does the name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        let inbox = Inbox::new(self.inbox.max());
        Ok(Self { socket: self.socket.try_clone()?, inbox, trust: self.trust, bound: None })
    }

    /// The name that others send to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] for an errno that Linux does not document.
    #[doc(alias = "getsockname")]
    pub fn local_address(&self) -> Result<Address> {
        address::local(&self.socket)
    }

    /// Leaves the name when this value is dropped.
    pub fn keep(&mut self) {
        if let Some(bound) = &mut self.bound {
            bound.keep();
        }
    }

    /// Removes the name now, and closes the socket.
    ///
    /// # Errors
    ///
    /// As for [`Listener::unlink`](super::Listener::unlink).
    pub fn unlink(self) -> Result<()> {
        self.bound.map_or(Ok(()), Bound::unlink)
    }

    /// Checks whose a path is; what else is wrong with it, the call that uses it says.
    fn check_owner(&self, address: &Address) -> Result<()> {
        match address.as_path().map(rustix::fs::stat) {
            Some(Ok(stat)) if self.trust != Trust::Anyone => {
                self.trust.check_uid(stat.st_uid, "connect")
            }
            _ => Ok(()),
        }
    }

    /// One call, to a name.
    fn send_once(
        &self,
        msg: &[u8],
        fds: &[BorrowedFd<'_>],
        to: &SocketAddrUnix,
        wait: Wait,
    ) -> Result<()> {
        if !fds.is_empty() {
            return ancillary::send(&self.socket, msg, fds, Some(to), wait).map(drop);
        }
        let flags = SEND | dontwait_send(wait);
        loop {
            // Not by polling: of a socket that is not connected, that cannot tell.
            match rustix::net::sendto(&self.socket, msg, flags, to) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(os("sendto")(errno)),
            }
        }
    }

    /// Waits until this socket's buffer has room, or the receiver of that name, whichever has none.
    fn wait_for_room(&self, to: &SocketAddrUnix, address: &Address, wait: Wait) -> Result<()> {
        if self.socket.unsent()? >= self.socket.send_buffer()? {
            return ready("sendto", self.socket.as_fd(), PollFlags::OUT, wait);
        }
        let probe = Socket::open(AddressFamily::UNIX, SocketType::DGRAM)?;
        rustix::net::connect(&probe, to).map_err(|errno| explain("sendto", errno, address))?;
        ready("sendto", probe.as_fd(), PollFlags::OUT, wait)
    }
}

fn would_block<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// What it means that a connected socket could not send.
#[cold]
fn gone(error: Error, socket: &Socket, len: usize) -> Error {
    if error.kind() == ErrorKind::ConnectionRefused {
        return error.with_kind(ErrorKind::Disconnected);
    }
    if error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()) {
        // The kernel ends the connection when it tells that the peer is gone.
        return error.with_note("it is not connected, or not any more: connect it, or use send_to");
    }
    too_long(error, socket, len)
}

crate::methods::of_every_socket!(Datagram);

impl SendMsg for &Datagram {
    fn max_len(&self) -> usize {
        max_len(&self.socket)
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        match self.socket.send(msg, wait) {
            Ok(_) => Ok(()),
            Err(error) => Err(gone(error, &self.socket, msg.len())),
        }
    }
}

impl SendMsg for Datagram {
    fn max_len(&self) -> usize {
        max_len(&self.socket)
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        (&*self).send_with(msg, wait)
    }
}

impl RecvMsg for Datagram {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.inbox.recv(&self.socket, buf, wait)
    }
}

impl Pair for Datagram {
    type Peer = Self;
    type Options = SocketOptions;

    fn pair(options: &SocketOptions) -> Result<(Self, Self)> {
        options.pair_datagram()
    }
}

impl Mechanism for Datagram {
    const NAME: &'static str = "unix-dgram";
    const CAPS: Caps = Caps::new(Shape::Message)
        .duplex()
        .named()
        .anonymous()
        .persistence(Persistence::Process)
        .boundaries()
        .fd_passing()
        .pollable()
        .empty_messages();
}

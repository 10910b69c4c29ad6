//! Connections that carry messages.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Pair, Persistence, RecvMsg, Rejected, Result, SendMsg,
    Shape, Wait,
};
use ipc_fd::kind::{checked, os};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};

use super::{Message, SealedMemfd, Seals, SocketOptions, ancillary, sealed};
use crate::inbox::Inbox;
use crate::kind::{self, Expected};
use crate::socket::Socket;

/// One end of a connection that carries messages, each whole and in order: `SOCK_SEQPACKET`.
///
/// It sends through `&self` as well; to receive it needs `&mut self`, since a message that was too
/// long for a buffer is kept for the next receive. [`try_clone`](Self::try_clone) makes a second value
/// for another thread.
///
/// # Empty messages
///
/// A message without bytes looks like the end of the connection to who receives it. So sending one is
/// [`ErrorKind::Unsupported`]. One of another program is received with a length of zero, unless it is
/// among the last before the end of the connection, from which nothing can tell it: no byte comes
/// after it.
///
/// # Errors
///
/// [`SendMsg`] and [`RecvMsg`] say which. When a peer has closed its end without having received
/// everything, the [`ErrorKind::Disconnected`] at the end, after all that it sent was received, has the
/// errno `ECONNRESET`.
///
/// # Limits
///
/// A message is shorter than the sender's buffer by 32 bytes
/// ([`SocketOptions::send_buffer`], `/proc/sys/net/core/wmem_default`: 212,992), and no longer than
/// the receiver's [`SocketOptions::max_message`].
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, RecvMsg, SendMsg};
///
/// let (mut tx, mut rx) = ipc_sock::unix::SocketOptions::new().pair_seqpacket()?;
/// tx.send(b"four score and seven")?;
/// tx.send(b"years ago")?;
///
/// let error = rx.recv(&mut [0; 4]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 20, max: 4 });
/// let mut buf = [0; 64];
/// assert_eq!(rx.recv(&mut buf)?, 20);
/// assert_eq!(rx.recv(&mut buf)?, 9);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `unix`(7), `send`(2), `recv`(2).
#[derive(Debug)]
#[doc(alias = "SOCK_SEQPACKET")]
pub struct Seqpacket {
    socket: Socket,
    inbox: Inbox,
    /// The peer has closed its end without having received everything.
    reset: bool,
}

impl Seqpacket {
    pub(crate) const EXPECTED: Expected = Expected {
        domains: &[AddressFamily::UNIX],
        kind: SocketType::SEQPACKET,
        listens: false,
        name: "a Unix seqpacket socket",
    };

    pub(crate) const fn new(socket: Socket, max_message: usize) -> Self {
        Self { socket, inbox: Inbox::new(max_message), reset: false }
    }

    pub(crate) const fn adopted(fd: OwnedFd) -> Self {
        Self::new(Socket::new(fd), SocketOptions::new().max_message)
    }

    fn socket(&self) -> &Socket {
        &self.socket
    }

    fn into_socket(self) -> Socket {
        self.socket
    }

    /// A second value for the same end. A message that this one [keeps](Self::keeps_message) stays
    /// with this one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self::new(self.socket.try_clone()?, self.inbox.max()))
    }

    /// Whether a message is kept that was too long for the buffer of the last receive: while it is so,
    /// receive before polling.
    #[must_use]
    pub fn keeps_message(&self) -> bool {
        self.inbox.keeps_message()
    }

    /// Sends a message with open descriptors beside it, of which the peer gets copies, as from `dup`:
    /// `sendmsg(SCM_RIGHTS)`.
    ///
    /// # Errors
    ///
    /// Those of [`SendMsg`]; [`ErrorKind::InvalidInput`] for more than [`MAX_FDS`](super::MAX_FDS)
    /// descriptors; [`ErrorKind::ResourceLimit`] when too many of this user are under way.
    #[doc(alias("SCM_RIGHTS", "sendmsg", "send_fds"))]
    pub fn send_message(&self, msg: &[u8], fds: &[BorrowedFd<'_>], wait: Wait) -> Result<()> {
        refuse_empty(msg)?;
        let sent = ancillary::send(&self.socket, msg, fds, None, wait);
        sent.map(drop).map_err(|error| too_long(error, &self.socket, msg.len()))
    }

    /// Receives a message, and the descriptors and credentials that came with it.
    /// `recvmsg(MSG_CMSG_CLOEXEC)`.
    ///
    /// [`recv`](RecvMsg::recv) closes descriptors that come with the message.
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`]; [`ErrorKind::ResourceLimit`] when this process may have no more
    /// descriptors: none is kept, and the message is lost.
    #[doc(alias("SCM_RIGHTS", "SCM_CREDENTIALS", "recvmsg", "recv_fds"))]
    pub fn recv_message(&mut self, buf: &mut [u8], wait: Wait) -> Result<Message> {
        loop {
            match self.inbox.recv_message(&self.socket, buf, wait) {
                Err(error) if is_reset(&error) => self.reset = true,
                Ok(got) if got.len == 0 && has_ended(&self.socket)? => {
                    return Err(self.ended("recvmsg"));
                }
                received => return received.map(Message::from),
            }
        }
    }

    /// Receives a message that comes with one descriptor, of memory that nobody can change in the ways
    /// that `seals` names any more. See [`SealedMemfd`].
    ///
    /// # Errors
    ///
    /// Those of [`recv_message`](Self::recv_message), and those of [`SealedMemfd::check`], with
    /// [`ErrorKind::WrongType`] also for a message with no descriptor or with several: it is lost.
    pub fn recv_sealed(
        &mut self,
        buf: &mut [u8],
        seals: Seals,
        wait: Wait,
    ) -> Result<(usize, SealedMemfd)> {
        let message = self.recv_message(buf, wait)?;
        Ok((message.len, sealed::one_of(message.fds, seals)?))
    }

    /// The error for the end of the connection.
    #[cold]
    fn ended(&self, op: &'static str) -> Error {
        if self.reset {
            return os(op)(Errno::CONNRESET)
                .with_note("it had not received all that was sent to it");
        }
        Error::new(ErrorKind::Disconnected, op)
    }
}

crate::methods::of_every_socket!(Seqpacket);
crate::methods::of_connections!(Seqpacket);
super::methods::of_unix_connections!(Seqpacket);

/// The error for a message without bytes.
fn refuse_empty(msg: &[u8]) -> Result<()> {
    if msg.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, "send")
            .with_note("an empty message looks like the end of the connection"));
    }
    Ok(())
}

/// Whether the peer has closed its end without having received everything. The kernel tells it once,
/// and before it hands out what that peer had sent.
fn is_reset(error: &Error) -> bool {
    error.raw_os_error() == Some(Errno::CONNRESET.raw_os_error())
}

/// Whether a receive of no bytes was the end of the connection: the peer has gone, and no byte comes
/// any more.
#[cold]
fn has_ended(socket: &Socket) -> Result<bool> {
    let mut poll = [PollFd::new(socket, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut poll, Some(&now)).map_err(os("poll"))?;
    let gone = poll[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP);
    Ok(gone && socket.available()? == 0)
}

/// The longest message that the sender's buffer takes.
pub(crate) fn max_len(socket: &Socket) -> usize {
    /// What the kernel keeps for itself.
    const OVERHEAD: usize = 32;
    socket.send_buffer().unwrap_or(0).saturating_sub(OVERHEAD)
}

/// Says how long a message that the kernel found too long was, and how long it may be.
#[cold]
pub(crate) fn too_long(error: Error, socket: &Socket, len: usize) -> Error {
    if error.raw_os_error() != Some(Errno::MSGSIZE.raw_os_error()) {
        return error;
    }
    error.with_kind(ErrorKind::MessageTooLarge { len, max: max_len(socket) })
}

impl SendMsg for &Seqpacket {
    fn max_len(&self) -> usize {
        max_len(&self.socket)
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        refuse_empty(msg)?;
        match self.socket.send(msg, wait) {
            Ok(_) => Ok(()),
            Err(error) => Err(too_long(error, &self.socket, msg.len())),
        }
    }
}

impl SendMsg for Seqpacket {
    fn max_len(&self) -> usize {
        max_len(&self.socket)
    }

    #[inline]
    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        (&*self).send_with(msg, wait)
    }
}

impl RecvMsg for Seqpacket {
    #[inline]
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        loop {
            match self.inbox.recv(&self.socket, buf, wait) {
                Err(error) if is_reset(&error) => self.reset = true,
                Ok(0) if has_ended(&self.socket)? => return Err(self.ended("recv")),
                received => return received,
            }
        }
    }
}

impl Pair for Seqpacket {
    type Peer = Self;
    type Options = SocketOptions;

    fn pair(options: &SocketOptions) -> Result<(Self, Self)> {
        options.pair_seqpacket()
    }
}

impl Mechanism for Seqpacket {
    const NAME: &'static str = "unix-seqpacket";
    const CAPS: Caps = Caps::new(Shape::Message)
        .duplex()
        .named()
        .anonymous()
        .persistence(Persistence::Process)
        .boundaries()
        .fd_passing()
        .pollable()
        .reports_peer_death();
}

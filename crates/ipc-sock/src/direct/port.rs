//! The mailbox of a process.

use std::fmt;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc_core::{Caps, Error, ErrorKind, Mechanism, RecvMsg, Result, Wait};
use rustix::event::PollFlags;

use super::contacts::Contacts;
use super::directory::Directory;
use super::kept::{Kept, too_large};
use super::process::Process;
use super::{CAPS, Message, OnlyFrom, Peer, PortOptions};
use crate::socket::Socket;
use crate::sys::control::Received;
use crate::unix::{Bound, SocketOptions, ancillary};

const SEND: &str = "send_to";
pub(super) const RECV: &str = "recv_from";

/// The mailbox of this process, which others of the same user send to by its pid:
/// [`PortOptions::open`].
///
/// It sends through `&self`, and needs `&mut self` to receive. [`RecvMsg`] receives from anybody,
/// [`recv_from`](Self::recv_from) also says from whom, or receives from one process only.
///
/// It belongs to the process that opened it. A forked copy can neither send nor receive nor remove the
/// name, and opens a port of its own; an exec closes it.
///
/// # Ordering
///
/// Messages of one process come in the order in which it sent them. Those of several that are received
/// from anybody come in the order in which they arrived.
///
/// # Limits
///
/// Up to `/proc/sys/net/unix/max_dgram_qlen` messages (10) and one more wait to be received, then senders
/// wait. A message is shorter than the sender's buffer by 32 bytes.
///
/// # Examples
///
/// Two ends in two processes are in `examples/direct_ports.rs`; here a process writes to itself.
///
/// ```
/// use ipc_core::{ErrorKind, Wait};
/// use ipc_sock::direct::PortOptions;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let mut port = PortOptions::new().directory(dir.path().join("ports")).open()?;
/// let me = std::process::id();
/// port.send_to(me, b"ping", Wait::Forever)?;
///
/// let mut buf = [0; 64];
/// let message = port.recv_from(Some(me), &mut buf, Wait::Forever)?;
/// assert_eq!((&buf[..message.len], message.pid), (&b"ping"[..], me));
///
/// let error = port.send_to(1 << 30, b"anybody?", Wait::Never).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub struct Port {
    socket: Socket,
    /// Removes the name, in the process that made it.
    _bound: Option<Bound>,
    directory: Directory,
    path: PathBuf,
    pid: u32,
    uid: u32,
    accept_root: bool,
    peers: SocketOptions,
    contacts: Mutex<Contacts>,
    kept: Kept,
    /// For what does not fit into the buffer of a receive; allocated when it is needed.
    spill: Vec<u8>,
    max_message: usize,
    dropped: u64,
}

impl Port {
    pub(super) fn new(
        options: &PortOptions,
        directory: Directory,
        path: PathBuf,
        (socket, bound): (Socket, Option<Bound>),
    ) -> Self {
        Self {
            socket,
            _bound: bound,
            directory,
            path,
            pid: std::process::id(),
            uid: rustix::process::geteuid().as_raw(),
            accept_root: options.accept_root,
            peers: options.sockets(),
            contacts: Mutex::new(Contacts::new(options.contacts)),
            kept: Kept::new(options.kept_messages, options.kept_bytes),
            spill: Vec::new(),
            max_message: options.max_message,
            dropped: 0,
        }
    }

    /// The pid by which others reach it.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its socket is, for programs that do not use this crate: see the
    /// [module's documentation](super).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a message to the process that has this pid.
    ///
    /// The first message to a pid makes contact: it looks up which process that is, and holds on to it.
    /// From then on the pid stands for that process, as long as the port
    /// [remembers it](PortOptions::contacts), until a call says [`ErrorKind::Disconnected`]: then the
    /// process is forgotten, and the next call makes contact with whoever has the pid. A [`Peer`] never
    /// forgets.
    ///
    /// A process may send to itself, and then must not wait for room that only it can make.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] when no process has this pid, and when it has no port: the note says
    ///   which;
    /// - [`ErrorKind::WrongType`] when another program has put a socket of another type in its place;
    /// - [`ErrorKind::ForeignOwner`] when it belongs to another user;
    /// - [`ErrorKind::Disconnected`] when the process with which contact was made has ended, or has
    ///   closed its port: nothing was sent, to nobody;
    /// - [`ErrorKind::InvalidInput`] for what cannot be a pid, as 0;
    /// - [`ErrorKind::MessageTooLarge`], [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as for
    ///   [`SendMsg`](ipc_core::SendMsg);
    /// - [`ErrorKind::PermissionDenied`] in a forked copy, and for a process that `/proc` hides;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn send_to(&self, pid: u32, msg: &[u8], wait: Wait) -> Result<()> {
        self.check_owner(SEND)?;
        let peer = self.contact(pid)?;
        let sent = peer.send_message(msg, wait);
        self.forget_if_gone(&sent, peer.process());
        sent
    }

    /// Makes contact with the process that has this pid now, to send to it alone: with a socket of its
    /// own.
    ///
    /// # Errors
    ///
    /// Those of [`send_to`](Self::send_to).
    pub fn peer(&self, pid: u32) -> Result<Peer> {
        self.check_owner(SEND)?;
        self.connect(Arc::new(self.find(pid, SEND)?))
    }

    /// Receives one message: with a pid from that process only (symmetric), without from anybody
    /// (asymmetric). `recvmsg`
    ///
    /// The kernel says who sent a message (`SCM_CREDENTIALS`), not the sender. Messages of other users
    /// are [dropped](Self::dropped).
    ///
    /// A receive from one process keeps what others have sent, for later receives. As long as
    /// [that many](PortOptions::kept_messages) are kept, no more are taken: other senders then wait, and
    /// such a receive fails with [`ErrorKind::ResourceLimit`] until a receive from anybody has made room.
    ///
    /// # Errors
    ///
    /// Those of [`RecvMsg`]; and with a pid
    ///
    /// - [`ErrorKind::Disconnected`] when the process has ended, and all that it had sent was received;
    /// - [`ErrorKind::NotFound`], [`ErrorKind::ForeignOwner`] and [`ErrorKind::InvalidInput`] as for
    ///   [`send_to`](Self::send_to): it need not have a port;
    /// - [`ErrorKind::ResourceLimit`] when too many messages of others are kept, or descriptors run out.
    ///
    /// A message that another program has sent with descriptors loses them: they are closed. If this
    /// process cannot have so many, the message is lost too, with [`ErrorKind::ResourceLimit`].
    #[doc(alias("SCM_CREDENTIALS", "recvmsg"))]
    pub fn recv_from(&mut self, from: Option<u32>, buf: &mut [u8], wait: Wait) -> Result<Message> {
        self.check_owner(RECV)?;
        let Some(pid) = from else { return self.recv_any(buf, wait) };
        // Contact first: so that the end of a process whose messages came is `Disconnected`, and not that of
        // one which never was.
        let known = self.known(pid, RECV);
        if let Some(message) = self.take(pid, buf)? {
            return Ok(message);
        }
        let process = match known {
            Ok((process, _)) => process,
            // It may have sent something and ended at this moment.
            Err(error) => return self.take(pid, buf)?.ok_or(error),
        };
        let got = self.recv_process(&process, buf, wait);
        self.forget_if_gone(&got, &process);
        got
    }

    /// Receives from one process only, as [`RecvMsg`]: from the one that has this pid now.
    ///
    /// # Errors
    ///
    /// As for [`recv_from`](Self::recv_from).
    pub fn only_from(&mut self, pid: u32) -> Result<OnlyFrom<'_>> {
        self.check_owner(RECV)?;
        let process = Arc::new(self.find(pid, RECV)?);
        Ok(OnlyFrom::new(self, process))
    }

    /// How many messages are kept: those that receives from one process have found in their way, and one
    /// that was too long for a buffer. While there are any, receive before polling.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// How many messages were thrown away because their sender is of another user, or in a pid namespace
    /// that this process cannot see.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Receives the oldest message.
    fn recv_any(&mut self, buf: &mut [u8], wait: Wait) -> Result<Message> {
        match self.kept.take(None, buf) {
            Some(kept) => kept,
            None => self.recv_next(None, buf, wait),
        }
    }

    /// Receives from a process until it has ended and nothing of it is left.
    pub(super) fn recv_process(
        &mut self,
        process: &Process,
        buf: &mut [u8],
        wait: Wait,
    ) -> Result<Message> {
        loop {
            // Looked at first: all that it sent before it ended is there now.
            let ended = process.has_ended()?;
            if let Some(message) = self.take(process.pid, buf)? {
                return Ok(message);
            }
            if ended {
                return Err(
                    Error::new(ErrorKind::Disconnected, RECV).with_note("the process has ended")
                );
            }
            process.ready_or_ended(RECV, self.socket.as_fd(), PollFlags::IN, wait)?;
        }
    }

    /// Takes a message of this sender, if there is one, and keeps those of others.
    fn take(&mut self, pid: u32, buf: &mut [u8]) -> Result<Option<Message>> {
        if let Some(kept) = self.kept.take(Some(pid), buf) {
            return kept.map(Some);
        }
        match self.recv_next(Some(pid), buf, Wait::Never) {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Receives from the kernel until the message of a sender comes that is wanted.
    fn recv_next(&mut self, from: Option<u32>, buf: &mut [u8], wait: Wait) -> Result<Message> {
        let room = self.max_message.saturating_sub(buf.len());
        if self.spill.len() < room {
            self.spill.resize(self.max_message, 0);
        }
        loop {
            if from.is_some() && self.kept.is_full() {
                let kind = ErrorKind::ResourceLimit {
                    limit: "messages of other senders are kept",
                    knob: "PortOptions::kept_messages and kept_bytes, or receive them",
                };
                return Err(Error::new(kind, RECV));
            }
            let mut bufs = [IoSliceMut::new(buf), IoSliceMut::new(&mut self.spill[..room])];
            let got = ancillary::recv(&self.socket, &mut bufs, true, wait)?;
            let Some(pid) = self.sender_of(&got) else {
                self.dropped += 1;
                // Strangers must not hold a receive beyond its deadline. `Never` is one message looked at.
                if wait != Wait::Never && wait.remaining().is_some_and(|left| left.is_zero()) {
                    return Err(Error::new(wait.exhausted(), RECV));
                }
                continue;
            };
            let (len, direct) = (got.len, buf.len());
            let wanted = from.is_none_or(|from| from == pid);
            if wanted && len <= direct {
                return Ok(Message { len, pid });
            }
            let rest = len.saturating_sub(direct);
            if rest > room {
                return Err(too_large(len, self.max_message.max(direct))
                    .with_note("it is longer than this port's max_message, and gone"));
            }
            let message = [&buf[..len.min(direct)], &self.spill[..rest]].concat();
            self.kept.push(pid, message);
            if wanted {
                return Err(too_large(len, direct));
            }
        }
    }

    /// The sender of a message, if it is to be trusted.
    fn sender_of(&self, got: &Received) -> Option<u32> {
        let cred = got.credentials?;
        let trusted = cred.uid == self.uid || (self.accept_root && cred.uid == 0);
        // 0 is somebody in a pid namespace that cannot be seen from here.
        u32::try_from(cred.pid).ok().filter(|pid| trusted && *pid != 0)
    }

    /// The peer of that pid: the one that is known, or whoever it is now.
    fn contact(&self, pid: u32) -> Result<Peer> {
        let (process, peer) = self.known(pid, SEND)?;
        if let Some(peer) = peer {
            return Ok(peer);
        }
        let peer = self.connect(Arc::clone(&process));
        self.forget_if_gone(&peer, &process);
        let peer = peer?;
        self.contacts().note(process, Some(peer.clone()));
        Ok(peer)
    }

    fn connect(&self, process: Arc<Process>) -> Result<Peer> {
        self.check_user(process.uid, SEND)?;
        Peer::connect(process, &self.directory, &self.peers)
    }

    /// The process that this pid stands for: the one that is known, or whoever it is now.
    fn known(&self, pid: u32, op: &'static str) -> Result<(Arc<Process>, Option<Peer>)> {
        if let Some(known) = self.contacts().find(pid) {
            return Ok(known);
        }
        let process = Arc::new(self.find(pid, op)?);
        self.contacts().note(Arc::clone(&process), None);
        Ok((process, None))
    }

    /// Finds a process whose messages would be received.
    fn find(&self, pid: u32, op: &'static str) -> Result<Process> {
        let process = Process::find(pid, op)?;
        if !(self.accept_root && process.uid == 0) {
            self.check_user(process.uid, op)?;
        }
        Ok(process)
    }

    fn check_user(&self, uid: u32, op: &'static str) -> Result<()> {
        if uid == self.uid {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ForeignOwner { uid }, op)
            .with_note("ports are for processes of one user"))
    }

    /// Refuses to act in a forked copy.
    pub(super) fn check_owner(&self, op: &'static str) -> Result<()> {
        if std::process::id() == self.pid {
            return Ok(());
        }
        Err(Error::new(ErrorKind::PermissionDenied, op)
            .with_note("the port belongs to the process that this one was forked from"))
    }

    fn forget_if_gone<T>(&self, result: &Result<T>, process: &Arc<Process>) {
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Disconnected) {
            self.contacts().forget(process);
        }
    }

    fn contacts(&self) -> MutexGuard<'_, Contacts> {
        // No panic can leave it half changed.
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without what was received.
impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("path", &self.path)
            .field("kept", &self.kept.len())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

/// Readable when messages have come, besides those that are [`kept`](Port::kept).
impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// From anybody.
impl RecvMsg for Port {
    fn recv_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.recv_from(None, buf, wait).map(|message| message.len)
    }
}

impl Mechanism for Port {
    const NAME: &'static str = "direct";
    const CAPS: Caps = CAPS.duplex();
}

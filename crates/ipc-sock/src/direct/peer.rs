//! A process that has a port, to send to.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Result, SendMsg, Wait};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::SocketType;

use super::directory::{Directory, name};
use super::process::Process;
use super::{CAPS, Port};
use crate::socket::Socket;
use crate::unix::{SocketOptions, max_len, too_long};

/// The operation in this file's errors.
const OP: &str = "send_to";

/// The port of one process, to send to: [`Port::peer`].
///
/// It stands for that process alone. When the process has ended it says [`ErrorKind::Disconnected`] for
/// ever, also when another process has its pid and a port; and so it does when the process has closed its
/// port and opened another one.
///
/// It sends through `&self` as well: [`SendMsg`] is implemented for `&Peer`. Clones share one socket, and
/// its room with it.
///
/// # Errors
///
/// [`SendMsg`] says which. What was sent before the receiver died may never have been received.
///
/// # Examples
///
/// ```
/// use ipc_core::{SendMsg, Wait};
/// use ipc_sock::direct::PortOptions;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let mut port = PortOptions::new().directory(dir.path().join("ports")).open()?;
/// // A process can send to itself.
/// let mut peer = port.peer(std::process::id())?;
/// peer.send(b"remember the milk")?;
///
/// let mut buf = [0; 64];
/// let message = port.recv_from(None, &mut buf, Wait::Forever)?;
/// assert_eq!((message.len, message.pid), (17, peer.pid()));
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Peer(Arc<Link>);

/// A socket that is connected to a port: to that very socket, whatever has its name by now.
#[derive(Debug)]
struct Link {
    process: Arc<Process>,
    socket: Socket,
}

impl Peer {
    /// Connects a new socket to the port of a process.
    pub(super) fn connect(
        process: Arc<Process>,
        directory: &Directory,
        options: &SocketOptions,
    ) -> Result<Self> {
        let socket = options.open(SocketType::DGRAM)?;
        let address = directory.address(&name(process.pid, process.start))?;
        let connected = rustix::net::connect(&socket, &address);
        // Nobody else can have had this pid as long as the process is alive: the name was its own.
        if process.has_ended()? {
            return Err(Error::new(ErrorKind::Disconnected, OP).with_note("the process has ended"));
        }
        match connected {
            Ok(()) => Ok(Self(Arc::new(Link { process, socket }))),
            Err(errno @ (Errno::NOENT | Errno::CONNREFUSED)) => {
                let error = Error::from_os(OP, errno.raw_os_error());
                Err(error
                    .with_kind(ErrorKind::NotFound)
                    .with_note("the process is alive and has no port, or in another directory"))
            }
            Err(errno @ Errno::PROTOTYPE) => {
                let kind = ErrorKind::WrongType {
                    expected: "a Unix datagram socket",
                    found: "a socket of another type",
                };
                Err(Error::from_os(OP, errno.raw_os_error()).with_kind(kind))
            }
            Err(errno) => Err(Error::from_os("connect", errno.raw_os_error())),
        }
    }

    /// The pid of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.process.pid
    }

    /// A descriptor of the process, which stands for that process also when another one gets its pid:
    /// `pidfd_open`. It becomes readable when the process ends.
    ///
    /// # References
    ///
    /// `pidfd_open`(2).
    #[doc(alias = "pidfd_open")]
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.0.process.pidfd()
    }

    /// Whether the process has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] for an errno that Linux does not document.
    pub fn has_ended(&self) -> Result<bool> {
        self.0.process.has_ended()
    }

    pub(super) fn process(&self) -> &Arc<Process> {
        &self.0.process
    }

    pub(super) fn send_message(&self, msg: &[u8], wait: Wait) -> Result<()> {
        let Link { process, socket } = &*self.0;
        loop {
            // A forked copy of a receiver that has died may still have its socket open.
            if process.has_ended()? {
                return Err(
                    Error::new(ErrorKind::Disconnected, OP).with_note("the process has ended")
                );
            }
            match socket.send(msg, Wait::Never) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::WouldBlock && wait != Wait::Never => {
                    let waited = process.ready_or_ended(OP, socket.as_fd(), PollFlags::OUT, wait);
                    // Also at the deadline: there may be room that `poll` does not tell of.
                    if waited.is_err() && socket.send(msg, Wait::Never).is_ok() {
                        return Ok(());
                    }
                    waited?;
                }
                Err(error) => return Err(explain(error, socket, msg.len())),
            }
        }
    }
}

/// What it means that a message could not be sent.
#[cold]
fn explain(error: Error, socket: &Socket, len: usize) -> Error {
    match error.kind() {
        // The first time it is ECONNREFUSED, from then on ENOTCONN.
        ErrorKind::ConnectionRefused | ErrorKind::Disconnected => error
            .with_kind(ErrorKind::Disconnected)
            .with_note("the process has closed its port, or is about to end"),
        _ => too_long(error, socket, len),
    }
}

/// Of the socket, which is writable while the receiver has room.
impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl SendMsg for &Peer {
    fn max_len(&self) -> usize {
        max_len(&self.0.socket)
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_message(msg, wait)
    }
}

impl SendMsg for Peer {
    fn max_len(&self) -> usize {
        max_len(&self.0.socket)
    }

    fn send_with(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        self.send_message(msg, wait)
    }
}

impl Mechanism for Peer {
    const NAME: &'static str = Port::NAME;
    const CAPS: Caps = CAPS;
}

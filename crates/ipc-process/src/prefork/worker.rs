//! What a worker knows of its pool.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::any_ready;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::kind::is_any_ready;

/// A worker's view of its pool, in the worker's process.
///
/// # Signals
///
/// `SIGTERM` and `SIGINT` are blocked in a worker, and mean that it is to [drain](Self::is_draining).
/// A program that it starts would inherit that; unblock them there.
///
/// # Examples
///
/// See [`Prefork`](crate::Prefork).
#[derive(Debug)]
pub struct Worker<'a> {
    pub(super) slot: usize,
    pub(super) starts: u64,
    /// Its end is closed when the pool drains, or its process dies.
    pub(super) stop: BorrowedFd<'a>,
    pub(super) signals: BorrowedFd<'a>,
}

/// What a worker is to do next.
///
/// # Examples
///
/// See [`Worker::until_ready`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The descriptor is readable.
    Ready,
    /// No more work: finish what was begun and return.
    Drain,
}

impl Worker<'_> {
    /// Which of the pool's places this worker has, from 0.
    ///
    /// # Examples
    ///
    /// See [`Prefork`](crate::Prefork).
    #[must_use]
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// How many workers have been started in this place, this one included.
    ///
    /// # Examples
    ///
    /// See [`Prefork`](crate::Prefork).
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.starts
    }

    /// Whether the worker is to take no more work, finish what it has begun, and return: because the
    /// pool drains, the pool's process has died, or this process got `SIGTERM` or `SIGINT`.
    ///
    /// # Errors
    ///
    /// None that is expected.
    ///
    /// # Examples
    ///
    /// See [`Worker::until_ready`].
    pub fn is_draining(&self) -> Result<bool> {
        is_any_ready(&mut self.fds())
    }

    /// Waits until `fd` is readable or the worker is to drain, which comes first if both are so.
    ///
    /// All workers that wait for the same descriptor wake when it becomes readable, and one of them
    /// gets what is there: the others must not block in the call that follows.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::os::unix::net::UnixDatagram;
    /// use ipc_core::{Result, Wait};
    /// use ipc_process::{Turn, Worker};
    ///
    /// /// `socket` is non-blocking, as others may be quicker.
    /// fn log(socket: &UnixDatagram, worker: &Worker<'_>) -> Result<()> {
    ///     let mut line = [0; 1024];
    ///     while worker.until_ready(socket, Wait::Forever)? == Turn::Ready {
    ///         if let Ok(len) = socket.recv(&mut line) {
    ///             println!("{}: {:?}", worker.slot(), &line[..len]);
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn until_ready(&self, fd: impl AsFd, wait: Wait) -> Result<Turn> {
        let [stop, signals] = self.fds();
        let mut fds = [stop, signals, PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
        any_ready("poll", &mut fds, wait)?;
        let draining = fds[..2].iter().any(|fd| !fd.revents().is_empty());
        Ok(if draining { Turn::Drain } else { Turn::Ready })
    }

    /// Takes the next connection, or `None` when the worker is to drain: `ppoll`, then
    /// `accept4(SOCK_CLOEXEC)`.
    ///
    /// What it has accepted is this worker's alone, and no other worker's death touches it. Connections
    /// that nobody has accepted stay in the listener's queue, for the other workers or whoever else
    /// has the listener open, and are reset when nobody has.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] when the listener is not non-blocking. It has to be, since all
    ///   workers wake for a connection and one gets it; the others would be stuck, deaf to the pool.
    ///   Who makes the listener says `set_nonblocking(true)`;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out. The connection stays in the queue:
    ///   close something before the next attempt;
    /// - [`ErrorKind::WrongType`] when it is no listener.
    ///
    /// # Examples
    ///
    /// See [`Prefork`](crate::Prefork).
    ///
    /// # References
    ///
    /// `accept4`(2).
    #[doc(alias = "accept4")]
    pub fn accept(&self, listener: impl AsFd) -> Result<Option<OwnedFd>> {
        const OP: &str = "accept4";
        let listener = listener.as_fd();
        let flags = rustix::fs::fcntl_getfl(listener).map_err(os("fcntl"))?;
        if !flags.contains(OFlags::NONBLOCK) {
            return Err(Error::new(ErrorKind::InvalidInput, OP)
                .with_note("the listener must be non-blocking: set_nonblocking(true)"));
        }
        while self.until_ready(listener, Wait::Forever)? == Turn::Ready {
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(connection) => return Ok(Some(connection)),
                // Another worker was quicker, or the client has gone meanwhile.
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                Err(errno @ (Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP)) => {
                    return Err(os(OP)(errno).with_kind(ErrorKind::WrongType {
                        expected: "a listening stream socket",
                        found: "something else",
                    }));
                }
                Err(errno) => return Err(os(OP)(errno)),
            }
        }
        Ok(None)
    }

    fn fds(&self) -> [PollFd<'_>; 2] {
        [self.stop, self.signals].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
    }
}

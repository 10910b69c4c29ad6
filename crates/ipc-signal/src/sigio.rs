//! Signals when a descriptor is ready: SIGIO.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::fs::OFlags;

use crate::sys::action::fcntl;
use crate::{Pid, Signal};
/// `F_SETSIG` and `F_GETSIG`, which `libc` does not have everywhere.
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;

/// Has a signal sent to this process whenever a descriptor becomes ready, until it is dropped:
/// `F_SETOWN`, `F_SETSIG`, `O_ASYNC`.
///
/// It tells of *changes*, as an edge-triggered `epoll` does: read until there is nothing more, or the
/// next one may not come. It works with pipes, FIFOs, sockets and terminals. For new programs `epoll`
/// is nearly always better; this is for those that cannot poll.
///
/// With a realtime signal every change is queued, and [`Origin::io`](crate::Origin::io) says of which
/// descriptor; when the queue is full (`RLIMIT_SIGPENDING`), the kernel sends a plain `SIGIO` in its
/// place: be prepared for that too, and look at all descriptors then. `SIGIO` itself coalesces, and
/// says as much only for the one that was first.
///
/// # Shared with others
///
/// These settings belong to the **open file description**: a process that shares it, the child that
/// inherits it or the parent, shares them too, and only one process is told. Dropping this puts back
/// what was there.
///
/// # Examples
///
/// ```
/// use ipc_core::{Wait, WriteBytes};
/// use ipc_pipe::PipeOptions;
/// use ipc_signal::{SigIo, Signal, SignalSet};
/// use std::os::fd::{AsFd, AsRawFd};
///
/// let signal = Signal::realtime(6)?;
/// let _guard = SignalSet::from([signal, Signal::IO]).block()?;
/// let (rx, mut tx) = PipeOptions::new().open()?;
/// let _watch = SigIo::watch(rx.as_fd(), signal)?;
///
/// tx.write_with(b"hello", Wait::Forever)?;
/// let event = SignalSet::from(signal).wait(Wait::Forever)?.io().unwrap();
/// assert_eq!(event.fd, rx.as_fd().as_raw_fd());
/// assert_ne!(event.events & 1, 0, "POLLIN");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `fcntl`(2), section *Managing signals*; `open`(2), `O_ASYNC`.
#[derive(Debug)]
#[doc(alias = "O_ASYNC")]
#[doc(alias = "F_SETSIG")]
#[doc(alias = "F_SETOWN")]
#[must_use = "dropping it ends the watch"]
pub struct SigIo<'fd> {
    fd: BorrowedFd<'fd>,
    owner: i32,
    signal: i32,
    flags: OFlags,
}

impl<'fd> SigIo<'fd> {
    /// Watches a descriptor for this process.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unsupported`] for a descriptor of a kind that never tells, a file for example,
    ///   and for `SIGKILL` and `SIGSTOP`;
    /// - [`ErrorKind::AlreadyExists`] when it is watched already, by whoever shares it.
    ///
    /// # Examples
    ///
    /// See [`SigIo`].
    pub fn watch(fd: BorrowedFd<'fd>, signal: Signal) -> Result<Self> {
        const OP: &str = "fcntl O_ASYNC";
        signal.caught("fcntl F_SETSIG")?;
        let flags = rustix::fs::fcntl_getfl(fd).map_err(os("fcntl F_GETFL"))?;
        let asynchronous = OFlags::from_bits_retain(libc::O_ASYNC.cast_unsigned());
        if flags.contains(asynchronous) {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("the descriptor is watched already, by whoever shares it"));
        }
        let owner = fcntl(&fd, libc::F_GETOWN, 0).map_err(os("fcntl F_GETOWN"))?;
        let before = fcntl(&fd, F_GETSIG, 0).map_err(os("fcntl F_GETSIG"))?;
        // From here on, dropping it puts everything back.
        let watch = Self { fd, owner, signal: before, flags };
        fcntl(&fd, libc::F_SETOWN, Pid::this().get()).map_err(os("fcntl F_SETOWN"))?;
        fcntl(&fd, F_SETSIG, signal.number()).map_err(os("fcntl F_SETSIG"))?;
        rustix::fs::fcntl_setfl(fd, flags | asynchronous).map_err(os(OP))?;
        // The kernel does not say that a file of this kind never tells.
        let now = rustix::fs::fcntl_getfl(fd).map_err(os("fcntl F_GETFL"))?;
        if !now.contains(asynchronous) {
            return Err(Error::new(ErrorKind::Unsupported, OP)
                .with_note("a file of this kind does not tell when it is ready"));
        }
        Ok(watch)
    }
}

impl Drop for SigIo<'_> {
    fn drop(&mut self) {
        // They cannot fail: the arguments are what the kernel has told.
        // Whoever shares the open file description may have changed other flags meanwhile.
        if let Ok(now) = rustix::fs::fcntl_getfl(self.fd) {
            let asynchronous = OFlags::from_bits_retain(libc::O_ASYNC.cast_unsigned());
            let flags = now.difference(asynchronous).union(self.flags & asynchronous);
            let _ = rustix::fs::fcntl_setfl(self.fd, flags);
        }
        let _ = fcntl(&self.fd.as_raw_fd(), F_SETSIG, self.signal);
        let _ = fcntl(&self.fd.as_raw_fd(), libc::F_SETOWN, self.owner);
    }
}

impl AsFd for SigIo<'_> {
    /// The descriptor that is watched.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd
    }
}

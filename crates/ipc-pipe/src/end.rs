//! One end of a pipe: reading and writing with every [`Wait`].

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_core::{Result, Wait};
use ipc_fd::wait;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::sys;

/// `RWF_NOSIGNAL` (Linux 6.18): a write to a closed pipe fails without `SIGPIPE`.
const NOSIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

/// The offset that stands for "where the file is", as a pipe needs it.
const HERE: u64 = u64::MAX;

/// One end of a pipe.
///
/// Invariant: `fd` is a pipe or FIFO that is open for what the wrapping type does.
#[derive(Debug)]
pub(crate) struct End {
    fd: OwnedFd,
    /// The same pipe with `O_NONBLOCK`, in an open file description that nobody shares: for kernels
    /// that refuse `RWF_NOWAIT`.
    twin: OnceLock<OwnedFd>,
    /// The kernel refuses `RWF_NOWAIT` on this pipe.
    no_nowait: AtomicBool,
    /// The kernel refuses `RWF_NOSIGNAL`.
    no_nosignal: AtomicBool,
    /// A write to a closed pipe would raise a `SIGPIPE` that is not ignored.
    mind_sigpipe: bool,
}

impl End {
    /// Trusts that `fd` is a pipe.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            twin: OnceLock::new(),
            no_nowait: AtomicBool::new(false),
            no_nosignal: AtomicBool::new(false),
            mind_sigpipe: !sys::sigpipe_is_ignored(),
        }
    }

    /// The descriptor, without what belongs to this end.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Reads once: `read` or `preadv2`.
    ///
    /// This and [`write`](Self::write) are what a caller's time goes into: the common case is a call
    /// that works, and everything else is elsewhere.
    #[inline]
    pub(crate) fn read(&self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        if !matches!(wait, Wait::Forever) {
            return self.read_waiting(&mut [IoSliceMut::new(buf)], wait);
        }
        match rustix::io::read(&self.fd, &mut *buf) {
            Ok(n) => Ok(n),
            Err(errno) => wait::go_on("read", self.as_fd(), PollFlags::IN, errno, || {
                rustix::io::read(&self.fd, &mut *buf)
            }),
        }
    }

    /// Reads once into several buffers: `readv` or `preadv2`.
    pub(crate) fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>], wait: Wait) -> Result<usize> {
        if !matches!(wait, Wait::Forever) {
            return self.read_waiting(bufs, wait);
        }
        match rustix::io::readv(&self.fd, bufs) {
            Ok(n) => Ok(n),
            Err(errno) => wait::go_on("readv", self.as_fd(), PollFlags::IN, errno, || {
                rustix::io::readv(&self.fd, bufs)
            }),
        }
    }

    /// Writes once: `write` or `pwritev2`.
    #[inline]
    pub(crate) fn write(&self, buf: &[u8], wait: Wait) -> Result<usize> {
        if !matches!(wait, Wait::Forever) || self.mind_sigpipe {
            return self.write_vectored(&[IoSlice::new(buf)], wait);
        }
        match rustix::io::write(&self.fd, buf) {
            Ok(n) => Ok(n),
            Err(errno) => wait::go_on("write", self.as_fd(), PollFlags::OUT, errno, || {
                rustix::io::write(&self.fd, buf)
            }),
        }
    }

    /// Writes once from several buffers: `writev` or `pwritev2`.
    pub(crate) fn write_vectored(&self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        if !matches!(wait, Wait::Forever) {
            let now = || self.write_now(bufs);
            let until_ready = || wait::ready("write", self.as_fd(), PollFlags::OUT, wait);
            return wait::again("write", wait, now, until_ready);
        }
        match self.write_blocking(bufs) {
            Ok(n) => Ok(n),
            Err(errno) => wait::go_on("writev", self.as_fd(), PollFlags::OUT, errno, || {
                self.write_blocking(bufs)
            }),
        }
    }

    /// Runs an operation that may raise `SIGPIPE`, with that signal held off where it matters.
    pub(crate) fn mind_sigpipe<T>(
        &self,
        write: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        if self.mind_sigpipe { sys::without_sigpipe(write) } else { write() }
    }

    #[inline(never)]
    fn read_waiting(&self, bufs: &mut [IoSliceMut<'_>], wait: Wait) -> Result<usize> {
        let now = || self.read_now(bufs);
        wait::again("read", wait, now, || wait::ready("read", self.as_fd(), PollFlags::IN, wait))
    }

    fn read_now(&self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        if !self.no_nowait.load(Ordering::Relaxed) {
            match rustix::io::preadv2(&self.fd, bufs, HERE, ReadWriteFlags::NOWAIT) {
                Err(Errno::OPNOTSUPP) => self.no_nowait.store(true, Ordering::Relaxed),
                result => return result,
            }
        }
        read_any(self.twin(OFlags::RDONLY)?, bufs)
    }

    fn write_blocking(&self, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
        if self.mind_sigpipe && !self.no_nosignal.load(Ordering::Relaxed) {
            match rustix::io::pwritev2(&self.fd, bufs, HERE, NOSIGNAL) {
                Err(Errno::OPNOTSUPP) => self.no_nosignal.store(true, Ordering::Relaxed),
                result => return result,
            }
        }
        self.mind_sigpipe(|| write_any(&self.fd, bufs))
    }

    fn write_now(&self, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
        while !self.no_nowait.load(Ordering::Relaxed) {
            let nosignal = self.mind_sigpipe && !self.no_nosignal.load(Ordering::Relaxed);
            let result = if nosignal {
                rustix::io::pwritev2(&self.fd, bufs, HERE, ReadWriteFlags::NOWAIT | NOSIGNAL)
            } else {
                self.mind_sigpipe(|| {
                    rustix::io::pwritev2(&self.fd, bufs, HERE, ReadWriteFlags::NOWAIT)
                })
            };
            // The errno does not say which flag was refused: give up one after the other.
            match result {
                Err(Errno::OPNOTSUPP) if nosignal => {
                    self.no_nosignal.store(true, Ordering::Relaxed)
                }
                Err(Errno::OPNOTSUPP) => self.no_nowait.store(true, Ordering::Relaxed),
                result => return result,
            }
        }
        let twin = match self.twin(OFlags::WRONLY) {
            // A non-blocking open for writing needs a reader, and there is none.
            Err(Errno::NXIO) => return Err(Errno::PIPE),
            twin => twin?,
        };
        self.mind_sigpipe(|| write_any(twin, bufs))
    }

    /// The same pipe, opened once more without blocking.
    fn twin(&self, access: OFlags) -> Result<&OwnedFd, Errno> {
        if let Some(twin) = self.twin.get() {
            return Ok(twin);
        }
        let twin = reopen(self.as_fd(), access | OFlags::NONBLOCK)?;
        // Packet mode belongs to the open file description, and `open` does not take it for a FIFO.
        let packets = rustix::fs::fcntl_getfl(&self.fd)? & OFlags::DIRECT;
        if !packets.is_empty() {
            rustix::fs::fcntl_setfl(&twin, OFlags::NONBLOCK | packets)?;
        }
        Ok(self.twin.get_or_init(|| twin))
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `read` where it does, since it costs less than `readv`.
fn read_any(fd: &OwnedFd, bufs: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
    match bufs {
        [buf] => rustix::io::read(fd, &mut **buf),
        bufs => rustix::io::readv(fd, bufs),
    }
}

/// `write` where it does, since it costs less than `writev`.
fn write_any(fd: &OwnedFd, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
    match bufs {
        [buf] => rustix::io::write(fd, buf),
        bufs => rustix::io::writev(fd, bufs),
    }
}

/// Opens what `fd` refers to once more, with an open file description of its own.
pub(crate) fn reopen(fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, Mode::empty())
}

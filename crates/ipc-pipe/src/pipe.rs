//! Anonymous pipes, and the two ends that every pipe of bytes has.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Pair, ReadBytes, Rejected, Result, Shape, Wait, WriteBytes,
};
use ipc_fd::kind::os;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use crate::end::End;
use crate::kind::{self, Expected};
use crate::{DuplexPipe, PIPE_BUF, PacketReader, PacketWriter};

/// Makes an anonymous pipe with the default options: `pipe2(O_CLOEXEC)`.
///
/// # Errors
///
/// See [`PipeOptions::open`].
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut rx, mut tx) = ipc_pipe::pipe()?;
/// tx.write_all(b"water")?;
/// drop(tx);
/// let mut out = String::new();
/// rx.read_to_string(&mut out)?;
/// assert_eq!(out, "water");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> Result<(PipeReader, PipeWriter)> {
    PipeOptions::new().open()
}

/// How to make an anonymous pipe.
///
/// # Examples
///
/// ```
/// use ipc_pipe::PipeOptions;
///
/// let (rx, _tx) = PipeOptions::new().capacity(1 << 20).open()?;
/// assert_eq!(rx.capacity()?, 1 << 20);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options do nothing until the pipe is opened"]
pub struct PipeOptions {
    capacity: Option<usize>,
}

impl PipeOptions {
    /// A pipe as the kernel makes it: 64 KiB, or less for a user who has very many pipes.
    pub const fn new() -> Self {
        Self { capacity: None }
    }

    /// Asks for room for `bytes` bytes; see [`PipeWriter::set_capacity`].
    pub const fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Makes a pipe of bytes: `pipe2(O_CLOEXEC)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors or the memory for pipes run out, and those of
    /// [`PipeWriter::set_capacity`].
    ///
    /// # Limits
    ///
    /// Two descriptors (`RLIMIT_NOFILE`); the pages of all pipes of an unprivileged user
    /// (`/proc/sys/fs/pipe-user-pages-soft`, beyond which a pipe gets two pages, and `-hard`).
    ///
    /// # References
    ///
    /// `pipe2`(2), `pipe`(7).
    #[doc(alias = "pipe2")]
    pub fn open(&self) -> Result<(PipeReader, PipeWriter)> {
        let (rx, tx) = self.open_fds(PipeFlags::empty())?;
        Ok((PipeReader::new(rx), PipeWriter::new(tx)))
    }

    /// Makes a pipe of packets: `pipe2(O_CLOEXEC | O_DIRECT)`. See [`PacketWriter`].
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    #[doc(alias = "O_DIRECT")]
    pub fn open_packet(&self) -> Result<(PacketReader, PacketWriter)> {
        let (rx, tx) = self.open_fds(PipeFlags::DIRECT)?;
        Ok((PacketReader::new(rx), PacketWriter::new(tx)))
    }

    /// Makes two pipes, one for each direction. See [`DuplexPipe`].
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_duplex(&self) -> Result<(DuplexPipe, DuplexPipe)> {
        let (left_rx, right_tx) = self.open()?;
        let (right_rx, left_tx) = self.open()?;
        Ok((DuplexPipe::new(left_rx, left_tx), DuplexPipe::new(right_rx, right_tx)))
    }

    fn open_fds(&self, flags: PipeFlags) -> Result<(OwnedFd, OwnedFd)> {
        let (rx, tx) =
            rustix::pipe::pipe_with(flags | PipeFlags::CLOEXEC).map_err(|errno| match errno {
                // pipe(2): the user's hard limit of pages is reported as ENFILE.
                Errno::NFILE => os("pipe2")(errno).with_kind(ErrorKind::ResourceLimit {
                    limit: "open files, or pages for this user's pipes",
                    knob: "/proc/sys/fs/file-max and /proc/sys/fs/pipe-user-pages-hard",
                }),
                errno => os("pipe2")(errno),
            })?;
        if let Some(bytes) = self.capacity {
            set_capacity(tx.as_fd(), bytes)?;
        }
        Ok((rx, tx))
    }
}

impl Pair for PipeReader {
    type Peer = PipeWriter;
    type Options = PipeOptions;

    fn pair(options: &PipeOptions) -> Result<(Self, PipeWriter)> {
        options.open()
    }
}

/// What anonymous pipes of bytes can do; those with a name have [`Fifo`](crate::Fifo)'s.
const CAPS: Caps =
    Caps::new(Shape::ByteStream).anonymous().pollable().reports_peer_death().atomic_write(PIPE_BUF);

/// The reading end of a pipe or FIFO of bytes.
///
/// It reads through `&self` as well, so that several threads may share it; which of them gets which
/// bytes is then up to the kernel. Use [`std::io::BufReader`] for lines.
///
/// # Errors
///
/// [`ReadBytes`] says which. A closed pipe is no error but a count of zero.
///
/// # Examples
///
/// See [`pipe`].
///
/// # References
///
/// `read`(2), `preadv2`(2), `pipe`(7).
#[derive(Debug)]
pub struct PipeReader(End);

/// The writing end of a pipe or FIFO of bytes.
///
/// It writes through `&self` as well, so that several threads may share it; up to
/// [`PIPE_BUF`] bytes of one write stay together.
///
/// # Errors
///
/// [`WriteBytes`] says which. A pipe that nobody reads is [`ErrorKind::Disconnected`] and raises no
/// `SIGPIPE`.
///
/// # Examples
///
/// See [`pipe`].
///
/// # References
///
/// `write`(2), `pwritev2`(2), `pipe`(7).
#[derive(Debug)]
pub struct PipeWriter(End);

impl PipeReader {
    /// Trusts that `fd` is the reading end of a pipe of bytes.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(End::new(fd))
    }

    /// How many bytes can be read without waiting: `FIONREAD`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Other`] for an errno that Linux does not document.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// let (rx, mut tx) = ipc_pipe::pipe()?;
    /// tx.write_all(b"12345")?;
    /// assert_eq!(rx.available()?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `ioctl_tty`(2), `pipe`(7).
    #[doc(alias = "FIONREAD")]
    pub fn available(&self) -> Result<usize> {
        let bytes = rustix::io::ioctl_fionread(&self.0).map_err(os("ioctl FIONREAD"))?;
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    pub(crate) fn end(&self) -> &End {
        &self.0
    }
}

impl PipeWriter {
    /// Trusts that `fd` is the writing end of a pipe of bytes.
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(End::new(fd))
    }

    pub(crate) fn end(&self) -> &End {
        &self.0
    }
}

/// The methods that both ends have.
macro_rules! both_ends {
    ($end:ty) => {
        impl $end {
            /// How many bytes the pipe has room for in all: `F_GETPIPE_SZ`.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Other`] for an errno that Linux does not document.
            ///
            /// # References
            ///
            /// `fcntl`(2).
            #[doc(alias = "F_GETPIPE_SZ")]
            pub fn capacity(&self) -> Result<usize> {
                rustix::pipe::fcntl_getpipe_size(&self.0).map_err(os("fcntl F_GETPIPE_SZ"))
            }

            /// Asks for room for `bytes` bytes and returns what the kernel granted: `bytes` rounded
            /// up to a power of two of pages, and one page at least. `F_SETPIPE_SZ`.
            ///
            /// # Errors
            ///
            /// - [`ErrorKind::ResourceLimit`] above what this user may have;
            /// - [`ErrorKind::InvalidInput`] when more bytes than that are in the pipe now (they stay
            ///   there), or above 1 GiB.
            ///
            /// # Limits
            ///
            /// `/proc/sys/fs/pipe-max-size` (1 MiB) for a process without `CAP_SYS_RESOURCE`, and
            /// the pages of all the user's pipes, `/proc/sys/fs/pipe-user-pages-soft` and `-hard`.
            ///
            /// # Examples
            ///
            /// ```
            /// let (_rx, tx) = ipc_pipe::pipe()?;
            /// assert_eq!(tx.set_capacity(100_000)?, 131_072);
            /// # Ok::<(), ipc_core::Error>(())
            /// ```
            ///
            /// # References
            ///
            /// `fcntl`(2), section *Changing the capacity of a pipe*.
            #[doc(alias = "F_SETPIPE_SZ")]
            pub fn set_capacity(&self, bytes: usize) -> Result<usize> {
                set_capacity(self.0.as_fd(), bytes)
            }

            /// A second value for the same end. The pipe's peer sees this end closed when all are.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::ResourceLimit`] when descriptors run out.
            pub fn try_clone(&self) -> Result<Self> {
                let fd = rustix::io::fcntl_dupfd_cloexec(&self.0, 0).map_err(os("fcntl"))?;
                Ok(Self::new(fd))
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl From<$end> for OwnedFd {
            fn from(end: $end) -> Self {
                end.0.into_fd()
            }
        }

        impl Mechanism for $end {
            const NAME: &'static str = "pipe";
            const CAPS: Caps = CAPS;
        }
    };
}

both_ends!(PipeReader);
both_ends!(PipeWriter);

impl PipeReader {
    pub(crate) const EXPECTED: Expected = Expected { writes: false, packets: false };
}

impl PipeWriter {
    pub(crate) const EXPECTED: Expected = Expected { writes: true, packets: false };
}

/// Checks that it is the reading end of a pipe, or a FIFO open for both.
///
/// That the pipe is not in packet mode only its writing end tells: on packets, a read with a short
/// buffer throws the rest of the packet away.
///
/// # Errors
///
/// [`ErrorKind::WrongType`]; the descriptor comes back.
impl TryFrom<OwnedFd> for PipeReader {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        kind::checked(fd, Self::EXPECTED).map(Self::new)
    }
}

/// Checks that it is the writing end of a pipe of bytes, or a FIFO open for both.
///
/// # Errors
///
/// [`ErrorKind::WrongType`]; the descriptor comes back.
impl TryFrom<OwnedFd> for PipeWriter {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        kind::checked(fd, Self::EXPECTED).map(Self::new)
    }
}

impl ReadBytes for &PipeReader {
    #[inline]
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        self.0.read(buf, wait)
    }
}

impl ReadBytes for PipeReader {
    #[inline]
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (&*self).read_with(buf, wait)
    }
}

impl WriteBytes for &PipeWriter {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        self.0.write_vectored(bufs, wait)
    }

    #[inline]
    fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
        self.0.write(buf, wait)
    }
}

impl WriteBytes for PipeWriter {
    #[inline]
    fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
        (&*self).write_with(buf, wait)
    }

    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        (&*self).write_vectored_with(bufs, wait)
    }
}

impl Read for &PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_with(buf, Wait::Forever)?)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(self.0.read_vectored(bufs, Wait::Forever)?)
    }
}

impl Read for PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for &PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.write_with(buf, Wait::Forever)?)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(self.write_vectored_with(bufs, Wait::Forever)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn set_capacity(pipe: BorrowedFd<'_>, bytes: usize) -> Result<usize> {
    const OP: &str = "fcntl F_SETPIPE_SZ";
    // The kernel takes a C int and rounds up to a power of two: above this, it would not fit.
    if bytes > 1 << 30 {
        return Err(Error::new(ErrorKind::InvalidInput, OP).with_note("a pipe holds 1 GiB at most"));
    }
    rustix::pipe::fcntl_setpipe_size(pipe, bytes).map_err(|errno| match errno {
        Errno::PERM => os(OP)(errno).with_kind(ErrorKind::ResourceLimit {
            limit: "bytes in a pipe for a process without CAP_SYS_RESOURCE",
            knob: "/proc/sys/fs/pipe-max-size, /proc/sys/fs/pipe-user-pages-soft and -hard",
        }),
        Errno::BUSY => os(OP)(errno)
            .with_kind(ErrorKind::InvalidInput)
            .with_note("more bytes than that are in the pipe now"),
        errno => os(OP)(errno),
    })
}

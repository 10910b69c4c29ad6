//! Byte streams.

use std::io::IoSlice;
use std::time::Duration;

use crate::{Error, ErrorKind, Result, Wait};

/// The writing end of a byte stream.
///
/// Bytes arrive in the order in which they were written. Nothing keeps what one call wrote together
/// at the other end: see [`Framed`](crate::Framed) for messages.
///
/// # Errors
///
/// Every method reports [`ErrorKind::Disconnected`] once nobody can read any more,
/// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says.
///
/// # Examples
///
/// ```
/// use ipc_core::{ReadBytes, Wait, WriteBytes};
/// use ipc_pipe::PipeOptions;
///
/// let (mut rx, mut tx) = PipeOptions::new().open()?;
/// tx.write_all_with(b"abc", Wait::Forever)?;
/// let mut buf = [0; 3];
/// rx.read_exact_with(&mut buf, Wait::Forever)?;
/// assert_eq!(&buf, b"abc");
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait WriteBytes {
    /// Writes the slices one after the other and returns how many bytes went out: at least one,
    /// unless all slices are empty.
    ///
    /// With [`Wait::Forever`] a short count means that a signal handler ran or that the mechanism
    /// takes bytes in pieces. Once part of the bytes is out, the count is returned, not the error
    /// that stopped the rest.
    ///
    /// # Errors
    ///
    /// See [`WriteBytes`].
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize>;

    /// Writes from one slice: [`write_vectored_with`](Self::write_vectored_with).
    ///
    /// # Errors
    ///
    /// See [`WriteBytes`].
    fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
        self.write_vectored_with(&[IoSlice::new(buf)], wait)
    }

    /// Writes what there is room for now.
    ///
    /// # Errors
    ///
    /// See [`WriteBytes`].
    fn try_write(&mut self, buf: &[u8]) -> Result<usize> {
        self.write_with(buf, Wait::Never)
    }

    /// Writes once and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`WriteBytes`].
    fn write_timeout(&mut self, buf: &[u8], timeout: Duration) -> Result<usize> {
        self.write_with(buf, Wait::timeout(timeout))
    }

    /// Writes every byte of `buf`, in as many pieces as it takes.
    ///
    /// # Errors
    ///
    /// See [`WriteBytes`]. After an error an unknown part of `buf` is out: the stream is of use
    /// only to a protocol that can tell, such as [`Framed`](crate::Framed), which keeps count.
    fn write_all_with(&mut self, mut buf: &[u8], wait: Wait) -> Result<()> {
        while !buf.is_empty() {
            let n = self.write_with(buf, wait)?;
            if n == 0 {
                return Err(wrote_nothing());
            }
            buf = &buf[n..];
        }
        Ok(())
    }
}

/// The reading end of a byte stream.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says. The end of the stream is
/// not an error but a count of zero, as in [`std::io::Read`].
///
/// # Examples
///
/// ```
/// use ipc_core::{ReadBytes, Wait};
/// use ipc_pipe::PipeOptions;
///
/// let (mut rx, tx) = PipeOptions::new().open()?;
/// drop(tx);
/// assert_eq!(rx.read_with(&mut [0; 8], Wait::Forever)?, 0);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait ReadBytes {
    /// Reads what is there, up to the length of `buf`, and returns how many bytes came. Zero means
    /// that the stream has ended, or that `buf` is empty.
    ///
    /// # Errors
    ///
    /// See [`ReadBytes`].
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize>;

    /// Reads what is there now.
    ///
    /// # Errors
    ///
    /// See [`ReadBytes`].
    fn try_read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.read_with(buf, Wait::Never)
    }

    /// Reads once and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`ReadBytes`].
    fn read_timeout(&mut self, buf: &mut [u8], timeout: Duration) -> Result<usize> {
        self.read_with(buf, Wait::timeout(timeout))
    }

    /// Fills `buf`.
    ///
    /// # Errors
    ///
    /// See [`ReadBytes`]; and [`ErrorKind::Disconnected`] if the stream ends first. After an error
    /// the bytes that did come are in the front of `buf` and gone from the stream.
    fn read_exact_with(&mut self, mut buf: &mut [u8], wait: Wait) -> Result<()> {
        while !buf.is_empty() {
            let n = self.read_with(buf, wait)?;
            if n == 0 {
                return Err(Error::new(ErrorKind::Disconnected, "read_exact")
                    .with_note("the stream ended before the buffer was full"));
            }
            buf = &mut buf[n..];
        }
        Ok(())
    }
}

impl<T: WriteBytes + ?Sized> WriteBytes for &mut T {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        (**self).write_vectored_with(bufs, wait)
    }

    fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
        (**self).write_with(buf, wait)
    }
}

impl<T: ReadBytes + ?Sized> ReadBytes for &mut T {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (**self).read_with(buf, wait)
    }
}

impl<T: WriteBytes + ?Sized> WriteBytes for Box<T> {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        (**self).write_vectored_with(bufs, wait)
    }

    fn write_with(&mut self, buf: &[u8], wait: Wait) -> Result<usize> {
        (**self).write_with(buf, wait)
    }
}

impl<T: ReadBytes + ?Sized> ReadBytes for Box<T> {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        (**self).read_with(buf, wait)
    }
}

/// The error for a stream that takes no byte and says that this is a success.
pub(crate) fn wrote_nothing() -> Error {
    Error::new(ErrorKind::Other, "write").with_note("the stream takes no more bytes")
}

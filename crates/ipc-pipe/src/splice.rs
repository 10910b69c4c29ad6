//! Moving data between a pipe and another descriptor without copying it: the splice family.

use std::os::fd::AsFd;

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::wait;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;

use crate::{PipeReader, PipeWriter, sys};

impl PipeReader {
    /// Moves up to `len` bytes from this pipe to `to` within the kernel, and returns how many; zero
    /// means that the pipe has ended. `to` is a file, a socket or a pipe; a file is written at its
    /// position, which moves on.
    ///
    /// `wait` is for the pipes: a socket or file that blocks does so for as long as it does.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says;
    /// - [`ErrorKind::Disconnected`] when `to` is a pipe or socket that nobody reads: what was not
    ///   moved is still in this pipe;
    /// - [`ErrorKind::Unsupported`] when `to` cannot be spliced to, such as a file open with
    ///   `O_APPEND`, or when it is the same pipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Seek, Write};
    /// use ipc_core::Wait;
    ///
    /// let (rx, mut tx) = ipc_pipe::pipe()?;
    /// tx.write_all(b"from pipe to file")?;
    /// let mut file = tempfile::tempfile()?;
    /// assert_eq!(rx.splice_to(&file, 1 << 16, Wait::Forever)?, 17);
    ///
    /// file.rewind()?;
    /// let mut text = String::new();
    /// file.read_to_string(&mut text)?;
    /// assert_eq!(text, "from pipe to file");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `splice`(2).
    #[doc(alias = "splice")]
    pub fn splice_to(&self, to: impl AsFd, len: usize, wait: Wait) -> Result<usize> {
        let to = to.as_fd();
        let flags = nonblock_unless_forever(wait);
        let splice =
            || self.end().mind_sigpipe(|| rustix::pipe::splice(self, None, to, None, len, flags));
        wait::again("splice", wait, splice, || {
            wait::ready("splice", self.as_fd(), PollFlags::IN, wait)?;
            wait::ready("splice", to, PollFlags::OUT, wait)
        })
        .map_err(not_spliceable)
    }

    /// Copies up to `len` bytes from this pipe to the pipe `to` and leaves them in this one: both
    /// then hold the same pages. Returns how many; zero means that this pipe has ended.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says;
    /// - [`ErrorKind::Disconnected`] when nobody reads `to`;
    /// - [`ErrorKind::Unsupported`] when both are the same pipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use ipc_core::Wait;
    ///
    /// let (mut rx, mut tx) = ipc_pipe::pipe()?;
    /// let (mut log_rx, log_tx) = ipc_pipe::pipe()?;
    /// tx.write_all(b"seen twice")?;
    /// assert_eq!(rx.tee(&log_tx, 1 << 16, Wait::Forever)?, 10);
    ///
    /// let (mut one, mut two) = ([0; 10], [0; 10]);
    /// rx.read_exact(&mut one)?;
    /// log_rx.read_exact(&mut two)?;
    /// assert_eq!(one, two);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `tee`(2).
    pub fn tee(&self, to: &PipeWriter, len: usize, wait: Wait) -> Result<usize> {
        let flags = nonblock_unless_forever(wait);
        let tee = || to.end().mind_sigpipe(|| rustix::pipe::tee(self, to, len, flags));
        wait::again("tee", wait, tee, || {
            wait::ready("tee", self.as_fd(), PollFlags::IN, wait)?;
            wait::ready("tee", to.as_fd(), PollFlags::OUT, wait)
        })
        .map_err(not_spliceable)
    }
}

impl PipeWriter {
    /// Moves up to `len` bytes from `from` to this pipe within the kernel, and returns how many; zero
    /// means that `from` has ended. `from` is a file, a socket or a pipe; a file is read at its
    /// position, which moves on.
    ///
    /// A reader of this pipe may see what is written to the file *after* this call, as the pipe holds
    /// the file's pages and not a copy.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says;
    /// - [`ErrorKind::Disconnected`] when nobody reads this pipe;
    /// - [`ErrorKind::Unsupported`] when `from` cannot be spliced from, or is the same pipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Seek, Write};
    /// use ipc_core::Wait;
    ///
    /// let mut file = tempfile::tempfile()?;
    /// file.write_all(b"from file to pipe")?;
    /// file.rewind()?;
    /// let (mut rx, tx) = ipc_pipe::pipe()?;
    /// assert_eq!(tx.splice_from(&file, 1 << 16, Wait::Forever)?, 17);
    /// drop(tx);
    ///
    /// let mut text = String::new();
    /// rx.read_to_string(&mut text)?;
    /// assert_eq!(text, "from file to pipe");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `splice`(2).
    #[doc(alias = "splice")]
    pub fn splice_from(&self, from: impl AsFd, len: usize, wait: Wait) -> Result<usize> {
        let from = from.as_fd();
        let flags = nonblock_unless_forever(wait);
        let splice =
            || self.end().mind_sigpipe(|| rustix::pipe::splice(from, None, self, None, len, flags));
        wait::again("splice", wait, splice, || {
            wait::ready("splice", from, PollFlags::IN, wait)?;
            wait::ready("splice", self.as_fd(), PollFlags::OUT, wait)
        })
        .map_err(not_spliceable)
    }

    /// Puts the pages of `bytes` into this pipe without copying them, and returns how many bytes.
    ///
    /// The reader gets these pages, at whatever time it reads: bytes that changed in between would
    /// change under its eyes, and memory that was freed would show it what came after. So they must
    /// be `'static` and shared: a constant, or memory that was leaked on purpose.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says;
    /// - [`ErrorKind::Disconnected`] when nobody reads this pipe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Read;
    /// use ipc_core::Wait;
    ///
    /// static PAGE: [u8; 4096] = [b'x'; 4096];
    /// let (mut rx, tx) = ipc_pipe::pipe()?;
    /// assert_eq!(tx.vmsplice(&PAGE, Wait::Forever)?, 4096);
    ///
    /// let mut buf = [0; 4096];
    /// rx.read_exact(&mut buf)?;
    /// assert_eq!(buf, PAGE);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `vmsplice`(2).
    pub fn vmsplice(&self, bytes: &'static [u8], wait: Wait) -> Result<usize> {
        let flags = nonblock_unless_forever(wait);
        let vmsplice = || self.end().mind_sigpipe(|| sys::vmsplice(self, bytes, flags));
        wait::again("vmsplice", wait, vmsplice, || {
            wait::ready("vmsplice", self.as_fd(), PollFlags::OUT, wait)
        })
    }
}

fn nonblock_unless_forever(wait: Wait) -> SpliceFlags {
    match wait {
        Wait::Forever => SpliceFlags::empty(),
        Wait::Never | Wait::Until(_) => SpliceFlags::NONBLOCK,
    }
}

/// `EINVAL` from the splice family is about the kind of file, not about a number.
fn not_spliceable(error: Error) -> Error {
    if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) {
        return error
            .with_kind(ErrorKind::Unsupported)
            .with_note("this file cannot be spliced, or both are the same pipe");
    }
    error
}

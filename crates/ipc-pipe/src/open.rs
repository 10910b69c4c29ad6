//! Opening a FIFO for one direction, with a deadline.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::{Naps, ready};
use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags};

use crate::end::reopen;

/// The operation in this file's errors.
const OP: &str = "open FIFO";

/// Opens `node` for reading and waits for a writer.
pub(crate) fn reader(node: BorrowedFd<'_>, wait: Wait) -> Result<OwnedFd> {
    if wait == Wait::Forever {
        return open_blocking(node, OFlags::RDONLY);
    }
    let fd = reopen(node, OFlags::RDONLY | OFlags::NONBLOCK).map_err(os(OP))?;
    let scratch = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(os("pipe2"))?;
    let mut naps = Naps::new(wait);
    // `poll` sees a writer that writes or leaves, `tee` also one that does nothing.
    while !has_writer(&fd, &scratch.1)? {
        let nap = naps.next_nap().ok_or_else(|| no_peer(wait))?;
        let nap_over = Wait::timeout(nap);
        match ready(OP, fd.as_fd(), PollFlags::IN, nap_over) {
            Ok(()) => break,
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            Err(error) => return Err(error),
        }
    }
    make_blocking(fd)
}

/// Opens `node` for writing and waits for a reader.
pub(crate) fn writer(node: BorrowedFd<'_>, wait: Wait) -> Result<OwnedFd> {
    if wait == Wait::Forever {
        return open_blocking(node, OFlags::WRONLY);
    }
    let mut naps = Naps::new(wait);
    loop {
        match reopen(node, OFlags::WRONLY | OFlags::NONBLOCK) {
            Ok(fd) => return make_blocking(fd),
            Err(Errno::NXIO) => {}
            Err(errno) => return Err(os(OP)(errno)),
        }
        let nap = naps.next_nap().ok_or_else(|| no_peer(wait))?;
        // Nothing tells of a reader: one that blocks in `open` is not to be seen from outside, and
        // helping it by opening the other side would let it go when no writer has come.
        std::thread::sleep(nap);
    }
}

fn open_blocking(node: BorrowedFd<'_>, access: OFlags) -> Result<OwnedFd> {
    loop {
        match reopen(node, access) {
            Err(Errno::INTR) => {}
            result => return result.map_err(os(OP)),
        }
    }
}

/// Whether a FIFO that is open for reading has a writer, or has data of one that has gone.
///
/// `tee` copies the data if there is some and consumes none; it says 0 if there is no writer.
fn has_writer(fifo: &OwnedFd, scratch: &OwnedFd) -> Result<bool> {
    match rustix::pipe::tee(fifo, scratch, 1, SpliceFlags::NONBLOCK) {
        Ok(n) => Ok(n > 0),
        Err(Errno::AGAIN) => Ok(true),
        Err(errno) => Err(os("tee")(errno)),
    }
}

/// Switches `O_NONBLOCK` off again: nobody shares this open file description yet.
fn make_blocking(fd: OwnedFd) -> Result<OwnedFd> {
    let flags = rustix::fs::fcntl_getfl(&fd).map_err(os("fcntl F_GETFL"))?;
    rustix::fs::fcntl_setfl(&fd, flags - OFlags::NONBLOCK).map_err(os("fcntl F_SETFL"))?;
    Ok(fd)
}

/// The error for a FIFO that nobody has open on the other side.
fn no_peer(wait: Wait) -> Error {
    Error::new(wait.exhausted(), OP).with_note("no process has the other end open")
}

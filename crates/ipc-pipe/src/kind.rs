//! Which end of a pipe a descriptor is.

use std::os::fd::{BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Rejected, Result};
use ipc_fd::kind::{self, file_type, os};
use rustix::fs::{FileType, OFlags};

/// Which end of which sort of pipe a type stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) writes: bool,
    pub(crate) packets: bool,
}

/// Checks that a descriptor is the end that a type stands for.
pub(crate) fn check(fd: BorrowedFd<'_>, want: Expected) -> Result<()> {
    let wrong = |expected, found| {
        Err(Error::new(ErrorKind::WrongType { expected, found }, "adopt descriptor"))
    };
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return wrong("a pipe", file_type(&stat));
    }
    let flags = rustix::fs::fcntl_getfl(fd).map_err(os("fcntl"))?;
    if flags.contains(OFlags::PATH) {
        return wrong("an open pipe", "a place in the file system (O_PATH)");
    }
    match (want.writes, flags & OFlags::RWMODE) {
        (true, OFlags::RDONLY) => return wrong("the writing end of a pipe", "the reading end"),
        (false, OFlags::WRONLY) => return wrong("the reading end of a pipe", "the writing end"),
        _ => {}
    }
    // The kernel keeps the mode with the writing end; the reading end does not tell.
    match (want.packets, flags.contains(OFlags::DIRECT)) {
        _ if !want.writes => Ok(()),
        (true, false) => wrong("a pipe in packet mode", "a pipe of bytes"),
        (false, true) => wrong("a pipe of bytes", "a pipe in packet mode"),
        _ => Ok(()),
    }
}

/// Checks a descriptor and hands it back if it is not the end that a type stands for.
pub(crate) fn checked(fd: OwnedFd, want: Expected) -> Result<OwnedFd, Rejected<OwnedFd>> {
    kind::checked(fd, |fd| check(fd, want)).map(|(fd, ())| fd)
}

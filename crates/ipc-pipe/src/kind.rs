//! What a descriptor refers to, and errors of the kernel.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Rejected, Result};
use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;

/// The error for a system call that failed.
pub(crate) fn os(op: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_os(op, errno.raw_os_error())
}

/// What a file is, in words.
pub(crate) fn file_type(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => "a pipe or FIFO",
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        _ => "something without a file type (an eventfd, epoll or the like)",
    }
}

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
    match check(fd.as_fd(), want) {
        Ok(()) => Ok(fd),
        Err(error) => Err(Rejected { value: fd, error }),
    }
}

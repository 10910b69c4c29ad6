//! What a descriptor refers to, and errors of the kernel.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, Rejected, Result};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

/// The error for a system call that failed.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_fd::kind::os;
/// use rustix::io::Errno;
///
/// let result: Result<(), _> = Err(Errno::NOENT).map_err(os("open"));
/// assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
/// ```
pub fn os(op: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_os(op, errno.raw_os_error())
}

/// What a file is, in words.
///
/// # Examples
///
/// ```
/// let (rx, _tx) = std::io::pipe().unwrap();
/// let stat = rustix::fs::fstat(&rx).unwrap();
/// assert_eq!(ipc_fd::kind::file_type(&stat), "a pipe or FIFO");
/// ```
#[must_use]
pub fn file_type(stat: &Stat) -> &'static str {
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

/// Checks a descriptor, and hands it back if the check says no.
///
/// # Errors
///
/// Those of `check`, with the descriptor.
///
/// # Examples
///
/// ```
/// use ipc_core::{Error, ErrorKind};
/// let (rx, _tx) = std::io::pipe().unwrap();
/// let no = |_: std::os::fd::BorrowedFd<'_>| Err(Error::new(ErrorKind::InvalidInput, "check"));
/// let rejected = ipc_fd::kind::checked(rx.into(), no).map(|_: (_, ())| ()).unwrap_err();
/// assert_eq!(rejected.error.kind(), ErrorKind::InvalidInput);
/// ```
pub fn checked<C>(
    fd: OwnedFd,
    check: impl FnOnce(BorrowedFd<'_>) -> Result<C>,
) -> Result<(OwnedFd, C), Rejected<OwnedFd>> {
    match check(fd.as_fd()) {
        Ok(found) => Ok((fd, found)),
        Err(error) => Err(Rejected { value: fd, error }),
    }
}

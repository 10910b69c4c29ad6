//! What the two ends of a queue have in common: descriptors, waiting and attributes.

use std::os::fd::{BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Rejected, Result, Wait};
use ipc_fd::kind::{self, file_type, os};
use ipc_fd::wait;
use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::sys::posix::{self as sys, Sleep};

/// What a queue has room for, and what is in it.
///
/// # Examples
///
/// ```
/// use ipc_core::SendMsg;
/// use ipc_mq::posix::QueueOptions;
///
/// let (rx, mut tx) = QueueOptions::new().capacity(3).message_size(100).pair()?;
/// tx.send(b"one")?;
/// let attributes = rx.attributes()?;
/// assert_eq!((attributes.capacity, attributes.message_size), (3, 100));
/// assert_eq!(attributes.messages, 1);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mq_getattr`(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "mq_attr")]
pub struct Attributes {
    /// How many messages fit: `mq_maxmsg`.
    pub capacity: usize,
    /// How long a message may be, in bytes: `mq_msgsize`.
    pub message_size: usize,
    /// How many messages are in it now: `mq_curmsgs`.
    pub messages: usize,
    /// Whether somebody who shares the open file description has set `O_NONBLOCK`. This crate never
    /// does, and blocks all the same.
    pub nonblocking: bool,
}

/// Asks the kernel: `mq_getattr`.
pub(super) fn attributes(fd: BorrowedFd<'_>) -> Result<Attributes> {
    let attr = sys::getattr(fd).map_err(os("mq_getattr"))?;
    let count = |it| usize::try_from(it).unwrap_or(0);
    Ok(Attributes {
        capacity: count(attr.maxmsg),
        message_size: count(attr.msgsize),
        messages: count(attr.curmsgs),
        nonblocking: attr.flags & i64::from(libc::O_NONBLOCK) as std::ffi::c_long != 0,
    })
}

/// Which end of a queue a descriptor must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Sends,
    Receives,
}

/// Checks that a descriptor is this end of a queue, and returns its attributes.
pub(super) fn check(fd: BorrowedFd<'_>, side: Side) -> Result<Attributes> {
    const OP: &str = "adopt descriptor";
    let wrong = |expected, found| Err(Error::new(ErrorKind::WrongType { expected, found }, OP));
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    let attributes = match attributes(fd) {
        // Not a queue; that it is open, `fstat` has shown.
        Err(error) if error.raw_os_error() == Some(Errno::BADF.raw_os_error()) => {
            return wrong("a POSIX message queue", file_type(&stat));
        }
        attributes => attributes?,
    };
    let access = rustix::fs::fcntl_getfl(fd).map_err(os("fcntl"))? & OFlags::RWMODE;
    match (side, access) {
        (Side::Sends, OFlags::RDONLY) => {
            wrong("a queue that is open for sending", "one that is open for receiving alone")
        }
        (Side::Receives, OFlags::WRONLY) => {
            wrong("a queue that is open for receiving", "one that is open for sending alone")
        }
        _ => Ok(attributes),
    }
}

/// Checks a descriptor and hands it back if it is not this end of a queue.
pub(super) fn checked(fd: OwnedFd, side: Side) -> Result<(OwnedFd, Attributes), Rejected<OwnedFd>> {
    kind::checked(fd, |fd| check(fd, side))
}

/// Whether a call for this wait may sleep.
///
/// `Forever` is one call that sleeps, `Never` one that does not. With a deadline, calls that do not
/// sleep alternate with `ppoll`, whose clock is the monotonic one: the deadlines of `mq_timedsend`
/// and `mq_timedreceive` are times of day, which move when somebody sets the clock.
#[inline]
pub(super) fn sleep(wait: Wait) -> Sleep {
    if matches!(wait, Wait::Forever) { Sleep::Forever } else { Sleep::Never }
}

/// Makes a call again that has failed with `errno`, when it is time for that, until it works.
///
/// The first call is made by the caller: there is little enough of it to be inlined.
#[cold]
pub(super) fn again<T>(
    op: &'static str,
    fd: BorrowedFd<'_>,
    ready: PollFlags,
    wait: Wait,
    mut errno: Errno,
    mut call: impl FnMut(Sleep) -> Result<T, Errno>,
) -> Result<T> {
    loop {
        match errno {
            Errno::INTR => {}
            // `EAGAIN` says that somebody who shares the open file description has set
            // `O_NONBLOCK`.
            Errno::TIMEDOUT | Errno::AGAIN if wait.remaining().is_some_and(|it| it.is_zero()) => {
                return Err(Error::new(wait.exhausted(), op));
            }
            Errno::TIMEDOUT | Errno::AGAIN => wait::ready(op, fd, ready, wait)?,
            errno => return Err(os(op)(errno)),
        }
        match call(sleep(wait)) {
            Ok(value) => return Ok(value),
            Err(next) => errno = next,
        }
    }
}

//! What travels beside the bytes: open descriptors, and who sent them.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Result, Wait};
use rustix::io::Errno;
use rustix::net::{
    SendAncillaryBuffer, SendAncillaryMessage, SocketAddrUnix, sendmsg, sendmsg_addr,
};

use super::{Address, Credentials};
use crate::socket::{SEND, Socket, dontwait_recv, dontwait_send};
use crate::sys::control::{self, Received};

/// The most descriptors in one message: `SCM_MAX_FD`.
///
/// # References
///
/// `unix`(7).
#[doc(alias = "SCM_MAX_FD")]
pub const MAX_FDS: usize = control::MAX_FDS;

/// What one receive brought.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use std::io::Read;
/// use std::os::fd::AsFd;
/// use ipc_core::Wait;
/// use ipc_sock::unix::SocketOptions;
///
/// let (tx, mut rx) = SocketOptions::new().credentials(true).pair_seqpacket()?;
/// let file = File::open("/proc/self/comm")?;
/// tx.send_message(b"read this", &[file.as_fd()], Wait::Forever)?;
///
/// let mut buf = [0; 64];
/// let mut message = rx.recv_message(&mut buf, Wait::Forever)?;
/// assert_eq!(message.len, 9);
/// assert_eq!(message.credentials.map(|it| it.pid), Some(std::process::id()));
/// let mut text = String::new();
/// File::from(message.fds.remove(0)).read_to_string(&mut text)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Message {
    /// How many bytes are in the buffer.
    pub len: usize,
    /// The descriptors, close-on-exec, in the order in which they were sent.
    pub fds: Vec<OwnedFd>,
    /// Who sent it, if this socket asks for that
    /// ([`SocketOptions::credentials`](super::SocketOptions::credentials)). The kernel fills it in, and
    /// refuses what a sender may not claim; a privileged one (`CAP_SYS_ADMIN` for the pid, `CAP_SETUID`,
    /// `CAP_SETGID`) may claim others.
    pub credentials: Option<Credentials>,
    /// The name of the sender's socket, which is unnamed if nobody has bound it. On a connection it is
    /// that of the listener, for the client.
    pub sender: Address,
}

impl From<Received> for Message {
    fn from(got: Received) -> Self {
        Self {
            len: got.len,
            fds: got.fds,
            credentials: got.credentials.map(Into::into),
            sender: Address::from_sun_path(&got.sender),
        }
    }
}

/// `sendmsg(MSG_NOSIGNAL)` with descriptors beside the bytes.
pub(super) fn send(
    socket: &Socket,
    msg: &[u8],
    fds: &[BorrowedFd<'_>],
    to: Option<&SocketAddrUnix>,
    wait: Wait,
) -> Result<usize> {
    const OP: &str = "sendmsg";
    if fds.len() > MAX_FDS {
        return Err(Error::new(ErrorKind::InvalidInput, OP)
            .with_note("at most 253 descriptors go with one message (SCM_MAX_FD)"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let flags = SEND | dontwait_send(wait);
    let sent = socket.when_writable(OP, wait, || {
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            beside.push(SendAncillaryMessage::ScmRights(fds));
        }
        match to {
            Some(to) => sendmsg_addr(socket, to, &[IoSlice::new(msg)], &mut beside, flags),
            None => sendmsg(socket, &[IoSlice::new(msg)], &mut beside, flags),
        }
    });
    sent.map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::TOOMANYREFS) => error.with_kind(ErrorKind::ResourceLimit {
            limit: "descriptors of this user that were sent and not received",
            knob: "RLIMIT_NOFILE (ulimit -n)",
        }),
        _ => error,
    })
}

/// `recvmsg(MSG_CMSG_CLOEXEC)`, with all that may come beside the bytes.
pub(crate) fn recv(
    socket: &Socket,
    bufs: &mut [IoSliceMut<'_>],
    truncating: bool,
    wait: Wait,
) -> Result<Received> {
    let mut flags = dontwait_recv(wait).bits() as libc::c_int;
    if truncating {
        flags |= libc::MSG_TRUNC;
    }
    let got =
        socket.when_readable("recvmsg", wait, || control::recvmsg(socket.as_fd(), bufs, flags))?;
    if got.control_truncated {
        // There was room for all that can come: this process has no more descriptors. Those that it
        // did get are closed with `got`.
        return Err(Error::from_os("recvmsg", Errno::MFILE.raw_os_error())
            .with_note("the message and the descriptors that came with it are lost"));
    }
    Ok(got)
}

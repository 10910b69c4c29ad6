//! `recvmsg` with everything that may come beside the bytes: descriptors, credentials, the sender.
//!
//! Not rustix's: a pid of zero, which the kernel writes for a sender that is not visible here, is no
//! value of its type.

use std::io::IoSliceMut;
use std::mem::{MaybeUninit, offset_of};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::io::Errno;

use super::last_errno;

/// The most descriptors in one message: `SCM_MAX_FD`.
pub(crate) const MAX_FDS: usize = 253;

/// Room for as many control messages as the kernel ever writes for one receive: descriptors and
/// credentials, with their headers.
const ROOM: usize = 2048;

/// A descriptor of the sending process; the libc crate has no name for it.
const SCM_PIDFD: libc::c_int = 4;

/// What one `recvmsg` brought.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// How many bytes; with `MSG_TRUNC` asked for, how many there were.
    pub(crate) len: usize,
    /// Close-on-exec.
    pub(crate) fds: Vec<OwnedFd>,
    /// Who sent it, if the socket asks for that (`SO_PASSCRED`).
    pub(crate) credentials: Option<libc::ucred>,
    /// Some of what came beside the bytes is gone.
    pub(crate) control_truncated: bool,
    /// `sun_path` of the sender, as far as it was written: empty without a name.
    pub(crate) sender: Vec<u8>,
    /// The address of a sender on the Internet.
    pub(crate) from: Option<SocketAddr>,
}

/// A buffer for control messages, aligned as their headers are.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; ROOM]);

/// `recvmsg(MSG_CMSG_CLOEXEC)` on a Unix socket.
///
/// Every descriptor that comes is in the result, so that none is lost when it is dropped.
pub(crate) fn recvmsg(
    socket: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
    flags: libc::c_int,
) -> Result<Received, Errno> {
    let mut control = Control([MaybeUninit::uninit(); ROOM]);
    let mut name = MaybeUninit::<libc::sockaddr_un>::zeroed();
    let mut header = MaybeUninit::<libc::msghdr>::zeroed();
    // SAFETY: a header of zeros is one without buffers.
    let header = unsafe { header.assume_init_mut() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // `IoSliceMut` is guaranteed to have the layout of an iovec.
    header.msg_iov = bufs.as_mut_ptr().cast();
    header.msg_iovlen = bufs.len() as _;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = ROOM as _;
    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points to buffers that are valid for writes of the lengths beside them, and
    // live until the call returns.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), header, flags) };
    let len = usize::try_from(len).map_err(|_| last_errno())?;

    // SAFETY: it was zeroed, and the kernel wrote a name into it.
    let name = unsafe { name.assume_init() };
    let mut received = Received {
        len,
        fds: Vec::new(),
        credentials: None,
        control_truncated: header.msg_flags & libc::MSG_CTRUNC != 0,
        sender: sun_path(&name, header.msg_namelen),
        from: None,
    };
    // SAFETY: the kernel has set the length of what it wrote, at the buffer that the header points to
    // and that is still there.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !next.is_null() {
        // SAFETY: FIRSTHDR and NXTHDR return null or a whole header within what the kernel wrote.
        let cmsg = unsafe { ptr::read_unaligned(next) };
        // SAFETY: as above.
        let data = unsafe { libc::CMSG_DATA(next) };
        let payload = (cmsg.cmsg_len as usize).saturating_sub(data.addr() - next.addr());
        match (cmsg.cmsg_level, cmsg.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for i in 0..payload / size_of::<RawFd>() {
                    // SAFETY: the kernel wrote `payload` bytes of descriptor numbers there.
                    let at = unsafe { data.cast::<RawFd>().add(i) };
                    // SAFETY: as above; no alignment is asked for.
                    let fd = unsafe { ptr::read_unaligned(at) };
                    // SAFETY: the kernel made this descriptor for us, and nobody else has it.
                    received.fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if payload >= size_of::<libc::ucred>() => {
                // SAFETY: the kernel wrote a whole one there, and any bytes make one.
                let cred = unsafe { ptr::read_unaligned(data.cast::<libc::ucred>()) };
                received.credentials = Some(cred);
            }
            // Somebody has asked for it (`SO_PASSPIDFD`) before the socket came to us.
            (libc::SOL_SOCKET, SCM_PIDFD) if payload >= size_of::<RawFd>() => {
                // SAFETY: the kernel wrote a descriptor's number there, or an errno.
                let fd = unsafe { ptr::read_unaligned(data.cast::<RawFd>()) };
                if fd >= 0 {
                    // SAFETY: the kernel made this descriptor for us, and nobody else has it.
                    drop(unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
            _ => {}
        }
        // SAFETY: as for FIRSTHDR.
        next = unsafe { libc::CMSG_NXTHDR(header, next) };
    }
    Ok(received)
}

/// The bytes of a name that the kernel wrote.
pub(super) fn sun_path(name: &libc::sockaddr_un, len: libc::socklen_t) -> Vec<u8> {
    let len = (len as usize).saturating_sub(offset_of!(libc::sockaddr_un, sun_path));
    name.sun_path[..len.min(name.sun_path.len())].iter().map(|&byte| byte as u8).collect()
}

//! `sendmmsg` and `recvmmsg`: several datagrams with one call.

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::io::Errno;
use rustix::net::SocketAddrAny;

use super::last_errno;

/// The most datagrams of one call. The kernel would take 1024; what a call costs is shared well enough
/// by these, and their headers fit on the stack.
pub(crate) const MAX: usize = 64;

/// A header that names nothing.
fn no_header() -> libc::mmsghdr {
    // SAFETY: a header of zeros is one without buffers and without a name.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// A vector of bytes that are written, or only read.
fn vector(bytes: *mut u8, len: usize) -> libc::iovec {
    libc::iovec { iov_base: bytes.cast(), iov_len: len }
}

/// Receives at most one datagram for each slot, and [`MAX`] in all, and tells of each its length and
/// its sender: `recvmmsg` without a timeout, which the kernel looks at after each datagram only, so
/// that a call with one may block for ever.
pub(crate) fn receive<'a>(
    socket: BorrowedFd<'_>,
    slots: impl Iterator<Item = &'a mut [u8]>,
    flags: libc::c_int,
    mut each: impl FnMut(usize, Option<SocketAddr>),
) -> Result<usize, Errno> {
    /// Room for an address of IPv4 or IPv6.
    const NAME: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;

    let mut names = [MaybeUninit::<libc::sockaddr_in6>::zeroed(); MAX];
    let mut vectors = [vector(ptr::null_mut(), 0); MAX];
    let mut headers = [no_header(); MAX];
    let mut count = 0;
    let parts = headers.iter_mut().zip(&mut vectors).zip(&mut names);
    for (((header, iov), name), slot) in parts.zip(slots) {
        *iov = vector(slot.as_mut_ptr(), slot.len());
        header.msg_hdr.msg_iov = iov;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = name.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = NAME;
        count += 1;
    }
    let (fd, no_timeout) = (socket.as_raw_fd(), ptr::null_mut());
    // SAFETY: the first `count` headers point to vectors and names in arrays above, and these to slots,
    // which are borrowed for longer than this call; each is valid for writes of the length beside it.
    let got = unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), count, flags as _, no_timeout) };
    let got = usize::try_from(got).map_err(|_| last_errno())?;
    for (header, name) in headers.iter().zip(&names).take(got) {
        let len = header.msg_hdr.msg_namelen.min(NAME);
        // Rustix takes no address without a family.
        let from = (len >= 2).then(|| {
            // SAFETY: the memory was zeroed, and the kernel has written an address of `len` bytes there.
            unsafe { SocketAddrAny::read(name.as_ptr().cast(), len) }
        });
        each(header.msg_len as usize, from.and_then(|from| from.try_into().ok()));
    }
    Ok(got)
}

/// Sends the first datagrams of `messages`, at most [`MAX`], to the address beside each or to the
/// connected peer, and returns how many went out: `sendmmsg`.
pub(crate) fn send<'a>(
    socket: BorrowedFd<'_>,
    messages: impl Iterator<Item = (&'a [u8], Option<SocketAddr>)>,
    flags: libc::c_int,
) -> Result<usize, Errno> {
    let mut names = [const { None::<SocketAddrAny> }; MAX];
    let mut vectors = [vector(ptr::null_mut(), 0); MAX];
    let mut headers = [no_header(); MAX];
    let mut count = 0;
    let parts = headers.iter_mut().zip(&mut vectors).zip(&mut names);
    for (((header, iov), name), (message, to)) in parts.zip(messages) {
        // The kernel only reads it.
        *iov = vector(message.as_ptr().cast_mut(), message.len());
        header.msg_hdr.msg_iov = iov;
        header.msg_hdr.msg_iovlen = 1;
        if let Some(to) = to {
            let to = name.insert(to.into());
            header.msg_hdr.msg_name = to.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = to.addr_len();
        }
        count += 1;
    }
    // SAFETY: the first `count` headers point to vectors and names in arrays above, and these to
    // messages, which are borrowed for longer than this call; each is valid for reads of the length
    // beside it.
    let sent =
        unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags as _) };
    usize::try_from(sent).map_err(|_| last_errno())
}

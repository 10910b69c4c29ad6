//! The system calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "every block of the crate that the compiler cannot check is here")]

pub(crate) mod control;
pub(crate) mod mmsg;

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// `getsockopt(SO_PEERCRED)`
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> Result<libc::ucred, Errno> {
    let mut cred = MaybeUninit::<libc::ucred>::zeroed();
    // SAFETY: the value may be any bytes, and is valid for writes.
    unsafe { get_option(socket, libc::SO_PEERCRED, &mut cred) }?;
    // SAFETY: it was zeroed, and any bytes make one.
    Ok(unsafe { cred.assume_init() })
}

/// `getsockopt(SO_PEERPIDFD)`, Linux 6.5.
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let mut pidfd = MaybeUninit::<RawFd>::new(-1);
    // SAFETY: the value may be any number, and is valid for writes.
    unsafe { get_option(socket, SO_PEERPIDFD, &mut pidfd) }?;
    // SAFETY: it was initialised.
    let pidfd = unsafe { pidfd.assume_init() };
    // SAFETY: the call has succeeded and made this descriptor, close-on-exec, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// `getsockname` of a Unix socket: what the kernel has of `sun_path`.
pub(crate) fn local_name(socket: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    name(socket, libc::getsockname)
}

/// `getpeername` of a Unix socket: what the kernel has of `sun_path`.
pub(crate) fn peer_name(socket: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    name(socket, libc::getpeername)
}

/// Not rustix's: a path that fills `sun_path`, which other programs may have, is out of its bounds.
fn name(
    socket: BorrowedFd<'_>,
    call: unsafe extern "C" fn(
        libc::c_int,
        *mut libc::sockaddr,
        *mut libc::socklen_t,
    ) -> libc::c_int,
) -> Result<Vec<u8>, Errno> {
    let mut name = MaybeUninit::<libc::sockaddr_un>::zeroed();
    let mut len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: it is one of the two above, and the name is valid for writes of its length, which is all
    // that the kernel writes.
    if unsafe { call(socket.as_raw_fd(), name.as_mut_ptr().cast(), &raw mut len) } == -1 {
        return Err(last_errno());
    }
    // SAFETY: it was zeroed, and any bytes make one.
    let name = unsafe { name.assume_init() };
    Ok(control::sun_path(&name, len))
}

/// `ioctl(TIOCOUTQ)`
pub(crate) fn unsent(socket: BorrowedFd<'_>) -> Result<libc::c_int, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the number is valid for writes, which is all this does.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) } {
        -1 => Err(last_errno()),
        _ => Ok(bytes),
    }
}

/// How many messages were dropped because the receive buffer was full: `getsockopt(SO_MEMINFO)`.
pub(crate) fn dropped(socket: BorrowedFd<'_>) -> Result<u32, Errno> {
    /// `SK_MEMINFO_VARS`, and which of them it is: `SK_MEMINFO_DROPS`.
    const COUNT: usize = 9;
    const DROPS: usize = 8;
    let mut info = MaybeUninit::<[u32; COUNT]>::zeroed();
    // SAFETY: the value may be any numbers, and is valid for writes.
    unsafe { get_option(socket, libc::SO_MEMINFO, &mut info) }?;
    // SAFETY: it was zeroed, and any bytes make numbers.
    Ok(unsafe { info.assume_init() }[DROPS])
}

/// Reads an option of level `SOL_SOCKET`.
///
/// # Safety
///
/// Any bytes that the kernel may write must make a `T`.
unsafe fn get_option<T>(
    socket: BorrowedFd<'_>,
    option: libc::c_int,
    value: &mut MaybeUninit<T>,
) -> Result<(), Errno> {
    let mut len = size_of::<T>() as libc::socklen_t;
    let (fd, to) = (socket.as_raw_fd(), value.as_mut_ptr().cast());
    // SAFETY: the descriptor is open, and the value is valid for writes of its size, which is all
    // that the kernel writes.
    match unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, to, &raw mut len) } {
        -1 => Err(last_errno()),
        _ => Ok(()),
    }
}

/// The errno of the call that this thread made last.
#[cold]
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Runs `op` while no signal is delivered to this thread: a thread that it starts never gets one.
#[cfg(feature = "kcp")]
pub(crate) fn with_signals_blocked<T>(op: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is valid for writes, and any bytes make one.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the first set was filled, the second is valid for writes.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let result = op();
    // SAFETY: the set is the one that the call above wrote.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}

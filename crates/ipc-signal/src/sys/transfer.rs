//! Sending, waiting and `signalfd`: one safe function for each call.
//!
//! They are made without the C library: its `sigqueue` asks for pid and uid with two more calls, and
//! its `sigtimedwait` is a cancellation point, at which a thread would leave Rust code without
//! unwinding it.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::io::Errno;

use super::info::{FdInfo, INFO_BYTES, SigInfo};
use super::{SET_BYTES, check};

/// `kill`: `pid` may be negative here, for a group, as the kernel has it.
pub(crate) fn kill(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: `kill` takes two integers and touches no memory of ours.
    check(unsafe { libc::syscall(libc::SYS_kill, pid, signal) }).map(drop)
}

/// `tgkill`: a thread of a process.
pub(crate) fn tgkill(pid: i32, tid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: `tgkill` takes three integers and touches no memory of ours.
    check(unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) }).map(drop)
}

/// `pidfd_send_signal`, as `kill` does it, or with a value as `sigqueue` does.
#[inline]
pub(crate) fn send(
    pidfd: BorrowedFd<'_>,
    signal: i32,
    info: Option<&SigInfo>,
) -> Result<(), Errno> {
    let fd = pidfd.as_raw_fd();
    let info = info.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the descriptor is open, whatever it is; the kernel reads 128 bytes of the information
    // or takes null, and there are no flags.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, 0) }).map(drop)
}

/// `rt_sigqueueinfo`: a process by its number.
pub(crate) fn queue(pid: i32, signal: i32, info: &SigInfo) -> Result<(), Errno> {
    let info = ptr::from_ref(info);
    // SAFETY: the kernel reads 128 bytes of the information.
    check(unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal, info) }).map(drop)
}

/// `rt_tgsigqueueinfo`: a thread of a process.
pub(crate) fn queue_thread(pid: i32, tid: i32, signal: i32, info: &SigInfo) -> Result<(), Errno> {
    let info = ptr::from_ref(info);
    // SAFETY: the kernel reads 128 bytes of the information.
    let returned = unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, signal, info) };
    check(returned).map(drop)
}

/// How long a wait may sleep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sleep {
    /// As long as it takes.
    Forever,
    /// Seconds and nanoseconds from now; zero for not at all.
    For(KernelTime),
}

/// The `timespec` of the calls that this file makes: the kernel's word for the time is as long as a
/// pointer in those that have had it from the beginning.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct KernelTime {
    pub(crate) sec: libc::c_long,
    pub(crate) nsec: libc::c_long,
}

impl KernelTime {
    pub(crate) const ZERO: Self = Self { sec: 0, nsec: 0 };
}

/// `rt_sigtimedwait`: takes one pending signal of the set, and waits for one if there is none.
///
/// `EAGAIN` when the time is over, `EINTR` when another signal was handled.
#[inline]
pub(crate) fn wait(set: u64, sleep: Sleep, info: Option<&mut SigInfo>) -> Result<i32, Errno> {
    let set = &raw const set;
    let info = info.map_or(ptr::null_mut(), ptr::from_mut);
    let timeout = match &sleep {
        Sleep::Forever => ptr::null(),
        Sleep::For(time) => ptr::from_ref(time),
    };
    // SAFETY: the set is 8 bytes of this stack, as the length says; the kernel writes 128 bytes of
    // information or takes null; the time is null or on this stack.
    let returned =
        unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, info, timeout, SET_BYTES) };
    // Signals are small numbers.
    check(returned).map(|signal| signal as i32)
}

/// `signalfd4` with close-on-exec: a new descriptor.
pub(crate) fn signalfd(set: u64) -> Result<OwnedFd, Errno> {
    const NEW: libc::c_int = -1;
    let set = &raw const set;
    // SAFETY: the set is 8 bytes of this stack, as the length says.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_signalfd4, NEW, set, SET_BYTES, libc::SFD_CLOEXEC)
    })?;
    // SAFETY: the call has just returned this descriptor, so that nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `signalfd4` on a descriptor that there is: changes its set.
pub(crate) fn set_signalfd(fd: BorrowedFd<'_>, set: u64) -> Result<(), Errno> {
    let (fd, set) = (fd.as_raw_fd(), &raw const set);
    // SAFETY: the descriptor is open, whatever it is: the kernel refuses what is no signalfd. The
    // set is 8 bytes of this stack, as the length says.
    check(unsafe { libc::syscall(libc::SYS_signalfd4, fd, set, SET_BYTES, 0) }).map(drop)
}

/// `read` of a signalfd, which sleeps while nothing is pending: how many signals came.
#[inline]
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [FdInfo]) -> Result<usize, Errno> {
    let (fd, len) = (fd.as_raw_fd(), size_of_val(buf));
    let data = buf.as_mut_ptr();
    // SAFETY: the descriptor is open, and the kernel writes `len` bytes at most, which are the
    // slice's; any bytes make an `FdInfo`.
    let returned = unsafe { libc::syscall(libc::SYS_read, fd, data, len) };
    check(returned).map(|len| len as usize / INFO_BYTES)
}

/// `preadv2` of a signalfd with `RWF_NOWAIT`: how many signals came; `EAGAIN` when nothing is pending,
/// `EOPNOTSUPP` on kernels that do not read a signalfd so.
#[inline]
pub(crate) fn read_now(fd: BorrowedFd<'_>, buf: &mut [FdInfo]) -> Result<usize, Errno> {
    const HERE: libc::c_long = -1;
    let (fd, len) = (fd.as_raw_fd(), size_of_val(buf));
    let iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: len };
    let vector = &raw const iov;
    // SAFETY: the descriptor is open, there is one vector, and the kernel writes `iov_len` bytes at
    // most, which are the slice's; any bytes make an `FdInfo`.
    let returned =
        unsafe { libc::syscall(libc::SYS_preadv2, fd, vector, 1, HERE, HERE, libc::RWF_NOWAIT) };
    check(returned).map(|len| len as usize / INFO_BYTES)
}

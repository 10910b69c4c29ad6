//! `mq_open`, `mq_send` and their family: one safe function for each call.

use std::ffi::{CStr, c_long, c_uint};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{check, last_errno};

/// The moment 0 of `CLOCK_REALTIME`: with this deadline a call does what it can do at once, and the
/// kernel puts nobody to sleep (`schedule_hrtimeout` returns at once for zero).
///
/// It is as long as any `timespec` of any kernel, and all its bytes are zero.
static PAST: [u64; 2] = [0; 2];

/// What `mq_getattr` says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attr {
    pub(crate) flags: c_long,
    pub(crate) maxmsg: c_long,
    pub(crate) msgsize: c_long,
    pub(crate) curmsgs: c_long,
}

/// Whether a call may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// As long as it takes.
    Forever,
    /// Not at all: `ETIMEDOUT`, or `EAGAIN` if somebody has set `O_NONBLOCK`.
    Never,
}

/// `mq_open`; `name` begins with a slash. Every descriptor of a queue is close-on-exec.
pub(crate) fn open(name: &CStr, access: OFlags) -> Result<OwnedFd, Errno> {
    let flags = (access | OFlags::CLOEXEC).bits().cast_signed();
    // SAFETY: the name ends in a NUL, and without `O_CREAT` there are no further arguments.
    let fd = check(unsafe { libc::mq_open(name.as_ptr(), flags) })?;
    // SAFETY: the call has just returned this descriptor, so that nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `mq_open` with `O_CREAT | O_EXCL` and mode 0600; the sizes are the kernel's defaults without
/// `sizes`.
pub(crate) fn create(
    name: &CStr,
    access: OFlags,
    sizes: Option<(c_long, c_long)>,
) -> Result<OwnedFd, Errno> {
    let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut attr = zero_attr();
    if let Some((maxmsg, msgsize)) = sizes {
        attr.mq_maxmsg = maxmsg;
        attr.mq_msgsize = msgsize;
    }
    let attr_or_null = if sizes.is_some() { &raw const attr } else { ptr::null() };
    let (flags, mode): (i32, c_uint) = (flags.bits().cast_signed(), 0o600);
    // SAFETY: the name ends in a NUL. With `O_CREAT` the call takes a mode and a pointer that is
    // null or points to attributes, which it only reads and which outlive it.
    let fd = check(unsafe { libc::mq_open(name.as_ptr(), flags, mode, attr_or_null) })?;
    // SAFETY: the call has just returned this descriptor, so that nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `mq_unlink`
pub(crate) fn unlink(name: &CStr) -> Result<(), Errno> {
    // SAFETY: the name ends in a NUL.
    check(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}

/// `mq_timedsend` without a deadline, which is `mq_send`, or with one that has passed
///
/// It is made without the C library, whose function is a cancellation point: that costs 3 % of a
/// round trip, and a thread that is cancelled there would leave Rust code without unwinding it.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, msg: &[u8], prio: u32, sleep: Sleep) -> Result<(), Errno> {
    let (fd, data, len) = (fd.as_raw_fd(), msg.as_ptr(), msg.len());
    let deadline = deadline(sleep);
    // SAFETY: the descriptor is open, the kernel reads `len` bytes of the slice, and the deadline
    // is null or a static.
    let returned = unsafe { libc::syscall(libc::SYS_mq_timedsend, fd, data, len, prio, deadline) };
    if returned == -1 { Err(last_errno()) } else { Ok(()) }
}

/// `mq_timedreceive` without a deadline, which is `mq_receive`, or with one that has passed: the
/// length and the priority
///
/// As [`send`], without the C library.
#[inline]
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    buf: &mut [u8],
    sleep: Sleep,
) -> Result<(usize, u32), Errno> {
    let mut prio = 0_u32;
    let (fd, data, len) = (fd.as_raw_fd(), buf.as_mut_ptr(), buf.len());
    let (to, deadline) = (&raw mut prio, deadline(sleep));
    // SAFETY: the descriptor is open, the kernel writes `len` bytes of the slice at most, and the
    // priority, which is on this stack. The deadline is null or a static.
    let returned = unsafe { libc::syscall(libc::SYS_mq_timedreceive, fd, data, len, to, deadline) };
    match usize::try_from(returned) {
        Ok(len) => Ok((len, prio)),
        Err(_) => Err(last_errno()),
    }
}

/// What the kernel takes for a deadline.
#[inline]
fn deadline(sleep: Sleep) -> *const [u64; 2] {
    match sleep {
        Sleep::Forever => ptr::null(),
        Sleep::Never => &raw const PAST,
    }
}

/// `mq_getattr`
pub(crate) fn getattr(fd: BorrowedFd<'_>) -> Result<Attr, Errno> {
    let mut attr = zero_attr();
    // SAFETY: the descriptor is open, whatever it is: the kernel refuses what is not a queue. The
    // call writes attributes to where there is room for them.
    check(unsafe { libc::mq_getattr(fd.as_raw_fd(), &raw mut attr) })?;
    Ok(Attr {
        flags: attr.mq_flags,
        maxmsg: attr.mq_maxmsg,
        msgsize: attr.mq_msgsize,
        curmsgs: attr.mq_curmsgs,
    })
}

/// `mq_notify` with a signal that carries `value`
pub(crate) fn notify(fd: BorrowedFd<'_>, signal: i32, value: i32) -> Result<(), Errno> {
    // SAFETY: `sigevent` consists of integers and pointers, for all of which zero is a value.
    let mut event: libc::sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = signal;
    // The kernel and C see a union, whose integer lies in the first four bytes.
    event.sigev_value.sival_ptr = union_of(value);
    // SAFETY: the descriptor is open and the event outlives the call, which reads it only. The
    // kernel refuses signals that do not exist.
    check(unsafe { libc::mq_notify(fd.as_raw_fd(), &raw const event) }).map(drop)
}

/// `mq_notify` without an event: ends this process's notification
pub(crate) fn notify_none(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the descriptor is open, and a null pointer asks for the end of the notification.
    check(unsafe { libc::mq_notify(fd.as_raw_fd(), ptr::null()) }).map(drop)
}

/// `union sigval` whose member `sival_int` is `value`.
fn union_of(value: i32) -> *mut libc::c_void {
    let mut bytes = [0; size_of::<usize>()];
    bytes[..4].copy_from_slice(&value.to_ne_bytes());
    ptr::without_provenance_mut(usize::from_ne_bytes(bytes))
}

fn zero_attr() -> libc::mq_attr {
    // SAFETY: the structure consists of integers, for which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

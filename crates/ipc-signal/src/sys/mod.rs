//! The system calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "every block of the crate that the compiler cannot check is here")]

pub(crate) mod action;
pub(crate) mod info;
pub(crate) mod timer;
pub(crate) mod transfer;

use rustix::io::Errno;

/// The length of a set of signals as the kernel takes it, in bytes: 64 signals.
pub(crate) const SET_BYTES: usize = 8;

/// What to do with the signals of a set: `rt_sigprocmask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Block them too.
    Block,
    /// Block them no more.
    Unblock,
    /// Block them and no others.
    Set,
}

/// `rt_sigprocmask`: changes the mask of the calling thread, and returns what it was.
///
/// Without the C library, whose wrapper would hide the signals that it keeps for itself: a mask that
/// is put back must be the whole one.
pub(crate) fn change_mask(how: How, set: u64) -> Result<u64, Errno> {
    let how = match how {
        How::Block => libc::SIG_BLOCK,
        How::Unblock => libc::SIG_UNBLOCK,
        How::Set => libc::SIG_SETMASK,
    };
    let mut old = 0_u64;
    let (new, old_to) = (&raw const set, &raw mut old);
    // SAFETY: both pointers are to 8 bytes of this stack, as the length says.
    let returned = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new, old_to, SET_BYTES) };
    check(returned).map(|_| old)
}

/// `rt_sigpending`: blocked signals that wait for this thread or this process.
pub(crate) fn pending() -> Result<u64, Errno> {
    let mut set = 0_u64;
    let to = &raw mut set;
    // SAFETY: the pointer is to 8 bytes of this stack, as the length says.
    let returned = unsafe { libc::syscall(libc::SYS_rt_sigpending, to, SET_BYTES) };
    check(returned).map(|_| set)
}

/// `getpgrp`: 0 where the group's leader is in another pid namespace, for which rustix has no room.
pub(crate) fn process_group() -> i32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::getpgrp() }
}

/// The errno of the call that this thread made last.
#[cold]
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The errno of a call that returns -1 when it fails.
#[inline]
fn check(returned: libc::c_long) -> Result<libc::c_long, Errno> {
    if returned == -1 { Err(last_errno()) } else { Ok(returned) }
}

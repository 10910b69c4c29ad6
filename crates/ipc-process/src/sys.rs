//! The system calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "every block of the crate that the compiler cannot check is here")]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use rustix::io::Errno;

/// Where `fork` has returned.
#[derive(Debug)]
pub(crate) enum Forked {
    /// In the new process.
    Child,
    /// In the old one, with the new one's pid.
    Parent(i32),
}

/// `fork`, by way of the C library: its handlers keep `malloc` and its other locks usable in the
/// child, which the bare `clone` would not.
///
/// # Safety
///
/// As [`crate::ForkOptions::fork`] says. In the child the caller must not return.
pub(crate) unsafe fn fork() -> Result<Forked, Errno> {
    // SAFETY: the caller has promised what there is to promise.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// `_exit`: no handler of `atexit`, no destructor and no buffer of the C library.
pub(crate) fn exit_now(code: u8) -> ! {
    // SAFETY: the call takes any number and ends the process.
    unsafe { libc::_exit(code.into()) }
}

/// `pidfd_send_signal`, also with signal 0, which only looks whether there is a process.
pub(crate) fn pidfd_send_signal(fd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let (fd, info, flags) = (fd.as_raw_fd(), ptr::null::<libc::siginfo_t>(), 0);
    // SAFETY: the descriptor is open, and without details the kernel reads no memory.
    let returned = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, flags) };
    if returned == -1 { Err(last_errno()) } else { Ok(()) }
}

/// `prctl(PR_SET_PDEATHSIG)`, with any signal; 0 for none.
pub(crate) fn set_parent_death_signal(signal: i32) -> Result<(), Errno> {
    let signal = libc::c_ulong::from(signal.unsigned_abs());
    // SAFETY: this option takes a number and touches no memory.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) }).map(drop)
}

/// Ends this process by `signal`, or, should it be blocked or handled, anyway.
pub(crate) fn die_by(signal: i32) -> ! {
    // SAFETY: the call takes any number; what the signal does is this process's disposition of it.
    unsafe { libc::raise(signal) };
    exit_now(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// Has `signal` sent to the child of `command` when its parent's thread ends, which must be in
/// process `parent`.
pub(crate) fn arm_parent_death_signal(command: &mut Command, signal: i32, parent: i32) {
    let arm = move || {
        set_parent_death_signal(signal)?;
        if parent_is(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed.
    // It makes two system calls and compares numbers, and does not allocate: `Errno` is a number.
    unsafe { command.pre_exec(arm) };
}

/// Whether `pid` is this process's parent.
pub(crate) fn parent_is(pid: i32) -> bool {
    // SAFETY: `getppid` takes nothing and cannot fail.
    unsafe { libc::getppid() == pid }
}

/// The signals that a thread had blocked.
pub(crate) struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mask").finish_non_exhaustive()
    }
}

/// Blocks signals in this thread, and tells what was blocked before.
pub(crate) fn block_signals(signals: &[i32]) -> Result<Mask, Errno> {
    let set = set_of(signals);
    let mut old = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both point to signal sets; the call fills `old`. It changes this thread's mask alone.
    let failed =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, old.as_mut_ptr()) };
    if failed != 0 {
        return Err(Errno::from_raw_os_error(failed));
    }
    // SAFETY: the call has filled it.
    Ok(Mask(unsafe { old.assume_init() }))
}

/// Gives this thread back the mask that it had.
pub(crate) fn restore_signals(mask: &Mask) {
    // SAFETY: the mask was filled by the kernel, and a null pointer asks for nothing back.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask.0, ptr::null_mut()) };
}

/// `signalfd4(SFD_CLOEXEC | SFD_NONBLOCK)`
pub(crate) fn signalfd(signals: &[i32]) -> Result<OwnedFd, Errno> {
    let set = set_of(signals);
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set was filled, and -1 asks for a new descriptor.
    let fd = check(unsafe { libc::signalfd(-1, &raw const set, flags) })?;
    // SAFETY: the call has just returned this descriptor, so that nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The set of some valid signals.
fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call fills the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for signal in signals {
        // SAFETY: the set was filled by the call before; a signal that does not exist is refused.
        unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) };
    }
    // SAFETY: it was filled.
    unsafe { set.assume_init() }
}

/// The highest signal number there is.
pub(crate) fn highest_signal() -> i32 {
    libc::SIGRTMAX()
}

/// The lowest realtime signal that the C library leaves to programs.
pub(crate) fn lowest_realtime_signal() -> i32 {
    libc::SIGRTMIN()
}

/// The errno of the call that this thread made last.
#[cold]
fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// The errno of a call that returns -1 when it fails.
fn check(returned: libc::c_int) -> Result<libc::c_int, Errno> {
    if returned == -1 { Err(last_errno()) } else { Ok(returned) }
}

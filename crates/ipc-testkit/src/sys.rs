//! What has no safe interface: signal handlers, `tgkill`, a child that inherits a descriptor, and
//! bytes of a region.
#![expect(unsafe_code, reason = "system calls without a safe wrapper; all unsafe code is here")]

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use ipc_core::{Region, RegionMut};
use rustix::process::Pid;

/// How many signals [`count_signals`]' handler has seen.
static SEEN: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    SEEN.fetch_add(1, Ordering::SeqCst);
}

/// Counts `SIGUSR1` in a handler without `SA_RESTART`, so that it interrupts system calls.
pub(crate) fn count_signals() {
    // SAFETY: a `sigaction` of zeros is a valid one: no flags (no SA_RESTART), an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the pointer is to a valid `sigaction`, null asks for no old one, and the handler only
    // adds to an atomic, which is async-signal-safe.
    let result = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0, "sigaction: {}", io::Error::last_os_error());
}

/// How many signals were handled since the process began.
pub(crate) fn signals_seen() -> u64 {
    SEEN.load(Ordering::SeqCst)
}

/// Sends `SIGUSR1` to one thread of this process; `false` when the thread has ended.
pub(crate) fn interrupt_thread(tid: Pid) -> bool {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let tid = tid.as_raw_nonzero().get();
    // SAFETY: tgkill takes three integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGUSR1) == 0 }
}

/// Gives `SIGPIPE` its default disposition, to end the process, which Rust's runtime has taken
/// away.
pub fn default_sigpipe() {
    // SAFETY: SIG_DFL installs no handler, so that nothing of ours runs in a signal's context.
    let previous = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    assert_ne!(previous, libc::SIG_ERR, "signal: {}", io::Error::last_os_error());
}

/// Takes back what this process inherited of ignored and blocked signals: a case begins alike in a shell, in
/// the background and under `nohup`. `SIGPIPE` stays as Rust's runtime has it.
pub(crate) fn reset_signals() {
    for signal in (1..=libc::SIGRTMAX()).filter(|it| *it != libc::SIGPIPE) {
        // SAFETY: a `sigaction` of zeros is a valid one.
        let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: without a new action the call only writes the present one. It refuses numbers that the C
        // library keeps for itself.
        let read = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
        if read == 0 && now.sa_sigaction == libc::SIG_IGN {
            // SAFETY: SIG_DFL installs no handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    // SAFETY: a set of zeros is an empty one on Linux, and the call only reads it.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is valid, and a null pointer asks for nothing back.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// Lets the child that `command` starts inherit `fd` under the same number.
pub(crate) fn inherit(command: &mut Command, fd: OwnedFd) {
    let keep = move || {
        rustix::io::fcntl_setfd(fd.as_fd(), rustix::io::FdFlags::empty())?;
        Ok(())
    };
    // SAFETY: the closure makes one system call and neither allocates nor locks.
    unsafe { command.pre_exec(keep) };
}

/// Takes possession of a descriptor that this process inherited.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // Is it open at all?
    std::fs::metadata(format!("/proc/self/fd/{fd}"))?;
    // SAFETY: it is open, and the caller's ticket says that the parent left it for us alone; who
    // adopts twice is stopped by the ticket that was removed.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads one byte of a region.
pub(crate) fn load(region: &impl Region, at: usize) -> u8 {
    byte(region, at).load(Ordering::Acquire)
}

/// Writes one byte of a region.
pub(crate) fn store(region: &impl RegionMut, at: usize, value: u8) {
    byte(region, at).store(value, Ordering::Release);
}

fn byte(region: &impl Region, at: usize) -> &AtomicU8 {
    assert!(at < region.len(), "byte {at} of a region of {} bytes", region.len());
    // SAFETY: `at` lies within the region, so that the address stays in the same mapping.
    let address = unsafe { region.base().add(at) };
    // SAFETY: `Region` promises mapped memory that lives as long as the value, which the returned
    // reference borrows; an atomic byte needs no alignment and may be written by others.
    unsafe { AtomicU8::from_ptr(address.as_ptr()) }
}

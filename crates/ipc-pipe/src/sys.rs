//! The system calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "every block of the crate that the compiler cannot check is here")]

use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::ptr;

use rustix::io::Errno;
use rustix::pipe::{IoSliceRaw, SpliceFlags};

/// Whether a write to a closed pipe sends a signal that does something.
pub(crate) fn sigpipe_is_ignored() -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes the present one to `now`.
    let read = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), now.as_mut_ptr()) };
    // SAFETY: the call has filled `now` if it returned 0.
    read == 0 && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Runs a write with `SIGPIPE` blocked in this thread, and swallows the signal that it caused.
///
/// A `SIGPIPE` that was pending before stays pending.
pub(crate) fn without_sigpipe<T>(write: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let sigpipe = sigpipe_set();
    let was_pending = is_pending();
    let mut old = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both point to signal sets; the call fills `old`. It changes this thread's mask alone.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const sigpipe, old.as_mut_ptr()) };

    let result = write();

    // Whatever the result: a write that lost its reader half way returns what it has written, and the
    // signal is there all the same. Without one the call returns at once.
    if !was_pending {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the set and the timeout are valid for the call, and it stores no details. The
        // signal of a write is directed at this thread, so that it is pending here or nowhere.
        unsafe { libc::sigtimedwait(&raw const sigpipe, ptr::null_mut(), &raw const now) };
    }
    // SAFETY: the first call has filled `old`, and a null pointer asks for nothing back.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut()) };
    result
}

/// The set that holds `SIGPIPE` alone.
fn sigpipe_set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call fills the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was filled by the call before, and the signal's number is valid.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: it was filled.
    unsafe { set.assume_init() }
}

/// Whether a `SIGPIPE` is pending for this thread or process.
fn is_pending() -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call fills the set.
    let filled = unsafe { libc::sigpending(set.as_mut_ptr()) } == 0;
    // SAFETY: the call has filled the set if it returned 0, and the signal's number is valid.
    filled && unsafe { libc::sigismember(set.as_ptr(), libc::SIGPIPE) } == 1
}

/// Puts references to the pages of `bytes` into a pipe.
pub(crate) fn vmsplice(
    pipe: impl AsFd,
    bytes: &'static [u8],
    flags: SpliceFlags,
) -> Result<usize, Errno> {
    let bufs = [IoSliceRaw::from_slice(bytes)];
    // SAFETY: the caller has the writing end, so that the kernel only reads the bytes. They are
    // never changed and never freed, so that whoever reads the pipe, whenever, sees these bytes. The
    // pages are not gifted.
    unsafe { rustix::pipe::vmsplice(pipe, &bufs, flags) }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Command;

    use super::*;

    /// A write that is longer than the pipe loses its reader half way: it returns a count, and the
    /// signal must not come through. In a process of its own, since it would end it.
    #[test]
    fn a_write_that_loses_its_reader_half_way_raises_no_signal() {
        const CHILD: &str = "IPC_PIPE_TEST_SIGPIPE";
        if std::env::var_os(CHILD).is_none() {
            let name = "sys::tests::a_write_that_loses_its_reader_half_way_raises_no_signal";
            let mut child = Command::new(std::env::current_exe().expect("own path"));
            let output = child.args(["--exact", name]).env(CHILD, "1").output().expect("run");
            assert!(output.status.success(), "{output:?}");
            return;
        }
        // SAFETY: the default disposition runs no code of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let (mut rx, tx) = std::io::pipe().expect("pipe");
        let reader = std::thread::spawn(move || rx.read(&mut [0; 100]).expect("read"));
        let written = without_sigpipe(|| rustix::io::write(&tx, &[7; 1_000_000]));
        assert!(written.is_ok_and(|n| n > 0 && n < 1_000_000), "{written:?}");
        assert_eq!(reader.join().expect("join"), 100);
        assert_eq!(without_sigpipe(|| rustix::io::write(&tx, b"x")), Err(Errno::PIPE));
    }
}

//! Bare system calls: the raw variants, and what a thread has used.
#![expect(unsafe_code, reason = "the raw variants exist to call the system without any help")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use ipc_bench_schema::WaitMode;

use crate::patience::Patience;

/// One end of a byte stream or packet pipe, for bare system calls.
#[derive(Debug)]
pub(crate) struct Raw {
    fd: OwnedFd,
    /// A non-blocking open file description, where the kernel refuses `RWF_NOWAIT`.
    twin: Option<OwnedFd>,
}

impl Raw {
    /// The reading end.
    pub(crate) fn reader(fd: OwnedFd, nowait: bool) -> io::Result<Self> {
        Self::new(fd, nowait, libc::O_RDONLY)
    }

    /// The writing end.
    pub(crate) fn writer(fd: OwnedFd, nowait: bool) -> io::Result<Self> {
        Self::new(fd, nowait, libc::O_WRONLY)
    }

    fn new(fd: OwnedFd, nowait: bool, access: i32) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        if nowait {
            return Ok(Self { fd, twin: None });
        }
        let mut options = std::fs::OpenOptions::new();
        options.read(access == libc::O_RDONLY).write(access == libc::O_WRONLY);
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let twin = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        Ok(Self { fd, twin: Some(twin.into()) })
    }

    /// Reads once, as the cell says: a call that sleeps, or a non-blocking one until it works.
    #[inline]
    pub(crate) fn read(&self, buf: &mut [u8], wait: WaitMode) -> io::Result<usize> {
        as_told(wait, again, |sleep| match sleep {
            true => self.read_blocking(buf),
            false => self.read_now(buf),
        })
    }

    /// Writes once, as [`read`](Self::read) reads.
    #[inline]
    pub(crate) fn write(&self, buf: &[u8], wait: WaitMode) -> io::Result<usize> {
        as_told(wait, again, |sleep| match sleep {
            true => self.write_blocking(buf),
            false => self.write_now(buf),
        })
    }

    /// `read`
    #[inline]
    fn read_blocking(&self, buf: &mut [u8]) -> isize {
        // SAFETY: the descriptor is open and the buffer is valid for writes of its length.
        unsafe { syscall(libc::SYS_read, &self.fd, buf.as_mut_ptr(), buf.len()) }
    }

    /// `write`
    #[inline]
    fn write_blocking(&self, buf: &[u8]) -> isize {
        // SAFETY: the descriptor is open and the buffer is valid for reads of its length.
        unsafe { syscall(libc::SYS_write, &self.fd, buf.as_ptr(), buf.len()) }
    }

    /// `preadv2(RWF_NOWAIT)`, or `read` of the non-blocking twin
    #[inline]
    fn read_now(&self, buf: &mut [u8]) -> isize {
        if let Some(twin) = &self.twin {
            // SAFETY: the descriptor is open and the buffer is valid for writes of its length.
            return unsafe { syscall(libc::SYS_read, twin, buf.as_mut_ptr(), buf.len()) };
        }
        let iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        // SAFETY: the descriptor is open and the one vector is a buffer valid for writes.
        unsafe { vectored(libc::SYS_preadv2, &self.fd, &iov) }
    }

    /// `pwritev2(RWF_NOWAIT)`, or `write` of the non-blocking twin
    #[inline]
    fn write_now(&self, buf: &[u8]) -> isize {
        if let Some(twin) = &self.twin {
            // SAFETY: the descriptor is open and the buffer is valid for reads of its length.
            return unsafe { syscall(libc::SYS_write, twin, buf.as_ptr(), buf.len()) };
        }
        let iov = libc::iovec { iov_base: buf.as_ptr().cast_mut().cast(), iov_len: buf.len() };
        // SAFETY: the descriptor is open and the one vector is a buffer valid for reads, which is all
        // that this call does with it.
        unsafe { vectored(libc::SYS_pwritev2, &self.fd, &iov) }
    }
}

/// A socket, for bare system calls.
#[derive(Debug)]
pub(crate) struct RawSocket(OwnedFd);

impl RawSocket {
    pub(crate) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// `sendto`, as the cell says: a call that sleeps, or a non-blocking one until it works.
    #[inline]
    pub(crate) fn send(&self, buf: &[u8], wait: WaitMode) -> io::Result<usize> {
        let (ptr, len) = (buf.as_ptr(), buf.len());
        as_told(wait, again, |sleep| {
            let flags = if sleep { NOSIGNAL } else { NOSIGNAL | DONTWAIT };
            // SAFETY: the buffer is valid for reads of its length, which is all that the call does.
            unsafe { transfer(libc::SYS_sendto, &self.0, ptr, len, flags) }
        })
    }

    /// `recvfrom`, as [`send`](Self::send) sends.
    #[inline]
    pub(crate) fn recv(&self, buf: &mut [u8], wait: WaitMode) -> io::Result<usize> {
        let (ptr, len) = (buf.as_mut_ptr(), buf.len());
        as_told(wait, again, |sleep| {
            // SAFETY: the buffer is valid for writes of its length.
            unsafe {
                transfer(libc::SYS_recvfrom, &self.0, ptr, len, if sleep { 0 } else { DONTWAIT })
            }
        })
    }
}

const NOSIGNAL: libc::c_long = libc::MSG_NOSIGNAL as libc::c_long;
const DONTWAIT: libc::c_long = libc::MSG_DONTWAIT as libc::c_long;

/// `sendto` or `recvfrom` without an address, and without the C library's cancellation points.
///
/// # Safety
///
/// The buffer must be valid for what the call does to its `len` bytes.
#[inline]
unsafe fn transfer(
    call: libc::c_long,
    fd: &OwnedFd,
    buf: *const u8,
    len: usize,
    flags: libc::c_long,
) -> isize {
    const NOBODY: libc::c_long = 0;
    // SAFETY: the descriptor is open, and the caller has promised the rest.
    unsafe { libc::syscall(call, fd.as_raw_fd(), buf, len, flags, NOBODY, NOBODY) as isize }
}

/// `read` or `write` without the C library's cancellation points, which cost a few nanoseconds.
///
/// # Safety
///
/// The buffer must be valid for what the call does to its `len` bytes.
#[inline]
unsafe fn syscall(call: libc::c_long, fd: &OwnedFd, buf: *const u8, len: usize) -> isize {
    // SAFETY: the descriptor is open, and the caller has promised the rest.
    unsafe { libc::syscall(call, fd.as_raw_fd(), buf, len) as isize }
}

/// `preadv2(RWF_NOWAIT)` or `pwritev2(RWF_NOWAIT)`, without cancellation points as well.
///
/// # Safety
///
/// The buffer must be valid for what the call does to it.
#[inline]
unsafe fn vectored(call: libc::c_long, fd: &OwnedFd, iov: &libc::iovec) -> isize {
    const HERE: libc::c_long = -1;
    let (fd, iov) = (fd.as_raw_fd(), std::ptr::from_ref(iov));
    // SAFETY: the descriptor is open, there is one vector, and the caller has promised the rest.
    unsafe { libc::syscall(call, fd, iov, 1, HERE, HERE, libc::RWF_NOWAIT) as isize }
}

/// Ends this process with status 0 when `SIGUSR1` comes.
pub(crate) fn end_on_signal() -> io::Result<()> {
    extern "C" fn end(_signal: libc::c_int) {
        // SAFETY: `_exit` is async-signal-safe; another process has printed this one's report.
        unsafe { libc::_exit(0) }
    }
    let end = end as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler calls nothing but `_exit`.
    match unsafe { libc::signal(libc::SIGUSR1, end) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// What is printed when [`answer_by_alarm`]'s time is over.
static LAST_WORDS: OnceLock<Vec<u8>> = OnceLock::new();

/// Prints `answer` and ends this process with status 0, in so many seconds.
///
/// It is a handler, and no thread or deadline, so that what is measured is not touched.
pub(crate) fn answer_by_alarm(answer: Vec<u8>, seconds: u32) -> io::Result<()> {
    extern "C" fn end(_signal: libc::c_int) {
        // A look at a cell that was written before the handler was installed takes no lock.
        if let Some(words) = LAST_WORDS.get() {
            // SAFETY: `write` is async-signal-safe, and the bytes live as long as the program.
            unsafe { libc::write(libc::STDOUT_FILENO, words.as_ptr().cast(), words.len()) };
        }
        // SAFETY: `_exit` is async-signal-safe.
        unsafe { libc::_exit(0) }
    }
    let _ = LAST_WORDS.set(answer);
    let end = end as extern "C" fn(libc::c_int) as libc::sighandler_t;
    // SAFETY: the handler makes two async-signal-safe calls and does nothing else.
    if unsafe { libc::signal(libc::SIGALRM, end) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `alarm` takes an integer and touches no memory of ours.
    unsafe { libc::alarm(seconds) };
    Ok(())
}

/// Takes back [`answer_by_alarm`].
pub(crate) fn no_alarm() {
    // SAFETY: as above.
    unsafe { libc::alarm(0) };
}

/// What a call returned, or its errno.
#[inline]
fn count(returned: isize) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// Makes a call as the cell says: `call(true)`, which sleeps, or `call(false)`, which does not, until it does
/// not fail with an errno that says "not yet"; or this for a while and then that.
#[inline]
pub(crate) fn as_told(
    wait: WaitMode,
    not_yet: impl Fn(i32) -> bool,
    mut call: impl FnMut(bool) -> isize,
) -> io::Result<usize> {
    if wait == WaitMode::Block {
        return count(call(true));
    }
    let mut patience = Patience::of(wait);
    loop {
        match count(call(false)) {
            Err(error) if error.raw_os_error().is_some_and(&not_yet) => {
                if patience.is_over() {
                    return count(call(true));
                }
                std::hint::spin_loop();
            }
            result => return result,
        }
    }
}

/// What a file's or a socket's call fails with when it would have to sleep.
#[inline]
fn again(errno: i32) -> bool {
    errno == libc::EAGAIN
}

/// Makes a call until it does not fail with an errno that says "not yet": for want of data or room.
#[inline]
pub(crate) fn until_ready(
    not_yet: impl Fn(i32) -> bool,
    mut call: impl FnMut() -> isize,
) -> io::Result<usize> {
    loop {
        match count(call()) {
            Err(error) if error.raw_os_error().is_some_and(&not_yet) => std::hint::spin_loop(),
            result => return result,
        }
    }
}

/// Context switches of this thread so far, voluntary and not.
pub(crate) fn context_switches() -> io::Result<u64> {
    Ok(switches(&rusage(libc::RUSAGE_THREAD)?))
}

/// Context switches, voluntary and not.
pub(crate) fn switches(usage: &libc::rusage) -> u64 {
    u64::try_from(usage.ru_nvcsw + usage.ru_nivcsw).unwrap_or(0)
}

/// What this thread, or the children that were waited for, have used.
pub(crate) fn rusage(who: libc::c_int) -> io::Result<libc::rusage> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the call fills the structure it is given, or fails.
    if unsafe { libc::getrusage(who, usage.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded and filled it.
    Ok(unsafe { usage.assume_init() })
}

/// The cheapest system call that is not answered in user space.
#[inline]
pub(crate) fn null_syscall() {
    // SAFETY: `getppid` takes no arguments and cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

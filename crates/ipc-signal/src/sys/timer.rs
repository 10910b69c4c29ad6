//! `alarm`, `setitimer` and POSIX timers: one safe function for each call.

use std::ffi::{c_int, c_uint};
use std::mem::MaybeUninit;
use std::time::Duration;

use rustix::io::Errno;

use super::check;

/// `alarm`: seconds until `SIGALRM`, 0 for never; returns what was left of the one before.
pub(crate) fn alarm(seconds: c_uint) -> c_uint {
    // SAFETY: `alarm` takes an integer and touches no memory of ours.
    unsafe { libc::alarm(seconds) }
}

/// `setitimer(ITIMER_REAL)`: time until the first `SIGALRM` and between the others, zero for never;
/// returns what was left of the one before.
pub(crate) fn set_interval(
    first: Duration,
    every: Duration,
) -> Result<(Duration, Duration), Errno> {
    let new = libc::itimerval { it_interval: timeval(every)?, it_value: timeval(first)? };
    let mut old = MaybeUninit::<libc::itimerval>::uninit();
    // SAFETY: the new time is on this stack, and the old one goes to where there is room for it.
    let returned = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const new, old.as_mut_ptr()) };
    check(returned.into())?;
    // SAFETY: the call has succeeded and filled it.
    let old = unsafe { old.assume_init() };
    Ok((from_timeval(old.it_value), from_timeval(old.it_interval)))
}

fn timeval(time: Duration) -> Result<libc::timeval, Errno> {
    // Rounded up, so that a short time does not become 0, which means never.
    let micros = time.subsec_nanos().div_ceil(1000);
    let seconds = time.as_secs().saturating_add(u64::from(micros / 1_000_000));
    let tv_sec = libc::time_t::try_from(seconds).map_err(|_| Errno::INVAL)?;
    Ok(libc::timeval { tv_sec, tv_usec: libc::suseconds_t::from(micros % 1_000_000) })
}

fn from_timeval(it: libc::timeval) -> Duration {
    let micros = u64::try_from(it.tv_usec).unwrap_or(0);
    Duration::from_secs(u64::try_from(it.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
}

/// The id of a POSIX timer of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimerId(libc::timer_t);

// SAFETY: the id is a number that the kernel has given out, kept in a pointer's clothes; every
// thread of the process may use it.
unsafe impl Send for TimerId {}
// SAFETY: as above; the calls that take it are thread-safe.
unsafe impl Sync for TimerId {}

/// Who gets the signals of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Process,
    Thread(c_int),
}

/// `timer_create`: a timer that is not armed.
pub(crate) fn create(
    clock: libc::clockid_t,
    signal: c_int,
    value: usize,
    to: To,
) -> Result<TimerId, Errno> {
    // SAFETY: a `sigevent` of zeros is a valid one.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_signo = signal;
    event.sigev_value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
    match to {
        To::Process => event.sigev_notify = libc::SIGEV_SIGNAL,
        To::Thread(tid) => {
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_notify_thread_id = tid;
        }
    }
    let mut id = MaybeUninit::<libc::timer_t>::uninit();
    // SAFETY: the event is on this stack, and the id goes to where there is room for it.
    check(unsafe { libc::timer_create(clock, &raw mut event, id.as_mut_ptr()) }.into())?;
    // SAFETY: the call has succeeded and filled it.
    Ok(TimerId(unsafe { id.assume_init() }))
}

/// `timer_settime`: time until the first expiry, zero for never, and between the others.
pub(crate) fn arm(timer: TimerId, first: Duration, every: Duration) -> Result<(), Errno> {
    let new = libc::itimerspec { it_interval: timespec(every)?, it_value: timespec(first)? };
    let old = std::ptr::null_mut();
    // SAFETY: the timer exists, as whoever holds its id deletes it last; the new time is on this
    // stack, and null asks for no old one.
    check(unsafe { libc::timer_settime(timer.0, 0, &raw const new, old) }.into()).map(drop)
}

/// `timer_gettime`: what is left until the next expiry, zero when it is not armed.
pub(crate) fn left(timer: TimerId) -> Result<Duration, Errno> {
    let mut now = MaybeUninit::<libc::itimerspec>::uninit();
    // SAFETY: the timer exists, as for `arm`, and the time goes to where there is room for it.
    check(unsafe { libc::timer_gettime(timer.0, now.as_mut_ptr()) }.into())?;
    // SAFETY: the call has succeeded and filled it.
    let now = unsafe { now.assume_init() }.it_value;
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Ok(Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0)))
}

/// `timer_getoverrun`: how many expiries the last signal stands for besides its own.
pub(crate) fn overrun(timer: TimerId) -> Result<u32, Errno> {
    // SAFETY: the timer exists, as for `arm`.
    let count = check(unsafe { libc::timer_getoverrun(timer.0) }.into())?;
    Ok(u32::try_from(count).unwrap_or(0))
}

/// `timer_delete`
pub(crate) fn delete(timer: TimerId) {
    // SAFETY: the timer exists, and whoever holds its id uses it no more after this.
    let _ = unsafe { libc::timer_delete(timer.0) };
}

fn timespec(time: Duration) -> Result<libc::timespec, Errno> {
    let tv_sec = libc::time_t::try_from(time.as_secs()).map_err(|_| Errno::INVAL)?;
    Ok(libc::timespec { tv_sec, tv_nsec: time.subsec_nanos().into() })
}

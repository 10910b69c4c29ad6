//! `semget`, `semop` and their family: one safe function for each call.

use std::ffi::{c_int, c_ushort};
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use rustix::io::Errno;

use super::{check, last_errno};

pub(crate) use libc::sembuf;

/// `semget`
pub(crate) fn get(key: i32, count: c_int, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::semget(key, count, flags) })
}

/// `semtimedop` without a deadline, which is `semop`
///
/// The system call itself: the C library's function is another name for it.
#[inline]
pub(crate) fn operate(id: c_int, ops: &mut [sembuf]) -> Result<(), Errno> {
    timed(id, ops, ptr::null())
}

/// `semtimedop` that sleeps for `left` at most
pub(crate) fn operate_timeout(id: c_int, ops: &mut [sembuf], left: Duration) -> Result<(), Errno> {
    let time = libc::timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    timed(id, ops, &raw const time)
}

#[inline]
fn timed(id: c_int, ops: &mut [sembuf], time: *const libc::timespec) -> Result<(), Errno> {
    let (data, len) = (ops.as_mut_ptr(), ops.len());
    // SAFETY: the operations are a slice of such structures, and the time is null or outlives the call.
    let returned = unsafe { libc::syscall(libc::SYS_semtimedop, id, data, len, time) };
    if returned == -1 { Err(last_errno()) } else { Ok(()) }
}

/// `semctl` with a command that takes nothing: `GETVAL`, `GETPID`, `GETNCNT`, `GETZCNT`
pub(crate) fn ask(id: c_int, num: c_int, command: c_int) -> Result<c_int, Errno> {
    debug_assert!(
        [libc::GETVAL, libc::GETPID, libc::GETNCNT, libc::GETZCNT].contains(&command),
        "{command} takes more"
    );
    // SAFETY: these commands take no fourth argument.
    check(unsafe { libc::semctl(id, num, command) })
}

/// `semctl(SETVAL)`
pub(crate) fn set_value(id: c_int, num: c_int, value: c_int) -> Result<(), Errno> {
    // SAFETY: this command takes an integer.
    check(unsafe { libc::semctl(id, num, libc::SETVAL, value) }).map(drop)
}

/// `semctl(GETALL)`; `values` has a place for each semaphore of the set, as `stat` says.
///
/// # Safety
///
/// The set has no more semaphores than `values`. Their number never changes.
pub(crate) unsafe fn get_all(id: c_int, values: &mut [c_ushort]) -> Result<(), Errno> {
    // SAFETY: the call writes as many integers as the set has semaphores, for which the caller has room.
    check(unsafe { libc::semctl(id, 0, libc::GETALL, values.as_mut_ptr()) }).map(drop)
}

/// `semctl(SETALL)`
///
/// # Safety
///
/// The set has no more semaphores than `values`. Their number never changes.
pub(crate) unsafe fn set_all(id: c_int, values: &[c_ushort]) -> Result<(), Errno> {
    // SAFETY: the call reads as many integers as the set has semaphores, which the caller has.
    check(unsafe { libc::semctl(id, 0, libc::SETALL, values.as_ptr()) }).map(drop)
}

/// `semctl(IPC_STAT)`
pub(crate) fn stat(id: c_int) -> Result<libc::semid_ds, Errno> {
    let mut ds = MaybeUninit::<libc::semid_ds>::zeroed();
    // SAFETY: the call writes one such structure to where there is room for it.
    check(unsafe { libc::semctl(id, 0, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: it consists of integers, and the call has filled it.
    Ok(unsafe { ds.assume_init() })
}

/// `semctl(IPC_SET)`
pub(crate) fn set(id: c_int, ds: &mut libc::semid_ds) -> Result<(), Errno> {
    let ds: *mut libc::semid_ds = ds;
    // SAFETY: the structure is valid, and the call only reads it.
    check(unsafe { libc::semctl(id, 0, libc::IPC_SET, ds) }).map(drop)
}

/// `semctl(IPC_RMID)`
pub(crate) fn remove(id: c_int) -> Result<(), Errno> {
    // SAFETY: this command takes no structure.
    check(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
}

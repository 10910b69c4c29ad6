//! The system calls that Rust cannot check, and nothing else.
#![expect(unsafe_code, reason = "these calls are not in rustix")]

use std::mem::MaybeUninit;
use std::ptr;

use ipc_core::Region;
use rustix::io::Errno;

/// Reads this process's own memory by way of the kernel, which says `EFAULT` where a touch would raise
/// a signal. Returns how many bytes there are.
pub(crate) fn read_own_memory(
    region: &impl Region,
    offset: usize,
    buf: &mut [u8],
) -> Result<usize, Errno> {
    let to = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
    let base = region.base().as_ptr().wrapping_add(offset);
    let from = libc::iovec { iov_base: base.cast(), iov_len: buf.len() };
    let pid = std::process::id().cast_signed();
    // SAFETY: the kernel writes at most the buffer's length to it. What it reads it checks itself: that
    // the bytes are in the region, the caller has seen.
    let n = unsafe { libc::process_vm_readv(pid, &raw const to, 1, &raw const from, 1, 0) };
    usize::try_from(n).map_err(|_| last_errno())
}

/// `sched_getcpu`: the processor that this thread runs on. In the C library, which reads it from memory that
/// the kernel keeps up to date.
pub(crate) fn this_cpu() -> u32 {
    // SAFETY: the call takes nothing. It fails, with -1, where there is no such call, which is no processor.
    unsafe { libc::sched_getcpu() }.cast_unsigned()
}

/// `shmget`
pub(crate) fn shmget(key: i32, len: usize, flags: libc::c_int) -> Result<i32, Errno> {
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::shmget(key, len, flags) })
}

/// `shmctl(IPC_STAT)`
pub(crate) fn shm_stat(id: i32) -> Result<libc::shmid_ds, Errno> {
    let mut ds = MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: the call writes one such structure to where there is room for it.
    check(unsafe { libc::shmctl(id, libc::IPC_STAT, ds.as_mut_ptr()) })?;
    // SAFETY: it consists of integers, and the call has filled it.
    Ok(unsafe { ds.assume_init() })
}

/// `shmctl(IPC_RMID)`
pub(crate) fn shm_remove(id: i32) -> Result<(), Errno> {
    // SAFETY: this command takes no structure.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) }).map(drop)
}

/// The errno of a call that returns -1 when it fails.
fn check(returned: libc::c_int) -> Result<libc::c_int, Errno> {
    if returned == -1 { Err(last_errno()) } else { Ok(returned) }
}

/// The errno of the call that this thread made last.
#[cold]
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

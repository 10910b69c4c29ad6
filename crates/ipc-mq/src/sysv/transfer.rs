//! Waiting for a System V queue.

use ipc_core::{Error, Result, Wait};
use ipc_fd::wait::Naps;
use rustix::io::Errno;

/// The flag of a call for this wait: whether it may sleep.
///
/// `Forever` is one call that sleeps, `Never` one that does not. The kernel offers nothing for a
/// deadline: see the module's documentation for why it is naps.
#[inline]
pub(super) fn sleep(wait: Wait) -> i32 {
    if matches!(wait, Wait::Forever) { 0 } else { libc::IPC_NOWAIT }
}

/// Makes a call again that has failed with `errno`, when it is time for that, until it works.
///
/// The first call is made by the caller: there is little enough of it to be inlined.
#[cold]
pub(super) fn again<T>(
    op: &'static str,
    wait: Wait,
    mut errno: Errno,
    mut call: impl FnMut(i32) -> Result<T, Errno>,
    failed: impl Fn(Errno) -> Error,
) -> Result<T> {
    let mut naps = Naps::new(wait);
    loop {
        match errno {
            Errno::INTR => {}
            Errno::AGAIN | Errno::NOMSG => {
                let nap = naps.next_nap().ok_or_else(|| Error::new(wait.exhausted(), op))?;
                // `msgrcv` and `msgsnd` take no deadline, and a queue cannot be polled.
                std::thread::sleep(nap);
            }
            errno => return Err(failed(errno)),
        }
        match call(sleep(wait)) {
            Ok(value) => return Ok(value),
            Err(next) => errno = next,
        }
    }
}

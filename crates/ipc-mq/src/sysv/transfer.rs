//! Waiting for a System V queue.

use std::time::Duration;

use ipc_core::{Error, Result, Wait};
use rustix::io::Errno;

/// The shortest and the longest time between two looks at a queue.
const NAPS: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));

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
    let mut nap = NAPS.0;
    loop {
        match errno {
            Errno::INTR => {}
            Errno::AGAIN | Errno::NOMSG => {
                let left = wait.remaining().unwrap_or(Duration::MAX);
                if left.is_zero() {
                    return Err(Error::new(wait.exhausted(), op));
                }
                std::thread::sleep(left.min(nap));
                nap = NAPS.1.min(nap * 2);
            }
            errno => return Err(failed(errno)),
        }
        match call(sleep(wait)) {
            Ok(value) => return Ok(value),
            Err(next) => errno = next,
        }
    }
}

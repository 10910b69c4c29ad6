//! Waiting for a System V queue.

use std::time::Duration;

use ipc_core::{Error, Result, Wait};
use rustix::io::Errno;

/// The shortest and the longest time between two looks at a queue.
const NAPS: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(1));

/// Makes a call that sends or receives, and waits as it is told; `flags` of the call are those for
/// sleeping or not.
///
/// `Forever` is one call that sleeps, `Never` one that does not. The kernel offers nothing for a
/// deadline: see the module's documentation for why it is naps.
#[inline]
pub(super) fn transfer<T>(
    op: &'static str,
    wait: Wait,
    mut call: impl FnMut(i32) -> Result<T, Errno>,
    failed: impl Fn(Errno) -> Error,
) -> Result<T> {
    let flags = if wait == Wait::Forever { 0 } else { libc::IPC_NOWAIT };
    let mut nap = NAPS.0;
    loop {
        match call(flags) {
            Ok(value) => return Ok(value),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN | Errno::NOMSG) => rest(op, wait, &mut nap)?,
            Err(errno) => return Err(failed(errno)),
        }
    }
}

/// Naps, if there is time left for it.
#[cold]
fn rest(op: &'static str, wait: Wait, nap: &mut Duration) -> Result<()> {
    let left = wait.remaining().unwrap_or(Duration::MAX);
    if left.is_zero() {
        return Err(Error::new(wait.exhausted(), op));
    }
    std::thread::sleep(left.min(*nap));
    *nap = NAPS.1.min(*nap * 2);
    Ok(())
}

//! How every end of every ring waits: look, spin or sleep, see whether the others live, look again.

use std::time::Duration;

use ipc_core::{Error, ErrorKind, Result, Wait};

use super::waiting::{Next, Waiting};

/// Why a look found nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// There is nothing now.
    Nothing,
    /// The others have gone, and there will be nothing.
    Gone,
    /// What is there breaks the rules.
    Corrupted,
}

/// An end that looks for something: room, or a message.
pub(crate) trait Seek {
    type Found;

    fn look(&mut self) -> Result<Self::Found, Miss>;
    /// Sleeps until somebody wakes it, unless a look would find more than nothing. Whether the time was over.
    fn sleep(&mut self, time: Duration) -> bool;
    /// Whether the processes of the others were not looked at for some time.
    fn check_is_due(&self) -> bool;
    /// Sees whether the processes of the others live.
    fn check(&mut self);
    /// What is done between two looks while it spins.
    fn pause(&self) {}
}

/// Looks again and again, after a first look that found nothing.
#[cold]
pub(crate) fn seek<S: Seek>(
    end: &mut S,
    waiting: &mut Waiting,
    wait: Wait,
    mut miss: Miss,
    op: &'static str,
) -> Result<S::Found> {
    loop {
        match miss {
            Miss::Nothing => {}
            Miss::Gone => return Err(Error::new(ErrorKind::Disconnected, op)),
            Miss::Corrupted => return Err(Error::new(ErrorKind::Corrupted, op)),
        }
        match waiting.next() {
            Next::Look => end.pause(),
            Next::Sleep(time) => waiting.slept(end.sleep(time)),
            Next::CheckPeer => end.check(),
            Next::GiveUp if !end.check_is_due() => return Err(Error::new(wait.exhausted(), op)),
            // Whoever only ever waits shortly must learn of a dead peer as well.
            Next::GiveUp => end.check(),
        }
        match end.look() {
            Ok(found) => return Ok(found),
            Err(next) => miss = next,
        }
    }
}

//! SIGINT and SIGTERM, as something to poll.

use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Turns SIGINT and SIGTERM into a readable descriptor and a flag, from its creation on.
///
/// The handlers stay until the process ends: a second Ctrl-C while the partial report is written
/// must not cut it off.
#[derive(Debug)]
pub(crate) struct Interrupts {
    signal: Arc<AtomicUsize>,
    wake: UnixStream,
    /// The other end: closed, it would wake whoever waits.
    _write: UnixStream,
}

impl Interrupts {
    /// Takes the two signals over.
    pub(crate) fn new() -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        let (wake, write) = UnixStream::pair().context("cannot make a socket pair")?;
        wake.set_nonblocking(true)?;
        for number in [SIGINT, SIGTERM] {
            // Handlers run in the order of registration: first the flag, then the pipe.
            signal_hook::flag::register_usize(
                number,
                Arc::clone(&signal),
                number.unsigned_abs() as usize,
            )
            .and_then(|_| signal_hook::low_level::pipe::register(number, write.try_clone()?))
            .context("cannot take over SIGINT and SIGTERM")?;
        }
        Ok(Self { signal, wake, _write: write })
    }

    /// Hears no signal: a test program must die of Ctrl-C.
    #[cfg(test)]
    pub(crate) fn deaf() -> Self {
        let (wake, _write) = UnixStream::pair().expect("a socket pair can be made");
        wake.set_nonblocking(true).expect("a socket can be made non-blocking");
        Self { signal: Arc::default(), wake, _write }
    }

    /// The signal that asked us to stop, if one did.
    pub(crate) fn caught(&self) -> Option<i32> {
        // Take the wake-up bytes away, so that a later poll sleeps.
        let _ = (&self.wake).read(&mut [0; 64]);
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            number => i32::try_from(number).ok(),
        }
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

//! A descriptor for what only user space knows: whether there is something to receive.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ipc_core::Result;
use ipc_fd::kind::os;
use rustix::event::{EventfdFlags, eventfd};

/// An `eventfd` that is readable while it was said to be. It is made when somebody asks for it, and until
/// then costs nothing.
///
/// Whoever calls holds the lock of what the bell tells of, so that it never tells of what was before.
#[derive(Debug, Default)]
pub(super) struct Bell {
    eventfd: OnceLock<OwnedFd>,
    rings: AtomicBool,
}

impl Bell {
    /// The descriptor, which is readable now if it is `ready`.
    pub(super) fn descriptor(&self, ready: impl FnOnce() -> bool) -> Result<BorrowedFd<'_>> {
        let made = match self.eventfd.get() {
            Some(made) => made,
            None => {
                let new = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
                let new = new.map_err(os("eventfd"))?;
                self.eventfd.get_or_init(|| new)
            }
        };
        self.show(ready);
        Ok(made.as_fd())
    }

    /// Makes the descriptor readable if it is `ready`, and otherwise not.
    pub(super) fn show(&self, ready: impl FnOnce() -> bool) {
        let Some(eventfd) = self.eventfd.get() else { return };
        let ready = ready();
        if self.rings.swap(ready, Relaxed) == ready {
            return;
        }
        // Neither fails: the counter is 0 before the write, and 1 before the read.
        let _ = match ready {
            true => rustix::io::write(eventfd, &1_u64.to_ne_bytes()),
            false => rustix::io::read(eventfd, &mut [0_u8; 8]),
        };
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(fd: BorrowedFd<'_>) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&now)).expect("poll") == 1
    }

    #[test]
    fn the_descriptor_shows_what_was_said_last() {
        let bell = Bell::default();
        bell.show(|| true); // Nobody has asked for it yet.
        assert!(!is_readable(bell.descriptor(|| false).expect("eventfd")));
        for ready in [true, true, false, false, true] {
            bell.show(|| ready);
            assert_eq!(is_readable(bell.descriptor(|| ready).expect("eventfd")), ready);
        }
    }
}

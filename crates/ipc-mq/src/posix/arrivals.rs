//! Being told of messages by a descriptor: one-shot, without a thread and without a signal.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, Notified, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait;
use rustix::event::{PollFlags, Timespec, epoll};
use rustix::io::Errno;

use super::Receiver;

/// A descriptor that becomes readable once when there is a message: an `epoll` instance that
/// watches the queue with `EPOLLONESHOT`.
///
/// A queue's own descriptor can be polled, and is readable as long as there are messages. This one
/// says so **once** until it is [armed again](Self::rearm), which is what `mq_notify` does, with
/// three differences: no signal is involved; any number of processes can have one; and arming looks
/// at the queue, so that it fires at once if there are messages already. So the order of draining
/// and arming does not matter:
///
/// ```text
/// loop { arrivals.wait()?; receive until WouldBlock; arrivals.rearm()?; }
/// ```
///
/// never misses a message that comes at whatever moment.
///
/// [`Notified::wait_with`] always returns 1: a firing says that there was a message, not how many.
///
/// # Errors
///
/// As [`Notified`] says.
///
/// # Examples
///
/// ```
/// use ipc_core::{Notified, RecvMsg, SendMsg};
/// use ipc_mq::posix::{Arrivals, QueueOptions};
///
/// let (mut rx, mut tx) = QueueOptions::new().pair()?;
/// let arrivals = Arrivals::of(&rx)?;
/// assert!(arrivals.try_wait().is_err());
///
/// tx.send(b"one")?;
/// tx.send(b"two")?;
/// arrivals.wait()?;
/// assert!(arrivals.try_wait().is_err(), "it fires once");
/// while rx.try_recv(&mut [0; 8192]).is_ok() {}
///
/// tx.send(b"before it is armed again")?;
/// arrivals.rearm()?;
/// arrivals.wait()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `epoll`(7), `EPOLLONESHOT`.
#[derive(Debug)]
#[doc(alias = "EPOLLONESHOT")]
pub struct Arrivals {
    epoll: OwnedFd,
    /// A descriptor of its own: what is watched must not be closed before the watcher.
    queue: OwnedFd,
}

/// The event that is waited for.
const ONCE: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ONESHOT);

impl Arrivals {
    /// Watches the queue of `receiver`; it is armed, and fires at once if there is a message.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors run out.
    ///
    /// # Examples
    ///
    /// See [`Arrivals`].
    pub fn of(receiver: &Receiver) -> Result<Self> {
        let queue = rustix::io::fcntl_dupfd_cloexec(receiver.as_fd(), 0);
        let queue = queue.map_err(os("fcntl F_DUPFD_CLOEXEC"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(os("epoll_create1"))?;
        epoll::add(&epoll, &queue, epoll::EventData::new_u64(0), ONCE).map_err(os("epoll_ctl"))?;
        Ok(Self { epoll, queue })
    }

    /// Arms it again; it fires at once if there is a message.
    ///
    /// # Errors
    ///
    /// None that the kernel gives for it.
    ///
    /// # Examples
    ///
    /// See [`Arrivals`].
    pub fn rearm(&self) -> Result<()> {
        let data = epoll::EventData::new_u64(0);
        epoll::modify(&self.epoll, &self.queue, data, ONCE).map_err(os("epoll_ctl"))
    }

    /// Takes the event if it has fired.
    fn take(&self) -> Result<bool> {
        let mut events = Vec::with_capacity(1);
        loop {
            let now = Some(&Timespec { tv_sec: 0, tv_nsec: 0 });
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), now) {
                Ok(count) => return Ok(count > 0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(os("epoll_wait")(errno)),
            }
        }
    }
}

impl Notified for Arrivals {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        const OP: &str = "wait for arrivals";
        loop {
            if self.take()? {
                return Ok(NonZeroU64::MIN);
            }
            if wait.remaining().is_some_and(|left| left.is_zero()) {
                return Err(Error::new(wait.exhausted(), OP));
            }
            // `poll` on the epoll's descriptor: `epoll_wait` has a resolution of a millisecond
            // before Linux 5.11.
            wait::ready(OP, self.epoll.as_fd(), PollFlags::IN, wait)?;
        }
    }
}

impl AsFd for Arrivals {
    /// Readable from when it fires until a wait takes it: for an outer `poll` or `epoll`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

//! Being told of messages by an eventfd of the caller's: a helper thread.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;

use super::Receiver;

/// A thread that adds 1 to an eventfd whenever messages arrive in a queue.
///
/// It is for programs that gather many sources in one eventfd of their own. Where a descriptor for
/// this queue alone will do, [`Arrivals`](super::Arrivals) costs no thread.
///
/// Arrivals coalesce: the eventfd's count says that something came, not how much. None is lost:
/// after the last message was sent, at least one addition follows, unless the queue has been
/// emptied before. So read the eventfd **first, then** receive until [`ErrorKind::WouldBlock`]. An
/// addition without a message happens too: somebody else took it, or messages were left in the
/// queue by a receive.
///
/// It uses neither `mq_notify`, which only one process at a time may use, nor a signal: the thread
/// sleeps in `epoll_wait` on the queue, edge-triggered. It ends when the value is dropped.
///
/// # Examples
///
/// ```
/// use ipc_core::{RecvMsg, SendMsg};
/// use ipc_mq::posix::{EventFdNotifier, QueueOptions};
/// use rustix::event::{EventfdFlags, eventfd};
///
/// let (mut rx, mut tx) = QueueOptions::new().pair()?;
/// let eventfd = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
/// let notifier = EventFdNotifier::start(&rx, eventfd.try_clone().unwrap())?;
///
/// tx.send(b"hello")?;
/// let mut count = [0; 8];
/// rustix::io::read(&eventfd, &mut count).unwrap(); // Blocks until the helper has written.
/// assert_eq!(rx.try_recv(&mut [0; 8192])?, 5);
/// notifier.stop();
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `eventfd`(2), `epoll`(7).
#[derive(Debug)]
pub struct EventFdNotifier {
    /// An addition tells the thread to end.
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

/// Which descriptor an event is about.
const QUEUE: u64 = 0;
const STOP: u64 = 1;

impl EventFdNotifier {
    /// Starts the thread; it adds 1 at once if there is a message already.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] when `eventfd` is not an eventfd;
    /// - [`ErrorKind::ResourceLimit`] when descriptors or threads run out.
    ///
    /// # Examples
    ///
    /// See [`EventFdNotifier`].
    pub fn start(receiver: &Receiver, eventfd_to_add_to: OwnedFd) -> Result<Self> {
        check_eventfd(eventfd_to_add_to.as_fd())?;
        let queue = rustix::io::fcntl_dupfd_cloexec(receiver.as_fd(), 0);
        let queue = queue.map_err(os("fcntl F_DUPFD_CLOEXEC"))?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let stop = stop.map_err(os("eventfd"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(os("epoll_create1"))?;
        let edge = epoll::EventFlags::IN | epoll::EventFlags::ET;
        for (fd, which, events) in [(&queue, QUEUE, edge), (&stop, STOP, epoll::EventFlags::IN)] {
            epoll::add(&epoll, fd, epoll::EventData::new_u64(which), events)
                .map_err(os("epoll_ctl"))?;
        }
        let body = move || {
            forward(&epoll, &eventfd_to_add_to);
            // What is watched must outlive the watcher.
            drop(epoll);
            drop(queue);
        };
        let thread = std::thread::Builder::new().name("mq-notifier".into()).spawn(body);
        let thread = thread.map_err(|error| {
            os("start a thread")(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN)).with_kind(
                ErrorKind::ResourceLimit {
                    limit: "threads of this user or control group",
                    knob: "RLIMIT_NPROC (ulimit -u) and pids.max",
                },
            )
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the thread and waits for it. Dropping the value does the same.
    ///
    /// # Examples
    ///
    /// See [`EventFdNotifier`].
    pub fn stop(self) {}
}

impl Drop for EventFdNotifier {
    fn drop(&mut self) {
        // It cannot fail: the count is 0.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Adds 1 for every edge, until it is told to stop.
fn forward(epoll: &OwnedFd, eventfd: &OwnedFd) {
    let mut events = Vec::with_capacity(2);
    loop {
        events.clear();
        match epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        if events.iter().any(|event| event.data.u64() == STOP) {
            return;
        }
        // A full eventfd says already what this would: a blocking one must not hold up the thread.
        add_one(eventfd);
    }
}

/// Adds 1 unless the count is at its end, where an addition would block.
fn add_one(eventfd: &OwnedFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::new(eventfd, PollFlags::OUT)];
    loop {
        match poll(&mut fds, Some(&now)) {
            Ok(0) => return,
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
    while let Err(Errno::INTR) = rustix::io::write(eventfd, &1_u64.to_ne_bytes()) {}
}

/// Checks that a descriptor is an eventfd, of which the kernel tells in `/proc` alone.
fn check_eventfd(fd: BorrowedFd<'_>) -> Result<()> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    match link {
        Ok(target) if target.as_os_str() != "anon_inode:[eventfd]" => {
            let kind = ErrorKind::WrongType { expected: "an eventfd", found: "another descriptor" };
            Err(Error::new(kind, "notify by eventfd"))
        }
        // Without `/proc` nobody can tell.
        _ => Ok(()),
    }
}

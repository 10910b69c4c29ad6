//! What only an eventfd does.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ipc_core::{ErrorKind, Notified, Notify, Semaphore};
use ipc_sem::{EventFd, EventFdSem};
use ipc_testkit::Harness;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("eventfd/it_is_readable_as_long_as_it_counts", polled)
        .test("eventfd/a_full_counter_is_a_resource_limit", full)
        .test("eventfd/descriptors_of_other_things_and_modes_come_back", types)
        .test("eventfd/many_permits_are_posted_at_once", many)
        .test("eventfd/one_that_does_not_block_waits_all_the_same", non_blocking)
}

fn is_readable(fd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).expect("poll") == 1
}

fn polled() {
    let event = EventFd::new().expect("new");
    assert!(!is_readable(&event));
    event.notify().expect("notify");
    assert!(is_readable(&event));
    event.wait().expect("wait");
    assert!(!is_readable(&event));
}

fn full() {
    const MAX: u64 = u64::MAX - 1;
    let event = EventFd::new().expect("new");
    let is_limit = |kind| matches!(kind, ErrorKind::ResourceLimit { .. });
    event.add(MAX - 5).expect("there is room");
    let kind = |count| event.add(count).expect_err("no room").kind();
    assert!(is_limit(kind(u64::MAX)) && is_limit(kind(MAX)) && is_limit(kind(1 << 32)));
    assert_eq!(kind(0), ErrorKind::InvalidInput);
    event.add(5).expect("just so");
    assert_eq!(event.wait().expect("wait").get(), MAX);
    event.add(MAX).expect("all at once");
}

fn types() {
    let wrong = |kind| matches!(kind, ErrorKind::WrongType { .. });
    let (pipe, _other) = std::io::pipe().expect("pipe");
    let back = EventFd::try_from(OwnedFd::from(pipe)).map(drop).expect_err("a pipe");
    assert!(wrong(back.error.kind()), "{back}");
    let timer = rustix::time::timerfd_create(
        rustix::time::TimerfdClockId::Monotonic,
        rustix::time::TimerfdFlags::CLOEXEC,
    );
    let back = EventFdSem::try_from(timer.expect("timerfd")).map(drop).expect_err("a timer");
    assert!(wrong(back.error.kind()), "{back}");

    let event = EventFd::try_from(OwnedFd::from(EventFd::new().expect("new"))).expect("it is one");
    let fd = OwnedFd::from(event);
    let info = std::fs::read_to_string(format!(
        "/proc/self/fdinfo/{}",
        std::os::fd::AsRawFd::as_raw_fd(&fd)
    ));
    if !info.expect("fdinfo").contains("eventfd-semaphore") {
        ipc_testkit::skip("this kernel does not tell the mode of an eventfd (Linux 6.5 does)");
    }
    let back = EventFdSem::try_from(fd).map(drop).expect_err("it counts");
    assert!(wrong(back.error.kind()), "{back}");
    let sem = OwnedFd::from(EventFdSem::new(1).expect("new"));
    assert!(wrong(EventFd::try_from(sem).map(drop).expect_err("a semaphore").error.kind()));
}

fn many() {
    let sem = EventFdSem::new(1).expect("new");
    sem.post_many(4).expect("post");
    for _ in 0..5 {
        sem.wait_timeout(Duration::from_secs(60)).expect("wait");
    }
    assert_eq!(sem.try_wait().expect_err("all taken").kind(), ErrorKind::WouldBlock);
}

/// Whoever shares it may have set `O_NONBLOCK`.
fn non_blocking() {
    let event = EventFd::new().expect("new");
    rustix::io::ioctl_fionbio(&event, true).expect("ioctl");
    let other = event.try_clone().expect("clone");
    let blocked = ipc_testkit::block("wait at zero", move || other.wait());
    event.notify().expect("notify");
    assert_eq!(blocked.join().expect("wait").get(), 1);
}

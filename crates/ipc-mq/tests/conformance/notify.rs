//! Being told that messages came.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Notified, RecvMsg, SendMsg, Wait};
use ipc_mq::posix::{Arrivals, EventFdNotifier, QueueOptions, Receiver};
use ipc_testkit::{Descriptors, Harness, Peer, block, hear, note, say};
use rustix::event::{EventfdFlags, eventfd};
use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::Signals;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("notify/a_signal_comes_once", signal_once)
        .test("notify/rearm_then_drain_loses_no_message", rearm_then_drain)
        .role("sends_many", sends_many)
        .test("notify/only_one_process_is_registered", one_registration)
        .role("registers", registers)
        .test("notify/a_bad_signal_is_invalid_input", bad_signal)
        .test("notify/arrivals_fire_once_until_armed_again", arrivals_once)
        .test("notify/arrivals_lose_no_message_in_either_order", arrivals_many)
        .test("notify/a_blocked_wait_for_arrivals_is_woken", arrivals_wake)
        .test("notify/an_eventfd_is_told_of_every_message", eventfd_many)
        .test("notify/a_stopped_notifier_leaves_nothing", notifier_stops)
}

fn signal_once() {
    let mut signals = Signals::new([SIGUSR1]).expect("handle SIGUSR1");
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    rx.notify_signal(SIGUSR1, 77).expect("register");
    tx.send(b"one").expect("send");
    assert_eq!(signals.wait().next(), Some(SIGUSR1));
    // The registration has gone with it.
    tx.send(b"two").expect("send");
    while rx.try_recv(&mut [0; 8192]).is_ok() {}
    tx.send(b"three").expect("send");
    assert_eq!(signals.pending().count(), 0, "a second signal came");
    rx.notify_signal(SIGUSR1, 78).expect("register again");
}

const MANY: u32 = 2000;

/// The protocol of the documentation against a process that sends as fast as it can.
fn rearm_then_drain() {
    let mut signals = Signals::new([SIGUSR1]).expect("handle SIGUSR1");
    let (mut rx, tx) = QueueOptions::new().pair().expect("pair");
    let mut peer = Peer::cast("sends_many");
    tx.give(peer.command(), "tx").expect("give");
    // This closes the parent's copy of the sender, which would end a registration.
    let peer = peer.start();
    let mut next = 0;
    loop {
        match rx.notify_signal(SIGUSR1, 0) {
            Ok(()) => {}
            // Several signals were seen as one, and the last registration is still there.
            Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
        }
        next = drain(&mut rx, next);
        if next == MANY {
            break;
        }
        note(format!("{next} messages came: if it hangs, a message was not announced"));
        signals.wait().for_each(drop);
    }
    peer.join();
}

/// Receives what is there and returns the number of the message that is due next.
fn drain(rx: &mut Receiver, mut next: u32) -> u32 {
    while let Ok(message) = rx.recv_message(Wait::Never) {
        assert_eq!(message.body, next.to_le_bytes(), "a message was lost");
        next += 1;
    }
    next
}

fn sends_many() {
    let mut tx = ipc_mq::posix::Sender::adopt("tx").expect("adopt");
    for n in 0..MANY {
        tx.send(&n.to_le_bytes()).expect("send");
    }
}

fn one_registration() {
    let (rx, _tx) = QueueOptions::new().pair().expect("pair");
    let copy = rx.try_clone().expect("dup");
    let mut peer = Peer::cast("registers");
    copy.give(peer.command(), "rx").expect("give");
    let mut peer = peer.start();
    peer.expect("registered");
    let error = rx.notify_signal(SIGUSR1, 0).expect_err("the peer is registered");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    rx.notify_cancel().expect("another process's registration is left alone");
    assert!(rx.notify_signal(SIGUSR1, 0).is_err());
    peer.kill();
    rx.notify_signal(SIGUSR1, 0).expect("it went with the process");
    rx.notify_cancel().expect("cancel");
    rx.notify_signal(SIGUSR1, 0).expect("register again");
    drop(rx.try_clone().expect("dup"));
    rx.notify_signal(SIGUSR1, 0).expect("closing any descriptor has ended it, as documented");
}

fn registers() {
    let rx = Receiver::adopt("rx").expect("adopt");
    rx.notify_signal(SIGUSR1, 0).expect("register");
    say("registered");
    assert_eq!(hear(), "never");
}

fn bad_signal() {
    let (rx, _tx) = QueueOptions::new().pair().expect("pair");
    for signal in [0, -1, 65, i32::MAX] {
        let error = rx.notify_signal(signal, 0).expect_err("no such signal");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{signal}: {error}");
    }
}

fn arrivals_once() {
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    let arrivals = Arrivals::of(&rx).expect("watch");
    assert_eq!(arrivals.try_wait().expect_err("empty").kind(), ErrorKind::WouldBlock);
    let timed = arrivals.wait_timeout(Duration::from_millis(10)).expect_err("empty");
    assert_eq!(timed.kind(), ErrorKind::TimedOut);
    tx.send(b"1").expect("send");
    tx.send(b"2").expect("send");
    assert_eq!(arrivals.wait().expect("wait").get(), 1);
    tx.send(b"3").expect("send");
    assert!(arrivals.try_wait().is_err(), "it fired twice");
    arrivals.rearm().expect("rearm");
    arrivals.try_wait().expect("there are messages");
    while rx.try_recv(&mut [0; 8192]).is_ok() {}
    arrivals.rearm().expect("rearm");
    assert!(arrivals.try_wait().is_err(), "the queue is empty");
}

fn arrivals_many() {
    for rearm_first in [true, false] {
        let (mut rx, tx) = QueueOptions::new().pair().expect("pair");
        let arrivals = Arrivals::of(&rx).expect("watch");
        let mut peer = Peer::cast("sends_many");
        tx.give(peer.command(), "tx").expect("give");
        let peer = peer.start();
        let mut next = 0;
        while next < MANY {
            arrivals.wait().expect("wait");
            if rearm_first {
                arrivals.rearm().expect("rearm");
            }
            next = drain(&mut rx, next);
            if !rearm_first {
                arrivals.rearm().expect("rearm");
            }
        }
        peer.join();
    }
}

fn arrivals_wake() {
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(3600))] {
        let (rx, mut tx) = QueueOptions::new().pair().expect("pair");
        let arrivals = Arrivals::of(&rx).expect("watch");
        let blocked = block("wait for arrivals", move || arrivals.wait_with(wait));
        tx.send(b"wake up").expect("send");
        blocked.join().expect("wait");
    }
}

fn eventfd_many() {
    let (mut rx, tx) = QueueOptions::new().pair().expect("pair");
    let eventfd = eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd");
    let copy = eventfd.try_clone().expect("dup");
    let notifier = EventFdNotifier::start(&rx, copy).expect("start");
    let mut peer = Peer::cast("sends_many");
    tx.give(peer.command(), "tx").expect("give");
    let peer = peer.start();
    let mut next = 0;
    while next < MANY {
        rustix::io::read(&eventfd, &mut [0; 8]).expect("read the eventfd");
        next = drain(&mut rx, next);
    }
    peer.join();
    notifier.stop();
    let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("socketpair");
    let error = EventFdNotifier::start(&rx, OwnedFd::from(socket)).expect_err("no eventfd");
    assert!(matches!(error.kind(), ErrorKind::WrongType { .. }), "{error}");
}

fn notifier_stops() {
    let before = Descriptors::now();
    for _ in 0..20 {
        let (rx, mut tx) = QueueOptions::new().pair().expect("pair");
        let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd");
        let notifier = EventFdNotifier::start(&rx, fd).expect("start");
        tx.send(b"x").expect("send");
        drop(notifier);
    }
    assert_eq!(Descriptors::now(), before, "descriptors leaked");
    // A full eventfd must not hold up the thread.
    let (rx, mut tx) = QueueOptions::new().pair().expect("pair");
    let fd = eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd");
    rustix::io::write(&fd, &(u64::MAX - 1).to_ne_bytes()).expect("write");
    let notifier = EventFdNotifier::start(&rx, fd.as_fd().try_clone_to_owned().expect("dup"));
    let notifier = notifier.expect("start");
    tx.send(b"x").expect("send");
    notifier.stop();
}

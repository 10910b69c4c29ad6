//! What only a signalfd does.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ipc_core::{ErrorKind, Handoff, Wait};
use ipc_signal::{Pid, Signal, SignalFd, SignalSet, Target, Value, queue, send};
use ipc_testkit::{Harness, Peer, hear, say};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::handlers::raise;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("signalfd/a_batch_is_what_is_pending_up_to_32", batches)
        .test("signalfd/it_is_readable_while_a_signal_is_pending", readable)
        .test("signalfd/a_child_reads_its_own_signals", child_reads_its_own)
        .role("reads_a_signal", reads_a_signal)
        .test("signalfd/a_descriptor_is_checked_before_it_is_adopted", conversions)
        .test("signalfd/its_set_can_be_changed", other_set)
        .test("signalfd/a_read_and_a_wait_take_from_the_same_signals", shared)
}

fn values(count: i32, signal: Signal) {
    for n in 0..count {
        queue(Target::Process(Pid::this()), signal, n.into()).expect("queue");
    }
}

fn batches() {
    let signal = Signal::realtime(4).expect("a signal");
    let signals = SignalFd::open(signal.into()).expect("signalfd");
    values(70, signal);
    let mut batch = Vec::new();
    for (wait, expected) in [(Wait::Forever, 32), (Wait::Never, 32), (Wait::Never, 6)] {
        assert_eq!(signals.read_batch(&mut batch, wait).expect("read"), expected);
    }
    let error = signals.read_batch(&mut batch, Wait::Never).expect_err("that was all");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let seen: Vec<_> = batch.iter().filter_map(|it| it.value().map(Value::as_int)).collect();
    assert_eq!(seen, (0..70).collect::<Vec<_>>());
}

fn is_readable(signals: &SignalFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(signals, PollFlags::IN)], Some(&now)).expect("poll") == 1
}

fn readable() {
    let signals = SignalFd::open(Signal::USR2.into()).expect("signalfd");
    assert!(!is_readable(&signals));
    raise(Signal::USR2);
    assert!(is_readable(&signals));
    signals.read(Wait::Forever).expect("read");
    assert!(!is_readable(&signals));
}

fn child_reads_its_own() {
    let signals = SignalFd::open(Signal::USR2.into()).expect("signalfd");
    let copy = signals.try_clone().expect("dup");
    let mut peer = Peer::cast("reads_a_signal");
    copy.give(peer.command(), "signals").expect("give");
    let mut peer = peer.start();
    raise(Signal::USR2); // For us, and not for the child.
    peer.expect("ready");
    peer.tell("look");
    peer.expect("nothing");
    let child = Pid::new(peer.pid().as_raw_nonzero().get()).expect("a pid");
    send(Target::Process(child), Signal::USR2).expect("send");
    peer.tell("wait");
    peer.expect("it came from the parent");
    peer.join();
    assert_eq!(signals.read(Wait::Never).expect("ours").pid(), Some(Pid::this()));
}

fn reads_a_signal() {
    let signals = SignalFd::adopt("signals").expect("adopt");
    assert_eq!(signals.set(), Signal::USR2.into());
    say("ready");
    assert_eq!(hear(), "look");
    assert_eq!(signals.read(Wait::Never).expect_err("ours").kind(), ErrorKind::WouldBlock);
    say("nothing");
    assert_eq!(hear(), "wait");
    let origin = signals.read(Wait::Forever).expect("read");
    origin.require_sender(Pid::parent().expect("a parent")).expect("the parent");
    say("it came from the parent");
}

fn conversions() {
    let set = SignalSet::from([Signal::USR2, Signal::realtime_max()]);
    let fd = OwnedFd::from(SignalFd::open(set).expect("signalfd"));
    let signals = SignalFd::try_from(fd).expect("it is one");
    assert_eq!(signals.set(), set);
    let file = std::fs::File::open("/dev/null").expect("open");
    let number = file.as_raw_fd();
    let rejected = SignalFd::try_from(OwnedFd::from(file)).expect_err("it is none");
    assert!(matches!(rejected.error.kind(), ErrorKind::WrongType { .. }), "{}", rejected.error);
    assert_eq!(rejected.value.as_raw_fd(), number);
}

fn other_set() {
    let mut signals = SignalFd::open(Signal::USR2.into()).expect("signalfd");
    signals.set_signals(Signal::URG.into()).expect("set");
    raise(Signal::USR2);
    raise(Signal::URG);
    assert_eq!(signals.read(Wait::Never).expect("read").signal(), Signal::URG);
    signals.read(Wait::Never).expect_err("the other is not in the set");
    let error = signals.set_signals(Signal::KILL.into()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(signals.set(), Signal::URG.into());
    assert_eq!(signals.as_fd().as_raw_fd(), signals.as_fd().as_raw_fd());
}

fn shared() {
    let signal = Signal::realtime(4).expect("a signal");
    let signals = SignalFd::open(signal.into()).expect("signalfd");
    values(4, signal);
    let value = |origin: ipc_signal::Origin| origin.value().map(Value::as_int);
    for n in [0, 2] {
        assert_eq!(value(signals.read(Wait::Never).expect("read")), Some(n));
        let waited = SignalSet::from(signal).wait(Wait::Never).expect("wait");
        assert_eq!(value(waited), Some(n + 1));
    }
}

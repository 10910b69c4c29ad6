//! The race between a handler and the main loop, and its cures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipc_core::{ErrorKind, Wait};
use ipc_signal::{Handler, Pid, Signal, SignalFd, SignalSet, Target, send};
use ipc_testkit::{Harness, Peer, note, say};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::handlers::raise;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("races/a_flag_alone_misses_a_signal_before_the_wait", the_race)
        .test("races/a_descriptor_that_the_handler_writes_to_cures_it", self_pipe)
        .test("races/blocking_and_waiting_cures_it", blocked_wait)
        .test("races/a_thousand_signals_at_any_moment_wake_each_time", stormy)
        .role("signals_when_told", signals_when_told)
}

/// How long the broken loop sleeps here. A real one would sleep until something else comes.
const SHORT: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

fn flag() -> (Arc<AtomicBool>, Handler) {
    let flag = Arc::new(AtomicBool::new(false));
    let handler = Handler::flag(Signal::USR2, Arc::clone(&flag)).expect("handler");
    (flag, handler)
}

/// `while !flag { pause() }`, with the signal in the one place where it hurts.
fn the_race() {
    let (flag, _handler) = flag();
    assert!(!flag.load(Ordering::SeqCst), "the loop looks: nothing has come");
    raise(Signal::USR2); // It comes now, and the handler runs.
    // The loop goes to sleep, and the signal that should wake it has been.
    let slept = poll(&mut [], Some(&SHORT));
    assert_eq!(slept, Ok(0), "it slept until the end of its time");
    assert!(flag.load(Ordering::SeqCst), "although there was something to do");

    // A signal that comes during the sleep does end it, which is why the loop works most of the time.
    let mut peer = Peer::start("signals_when_told");
    peer.expect("ready");
    flag.store(false, Ordering::SeqCst);
    peer.tell(&Pid::this().to_string());
    while !flag.load(Ordering::SeqCst) {
        assert!(matches!(poll(&mut [], Some(&SHORT)), Ok(0) | Err(Errno::INTR)));
    }
    peer.join();
}

fn self_pipe() {
    let (flag, _handler) = flag();
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd");
    let copy = fd.try_clone().expect("dup");
    let _wake = Handler::descriptor(Signal::USR2, copy).expect("handler");
    assert!(!flag.load(Ordering::SeqCst), "the loop looks: nothing has come");
    raise(Signal::USR2);
    note("the signal came before the wait: if it hangs, it was missed");
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).expect("it is woken");
    assert!(flag.load(Ordering::SeqCst));
}

fn blocked_wait() {
    let set = SignalSet::from(Signal::USR2);
    let _guard = set.block().expect("block");
    assert!(!ipc_signal::pending().expect("pending").contains(Signal::USR2), "nothing has come");
    raise(Signal::USR2);
    note("the signal came before the wait: if it hangs, it was missed");
    assert_eq!(set.wait(Wait::Forever).expect("wait").signal(), Signal::USR2);
    let signals = SignalFd::open(set).expect("signalfd");
    raise(Signal::USR2);
    poll(&mut [PollFd::new(&signals, PollFlags::IN)], None).expect("it is woken");
    assert_eq!(signals.read(Wait::Never).expect("read").signal(), Signal::USR2);
    let error = set.wait_timeout(Duration::from_millis(5)).expect_err("no more");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

/// Another process signals at any moment, each time once the one before was seen.
fn stormy() {
    let set = SignalSet::from(Signal::USR2);
    let _guard = set.block().expect("block");
    let mut peer = Peer::start("signals_when_told");
    peer.expect("ready");
    note("each signal is awaited: if it hangs, one was missed");
    for _ in 0..1000 {
        peer.tell(&Pid::this().to_string());
        let origin = set.wait(Wait::Forever).expect("wait");
        let from = Pid::new(peer.pid().as_raw_nonzero().get()).expect("a pid");
        origin.require_sender(from).expect("the kernel says that it was the peer");
    }
    peer.join();
}

fn signals_when_told() {
    say("ready");
    for line in std::io::stdin().lines() {
        let pid = line.expect("read").parse().expect("a number");
        let target = Target::Process(Pid::new(pid).expect("a pid"));
        send(target, Signal::USR2).expect("send");
    }
}

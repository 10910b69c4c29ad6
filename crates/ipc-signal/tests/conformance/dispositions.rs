//! Ignoring, the default, and raw handlers: what they change, and that it is put back.
#![expect(unsafe_code, reason = "raw handlers are unsafe to install")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use ipc_core::Wait;
use ipc_signal::{Code, Disposition, Origin, Pid, RawOptions, Signal, SignalSet, Target, queue};
use ipc_testkit::{Harness, Peer};

use crate::handlers::{caught, ignored, raise};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("dispositions/ignoring_and_the_default_are_put_back", nested_guards)
        .test("dispositions/an_outer_guard_does_not_overrule_a_later_setting", out_of_order)
        .test("dispositions/a_raw_handler_learns_where_the_signal_comes_from", origin)
        .test("dispositions/raw_handlers_of_one_signal_nest", raw_in_raw)
        .test("dispositions/a_raw_handler_leaves_errno_alone", errno)
        .test("dispositions/a_signal_during_its_handler_comes_after_it", during_handler)
        .test("dispositions/another_signal_interrupts_a_handler_unless_blocked", other_during)
        .test("dispositions/a_handler_that_runs_once_leaves_the_default", once)
        .test("dispositions/interrupted_calls_end_or_go_on_as_asked", restart)
        .test("dispositions/ignored_children_leave_no_status", no_zombies)
        .test("dispositions/the_default_ends_the_process", default_ends)
        .role("is_ended_by_the_default", is_ended)
}

fn raw(signal: Signal, options: RawOptions, function: fn(&Origin)) -> Disposition {
    // SAFETY: every function in this file uses atomics and sends signals, and does nothing else.
    unsafe { Disposition::raw(signal, options, function) }.expect("handler")
}

fn nested_guards() {
    let outer = Disposition::ignore(Signal::USR2).expect("ignore");
    let inner = Disposition::default(Signal::USR2).expect("default");
    assert!(!ignored(Signal::USR2));
    drop(inner);
    assert!(ignored(Signal::USR2));
    raise(Signal::USR2);
    drop(outer);
    assert!(!ignored(Signal::USR2) && !caught(Signal::USR2));
}

fn out_of_order() {
    let outer = Disposition::ignore(Signal::USR2).expect("ignore");
    let inner = raw(Signal::USR2, RawOptions::new(), remember);
    drop(outer);
    assert!(caught(Signal::USR2), "a handler that was set later is gone");
    raise(Signal::USR2);
    assert_eq!(SEEN.load(Ordering::SeqCst), 1);
    drop(inner);
    // Two raw handlers differ in their functions.
    let outer = raw(Signal::USR2, RawOptions::new(), |_| happened(9));
    let _inner = raw(Signal::USR2, RawOptions::new(), remember);
    drop(outer);
    raise(Signal::USR2);
    assert_eq!((SEEN.load(Ordering::SeqCst), ORDER.load(Ordering::SeqCst)), (2, 0));
}

static SEEN: AtomicU64 = AtomicU64::new(0);
static FROM: AtomicI32 = AtomicI32::new(0);
static VALUE: AtomicI32 = AtomicI32::new(0);

fn remember(origin: &Origin) {
    SEEN.fetch_add(1, Ordering::SeqCst);
    FROM.store(origin.pid().map_or(-1, Pid::get), Ordering::SeqCst);
    VALUE.store(origin.value().map_or(-1, |it| it.as_int()), Ordering::SeqCst);
}

fn origin() {
    let signal = Signal::realtime(5).expect("a signal");
    let guard = raw(signal, RawOptions::new(), remember);
    queue(Target::Process(Pid::this()), signal, 4711.into()).expect("queue");
    let seen = [&FROM, &VALUE].map(|it| it.load(Ordering::SeqCst));
    assert_eq!(seen, [Pid::this().get(), 4711]);
    drop(guard);
    assert!(!caught(signal));
}

fn raw_in_raw() {
    fn other(_: &Origin) {
        VALUE.store(99, Ordering::SeqCst);
    }
    let _outer = raw(Signal::USR2, RawOptions::new(), remember);
    let inner = raw(Signal::USR2, RawOptions::new(), other);
    raise(Signal::USR2);
    assert_eq!((VALUE.load(Ordering::SeqCst), SEEN.load(Ordering::SeqCst)), (99, 0));
    drop(inner);
    raise(Signal::USR2);
    assert_eq!((VALUE.load(Ordering::SeqCst), SEEN.load(Ordering::SeqCst)), (-1, 1));
}

fn errno() {
    fn fails(_: &Origin) {
        SEEN.fetch_add(1, Ordering::SeqCst);
        // There is no process of this number: errno is ESRCH in the handler.
        let nobody = Pid::new(i32::MAX).map(Target::Process);
        let _ = nobody.and_then(|nobody| ipc_signal::send(nobody, Signal::TERM));
    }
    let _guard = raw(Signal::USR2, RawOptions::new(), fails);
    std::fs::File::open("/there is no such file").expect_err("it does not exist");
    let before = std::io::Error::last_os_error().raw_os_error();
    raise(Signal::USR2);
    assert_eq!(std::io::Error::last_os_error().raw_os_error(), before);
    assert_eq!(SEEN.load(Ordering::SeqCst), 1);
}

/// What happened in which order, a digit each: a handler begins with an odd one and ends with an even
/// one.
static ORDER: AtomicU32 = AtomicU32::new(0);

fn happened(digit: u32) {
    ORDER.store(ORDER.load(Ordering::SeqCst) * 10 + digit, Ordering::SeqCst);
}

fn send_in_handler(signal: Signal) {
    // `kill` and `sigqueue` are async-signal-safe.
    let _ = ipc_signal::send(Target::Process(Pid::this()), signal);
}

fn during_handler() {
    fn handler(_: &Origin) {
        happened(1);
        if SEEN.fetch_add(1, Ordering::SeqCst) == 0 {
            // Three while it runs, which become one.
            (0..3).for_each(|_| send_in_handler(Signal::USR2));
        }
        happened(2);
    }
    for (options, order) in [(RawOptions::new(), 1212), (RawOptions::new().nested(), 11212122)] {
        ORDER.store(0, Ordering::SeqCst);
        SEEN.store(0, Ordering::SeqCst);
        let _guard = raw(Signal::USR2, options, handler);
        raise(Signal::USR2);
        // Nested, each of the three interrupts the handler at once, and none is lost.
        assert_eq!(ORDER.load(Ordering::SeqCst), order);
    }
}

fn other_during() {
    fn first(_: &Origin) {
        happened(1);
        send_in_handler(Signal::URG);
        happened(2);
    }
    fn second(_: &Origin) {
        happened(3);
        happened(4);
    }
    let _second = raw(Signal::URG, RawOptions::new(), second);
    let free = RawOptions::new();
    for (options, order) in [(free, 1342), (free.block(Signal::URG.into()), 1234)] {
        ORDER.store(0, Ordering::SeqCst);
        let _first = raw(Signal::USR2, options, first);
        raise(Signal::USR2);
        assert_eq!(ORDER.load(Ordering::SeqCst), order);
    }
}

fn once() {
    let _guard = raw(Signal::USR2, RawOptions::new().once(), remember);
    raise(Signal::USR2);
    assert_eq!(SEEN.load(Ordering::SeqCst), 1);
    assert!(!caught(Signal::USR2));
}

/// A `read` that is interrupted fails with `EINTR`, or goes on and is ended by what comes.
fn restart() {
    use std::io::{Read, Write};
    for (options, interrupted) in [(RawOptions::new(), true), (RawOptions::new().restart(), false)]
    {
        let _guard = raw(Signal::USR2, options, remember);
        SEEN.store(0, Ordering::SeqCst);
        let (mut rx, mut tx) = std::io::pipe().expect("pipe");
        let (says, hears) = std::sync::mpsc::channel();
        let blocked = ipc_testkit::block("read", move || {
            let tid = rustix::thread::gettid().as_raw_nonzero().get();
            says.send(Pid::new(tid).expect("a tid")).expect("the case listens");
            let result = rx.read(&mut [0; 8]).map_err(|error| error.kind());
            (result, rx)
        });
        let thread = hears.recv().expect("its tid");
        ipc_signal::send(Target::Thread { process: Pid::this(), thread }, Signal::USR2)
            .expect("send");
        while SEEN.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        tx.write_all(b"hello").expect("write");
        let (result, rx) = blocked.join();
        drop(rx);
        if interrupted {
            assert_eq!(result, Err(std::io::ErrorKind::Interrupted));
        } else {
            assert_eq!(result, Ok(5));
        }
    }
}

fn no_zombies() {
    let _guard = Disposition::ignore(Signal::CHLD).expect("ignore");
    let mut child = Command::new("true").spawn().expect("start true");
    child.wait().expect_err("its status was thrown away");
}

fn default_ends() {
    let mut peer = Peer::cast("is_ended_by_the_default");
    let status = peer.command().status().expect("run");
    assert_eq!(status.signal(), Some(Signal::PIPE.number()));
}

fn is_ended() {
    // Rust's `main` has it ignored.
    assert!(ignored(Signal::PIPE));
    Disposition::default(Signal::PIPE).expect("default").keep();
    let set = SignalSet::from(Signal::PIPE);
    let guard = set.block().expect("block");
    raise(Signal::PIPE);
    assert_eq!(set.wait(Wait::Never).expect("it waits").code(), Code::User);
    drop(guard);
    raise(Signal::PIPE);
    unreachable!("it was ended");
}

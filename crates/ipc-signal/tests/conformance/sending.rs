//! Targets, and what is refused.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};

use ipc_core::{Error, ErrorKind, Notify, Wait};
use ipc_signal::{
    Code, Disposition, Handler, Pid, RawOptions, RtReceiver, RtSender, Signal, SignalFd,
    SignalReceiver, SignalSender, SignalSet, Target, Value, exists, pending, queue, send,
};
use ipc_testkit::{Harness, in_namespaces};
use rustix::process::{PidfdFlags, pidfd_open};
use rustix::thread::gettid;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("sending/a_pid_is_never_a_group_by_accident", never_a_group)
        .test("sending/a_group_gets_it_and_nobody_else", group)
        .test("sending/a_process_that_is_gone_is_not_found", gone)
        .test("sending/a_process_that_was_not_waited_for_is_there", zombie)
        .test("sending/the_own_group_has_its_leaders_number", own_group)
        .role("is_in_the_group_of_a_stranger", stranger_leads)
        .test("sending/one_thread_gets_it_and_no_other", thread)
        .test("sending/a_descriptor_that_is_no_pidfd_is_of_the_wrong_type", wrong_descriptor)
        .test("sending/a_value_goes_to_one_process", value_to_a_group)
        .test("sending/values_of_every_target_arrive", values)
        .test("sending/what_cannot_be_caught_is_refused_everywhere", uncatchable)
        .test("sending/every_bad_input_has_an_error_of_its_own", distinct)
        .test("sending/the_kind_of_signal_must_fit_the_end", wrong_kind)
}

/// A process that sleeps until it is signalled.
fn sleeper() -> Child {
    Command::new("sleep").arg("1000").spawn().expect("start sleep")
}

fn pidfd(child: &Child) -> OwnedFd {
    let pid = rustix::process::Pid::from_child(child);
    pidfd_open(pid, PidfdFlags::empty()).expect("pidfd_open")
}

fn never_a_group() {
    let mut notes = Vec::new();
    for number in [0, -1, -4711, i32::MIN] {
        let error = Pid::new(number).expect_err("not a process");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        notes.extend(error.note());
    }
    notes.dedup();
    assert_eq!(notes.len(), 2, "0 and a negative number are two mistakes: {notes:?}");
    assert!(Pid::try_from(u32::MAX).is_err());
    // -1 would be every process of the machine.
    let everybody = Target::Group(Pid::new(1).expect("a pid"));
    let error = send(everybody, Signal::TERM).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(exists(everybody).expect_err("refused").kind(), ErrorKind::InvalidInput);
}

fn own_group() {
    // Every case leads a group, for its watchdog.
    assert_eq!(Pid::own_group(), Some(Pid::this()));
    in_namespaces("is_in_the_group_of_a_stranger", &["--pid", "--fork", "--kill-child"], "true");
}

/// In a pid namespace, the leader of the group that one was born into has no number.
fn stranger_leads() {
    assert_eq!(Pid::own_group(), None);
    rustix::process::setsid().expect("setsid");
    assert_eq!(Pid::own_group(), Some(Pid::this()));
}

fn group() {
    let mut command = Command::new("sleep");
    command.arg("1000").process_group(0);
    let mut leader = command.spawn().expect("start sleep");
    let group = Pid::from(&leader);
    let mut member = command.process_group(group.get()).spawn().expect("start sleep");
    let mut bystander = sleeper();
    assert!(exists(Target::Group(group)).expect("ask"));
    send(Target::Group(group), Signal::TERM).expect("send");
    for child in [&mut leader, &mut member] {
        assert_eq!(child.wait().expect("wait").signal(), Some(Signal::TERM.number()));
    }
    assert!(bystander.try_wait().expect("ask").is_none(), "a bystander was hit");
    bystander.kill().expect("kill");
    bystander.wait().expect("wait");
    assert_eq!(
        send(Target::Group(group), Signal::TERM).expect_err("gone").kind(),
        ErrorKind::NotFound
    );
    assert!(!exists(Target::Group(group)).expect("ask"));
}

fn gone() {
    let mut child = sleeper();
    let (pid, fd) = (Pid::from(&child), pidfd(&child));
    let sender = SignalSender::to(pid, Signal::TERM).expect("sender");
    let values = RtSender::to(pid, Signal::realtime_min()).expect("sender");
    sender.notify().expect("notify");
    child.wait().expect("wait");
    let not_found = [
        send(Target::PidFd(fd.as_fd()), Signal::TERM),
        queue(Target::PidFd(fd.as_fd()), Signal::TERM, Value::default()),
    ];
    for result in not_found {
        assert_eq!(result.expect_err("gone").kind(), ErrorKind::NotFound);
    }
    for result in [sender.notify(), values.notify(), values.send(1.into(), Wait::Forever)] {
        assert_eq!(result.expect_err("gone").kind(), ErrorKind::Disconnected);
    }
    assert!(!exists(Target::PidFd(fd.as_fd())).expect("ask"));
    // A number that no process has: beyond the most that `pid_max` allows.
    let nobody = Pid::new(i32::MAX).expect("a pid");
    for result in [
        send(Target::Process(nobody), Signal::TERM),
        queue(Target::Process(nobody), Signal::TERM, Value::default()),
        send(Target::Thread { process: nobody, thread: nobody }, Signal::TERM),
        SignalSender::to(nobody, Signal::TERM).map(drop),
        RtSender::to(nobody, Signal::realtime_min()).map(drop),
    ] {
        assert_eq!(result.expect_err("nobody").kind(), ErrorKind::NotFound);
    }
}

fn zombie() {
    let mut child = sleeper();
    let sender = SignalSender::to(Pid::from(&child), Signal::KILL).expect("sender");
    sender.notify().expect("notify");
    let mut fds = [rustix::event::PollFd::new(&sender, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut fds, None).expect("the pidfd says that it has ended");
    sender.notify().expect("its signals go nowhere, as documented");
    assert!(exists(Target::Process(Pid::from(&child))).expect("ask"));
    child.wait().expect("wait");
    assert_eq!(sender.notify().expect_err("gone").kind(), ErrorKind::Disconnected);
}

fn thread() {
    let set = SignalSet::from(Signal::USR2);
    let _guard = set.block().expect("block");
    let here = Pid::new(gettid().as_raw_nonzero().get()).expect("a tid");
    let target = Target::Thread { process: Pid::this(), thread: here };
    assert!(exists(target).expect("ask"));
    send(target, Signal::USR2).expect("send");
    let elsewhere = std::thread::spawn(move || {
        (set.wait(Wait::Never).map(|it| it.signal()), pending().expect("pending"))
    });
    let (other, pending_there) = elsewhere.join().expect("no panic");
    assert_eq!(other.expect_err("not for it").kind(), ErrorKind::WouldBlock);
    assert!(pending_there.is_empty());
    let origin = set.wait(Wait::Never).expect("it is for this thread");
    assert_eq!((origin.code(), origin.pid()), (Code::Thread, Some(Pid::this())));
    assert!(origin.is_vouched_for());
    // A thread of another process is not found in this one.
    let mut child = sleeper();
    let wrong = Target::Thread { process: Pid::this(), thread: Pid::from(&child) };
    assert_eq!(send(wrong, Signal::USR2).expect_err("not ours").kind(), ErrorKind::NotFound);
    child.kill().expect("kill");
    child.wait().expect("wait");
}

fn wrong_descriptor() {
    let file = std::fs::File::open("/dev/null").expect("open");
    for result in [
        send(Target::PidFd(file.as_fd()), Signal::TERM),
        queue(Target::PidFd(file.as_fd()), Signal::TERM, Value::default()),
    ] {
        let error = result.expect_err("no pidfd");
        assert!(matches!(error.kind(), ErrorKind::WrongType { .. }), "{error}");
    }
    let rejected = SignalSender::from_pidfd(file.into(), Signal::TERM).expect_err("no pidfd");
    assert!(matches!(rejected.error.kind(), ErrorKind::WrongType { .. }), "{}", rejected.error);
    // It comes back open.
    rustix::io::fcntl_getfd(&rejected.value).expect("it is open");
}

fn value_to_a_group() {
    let error = queue(Target::Group(Pid::this()), Signal::USR2, Value::default());
    assert_eq!(error.expect_err("not to a group").kind(), ErrorKind::Unsupported);
}

fn values() {
    let signal = Signal::realtime(2).expect("a signal");
    let set = SignalSet::from(signal);
    let _guard = set.block().expect("block");
    let this = Pid::this();
    let here = Pid::new(gettid().as_raw_nonzero().get()).expect("a tid");
    let fd = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).expect("pidfd_open");
    let targets = [
        Target::Process(this),
        Target::Thread { process: this, thread: here },
        Target::PidFd(fd.as_fd()),
    ];
    for (target, value) in targets.into_iter().zip([usize::MAX, 1 << 33 | 5, 0]) {
        queue(target, signal, value.into()).expect("queue");
        let origin = set.wait(Wait::Never).expect("it is there");
        assert_eq!(origin.value().map(Value::as_usize), Some(value));
        let uid = rustix::process::getuid().as_raw();
        assert_eq!((origin.pid(), origin.uid()), (Some(this), Some(uid)));
        assert_eq!(origin.code(), Code::Queue);
    }
    for value in [i32::MIN, -1, 0, i32::MAX] {
        queue(Target::Process(this), signal, value.into()).expect("queue");
        let origin = set.wait(Wait::Never).expect("it is there");
        assert_eq!(origin.value().map(Value::as_int), Some(value));
    }
    // Without a value there is none.
    send(Target::Process(this), signal).expect("send");
    let origin = set.wait(Wait::Never).expect("it is there");
    assert_eq!((origin.code(), origin.value()), (Code::User, None));
}

#[track_caller]
fn is_unsupported(result: Result<impl Sized, Error>) {
    assert_eq!(result.map(drop).expect_err("refused").kind(), ErrorKind::Unsupported);
}

#[expect(unsafe_code, reason = "a raw handler is refused, too")]
fn uncatchable() {
    for signal in [Signal::KILL, Signal::STOP] {
        let set = SignalSet::from([signal, Signal::USR2]);
        is_unsupported(set.block());
        is_unsupported(set.block_only());
        is_unsupported(set.wait(Wait::Never));
        is_unsupported(SignalFd::open(set));
        is_unsupported(SignalReceiver::new(signal));
        is_unsupported(Handler::flag(signal, Default::default()));
        is_unsupported(Disposition::ignore(signal));
        is_unsupported(Disposition::default(signal));
        // SAFETY: the function does nothing, and is never installed.
        is_unsupported(unsafe { Disposition::raw(signal, RawOptions::new(), |_| {}) });
        let options = RawOptions::new().block(signal.into());
        // SAFETY: as above.
        is_unsupported(unsafe { Disposition::raw(Signal::USR2, options, |_| {}) });
        assert!(!ipc_signal::blocked().expect("ask").contains(Signal::USR2), "half was done");
    }
    for signal in [Signal::SEGV, Signal::ILL, Signal::FPE] {
        is_unsupported(Handler::flag(signal, Default::default()));
    }
    let _guard = SignalSet::all().block().expect("everything else can be blocked");
    assert!(SignalFd::open(SignalSet::EMPTY).is_err(), "an empty set would be silent for ever");
}

/// No two of the mistakes that people make have the same kind and explanation.
fn distinct() {
    let nobody = Target::Process(Pid::new(i32::MAX).expect("a pid"));
    let errors = [
        Signal::new(65).expect_err("out of range"),
        Signal::new(32).expect_err("reserved"),
        Signal::realtime(31).expect_err("beyond SIGRTMAX"),
        SignalSet::from(Signal::KILL).block().expect_err("cannot be blocked"),
        Handler::flag(Signal::SEGV, Default::default()).expect_err("a fault"),
        Pid::new(0).expect_err("own group"),
        Pid::new(-1).expect_err("everybody"),
        send(Target::Group(Pid::new(1).expect("a pid")), Signal::TERM).expect_err("everybody"),
        send(nobody, Signal::TERM).expect_err("gone"),
        RtReceiver::new(Signal::USR1).expect_err("does not queue"),
        SignalReceiver::new(Signal::realtime_min()).expect_err("queues"),
    ];
    for (n, error) in errors.iter().enumerate() {
        assert!(error.note().is_some(), "{error} does not say what to do");
        for other in &errors[n + 1..] {
            assert_ne!((error.kind(), error.note()), (other.kind(), other.note()), "{error}");
        }
    }
}

/// A thread that runs: one that starts blocks everything for a moment, in the C library.
fn early_thread() -> std::thread::JoinHandle<()> {
    let (says, hears) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        says.send(()).expect("the case listens");
        std::thread::park();
    });
    hears.recv().expect("the thread runs");
    thread
}

fn wrong_kind() {
    let this = Pid::this();
    for result in [
        SignalSender::to(this, Signal::realtime_min()).map(drop),
        SignalReceiver::new(Signal::realtime_max()).map(drop),
        RtSender::to(this, Signal::USR1).map(drop),
        RtReceiver::new(Signal::USR1).map(drop),
    ] {
        assert_eq!(result.expect_err("the wrong kind").kind(), ErrorKind::InvalidInput);
    }
    let early = early_thread();
    for result in [
        SignalReceiver::new(Signal::USR2).map(drop),
        RtReceiver::new(Signal::realtime_min()).map(drop),
        SignalFd::open(Signal::USR2.into()).map(drop),
    ] {
        let error = result.expect_err("another thread would get it");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert!(ipc_signal::blocked().expect("ask").is_empty(), "the mask is as it was");
    early.thread().unpark();
    early.join().expect("no panic");
}

//! Handles of any process: who it is, whether it lives, and what must not be done to it.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Wait};
use ipc_process::{Child, Liveness, Pid, Process, ProcessId, reap_any};
use ipc_testkit::{Descriptors, Harness, Peer, become_nobody, block, hear, need_root, say, skip};

use crate::forks::{Hold, assert_ends, assert_killed, ends_when_told, fork};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("handles/zero_and_negative_numbers_are_no_pids", no_pids)
        .test("handles/signals_to_no_pid_hit_nobody", hits_nobody)
        .test("handles/signals_that_are_none_are_refused", bad_signals)
        .test("handles/a_pid_that_is_gone_is_not_found", gone)
        .test("handles/a_thread_is_no_process", thread)
        .test("handles/a_reused_pid_is_another_process", reused)
        .test("handles/a_handle_stays_with_its_process_when_the_pid_is_reused", stays)
        .test("handles/another_users_process_is_seen_and_not_signalled", foreign)
        .role("nobody_signals", nobody_signals)
        .test("handles/a_process_that_is_no_child_is_seen_to_end", not_a_child)
        .role("starts_a_grandchild", starts_a_grandchild)
        .test("handles/a_zombie_is_told_from_the_living_and_the_gone", zombie)
        .test("handles/many_wait_for_one", many)
        .test("handles/signals_do_not_end_a_wait_for_an_exit", interrupted)
        .test("handles/a_descriptor_that_is_no_pidfd_comes_back", wrong_type)
        .test("handles/a_pidfd_that_was_received_is_a_process", received)
        .test("handles/a_child_is_given_a_handle_of_its_parent", given)
        .role("is_given_its_parent", is_given_its_parent)
        .test("handles/an_id_survives_a_zombie_and_not_a_wait", ids)
        .test("handles/are_close_on_exec", cloexec)
}

/// Runs a role that becomes another user.
pub(crate) fn as_nobody(role: &str) {
    need_root("become another user");
    Peer::start(role).join();
}

fn no_pids() {
    for number in [0, -1, -42, i32::MIN] {
        let error = Pid::new(number).expect_err("it is no pid");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let notes = [0, -1].map(|number| Pid::new(number).expect_err("it is no pid").note());
    assert_ne!(notes[0], notes[1]);
    for number in [0, u32::MAX, 1 << 31] {
        let error = Pid::try_from(number).expect_err("it is no pid");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(Pid::new(42).map(i32::from), Ok(42));
}

/// What a program does that has lost its child's pid: nothing of this crate takes a number unchecked.
fn hits_nobody() {
    let (mut bystander, hold) = ends_when_told();
    for lost in [0, -1, -bystander.pid().get()] {
        assert!(Pid::new(lost).and_then(Process::open).is_err());
    }
    drop(hold);
    assert!(bystander.wait().expect("wait").success());
}

fn bad_signals() {
    let (child, _hold) = ends_when_told();
    for signal in [0, -1, -9, 32, 33, 65, i32::MAX, i32::MIN] {
        let error = child.process().send_signal(signal).expect_err("it is no signal");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{signal}: {error}");
    }
    assert_eq!(child.process().liveness(), Ok(Liveness::Running));
    child.process().kill().expect("kill");
}

fn gone() {
    let mut child = fork(|| 0);
    let (pid, id) = (child.pid(), child.process().id().expect("id"));
    child.wait().expect("wait");
    let error = child.process().terminate().expect_err("it is gone");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, Some(libc::ESRCH)));
    assert_eq!(child.process().id().expect_err("it is gone").kind(), ErrorKind::NotFound);
    for error in [Process::open(pid).map(drop), Process::open_id(id).map(drop)] {
        assert_eq!(error.expect_err("it is gone").kind(), ErrorKind::NotFound);
    }
    // No process can have this number.
    let never = Pid::new(i32::MAX).expect("a number above 0");
    assert_eq!(Process::open(never).expect_err("nobody").kind(), ErrorKind::NotFound);
}

fn thread() {
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (stop, until) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            tx.send(rustix::thread::gettid().as_raw_nonzero().get()).expect("send");
            let _ = until.recv();
        });
        let tid = Pid::new(rx.recv().expect("receive")).expect("a number above 0");
        assert_eq!(Process::open(tid).expect_err("a thread").kind(), ErrorKind::InvalidInput);
        drop(stop);
    });
}

/// Has the kernel give `pid` to the next process, where this user may say so.
fn next_pid(pid: Pid) {
    let last = (pid.get() - 1).to_string();
    if std::fs::write("/proc/sys/kernel/ns_last_pid", last).is_err() {
        skip("this user cannot choose pids (/proc/sys/kernel/ns_last_pid, CAP_CHECKPOINT_RESTORE)");
    }
}

/// A child that has the pid of one that is gone, the id and a handle of that one.
fn reincarnation() -> (Child, Hold, ProcessId, Process) {
    for _ in 0..200 {
        let mut first = fork(|| 0);
        let id = first.process().id().expect("id");
        let process = first.process().try_clone().expect("clone");
        first.wait().expect("wait");
        // Later, by a tick at least: that is what the times are told in.
        std::thread::sleep(Duration::from_millis(20));
        next_pid(id.pid);
        let (second, hold) = ends_when_told();
        if second.pid() == id.pid {
            return (second, hold, id, process);
        }
        // Another process of the machine was quicker.
        second.process().kill().expect("kill");
    }
    skip("other processes take every pid first")
}

fn reused() {
    let (second, hold, id, _) = reincarnation();
    let error = Process::open_id(id).expect_err("it is another process");
    assert!(matches!(error.kind(), ErrorKind::WrongType { .. }), "{error}");
    let now = second.process().id().expect("id");
    assert!(now.pid == id.pid && now != id);
    assert_eq!(Process::open_id(now).expect("it runs").is_alive(), Ok(true));
    drop(hold);
}

fn stays() {
    let (mut second, hold, _, first) = reincarnation();
    assert_eq!(first.liveness(), Ok(Liveness::Gone));
    assert_eq!(first.kill().expect_err("it is gone").kind(), ErrorKind::NotFound);
    drop(hold);
    assert!(second.wait().expect("the signal has not hit it").success());
}

fn foreign() {
    as_nobody("nobody_signals");
}

/// The parent is root.
fn nobody_signals() {
    become_nobody();
    let process = Process::open(Pid::parent().expect("a parent")).expect("open");
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        let error = process.send_signal(signal).expect_err("it is another user's");
        let expected = (ErrorKind::PermissionDenied, Some(libc::EPERM));
        assert_eq!((error.kind(), error.raw_os_error()), expected);
    }
    assert_eq!(process.liveness(), Ok(Liveness::Running));
    assert!(process.id().is_ok());
}

fn not_a_child() {
    let mut peer = Peer::start("starts_a_grandchild");
    let pid = Pid::new(peer.listen().parse().expect("a pid")).expect("a pid");
    let process = Process::open(pid).expect("open");
    assert_eq!(process.is_alive(), Ok(true));
    assert_eq!(process.wait_exit(Wait::Never).expect_err("it runs").kind(), ErrorKind::WouldBlock);
    let error = process.wait_exit(Wait::timeout(Duration::from_millis(1))).expect_err("it runs");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let waiter = process.try_clone().expect("clone");
    let blocked = block("wait for a process", move || waiter.wait_exit(Wait::Forever));
    peer.tell("end it");
    assert_eq!(blocked.join(), Ok(()));
    assert_eq!(process.liveness(), Ok(Liveness::Zombie));
    peer.tell("wait for it");
    peer.expect("done");
    assert_eq!(process.liveness(), Ok(Liveness::Gone));
    peer.join();
}

fn starts_a_grandchild() {
    let (mut child, hold) = ends_when_told();
    say(child.pid().to_string());
    assert_eq!(hear(), "end it");
    drop(hold);
    assert_eq!(hear(), "wait for it");
    child.wait().expect("wait");
    say("done");
}

fn zombie() {
    let (mut child, hold) = ends_when_told();
    let process = Process::open(child.pid()).expect("open");
    assert_eq!((process.liveness(), process.is_alive()), (Ok(Liveness::Running), Ok(true)));
    drop(hold);
    process.wait_exit(Wait::Forever).expect("its end");
    assert_eq!((process.liveness(), process.is_alive()), (Ok(Liveness::Zombie), Ok(false)));
    // A zombie takes signals, and its pid is its own.
    process.kill().expect("kill");
    assert_eq!(Process::open(child.pid()).expect("open").liveness(), Ok(Liveness::Zombie));
    child.wait().expect("wait");
    assert_eq!((process.liveness(), process.is_alive()), (Ok(Liveness::Gone), Ok(false)));
    assert_eq!(process.wait_exit(Wait::Never), Ok(()));
}

fn many() {
    let (child, hold) = ends_when_told();
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let process = child.process().try_clone().expect("clone");
            block("wait for a process", move || process.wait_exit(Wait::Forever))
        })
        .collect();
    drop(hold);
    for waiter in waiters {
        assert_eq!(waiter.join(), Ok(()));
    }
}

fn interrupted() {
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(3600))] {
        let (child, hold) = ends_when_told();
        let process = child.process().try_clone().expect("clone");
        let blocked = block("wait for a process", move || process.wait_exit(wait));
        assert_eq!(blocked.interrupt(20), 20);
        drop(hold);
        assert_eq!(blocked.join(), Ok(()));
    }
}

fn wrong_type() {
    let (socket, _other) = UnixStream::pair().expect("socketpair");
    let others: [OwnedFd; 3] = [
        File::open("/dev/null").expect("open").into(),
        socket.into(),
        // The kernel takes it for a pidfd in some calls.
        File::open("/proc/self").expect("open").into(),
    ];
    for fd in others {
        let rejected = Process::try_from(fd).expect_err("it is no pidfd");
        let wrong =
            matches!(rejected.error.kind(), ErrorKind::WrongType { expected: "a pidfd", .. });
        assert!(wrong, "{rejected}");
        rustix::io::fcntl_getfd(&rejected.value).expect("it is open");
    }
}

fn received() {
    // By the descriptor alone, as it comes through a socket.
    let (mut child, hold) = ends_when_told();
    let again = |process: &Process| {
        let fd: OwnedFd = process.as_fd().try_clone_to_owned().expect("dup");
        Process::try_from(fd).expect("a pidfd")
    };
    let process = again(child.process());
    assert_eq!((process.pid(), process.is_alive()), (Some(child.pid()), Ok(true)));
    assert_eq!(process.id(), child.process().id());
    drop(hold);
    child.process().wait_exit(Wait::Forever).expect("its end");
    assert_eq!(again(child.process()).pid(), Some(child.pid()), "a zombie has its pid");
    child.wait().expect("wait");
    let process = again(child.process());
    assert_eq!((process.pid(), process.liveness()), (None, Ok(Liveness::Gone)));
    assert_eq!(process.id().expect_err("it has none").kind(), ErrorKind::NotFound);
}

fn given() {
    let mut peer = Peer::cast("is_given_its_parent");
    Process::this().and_then(|it| Ok(it.give(peer.command(), "parent")?)).expect("give");
    let (child, hold) = ends_when_told();
    let process = child.process().try_clone().expect("clone");
    process.give(peer.command(), "other").expect("give");
    let mut peer = peer.start();
    peer.expect(&Pid::this().to_string());
    peer.expect(&child.pid().to_string());
    drop(hold);
    peer.expect("the other has ended");
    peer.join();
}

fn is_given_its_parent() {
    let (parent, other) = (Process::adopt("parent"), Process::adopt("other"));
    let (parent, other) = (parent.expect("adopt"), other.expect("adopt"));
    for process in [&parent, &other] {
        say(process.pid().expect("it lives").to_string());
    }
    other.wait_exit(Wait::Forever).expect("its end");
    assert_eq!(parent.is_alive(), Ok(true));
    say("the other has ended");
    assert_eq!(Process::adopt("parent").expect_err("twice").kind(), ErrorKind::AlreadyExists);
}

fn ids() {
    let mut ids = HashSet::new();
    let mut children: Vec<_> = (0..10).map(|_| ends_when_told()).collect();
    for (child, _) in &children {
        assert!(ids.insert(child.process().id().expect("id")));
    }
    let (mut child, hold) = children.pop().expect("ten");
    let id = child.process().id().expect("id");
    drop(hold);
    child.process().wait_exit(Wait::Forever).expect("its end");
    assert_eq!(child.process().id(), Ok(id));
    assert_eq!(Process::open_id(id).expect("a zombie").liveness(), Ok(Liveness::Zombie));
    child.wait().expect("wait");
    assert_eq!(child.process().id().expect_err("gone").kind(), ErrorKind::NotFound);
    // A child is dropped before what holds it, and would be waited for.
    children.iter().for_each(|(child, _)| child.process().kill().expect("kill"));
    let this = ProcessId::this().expect("id");
    assert_eq!(Process::this().expect("this").id(), Ok(this));
}

fn cloexec() {
    let (child, _hold) = ends_when_told();
    let before = Descriptors::now();
    let _more = [
        child.process().try_clone().expect("clone"),
        Process::this().expect("this"),
        Process::open(child.pid()).expect("open"),
    ];
    let new = Descriptors::now().since(&before);
    assert_eq!(new.0.len(), 3);
    for fd in _more.iter().map(AsFd::as_fd).chain([child.as_fd()]) {
        let flags = rustix::io::fcntl_getfd(fd).expect("fcntl");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
    child.process().kill().expect("kill");
    let mut child = child;
    assert_killed(&mut child, 9);
    assert_ends(child.process());
    assert_eq!(reap_any(Wait::Never).expect_err("none").kind(), ErrorKind::NotFound);
}

//! Parents that die first: signals, orphans, and processes killed at any moment.
#![expect(unsafe_code, reason = "forking is unsafe, and says what its caller promises")]

use std::process::Command;

use ipc_core::{ErrorKind, Wait};
use ipc_process::{
    Child, ForkOptions, Liveness, OnDrop, Pid, Process, die_with_parent, is_subreaper, reap_any,
    set_parent_death_signal, set_subreaper,
};
use ipc_testkit::{Harness, Peer, say, wait_for_the_end};

use crate::forks::{assert_ends, ends_when_told, fork, forked_with};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("deaths/a_program_dies_with_its_parent", program)
        .role("starts_a_program", starts_a_program)
        .test("deaths/a_forked_child_dies_with_its_parent", forked)
        .role("forks_a_child", forks_a_child)
        .test("deaths/a_parent_that_has_died_before_is_noticed", died_before)
        .test("deaths/parents_killed_at_any_moment_leave_nobody", any_moment)
        .role("forks_until_killed", forks_until_killed)
        .test("deaths/signals_that_are_none_are_refused", bad_signals)
        .test("deaths/a_child_waits_for_its_parents_end", watches_parent)
        .role("is_watched", is_watched)
        .test("deaths/a_parent_that_is_not_is_disconnected", not_the_parent)
        .test("deaths/an_orphan_comes_to_its_subreaper", orphan)
        .test("deaths/a_subreaper_is_one_until_told_otherwise", subreaper)
        .test("deaths/children_killed_at_any_moment_have_the_status_of_it", killed_children)
}

/// How many processes a kill test kills.
pub(crate) fn kills() -> u64 {
    std::env::var("IPC_PROCESS_KILLS").map_or(50, |n| n.parse().expect("a number"))
}

/// The process that a peer names.
fn named_by(peer: &mut Peer) -> Process {
    let pid = peer.listen().parse().expect("a pid");
    Process::open(Pid::new(pid).expect("a pid")).expect("open")
}

fn program() {
    let mut peer = Peer::start("starts_a_program");
    let process = named_by(&mut peer);
    assert_eq!(process.is_alive(), Ok(true));
    peer.kill();
    assert_ends(&process);
}

fn starts_a_program() {
    let mut command = Command::new("sleep");
    die_with_parent(command.arg("600"), libc::SIGTERM).expect("arm");
    let child = Child::spawn(&mut command).expect("spawn");
    say(child.pid().to_string());
    wait_for_the_end()
}

fn forked() {
    let mut peer = Peer::start("forks_a_child");
    let process = named_by(&mut peer);
    assert_eq!(process.is_alive(), Ok(true));
    peer.kill();
    assert_ends(&process);
}

/// A child that only the signal ends: it holds both ends of what it waits for.
fn mortal() -> Child {
    let (mut rx, tx) = std::io::pipe().expect("pipe");
    let run = move || {
        let read = std::io::Read::read(&mut rx, &mut [0]);
        drop(tx);
        u8::from(read.is_err())
    };
    // SAFETY: this process has one thread, and nothing that a fork would make two owners of.
    unsafe { ForkOptions::new().parent_death_signal(libc::SIGKILL).fork(run) }.expect("fork")
}

fn forks_a_child() {
    let child = mortal();
    say(child.pid().to_string());
    wait_for_the_end()
}

/// The grandchild asks for the signal when its parent is gone already.
fn died_before() {
    set_subreaper(true).expect("prctl");
    let (mut go, told) = std::io::pipe().expect("pipe");
    let mut told = Some(told);
    let parent = || {
        let parent = Pid::this();
        drop(told.take());
        let orphan = forked_with(OnDrop::Leave, || {
            let _ = std::io::Read::read(&mut go, &mut [0]);
            match set_parent_death_signal(libc::SIGTERM, parent).map_err(|error| error.kind()) {
                Err(ErrorKind::Disconnected) => 21,
                _ => 22,
            }
        });
        u8::from(orphan.status().is_some())
    };
    assert!(fork(parent).wait().expect("wait").success());
    drop(told);
    assert_eq!(reap_any(Wait::Forever).expect("reap").1.code(), Some(21));
}

/// Whatever a parent was doing when it was killed, the children that it had forked end.
fn any_moment() {
    set_subreaper(true).expect("prctl");
    for round in 0..kills() {
        let mut peer = Peer::start("forks_until_killed");
        for _ in 0..round % 4 {
            let _ = peer.listen();
        }
        peer.kill();
        // All orphans come here, and all of them end.
        while let Ok((_, status)) = reap_any(Wait::Forever) {
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(status.signal(), Some(libc::SIGKILL), "in round {round}");
        }
    }
}

fn forks_until_killed() {
    let mut children = Vec::new();
    loop {
        children.push(mortal());
        say("one more");
        if children.len() == 20 {
            for child in &children {
                child.process().kill().expect("kill");
            }
            children.clear();
        }
    }
}

fn bad_signals() {
    for signal in [0, -1, 32, 65] {
        let error = die_with_parent(&mut Command::new("true"), signal).expect_err("no signal");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = set_parent_death_signal(signal, Pid::this()).expect_err("no signal");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

fn watches_parent() {
    let mut peer = Peer::start("is_watched");
    let watcher = named_by(&mut peer);
    peer.expect("watched");
    peer.kill();
    assert_ends(&watcher);
}

fn is_watched() {
    let parent = Pid::this();
    let (mut rx, mut tx) = std::io::pipe().expect("pipe");
    let child = fork(|| {
        let watched = Process::parent(parent).expect("the parent lives");
        std::io::Write::write_all(&mut tx, b".").expect("write");
        u8::from(watched.wait_exit(Wait::Forever).is_err())
    });
    say(child.pid().to_string());
    std::io::Read::read_exact(&mut rx, &mut [0]).expect("read");
    say("watched");
    wait_for_the_end()
}

fn not_the_parent() {
    let error = Process::parent(Pid::this()).expect_err("nobody is its own parent");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let (child, _hold) = ends_when_told();
    let error = Process::parent(child.pid()).expect_err("a child is no parent");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let mut gone = fork(|| 0);
    gone.wait().expect("wait");
    let error = Process::parent(gone.pid()).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    child.process().kill().expect("kill");
}

fn orphan() {
    set_subreaper(true).expect("prctl");
    let (mut go, told) = std::io::pipe().expect("pipe");
    let mut told = Some(told);
    let this = Pid::this();
    let parent = || {
        drop(told.take());
        let orphan = forked_with(OnDrop::Leave, || {
            let _ = std::io::Read::read(&mut go, &mut [0]);
            u8::from(Pid::parent() != Some(this))
        });
        u8::from(orphan.status().is_some())
    };
    assert!(fork(parent).wait().expect("wait").success());
    drop(told);
    let (pid, status) = reap_any(Wait::Forever).expect("the orphan");
    assert!(pid != this && status.success(), "{status}");
    assert_eq!(reap_any(Wait::Forever).expect_err("none").kind(), ErrorKind::NotFound);
}

fn subreaper() {
    assert_eq!(is_subreaper(), Ok(false));
    set_subreaper(true).expect("prctl");
    assert_eq!(is_subreaper(), Ok(true));
    let child = fork(|| u8::from(is_subreaper() != Ok(false))).wait().expect("wait");
    assert!(child.success(), "a child of a subreaper is none");
    set_subreaper(false).expect("prctl");
    assert_eq!(is_subreaper(), Ok(false));
}

fn killed_children() {
    for round in 0..kills() {
        let mut child = fork(move || {
            // Somewhere in here it is killed, or just afterwards.
            let parents = (0..round * 50).filter(|_| Pid::parent().is_some()).count();
            u8::from(parents as u64 != round * 50)
        });
        child.process().kill().expect("kill");
        let status = child.wait().expect("wait");
        use std::os::unix::process::ExitStatusExt;
        assert!(status.success() || status.signal() == Some(9), "round {round}: {status}");
        assert_eq!(child.process().liveness(), Ok(Liveness::Gone));
    }
}

//! Whom a pid stands for, and what it is when it stands for nobody.

use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;

use ipc_core::{ErrorKind, SendMsg, Wait};
use ipc_sock::direct::Port;
use ipc_testkit::{Descriptors, Harness, block, dir};
use rustix::process::{Signal, kill_process};

use super::{clean_up, fails, fails_with, me, options, order, pid, recv, server, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("direct/what_cannot_be_a_pid_is_invalid", invalid)
        .test("direct/a_pid_of_nobody_is_not_found", nobody)
        .test("direct/a_thread_is_not_found", thread)
        .test("direct/a_process_without_a_port_is_not_found", no_port)
        .test("direct/a_process_that_died_is_disconnected_once_and_then_not_found", died)
        .test("direct/a_process_that_died_before_the_first_send_is_disconnected", died_before)
        .test("direct/a_process_that_nobody_has_waited_for_has_ended", zombie)
        .test("direct/a_port_that_was_opened_again_is_another_one", reopened)
        .test("direct/a_name_with_another_start_is_somebody_else", other_start)
        .test("direct/a_name_of_another_type_of_socket_is_a_wrong_type", other_type)
        .test("direct/a_process_has_one_port", one_port)
        .test("direct/a_blocked_send_is_disconnected_when_the_receiver_is_killed", blocked_send)
        .test("direct/contacts_are_bounded", bounded)
        .test("direct/a_deadline_passes_while_the_receiver_does_not_receive", full)
        .test("direct/a_slow_receiver_does_not_hold_up_another", slow)
}

fn open() -> Port {
    options().open().expect("open")
}

fn invalid() {
    let mut port = open();
    for pid in [0, 1 << 31, u32::MAX] {
        fails_with(port.send_to(pid, b"x", Wait::Forever), ErrorKind::InvalidInput, "pid");
        fails(port.peer(pid), ErrorKind::InvalidInput);
        let received = port.recv_from(Some(pid), &mut [0; 8], Wait::Forever);
        fails(received, ErrorKind::InvalidInput);
    }
}

fn nobody() {
    // More than /proc/sys/kernel/pid_max can be.
    let none = 1 << 30;
    let mut port = open();
    let not_found = ErrorKind::NotFound;
    fails_with(port.send_to(none, b"x", Wait::Forever), not_found, "no process has this pid");
    fails(port.peer(none), not_found);
    fails(port.recv_from(Some(none), &mut [0; 8], Wait::Forever), not_found);
    fails(port.only_from(none), not_found);
}

fn thread() {
    let port = open();
    let (ask, asked) = std::sync::mpsc::channel();
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let tid = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        tell.send(tid).expect("send");
        asked.recv().expect("recv");
    });
    let tid = told.recv().expect("recv");
    fails_with(port.send_to(tid, b"x", Wait::Forever), ErrorKind::NotFound, "thread");
    ask.send(()).expect("send");
    thread.join().expect("join");
}

fn no_port() {
    let (port, mut peer) = (open(), server());
    fails_with(port.send_to(pid(&peer), b"x", Wait::Forever), ErrorKind::NotFound, "no port");
    // Now it has one.
    order(&mut peer, "open");
    port.send_to(pid(&peer), b"hello", soon()).expect("send");
    peer.tell("recv");
    peer.expect("hello");
    peer.expect("done");
    order(&mut peer, "end");
    peer.join();
}

fn died() {
    let (port, mut peer) = (open(), server());
    order(&mut peer, "open");
    let pid = pid(&peer);
    let mut handle = port.peer(pid).expect("peer");
    port.send_to(pid, b"x", soon()).expect("send");
    handle.send(b"x").expect("send");
    assert!(!handle.has_ended().expect("poll"));
    peer.kill();
    let gone = ErrorKind::Disconnected;
    fails_with(port.send_to(pid, b"x", Wait::Forever), gone, "the process has ended");
    fails(port.send_to(pid, b"x", Wait::Forever), ErrorKind::NotFound);
    for _ in 0..3 {
        fails_with(handle.send(b"x"), gone, "the process has ended");
    }
    assert!(handle.has_ended().expect("poll"));
    drop(port);
    clean_up();
}

/// Contact was made by a receive, so that the first send is to a process that has died already.
fn died_before() {
    let (mut port, mut peer) = (open(), server());
    order(&mut peer, "open");
    let pid = pid(&peer);
    fails(port.recv_from(Some(pid), &mut [0; 8], Wait::Never), ErrorKind::WouldBlock);
    peer.kill();
    fails_with(port.send_to(pid, b"x", Wait::Forever), ErrorKind::Disconnected, "has ended");
    fails(port.send_to(pid, b"x", Wait::Forever), ErrorKind::NotFound);
    drop(port);
    clean_up();
}

fn zombie() {
    let port = open();
    let mut child = Command::new("true").spawn().expect("spawn");
    let pidfd = rustix::process::pidfd_open(
        rustix::process::Pid::from_child(&child),
        rustix::process::PidfdFlags::empty(),
    );
    let pidfd = pidfd.expect("pidfd_open");
    let ready = rustix::event::PollFlags::IN;
    ipc_fd::wait::ready("poll", pidfd.as_fd(), ready, soon()).expect("it ends");
    let pid = child.id();
    fails_with(port.send_to(pid, b"x", Wait::Forever), ErrorKind::NotFound, "has ended");
    child.wait().expect("wait");
}

fn reopened() {
    let (port, mut peer) = (open(), server());
    order(&mut peer, "open");
    let pid = pid(&peer);
    let mut handle = port.peer(pid).expect("peer");
    port.send_to(pid, b"lost with the port", soon()).expect("send");
    order(&mut peer, "close");
    order(&mut peer, "open");
    fails_with(port.send_to(pid, b"x", Wait::Forever), ErrorKind::Disconnected, "closed its port");
    order(&mut peer, "nothing");
    port.send_to(pid, b"to the new one", soon()).expect("send");
    peer.tell("recv");
    peer.expect("to the new one");
    peer.expect("done");
    fails_with(handle.send(b"x"), ErrorKind::Disconnected, "closed its port");
    fails_with(handle.send(b"x"), ErrorKind::Disconnected, "closed its port");
    order(&mut peer, "nothing");
    order(&mut peer, "end");
    peer.join();
}

/// The port's name is taken, by its own process or another one of this user, for something else.
fn other_type() {
    let (port, peer) = (open(), server());
    let pid = pid(&peer);
    let path = dir().join(format!("{pid}.{}", start(pid)));
    let listener = UnixListener::bind(&path).expect("bind");
    let expected = ErrorKind::WrongType {
        expected: "a Unix datagram socket",
        found: "a socket of another type",
    };
    fails(port.send_to(pid, b"x", Wait::Forever), expected);
    drop(listener);
    // Nobody has the socket any more.
    fails_with(port.send_to(pid, b"x", Wait::Forever), ErrorKind::NotFound, "no port");
    std::fs::remove_file(&path).expect("remove");
    drop(peer);
}

/// Field 22 of `/proc/PID/stat`.
fn start(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("read");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    rest.split_whitespace().nth(19).expect("field 22").parse().expect("a number")
}

/// As if the process had the pid of one that had a port and died.
fn other_start() {
    let (port, peer) = (open(), server());
    let pid = pid(&peer);
    let stranger = dir().join(format!("{pid}.{}", start(pid) - 1));
    let socket = UnixDatagram::bind(&stranger).expect("bind");
    socket.set_nonblocking(true).expect("set");
    fails_with(port.send_to(pid, b"x", Wait::Forever), ErrorKind::NotFound, "no port");
    assert!(socket.recv(&mut [0; 8]).is_err(), "a stranger got the message");
    std::fs::remove_file(stranger).expect("remove");
    drop(peer);
}

fn one_port() {
    let port = open();
    fails_with(options().open(), ErrorKind::AlreadyExists, "has a port");
    assert_eq!(ipc_testkit::names_in_dir().len(), 1);
    drop(port);
    assert!(ipc_testkit::names_in_dir().is_empty());
    drop(open());
}

fn blocked_send() {
    let (port, mut peer) = (open(), server());
    order(&mut peer, "open");
    let mut handle = port.peer(pid(&peer)).expect("peer");
    while handle.try_send(b"fill").is_ok() {}
    for wait in [Wait::Forever, soon()] {
        let mut handle = handle.clone();
        let blocked = block("send on a full port", move || handle.send_with(b"x", wait));
        if wait == Wait::Forever {
            // It goes on when there is room.
            for _ in 0..2 {
                peer.tell("recv");
                peer.expect("fill");
                peer.expect("done");
            }
            blocked.join().expect("send");
            while port.send_to(pid(&peer), b"fill", Wait::Never).is_ok() {}
        } else {
            kill_process(peer.pid(), Signal::KILL).expect("kill");
            fails(blocked.join(), ErrorKind::Disconnected);
        }
    }
    drop((port, peer));
    clean_up();
}

fn bounded() {
    let port = options().contacts(2).open().expect("open");
    let mut peers: Vec<_> = (0..5).map(|_| server()).collect();
    for peer in &mut peers {
        order(peer, "open");
    }
    let mut before = None;
    for round in 0..3 {
        for peer in &mut peers {
            port.send_to(pid(peer), b"hello", soon()).expect("send");
            peer.tell("recv");
            peer.expect("hello");
            peer.expect("done");
        }
        let now = Descriptors::now().0.len();
        assert_eq!(now, *before.get_or_insert(now), "descriptors pile up in round {round}");
    }
    for mut peer in peers {
        order(&mut peer, "end");
        peer.join();
    }
}

fn full() {
    let (port, mut peer) = (open(), server());
    order(&mut peer, "open");
    let pid = pid(&peer);
    while port.send_to(pid, b"fill", Wait::Never).is_ok() {}
    fails(port.send_to(pid, b"x", Wait::Never), ErrorKind::WouldBlock);
    let now = Wait::timeout(std::time::Duration::from_millis(5));
    fails(port.send_to(pid, b"x", now), ErrorKind::TimedOut);
    order(&mut peer, "end");
    peer.join();
}

fn slow() {
    let (port, mut idle, mut busy) = (open(), server(), server());
    order(&mut idle, "open");
    order(&mut busy, "open");
    let long = vec![7; 50_000];
    let filled = (0..100).find(|_| port.send_to(pid(&idle), &long, Wait::Never).is_err());
    // The buffer of the sender is full, and not the queue of the receiver.
    assert!(filled.is_some_and(|messages| messages < 10), "{filled:?}");
    port.send_to(pid(&busy), b"not held up", Wait::Never).expect("send");
    busy.tell("recv");
    busy.expect("not held up");
    busy.expect("done");
    drop((idle, busy, port));
    clean_up();
}

/// A message to oneself comes with one's own pid; used by other cases to see what is received last.
pub(super) fn echo(port: &mut Port) {
    port.send_to(me(), b"echo", soon()).expect("send");
    assert_eq!(recv(port, None), (b"echo".to_vec(), me()));
}

//! Many processes, processes that are killed, and forked copies.

use ipc_core::{ErrorKind, SendMsg, Wait};
use ipc_sock::direct::Port;
use ipc_testkit::{Harness, Peer, names_in_dir, say, wait_for_the_end};
use rustix::process::{Signal, kill_process};

use super::addressing::echo;
use super::{case_pid, cast, clean_up, fails, me, options, order, pid, recv, server, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("direct/four_send_to_one_in_order_and_nothing_is_lost", four_to_one)
        .role("direct/sends_its_numbers", sends_its_numbers)
        .test("direct/two_talk_to_each_other_alone_while_a_third_sends", two_talk)
        .role("direct/adds_one", adds_one)
        .test("direct/killed_senders_leave_whole_messages_in_order", killed_senders)
        .role("direct/sends_until_killed", sends_until_killed)
        .test("direct/killed_receivers_take_what_they_had_and_are_disconnected", killed_receivers)
        .role("direct/answers_until_killed", answers_until_killed)
        .test("direct/names_of_killed_processes_go_with_the_next_port", stale_names)
        .test("direct/a_forked_copy_has_no_port_and_does_not_remove_the_name", forked)
        .test("direct/a_forked_copy_of_a_dead_receiver_receives_nothing", forked_receiver)
        .role("direct/forks_and_waits", forks_and_waits)
        .test("direct/an_exec_leaves_a_name_that_the_process_takes_over", exec)
        .role("direct/opens_again", opens_again)
}

/// How many processes a kill test kills.
fn kills() -> u64 {
    std::env::var("IPC_SOCK_KILLS").map_or(200, |n| n.parse().expect("a number"))
}

const PER_SENDER: u32 = 2000;

/// A message of 4 to 35 bytes whose every byte follows from its number.
fn body(seq: u32) -> Vec<u8> {
    let mut body = seq.to_le_bytes().to_vec();
    body.extend((0..seq % 32).map(|at| (seq + at) as u8));
    body
}

/// The number of a message that is whole.
#[track_caller]
fn number(msg: &[u8]) -> u32 {
    let seq = u32::from_le_bytes(msg[..4].try_into().expect("4 bytes"));
    assert_eq!(msg, body(seq), "message {seq} is torn");
    seq
}

fn four_to_one() {
    let mut port = options().kept_messages(usize::MAX).open().expect("open");
    let senders: Vec<_> = (0..4).map(|_| cast("direct/sends_its_numbers").start()).collect();
    let pids: Vec<_> = senders.iter().map(pid).collect();
    let mut next = [0; 4];
    // Now from anybody, now from one of them only.
    for turn in 0..4 * PER_SENDER as usize {
        let at = turn % 7;
        let from = pids.get(at).copied().filter(|_| next.get(at).is_some_and(|n| *n < PER_SENDER));
        let (msg, sender) = recv(&mut port, from);
        assert!(from.is_none_or(|from| from == sender));
        let id = pids.iter().position(|pid| *pid == sender).expect("one of the four");
        assert_eq!(number(&msg), next[id], "the order of sender {id} is not kept");
        next[id] += 1;
    }
    assert_eq!(next, [PER_SENDER; 4]);
    fails(port.recv_from(None, &mut [0; 8], Wait::Never), ErrorKind::WouldBlock);
    senders.into_iter().for_each(Peer::join);
}

fn sends_its_numbers() {
    let port = options().open().expect("open");
    for seq in 0..PER_SENDER {
        // Each way to wait takes its turn.
        let wait = [Wait::Forever, soon()][seq as usize % 2];
        port.send_to(case_pid(), &body(seq), wait).expect("send");
    }
}

fn two_talk() {
    let mut port = options().kept_messages(1 << 20).kept_bytes(1 << 30).open().expect("open");
    let partner = cast("direct/adds_one").start();
    let chatter = cast("direct/sends_its_numbers").start();
    let partner_pid = pid(&partner);
    // It has a port when it has said so.
    assert_eq!(recv(&mut port, Some(partner_pid)).0, b"ready");
    for n in 0..1000_u32 {
        port.send_to(partner_pid, &n.to_le_bytes(), soon()).expect("send");
        let (answer, from) = recv(&mut port, Some(partner_pid));
        assert_eq!((answer, from), ((n + 1).to_le_bytes().to_vec(), partner_pid));
    }
    port.send_to(partner_pid, b"", soon()).expect("send");
    partner.join();
    // All that the third has sent is there, in order.
    for seq in 0..PER_SENDER {
        let (msg, from) = recv(&mut port, None);
        assert_eq!((number(&msg), from), (seq, pid(&chatter)));
    }
    chatter.join();
}

fn adds_one() {
    let mut port = options().open().expect("open");
    port.send_to(case_pid(), b"ready", soon()).expect("send");
    loop {
        let (msg, from) = recv(&mut port, None);
        assert_eq!(from, case_pid());
        let Ok(n) = <[u8; 4]>::try_from(&msg[..]).map(u32::from_le_bytes) else { return };
        port.send_to(from, &(n + 1).to_le_bytes(), soon()).expect("send");
    }
}

fn killed_senders() {
    let mut port = options().open().expect("open");
    for round in 0..kills() {
        let peer = cast("direct/sends_until_killed").start();
        let from = Some(pid(&peer));
        for seq in 0..1 + u32::try_from(round * 7 % 50).expect("small") {
            assert_eq!(number(&recv(&mut port, from).0), seq, "in round {round}");
        }
        kill_process(peer.pid(), Signal::KILL).expect("kill");
        // What it sent before it died is there, whole and in order; then it is seen that it has died.
        let mut buf = [0; 64];
        let mut last = None;
        let error = loop {
            match port.recv_from(from, &mut buf, soon()) {
                Ok(got) => {
                    let seq = number(&buf[..got.len]);
                    assert!(last.is_none_or(|last| seq == last + 1), "in round {round}");
                    last = Some(seq);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected, "in round {round}: {error}");
        peer.kill();
    }
    assert_eq!(port.kept(), 0);
    echo(&mut port);
    drop(port);
    clean_up();
}

fn sends_until_killed() {
    let port = options().open().expect("open");
    for seq in 0.. {
        port.send_to(case_pid(), &body(seq), Wait::Forever).expect("send");
    }
}

fn killed_receivers() {
    let mut port = options().open().expect("open");
    for round in 0..kills() {
        let peer = cast("direct/answers_until_killed").start();
        let to = pid(&peer);
        assert_eq!(recv(&mut port, Some(to)).0, b"ready");
        let count = 1 + u32::try_from(round * 7 % 50).expect("small");
        let mut handle = port.peer(to).expect("peer");
        for seq in 0..count {
            port.send_to(to, &body(seq), Wait::Forever).expect("send");
            assert_eq!(number(&recv(&mut port, Some(to)).0), seq);
        }
        // It is to be killed at work, and not only while it waits for a message.
        for seq in 0..u32::try_from(round % 10).expect("small") {
            port.send_to(to, &body(seq), Wait::Forever).expect("send");
        }
        kill_process(peer.pid(), Signal::KILL).expect("kill");
        // Until it is dead it may have room; it never blocks for ever.
        let error = loop {
            if let Err(error) = port.send_to(to, b"", Wait::Forever) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected, "in round {round}: {error}");
        fails(handle.send(b""), ErrorKind::Disconnected);
        peer.kill();
        while port.recv_from(None, &mut [0; 64], Wait::Never).is_ok() {}
    }
    echo(&mut port);
    drop(port);
    clean_up();
}

/// Answers each message with itself.
fn answers_until_killed() {
    let mut port = options().open().expect("open");
    port.send_to(case_pid(), b"ready", Wait::Forever).expect("send");
    loop {
        let (msg, from) = recv(&mut port, None);
        port.send_to(from, &msg, Wait::Forever).expect("send");
    }
}

fn stale_names() {
    let mut living = server();
    order(&mut living, "open");
    let mut peers = [server(), server(), server()];
    peers.iter_mut().for_each(|peer| order(peer, "open"));
    peers.into_iter().for_each(Peer::kill);
    assert_eq!(names_in_dir().len(), 4);
    // What is nobody's port is left alone.
    let others = ["README", "1.2.3", "999999999.1", "999999998.1.lock"];
    for name in others {
        std::fs::write(ipc_testkit::dir().join(name), "").expect("write");
    }
    // Left behind by a process that was killed while it took over its own name.
    std::fs::write(ipc_testkit::dir().join("999999999.1.sock-lock"), "").expect("write");
    assert_eq!(names_in_dir().len(), 1 + 3 + others.len() + 1);
    let mut port = options().open().expect("open");
    assert_eq!(names_in_dir().len(), 2 + others.len(), "{:?}", names_in_dir());
    port.send_to(pid(&living), b"hello", soon()).expect("send");
    living.tell("recv");
    living.expect("hello");
    living.expect("done");
    echo(&mut port);
    for name in others {
        std::fs::remove_file(ipc_testkit::dir().join(name)).expect("remove");
    }
    order(&mut living, "end");
    living.join();
}

/// Runs `child` in a copy of this process, which has one thread, and ends that.
#[expect(unsafe_code, reason = "a forked copy is what the case is about")]
fn fork(child: impl FnOnce() -> bool) -> rustix::process::Pid {
    // SAFETY: a case, or a role, runs on the only thread of its process.
    match unsafe { libc::fork() } {
        0 => {
            let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            // SAFETY: it ends the process, and nothing of it runs any more.
            unsafe { libc::_exit(i32::from(!right.unwrap_or(false))) }
        }
        pid => rustix::process::Pid::from_raw(pid).expect("fork"),
    }
}

#[track_caller]
fn join(child: rustix::process::Pid) {
    let flags = rustix::process::WaitOptions::empty();
    let (_, status) = rustix::process::waitpid(Some(child), flags).expect("wait").expect("ended");
    assert_eq!(status.exit_status(), Some(0), "the forked copy says so");
}

fn forked() {
    assert_eq!(std::fs::read_dir("/proc/self/task").expect("list").count(), 1, "threads");
    let mut port = Some(options().open().expect("open"));
    let parent = me();
    let child = fork(|| {
        let mut copy = port.take().expect("a copy");
        let denied = ErrorKind::PermissionDenied;
        fails(copy.send_to(parent, b"x", Wait::Never), denied);
        fails(copy.peer(parent), denied);
        fails(copy.recv_from(None, &mut [0; 8], Wait::Never), denied);
        fails(copy.recv_from(Some(parent), &mut [0; 8], Wait::Never), denied);
        fails(copy.only_from(parent), denied);
        drop(copy);
        // It has a port of its own.
        let own = options().open().expect("open");
        own.send_to(parent, b"from the child", Wait::Forever).expect("send");
        true
    });
    let port = port.as_mut().expect("the parent's");
    let child_pid = child.as_raw_nonzero().get().cast_unsigned();
    assert_eq!(recv(port, None), (b"from the child".to_vec(), child_pid));
    join(child);
    assert!(port.path().exists(), "the copy has removed the name");
    echo(port);
}

fn forked_receiver() {
    let port = options().open().expect("open");
    let mut peer = cast("direct/forks_and_waits").start();
    peer.expect("ready");
    let to = pid(&peer);
    let mut handle = port.peer(to).expect("peer");
    port.send_to(to, b"x", soon()).expect("send");
    let name = names_in_dir().into_iter().find(|name| name.starts_with(&format!("{to}.")));
    let path = ipc_testkit::dir().join(name.expect("its name"));
    kill_process(peer.pid(), Signal::KILL).expect("kill");
    let ready = rustix::event::PollFlags::IN;
    ipc_fd::wait::ready("poll", handle.pidfd(), ready, soon()).expect("it ends");
    // The copy has the socket open: the kernel alone would take the message.
    let stranger = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    stranger.send_to(b"the copy is there", &path).expect("send");
    fails(handle.send(b"x"), ErrorKind::Disconnected);
    fails(port.send_to(to, b"x", Wait::Forever), ErrorKind::Disconnected);
    fails(port.send_to(to, b"x", Wait::Forever), ErrorKind::NotFound);
    // Ends the copy, whose socket keeps the name from being stale.
    drop((peer, port));
    while path.exists() {
        std::thread::yield_now();
        clean_up();
    }
}

fn forks_and_waits() {
    let _port: Port = options().open().expect("open");
    let _copy = fork(|| wait_for_the_end());
    say("ready");
    wait_for_the_end();
}

fn exec() {
    let mut peer = cast("direct/opens_again").start();
    peer.expect("opened");
    peer.join();
    assert!(names_in_dir().is_empty(), "{:?}", names_in_dir());
}

/// Opens a port, executes itself, and opens it again.
fn opens_again() {
    use std::os::unix::process::CommandExt;
    if std::env::var_os("AGAIN").is_some() {
        assert_eq!(names_in_dir().len(), 1, "the name that was left");
        let mut port = options().open().expect("open again");
        echo(&mut port);
        return say("opened");
    }
    let _port = options().open().expect("open");
    let error = std::process::Command::new("/proc/self/exe").env("AGAIN", "yes").exec();
    panic!("exec: {error}");
}

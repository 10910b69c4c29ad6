//! Pids that are used again, and other pid namespaces.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use ipc_core::{ErrorKind, SendMsg, Wait};
use ipc_testkit::{Harness, dir, need_root, say, skip};

use super::addressing::echo;
use super::{
    case_pid, cast, clean_up, fails, fails_with, me, options, order, pid, recv, server, soon,
};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("direct/a_pid_that_is_used_again_is_told_apart", reused)
        .role("direct/uses_pids_again", uses_pids_again)
        .test("direct/a_sender_in_another_pid_namespace_is_dropped", namespaces)
        .role("direct/is_process_one", is_process_one)
}

/// Runs a role as process 1 of a new pid namespace with its own /proc. It says "done" in the end.
fn in_pid_namespace(role: &str) -> Child {
    need_root("make namespaces");
    let probe = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    match probe {
        Err(error) => skip(format!("unshare: {error}: apt-get install util-linux")),
        Ok(status) if !status.success() => skip("this container does not let root make namespaces"),
        Ok(_) => {}
    }
    let mut inner = cast(role);
    let mut outer = Command::new("unshare");
    outer.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    // Not the command's own /proc/self/exe, which would be unshare.
    outer.arg(std::env::current_exe().expect("own path"));
    for (key, value) in inner.command().get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    // Process 1 has no parent that it could see.
    outer.env("IPC_TESTKIT_PARENT", "0");
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("unshare")
}

#[track_caller]
fn join_namespace(role: Child) {
    let out = role.wait_with_output().expect("wait");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said == "done\n", "the role: {}, {said:?}", out.status);
}

fn reused() {
    join_namespace(in_pid_namespace("direct/uses_pids_again"));
}

/// Alone in its namespace, it says which pid comes next.
fn uses_pids_again() {
    const LAST: &str = "/proc/sys/kernel/ns_last_pid";
    let mut port = options().open().expect("open");
    let mut first = server();
    order(&mut first, "open");
    let reused = pid(&first);
    port.send_to(reused, b"to the first", soon()).expect("send");
    let mut handle = port.peer(reused).expect("peer");
    order(&mut first, "send from the first");
    first.kill();
    if let Err(error) = std::fs::write(LAST, (reused - 1).to_string()) {
        panic!("{LAST}: {error}");
    }
    let mut second = server();
    assert_eq!(pid(&second), reused, "{LAST} had no effect");
    order(&mut second, "open");

    let gone = ErrorKind::Disconnected;
    fails_with(port.send_to(reused, b"to the first", Wait::Forever), gone, "has ended");
    fails_with(handle.send(b"to the first"), gone, "has ended");
    order(&mut second, "nothing");
    // Now it is known who that is.
    port.send_to(reused, b"to the second", soon()).expect("send");
    second.tell("recv");
    second.expect("to the second");
    second.expect("done");
    fails_with(handle.send(b"to the first"), gone, "has ended");
    order(&mut second, "nothing");
    // The message of the first is older than the second, and has the same pid: as it is documented.
    assert_eq!(recv(&mut port, None), (b"from the first".to_vec(), reused));
    order(&mut second, "end");
    second.join();
    drop(port);
    clean_up();
    say("done");
}

fn namespaces() {
    let mut port = options().open().expect("open");
    let inner = in_pid_namespace("direct/is_process_one");
    // A sender inside is seen from outside, with the pid that it has here.
    let (path, from) = recv(&mut port, None);
    assert_ne!(from, 1);
    let path = PathBuf::from(String::from_utf8(path).expect("text"));
    let socket = UnixDatagram::unbound().expect("a socket");
    // Its own name, in there, is 1.START: not that of any process here. It is no stale one either.
    fails(port.send_to(from, b"x", Wait::Forever), ErrorKind::NotFound);
    clean_up_beside();
    assert!(path.exists(), "the name of a living process was removed");
    socket.send_to(b"from outside", &path).expect("send");
    socket.send_to(b"from outside", &path).expect("send");
    assert_eq!(recv(&mut port, None).0, b"dropped 2");
    join_namespace(inner);
}

/// Another process opens and closes a port in the directory, which removes stale names.
fn clean_up_beside() {
    let mut other = server();
    for what in ["open", "close", "end"] {
        order(&mut other, what);
    }
    other.join();
}

fn is_process_one() {
    assert_eq!(me(), 1);
    let mut port = options().open().expect("open");
    fails(port.send_to(case_pid(), b"x", Wait::Forever), ErrorKind::NotFound);
    let outer = std::fs::read_dir(dir()).expect("list").flatten().map(|entry| entry.path());
    let mut outer = outer.filter(|path| path != port.path());
    let outer = outer.next().expect("the case's port");
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.send_to(port.path().as_os_str().as_encoded_bytes(), &outer).expect("send");
    // Two messages of nobody who can be seen from here.
    while port.dropped() < 2 {
        let waited = port.recv_from(None, &mut [0; 8], Wait::Never);
        fails(waited, ErrorKind::WouldBlock);
        std::thread::yield_now();
    }
    echo(&mut port);
    socket.send_to(b"dropped 2", &outer).expect("send");
    say("done");
}

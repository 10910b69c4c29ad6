//! Python as sender and receiver, and our example.

use std::process::Command;

use ipc_core::Wait;
use ipc_testkit::{Harness, Strace, Talker, dir, need, run};

use super::{clean_up, me, options, private, recv, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("direct/python_sends_to_our_port_and_is_answered", python)
        .test("direct/strace_counts_the_calls_of_a_send_and_a_receive", strace)
        .role("direct/sends_and_receives", sends_and_receives)
        .test("direct/the_example_runs", example)
}

/// As in docs/sockets.md.
const PYTHON: &str = r#"
import os, socket, struct, sys

def port(directory, pid):
    start = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]
    return f"{directory}/{pid}.{start}"

directory, ours = sys.argv[1], int(sys.argv[2])
me = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
me.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
os.umask(0o177)
me.bind(port(directory, os.getpid()))

me.sendto(b"from python", port(directory, ours))
text, ancillary, flags, sender = me.recvmsg(8192, socket.CMSG_SPACE(12))
pid, uid, gid = struct.unpack("3i", ancillary[0][2])
print(text.decode(), pid == ours, uid == os.getuid())
os.unlink(port(directory, os.getpid()))
"#;

fn python() {
    need("python3", "python3");
    let mut port = options().open().expect("open");
    let us = me().to_string();
    let mut python = Talker::python(PYTHON, &[dir().to_str().expect("UTF-8"), &us]);
    let (text, from) = recv(&mut port, Some(python.child().id()));
    assert_eq!((&text[..], from), (&b"from python"[..], python.child().id()));
    port.send_to(from, b"to python", soon()).expect("send");
    python.expect("to python True True");
    python.join();
}

/// How many operations `strace` counts.
const TRIPS: usize = 100;

fn strace() {
    need("strace", "strace");
    let mut peer = super::cast("direct/sends_and_receives").start();
    peer.expect("ready");
    let strace = Strace::attach(&peer, &["-f"]);
    peer.tell("go");
    peer.join();
    let text = strace.log();
    let of = |call: &str| text.lines().filter(|line| line.contains(call)).count();
    // A send looks whether the receiver is alive; a receive is one call. Both ask who they are.
    let (sends, receives) = (of(" sendto("), of(" recvmsg("));
    assert_eq!((sends, receives), (TRIPS, TRIPS), "{text}");
    assert_eq!(of(" poll(") + of(" ppoll("), TRIPS, "{text}");
}

fn sends_and_receives() {
    let mut port = options().open().expect("open");
    let mut buf = vec![0; 1 << 18];
    let mut trip = || {
        port.send_to(me(), b"round trip", Wait::Forever).expect("send");
        port.recv_from(None, &mut buf, Wait::Forever).expect("receive");
    };
    // Whatever is set up at the first use.
    trip();
    ipc_testkit::say("ready");
    assert_eq!(ipc_testkit::hear(), "go");
    for _ in 0..TRIPS {
        trip();
    }
}

fn example() {
    let ports = dir().join("ipc-direct");
    let mut program = Command::new(ipc_testkit::example("direct_ports"));
    let out = run(program.env("XDG_RUNTIME_DIR", private()));
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains("Disconnected"), "{text}");
    std::fs::remove_dir(ports).expect("it has left its directory, and nothing in it");
    clean_up();
}

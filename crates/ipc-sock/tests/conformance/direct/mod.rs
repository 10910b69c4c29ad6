//! Ports: mailboxes that are addressed by pid.

mod addressing;
mod namespaces;
mod processes;
mod programs;
mod receiving;
mod trust;

use std::fmt::Debug;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Result, Wait};
use ipc_sock::direct::{Message, Peer as PortPeer, Port, PortOptions};
use ipc_testkit::{Casting, Harness, InProcess, Messages, Peer, dir, hear, say, wait_for_the_end};

pub(crate) fn cases(harness: Harness) -> Harness {
    let mut harness = harness.messages::<Ports>().role("direct/serves", serves);
    for part in [
        addressing::cases,
        namespaces::cases,
        processes::cases,
        programs::cases,
        receiving::cases,
        trust::cases,
    ] {
        harness = part(harness);
    }
    harness
}

/// A process that sends to itself. What two processes do has cases of its own: a port cannot be given
/// away.
struct Ports;

impl Messages for Ports {
    const NAME: &'static str = "direct";
    const CAPS: Caps = Port::CAPS;
    type Tx = PortPeer;
    type Rx = Port;
    type Across = InProcess;

    fn pair() -> Result<(PortPeer, Port)> {
        let port = options().open()?;
        Ok((port.peer(me())?, port))
    }
}

/// Ports of this case.
fn options() -> PortOptions {
    PortOptions::new().directory(private())
}

/// The directory of this case, which nobody else may look into.
fn private() -> PathBuf {
    std::fs::set_permissions(dir(), Permissions::from_mode(0o700)).expect("chmod");
    dir()
}

fn me() -> u32 {
    std::process::id()
}

fn pid(peer: &Peer) -> u32 {
    peer.pid().as_raw_nonzero().get().cast_unsigned()
}

/// A deadline that is not reached unless something hangs.
fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(30))
}

#[track_caller]
fn fails<T: Debug>(result: Result<T>, kind: ErrorKind) -> Error {
    let error = result.expect_err("it must fail");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

/// Asserts an error by its kind and a part of its note.
#[track_caller]
fn fails_with<T: Debug>(result: Result<T>, kind: ErrorKind, note: &str) {
    let error = fails(result, kind);
    assert!(error.to_string().contains(note), "{error} does not say {note:?}");
}

/// The next message, from anybody or from one process, with its sender.
#[track_caller]
fn recv(port: &mut Port, from: Option<u32>) -> (Vec<u8>, u32) {
    let mut buf = vec![0; 8192];
    let Message { len, pid, .. } = port.recv_from(from, &mut buf, soon()).expect("receive");
    buf.truncate(len);
    (buf, pid)
}

/// What is left behind by processes that were killed goes with the next port; then nothing may be left.
fn clean_up() {
    drop(options().open().expect("open"));
}

/// A peer in a role, which knows the pid of this process.
fn cast(role: &str) -> Casting {
    let mut peer = Peer::cast(role);
    peer.command().env("CASE_PID", me().to_string());
    peer
}

/// In a peer: the pid of the case's process.
fn case_pid() -> u32 {
    std::env::var("CASE_PID").expect("CASE_PID").parse().expect("a number")
}

/// A peer that does what it is told: see [`serves`].
fn server() -> Peer {
    cast("direct/serves").start()
}

/// Tells a server something, and waits until it is done.
fn order(server: &mut Peer, what: &str) {
    server.tell(what);
    server.expect("done");
}

/// Opens and closes its port, sends to the case and to itself, and says what it receives.
fn serves() {
    let mut port = None;
    loop {
        let line = hear();
        let (what, text) = line.split_once(' ').unwrap_or((&line, ""));
        match what {
            "open" => port = Some(options().open().expect("open")),
            "close" => port = None,
            "send" => {
                let port = port.as_ref().expect("it was opened");
                port.send_to(case_pid(), text.as_bytes(), soon()).expect("send");
            }
            "recv" => {
                let (message, from) = recv(port.as_mut().expect("it was opened"), None);
                assert_eq!(from, case_pid());
                say(String::from_utf8(message).expect("it is text"));
            }
            "nothing" => {
                let port = port.as_mut().expect("it was opened");
                fails(port.recv_from(None, &mut [0; 64], Wait::Never), ErrorKind::WouldBlock);
            }
            "end" => return say("done"),
            "wait" => wait_for_the_end(),
            other => panic!("what is {other}?"),
        }
        say("done");
    }
}

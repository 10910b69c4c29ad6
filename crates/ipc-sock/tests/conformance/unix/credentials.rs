//! Who sent which message.

use std::io::IoSlice;
use std::mem::MaybeUninit;

use ipc_core::{Error, ErrorKind, Handoff, Listen, RecvMsg, SendMsg, Wait};
use ipc_sock::unix::{Datagram, Listener, Seqpacket, Trust};
use ipc_testkit::{
    CapabilitySet, Harness, NOBODY, Peer, need_capability, need_root, say, wait_for_the_end,
};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, UCred};
use rustix::process::{Gid, Pid, Uid, getegid, geteuid, getpid};

use super::tools::{NEW, as_nobody, kind_of, open_directory, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    let harness = harness
        .test("unix/credentials/come_with_each_message_if_asked_for", if_asked_for)
        .test("unix/credentials/each_sender_is_told_apart", each_sender)
        .role("unix/credentials/sends", sends)
        .test("unix/credentials/of_an_accepted_connection_come_from_the_first_on", accepted)
        .role("unix/credentials/accepts_with_credentials", accepts_with_credentials)
        .test("unix/credentials/a_privileged_sender_may_claim_others", privileged);
    as_nobody(harness, "unix/credentials/forged_ones_are_refused", forged)
}

fn if_asked_for() -> Result<(), Error> {
    let mut buf = [0; 8];
    let (mut tx, mut rx) = NEW.pair_seqpacket()?;
    tx.send(b"x")?;
    assert_eq!(rx.recv_message(&mut buf, soon())?.credentials, None);
    let options = NEW.credentials(true);
    let ours = (std::process::id(), geteuid().as_raw(), getegid().as_raw());
    let (mut tx, mut rx) = options.pair_seqpacket()?;
    let (stream_tx, stream_rx) = options.pair()?;
    let (mut datagram_tx, mut datagram_rx) = options.pair_datagram()?;
    tx.send(b"x")?;
    stream_tx.send_message(b"x", &[], soon())?;
    datagram_tx.send(b"x")?;
    for message in [
        rx.recv_message(&mut buf, soon())?,
        stream_rx.recv_message(&mut buf, soon())?,
        datagram_rx.recv_message(&mut buf, soon())?,
    ] {
        let sender = message.credentials.expect("they were asked for");
        assert_eq!((sender.pid, sender.uid, sender.gid), ours);
    }
    // A receive that does not want them is not disturbed.
    tx.send(b"abc")?;
    assert_eq!(rx.recv(&mut buf), Ok(3));
    Ok(())
}

fn each_sender() -> Result<(), Error> {
    need_root("become another user");
    open_directory(0o711);
    let options = NEW.mode(0o622).trust(Trust::Anyone).credentials(true);
    let mut log = options.bind_datagram(path())?;
    let mut peers = [NOBODY, 4711].map(|uid| {
        let mut peer = Peer::cast("unix/credentials/sends");
        peer.command().env("SENDER", uid.to_string());
        (peer.start(), uid)
    });
    for (peer, _) in &mut peers {
        peer.expect("sent");
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut buf = [0; 16];
        let message = log.recv_message(&mut buf, soon())?;
        let sender = message.credentials.expect("they were asked for");
        let said = String::from_utf8_lossy(&buf[..message.len]).into_owned();
        assert_eq!(said, sender.pid.to_string());
        seen.push((said, sender.uid));
    }
    let name = |peer: &Peer| peer.pid().as_raw_nonzero().to_string();
    let mut wanted: Vec<_> = peers.iter().map(|(peer, uid)| (name(peer), *uid)).collect();
    wanted.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, wanted);
    for (peer, _) in peers {
        peer.join();
    }
    Ok(())
}

fn sends() -> Result<(), Error> {
    let uid = std::env::var("SENDER").expect("SENDER").parse().expect("a number");
    rustix::thread::set_thread_uid(Uid::from_raw(uid)).expect("setuid");
    let text = std::process::id().to_string();
    // The log is root's.
    NEW.trust(Trust::User(0)).datagram()?.send_to(text.as_bytes(), path(), Wait::Forever)?;
    say("sent");
    wait_for_the_end()
}

fn accepted() -> Result<(), Error> {
    // What is sent before the accept, with a listener that asks from the start.
    let listener = NEW.credentials(true).listen_seqpacket(path())?;
    let mut client = NEW.connect_seqpacket(path(), soon())?;
    client.send(b"early")?;
    let mut server = listener.accept()?;
    let message = server.recv_message(&mut [0; 8], soon())?;
    assert_eq!(message.credentials.map(|it| it.pid), Some(std::process::id()));
    drop(listener);

    // And with one that was handed over, and asks later.
    let listener = NEW.listen_seqpacket(path())?;
    let mut peer = Peer::cast("unix/credentials/accepts_with_credentials");
    listener.give(peer.command(), "listener")?;
    let mut peer = peer.start();
    peer.expect("ready");
    let mut client = NEW.connect_seqpacket(path(), soon())?;
    client.send(b"hello")?;
    peer.expect(&format!("from {}", std::process::id()));
    peer.join();
    std::fs::remove_file(path()).expect("remove");
    Ok(())
}

fn accepts_with_credentials() -> Result<(), Error> {
    let mut listener = Listener::<Seqpacket>::adopt("listener")?;
    listener.set_options(NEW.credentials(true))?;
    say("ready");
    let message = listener.accept()?.recv_message(&mut [0; 8], soon())?;
    say(format!("from {}", message.credentials.map_or(0, |it| it.pid)));
    Ok(())
}

/// Sends a message that claims to be of somebody.
fn claim(tx: &Datagram, pid: Pid, uid: u32, gid: u32) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let who = UCred { pid, uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) };
    assert!(beside.push(SendAncillaryMessage::ScmCredentials(who)));
    rustix::net::sendmsg(tx, &[IoSlice::new(b"it is me")], &mut beside, SendFlags::empty())
}

const INIT: Pid = Pid::INIT;

fn forged() -> Result<(), Error> {
    let (tx, mut rx) = NEW.credentials(true).pair_datagram()?;
    let refused = Err(Errno::PERM);
    assert_eq!(claim(&tx, INIT, NOBODY, NOBODY), refused);
    assert_eq!(claim(&tx, getpid(), 0, NOBODY), refused);
    assert_eq!(claim(&tx, getpid(), NOBODY, 0), refused);
    assert_eq!(kind_of(rx.recv_message(&mut [0; 16], Wait::Never)), ErrorKind::WouldBlock);
    assert_eq!(claim(&tx, getpid(), NOBODY, NOBODY), Ok(8));
    let sender = rx.recv_message(&mut [0; 16], soon())?.credentials.expect("they were asked for");
    assert_eq!((sender.pid, sender.uid, sender.gid), (std::process::id(), NOBODY, NOBODY));
    Ok(())
}

/// As the documentation says.
fn privileged() -> Result<(), Error> {
    need_root("claim to be another user");
    need_capability(CapabilitySet::SYS_ADMIN, "claim to be another process");
    let (tx, mut rx) = NEW.credentials(true).pair_datagram()?;
    assert_eq!(claim(&tx, INIT, 1, 2), Ok(8));
    let sender = rx.recv_message(&mut [0; 16], soon())?.credentials.expect("they were asked for");
    assert_eq!((sender.pid, sender.uid, sender.gid), (1, 1, 2));
    Ok(())
}

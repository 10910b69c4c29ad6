//! Ends that other processes get.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::OwnedFd;

use ipc_core::{
    Error, ErrorKind, Handoff, Listen, ReadBytes, RecvMsg, Rejected, SendMsg, WriteBytes,
};
use ipc_sock::unix::{Datagram, Listener, Seqpacket, Stream};
use ipc_testkit::{Harness, Peer, dir, hear, say};
use rustix::fs::{Mode, OFlags};

use super::tools::{NEW, kind_of, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/handoff/every_type_arrives_as_itself", every_type_arrives)
        .role("unix/handoff/adopts_every_type", adopts_every_type)
        .test("unix/handoff/every_type_refuses_the_others", every_type_refuses_the_others)
        .test("unix/handoff/each_connection_of_a_shared_listener_is_accepted_once", shared_listener)
        .role("unix/handoff/accepts_until_told", accepts_until_told)
        .test("unix/handoff/an_end_that_keeps_a_message_comes_back", kept_message)
}

fn kept_message() -> Result<(), Error> {
    let (mut tx, mut rx) = NEW.pair_seqpacket()?;
    tx.send(b"too long")?;
    assert!(matches!(kind_of(rx.recv(&mut [0; 3])), ErrorKind::MessageTooLarge { .. }));
    let mut command = std::process::Command::new("true");
    let Err(rejected) = rx.give(&mut command, "end") else { panic!("the message would be lost") };
    assert_eq!(rejected.error.kind(), ErrorKind::InvalidInput);
    let mut rx = rejected.value;
    assert_eq!(rx.recv(&mut [0; 8])?, 8);
    Ok(rx.give(&mut command, "end")?)
}

fn every_type_arrives() -> Result<(), Error> {
    let (mut stream, theirs) = NEW.pair()?;
    let mut peer = Peer::cast("unix/handoff/adopts_every_type");
    theirs.give(peer.command(), "stream")?;
    let (mut packets, theirs) = NEW.pair_seqpacket()?;
    theirs.give(peer.command(), "packets")?;
    NEW.bind_datagram(path())?.give(peer.command(), "datagrams")?;
    NEW.listen(dir().join("streams"))?.give(peer.command(), "listener")?;
    NEW.listen_seqpacket(dir().join("packets"))?.give(peer.command(), "packet_listener")?;
    let mut peer = peer.start();
    peer.expect("adopted");
    stream.write_all_with(b"one", soon())?;
    packets.send(b"two")?;
    NEW.datagram()?.send_to(b"three", path(), soon())?;
    NEW.connect(dir().join("streams"), soon())?.write_all_with(b"four", soon())?;
    NEW.connect_seqpacket(dir().join("packets"), soon())?.send(b"five")?;
    peer.expect("3 3 5 4 4");
    peer.join();
    for name in ["socket", "streams", "packets"] {
        fs::remove_file(dir().join(name)).expect("the name stays");
    }
    Ok(())
}

fn adopts_every_type() -> Result<(), Error> {
    assert!(matches!(kind_of(Seqpacket::adopt("stream")), ErrorKind::WrongType { .. }));
    let mut stream = Stream::adopt("stream")?;
    let mut packets = Seqpacket::adopt("packets")?;
    let mut datagrams = Datagram::adopt("datagrams")?;
    let listener = Listener::<Stream>::adopt("listener")?;
    let packet_listener = Listener::<Seqpacket>::adopt("packet_listener")?;
    say("adopted");
    let mut buf = [0; 8];
    stream.read_exact_with(&mut buf[..3], soon())?;
    let two = packets.recv(&mut buf)?;
    let three = datagrams.recv(&mut buf)?;
    let mut conn = listener.accept()?;
    conn.read_exact_with(&mut buf[..4], soon())?;
    let five = packet_listener.accept()?.recv(&mut buf)?;
    say(format!("3 {two} {three} 4 {five}"));
    Ok(())
}

/// Makes a value of a descriptor, and takes it apart again.
fn try_as<T>(fd: OwnedFd) -> Result<OwnedFd, OwnedFd>
where
    T: TryFrom<OwnedFd, Error = Rejected<OwnedFd>> + Into<OwnedFd>,
{
    T::try_from(fd).map(Into::into).map_err(|rejected| {
        let kind = rejected.error.kind();
        assert!(matches!(kind, ErrorKind::WrongType { .. }), "{}", rejected.error);
        rejected.value
    })
}

fn every_type_refuses_the_others() -> Result<(), Error> {
    let types: [fn(OwnedFd) -> Result<OwnedFd, OwnedFd>; 5] = [
        try_as::<Stream>,
        try_as::<Seqpacket>,
        try_as::<Datagram>,
        try_as::<Listener<Stream>>,
        try_as::<Listener<Seqpacket>>,
    ];
    let place = |path| rustix::fs::open(path, OFlags::PATH, Mode::empty()).expect("open");
    // What it is, and which of the types that is.
    let descriptors: [(OwnedFd, Option<usize>); 11] = [
        (NEW.pair()?.0.into(), Some(0)),
        (NEW.pair_seqpacket()?.0.into(), Some(1)),
        (NEW.datagram()?.into(), Some(2)),
        (NEW.listen(path())?.into(), Some(3)),
        (NEW.listen_seqpacket(dir().join("packets"))?.into(), Some(4)),
        (std::net::UdpSocket::bind("127.0.0.1:0").expect("bind").into(), None),
        (std::net::TcpListener::bind("127.0.0.1:0").expect("bind").into(), None),
        (File::open("/dev/null").expect("open").into(), None),
        (std::io::pipe().expect("pipe").0.into(), None),
        (place(dir()), None),
        // The name of a socket is no socket.
        (place(path()), None),
    ];
    for (at, (mut fd, what)) in descriptors.into_iter().enumerate() {
        for (of, make) in types.iter().enumerate() {
            let (is, back) = match make(fd) {
                Ok(fd) => (true, fd),
                Err(fd) => (false, fd),
            };
            assert_eq!(is, what == Some(of), "descriptor {at} as type {of}");
            fd = back;
        }
    }
    for name in ["socket", "packets"] {
        fs::remove_file(dir().join(name)).expect("remove");
    }
    Ok(())
}

/// How many clients come.
const CLIENTS: u32 = 300;

fn shared_listener() -> Result<(), Error> {
    let listener = OwnedFd::from(NEW.listen_seqpacket(path())?);
    let mut workers: Vec<_> = (0..3)
        .map(|_| {
            let mut peer = Peer::cast("unix/handoff/accepts_until_told");
            let copy = listener.try_clone().expect("dup");
            let copy = Listener::<Seqpacket>::try_from(copy).expect("it is one");
            copy.give(peer.command(), "listener").expect("give");
            peer.start()
        })
        .collect();
    drop(listener);
    workers.iter_mut().for_each(|it| it.expect("ready"));
    // Each client is told as whom it was served, and by whom.
    let mut served = BTreeSet::new();
    let mut by = BTreeMap::new();
    for client in 0..CLIENTS {
        let mut conn = NEW.connect_seqpacket(path(), soon())?;
        conn.send(&client.to_le_bytes())?;
        let mut answer = [0; 8];
        assert_eq!(conn.recv_with(&mut answer, soon())?, 8);
        let number = |at: usize| u32::from_le_bytes(answer[at..at + 4].try_into().expect("4"));
        assert!(served.insert(number(0)), "client {client} was served twice");
        *by.entry(number(4)).or_insert(0) += 1;
    }
    assert_eq!(served, (0..CLIENTS).collect());
    assert_eq!(by.values().sum::<u32>(), CLIENTS);
    let pids: Vec<_> = workers.iter().map(|it| it.pid().as_raw_nonzero().get()).collect();
    let known = |pid: &u32| pids.iter().any(|it| i64::from(*it) == i64::from(*pid));
    assert!(by.keys().all(known), "{by:?} of {pids:?}");
    for _ in &workers {
        NEW.connect_seqpacket(path(), soon())?.send(b"end")?;
    }
    for mut worker in workers {
        worker.tell("end");
        worker.join();
    }
    fs::remove_file(path()).expect("remove");
    Ok(())
}

fn accepts_until_told() -> Result<(), Error> {
    let listener = Listener::<Seqpacket>::adopt("listener")?;
    say("ready");
    let mut buf = [0; 8];
    loop {
        let mut conn = listener.accept()?;
        let n = conn.recv_with(&mut buf, soon())?;
        if &buf[..n] == b"end" {
            break;
        }
        buf[4..].copy_from_slice(&std::process::id().to_le_bytes());
        conn.send(&buf)?;
    }
    assert_eq!(hear(), "end");
    Ok(())
}

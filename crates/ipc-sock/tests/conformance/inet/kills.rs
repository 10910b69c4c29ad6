//! Processes that are killed at any moment, at the other end of TCP and UDP.
//!
//! `IPC_SOCK_KILLS` says how many for each case; 200 unless set. A great number needs a longer
//! `IPC_TESTKIT_DEADLINE_SECS`.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, Framed, Handoff, Listen, RecvMsg, SendMsg, Wait};
use ipc_sock::{tcp, udp};
use ipc_testkit::{Descriptors, Harness, Peer, default_sigpipe, dir};

use super::loopback;
use crate::unix::kills::kills;
use crate::unix::tools::soon;

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("inet/kills/tcp/what_a_sender_has_sent_arrives_and_then_the_end", tcp_senders)
        .role("inet/kills/tcp/sends", tcp_sends)
        .test("inet/kills/tcp/a_sender_learns_that_its_receiver_is_gone", tcp_receivers)
        .role("inet/kills/tcp/receives", tcp_receives)
        .test("inet/kills/udp/what_a_sender_has_sent_arrives", udp_senders)
        .role("inet/kills/udp/sends", udp_sends)
        .test(
            "inet/kills/udp/a_sender_learns_that_nobody_receives_and_goes_on_with_the_next",
            udp_receivers,
        )
        .role("inet/kills/udp/answers", udp_answers)
}

/// A random number below `end`.
fn random(end: u64) -> u64 {
    RandomState::new().build_hasher().finish() % end
}

/// Kills a peer at a moment that nobody can foresee.
fn kill(peer: Peer) {
    std::thread::sleep(Duration::from_micros(random(1000)));
    peer.kill();
}

/// The longest message: longer than a socket takes at once, so that a kill can tear a frame.
const LONGEST: u32 = 200_000;

/// A message whose length and bytes follow from its number, mostly short.
fn body(seq: u64, longest: usize) -> Vec<u8> {
    let len = match seq % 8 {
        7 => (seq as usize).wrapping_mul(7919) % (longest - 8),
        _ => (seq % 100) as usize,
    };
    let mut body = seq.to_le_bytes().to_vec();
    body.extend((0..len).map(|at| (seq as usize + at) as u8));
    body
}

/// How many messages the peer's sends have reported as sent, which the peer writes down after each.
struct Ledger(File);

impl Ledger {
    const NAME: &str = "ledger";

    fn new() -> Self {
        let path = dir().join(Self::NAME);
        let options =
            || File::options().read(true).write(true).create(true).truncate(false).open(path);
        Self(options().expect("open the ledger"))
    }

    fn set(&self, count: u64) {
        self.0.write_all_at(&count.to_le_bytes(), 0).expect("write");
    }

    fn get(&self) -> u64 {
        let mut count = [0; 8];
        self.0.read_exact_at(&mut count, 0).expect("read");
        u64::from_le_bytes(count)
    }

    fn remove(self) {
        std::fs::remove_file(dir().join(Self::NAME)).expect("remove");
    }
}

/// Starts a peer that finds this address in its environment.
fn start(role: &str, address: SocketAddr) -> Peer {
    let mut peer = Peer::cast(role);
    peer.command().env("ADDRESS", address.to_string());
    peer.start()
}

fn address() -> SocketAddr {
    std::env::var("ADDRESS").expect("ADDRESS").parse().expect("an address")
}

/// Asserts that what was opened since is closed.
fn nothing_leaked(before: &Descriptors) {
    let leaked = Descriptors::now().since(before);
    assert_eq!(leaked.0.len(), 0, "descriptors were leaked: {leaked}");
}

fn tcp_senders() {
    let ledger = Ledger::new();
    let listener = tcp::SocketOptions::new().listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    let before = Descriptors::now();
    let mut torn = 0;
    for round in 0..kills() {
        ledger.set(0);
        let peer = start("inet/kills/tcp/sends", address);
        let mut rx = Framed::new(listener.accept_with(soon()).expect("accept"), LONGEST);
        let mut buf = vec![0; LONGEST as usize];
        let mut next = 0;
        let mut take = || -> Result<(), Error> {
            let n = rx.recv_with(&mut buf, soon())?;
            assert!(buf[..n] == body(next, LONGEST as usize), "round {round}: {next} is torn");
            next += 1;
            Ok(())
        };
        for _ in 0..random(30) {
            take().expect("receive");
        }
        kill(peer);
        let end = loop {
            if let Err(error) = take() {
                break error;
            }
        };
        assert_eq!(end.kind(), ErrorKind::Disconnected, "round {round}: {end}");
        torn += u32::from(end.note().is_some());
        let sent = ledger.get();
        assert!((sent..=sent + 1).contains(&next), "round {round}: {next} of {sent} came");
        drop(rx);
        nothing_leaked(&before);
    }
    assert!(torn > 0 || kills() < 50, "no kill has torn a frame: this tests nothing");
    ledger.remove();
}

fn tcp_sends() {
    let ledger = Ledger::new();
    // Small, so that long frames go out in pieces.
    let options = tcp::SocketOptions::new().send_buffer(4096);
    let stream = options.connect(address(), soon()).expect("connect");
    let mut tx = Framed::new(stream, LONGEST);
    for seq in 0.. {
        tx.send(&body(seq, LONGEST as usize)).expect("send");
        ledger.set(seq + 1);
    }
}

fn tcp_receivers() {
    default_sigpipe();
    let listener = tcp::SocketOptions::new().listen(loopback()).expect("listen");
    let address = listener.local_address().expect("address");
    let before = Descriptors::now();
    for round in 0..kills() {
        let peer = start("inet/kills/tcp/receives", address);
        let stream = listener.accept_with(soon()).expect("accept");
        let mut tx = Framed::new(stream, LONGEST);
        let message = vec![7; random(u64::from(LONGEST)) as usize];
        let end = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                loop {
                    if let Err(error) = tx.send_with(&message, soon()) {
                        break error;
                    }
                }
            });
            kill(peer);
            sender.join().expect("the sender does not panic")
        });
        assert_eq!(end.kind(), ErrorKind::Disconnected, "round {round}: {end}");
        drop(tx);
        nothing_leaked(&before);
    }
}

fn tcp_receives() {
    let stream = tcp::SocketOptions::new().connect(address(), soon()).expect("connect");
    let mut rx = Framed::new(stream, LONGEST);
    let mut buf = vec![0; LONGEST as usize];
    loop {
        rx.recv(&mut buf).expect("receive");
    }
}

/// A message of UDP that fits into the default receive buffer.
const LONGEST_DATAGRAM: usize = 50_000;

fn udp_senders() {
    let ledger = Ledger::new();
    let mut rx = udp::SocketOptions::new().bind(loopback()).expect("bind");
    let address = rx.local_address().expect("address");
    let before = Descriptors::now();
    let mut buf = vec![0; LONGEST_DATAGRAM];
    for round in 0..kills() {
        ledger.set(0);
        let peer = start("inet/kills/udp/sends", address);
        let mut next = 0;
        let mut take = |wait| -> Result<(), Error> {
            let (n, who) = rx.recv_from(&mut buf, wait)?;
            assert!(buf[..n] == body(next, LONGEST_DATAGRAM), "round {round}: {next} is torn");
            next += 1;
            rx.send_to(b"go on", who, soon())
        };
        for _ in 0..random(30) {
            take(soon()).expect("receive");
        }
        kill(peer);
        let end = loop {
            if let Err(error) = take(Wait::Never) {
                break error;
            }
        };
        assert_eq!(end.kind(), ErrorKind::WouldBlock, "round {round}: {end}");
        let sent = ledger.get();
        assert!((sent..=sent + 1).contains(&next), "round {round}: {next} of {sent} came");
        assert_eq!(rx.dropped(), Ok(0));
        nothing_leaked(&before);
    }
    ledger.remove();
}

/// Sends, and waits for the word to go on before it sends more than the receiver has room for.
fn udp_sends() {
    let ledger = Ledger::new();
    let mut socket = udp::SocketOptions::new().connect(address()).expect("connect");
    for seq in 0.. {
        socket.send(&body(seq, LONGEST_DATAGRAM)).expect("send");
        ledger.set(seq + 1);
        if seq > 0 {
            socket.recv(&mut [0; 8]).expect("receive");
        }
    }
}

fn udp_receivers() {
    let options = udp::SocketOptions::new();
    let first = options.bind(loopback()).expect("bind");
    let address = first.local_address().expect("address");
    let mut socket = options.connect(address).expect("connect");
    drop(first);
    let before = Descriptors::now();
    let mut buf = vec![0; LONGEST_DATAGRAM];
    let mut answered = 0;
    for round in 0..kills() {
        let mut peer = Peer::cast("inet/kills/udp/answers");
        let theirs = options.bind(address).expect("the last one is gone");
        theirs.give(peer.command(), "socket").expect("give");
        let peer = peer.start();
        let end = std::thread::scope(|scope| {
            let conversation = scope.spawn(|| {
                for seq in 0.. {
                    let message = body(seq, LONGEST_DATAGRAM);
                    if let Err(error) = socket.send(&message) {
                        return error;
                    }
                    match socket.recv_timeout(&mut buf, Duration::from_millis(20)) {
                        Ok(n) if buf[..n] == message => answered += 1,
                        // The answer to a message for which nobody waited any more.
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::TimedOut => {}
                        Err(error) => return error,
                    }
                }
                unreachable!("the numbers do not end")
            });
            kill(peer);
            conversation.join().expect("it does not panic")
        });
        assert_eq!(end.kind(), ErrorKind::ConnectionRefused, "round {round}: {end}");
        // It may have been refused twice, by a send and by what was sent before.
        let _ = socket.try_recv(&mut buf);
        nothing_leaked(&before);
    }
    assert!(answered > 0, "no peer lived long enough to answer");
}

fn udp_answers() {
    let mut socket = udp::Socket::adopt("socket").expect("adopt");
    let mut buf = vec![0; LONGEST_DATAGRAM];
    loop {
        let (n, who) = socket.recv_from(&mut buf, Wait::Forever).expect("receive");
        socket.send_to(&buf[..n], who, Wait::Forever).expect("send");
    }
}

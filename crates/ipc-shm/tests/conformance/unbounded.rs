//! Rings that grow.

use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::Memfd;
use ipc_shm::ring::unbounded::{Receiver, Sender};
use ipc_shm::ring::{RingOptions, unbounded};
use ipc_testkit::{Harness, Peer, say};

use crate::hostile::{scribble, scribbling};
use crate::rings::{a_moment, check_message, kills, kind, length};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("unbounded/it_grows_and_gives_memory_back", grows)
        .test("unbounded/at_the_limit_the_sender_waits", limit)
        .test("unbounded/nonsense_is_refused", nonsense)
        .test("unbounded/messages_in_place_across_segments", in_place)
        .test("unbounded/messages_of_a_killed_sender_arrive_whole_and_once", killed_sender)
        .role("unbounded/sends_for_ever", sends_for_ever)
        .test("unbounded/a_sender_learns_of_a_killed_receiver", killed_receiver)
        .role("unbounded/receives_nothing", receives_nothing)
        .test("unbounded/a_hostile_peer_is_data_or_corrupted", hostile)
        .role("unbounded/hands_its_memory_to_a_stranger", stranger)
}

fn message(number: u64) -> Vec<u8> {
    let mut message = vec![number as u8; length(number)];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message
}

fn grows() {
    let (mut tx, mut rx) = unbounded::pair(&RingOptions::new().capacity(1 << 16)).expect("pair");
    let empty = tx.memory_len().expect("fstat");
    let mut buf = [0; 1024];
    for _ in 0..3 {
        for number in 0..50_000 {
            tx.try_send(&message(number)).expect("it grows");
        }
        let full = tx.memory_len().expect("fstat");
        assert!(full > empty + (1 << 20), "{full} after {empty}");
        for number in 0..50_000 {
            let len = rx.try_recv(&mut buf).expect("receive");
            check_message(number, &buf[..len]);
        }
        let again = rx.memory_len().expect("fstat");
        assert!(again < empty + (1 << 18), "{again} is kept of {full}");
    }
    assert_eq!(kind(rx.try_recv(&mut buf)), ErrorKind::WouldBlock);
}

fn limit() {
    let options = RingOptions::new().capacity(4096).limit(1 << 16);
    let (mut tx, mut rx) = unbounded::pair(&options).expect("pair");
    let mut sent = 0_u64;
    let full = loop {
        match tx.try_send(&sent.to_le_bytes()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert!(sent >= 15 * 4096 / 16, "{sent}");
    let mut buf = [0; 8];
    for number in 0..sent {
        assert_eq!(rx.recv(&mut buf), Ok(8));
        assert_eq!(u64::from_le_bytes(buf), number);
    }
    tx.try_send(b"again").expect("there is room");
}

fn nonsense() {
    let options = RingOptions::new();
    assert_eq!(kind(unbounded::pair(&options.capacity(usize::MAX))), ErrorKind::InvalidInput);
    unbounded::pair(&options.capacity(64).limit(0)).expect("two segments at least");
}

fn in_place() {
    let (mut tx, mut rx) = unbounded::pair(&RingOptions::new().capacity(4096)).expect("pair");
    for number in 0..500_u64 {
        // One that is dropped leaves nothing, whatever was written.
        let mut dropped = tx.reserve(1000, Wait::Never).expect("room");
        dropped.write_at(0, &(1 << 63 | 8_u64).to_ne_bytes().repeat(125)).expect("write");
        drop(dropped);
        let mut grant = tx.reserve(500, Wait::Never).expect("room");
        grant.write_at(492, &number.to_le_bytes()).expect("write");
        grant.commit();
    }
    for number in 0..500_u64 {
        let view = rx.peek(Wait::Never).expect("there is one");
        let mut end = [0; 8];
        view.read_at(492, &mut end).expect("read");
        assert_eq!((view.len(), u64::from_le_bytes(end)), (500, number));
        view.release();
    }
    assert_eq!(kind(rx.peek(Wait::Never)), ErrorKind::WouldBlock);
}

fn killed_sender() {
    for kill in 0..kills() / 4 {
        let options = RingOptions::new().capacity(4096).limit(1 << 20);
        let (tx, mut rx) = unbounded::pair(&options).expect("pair");
        let mut peer = Peer::cast("unbounded/sends_for_ever");
        tx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
        let mut peer = Some(peer.start());
        let mut buf = [0; 1024];
        let mut number = 0;
        let end = loop {
            match rx.recv(&mut buf) {
                Ok(len) => check_message(number, &buf[..len]),
                Err(error) => break error,
            }
            number += 1;
            if number == 1 + kill % 50 {
                a_moment(kill);
                peer.take().expect("killed once").kill();
            }
        };
        assert_eq!(end.kind(), ErrorKind::Disconnected, "{end}");
        assert!(number > kill % 50, "it stopped at {number}");
    }
}

fn sends_for_ever() {
    let mut tx = Sender::adopt("ring").expect("adopt");
    for number in 0.. {
        tx.send(&message(number)).expect("send");
    }
}

fn killed_receiver() {
    let options = RingOptions::new().capacity(4096).limit(1 << 18);
    let (mut tx, rx) = unbounded::pair(&options).expect("pair");
    let mut peer = Peer::cast("unbounded/receives_nothing");
    rx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
    let mut peer = peer.start();
    peer.expect("ready");
    tx.send(b"one").expect("send");
    peer.kill();
    let end = loop {
        if let Err(error) = tx.send(&[0; 100]) {
            break error;
        }
    };
    assert_eq!(end.kind(), ErrorKind::Disconnected, "{end}");
}

fn receives_nothing() {
    let _rx = Receiver::adopt("ring").expect("adopt");
    say("ready");
    ipc_testkit::wait_for_the_end();
}

/// The memory of a ring goes with one end to a peer, which scribbles over all of it. The other end is ours.
fn hostile() {
    let end = Instant::now() + scribbling();
    let mut happened = 0_u64;
    while Instant::now() < end {
        for receives in [false, true] {
            let options = RingOptions::new().capacity(1024).limit(1 << 14);
            let (tx, rx) = unbounded::pair(&options).expect("pair");
            let round = Instant::now() + scribbling() / 8;
            let mut buf = [0; 1024];
            let mut one = |result: Result<usize, ipc_core::Error>| {
                happened += 1;
                let Err(error) = result else { return true };
                let kinds = [ErrorKind::TimedOut, ErrorKind::Corrupted, ErrorKind::Disconnected];
                assert!(kinds.contains(&error.kind()), "{error}");
                error.kind() == ErrorKind::TimedOut
            };
            if receives {
                let (mut rx, _peer) = (rx, stranger_with(tx));
                while Instant::now() < round
                    && one(rx.recv_timeout(&mut buf, Duration::from_millis(2)))
                {}
            } else {
                let (mut tx, _peer) = (tx, stranger_with(rx));
                while Instant::now() < round
                    && one(tx.send_timeout(&[7; 100], Duration::from_millis(2)).map(|()| 0))
                {
                }
            }
        }
    }
    assert!(happened > 0, "nothing happened");
}

/// A process that gets an end, and does with its memory what it likes.
fn stranger_with(end: impl Handoff) -> Peer {
    let mut peer = Peer::cast("unbounded/hands_its_memory_to_a_stranger");
    end.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
    let mut peer = peer.start();
    peer.expect("scribbling");
    peer
}

fn stranger() {
    scribble(&Memfd::adopt("ring").expect("an end is handed over as its memory"));
}

//! Rings whose every message is for all receivers.

use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::broadcast::{Receiver, Sender};
use ipc_shm::ring::{RingOptions, broadcast};
use ipc_shm::{Memfd, MemfdOptions};
use ipc_testkit::{Harness, Peer, say};

use crate::hostile::{scribbler, scribbling};
use crate::rings::{again, check_message, kills, kind, length};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("broadcasts/every_receiver_gets_every_message", everybody)
        .test("broadcasts/a_receiver_gets_what_is_sent_after_it_came", latecomers)
        .test("broadcasts/the_sender_waits_for_the_slowest", slowest)
        .test("broadcasts/received_and_lost_are_all_that_were_sent", losses)
        .role("broadcasts/overwrites", overwrites)
        .test("broadcasts/a_view_that_was_overwritten_says_so", views)
        .test("broadcasts/killed_receivers_are_not_waited_for", killed_receivers)
        .role("broadcasts/receives_a_little", receives_a_little)
        .test("broadcasts/a_hostile_peer_is_data_or_corrupted", hostile)
}

const MANY: u64 = 20_000;

fn message(number: u64) -> Vec<u8> {
    let mut message = vec![number as u8; length(number)];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message
}

fn everybody() {
    let (mut tx, rx) = broadcast::pair(&RingOptions::new().capacity(4096)).expect("pair");
    let receivers = [rx.try_clone().expect("clone"), rx.try_clone().expect("clone"), rx];
    let receivers = receivers.map(|mut rx| {
        std::thread::spawn(move || {
            let mut buf = [0; 1024];
            for number in 0..MANY {
                let len = rx.recv(&mut buf).expect("receive");
                check_message(number, &buf[..len]);
            }
            assert_eq!(kind(rx.recv(&mut buf)), ErrorKind::Disconnected);
            assert_eq!(rx.lost(), 0);
        })
    });
    for number in 0..MANY {
        tx.send(&message(number)).expect("send");
    }
    drop(tx);
    for receiver in receivers {
        receiver.join().expect("no panic");
    }
}

fn latecomers() {
    for overwrite in [false, true] {
        let options = RingOptions::new().capacity(4096).overwrite(overwrite);
        let (mut tx, mut rx) = broadcast::pair(&options).expect("pair");
        let mut buf = [0; 1024];
        for number in 0..500_u64 {
            tx.send(&message(2 * number)).expect("send");
            let mut late = rx.try_clone().expect("clone");
            assert_eq!(kind(late.try_recv(&mut buf)), ErrorKind::WouldBlock, "at {number}");
            tx.send(&message(2 * number + 1)).expect("send");
            let len = late.recv(&mut buf).expect("receive");
            check_message(2 * number + 1, &buf[..len]);
            assert_eq!(late.lost(), 0);
            for earlier in [2 * number, 2 * number + 1] {
                let len = rx.recv(&mut buf).expect("receive");
                check_message(earlier, &buf[..len]);
            }
        }
    }
}

fn slowest() {
    let (mut tx, mut quick) = broadcast::pair(&RingOptions::new().capacity(1024)).expect("pair");
    let slow = quick.try_clone().expect("clone");
    let mut sent = 0;
    while tx.try_send(&[1; 8]).is_ok() {
        assert_eq!(quick.recv(&mut [0; 8]), Ok(8));
        sent += 1;
    }
    assert!(sent > 10, "{sent}");
    assert_eq!(kind(tx.try_send(&[1; 8])), ErrorKind::WouldBlock);
    drop(slow);
    tx.send(&[1; 8]).expect("nobody is waited for");
    drop(quick);
    assert_eq!(kind(tx.send(&[1; 8])), ErrorKind::Disconnected);
}

fn losses() {
    let options = RingOptions::new().capacity(4096).overwrite(true);
    let (tx, mut rx) = broadcast::pair(&options).expect("pair");
    let mut peer = Peer::cast("broadcasts/overwrites");
    tx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
    let peer = peer.start();
    let mut buf = [0; 1024];
    let (mut received, mut next) = (0, 0);
    loop {
        match rx.recv(&mut buf) {
            Ok(len) => {
                let number = u64::from_le_bytes(*buf.first_chunk().expect("eight bytes"));
                check_message(number, &buf[..len]);
                assert!(number >= next, "{number} after {next}");
                next = number + 1;
                received += 1;
                assert_eq!(received + rx.lost(), next);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
                break;
            }
        }
    }
    assert_eq!(received + rx.lost(), 10 * MANY);
    peer.join();
}

fn overwrites() {
    let mut tx = Sender::adopt("ring").expect("adopt");
    for number in 0..10 * MANY {
        tx.try_send(&message(number)).expect("it waits for nobody");
    }
}

fn views() {
    let options = RingOptions::new().capacity(1024).overwrite(true);
    let (mut tx, mut rx) = broadcast::pair(&options).expect("pair");
    tx.send(b"first").expect("send");
    assert!(rx.peek(Wait::Never).expect("there is one").release());
    tx.send(b"second").expect("send");
    let view = rx.peek(Wait::Never).expect("there is one");
    for _ in 0..100 {
        tx.send(b"more of it").expect("send");
    }
    assert!(!view.release(), "it was overwritten");
    assert_eq!(rx.recv(&mut [0; 64]), Ok(10));
    assert!(rx.lost() > 0);
}

fn killed_receivers() {
    let options = RingOptions::new().capacity(1024);
    let len = broadcast::region_len(&options).expect("length");
    let ring = MemfdOptions::new(len).create().expect("create");
    broadcast::init(&ring, &options).expect("init");
    let mut tx = Sender::attach(again(&ring), &options).expect("attach");
    let mut stays = Receiver::attach(again(&ring), &options).expect("attach");
    for kill in 0..kills() / 20 {
        let mut peer = Peer::cast("broadcasts/receives_a_little");
        again(&ring).give(peer.command(), "ring").map_err(|it| it.error).expect("give");
        let mut peer = peer.start();
        peer.expect("attached");
        let mut peer = Some(peer);
        // It receives ten, and would keep the sender waiting for ever.
        for number in 0..200_u64 {
            if number == 5 + kill % 20 {
                peer.take().expect("killed once").kill();
            }
            tx.send(&number.to_le_bytes()).expect("send");
            let mut buf = [0; 8];
            assert_eq!(stays.recv(&mut buf), Ok(8));
            assert_eq!(u64::from_le_bytes(buf), number);
        }
    }
}

fn receives_a_little() {
    let memory: Memfd = Memfd::adopt("ring").expect("adopt");
    let mut rx = Receiver::attach(memory, &RingOptions::new()).expect("attach");
    say("attached");
    let mut buf = [0; 8];
    for number in 0..10_u64 {
        assert_eq!(rx.recv(&mut buf), Ok(8));
        assert_eq!(u64::from_le_bytes(buf), number);
    }
    ipc_testkit::wait_for_the_end();
}

fn hostile() {
    for overwrite in [false, true] {
        let options = RingOptions::new().capacity(1024).overwrite(overwrite);
        let len = broadcast::region_len(&options).expect("length");
        let ring = MemfdOptions::new(len).create().expect("create");
        let attach = |ring: &Memfd| {
            loop {
                broadcast::init(ring, &options).expect("init");
                let tx = Sender::attach(again(ring), &options);
                let rx = Receiver::attach(again(ring), &options);
                if let (Ok(tx), Ok(rx)) = (tx, rx) {
                    return (tx, rx);
                }
            }
        };
        let (mut tx, mut rx) = attach(&ring);
        let peer = scribbler(&ring);
        let end = Instant::now() + scribbling() / 2;
        let (mut buf, mut happened) = ([0; 1024], 0_u64);
        while Instant::now() < end {
            let sent = tx.send_timeout(&[7; 100], Duration::from_millis(2)).map(|()| 0);
            let received = rx.recv_timeout(&mut buf, Duration::from_millis(2));
            for result in [sent, received] {
                happened += 1;
                let Err(error) = result else { continue };
                let kinds = [ErrorKind::TimedOut, ErrorKind::Corrupted, ErrorKind::Disconnected];
                assert!(kinds.contains(&error.kind()), "{error}");
                if error.kind() != ErrorKind::TimedOut {
                    (tx, rx) = attach(&ring);
                }
            }
        }
        drop(peer);
        assert!(happened > 0, "nothing happened");
    }
}

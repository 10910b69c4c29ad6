//! Rings with several senders and receivers, some of which are killed.

use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::MemfdOptions;
use ipc_shm::ring::{RingOptions, mpmc, mpsc};
use ipc_testkit::{Harness, Peer, say};

use crate::rings::{a_moment, again, check_message, kills, kind, length};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("many/messages_of_killed_senders_arrive_whole_and_once", killed_senders)
        .role("many/sends_for_ever", sends_for_ever)
        .test("many/work_of_killed_receivers_is_done_by_others", killed_workers)
        .role("many/works", works)
        .test("many/a_killed_receiver_is_succeeded", succeeded)
        .role("many/receives_for_ever", receives_for_ever)
}

/// Two processes send as fast as they can, and are killed one after the other; their places are taken by
/// the next two.
fn killed_senders() {
    let (first, mut rx) = mpsc::pair(&RingOptions::new().capacity(4096).senders(3)).expect("pair");
    let mut buf = [0; 1024];
    for round in 0..kills() / 4 {
        let mut peers: Vec<Option<Peer>> = Vec::new();
        for sender in 0..2_u64 {
            let mut peer = Peer::cast("many/sends_for_ever");
            peer.command().env("SENDER", (2 * round + sender).to_string());
            let tx = first.try_clone().expect("a place, perhaps of one that was killed");
            tx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
            peers.push(Some(peer.start()));
        }
        // The next number of each.
        let mut next = [0_u64; 2];
        let mut killed = 0;
        loop {
            // When both are dead, what they had committed is there.
            let wait = if killed < 2 { Wait::Forever } else { Wait::Never };
            match rx.recv_with(&mut buf, wait) {
                Ok(len) => {
                    let sender = u64::from_le_bytes(*buf.first_chunk().expect("eight bytes"));
                    let which = usize::try_from(sender - 2 * round).expect("one of this round");
                    check_message(next[which], &buf[8..len]);
                    next[which] += 1;
                    if killed < 2 && next[killed] > 1 + round % 30 {
                        a_moment(round);
                        peers[killed].take().expect("killed once").kill();
                        killed += 1;
                    }
                }
                Err(error) => {
                    assert_eq!((error.kind(), killed), (ErrorKind::WouldBlock, 2), "{error}");
                    break;
                }
            }
        }
    }
    drop(first);
    assert_eq!(kind(rx.recv(&mut buf)), ErrorKind::Disconnected);
}

fn sends_for_ever() {
    let mut tx = mpsc::Sender::adopt("ring").expect("adopt");
    let sender: u64 = std::env::var("SENDER").expect("SENDER").parse().expect("a number");
    for number in 0.. {
        let mut message = sender.to_le_bytes().to_vec();
        message.resize(8 + length(number), number as u8);
        message[8..16].copy_from_slice(&number.to_le_bytes());
        tx.send(&message).expect("send");
    }
}

/// How much work there is for the workers of which some are killed.
const WORK: u64 = 20_000;

fn killed_workers() {
    let options = RingOptions::new().capacity(4096);
    let (mut tx, rx) = mpmc::pair(&options).expect("pair");
    let (done, mut results) = mpsc::pair(&options.senders(64)).expect("pair");
    let hire = || {
        let mut peer = Peer::cast("many/works");
        let rx = rx.try_clone().expect("a place");
        rx.give(peer.command(), "work").map_err(|it| it.error).expect("give");
        let done = done.try_clone().expect("a place");
        done.give(peer.command(), "done").map_err(|it| it.error).expect("give");
        peer.start()
    };
    let mut workers: Vec<Peer> = (0..3).map(|_| hire()).collect();
    let deaths = kills() / 5;
    let (mut sent, mut finished, mut killed) = (0_u64, 0, 0);
    let mut times = vec![0_u32; usize::try_from(WORK).expect("it fits")];
    let mut buf = [0; 8];
    while finished < WORK {
        // Never more under way than the rings hold: nobody but this process does both.
        while sent < WORK && sent - finished < 50 {
            tx.send(&sent.to_le_bytes()).expect("send");
            sent += 1;
        }
        let got = results.recv_timeout(&mut buf, Duration::from_secs(20));
        assert_eq!(got, Ok(8), "{finished} of {WORK} are done");
        let number = usize::try_from(u64::from_le_bytes(buf)).expect("it fits");
        times[number] += 1;
        finished += u64::from(times[number] == 1);
        if killed < deaths && finished > (killed + 1) * WORK / (deaths + 1) {
            a_moment(killed);
            workers.remove(0).kill();
            workers.push(hire());
            killed += 1;
        }
    }
    assert_eq!(killed, deaths);
    let again: u64 = times.iter().map(|times| u64::from(times - 1)).sum();
    assert!(again <= killed, "{again} done twice, with {killed} killed");
    drop(tx);
    drop(workers);
}

/// Does work before it lets go of it.
fn works() {
    let mut rx = mpmc::Receiver::adopt("work").expect("adopt");
    let mut done = mpsc::Sender::adopt("done").expect("adopt");
    let mut number = [0; 8];
    while let Ok(view) = rx.peek(Wait::Forever) {
        view.read_at(0, &mut number).expect("read");
        done.send(&number).expect("send");
        view.release();
    }
}

fn succeeded() {
    let options = RingOptions::new().capacity(1024);
    let len = mpsc::region_len(&options).expect("length");
    let ring = MemfdOptions::new(len).create().expect("create");
    mpsc::init(&ring, &options).expect("init");
    let mut tx = mpsc::Sender::attach(again(&ring), &options).expect("attach");
    let rx = mpsc::Receiver::attach(again(&ring), &options).expect("attach");
    let mut peer = Peer::cast("many/receives_for_ever");
    rx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
    let mut peer = peer.start();
    peer.expect("ready");
    for number in 0..1000_u64 {
        tx.send(&number.to_le_bytes()).expect("send");
    }
    peer.kill();
    let end = loop {
        if let Err(error) = tx.send(b"anybody?") {
            break error;
        }
    };
    assert_eq!(end.kind(), ErrorKind::Disconnected, "{end}");
    // The next one gets what the one before did not.
    let mut rx = mpsc::Receiver::attach(again(&ring), &options).expect("it is free");
    let mut buf = [0; 16];
    while rx.try_recv(&mut buf).is_ok() {}
    tx.send(b"you").expect("there is somebody again");
    assert_eq!(rx.recv(&mut buf), Ok(3));
}

fn receives_for_ever() {
    let mut rx = mpsc::Receiver::adopt("ring").expect("adopt");
    say("ready");
    let mut buf = [0; 1024];
    for number in 0..1000_u64 {
        let len = rx.recv(&mut buf).expect("receive");
        assert_eq!(buf[..len], number.to_le_bytes());
    }
    loop {
        rx.recv(&mut buf).expect("receive");
    }
}

//! A peer that writes over all of a ring, as fast as it can.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, RecvMsg, Region, SendMsg};
use ipc_shm::ring::spsc::{Receiver, Sender};
use ipc_shm::ring::{RingOptions, Strategy, mpmc};
use ipc_shm::{Memfd, MemfdOptions, RegionExt};
use ipc_testkit::{Harness, Peer, say};

use crate::rings::{again, memory};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("rings/a_hostile_sender_is_data_or_corrupted", hostile_sender)
        .test("rings/a_hostile_receiver_is_no_more_than_a_full_or_broken_ring", hostile_receiver)
        .role("rings/scribbles", scribbles)
        .test("many/a_hostile_peer_is_data_or_corrupted", hostile_many)
}

/// How long a hostile peer writes over everything.
pub(crate) fn scribbling() -> Duration {
    let secs = std::env::var("IPC_SHM_HOSTILE_SECS").ok().and_then(|it| it.parse().ok());
    Duration::from_secs(secs.unwrap_or(2))
}

/// Starts a process that writes random words over all of a ring, as fast as it can.
pub(crate) fn scribbler(memory: &Memfd) -> Peer {
    let mut peer = Peer::cast("rings/scribbles");
    again(memory).give(peer.command(), "ring").map_err(|it| it.error).expect("give");
    let mut peer = peer.start();
    peer.expect("scribbling");
    peer
}

fn scribbles() {
    scribble(&Memfd::adopt("ring").expect("adopt"));
}

/// Writes random words over all of this memory, for ever, and says so.
pub(crate) fn scribble(memory: &Memfd) -> ! {
    let words: Vec<&AtomicU64> =
        (0..memory.len() / 8).map(|word| memory.atomic_u64(8 * word).expect("a word")).collect();
    say("scribbling");
    let mut random: u64 = 0x1234_5678_9ABC_DEF1;
    loop {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let word = words[(random >> 32) as usize % words.len()];
        // Random words, and such as look like headers, flags and positions.
        let value = match random & 7 {
            0 => 0,
            1 => 1 << 63 | (random >> 16 & 0xff),
            2 => 3 << 62 | (random >> 16 & 0xfff),
            3 => random >> 48,
            4 => u64::MAX - (random >> 16 & 0xfff),
            _ => random,
        };
        word.store(value, Ordering::Relaxed);
    }
}

fn hostile_sender() {
    let options = RingOptions::new().capacity(4096).strategy(Strategy::Adaptive);
    let end = Instant::now() + scribbling();
    let (mut messages, mut corrupted) = (0_u64, 0_u64);
    let ring = memory(&options);
    options.init(&ring).expect("init");
    let mut rx = Receiver::attach(again(&ring), &options).expect("attach");
    let peer = scribbler(&ring);
    let mut buf = [0; 4096];
    while Instant::now() < end {
        match rx.recv_timeout(&mut buf, Duration::from_millis(5)) {
            Ok(len) => {
                assert!(len <= 2048, "{len}");
                messages += 1;
            }
            Err(error) => {
                let kinds = [ErrorKind::TimedOut, ErrorKind::Corrupted, ErrorKind::Disconnected];
                assert!(kinds.contains(&error.kind()), "{error}");
                if error.kind() != ErrorKind::TimedOut {
                    corrupted += 1;
                    drop(rx);
                    // The place is taken for good: over the same memory, a ring is made anew.
                    ring.atomic_u64(256).expect("word").store(0, Ordering::Relaxed);
                    rx = loop {
                        match Receiver::attach(again(&ring), &options) {
                            Ok(rx) => break rx,
                            Err(_) => drop(options.init(&ring)),
                        }
                    };
                }
            }
        }
    }
    drop(peer);
    assert!(messages + corrupted > 0, "nothing happened");
}

fn hostile_receiver() {
    let options = RingOptions::new().capacity(4096);
    let end = Instant::now() + scribbling();
    let ring = memory(&options);
    options.init(&ring).expect("init");
    let mut tx = Sender::attach(again(&ring), &options).expect("attach");
    let peer = scribbler(&ring);
    let (mut sent, mut refused) = (0_u64, 0_u64);
    while Instant::now() < end {
        match tx.send_timeout(&[7; 100], Duration::from_millis(5)) {
            Ok(()) => sent += 1,
            Err(error) => {
                let kinds = [ErrorKind::TimedOut, ErrorKind::Corrupted, ErrorKind::Disconnected];
                assert!(kinds.contains(&error.kind()), "{error}");
                refused += 1;
                if error.kind() != ErrorKind::TimedOut {
                    drop(tx);
                    ring.atomic_u64(128).expect("word").store(0, Ordering::Relaxed);
                    tx = loop {
                        match Sender::attach(again(&ring), &options) {
                            Ok(tx) => break tx,
                            Err(_) => drop(options.init(&ring)),
                        }
                    };
                }
            }
        }
    }
    drop(peer);
    assert!(sent + refused > 0, "nothing happened");
}

fn hostile_many() {
    let options = RingOptions::new().capacity(1024).senders(2);
    let len = mpmc::region_len(&options).expect("length");
    let ring = MemfdOptions::new(len).create().expect("create");
    let attach = |ring: &Memfd| {
        loop {
            mpmc::init(ring, &options).expect("init");
            let tx = mpmc::Sender::attach(again(ring), &options);
            let rx = mpmc::Receiver::attach(again(ring), &options);
            if let (Ok(tx), Ok(rx)) = (tx, rx) {
                return (tx, rx);
            }
        }
    };
    let (mut tx, mut rx) = attach(&ring);
    let peer = scribbler(&ring);
    let end = Instant::now() + scribbling();
    let (mut buf, mut errors, mut messages) = ([0; 1024], 0_u64, 0_u64);
    while Instant::now() < end {
        let sent = tx.send_timeout(&[7; 100], Duration::from_millis(2)).map(|()| 0);
        let received = rx.recv_timeout(&mut buf, Duration::from_millis(2));
        for result in [sent, received] {
            match result {
                Ok(len) => {
                    assert!(len <= 512, "{len}");
                    messages += 1;
                }
                Err(error) => {
                    let kinds =
                        [ErrorKind::TimedOut, ErrorKind::Corrupted, ErrorKind::Disconnected];
                    assert!(kinds.contains(&error.kind()), "{error}");
                    errors += 1;
                    if error.kind() == ErrorKind::Corrupted {
                        (tx, rx) = attach(&ring);
                    }
                }
            }
        }
    }
    drop(peer);
    assert!(messages + errors > 0, "nothing happened");
}

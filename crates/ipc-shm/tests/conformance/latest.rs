//! The newest value, and messages that are values.

use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::latest::{Reader, Writer};
use ipc_shm::ring::{RingOptions, Strategy, latest, mpsc, typed};
use ipc_shm::{Memfd, MemfdOptions};
use ipc_testkit::{Harness, Peer, block, say};

use crate::hostile::{scribbler, scribbling};
use crate::rings::{a_moment, again, kills, kind};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("latest/what_is_read_is_the_newest", newest)
        .test("latest/another_type_is_refused", types)
        .test("latest/a_reader_that_sleeps_is_woken", woken)
        .test("latest/values_of_a_writer_at_full_speed_are_whole", whole)
        .role("latest/writes_for_ever", writes_for_ever)
        .test("latest/a_killed_writer_is_succeeded", succeeded)
        .test("latest/a_hostile_peer_is_a_value_or_corrupted", hostile)
        .test("latest/values_over_a_ring", over_a_ring)
}

type Sample = [u64; 40];

fn newest() {
    let (mut tx, mut rx) = latest::pair::<Sample>(&RingOptions::new()).expect("pair");
    assert_eq!(kind(rx.read(Wait::Never)), ErrorKind::WouldBlock);
    for number in 1..100 {
        assert_eq!(tx.write(&[number; 40]), Ok(number));
        if number % 3 == 0 {
            let got = rx.read_new(Wait::Never).expect("there is a new one");
            assert_eq!((got.number, got.value), (number, [number; 40]));
            assert_eq!(kind(rx.read_new(Wait::Never)), ErrorKind::WouldBlock);
            assert_eq!(rx.read(Wait::Never), Ok(got));
        }
    }
    let mut late = rx.try_clone().expect("clone");
    assert_eq!(late.read_new(Wait::Never).expect("the newest").number, 99);
    drop(tx);
    assert_eq!(rx.read(Wait::Forever).expect("it stays").number, 99);
    assert_eq!(kind(rx.read_new(Wait::Forever)), ErrorKind::Disconnected);
}

fn types() {
    let options = RingOptions::new();
    let len = latest::region_len::<Sample>().expect("length");
    let memory = MemfdOptions::new(len).create().expect("create");
    assert_eq!(kind(Reader::<Sample, _>::attach(&memory, &options)), ErrorKind::NotFound);
    latest::init::<Sample>(&memory, &options).expect("init");
    for wrong in [
        kind(Reader::<[u64; 41], _>::attach(&memory, &options)),
        kind(Reader::<[u32; 80], _>::attach(&memory, &options)),
        kind(Writer::<Sample, _>::attach(&memory, &options.element(1))),
        kind(mpsc::Sender::attach(&memory, &options)),
    ] {
        assert!(matches!(wrong, ErrorKind::WrongType { .. }), "{wrong:?}");
    }
    let one = Writer::<Sample, _>::attach(&memory, &options).expect("attach");
    let second = Writer::<Sample, _>::attach(&memory, &options);
    assert_eq!(kind(second), ErrorKind::AlreadyExists);
    drop(one);
    Writer::<Sample, _>::attach(&memory, &options).expect("it is free");
}

fn woken() {
    for fences in [false, true] {
        let options = RingOptions::new().full_fences(fences).strategy(Strategy::Block);
        let (mut tx, mut rx) = latest::pair::<Sample>(&options).expect("pair");
        for number in 1..100 {
            let reader = block("read of a value that is not there", move || {
                let got = rx.read_new(Wait::Forever);
                (rx, got)
            });
            tx.write(&[number; 40]).expect("write");
            let got;
            (rx, got) = reader.join();
            assert_eq!(got.expect("value").number, number);
        }
        drop(tx);
        assert_eq!(kind(rx.read_new(Wait::Forever)), ErrorKind::Disconnected);
    }
}

fn whole() {
    let (tx, mut rx) = latest::pair::<Sample>(&RingOptions::new()).expect("pair");
    let mut peer = Peer::cast("latest/writes_for_ever");
    tx.give(peer.command(), "tx").map_err(|it| it.error).expect("give");
    let peer = peer.start();
    let mut last = 0;
    for _ in 0..20_000 {
        let got = rx.read_new(Wait::Forever).expect("value");
        assert!(got.number > last, "{} after {last}", got.number);
        assert_eq!(got.value, [got.number; 40], "it is a mixture");
        last = got.number;
    }
    drop(peer);
}

fn writes_for_ever() {
    let mut tx = Writer::<Sample>::adopt("tx").expect("adopt");
    say("writing");
    let mut number = tx.write(&[1; 40]).expect("write");
    // A successor goes on with the numbers.
    loop {
        number = tx.write(&[number + 1; 40]).expect("write");
    }
}

fn succeeded() {
    let options = RingOptions::new();
    let len = latest::region_len::<u64>().expect("length");
    let memory = MemfdOptions::new(len).create().expect("create");
    latest::init::<u64>(&memory, &options).expect("init");
    let mut rx = Reader::<u64>::attach(again(&memory), &options).expect("attach");
    for kill in 0..kills() / 20 {
        let tx = Writer::<Sample>::attach(again(&memory), &options);
        assert!(matches!(kind(tx), ErrorKind::WrongType { .. }));
        let mut tx = Writer::<u64>::attach(again(&memory), &options).expect("nobody lives");
        let number = tx.write(&7).expect("write");
        assert_eq!(rx.read(Wait::Never).expect("value").number, number);
        drop(tx);
        // One that is killed while it writes a large one.
        let (tx, mut rx) = latest::pair::<Sample>(&options).expect("pair");
        let mut peer = Peer::cast("latest/writes_for_ever");
        tx.give(peer.command(), "tx").map_err(|it| it.error).expect("give");
        let mut peer = peer.start();
        peer.expect("writing");
        a_moment(kill);
        peer.kill();
        loop {
            match rx.read_new(Wait::Forever) {
                Ok(got) => assert_eq!(got.value, [got.number; 40]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
                    break;
                }
            }
        }
    }
}

fn hostile() {
    let options = RingOptions::new();
    let len = latest::region_len::<Sample>().expect("length");
    let ring = MemfdOptions::new(len).create().expect("create");
    let attach = |ring: &Memfd| {
        loop {
            latest::init::<Sample>(ring, &options).expect("init");
            let tx = Writer::<Sample>::attach(again(ring), &options);
            let rx = Reader::<Sample>::attach(again(ring), &options);
            if let (Ok(tx), Ok(rx)) = (tx, rx) {
                return (tx, rx);
            }
        }
    };
    let (mut tx, mut rx) = attach(&ring);
    let peer = scribbler(&ring);
    let end = Instant::now() + scribbling() / 2;
    while Instant::now() < end {
        if tx.write(&[7; 40]).is_err() {
            (tx, rx) = attach(&ring);
        }
        if let Err(error) = rx.read_new(Wait::timeout(Duration::from_millis(2))) {
            let kinds = [ErrorKind::TimedOut, ErrorKind::Corrupted, ErrorKind::Disconnected];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
    }
    drop(peer);
}

fn over_a_ring() {
    let options = RingOptions::new().element(typed::element::<Sample>());
    let (mut raw, rx) = mpsc::pair(&options).expect("pair");
    let tx = raw.try_clone().expect("clone");
    let mut tx = typed::Sender::<Sample, _>::new(tx);
    let mut rx = typed::Receiver::<Sample, _>::new(rx);
    tx.send(&[9; 40], Wait::Never).expect("send");
    assert_eq!(rx.recv(Wait::Never), Ok([9; 40]));
    raw.send(b"no sample").expect("send");
    assert_eq!(kind(rx.recv(Wait::Never)), ErrorKind::Corrupted);
    raw.send(&[0; 321]).expect("send");
    let longer = ErrorKind::MessageTooLarge { len: 321, max: 320 };
    assert_eq!(kind(rx.recv(Wait::Never)), longer);
    assert_eq!(rx.into_inner().recv(&mut [0; 400]), Ok(321));
}

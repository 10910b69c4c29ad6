//! Rings with several senders and receivers: who comes and goes, killed and stopped peers, and hostile ones.

use std::sync::atomic::Ordering;

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, mpmc, mpsc, spsc};
use ipc_shm::{FileMap, MemfdOptions, RegionExt};
use ipc_testkit::{Harness, Peer, dir, note};

use crate::rings::{again, kind, length};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("many/a_ring_of_another_kind_or_element_is_refused", other_kinds)
        .test("many/a_private_mapping_is_refused", private)
        .test("many/a_sender_that_cannot_reach_receivers_asks_for_fences", fences)
        .test("many/places_run_out_and_come_back", places)
        .test("many/a_sender_in_the_middle_of_a_message_holds_nobody_up", unfinished)
        .test("many/a_message_that_is_looked_at_is_nobody_elses", looked_at)
        .test("many/an_end_that_was_used_is_handed_over_with_its_messages", used)
        .role("many/goes_on", goes_on)
        .test("many/each_child_goes_on_where_its_own_end_was", own_places)
        .role("many/sends_one_more", sends_one_more)
        .test("many/what_a_dead_receiver_keeps_is_free_while_others_are_busy", busy)
}

fn other_kinds() {
    let options = RingOptions::new().capacity(4096);
    let memory = MemfdOptions::new(mpmc::region_len(&options).expect("length")).create();
    let memory = memory.expect("create");
    assert_eq!(kind(mpsc::Sender::attach(again(&memory), &options)), ErrorKind::NotFound);
    mpsc::init(&memory, &options.element(7)).expect("init");
    for wrong in [
        kind(mpmc::Sender::attach(again(&memory), &options.element(7))),
        kind(spsc::Sender::attach(again(&memory), &options.element(7))),
        kind(mpsc::Sender::attach(again(&memory), &options)),
        kind(mpsc::Receiver::attach(again(&memory), &options.element(8))),
    ] {
        assert!(matches!(wrong, ErrorKind::WrongType { .. }), "{wrong:?}");
    }
    mpsc::Sender::attach(again(&memory), &options.element(7)).expect("the right one");
    let small = MemfdOptions::new(4096).create().expect("create");
    assert_eq!(kind(mpsc::init(&small, &options)), ErrorKind::InvalidInput);
    assert_eq!(kind(mpsc::pair(&options.senders(0))), ErrorKind::InvalidInput);
    assert_eq!(kind(mpsc::pair(&options.senders(65))), ErrorKind::InvalidInput);
}

fn private() {
    let path = dir().join("ring");
    std::fs::write(&path, vec![0; 1 << 20]).expect("write");
    let file = std::fs::File::open(&path).expect("open");
    let options = RingOptions::new().capacity(4096);
    let map = FileMap::private(&file).expect("map");
    assert_eq!(kind(options.init(&map)), ErrorKind::InvalidInput);
    assert_eq!(kind(mpsc::init(&map, &options)), ErrorKind::InvalidInput);
    assert_eq!(kind(spsc::Sender::attach(&map, &options)), ErrorKind::InvalidInput);
    drop(map);
    std::fs::remove_file(path).expect("remove");
}

/// The word at which the sender of the first lane sleeps, and what says that it wants fences.
const FIRST_SLEEPS: usize = 2048 + 640;
const WANTS_FENCES: u64 = 2;

fn fences() {
    let options = RingOptions::new().capacity(1024);
    let len = mpsc::region_len(&options).expect("length");
    let ring = MemfdOptions::new(len).create().expect("create");
    mpsc::init(&ring, &options).expect("init");
    for yes in [true, false] {
        let options = options.full_fences(yes);
        let tx = mpsc::Sender::attach(again(&ring), &options).expect("attach");
        let word = ring.atomic_u64(FIRST_SLEEPS).expect("word").load(Ordering::Relaxed);
        assert_eq!(word & WANTS_FENCES != 0, yes, "{word}");
        drop(tx);
    }
}

fn places() {
    let (tx, rx) = mpsc::pair(&RingOptions::new().senders(2)).expect("pair");
    let two = tx.try_clone().expect("a second sender");
    assert!(matches!(kind(tx.try_clone()), ErrorKind::ResourceLimit { .. }));
    assert_eq!(kind(rx.try_clone()), ErrorKind::AlreadyExists);
    drop(two);
    let mut two = tx.try_clone().expect("a place is free");
    // The one before had a life of its own there.
    let mut rx = rx;
    two.send(b"first").expect("send");
    drop(two);
    let mut two = tx.try_clone().expect("a place is free");
    two.send(b"second").expect("send");
    let mut buf = [0; 8];
    assert_eq!(rx.recv(&mut buf), Ok(5));
    assert_eq!(rx.recv(&mut buf), Ok(6));
    // A receiver that goes is not the end: another one may come.
    drop(rx);
    let mut tx = tx;
    assert_eq!(kind(two.send(b"nobody")), ErrorKind::Disconnected);
    assert_eq!(kind(tx.send(b"nobody")), ErrorKind::Disconnected);
}

fn unfinished() {
    let (mut one, mut rx) = mpsc::pair(&RingOptions::new()).expect("pair");
    let mut two = one.try_clone().expect("a second sender");
    let mut grant = one.reserve(100, Wait::Never).expect("room");
    grant.write_at(0, b"not yet").expect("write");
    let mut buf = [0; 128];
    for number in 0..1000_u32 {
        two.send(&number.to_le_bytes()).expect("send");
        assert_eq!(rx.recv(&mut buf), Ok(4));
        assert_eq!(buf[..4], number.to_le_bytes());
    }
    assert_eq!(kind(rx.try_recv(&mut buf)), ErrorKind::WouldBlock);
    grant.commit();
    assert_eq!(rx.recv(&mut buf), Ok(100));
    assert_eq!(&buf[..7], b"not yet");
}

fn looked_at() {
    let (mut tx, mut one) = mpmc::pair(&RingOptions::new()).expect("pair");
    let mut two = one.try_clone().expect("a second receiver");
    tx.send(b"work").expect("send");
    let mut buf = [0; 8];
    let view = one.peek(Wait::Never).expect("there is one");
    assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
    drop(view);
    assert_eq!(kind(two.try_recv(&mut [0; 2])), ErrorKind::MessageTooLarge { len: 4, max: 2 });
    one.peek(Wait::Never).expect("it is still there").release();
    assert_eq!(kind(two.try_recv(&mut buf)), ErrorKind::WouldBlock);
}

fn used() {
    let (mut tx, mut rx) = mpsc::pair(&RingOptions::new().capacity(4096)).expect("pair");
    for number in 0..10 {
        tx.send(&vec![number as u8; length(number)]).expect("send");
    }
    let mut buf = [0; 1024];
    for number in 0..5 {
        assert_eq!(rx.recv(&mut buf), Ok(length(number)));
    }
    let mut peer = Peer::cast("many/goes_on");
    tx.give(peer.command(), "tx").map_err(|it| it.error).expect("give");
    let peer = peer.start();
    for number in 5..20 {
        assert_eq!(rx.recv(&mut buf), Ok(length(number)), "{number}");
        assert!(buf[8..length(number)].iter().all(|byte| *byte == number as u8));
    }
    peer.join();
    assert_eq!(kind(rx.recv(&mut buf)), ErrorKind::Disconnected);
}

fn goes_on() {
    let mut tx = mpsc::Sender::adopt("tx").expect("adopt");
    for number in 10..20 {
        tx.send(&vec![number as u8; length(number)]).expect("send");
    }
}

fn own_places() {
    let (mut one, mut rx) = mpsc::pair(&RingOptions::new()).expect("pair");
    let mut two = one.try_clone().expect("a second sender");
    one.send(b"1 before").expect("send");
    two.send(b"2 before").expect("send");
    let mut first = Peer::cast("many/sends_one_more");
    one.give(first.command(), "tx").map_err(|it| it.error).expect("give");
    let mut second = Peer::cast("many/sends_one_more");
    second.command().env("MESSAGE", "2 after");
    two.give(second.command(), "tx").map_err(|it| it.error).expect("give");
    // The second child is there first.
    second.start().join();
    first.command().env("MESSAGE", "1 after");
    first.start().join();
    let mut received = Vec::new();
    let mut buf = [0; 16];
    while let Ok(len) = rx.recv(&mut buf) {
        received.push(String::from_utf8(buf[..len].to_vec()).expect("text"));
    }
    for which in ["1", "2"] {
        let of_one = received.iter().filter(|it| it.starts_with(which));
        let of_one: Vec<&str> = of_one.map(|it| &it[2..]).collect();
        assert_eq!(of_one, ["before", "after"], "{received:?}");
    }
}

fn sends_one_more() {
    let mut tx = mpsc::Sender::adopt("tx").expect("adopt");
    tx.send(std::env::var("MESSAGE").expect("MESSAGE").as_bytes()).expect("send");
}

/// The word that says who receives from the first lane.
const FIRST_LOCK: usize = 2048 + 392;

fn busy() {
    let options = RingOptions::new().capacity(1024);
    let len = mpmc::region_len(&options).expect("length");
    let ring = MemfdOptions::new(len).create().expect("create");
    mpmc::init(&ring, &options).expect("init");
    let mut one = mpmc::Sender::attach(again(&ring), &options).expect("attach");
    let mut two = mpmc::Sender::attach(again(&ring), &options).expect("attach");
    let mut rx = mpmc::Receiver::attach(again(&ring), &options).expect("attach");
    one.send(b"kept").expect("send");
    // The highest pid there can be, and the first clock tick: a process that has ended.
    let dead = 4_194_303 << 42 | 1;
    ring.atomic_u64(FIRST_LOCK).expect("word").store(dead, Ordering::Relaxed);
    note("if it hangs, nobody looks whether who keeps a message is dead");
    let mut buf = [0; 8];
    loop {
        let _ = two.try_send(b"other");
        if rx.recv(&mut buf) == Ok(4) {
            assert_eq!(&buf[..4], b"kept");
            break;
        }
    }
}

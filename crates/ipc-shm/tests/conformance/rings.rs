//! Rings: what is found in their memory, both ends alone, killed peers, and hostile ones.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::spsc::{Receiver, Sender};
use ipc_shm::ring::{RingOptions, Strategy};
use ipc_shm::{Memfd, MemfdOptions, RegionExt};
use ipc_testkit::{Harness, Peer, say};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("rings/what_is_no_ring_is_refused", no_ring)
        .test("rings/each_end_is_taken_once", taken_once)
        .test("rings/an_end_that_was_used_is_not_handed_over", used)
        .test("rings/longest_and_empty_messages_wrap", lengths)
        .test("rings/a_grant_that_is_dropped_sends_nothing", grants)
        .test("rings/what_was_written_to_a_dropped_grant_is_no_message", dropped_grants)
        .test("rings/an_end_is_adopted_once", adopted_once)
        .role("rings/adopts_an_end", adopts_an_end)
        .test("rings/short_waits_learn_of_a_killed_peer_too", short_waits)
        .test("rings/corrupted_stays_corrupted", corrupted)
        .test("rings/a_batch_ends_though_there_is_no_end_of_records", endless)
        .test("rings/a_view_that_is_dropped_leaves_the_message", views)
        .test("rings/strategies_and_fences_of_the_ends_may_differ", mixtures)
        .role("rings/answers", answers)
        .test("rings/two_ends_on_one_processor_talk", neighbours)
        .test("rings/what_a_killed_sender_committed_arrives_whole_and_once", killed_sender)
        .role("rings/sends_for_ever", sends_for_ever)
        .test("rings/a_sender_learns_of_a_killed_receiver", killed_receiver)
        .role("rings/receives_for_ever", receives_for_ever)
}

pub(crate) fn memory(options: &RingOptions) -> Memfd {
    let memory = MemfdOptions::new(options.region_len().expect("length")).create();
    memory.expect("create")
}

pub(crate) fn again(memory: &Memfd) -> Memfd {
    memory.try_clone().expect("map it again")
}

pub(crate) fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.map(drop).expect_err("it must fail").kind()
}

fn no_ring() {
    let options = RingOptions::new().capacity(4096);
    let attach = |memory: &Memfd| kind(Sender::attach(again(memory), &options));
    let new = memory(&options);
    assert_eq!(attach(&new), ErrorKind::NotFound);
    new.write_at(0, b"something else").expect("write");
    assert_eq!(attach(&new), ErrorKind::Corrupted);

    options.init(&new).expect("init");
    // Another version of the layout: the last byte of the magic number, in this machine's order.
    let magic = new.atomic_u64(0).expect("word");
    magic.store(magic.load(Ordering::Relaxed) ^ 2, Ordering::Relaxed);
    assert!(matches!(attach(&new), ErrorKind::WrongType { .. }));
    for length in [0, 63, 100, 8192, u64::MAX] {
        options.init(&new).expect("init");
        new.atomic_u64(8).expect("word").store(length, Ordering::Relaxed);
        assert_eq!(attach(&new), ErrorKind::Corrupted, "{length}");
    }

    let small = MemfdOptions::new(1000).create().expect("create");
    assert_eq!(kind(options.init(&small)), ErrorKind::InvalidInput);
    assert_eq!(attach(&small), ErrorKind::InvalidInput);
    assert_eq!(kind(RingOptions::new().capacity(usize::MAX).pair()), ErrorKind::InvalidInput);
}

fn taken_once() {
    let options = RingOptions::new().capacity(4096);
    let ring = memory(&options);
    options.init(&ring).expect("init");
    let tx = Sender::attach(again(&ring), &options).expect("attach");
    assert_eq!(kind(Sender::attach(again(&ring), &options)), ErrorKind::AlreadyExists);
    let _rx = Receiver::attach(again(&ring), &options).expect("attach");
    assert_eq!(kind(Receiver::attach(again(&ring), &options)), ErrorKind::AlreadyExists);
    // Nor by a successor: what the one before knew of the ring is gone with it.
    drop(tx);
    assert_eq!(kind(Sender::attach(again(&ring), &options)), ErrorKind::AlreadyExists);
}

fn used() {
    let (mut tx, _rx) = RingOptions::new().pair().expect("pair");
    tx.send(b"first").expect("send");
    let mut command = std::process::Command::new("true");
    let rejected = tx.give(&mut command, "ring").expect_err("it was used");
    assert_eq!(rejected.error.kind(), ErrorKind::InvalidInput);
    let mut tx = rejected.value;
    tx.send(b"second").expect("the end that came back sends");
}

fn lengths() {
    let (mut tx, mut rx) = RingOptions::new().capacity(256).pair().expect("pair");
    let max = tx.max_len();
    assert_eq!(kind(tx.send(&vec![0; max + 1])), ErrorKind::MessageTooLarge { len: max + 1, max });
    let mut buf = vec![0; max];
    for round in 0..1000_usize {
        let len = [0, 1, 7, 8, 9, max - 1, max][round % 7];
        let message = vec![round as u8; len];
        tx.try_send(&message).expect("an empty ring takes every message");
        assert_eq!(rx.try_recv(&mut buf), Ok(len));
        assert_eq!(buf[..len], message);
    }
}

fn grants() {
    let (mut tx, mut rx) = RingOptions::new().pair().expect("pair");
    let mut grant = tx.reserve(4, Wait::Never).expect("room");
    grant.write_at(0, b"lost").expect("write");
    assert_eq!(kind(grant.write_at(1, b"long")), ErrorKind::InvalidInput);
    drop(grant);
    assert_eq!(kind(rx.try_recv(&mut [0; 8])), ErrorKind::WouldBlock);
    let mut grant = tx.reserve(4, Wait::Never).expect("room");
    grant.write_at(2, b"nt").expect("write");
    grant.write_at(0, b"se").expect("write");
    grant.commit();
    let mut buf = [0; 8];
    assert_eq!(rx.try_recv(&mut buf), Ok(4));
    assert_eq!(&buf[..4], b"sent");
}

fn dropped_grants() {
    let (mut tx, mut rx) = RingOptions::new().capacity(1024).pair().expect("pair");
    let mut buf = [0; 512];
    for round in 0..500_usize {
        let len = 100 + round % 300;
        // Words that look like committed records.
        let forged: Vec<u8> = (1 << 63 | 8_u64).to_ne_bytes().repeat(len / 8);
        let mut grant = tx.reserve(forged.len(), Wait::Never).expect("an empty ring has room");
        grant.write_at(0, &forged).expect("write");
        drop(grant);
        tx.try_send(b"x").expect("send");
        assert_eq!(rx.try_recv(&mut buf), Ok(1), "in round {round}");
        assert_eq!(kind(rx.try_recv(&mut buf)), ErrorKind::WouldBlock, "in round {round}");
    }
}

fn adopted_once() {
    let (tx, mut rx) = RingOptions::new().pair().expect("pair");
    let mut first = Peer::cast("rings/adopts_an_end");
    tx.give(first.command(), "ring").map_err(|it| it.error).expect("give");
    let mut first = first.start();
    first.expect("adopted");
    first.tell("send");
    assert_eq!(rx.recv(&mut [0; 8]), Ok(4));
    first.join();
    assert_eq!(kind(rx.recv(&mut [0; 8])), ErrorKind::Disconnected);
}

fn adopts_an_end() {
    let mut tx = Sender::adopt("ring").expect("adopt");
    assert_eq!(kind(Sender::adopt("ring")), ErrorKind::AlreadyExists);
    say("adopted");
    assert_eq!(ipc_testkit::hear(), "send");
    tx.send(b"once").expect("send");
}

fn short_waits() {
    let (tx, mut rx) = RingOptions::new().pair().expect("pair");
    let mut peer = Peer::cast("rings/adopts_an_end");
    tx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
    let mut peer = peer.start();
    peer.expect("adopted");
    peer.kill();
    // Each of these waits is shorter than the time between two looks at the peer.
    loop {
        match kind(rx.recv_timeout(&mut [0; 8], Duration::from_millis(1))) {
            ErrorKind::TimedOut => {}
            end => return assert_eq!(end, ErrorKind::Disconnected),
        }
    }
}

fn corrupted() {
    let options = RingOptions::new().capacity(4096);
    let ring = memory(&options);
    options.init(&ring).expect("init");
    let mut rx = Receiver::attach(again(&ring), &options).expect("attach");
    let header = ring.atomic_u64(1024).expect("word");
    header.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(kind(rx.try_recv(&mut [0; 8])), ErrorKind::Corrupted);
    // Whatever the peer writes afterwards.
    for later in [0, 1 << 63 | 1] {
        header.store(later, Ordering::Relaxed);
        assert_eq!(kind(rx.try_recv(&mut [0; 8])), ErrorKind::Corrupted);
    }
}

fn endless() {
    let options = RingOptions::new().capacity(4096);
    let ring = memory(&options);
    options.init(&ring).expect("init");
    let mut rx = Receiver::attach(again(&ring), &options).expect("attach");
    // Messages of 8 bytes, round and round.
    for at in (0..4096).step_by(16) {
        ring.atomic_u64(1024 + at).expect("word").store(1 << 63 | 8, Ordering::Relaxed);
    }
    assert_eq!(rx.recv_batch(&mut [0; 8], usize::MAX, Wait::Never, |_| ()), Ok(256));
}

fn views() {
    let (mut tx, mut rx) = RingOptions::new().pair().expect("pair");
    tx.send(b"message").expect("send");
    assert_eq!(rx.peek(Wait::Never).expect("there is one").len(), 7);
    let view = rx.peek(Wait::Never).expect("it is still there");
    let mut part = [0; 4];
    view.read_at(3, &mut part).expect("read");
    assert_eq!((view.len(), &part), (7, b"sage"));
    assert_eq!(kind(view.read_at(4, &mut part)), ErrorKind::InvalidInput);
    view.release();
    assert_eq!(kind(rx.try_recv(&mut [0; 8])), ErrorKind::WouldBlock);
}

/// How many messages go each way for each mixture.
const TRIPS: u64 = 2000;

fn mixtures() {
    for fences in [false, true] {
        for strategy in [Strategy::Block, Strategy::Adaptive] {
            let options = RingOptions::new().capacity(1024).strategy(strategy).full_fences(fences);
            let (mut tx, their_rx) = options.pair().expect("pair");
            let (their_tx, mut rx) = options.pair().expect("pair");
            let mut peer = Peer::cast("rings/answers");
            their_rx.give(peer.command(), "rx").map_err(|it| it.error).expect("give");
            their_tx.give(peer.command(), "tx").map_err(|it| it.error).expect("give");
            let peer = peer.start();
            let mut buf = [0; 8];
            for number in 0..TRIPS {
                tx.send(&number.to_le_bytes()).expect("send");
                assert_eq!(rx.recv(&mut buf), Ok(8));
                assert_eq!(u64::from_le_bytes(buf), !number);
            }
            peer.join();
        }
    }
}

fn answers() {
    let mut rx = Receiver::adopt("rx").expect("adopt");
    let mut tx = Sender::adopt("tx").expect("adopt");
    let mut buf = [0; 8];
    for _ in 0..TRIPS {
        assert_eq!(rx.recv(&mut buf), Ok(8));
        tx.send(&(!u64::from_le_bytes(buf)).to_le_bytes()).expect("send");
    }
}

fn neighbours() {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu());
    sched_setaffinity(None, &cpus).expect("pin");
    // The other process is where this one is.
    mixtures();
}

/// How many peers are killed.
pub(crate) fn kills() -> u64 {
    std::env::var("IPC_SHM_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(500)
}

/// A length for message number `number`: short ones, and some that are long.
pub(crate) fn length(number: u64) -> usize {
    8 + (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize * (number % 7 * 2) as usize
}

pub(crate) fn check_message(number: u64, message: &[u8]) {
    assert_eq!(message.len(), length(number), "message {number} is not whole");
    assert_eq!(message[..8], number.to_le_bytes(), "a message is lost, repeated or out of order");
    assert!(message[8..].iter().all(|byte| *byte == number as u8), "message {number} is mixed");
}

/// Spins for a while that differs from kill to kill.
pub(crate) fn a_moment(kill: u64) {
    let end = Instant::now() + Duration::from_micros(kill.wrapping_mul(7919) % 1500);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn killed_sender() {
    for kill in 0..kills() {
        let (tx, mut rx) = RingOptions::new().capacity(4096).pair().expect("pair");
        let mut peer = Peer::cast("rings/sends_for_ever");
        tx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
        let peer = peer.start();
        let mut buf = [0; 1024];
        let mut number = 0;
        let mut peer = Some(peer);
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
        let mut message = vec![number as u8; length(number)];
        message[..8].copy_from_slice(&number.to_le_bytes());
        tx.send(&message).expect("send");
    }
}

fn killed_receiver() {
    for kill in 0..kills() {
        let (mut tx, rx) = RingOptions::new().capacity(2048).pair().expect("pair");
        let mut peer = Peer::cast("rings/receives_for_ever");
        rx.give(peer.command(), "ring").map_err(|it| it.error).expect("give");
        let mut peer = peer.start();
        peer.expect("ready");
        let mut peer = Some(peer);
        let mut number: u64 = 0;
        let end = loop {
            let mut message = vec![number as u8; length(number)];
            message[..8].copy_from_slice(&number.to_le_bytes());
            match tx.send(&message) {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
            if number == 1 + kill % 50 {
                a_moment(kill);
                peer.take().expect("killed once").kill();
            }
        };
        assert_eq!(end.kind(), ErrorKind::Disconnected, "{end}");
    }
}

fn receives_for_ever() {
    let mut rx = Receiver::adopt("ring").expect("adopt");
    say("ready");
    let mut buf = [0; 1024];
    for number in 0.. {
        let len = rx.recv(&mut buf).expect("receive");
        check_message(number, &buf[..len]);
    }
}

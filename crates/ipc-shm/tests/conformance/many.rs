//! Rings with several senders and receivers: who comes and goes, killed and stopped peers, and hostile ones.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, mpmc, mpsc, spsc};
use ipc_shm::{FileMap, Memfd, MemfdOptions, RegionExt};
use ipc_testkit::{Harness, Peer, adopt_descriptor, dir, give_descriptor, hear, note, say};

use crate::rings::{a_moment, again, check_message, kills, kind, length, scribbler, scribbling};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("many/a_ring_of_another_kind_or_element_is_refused", other_kinds)
        .test("many/a_private_mapping_is_refused", private)
        .test("many/a_doorbell_rings_for_who_polls", doorbells)
        .role("many/rings", rings)
        .test("many/a_doorbell_rings_for_each_of_several_who_poll", several_doorbells)
        .test("many/a_sender_that_cannot_reach_receivers_asks_for_fences", fences)
        .test("many/places_run_out_and_come_back", places)
        .test("many/a_sender_in_the_middle_of_a_message_holds_nobody_up", unfinished)
        .test("many/a_message_that_is_looked_at_is_nobody_elses", looked_at)
        .test("many/an_end_that_was_used_is_handed_over_with_its_messages", used)
        .role("many/goes_on", goes_on)
        .test("many/each_child_goes_on_where_its_own_end_was", own_places)
        .role("many/sends_one_more", sends_one_more)
        .test("many/what_a_dead_receiver_keeps_is_free_while_others_are_busy", busy)
        .test("many/messages_of_killed_senders_arrive_whole_and_once", killed_senders)
        .role("many/sends_for_ever", sends_for_ever)
        .test("many/work_of_killed_receivers_is_done_by_others", killed_workers)
        .role("many/works", works)
        .test("many/a_killed_receiver_is_succeeded", succeeded)
        .role("many/receives_for_ever", receives_for_ever)
        .test("many/a_hostile_peer_is_data_or_corrupted", hostile)
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

/// How many messages a doorbell announces.
const DINGS: u64 = 3000;

fn doorbells() {
    use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
    let (tx, mut rx) = mpsc::pair(&RingOptions::new().capacity(1024)).expect("pair");
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd");
    let mut peer = Peer::cast("many/rings");
    tx.give(peer.command(), "tx").map_err(|it| it.error).expect("give");
    let theirs = bell.try_clone().expect("dup");
    give_descriptor(theirs, peer.command(), "bell").expect("give");
    let mut peer = peer.start();
    let (mut buf, mut number, mut polls) = ([0; 8], 0_u64, 0_u64);
    loop {
        if rx.arm() {
            polls += 1;
            note("the doorbell is armed: if it hangs, it was not rung");
            poll(&mut [PollFd::new(&bell, PollFlags::IN)], None).expect("poll");
            let _ = rustix::io::read(&bell, &mut [0; 8]);
        }
        match rx.try_recv(&mut buf) {
            Ok(_) => {
                assert_eq!(u64::from_le_bytes(buf), number);
                if number.is_multiple_of(3) {
                    peer.tell("next");
                }
                number += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
                break;
            }
        }
    }
    assert_eq!(number, DINGS);
    assert!(polls > 0, "it never had to poll");
    peer.join();
}

/// Whether a doorbell was rung since this was asked.
fn was_rung(bell: &std::os::fd::OwnedFd) -> bool {
    rustix::io::read(bell, &mut [0; 8]).is_ok()
}

fn several_doorbells() {
    use rustix::event::{EventfdFlags, eventfd};
    let (mut tx, mut one) = mpmc::pair(&RingOptions::new()).expect("pair");
    let mut two = one.try_clone().expect("a second receiver");
    let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd");
    tx.set_doorbell(bell.try_clone().expect("dup"));
    one.set_doorbell(bell.try_clone().expect("dup"));
    two.set_doorbell(bell.try_clone().expect("dup"));
    for message in [b"first", b"later"] {
        tx.send(message).expect("send");
    }
    // One looks at the first message, so that the other does not see the second.
    let view = one.peek(Wait::Never).expect("there is one");
    assert!(two.arm(), "all messages are locked");
    assert!(!was_rung(&bell));
    view.release();
    assert!(was_rung(&bell), "nobody tells the other that there is one left");
    two.try_recv(&mut [0; 8]).expect("the second message");
    // Both poll, and one is quicker to read the bell; it takes one of two messages.
    assert!(one.arm() && two.arm());
    for message in [b"first", b"later"] {
        tx.send(message).expect("send");
    }
    assert!(was_rung(&bell));
    one.try_recv(&mut [0; 8]).expect("the first message");
    assert!(was_rung(&bell), "the other one slept on");
    two.try_recv(&mut [0; 8]).expect("the second message");
    assert!(!was_rung(&bell), "there is nothing left");
    // The end is told to all, too.
    assert!(one.arm() && two.arm());
    drop(tx);
    assert!(was_rung(&bell));
    assert_eq!(kind(one.try_recv(&mut [0; 8])), ErrorKind::Disconnected);
    drop(one);
    assert!(was_rung(&bell), "the other one slept on");
    assert_eq!(kind(two.try_recv(&mut [0; 8])), ErrorKind::Disconnected);
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

fn rings() {
    let mut tx = mpsc::Sender::adopt("tx").expect("adopt");
    tx.set_doorbell(adopt_descriptor("bell").expect("adopt"));
    for number in 0..DINGS {
        tx.send(&number.to_le_bytes()).expect("send");
        // Now and then the receiver has to wait.
        if number.is_multiple_of(3) {
            assert_eq!(hear(), "next");
        }
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

fn hostile() {
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

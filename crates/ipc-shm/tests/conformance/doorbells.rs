//! Rings that wait beside sockets.

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, mpmc, mpsc};
use ipc_testkit::{Harness, Peer, adopt_descriptor, give_descriptor, hear, note};

use crate::rings::kind;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("many/a_doorbell_rings_for_who_polls", doorbells)
        .role("many/rings", rings)
        .test("many/a_doorbell_rings_for_each_of_several_who_poll", several_doorbells)
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

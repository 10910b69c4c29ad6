//! Members that come, wait, leave and die.

use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Wait};
use ipc_sem::{Barrier, Shared};
use ipc_testkit::{Harness, Peer, block, hear, say};
use rustix::process::{Signal, kill_process};

use crate::fixtures::{again, give};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("barrier/nobody_passes_before_all_have_come", together)
        .role("barrier/comes", comes)
        .test("barrier/one_of_each_round_is_the_last", last)
        .test("barrier/an_arrival_that_times_out_is_taken_back", taken_back)
        .test("barrier/there_are_as_many_seats_as_members", seats)
        .test("barrier/a_dead_member_breaks_the_round_until_somebody_takes_its_seat", dead_member)
        .test("barrier/a_member_that_died_after_it_came_is_not_counted_twice", dead_after_coming)
        .test("barrier/who_sleeps_through_a_broken_round_learns_how_its_own_has_ended", slept_on)
        .role("barrier/joins_and_waits", joins_and_waits)
}

fn together() {
    const ROUNDS: u32 = 200;
    let barrier = Shared::<Barrier>::new(3).expect("new");
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::cast("barrier/comes");
        give(&barrier, peer.command(), "barrier");
        peer.command().env("ROUNDS", ROUNDS.to_string());
        peers.push(peer.start());
    }
    let member = barrier.join().expect("join");
    for _ in 0..ROUNDS {
        member.wait().expect("wait");
    }
    peers.into_iter().for_each(Peer::join);
}

fn comes() {
    let barrier = Shared::<Barrier>::adopt("barrier").expect("adopt");
    let rounds: u32 = std::env::var("ROUNDS").expect("ROUNDS").parse().expect("a number");
    let member = barrier.join().expect("join");
    for _ in 0..rounds {
        member.wait().expect("wait");
    }
}

fn last() {
    use std::sync::atomic::{AtomicU32, Ordering};
    const ROUNDS: u32 = 100;
    let barrier = Shared::<Barrier>::new(4).expect("new");
    let (lasts, come) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let member = barrier.join().expect("join");
                for round in 1..=ROUNDS {
                    come.fetch_add(1, Ordering::SeqCst);
                    if member.wait().expect("wait") {
                        lasts.fetch_add(1, Ordering::SeqCst);
                    }
                    let come = come.load(Ordering::SeqCst);
                    assert!(come >= 4 * round, "only {come} had come to round {round}");
                }
            });
        }
    });
    assert_eq!(lasts.into_inner(), ROUNDS);
}

fn taken_back() {
    let barrier = std::sync::Arc::new(Shared::<Barrier>::new(2).expect("new"));
    let member = barrier.join().expect("join");
    for wait in [Wait::Never, Wait::timeout(Duration::from_millis(5))] {
        assert_eq!(member.wait_with(wait).expect_err("alone").kind(), wait.exhausted());
    }
    // Had an arrival stayed, this one would not wait.
    let theirs = std::sync::Arc::clone(&barrier);
    let blocked = block("wait at a barrier alone", move || {
        theirs.join().expect("join").wait().map_err(|error| error.kind())
    });
    assert_eq!(member.wait(), Ok(true));
    assert_eq!(blocked.join(), Ok(false));
}

fn seats() {
    let barrier = Shared::<Barrier>::new(2).expect("new");
    let (one, two) = (barrier.join().expect("join"), barrier.join().expect("join"));
    let error = barrier.join().map(drop).expect_err("no seat");
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
    drop(one);
    let one = barrier.join().expect("a seat is free");
    drop((one, two));
    let alone = Shared::<Barrier>::new(1).expect("new");
    assert_eq!(alone.join().expect("join").wait_with(Wait::Never), Ok(true));
}

fn start(barrier: &Shared<Barrier>) -> Peer {
    let mut peer = Peer::cast("barrier/joins_and_waits");
    give(barrier, peer.command(), "barrier");
    let mut peer = peer.start();
    peer.expect("joined");
    peer
}

fn joins_and_waits() {
    let barrier = Shared::<Barrier>::adopt("barrier").expect("adopt");
    let member = barrier.join().expect("join");
    say("joined");
    while hear() == "wait" {
        say("waiting");
        say(format!("{:?}", member.wait().map_err(|error| error.kind())));
    }
}

fn dead_member() {
    let barrier = Shared::<Barrier>::new(3).expect("new");
    let (mut good, bad) = (start(&barrier), start(&barrier));
    let member = barrier.join().expect("join");
    good.tell("wait");
    good.expect("waiting");
    bad.kill();
    assert_eq!(member.wait().expect_err("one is dead").kind(), ErrorKind::OwnerDied);
    good.expect("Err(OwnerDied)");
    // Still.
    assert_eq!(member.wait().expect_err("one is dead").kind(), ErrorKind::OwnerDied);
    let mut heir = start(&barrier);
    for _ in 0..3 {
        for peer in [&mut good, &mut heir] {
            peer.tell("wait");
            peer.expect("waiting");
        }
        member.wait().expect("all have come");
        for peer in [&mut good, &mut heir] {
            assert!(peer.listen().starts_with("Ok"));
        }
    }
    for mut peer in [good, heir] {
        peer.tell("leave");
        peer.join();
    }
}

fn dead_after_coming() {
    let barrier = Shared::<Barrier>::new(2).expect("new");
    let mut bad = start(&barrier);
    bad.tell("wait");
    bad.expect("waiting");
    bad.until_blocked();
    bad.kill();
    // Its arrival is there; who takes its seat has not come for that.
    let mut heir = start(&barrier);
    let member = again(&barrier).expect("again");
    let member = member.join().expect("join");
    let alone = member.wait_timeout(Duration::from_millis(5));
    assert_eq!(alone.expect_err("the other one has not come").kind(), ErrorKind::TimedOut);
    heir.tell("wait");
    heir.expect("waiting");
    member.wait().expect("both have come");
    assert!(heir.listen().starts_with("Ok"));
    heir.tell("leave");
    heir.join();
}

fn slept_on() {
    let barrier = Shared::<Barrier>::new(3).expect("new");
    let (mut slow, mut bad) = (start(&barrier), start(&barrier));
    let member = barrier.join().expect("join");
    for peer in [&mut slow, &mut bad] {
        peer.tell("wait");
        peer.expect("waiting");
        peer.until_blocked();
    }
    let signal = |signal| kill_process(slow.pid(), signal).expect("signal");
    signal(Signal::STOP);
    // The round is complete, and the next one is broken before the slow one has looked.
    assert_eq!(member.wait(), Ok(true));
    assert!(bad.listen().starts_with("Ok"));
    bad.kill();
    assert_eq!(member.wait().expect_err("one is dead").kind(), ErrorKind::OwnerDied);
    signal(Signal::CONT);
    slow.expect("Ok(false)");
    slow.tell("leave");
    slow.join();
}

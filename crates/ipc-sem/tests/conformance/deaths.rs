//! A holder dies at a moment that is known.

use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Semaphore, Wait};
use ipc_sem::sysv::{Op, Set, SetOptions};
use ipc_sem::{Condvar, LockError, Mutex, Shared, Waited};
use ipc_testkit::{Harness, Peer, hear, say, wait_for_the_end};

use crate::fixtures::give;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("deaths/who_waits_for_a_dead_holder_gets_the_lock_and_is_told", told)
        .test("deaths/who_comes_after_a_dead_holder_is_told_once", told_once)
        .test("deaths/a_lock_that_is_given_up_is_unrecoverable", unrecoverable)
        .test("deaths/who_dies_with_the_news_leaves_it_to_the_next", passed_on)
        .test("deaths/a_thread_that_ends_with_the_lock_is_a_dead_holder", ended_thread)
        .role("deaths/locks", locks)
        .role("deaths/hears_the_news", hears_the_news)
        .test("deaths/a_waiter_learns_of_a_holder_that_died_before_it_notified", no_notification)
        .role("deaths/changes_and_dies", changes_and_dies)
        .test("deaths/the_kernel_undoes_what_a_dead_process_has_taken", undone)
        .role("deaths/takes", takes)
}

fn start_locker(lock: &Shared<Mutex<u32>>) -> Peer {
    let mut peer = Peer::cast("deaths/locks");
    give(lock, peer.command(), "lock");
    let mut peer = peer.start();
    peer.expect("locked");
    peer
}

fn locks() {
    let lock = Shared::<Mutex<u32>>::adopt("lock").expect("adopt");
    let mut guard = lock.lock().expect("lock");
    *guard += 1;
    say("locked");
    wait_for_the_end();
}

fn told() {
    let far = std::time::Instant::now().checked_add(Duration::from_secs(1 << 40)).expect("a time");
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(600)), Wait::Until(far)] {
        let lock = std::sync::Arc::new(Shared::<Mutex<u32>>::new(0).expect("new"));
        let peer = start_locker(&lock);
        let theirs = std::sync::Arc::clone(&lock);
        let blocked =
            ipc_testkit::block("lock of a held mutex", move || match theirs.lock_with(wait) {
                Err(LockError::OwnerDied(died)) => Ok(*died.recover()),
                Ok(_) => Err("it was not told".to_owned()),
                Err(LockError::Failed(error)) => Err(error.to_string()),
            });
        peer.kill();
        assert_eq!(blocked.join(), Ok(1));
    }
}

fn told_once() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    start_locker(&lock).kill();
    let error = lock.try_lock().map(drop).expect_err("its holder died");
    assert_eq!(error.kind(), ErrorKind::OwnerDied);
    let LockError::OwnerDied(mut died) = error else { panic!("{error}") };
    *died = 100;
    let guard = died.recover();
    assert_eq!(*guard, 100);
    drop(guard);
    assert_eq!(*lock.lock().expect("nobody died since"), 100);
}

fn unrecoverable() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    start_locker(&lock).kill();
    drop(lock.lock().map(drop).expect_err("its holder died"));
    for wait in [Wait::Forever, Wait::Never, Wait::Never, Wait::timeout(Duration::from_secs(1))] {
        let error = lock.lock_with(wait).map(drop).expect_err("it was given up");
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        assert!(error.to_string().contains("make a new one"), "{error}");
        // Nobody waits for who was told so.
        let others = std::thread::scope(|scope| {
            let other = scope.spawn(|| lock.lock().map(drop).expect_err("it was given up").kind());
            other.join().expect("join")
        });
        assert_eq!(others, ErrorKind::Corrupted);
    }
}

fn passed_on() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    start_locker(&lock).kill();
    for _ in 0..3 {
        let mut peer = Peer::cast("deaths/hears_the_news");
        give(&lock, peer.command(), "lock");
        let mut peer = peer.start();
        peer.expect("told");
        peer.kill();
    }
    let LockError::OwnerDied(died) = lock.lock().map(drop).expect_err("they died") else {
        panic!("it failed")
    };
    drop(died.recover());
    drop(lock.lock().expect("it is as new"));
}

fn hears_the_news() {
    let lock = Shared::<Mutex<u32>>::adopt("lock").expect("adopt");
    let Err(LockError::OwnerDied(_died)) = lock.lock() else { panic!("nobody died") };
    say("told");
    wait_for_the_end();
}

fn ended_thread() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(lock.lock().expect("lock")));
    });
    // The scope returns before the kernel has seen the thread off.
    let error = lock.lock().map(drop).expect_err("its thread ended");
    assert_eq!(error.kind(), ErrorKind::OwnerDied);
}

type Pair = (Mutex<u32>, Condvar);

fn no_notification() {
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(3600))] {
        let pair = Shared::<Pair>::new((0, ())).expect("new");
        let mut peer = Peer::cast("deaths/changes_and_dies");
        give(&pair, peer.command(), "pair");
        let guard = pair.0.lock().expect("lock");
        let mut peer = Some(peer.start());
        let died = pair.1.wait_while(guard, wait, |n| {
            // The lock is free from the second look on; the peer takes it and is killed with it.
            if let Some(mut peer) = peer.take_if(|_| *n == 0) {
                peer.tell("lock");
                // It cannot answer before this thread has unlocked.
                std::thread::spawn(move || {
                    peer.expect("changed");
                    peer.kill();
                });
            }
            *n == 0
        });
        match died {
            Err(LockError::OwnerDied(died)) => assert_eq!(*died.recover(), 1),
            Ok((_, Waited::Woken)) => panic!("the change was seen, and the death was not told"),
            other => panic!("{other:?}"),
        }
    }
}

fn changes_and_dies() {
    let pair = Shared::<Pair>::adopt("pair").expect("adopt");
    assert_eq!(hear(), "lock");
    let mut guard = pair.0.lock().expect("lock");
    *guard = 1;
    say("changed");
    wait_for_the_end();
}

fn undone() {
    let set = SetOptions::new().values(&[3, 0]).private().expect("private");
    for undo in [true, false] {
        let mut peer = Peer::cast("deaths/takes");
        peer.command().env("SET", set.id().to_string()).env("UNDO", undo.to_string());
        let mut peer = peer.start();
        peer.expect("taken");
        assert_eq!(set.values().expect("values"), [1, 1]);
        peer.kill();
        let left = if undo { [3, 0] } else { [1, 1] };
        assert_eq!(set.values().expect("values"), left);
    }
    set.sem(0).expect("sem").wait().expect("the last one");
}

fn takes() {
    let var = |name| std::env::var(name).expect("the case tells it");
    let set: Set = SetOptions::new().open_id(var("SET").parse().expect("an id")).expect("open");
    let mut ops = [Op::wait(0, 2), Op::post(1, 1)];
    if var("UNDO") == "true" {
        ops = ops.map(Op::undo);
    }
    set.operate(&ops, Wait::Forever).expect("operate");
    say("taken");
    wait_for_the_end();
}

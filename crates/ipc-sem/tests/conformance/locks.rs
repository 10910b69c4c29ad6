//! What a mutex, a condition variable and an event do while everybody lives.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Notified, Semaphore, Wait};
use ipc_sem::{Condvar, Event, LockError, Mutex, Reset, Shared, Waited};
use ipc_shm::{Memfd, ReadWrite, RegionExt};
use ipc_testkit::{Harness, Peer, Semaphores, block, hear, say};

use crate::fixtures::{self, again, give};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("mutex/two_processes_do_not_hold_it_together", two_processes)
        .role("mutex/adds", adds)
        .test("mutex/try_lock_and_deadlines_of_a_held_lock_fail_and_change_nothing", held)
        .role("mutex/holds", holds)
        .test("mutex/locking_twice_is_an_error_and_not_a_hang", twice)
        .test("mutex/a_forked_childs_guard_unlocks_nothing", forked)
        .test("mutex/a_forgotten_guard_keeps_the_memory_mapped", forgotten)
        .test("mutex/a_panic_unlocks", panicked)
        .test("mutex/a_blocked_lock_goes_on_after_signals", interrupted)
        .test("semaphores/a_deadline_beyond_every_clock_is_none", beyond)
        .test("condvar/a_notification_without_waiters_is_not_kept", not_kept)
        .test("condvar/notify_all_wakes_all", all_woken)
        .test("condvar/a_wait_times_out_with_the_lock", timed_out)
        .test("condvar/a_bounded_buffer_between_two_processes_loses_nothing", bounded_buffer)
        .role("condvar/consumes", consumes)
        .test("event/manual_reset_lets_all_pass_until_it_is_reset", manual)
        .test("event/auto_reset_lets_one_pass", auto)
        .test("event/one_that_was_set_by_who_died_before_it_woke_anybody_is_seen", set_in_silence)
}

fn two_processes() {
    const EACH: u64 = 5000;
    let pair = Shared::<Mutex<[u64; 2]>>::new([0, 0]).expect("new");
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::cast("mutex/adds");
        give(&pair, peer.command(), "pair");
        peer.command().env("EACH", EACH.to_string());
        peers.push(peer.start());
    }
    peers.into_iter().for_each(Peer::join);
    assert_eq!(*pair.lock().expect("lock"), [3 * EACH, 3 * EACH]);
}

fn adds() {
    let pair = <Shared<Mutex<[u64; 2]>> as ipc_core::Handoff>::adopt("pair").expect("adopt");
    let each: u64 = std::env::var("EACH").expect("EACH").parse().expect("a number");
    for turn in 0..each {
        let wait = [Wait::Forever, Wait::timeout(Duration::from_secs(60))];
        let mut guard = pair.lock_with(wait[turn as usize % 2]).expect("lock");
        assert_eq!(guard[0], guard[1], "somebody else is inside");
        guard[0] += 1;
        if turn % 64 == 0 {
            std::thread::yield_now();
        }
        guard[1] += 1;
    }
}

fn held() {
    let lock = Shared::<Mutex<u32>>::new(7).expect("new");
    let mut peer = Peer::cast("mutex/holds");
    give(&lock, peer.command(), "lock");
    let mut peer = peer.start();
    peer.expect("held");
    let kind = |wait| lock.lock_with(wait).map(drop).expect_err("it is held").kind();
    assert_eq!(kind(Wait::Never), ErrorKind::WouldBlock);
    assert_eq!(kind(Wait::timeout(Duration::from_millis(5))), ErrorKind::TimedOut);
    assert_eq!(kind(Wait::timeout(Duration::ZERO)), ErrorKind::TimedOut);
    peer.tell("unlock");
    peer.expect("unlocked");
    assert_eq!(*lock.lock_with(Wait::timeout(Duration::ZERO)).expect("it is free"), 8);
    peer.tell("end");
    peer.join();
}

fn holds() {
    let lock = <Shared<Mutex<u32>> as ipc_core::Handoff>::adopt("lock").expect("adopt");
    let mut guard = lock.lock().expect("lock");
    say("held");
    assert_eq!(hear(), "unlock");
    *guard += 1;
    guard.unlock().expect("unlock");
    say("unlocked");
    assert_eq!(hear(), "end");
}

fn twice() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    let guard = lock.lock().expect("lock");
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(60)), Wait::Never] {
        let error = lock.lock_with(wait).map(drop).expect_err("this thread holds it");
        assert!(matches!(error, LockError::Failed(_)));
        let kinds = [ErrorKind::InvalidInput, ErrorKind::WouldBlock];
        assert!(kinds.contains(&error.kind()), "{error}");
    }
    drop(guard);
    drop(lock.lock().expect("it was given back"));
}

#[expect(unsafe_code, reason = "a fork is what this is about")]
fn forked() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    let guard = lock.lock().expect("lock");
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let error = guard.unlock().expect_err("the parent holds it");
        let refused = error.kind() == ErrorKind::PermissionDenied;
        let busy = lock.try_lock().map(drop).expect_err("held").kind() == ErrorKind::WouldBlock;
        std::process::exit(if refused && busy { 0 } else { 1 });
    }
    let mut status = 0;
    // SAFETY: the status is on this stack.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0, "the child has unlocked, or locked, what it does not hold");
    drop(guard);
    drop(lock.try_lock().expect("it is free"));
}

fn forgotten() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    let other = again(&lock).expect("another handle");
    std::mem::forget(lock.lock().expect("lock"));
    drop(lock);
    // The C library's list of this thread's locks leads through the memory.
    let another = Shared::<Mutex<u32>>::new(0).expect("new");
    for _ in 0..10 {
        *another.lock().expect("lock") += 1;
    }
    assert_eq!(other.try_lock().map(drop).expect_err("held").kind(), ErrorKind::InvalidInput);
}

fn panicked() {
    let lock = Shared::<Mutex<u32>>::new(0).expect("new");
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = lock.lock().expect("lock");
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(result.is_err());
    drop(lock.try_lock().expect("it was unlocked"));
}

fn interrupted() {
    let lock = std::sync::Arc::new(Shared::<Mutex<u32>>::new(0).expect("new"));
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(600))] {
        let guard = lock.lock().expect("lock");
        let theirs = std::sync::Arc::clone(&lock);
        let blocked = block("lock of a held mutex", move || {
            theirs.lock_with(wait).map(drop).map_err(|error| error.kind())
        });
        assert_eq!(blocked.interrupt(5), 5, "a signal has ended it");
        drop(guard);
        assert_eq!(blocked.join(), Ok(()));
    }
}

type Pair = (Mutex<u32>, Condvar);

fn not_kept() {
    let pair = Shared::<Pair>::new((0, ())).expect("new");
    pair.1.notify_all();
    pair.1.notify_one();
    let guard = pair.0.lock().expect("lock");
    let wait = Wait::timeout(Duration::from_millis(5));
    let (_guard, waited) = pair.1.wait_while(guard, wait, |n| *n == 0).expect("wait");
    assert_eq!(waited, Waited::TimedOut);
}

fn all_woken() {
    let pair = std::sync::Arc::new(Shared::<Pair>::new((0, ())).expect("new"));
    for round in 1..=20 {
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let theirs = std::sync::Arc::clone(&pair);
                std::thread::spawn(move || {
                    let guard = theirs.0.lock().expect("lock");
                    let waits = theirs.1.wait_while(guard, Wait::Forever, |n| *n < round);
                    waits.map(drop).map_err(|error| error.kind())
                })
            })
            .collect();
        *pair.0.lock().expect("lock") = round;
        pair.1.notify_all();
        for waiter in waiters {
            assert_eq!(waiter.join().expect("join"), Ok(()));
        }
    }
}

fn timed_out() {
    let pair = Shared::<Pair>::new((0, ())).expect("new");
    for wait in [Wait::Never, Wait::timeout(Duration::from_millis(2))] {
        let guard = pair.0.lock().expect("lock");
        let (mut guard, waited) = pair.1.wait_with(guard, wait).expect("wait");
        assert_eq!(waited, Waited::TimedOut);
        *guard += 1;
        let other = again(&pair).expect("another handle");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let kind = other.0.try_lock().map(drop).map_err(|error| error.kind());
                assert_eq!(kind, Err(ErrorKind::WouldBlock), "the lock was not got back");
            });
        });
    }
}

/// A ring of numbers: how many there are, where they begin, the numbers.
type Buffer = (Mutex<[u64; 6]>, Condvar, Condvar);

const ITEMS: u64 = 20_000;

fn bounded_buffer() {
    let buffer = Shared::<Buffer>::new(([0; 6], (), ())).expect("new");
    let mut peer = Peer::cast("condvar/consumes");
    give(&buffer, peer.command(), "buffer");
    let peer = peer.start();
    for item in 0..ITEMS {
        let guard = buffer.0.lock().expect("lock");
        let full = |it: &mut [u64; 6]| it[0] == 4;
        let (mut guard, _) = buffer.2.wait_while(guard, Wait::Forever, full).expect("wait");
        let end = 2 + (guard[0] + guard[1]) as usize % 4;
        guard[end] = item;
        guard[0] += 1;
        drop(guard);
        buffer.1.notify_one();
    }
    peer.join();
}

fn consumes() {
    let buffer = <Shared<Buffer> as ipc_core::Handoff>::adopt("buffer").expect("adopt");
    for item in 0..ITEMS {
        let guard = buffer.0.lock().expect("lock");
        let empty = |it: &mut [u64; 6]| it[0] == 0;
        let (mut guard, _) = buffer.1.wait_while(guard, Wait::Forever, empty).expect("wait");
        let first = guard[1];
        assert_eq!(guard[2 + first as usize], item);
        guard[1] = (first + 1) % 4;
        guard[0] -= 1;
        drop(guard);
        buffer.2.notify_one();
    }
}

fn manual() {
    let event = std::sync::Arc::new(Shared::<Event>::new(Reset::Manual).expect("new"));
    let blocked: Vec<_> = (0..3)
        .map(|_| {
            let theirs = std::sync::Arc::clone(&event);
            std::thread::spawn(move || theirs.wait().map(drop))
        })
        .collect();
    event.set();
    for waiter in blocked {
        assert_eq!(waiter.join().expect("join"), Ok(()));
    }
    assert!(event.is_set());
    event.reset();
    event.reset();
    assert_eq!(event.try_wait().map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
}

fn auto() {
    let event = std::sync::Arc::new(Shared::<Event>::new(Reset::Auto).expect("new"));
    let passed = std::sync::Arc::new(AtomicU32::new(0));
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (theirs, passed) = (std::sync::Arc::clone(&event), std::sync::Arc::clone(&passed));
            std::thread::spawn(move || {
                theirs.wait().expect("wait");
                passed.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for count in 1..=3 {
        event.set();
        while passed.load(Ordering::SeqCst) < count {
            std::thread::yield_now();
        }
        assert_eq!(passed.load(Ordering::SeqCst), count, "two have passed");
    }
    waiters.into_iter().for_each(|waiter| waiter.join().expect("join"));
    assert!(!event.is_set());
}

fn set_in_silence() {
    for reset in [Reset::Auto, Reset::Manual] {
        let event = Shared::<Event>::new(reset).expect("new");
        let fd = event.as_fd().try_clone_to_owned().expect("dup");
        let memory =
            Memfd::<ReadWrite>::try_from(fd).map_err(|it| it.error).expect("it is sealed memory");
        let blocked = block("wait for an event", move || event.wait().map(drop));
        // What `set` does first; it was killed then.
        memory.atomic_u32(64).expect("the state").store(1, Ordering::SeqCst);
        assert_eq!(blocked.join(), Ok(()));
    }
}

/// As far as an `Instant` goes.
fn beyond() {
    fn check<F: Semaphores>()
    where
        F::Handle: Send + 'static,
    {
        let now = Instant::now();
        let ago = (0..63).rev().map(|power| 1 << power);
        let far = ago.fold(now, |at, secs| at.checked_add(Duration::from_secs(secs)).unwrap_or(at));
        let (ours, theirs) = F::pair().expect("pair");
        let blocked = block(F::NAME, move || theirs.wait_with(Wait::Until(far)));
        ours.post().expect("post");
        assert_eq!(blocked.join(), Ok(()), "{}", F::NAME);
    }
    check::<fixtures::NamedSems>();
    check::<fixtures::UnnamedSems>();
    check::<fixtures::SystemV>();
    check::<fixtures::EventFdSems>();
    check::<fixtures::Counted>();
}

//! Holders and waiters of locks are killed at random moments, and nobody is left hanging.
//!
//! `IPC_SEM_KILLS` says how many processes each case kills. A hang is found by the deadline of the case.

use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, Notified};
use ipc_sem::{
    Barrier, Condvar, Event, LockError, Mutex, MutexGuard, Reset, RwLock, Shareable, Shared,
};
use ipc_testkit::{Harness, Peer, say};

use crate::fixtures::give;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kills/mutex/what_it_protects_is_whole_or_said_to_be_half_done", mutex)
        .role("kills/mutex", changes)
        .test("kills/condvar/everything_that_is_put_is_taken", condvar)
        .role("kills/condvar", consumes)
        .test("kills/condvar/what_a_dead_notifier_has_put_is_taken", dead_notifiers)
        .role("kills/condvar-puts", puts)
        .test("kills/rwlock/what_it_protects_is_whole_or_said_to_be_half_done", rwlock)
        .role("kills/rwlock", reads_and_writes)
        .test("kills/barrier/all_are_told_and_go_on_with_an_heir", barrier)
        .role("kills/barrier", comes)
        .test("kills/event/who_waits_is_not_forgotten", event)
        .role("kills/event", waits)
        .role("kills/event-sets", sets)
}

/// How many processes a case kills.
pub(crate) fn kills() -> u64 {
    std::env::var("IPC_SEM_KILLS").map_or(200, |n| n.parse().expect("a number"))
}

/// Spins for a while that differs from kill to kill.
pub(crate) fn a_moment(kill: u64) {
    let end =
        Instant::now() + Duration::from_nanos(kill.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 600_000);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn start<S: Shareable>(role: &str, shared: &Shared<S>) -> Peer {
    let mut peer = Peer::cast(role);
    give(shared, peer.command(), "shared");
    let mut peer = peer.start();
    peer.expect("ready");
    peer
}

fn adopt<S: Shareable>() -> Shared<S> {
    let shared = Shared::adopt("shared").expect("adopt");
    say("ready");
    shared
}

/// Two numbers that are the same, but while they are being changed.
type Pair = [u64; 2];

/// Locks, and makes whole what a dead one has left. Says whether there was one.
fn lock_pair(lock: &Mutex<Pair>) -> (MutexGuard<'_, Pair>, bool) {
    match lock.lock() {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1], "it is half done, and nobody was told");
            (guard, false)
        }
        Err(LockError::OwnerDied(mut died)) => {
            let [first, second] = *died;
            assert!(first == second || first == second + 1, "{first} and {second}");
            died[1] = first;
            (died.recover(), true)
        }
        Err(LockError::Failed(error)) => panic!("{error}"),
    }
}

/// Makes the window in which the numbers differ a wide one.
fn change(pair: &mut Pair) {
    pair[0] += 1;
    for _ in 0..50 {
        std::hint::spin_loop();
    }
    pair[1] += 1;
}

fn mutex() {
    let lock = Shared::<Mutex<Pair>>::new([0, 0]).expect("new");
    let mut told = 0;
    for kill in 0..kills() {
        // One holds and one waits, as it comes.
        let victims = [start("kills/mutex", &lock), start("kills/mutex", &lock)];
        a_moment(kill);
        for victim in victims {
            victim.kill();
            let (mut guard, died) = lock_pair(&lock);
            change(&mut guard);
            told += u64::from(died);
        }
    }
    println!("{told} of {} victims held the lock", 2 * kills());
    let kind = lock.try_lock().map(drop).map_err(|error| error.kind());
    assert_eq!(kind, Ok(()), "nobody is left to hold it");
}

fn changes() {
    let lock = adopt::<Mutex<Pair>>();
    loop {
        change(&mut lock_pair(&lock).0);
        match lock.lock_timeout(Duration::from_micros(20)) {
            Ok(mut guard) => change(&mut guard),
            Err(LockError::OwnerDied(mut died)) => {
                died[1] = died[0];
                drop(died.recover());
            }
            Err(LockError::Failed(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        }
    }
}

ipc_sem::shared! {
    /// A store of things that are all the same.
    struct Store {
        /// How many there are, and how many were taken out.
        things: Mutex<Pair>,
        /// There are more.
        more: Condvar,
        /// There are none.
        none: Condvar,
    }
}

fn lock_store(lock: &Mutex<Pair>) -> MutexGuard<'_, Pair> {
    match lock.lock() {
        Ok(guard) => guard,
        Err(error) => recover_store(error),
    }
}

/// A thing that is not there any more, and not said to be taken, was taken by the dead one.
fn recover_store(error: LockError<MutexGuard<'_, Pair>>) -> MutexGuard<'_, Pair> {
    match error {
        LockError::OwnerDied(died) => died.recover(),
        LockError::Failed(error) => panic!("{error}"),
    }
}

fn condvar() {
    let store = Shared::<Store>::new(([0, 0], (), ())).expect("new");
    let steady = start("kills/condvar", &store);
    for kill in 0..kills() {
        let victims = [start("kills/condvar", &store), start("kills/condvar", &store)];
        for round in 0..4 {
            lock_store(&store.things)[0] += 2;
            // Those who are woken are killed, perhaps before they can act.
            if round % 2 == 0 {
                store.more.notify_one()
            } else {
                store.more.notify_all()
            }
            a_moment(kill + round);
        }
        victims.into_iter().for_each(Peer::kill);
        // The steady one takes what they have left, though nobody is notified of it any more; and who took the last
        // may have been killed before it said so.
        let mut guard = lock_store(&store.things);
        while guard[0] > 0 {
            guard = store.none.wait(guard).unwrap_or_else(recover_store);
        }
    }
    drop(steady);
    let [left, taken] = *lock_store(&store.things);
    let all = kills() * 8;
    assert!(
        left == 0 && taken <= all && taken + 2 * kills() >= all,
        "{left} left, {taken} of {all}"
    );
}

fn consumes() {
    let store = adopt::<Store>();
    loop {
        let mut guard = lock_store(&store.things);
        while guard[0] == 0 {
            guard = store.more.wait(guard).unwrap_or_else(recover_store);
        }
        guard[0] -= 1;
        if guard[0] == 0 {
            store.none.notify_all();
        }
        guard[1] += 1;
    }
}

fn dead_notifiers() {
    let store = Shared::<Store>::new(([0, 0], (), ())).expect("new");
    let _steady = start("kills/condvar", &store);
    for kill in 0..kills() {
        let victim = start("kills/condvar-puts", &store);
        a_moment(kill);
        victim.kill();
        // The victim may have put something and not said so, and the steady one waits for ever.
        let mut guard = lock_store(&store.things);
        while guard[0] > 0 {
            guard = store.none.wait(guard).unwrap_or_else(recover_store);
        }
    }
}

fn puts() {
    let store = adopt::<Store>();
    loop {
        lock_store(&store.things)[0] += 1;
        // Makes the window in which nobody is told a wide one.
        for _ in 0..500 {
            std::hint::spin_loop();
        }
        store.more.notify_one();
    }
}

fn rwlock() {
    let lock = Shared::<RwLock<Pair>>::new([0, 0]).expect("new");
    let mut told = 0;
    for kill in 0..kills() {
        let victims = [start("kills/rwlock", &lock), start("kills/rwlock", &lock)];
        a_moment(kill);
        for victim in victims {
            victim.kill();
            match lock.read() {
                Ok(guard) => assert_eq!(guard[0], guard[1], "it is half done"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::OwnerDied);
                    told += 1;
                }
            }
            write_pair(&lock);
        }
        let guard = lock.read().expect("all who could be half done were repaired");
        assert_eq!(guard[0], guard[1]);
    }
    println!("{told} of {} victims were writing", 2 * kills());
    drop(lock.try_write().expect("nobody is left to hold it"));
}

fn write_pair(lock: &RwLock<Pair>) {
    let mut guard = match lock.write() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(mut died)) => {
            died[1] = died[0];
            died.recover()
        }
        Err(LockError::Failed(error)) => panic!("{error}"),
    };
    assert_eq!(guard[0], guard[1], "it is half done, and nobody was told");
    change(&mut guard);
}

fn reads_and_writes() {
    let lock = adopt::<RwLock<Pair>>();
    for turn in 0_u64.. {
        match lock.read() {
            Ok(guard) => assert_eq!(guard[0], guard[1], "it is half done"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::OwnerDied),
        }
        if turn % 2 == 0 {
            write_pair(&lock);
        }
    }
}

/// How many members of the barrier are killed together: to notice it takes a tenth of a second.
const TOGETHER: u64 = 5;

fn barrier() {
    let barrier = Shared::<Barrier>::new(2 + TOGETHER as u32).expect("new");
    let _steady = start("kills/barrier", &barrier);
    let member = barrier.join().expect("join");
    for batch in 0..kills().div_ceil(TOGETHER) {
        let mut victims: Vec<_> = (0..TOGETHER).map(|_| start("kills/barrier", &barrier)).collect();
        let mut passed = 0;
        loop {
            match member.wait() {
                Ok(_) => passed += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::OwnerDied);
                    assert!(victims.is_empty(), "batch {batch}: nobody had died");
                    break;
                }
            }
            if passed == 1 + batch % 5 {
                for (victim, moment) in victims.drain(..).zip(batch * TOGETHER..) {
                    a_moment(moment);
                    victim.kill();
                }
            }
            assert!(passed < 100 + batch % 5, "batch {batch}: a dead member comes again and again");
        }
    }
}

fn comes() {
    let barrier = Shared::<Barrier>::adopt("shared").expect("adopt");
    let member = barrier.join().expect("join");
    say("ready");
    loop {
        if let Err(error) = member.wait() {
            assert_eq!(error.kind(), ErrorKind::OwnerDied);
        }
    }
}

/// An event, and how often the steady one has passed.
type Turnstile = (Event, Mutex<Pair>);

fn event() {
    let turnstile = Shared::<Turnstile>::new((Reset::Auto, [0, 0])).expect("new");
    let mut steady = Peer::cast("kills/event");
    give(&turnstile, steady.command(), "shared");
    steady.command().env("COUNTS", "yes");
    let mut steady = steady.start();
    steady.expect("ready");
    for kill in 0..kills() {
        let victim = start("kills/event", &turnstile);
        turnstile.0.set();
        a_moment(kill);
        victim.kill();
        // Who sleeps is woken, though the one that was woken before has died.
        let before = turnstile.1.lock().expect("lock")[0];
        turnstile.0.set();
        while turnstile.1.lock().expect("lock")[0] == before {
            std::thread::yield_now();
        }
        // And though the one that has set it has died before it woke anybody.
        let victim = start("kills/event-sets", &turnstile);
        a_moment(kill);
        victim.kill();
        while turnstile.0.is_set() {
            std::thread::yield_now();
        }
    }
}

fn sets() {
    let turnstile = adopt::<Turnstile>();
    loop {
        turnstile.0.set();
    }
}

fn waits() {
    let turnstile = adopt::<Turnstile>();
    let counts = std::env::var_os("COUNTS").is_some();
    loop {
        turnstile.0.wait().expect("wait");
        if counts {
            turnstile.1.lock().expect("lock")[0] += 1;
        }
    }
}

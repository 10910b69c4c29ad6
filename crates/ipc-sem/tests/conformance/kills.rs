//! Holders and waiters are killed at random moments, and nobody is left hanging.
//!
//! `IPC_SEM_KILLS` says how many processes each case kills, `IPC_SEM_LOCKS` how often the processes of the last
//! case lock. A hang is found by the deadline of the case.

use std::process::Command;
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Handoff, Notified, Semaphore};
use ipc_sem::posix::{NamedSem, SemOptions, UnnamedSem};
use ipc_sem::sysv::{Sem, SetOptions};
use ipc_sem::{
    Barrier, Condvar, Event, EventFdSem, LockError, Mutex, MutexGuard, Reset, RwLock, Shareable,
    Shared,
};
use ipc_testkit::{Harness, Peer, say};

use crate::fixtures::{fresh_name, give};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kills/posix-sem/each_takes_one_permit_at_most", named)
        .test("kills/posix-sem-unnamed/each_takes_one_permit_at_most", unnamed)
        .test("kills/eventfd-sem/each_takes_one_permit_at_most", eventfd)
        .test("kills/sysv-sem/undo_gives_every_permit_back", sysv)
        .role("kills/posix-sem", || takes_and_gives(NamedSem::adopt("sem").expect("adopt")))
        .role("kills/posix-sem-unnamed", || {
            takes_and_gives(Shared::<UnnamedSem>::adopt("sem").expect("adopt"));
        })
        .role("kills/eventfd-sem", || takes_and_gives(EventFdSem::adopt("sem").expect("adopt")))
        .role("kills/sysv-sem", || takes_and_gives(Sem::adopt("sem").expect("adopt").undo()))
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
        .test("kills/soak/four_processes_lock_and_are_killed", soak)
        .role("kills/soak", locks_many_times)
}

/// How many processes a case kills.
fn kills() -> u64 {
    std::env::var("IPC_SEM_KILLS").map_or(200, |n| n.parse().expect("a number"))
}

/// Spins for a while that differs from kill to kill.
fn a_moment(kill: u64) {
    let end =
        Instant::now() + Duration::from_nanos(kill.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 600_000);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn named() {
    let name = fresh_name();
    let ours = SemOptions::new().create(&name).expect("create");
    let another = || SemOptions::new().open(&name).expect("open");
    permits("kills/posix-sem", 1, &ours, |to| {
        another().give(to, "sem").map_err(|it| it.error).expect("give");
    });
}

fn unnamed() {
    let ours = Shared::<UnnamedSem>::new(0).expect("new");
    permits("kills/posix-sem-unnamed", 1, &ours, |to| give(&ours, to, "sem"));
}

fn eventfd() {
    let ours = EventFdSem::new(0).expect("new");
    permits("kills/eventfd-sem", 1, &ours, |to| {
        let theirs = ours.try_clone().expect("clone");
        theirs.give(to, "sem").map_err(|it| it.error).expect("give");
    });
}

fn sysv() {
    let set = SetOptions::new().private().expect("private");
    let ours = set.sem(0).expect("sem");
    permits("kills/sysv-sem", 0, &ours, |to| {
        set.sem(0).expect("sem").give(to, "sem").map_err(|it| it.error).expect("give");
    });
}

/// Victims that take and give back. Half of them find permits, half wait for one that is posted while they are
/// killed. Each may take `lost` permits with it.
fn permits(role: &str, lost: u64, ours: &impl Semaphore, give: impl Fn(&mut Command)) {
    for kill in 0..kills() {
        let stock = if kill % 2 == 0 { 4 } else { 0 };
        (0..stock).for_each(|_| ours.post().expect("post"));
        let mut peer = Peer::cast(role);
        give(peer.command());
        let mut peer = peer.start();
        peer.expect("ready");
        let made = if stock == 0 {
            ours.post().expect("post");
            1
        } else {
            stock
        };
        a_moment(kill);
        peer.kill();
        let mut left = 0;
        while ours.try_wait().is_ok() {
            left += 1;
        }
        assert!(left <= made, "kill {kill}: {left} permits of {made}: some were made up");
        assert!(left + lost >= made, "kill {kill}: only {left} permits of {made} are left");
        // Whoever comes next is served.
        ours.post().expect("post");
        ours.wait().expect("the permit that was just posted");
    }
}

fn takes_and_gives(sem: impl Semaphore) {
    say("ready");
    loop {
        // With and without a deadline, and without sleeping.
        sem.wait().expect("wait");
        sem.post().expect("post");
        if sem.try_wait().is_ok() {
            sem.post().expect("post");
        }
        if sem.wait_timeout(Duration::from_micros(200)).is_ok() {
            sem.post().expect("post");
        }
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

/// How often the processes of the soak lock.
fn locks() -> u64 {
    std::env::var("IPC_SEM_LOCKS").map_or(1_000_000, |n| n.parse().expect("a number"))
}

/// What the soak protects: how often it was locked, how often by each process, and how many deaths were told. The
/// first is the sum of the next four, but while it is being changed.
type Ledger = [u64; 6];

fn lock_ledger(lock: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    match lock.lock() {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1..5].iter().sum(), "it is half done, and nobody was told");
            guard
        }
        Err(LockError::OwnerDied(mut died)) => {
            let sum: u64 = died[1..5].iter().sum();
            assert!(died[0] == sum || died[0] == sum + 1, "{died:?}");
            died[0] = sum;
            died[5] += 1;
            died.recover()
        }
        Err(LockError::Failed(error)) => panic!("{error}"),
    }
}

fn soak() {
    let lock = Shared::<Mutex<Ledger>>::new([0; 6]).expect("new");
    let hire = |place: usize| {
        let mut peer = Peer::cast("kills/soak");
        give(&lock, peer.command(), "shared");
        peer.command().env("PLACE", place.to_string());
        peer.start()
    };
    let mut workers = [0, 1, 2, 3].map(hire);
    let mut killed = 0_u64;
    loop {
        a_moment(killed);
        std::thread::yield_now();
        let place = (killed % 4) as usize;
        std::mem::replace(&mut workers[place], hire(place)).kill();
        killed += 1;
        if lock_ledger(&lock)[0] >= locks() && killed >= kills() {
            break;
        }
    }
    workers.into_iter().for_each(Peer::kill);
    let guard = lock_ledger(&lock);
    println!("{} locks, {killed} kills, {} with the lock", guard[0], guard[5]);
}

fn locks_many_times() {
    let lock = Shared::<Mutex<Ledger>>::adopt("shared").expect("adopt");
    let place: usize = std::env::var("PLACE").expect("PLACE").parse().expect("a number");
    loop {
        let mut guard = lock_ledger(&lock);
        guard[0] += 1;
        guard[1 + place] += 1;
    }
}

//! Readers and writers.

use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Wait};
use ipc_sem::{LockError, RwLock, Shared};
use ipc_testkit::{Harness, Peer, say, wait_for_the_end};

use crate::fixtures::{again, give};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("rwlock/readers_share_and_writers_do_not", share)
        .test("rwlock/more_readers_than_places_wait_for_one", many_readers)
        .test("rwlock/a_thread_that_waits_for_itself_is_told", for_itself)
        .test("rwlock/processes_see_only_whole_states", whole)
        .role("rwlock/reads_and_writes", reads_and_writes)
        .test("rwlock/a_dead_reader_is_not_waited_for", dead_reader)
        .role("rwlock/reads", reads)
        .test("rwlock/a_dead_writer_is_told_to_all_until_one_recovers", dead_writer)
        .role("rwlock/writes", writes)
        .test("rwlock/a_writer_that_dies_waiting_has_changed_nothing", dead_waiter)
        .role("rwlock/waits_to_write", waits_to_write)
        .test("rwlock/a_forked_childs_guards_unlock_nothing", forked)
}

type Lock = Shared<RwLock<[u64; 2]>>;

fn soon() -> Wait {
    Wait::timeout(Duration::from_millis(5))
}

/// What another thread gets.
fn elsewhere<T: Send>(op: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(op).join().expect("join"))
}

fn share() {
    let lock = Lock::new([1, 1]).expect("new");
    let one = lock.read().expect("read");
    let two = lock.try_read().expect("read");
    assert_eq!(elsewhere(|| *again(&lock).expect("again").try_read().expect("read")), [1, 1]);
    for wait in [Wait::Never, soon()] {
        let kind = elsewhere(|| lock.write_with(wait).map(drop).map_err(|error| error.kind()));
        assert_eq!(kind, Err(wait.exhausted()));
    }
    drop((one, two));
    let mut guard = lock.write().expect("write");
    guard[0] = 2;
    for wait in [Wait::Never, soon()] {
        let kind = elsewhere(|| lock.read_with(wait).map(drop).map_err(|error| error.kind()));
        assert_eq!(kind, Err(wait.exhausted()));
        let kind = elsewhere(|| lock.write_with(wait).map(drop).map_err(|error| error.kind()));
        assert_eq!(kind, Err(wait.exhausted()));
    }
    drop(guard);
    assert_eq!(*lock.try_read().expect("read"), [2, 1]);
    drop(lock.try_write().expect("write"));
}

fn many_readers() {
    let lock = Lock::new([0, 0]).expect("new");
    let barrier = std::sync::Barrier::new(17);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let _guard = lock.read().expect("read");
                barrier.wait();
                barrier.wait();
            });
        }
        barrier.wait();
        let kind = |wait| lock.read_with(wait).map(drop).expect_err("no place").kind();
        assert_eq!(kind(Wait::Never), ErrorKind::WouldBlock);
        assert_eq!(kind(soon()), ErrorKind::TimedOut);
        barrier.wait();
        drop(lock.read().expect("there is a place again"));
    });
}

fn for_itself() {
    let lock = Lock::new([0, 0]).expect("new");
    let guard = lock.read().expect("read");
    let kind = |wait| lock.write_with(wait).map(drop).expect_err("it reads").kind();
    assert_eq!(kind(Wait::Forever), ErrorKind::InvalidInput);
    drop(guard);
    let guard = lock.write().expect("write");
    assert_eq!(kind(Wait::Forever), ErrorKind::InvalidInput);
    let error = lock.read().map(drop).expect_err("it writes");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    drop(guard);
    drop(lock.write().expect("it is free"));
}

fn whole() {
    let lock = Lock::new([0, 0]).expect("new");
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::cast("rwlock/reads_and_writes");
        give(&lock, peer.command(), "lock");
        peers.push(peer.start());
    }
    peers.into_iter().for_each(Peer::join);
    assert_eq!(*lock.read().expect("read"), [3 * WRITES, 3 * WRITES]);
}

const WRITES: u64 = 500;

fn reads_and_writes() {
    let lock = Lock::adopt("lock").expect("adopt");
    for turn in 0..WRITES {
        for _ in 0..4 {
            let guard = lock.read().expect("read");
            assert_eq!(guard[0], guard[1], "a writer is inside");
        }
        let mut guard = lock.write().expect("write");
        assert_eq!(guard[0], guard[1], "another writer is inside");
        guard[0] += 1;
        if turn % 16 == 0 {
            std::thread::yield_now();
        }
        guard[1] += 1;
    }
}

fn start(lock: &Lock, role: &str, says: &str) -> Peer {
    let mut peer = Peer::cast(role);
    give(lock, peer.command(), "lock");
    let mut peer = peer.start();
    peer.expect(says);
    peer
}

fn dead_reader() {
    let lock = Lock::new([1, 1]).expect("new");
    let peer = start(&lock, "rwlock/reads", "reading");
    let theirs = again(&lock).expect("again");
    let blocked = ipc_testkit::block("write lock beside a reader", move || {
        theirs.write().map(|mut guard| guard[0] = 2).map_err(|error| error.kind())
    });
    peer.kill();
    assert_eq!(blocked.join(), Ok(()));
    assert_eq!(*lock.read().expect("read"), [2, 1]);
}

fn reads() {
    let lock = Lock::adopt("lock").expect("adopt");
    let _guard = lock.read().expect("read");
    say("reading");
    wait_for_the_end();
}

fn dead_writer() {
    let lock = Lock::new([1, 1]).expect("new");
    let peer = start(&lock, "rwlock/writes", "writing");
    let theirs = again(&lock).expect("again");
    let reader = ipc_testkit::block("read lock beside a writer", move || {
        theirs.read().map(drop).map_err(|error| error.kind())
    });
    peer.kill();
    assert_eq!(reader.join(), Err(ErrorKind::OwnerDied));
    // Readers are told again and again, and so are writers that do not recover.
    for _ in 0..3 {
        assert_eq!(lock.try_read().map(drop).expect_err("died").kind(), ErrorKind::OwnerDied);
        assert_eq!(lock.try_write().map(drop).expect_err("died").kind(), ErrorKind::OwnerDied);
    }
    let Err(LockError::OwnerDied(mut died)) = lock.write() else { panic!("nobody died") };
    assert_eq!(*died, [2, 1]);
    died[1] = 2;
    drop(died.recover());
    assert_eq!(*lock.read().expect("read"), [2, 2]);
    drop(lock.write().expect("write"));
}

fn writes() {
    let lock = Lock::adopt("lock").expect("adopt");
    let mut guard = lock.write().expect("write");
    guard[0] = 2;
    say("writing");
    wait_for_the_end();
}

fn dead_waiter() {
    let lock = Lock::new([1, 1]).expect("new");
    let guard = lock.read().expect("read");
    let peer = start(&lock, "rwlock/waits_to_write", "waiting");
    peer.until_blocked();
    peer.kill();
    let other = elsewhere(|| lock.read().map(|guard| *guard).map_err(|error| error.kind()));
    assert_eq!(other, Ok([1, 1]));
    drop(guard);
    drop(lock.write().expect("nobody has changed anything"));
}

fn waits_to_write() {
    let lock = Lock::adopt("lock").expect("adopt");
    say("waiting");
    drop(lock.write().map(drop));
}

#[expect(unsafe_code, reason = "a fork is what this is about")]
fn forked() {
    let lock = Lock::new([1, 1]).expect("new");
    let guard = lock.write().expect("write");
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(guard);
        let busy = |kind| kind == ErrorKind::WouldBlock;
        let read = lock.try_read().map(drop).expect_err("held").kind();
        let write = lock.try_write().map(drop).expect_err("held").kind();
        std::process::exit(if busy(read) && busy(write) { 0 } else { 1 });
    }
    let mut status = 0;
    // SAFETY: the status is on this stack.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0, "the child has unlocked what it does not hold");
    drop(guard);
    assert_eq!(*lock.try_read().expect("free"), [1, 1]);
}

//! System V sets: several operations at once, undo, limits, removal, and the race of their creation.

use std::time::Duration;

use ipc_core::{ErrorKind, Result, Semaphore, Wait};
use ipc_sem::sysv::{Key, Limits, Op, Sem, SetOptions, VALUE_MAX, sets};
use ipc_testkit::{Harness, Peer, block, say, wait_for_the_end};

use crate::fixtures::fresh_key;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("sysv/several_operations_are_done_all_or_not_at_all", all_or_none)
        .test("sysv/a_wait_for_zero_goes_on_at_zero", wait_for_zero)
        .test("sysv/more_permits_than_there_are_wait_for_all_of_them", many_at_once)
        .test("sysv/who_waits_is_counted", counted)
        .test("sysv/removing_a_set_ends_those_who_wait", removed)
        .test("sysv/what_makes_no_sense_is_refused", nonsense)
        .test("sysv/limits_are_named", limits)
        .test("sysv/values_are_there_as_soon_as_a_set_can_be_opened", race)
        .role("sysv/creates_and_removes", creates_and_removes)
        .test("sysv/a_set_whose_creator_died_before_it_gave_values_is_corrupted", half_made)
        .test("sysv/large_sets_have_their_values_too", large)
        .test("sysv/a_guard_removes_and_can_be_disarmed", guards)
        .test("sysv/undo_ends_with_the_process_and_not_with_the_handle", undo)
        .role("sysv/takes_with_undo", takes_with_undo)
        .test("sysv/only_the_first_of_a_set_goes_to_a_child", given)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.map(drop).expect_err("it must fail").kind()
}

fn all_or_none() {
    let set = SetOptions::new().values(&[2, 1, 0]).private().expect("private");
    let take = [Op::wait(0, 1), Op::wait(1, 1), Op::wait(2, 1)];
    assert_eq!(kind(set.operate(&take, Wait::Never)), ErrorKind::WouldBlock);
    let soon = Wait::timeout(Duration::from_millis(5));
    assert_eq!(kind(set.operate(&take, soon)), ErrorKind::TimedOut);
    assert_eq!(set.values().expect("values"), [2, 1, 0]);
    let id = set.id();
    let blocked = block("semop of three", move || {
        SetOptions::new().open_id(id).expect("open").operate(&take, Wait::Forever)
    });
    assert_eq!(set.values().expect("values"), [2, 1, 0]);
    set.operate(&[Op::post(2, 2)], Wait::Never).expect("post");
    assert_eq!(blocked.join(), Ok(()));
    assert_eq!(set.values().expect("values"), [1, 0, 1]);
    // In their order: what one gives, the next can take.
    set.operate(&[Op::post(1, 3), Op::wait(1, 2)], Wait::Never).expect("operate");
    assert_eq!(set.values().expect("values"), [1, 1, 1]);
    assert_eq!(
        kind(set.operate(&[Op::wait(1, 2), Op::post(1, 3)], Wait::Never)),
        ErrorKind::WouldBlock
    );
    // More than are passed on without allocating.
    let many: Vec<_> = (0..30).map(|_| Op::post(0, 1)).collect();
    set.operate(&many, Wait::Forever).expect("operate");
    assert_eq!(set.values().expect("values"), [31, 1, 1]);
}

fn wait_for_zero() {
    let set = SetOptions::new().values(&[1]).private().expect("private");
    let zero = [Op::wait_zero(0)];
    assert_eq!(kind(set.operate(&zero, Wait::Never)), ErrorKind::WouldBlock);
    let id = set.id();
    let blocked = block("wait for zero", move || {
        SetOptions::new().open_id(id).expect("open").operate(&zero, Wait::Forever)
    });
    assert_eq!(set.waiting(0).expect("waiting").for_zero, 1);
    set.sem(0).expect("sem").wait().expect("wait");
    assert_eq!(blocked.join(), Ok(()));
    set.operate(&zero, Wait::Never).expect("it is zero");
}

fn many_at_once() {
    let set = SetOptions::new().values(&[3]).private().expect("private");
    assert_eq!(kind(set.operate(&[Op::wait(0, 4)], Wait::Never)), ErrorKind::WouldBlock);
    assert_eq!(set.values().expect("values"), [3]);
    set.sem(0).expect("sem").post().expect("post");
    set.operate(&[Op::wait(0, 4)], Wait::Never).expect("all four");
    assert_eq!(set.values().expect("values"), [0]);
}

fn counted() {
    let set = SetOptions::new().values(&[0, 0]).private().expect("private");
    let id = set.id();
    let wait = move || {
        SetOptions::new().open_id(id).expect("open").operate(&[Op::wait(1, 1)], Wait::Forever)
    };
    let (one, two) = (block("semop", wait), block("semop", wait));
    assert_eq!(set.waiting(1).expect("waiting").for_permits, 2);
    assert_eq!(set.waiting(0).expect("waiting").for_permits, 0);
    set.set_values(&[0, 2]).expect("SETALL wakes them");
    assert_eq!((one.join(), two.join()), (Ok(()), Ok(())));
    let sem = set.sem(1).expect("sem");
    assert_eq!(sem.last_process(), Ok(Some(std::process::id())));
    sem.set_value(9).expect("SETVAL");
    assert_eq!((sem.value(), sem.num()), (Ok(9), 1));
}

fn removed() {
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(600))] {
        let set = SetOptions::new().private().expect("private");
        let sem = set.sem(0).expect("sem");
        let other = set.sem(0).expect("sem");
        let blocked = block("wait at zero", move || other.wait_with(wait));
        set.unlink().expect("unlink");
        assert_eq!(kind(blocked.join()), ErrorKind::Disconnected);
        for result in [sem.post(), sem.wait_with(wait), sem.try_wait()] {
            assert_eq!(kind(result), ErrorKind::Disconnected);
        }
        assert_eq!(kind(sem.value()), ErrorKind::NotFound);
        assert_eq!(kind(SetOptions::new().open_id(sem.id())), ErrorKind::NotFound);
    }
}

fn nonsense() {
    let create = |values: &[u16]| SetOptions::new().values(values).private();
    assert_eq!(kind(create(&[])), ErrorKind::InvalidInput);
    assert_eq!(kind(create(&[0, VALUE_MAX + 1])), ErrorKind::InvalidInput);
    assert_eq!(kind(create(&[0; 65536])), ErrorKind::InvalidInput);
    assert_eq!(kind(SetOptions::new().mode(0o1000).private()), ErrorKind::InvalidInput);
    assert_eq!(kind(SetOptions::new().open(Key::PRIVATE)), ErrorKind::InvalidInput);
    let set = create(&[0, 0]).expect("private");
    assert_eq!(kind(set.sem(2)), ErrorKind::InvalidInput);
    assert_eq!(kind(set.waiting(2)), ErrorKind::InvalidInput);
    for num in [2, 3, u16::MAX] {
        assert_eq!(kind(set.operate(&[Op::post(num, 1)], Wait::Never)), ErrorKind::InvalidInput);
    }
    assert_eq!(kind(set.operate(&[], Wait::Never)), ErrorKind::InvalidInput);
    assert_eq!(kind(set.operate(&[Op::wait(0, 32769)], Wait::Never)), ErrorKind::InvalidInput);
    assert_eq!(kind(set.set_values(&[1])), ErrorKind::InvalidInput);
    assert_eq!(kind(set.set_mode(0o1000)), ErrorKind::InvalidInput);
    set.set_mode(0o640).expect("IPC_SET");
    assert_eq!(set.status().expect("status").mode, 0o640);
    assert_eq!(set.values().expect("nothing has happened"), [0, 0]);
}

fn limits() {
    let is_limit = |kind| matches!(kind, ErrorKind::ResourceLimit { .. });
    let set = SetOptions::new().values(&[VALUE_MAX]).private().expect("private");
    let sem = set.sem(0).expect("sem");
    assert!(is_limit(kind(sem.post())));
    assert!(is_limit(kind(set.operate(&[Op::post(0, u16::MAX)], Wait::Never))));
    assert!(is_limit(kind(sem.set_value(VALUE_MAX + 1))));
    assert!(is_limit(kind(set.set_values(&[u16::MAX]))));
    sem.wait().expect("wait");
    sem.post().expect("there is room again");
    let limits = Limits::read().expect("limits");
    let ops = vec![Op::wait_zero(0); limits.max_ops + 1];
    let error = set.operate(&ops, Wait::Never).expect_err("too many");
    assert!(is_limit(error.kind()) && error.to_string().contains("SEMOPM"), "{error}");
    if limits.max_set < 65535 {
        let error = SetOptions::new().values(&vec![0; limits.max_set + 1]).private();
        let error = error.map(drop).expect_err("too many");
        assert!(is_limit(error.kind()) && error.to_string().contains("SEMMSL"), "{error}");
    }
}

/// One process creates and removes a set again and again; another opens it, and never sees a value that is not
/// the first one.
fn race() {
    let key = fresh_key();
    let mut peer = Peer::cast("sysv/creates_and_removes");
    peer.command().env("KEY", key.get().to_string());
    let mut peer = peer.start();
    peer.expect("ready");
    let mut seen = 0;
    while seen < 300 {
        match SetOptions::new().open(key) {
            Ok(set) => match set.values() {
                Ok(values) => {
                    assert_eq!(values, [3, 0, 7]);
                    seen += 1;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            },
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
    }
    peer.kill();
    match SetOptions::new().accept_unused(true).open(key) {
        Ok(set) => set.unlink().expect("unlink"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    }
}

fn creates_and_removes() {
    let key = std::env::var("KEY").expect("KEY").parse().expect("a number");
    let key = Key::new(key).expect("a key");
    say("ready");
    loop {
        drop(SetOptions::new().values(&[3, 0, 7]).create(key).expect("create"));
    }
}

#[expect(unsafe_code, reason = "a creator that dies at the worst moment is imitated")]
fn half_made() {
    let key = fresh_key();
    // SAFETY: the call takes numbers only.
    let id = unsafe { libc::semget(key.get(), 1, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert!(id >= 0, "semget");
    let options = SetOptions::new().patience(Duration::from_millis(10));
    let error = options.open(key).map(drop).expect_err("nobody has given it values");
    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
    assert_eq!(kind(options.open_or_create(key)), ErrorKind::Corrupted);
    let set = options.accept_unused(true).open(key).expect("as it is");
    assert_eq!(set.status().expect("status").last_operation, None);
    set.unlink().expect("unlink");
}

fn large() {
    let limits = Limits::read().expect("limits");
    let len = (limits.max_ops + 10).min(limits.max_set).min(2000);
    let values: Vec<u16> = (0..len).map(|n| (n % 100) as u16 + 1).collect();
    let set = SetOptions::new().values(&values).private().expect("private");
    assert_eq!(set.values().expect("values"), values);
    assert!(set.status().expect("status").last_operation.is_some());
    let zeros = SetOptions::new().values(&vec![0; len]).private().expect("private");
    assert!(zeros.status().expect("status").last_operation.is_some());
}

fn guards() {
    let there = |id| sets().expect("sets").iter().any(|set| set.id == id);
    let mut set = SetOptions::new().private().expect("private");
    let id = set.id();
    set.keep();
    drop(set);
    assert!(there(id));
    let set = SetOptions::new().open_id(id).expect("open");
    set.removal_guard().disarm();
    assert!(there(id));
    drop(set.removal_guard());
    assert!(!there(id));
    assert_eq!(kind(set.removal_guard().remove()), ErrorKind::NotFound);
    let (one, two) = Sem::pair(0).expect("pair");
    let id = one.id();
    drop(one);
    assert!(there(id));
    drop(two);
    assert!(!there(id));
}

fn undo() {
    let set = SetOptions::new().values(&[1]).private().expect("private");
    let mut peer = Peer::cast("sysv/takes_with_undo");
    peer.command().env("SET", set.id().to_string());
    let mut peer = peer.start();
    peer.expect("taken");
    assert_eq!(set.values().expect("values"), [0]);
    peer.kill();
    assert_eq!(set.values().expect("values"), [1]);
}

fn takes_with_undo() {
    let id = std::env::var("SET").expect("SET").parse().expect("an id");
    let set = SetOptions::new().open_id(id).expect("open");
    std::thread::scope(|scope| {
        scope.spawn(|| set.sem(0).expect("sem").undo().wait().expect("wait"));
    });
    drop(set);
    // Neither the end of the thread nor that of the handle gives it back.
    say("taken");
    wait_for_the_end();
}

fn given() {
    use ipc_core::Handoff;

    let set = SetOptions::new().values(&[0, 1]).private().expect("private");
    let mut command = std::process::Command::new("true");
    let back =
        set.sem(1).expect("sem").give(&mut command, "sem").map(drop).expect_err("the second");
    assert_eq!(back.error.kind(), ErrorKind::InvalidInput);
    back.value.wait().expect("it came back");
}

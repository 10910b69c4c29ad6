//! Programs that nobody here wrote: Python, util-linux, strace; and our examples. Those in C: `c_programs.rs`.

use std::process::Command;

use ipc_core::{ErrorKind, Name, Semaphore, Wait};
use ipc_sem::posix::{SemOptions, UnnamedSem};
use ipc_sem::sysv::{Key, Op, SetOptions};
use ipc_sem::{Mutex, Shared};
use ipc_testkit::{
    Harness, Peer, Strace, Talker, hear, need, need_python, run, run_examples, say,
    wait_for_the_end,
};

use crate::fixtures::{fresh_key, fresh_name, give};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/python_posix_ipc_both_ways_with_kills", python_posix)
        .test("programs/python_sysv_ipc_both_ways_with_kills", python_sysv)
        .role("programs/takes_and_waits", takes_and_waits)
        .role("programs/takes_with_undo", takes_with_undo)
        .test("programs/ipcs_sees_ours_ipcrm_removes_it_and_ipcmk_makes_one", ipcs)
        .test("programs/strace_counts_the_calls", strace_counts)
        .role("programs/blocks_and_does_not", blocks_and_does_not)
        .test("programs/the_examples_run", || {
            run_examples(&[
                ("producer_consumer", "1000 things, none lost"),
                ("killed_holder", "the counter is right"),
                ("readers_writers", "nobody saw half a price"),
                ("philosophers", "all have eaten"),
            ]);
        })
}

/// Starts one of ours that is to be killed.
pub(crate) fn start(role: &str, envs: &[(&str, &str)]) -> Peer {
    let mut peer = Peer::cast(role);
    peer.command().envs(envs.iter().copied());
    peer.start()
}

pub(crate) fn told(key: &str) -> String {
    std::env::var(key).expect("the case tells it")
}

/// Takes the only permit of a named semaphore, and waits for another one.
pub(crate) fn start_taker(name: &Name) -> Peer {
    let mut peer = start("programs/takes_and_waits", &[("NAME", &name.to_string())]);
    peer.expect("taken");
    peer.until_blocked();
    peer
}

fn takes_and_waits() {
    let sem = SemOptions::new().open(&Name::new(told("NAME")).expect("a name")).expect("open");
    sem.wait().expect("wait");
    say("taken");
    sem.wait().expect("wait");
}

fn takes_with_undo() {
    let key = Key::new(told("KEY").parse().expect("a number")).expect("a key");
    let set = SetOptions::new().accept_unused(true).open(key).expect("open");
    set.operate(&[Op::wait(0, 1).undo()], Wait::Forever).expect("operate");
    say("taken");
    wait_for_the_end();
}

const PYTHON_POSIX: &str = r"
import sys, posix_ipc
name, create = sys.argv[1], sys.argv[2] == 'create'
sem = posix_ipc.Semaphore(name, posix_ipc.O_CREX if create else 0, initial_value=1)
print('ready')
for line in sys.stdin:
    if line == 'acquire\n': sem.acquire()
    elif line == 'release\n': sem.release()
    elif line == 'unlink\n': sem.unlink()
    print(sem.value)
";

fn python_posix() {
    need_python("posix_ipc");
    let name = fresh_name();
    let slash = format!("/{name}");
    let ours = SemOptions::new().value(1).create(&name).expect("create");
    let mut python = Talker::python(PYTHON_POSIX, &[&slash, "open"]);
    python.expect("ready");
    python.tell("acquire");
    python.expect("0");
    python.tell("acquire");
    ours.post().expect("post");
    python.expect("0");
    python.tell("release");
    python.expect("1");
    ours.wait().expect("wait");
    python.tell("acquire");
    python.kill();
    ours.post().expect("post");
    ours.wait().expect("the dead one takes nothing");
    let mut python = Talker::python(PYTHON_POSIX, &[&slash, "open"]);
    python.expect("ready");
    python.tell("release");
    python.expect("1");
    start_taker(&name).kill();
    // The permit is gone with the one of ours; the one for which it waited is there.
    python.tell("release");
    python.expect("1");
    python.tell("acquire");
    python.expect("0");
    python.join();
    drop(ours);

    let mut python = Talker::python(PYTHON_POSIX, &[&slash, "create"]);
    python.expect("ready");
    let theirs = SemOptions::new().open(&name).expect("open");
    theirs.wait().expect("wait");
    python.tell("acquire");
    theirs.post().expect("post");
    python.expect("0");
    python.tell("unlink");
    python.expect("0");
    python.join();
    assert_eq!(
        SemOptions::new().open(&name).map(drop).expect_err("gone").kind(),
        ErrorKind::NotFound
    );
}

const PYTHON_SYSV: &str = r"
import sys, sysv_ipc
key, create = int(sys.argv[1]), sys.argv[2] == 'create'
sem = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX if create else 0, initial_value=2)
sem.undo = True
print('ready')
for line in sys.stdin:
    if line == 'acquire\n': sem.acquire()
    elif line == 'release\n': sem.release()
    elif line == 'remove\n':
        sem.remove()
        print('removed')
        break
    print(sem.value)
";

fn python_sysv() {
    need_python("sysv_ipc");
    let key = fresh_key();
    let number = key.get().to_string();
    let ours = SetOptions::new().values(&[1]).create(key).expect("create");
    let sem = ours.sem(0).expect("sem");
    let mut python = Talker::python(PYTHON_SYSV, &[&number, "open"]);
    python.expect("ready");
    python.tell("acquire");
    python.expect("0");
    python.tell("acquire");
    sem.post().expect("post");
    python.expect("0");
    // The kernel undoes both.
    python.kill();
    assert_eq!(sem.value(), Ok(2));
    // And what one of ours has taken goes to who waits for it.
    let mut holder = start("programs/takes_with_undo", &[("KEY", &number)]);
    holder.expect("taken");
    sem.try_wait().expect("the other one");
    let mut python = Talker::python(PYTHON_SYSV, &[&number, "open"]);
    python.expect("ready");
    python.tell("acquire");
    while ours.waiting(0).expect("waiting").for_permits == 0 {
        std::thread::yield_now();
    }
    holder.kill();
    python.expect("0");
    python.join();
    ours.unlink().expect("unlink");

    let mut python = Talker::python(PYTHON_SYSV, &[&number, "create"]);
    python.expect("ready");
    // It sets the value by semctl, so that nobody can tell that it has.
    let theirs = SetOptions::new().accept_unused(true).open(key).expect("open");
    assert_eq!(theirs.values().expect("values"), [2]);
    let sem = theirs.sem(0).expect("sem");
    sem.wait().expect("wait");
    sem.wait().expect("wait");
    python.tell("acquire");
    sem.post().expect("post");
    python.expect("0");
    python.tell("remove");
    python.expect("removed");
    python.join();
    assert_eq!(sem.wait().expect_err("removed").kind(), ErrorKind::Disconnected);
}

fn ipcs() {
    need("ipcs", "util-linux");
    let listed = |id: i32| {
        let out = run(Command::new("ipcs").arg("-s"));
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().any(|line| line.split_whitespace().nth(1) == Some(&id.to_string()))
    };
    let mut set = SetOptions::new().private().expect("private");
    assert!(listed(set.id()));
    run(Command::new("ipcrm").args(["-s", &set.id().to_string()]));
    assert!(!listed(set.id()));
    assert_eq!(set.status().expect_err("gone").kind(), ErrorKind::NotFound);
    set.keep();

    let out = run(Command::new("ipcmk").args(["-S", "3"]));
    let text = String::from_utf8_lossy(&out.stdout);
    let id = text.split_whitespace().last().and_then(|id| id.parse().ok()).expect("an id");
    let set = SetOptions::new().accept_unused(true).open_id(id).expect("open");
    assert_eq!(set.len(), 3);
    set.operate(&[Op::post(0, 1), Op::post(2, 5)], Wait::Never).expect("operate");
    assert_eq!(set.values().expect("values"), [1, 0, 5]);
    set.unlink().expect("unlink");
}

/// How many operations of each sort `strace` counts.
const TRIPS: usize = 100;

ipc_sem::shared! {
    /// What the two processes go to and fro by.
    struct Doors {
        lock: Mutex<u32>,
        own: UnnamedSem,
        there: UnnamedSem,
        back: UnnamedSem,
    }
}

fn strace_counts() {
    need("strace", "strace");
    let doors = Shared::<Doors>::new((0, 0, 0, 0)).expect("new");
    let set = SetOptions::new().values(&[0]).private().expect("private");
    let mut peer = Peer::cast("programs/blocks_and_does_not");
    give(&doors, peer.command(), "doors");
    peer.command().env("SET", set.id().to_string());
    let mut peer = peer.start();
    peer.expect("ready");
    let strace = Strace::attach(&peer, &[]);
    peer.tell("go");
    for _ in 0..TRIPS {
        // Not before it sleeps.
        peer.expect("waits");
        peer.until_blocked();
        doors.there.post().expect("post");
        doors.back.wait().expect("wait");
    }
    peer.join();
    let text = strace.log();
    let of = |call: &str| text.lines().filter(|line| line.starts_with(call)).count();
    // One blocking call for each wait that sleeps. A mutex that is free, and a permit that is there, are none.
    let sleeps = text.lines().filter(|it| it.starts_with("futex(") && it.contains("WAIT")).count();
    assert_eq!(sleeps, TRIPS, "{text}");
    let wakes = text.lines().filter(|it| it.starts_with("futex(") && it.contains("WAKE")).count();
    assert!(wakes <= TRIPS, "{text}");
    assert_eq!(of("semop(") + of("semtimedop("), 3 * TRIPS, "{text}");
}

fn blocks_and_does_not() {
    let doors = <Shared<Doors> as ipc_core::Handoff>::adopt("doors").expect("adopt");
    let id = std::env::var("SET").expect("SET").parse().expect("an id");
    let sem = SetOptions::new().open_id(id).expect("open").sem(0).expect("sem");
    say("ready");
    assert_eq!(hear(), "go");
    for _ in 0..TRIPS {
        for _ in 0..10 {
            *doors.lock.lock().expect("lock") += 1;
            doors.own.post().expect("post");
            doors.own.wait().expect("wait");
            assert!(doors.own.try_wait().is_err());
        }
        sem.post().expect("post");
        sem.wait().expect("wait");
        assert_eq!(sem.try_wait().expect_err("none").kind(), ErrorKind::WouldBlock);
        say("waits");
        doors.there.wait().expect("wait");
        doors.back.post().expect("post");
    }
}

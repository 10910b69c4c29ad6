//! Programs that nobody here wrote: a C compiler's output, Python, util-linux, strace; and our examples.
#![expect(unsafe_code, reason = "what a C program has made is taken for what it is")]

use std::process::Command;

use ipc_core::{ErrorKind, Semaphore, Wait};
use ipc_sem::posix::{SemOptions, UnnamedSem};
use ipc_sem::sysv::{Op, SetOptions};
use ipc_sem::{LockError, Mutex, Shared, SharedOptions};
use ipc_shm::PosixShmOptions;
use ipc_testkit::{
    CProgram, Harness, Peer, Strace, Talker, hear, need, need_python, run, run_examples, say,
};

use crate::fixtures::{fresh_key, fresh_name, give};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/c_uses_our_named_semaphore_and_we_use_its", c_named)
        .test("programs/the_bytes_of_a_named_semaphore_are_glibcs", same_bytes)
        .test("programs/c_uses_our_unnamed_semaphore_and_we_use_its", c_unnamed)
        .test("programs/c_uses_our_set_and_we_use_its", c_sysv)
        .test("programs/c_locks_our_mutex_and_we_lock_its_with_kills", c_mutex)
        .test("programs/python_posix_ipc_both_ways_with_kills", python_posix)
        .test("programs/python_sysv_ipc_both_ways_with_kills", python_sysv)
        .test("programs/ipcs_sees_ours_ipcrm_removes_it_and_ipcmk_makes_one", ipcs)
        .test("programs/strace_counts_the_calls", strace_counts)
        .role("programs/blocks_and_does_not", blocks_and_does_not)
        .test("programs/the_examples_run", || {
            run_examples(&[
                ("bounded_buffer", "1000 things, none lost"),
                ("killed_holder", "the counter is right"),
                ("readers_writers", "nobody saw half a price"),
                ("philosophers", "all have eaten"),
            ]);
        })
}

/// Takes orders: opens or creates, waits, posts, and locks, and says what came of it.
const C_PEER: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <unistd.h>

struct locked { pthread_mutex_t mutex; long pair[2]; };

static void *map(const char *name, int create) {
    int fd = shm_open(name, O_RDWR | (create ? O_CREAT | O_EXCL : 0), 0600);
    if (fd < 0 || (create && ftruncate(fd, 4096))) exit(10);
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) exit(11);
    return at;
}

int main(int argc, char **argv) {
    char order[64];
    sem_t *sem = NULL;
    struct locked *lock = NULL;
    int set = -1;
    const char *name = argv[1];
    while (scanf("%63s", order) == 1) {
        int result = 0;
        if (!strcmp(order, "sem_open")) sem = sem_open(name, 0), result = sem == SEM_FAILED ? errno : 0;
        else if (!strcmp(order, "sem_create"))
            sem = sem_open(name, O_CREAT | O_EXCL, 0600, 2), result = sem == SEM_FAILED ? errno : 0;
        else if (!strcmp(order, "sem_unlink")) result = sem_unlink(name) ? errno : 0;
        else if (!strcmp(order, "sem_at_64")) sem = (sem_t *)((char *)map(name, 0) + 64);
        else if (!strcmp(order, "sem_init_at_128"))
            sem = (sem_t *)((char *)map(name, 1) + 128), result = sem_init(sem, 1, 1) ? errno : 0;
        else if (!strcmp(order, "shm_unlink")) result = shm_unlink(name) ? errno : 0;
        else if (!strcmp(order, "sem_wait")) result = sem_wait(sem) ? errno : 0;
        else if (!strcmp(order, "sem_trywait")) result = sem_trywait(sem) ? errno : 0;
        else if (!strcmp(order, "sem_post")) result = sem_post(sem) ? errno : 0;
        else if (!strcmp(order, "semget"))
            set = semget(atoi(argv[2]), 0, 0), result = set < 0 ? errno : 0;
        else if (!strcmp(order, "semget_create")) {
            unsigned short values[2] = {0, 1};
            struct sembuf op = {0, 2, 0};
            set = semget(atoi(argv[2]), 2, IPC_CREAT | IPC_EXCL | 0600);
            result = set < 0 || semctl(set, 0, SETALL, values) || semop(set, &op, 1) ? errno : 0;
        } else if (!strcmp(order, "semop_undo")) {
            struct sembuf ops[2] = {{0, -1, SEM_UNDO}, {1, -1, SEM_UNDO}};
            result = semop(set, ops, 2) ? errno : 0;
        } else if (!strcmp(order, "semop_post")) {
            struct sembuf op = {0, 1, 0};
            result = semop(set, &op, 1) ? errno : 0;
        } else if (!strcmp(order, "semrm")) result = semctl(set, 0, IPC_RMID) ? errno : 0;
        else if (!strcmp(order, "mutex_at_64")) lock = (struct locked *)((char *)map(name, 0) + 64);
        else if (!strcmp(order, "mutex_init_at_256")) {
            lock = (struct locked *)((char *)map(name, 1) + 256);
            pthread_mutexattr_t attr;
            pthread_mutexattr_init(&attr);
            pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
            pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
            result = pthread_mutex_init(&lock->mutex, &attr);
        } else if (!strcmp(order, "lock")) result = pthread_mutex_lock(&lock->mutex);
        else if (!strcmp(order, "trylock")) result = pthread_mutex_trylock(&lock->mutex);
        else if (!strcmp(order, "half")) lock->pair[0]++;
        else if (!strcmp(order, "rest")) lock->pair[1]++;
        else if (!strcmp(order, "repair"))
            lock->pair[1] = lock->pair[0], result = pthread_mutex_consistent(&lock->mutex);
        else if (!strcmp(order, "unlock")) result = pthread_mutex_unlock(&lock->mutex);
        else if (!strcmp(order, "pair")) { printf("%ld %ld\n", lock->pair[0], lock->pair[1]); goto said; }
        else return 12;
        printf("%s\n", result ? strerrorname_np(result) : "ok");
    said:
        fflush(stdout);
    }
    return 0;
}
"#;

fn c_program() -> CProgram {
    CProgram::compile("peer", C_PEER, &["-pthread", "-lrt"])
}

/// Gives orders, each of which must succeed.
#[track_caller]
fn order(peer: &mut Talker, orders: &[&str]) {
    for order in orders {
        peer.tell(order);
        assert_eq!(peer.listen(), "ok", "{order}");
    }
}

fn c_named() {
    let (program, name) = (c_program(), fresh_name());
    let ours = SemOptions::new().create(&name).expect("create");
    let slash = format!("/{name}");
    let mut c = Talker::start(program.command().args([&slash, "0"]));
    order(&mut c, &["sem_open", "sem_post"]);
    ours.wait().expect("it was posted");
    c.tell("sem_trywait");
    c.expect("EAGAIN");
    // It waits, and is woken by us; then it is killed while it waits, and takes nothing.
    c.tell("sem_wait");
    ours.post().expect("post");
    c.expect("ok");
    c.tell("sem_wait");
    c.kill();
    ours.post().expect("post");
    ours.wait().expect("nobody else takes it");
    drop(ours);

    let mut c = Talker::start(program.command().args([&slash, "0"]));
    order(&mut c, &["sem_create"]);
    let again = SemOptions::new().create(&name).map(drop).expect_err("C has it");
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    let theirs = SemOptions::new().open(&name).expect("open");
    assert_eq!(theirs.value(), 2);
    order(&mut c, &["sem_wait", "sem_wait"]);
    theirs.post().expect("post");
    order(&mut c, &["sem_wait"]);
    // Killed with the permit: it is gone, and nobody can tell.
    c.kill();
    assert_eq!(theirs.try_wait().expect_err("taken").kind(), ErrorKind::WouldBlock);
    theirs.post().expect("post");
    theirs.wait().expect("wait");
    theirs.unlink().expect("unlink");
}

/// What `sem_open` leaves in a new file, and what we do.
fn same_bytes() {
    let (program, name) = (c_program(), fresh_name());
    let slash = format!("/{name}");
    let mut c = Talker::start(program.command().args([&slash, "0"]));
    order(&mut c, &["sem_create"]);
    let path = format!("/dev/shm/sem.{name}");
    let theirs = std::fs::read(&path).expect("read");
    order(&mut c, &["sem_unlink"]);
    let _ours = SemOptions::new().value(2).create(&name).expect("create");
    assert_eq!(std::fs::read(&path).expect("read"), theirs);
    c.join();
}

fn c_unnamed() {
    let (program, name) = (c_program(), fresh_name());
    let slash = format!("/{name}");
    let ours = SharedOptions::<UnnamedSem>::new().create(&name, 0).expect("create");
    let mut c = Talker::start(program.command().args([&slash, "0"]));
    order(&mut c, &["sem_at_64", "sem_post"]);
    ours.wait().expect("it was posted");
    c.tell("sem_wait");
    ours.post().expect("post");
    c.expect("ok");
    c.join();
    drop(ours);

    let mut c = Talker::start(program.command().args([&slash, "0"]));
    order(&mut c, &["sem_init_at_128"]);
    let memory = PosixShmOptions::new().open(&name).expect("open");
    // SAFETY: the C program has made a semaphore there, and nothing else uses its bytes.
    let theirs = unsafe { Shared::<UnnamedSem, _>::bare_in(&memory, 128) }.expect("bare");
    assert_eq!(theirs.value(), 1);
    theirs.wait().expect("wait");
    c.tell("sem_wait");
    theirs.post().expect("post");
    c.expect("ok");
    c.tell("sem_wait");
    c.kill();
    theirs.post().expect("post");
    theirs.wait().expect("wait");
    std::fs::remove_file(format!("/dev/shm/{name}")).expect("remove");
}

fn c_sysv() {
    let (program, key) = (c_program(), fresh_key());
    let number = key.get().to_string();
    let ours = SetOptions::new().values(&[1, 1]).create(key).expect("create");
    let mut c = Talker::start(program.command().args(["/none", &number]));
    order(&mut c, &["semget", "semop_undo"]);
    assert_eq!(ours.values().expect("values"), [0, 0]);
    c.kill();
    assert_eq!(ours.values().expect("values"), [1, 1]);
    ours.operate(&[Op::wait(0, 1)], Wait::Never).expect("wait");
    let mut c = Talker::start(program.command().args(["/none", &number]));
    order(&mut c, &["semget"]);
    c.tell("semop_undo");
    ours.operate(&[Op::post(0, 1)], Wait::Never).expect("post");
    c.expect("ok");
    // Both are taken; the one who is removed under who waits says so.
    c.tell("semop_undo");
    while ours.waiting(0).expect("waiting").for_permits == 0 {
        std::thread::yield_now();
    }
    ours.unlink().expect("unlink");
    c.expect("EIDRM");
    c.join();

    let mut c = Talker::start(program.command().args(["/none", &number]));
    order(&mut c, &["semget_create"]);
    let theirs = SetOptions::new().open(key).expect("open");
    assert_eq!(theirs.values().expect("values"), [2, 1]);
    theirs.operate(&[Op::wait(0, 2), Op::wait(1, 1)], Wait::Never).expect("operate");
    order(&mut c, &["semop_post"]);
    theirs.sem(0).expect("sem").wait().expect("it was posted");
    order(&mut c, &["semrm"]);
    let gone = theirs.sem(0).expect("sem").wait().expect_err("removed");
    assert_eq!(gone.kind(), ErrorKind::Disconnected);
    c.join();
}

type Pair = Mutex<[i64; 2]>;

fn c_mutex() {
    let (program, name) = (c_program(), fresh_name());
    let slash = format!("/{name}");
    let start = || Talker::start(program.command().args([&slash, "0"]));
    let ours = SharedOptions::<Pair>::new().create(&name, [0, 0]).expect("create");
    let mut c = start();
    order(&mut c, &["mutex_at_64"]);
    both_ways(&ours, c, || {
        let mut c = start();
        order(&mut c, &["mutex_at_64"]);
        c
    });
    drop(ours);

    let mut c = start();
    order(&mut c, &["mutex_init_at_256"]);
    let memory = PosixShmOptions::new().open(&name).expect("open");
    // SAFETY: the C program has made such a structure there, and nothing else uses its bytes.
    let theirs = unsafe { Shared::<Pair, _>::bare_in(&memory, 256) }.expect("bare");
    let mut other = start();
    other.tell("mutex_at_64");
    other.expect("ok");
    other.kill();
    let offset = || {
        // Another C program that finds the lock where the first has made it: at 256.
        let patched = C_PEER.replace("map(name, 0) + 64)", "map(name, 0) + 256)");
        let program = CProgram::compile("other", &patched, &["-pthread", "-lrt"]);
        let mut c = Talker::start(program.command().args([&slash, "0"]));
        order(&mut c, &["mutex_at_64"]);
        c
    };
    both_ways(&theirs, c, offset);
    std::fs::remove_file(format!("/dev/shm/{name}")).expect("remove");
}

/// Locks in turns, and with a death on either side.
fn both_ways(lock: &Pair, mut c: Talker, another: impl Fn() -> Talker) {
    order(&mut c, &["lock", "half", "rest"]);
    assert_eq!(lock.try_lock().map(drop).expect_err("held").kind(), ErrorKind::WouldBlock);
    c.tell("unlock");
    let mut guard = lock.lock().expect("lock");
    c.expect("ok");
    assert_eq!(*guard, [1, 1]);
    guard[0] += 1;
    guard[1] += 1;
    c.tell("trylock");
    c.expect("EBUSY");
    drop(guard);
    c.tell("pair");
    c.expect("2 2");
    // C dies half way; we are told.
    order(&mut c, &["lock", "half"]);
    c.kill();
    let Err(LockError::OwnerDied(mut died)) = lock.lock() else { panic!("nobody was told") };
    assert_eq!(*died, [3, 2]);
    died[1] = 3;
    drop(died.recover());
    // One of ours dies half way (a thread will do), and C is told.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut guard = lock.lock().expect("lock");
            guard[0] += 1;
            std::mem::forget(guard);
        });
    });
    let mut c = another();
    c.tell("lock");
    c.expect("EOWNERDEAD");
    order(&mut c, &["repair", "unlock"]);
    assert_eq!(*lock.lock().expect("it was repaired"), [4, 4]);
    // What is given up on one side is unrecoverable on both.
    order(&mut c, &["lock"]);
    c.kill();
    drop(lock.lock().map(drop).expect_err("C died"));
    let mut c = another();
    c.tell("lock");
    c.expect("ENOTRECOVERABLE");
    assert_eq!(lock.lock().map(drop).expect_err("given up").kind(), ErrorKind::Corrupted);
    c.join();
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
    assert_eq!(SemOptions::new().open(&name).map(drop).expect_err("gone").kind(), ErrorKind::NotFound);
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

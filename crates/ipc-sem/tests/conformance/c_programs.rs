//! Programs in C, which use what ours have made, and make what ours use, with deaths on either side.
#![expect(unsafe_code, reason = "what a C program has made is taken for what it is")]

use ipc_core::{ErrorKind, Name, Semaphore, Wait};
use ipc_sem::posix::{SemOptions, UnnamedSem};
use ipc_sem::sysv::{Op, SetOptions};
use ipc_sem::{LockError, Mutex, Shared, SharedOptions};
use ipc_shm::PosixShmOptions;
use ipc_testkit::{CProgram, Harness, Talker, say, wait_for_the_end};

use crate::fixtures::{fresh_key, fresh_name};
use crate::programs::{start, start_taker, told};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/c_uses_our_named_semaphore_and_we_use_its", c_named)
        .test("programs/the_bytes_of_a_named_semaphore_are_glibcs", same_bytes)
        .test("programs/c_uses_our_unnamed_semaphore_and_we_use_its", c_unnamed)
        .test("programs/c_uses_our_set_and_we_use_its", c_sysv)
        .test("programs/c_locks_our_mutex_and_we_lock_its_with_kills", c_mutex)
        .role("programs/dies_half_way", dies_half_way)
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
    // One of ours is killed with a permit, which is gone, while it waits for another, which it does not take.
    let mut c = Talker::start(program.command().args([&slash, "0"]));
    order(&mut c, &["sem_open", "sem_post"]);
    start_taker(&name).kill();
    c.tell("sem_trywait");
    c.expect("EAGAIN");
    order(&mut c, &["sem_post", "sem_wait"]);
    c.join();
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
    // What one of ours has taken goes to who waits for it, when it is killed.
    ours.operate(&[Op::post(0, 1)], Wait::Never).expect("post");
    let mut holder = start("programs/takes_with_undo", &[("KEY", &number)]);
    holder.expect("taken");
    ours.operate(&[Op::post(1, 1)], Wait::Never).expect("post");
    c.tell("semop_undo");
    while ours.waiting(0).expect("waiting").for_permits == 0 {
        std::thread::yield_now();
    }
    holder.kill();
    c.expect("ok");
    // All are taken; the one who is removed under who waits says so.
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

fn dies_half_way() {
    let name = Name::new(told("NAME")).expect("a name");
    let memory = PosixShmOptions::new().open(&name).expect("open");
    // SAFETY: such a structure is there, made by us or by a C program, and nothing else uses its bytes.
    let lock =
        unsafe { Shared::<Pair, _>::bare_in(&memory, told("AT").parse().expect("a number")) };
    let lock = lock.expect("bare");
    let mut guard = lock.lock().expect("lock");
    guard[0] += 1;
    say("half");
    wait_for_the_end();
}

fn c_mutex() {
    let (program, name) = (c_program(), fresh_name());
    let slash = format!("/{name}");
    let start_c = || Talker::start(program.command().args([&slash, "0"]));
    let ours = SharedOptions::<Pair>::new().create(&name, [0, 0]).expect("create");
    let name_text = name.to_string();
    let mut c = start_c();
    order(&mut c, &["mutex_at_64"]);
    both_ways(&ours, c, &[("NAME", &name_text), ("AT", "64")], || {
        let mut c = start_c();
        order(&mut c, &["mutex_at_64"]);
        c
    });
    drop(ours);

    let mut c = start_c();
    order(&mut c, &["mutex_init_at_256"]);
    let memory = PosixShmOptions::new().open(&name).expect("open");
    // SAFETY: the C program has made such a structure there, and nothing else uses its bytes.
    let theirs = unsafe { Shared::<Pair, _>::bare_in(&memory, 256) }.expect("bare");
    let mut other = start_c();
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
    both_ways(&theirs, c, &[("NAME", &name_text), ("AT", "256")], offset);
    std::fs::remove_file(format!("/dev/shm/{name}")).expect("remove");
}

/// Locks in turns, and with a death on either side.
fn both_ways(lock: &Pair, mut c: Talker, place: &[(&str, &str)], another: impl Fn() -> Talker) {
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
    // One of ours dies half way, and C, which waits for the lock, is told.
    let mut ours = start("programs/dies_half_way", place);
    ours.expect("half");
    let mut c = another();
    c.tell("lock");
    ours.kill();
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

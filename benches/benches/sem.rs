//! "Did this call get slower?": a permit posted and taken, a lock taken and given back, by one thread, nobody
//! waiting, by our crate and by the bare C library and system calls.
#![expect(unsafe_code, reason = "the bare calls are what ours are compared with")]

use std::hint::black_box;
use std::mem::{MaybeUninit, offset_of};

use criterion::{Criterion, criterion_group, criterion_main};
use ipc_core::{Notified, Notify, Region, Semaphore};
use ipc_sem::posix::UnnamedSem;
use ipc_sem::sysv::Sem;
use ipc_sem::{EventFd, Mutex, RwLock, Shared};
use ipc_shm::MemfdOptions;

unsafe extern "C" {
    fn pthread_mutexattr_setrobust(
        attr: *mut libc::pthread_mutexattr_t,
        robust: libc::c_int,
    ) -> libc::c_int;
}

fn posix(c: &mut Criterion) {
    let mut group = c.benchmark_group("posix-sem/post+try_wait");
    let memory = MemfdOptions::new(4096).create().expect("memory");
    let sem: *mut libc::sem_t = memory.base().as_ptr().cast();
    // SAFETY: there is room for one, aligned to a page, and nobody else uses it.
    assert_eq!(unsafe { libc::sem_init(sem, 1, 0) }, 0);
    group.bench_function("raw", |b| {
        b.iter(|| {
            // SAFETY: it was made.
            let posted = unsafe { libc::sem_post(black_box(sem)) };
            // SAFETY: as above.
            let taken = unsafe { libc::sem_trywait(black_box(sem)) };
            assert_eq!((posted, taken), (0, 0));
        });
    });
    let sem = Shared::<UnnamedSem>::new(0).expect("new");
    group.bench_function("ours", |b| {
        b.iter(|| {
            black_box(&sem).post().expect("post");
            black_box(&sem).try_wait().expect("wait");
        });
    });
    group.finish();
}

fn sysv(c: &mut Criterion) {
    let mut group = c.benchmark_group("sysv-sem/post+try_wait");
    let (sem, _other) = Sem::pair(0).expect("pair");
    let operate = |change, flags: i32| {
        let mut op = libc::sembuf { sem_num: 0, sem_op: change, sem_flg: flags as _ };
        // SAFETY: there is one operation, on this stack.
        assert_eq!(unsafe { libc::semop(sem.id(), &raw mut op, 1) }, 0);
    };
    group.bench_function("raw", |b| {
        b.iter(|| {
            operate(1, 0);
            operate(-1, libc::IPC_NOWAIT);
        });
    });
    group.bench_function("ours", |b| {
        b.iter(|| {
            black_box(&sem).post().expect("post");
            black_box(&sem).try_wait().expect("wait");
        });
    });
    group.finish();
}

fn eventfd(c: &mut Criterion) {
    let mut group = c.benchmark_group("eventfd/notify+wait");
    let event = EventFd::new().expect("new");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&event));
    group.bench_function("raw", |b| {
        b.iter(|| {
            let mut count = 1_u64;
            let at = &raw mut count;
            // SAFETY: the descriptor is open, and the number on this stack.
            let sent = unsafe { libc::syscall(libc::SYS_write, fd, at, 8) };
            // SAFETY: as above.
            let got = unsafe { libc::syscall(libc::SYS_read, fd, at, 8) };
            assert_eq!((sent, got), (8, 8));
        });
    });
    group.bench_function("ours", |b| {
        b.iter(|| {
            black_box(&event).notify().expect("notify");
            black_box(&event).wait().expect("wait")
        });
    });
    group.finish();
}

/// A structure as a C program has it.
#[repr(C)]
struct Locked {
    mutex: libc::pthread_mutex_t,
    count: u64,
}

/// Makes a mutex such as ours are.
fn init(mutex: *mut libc::pthread_mutex_t) {
    const SHARED: libc::c_int = libc::PTHREAD_PROCESS_SHARED;
    const CHECKING: libc::c_int = libc::PTHREAD_MUTEX_ERRORCHECK;
    let mut attr = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
    let attr = attr.as_mut_ptr();
    // SAFETY: there is room for the attributes.
    assert_eq!(unsafe { libc::pthread_mutexattr_init(attr) }, 0);
    // SAFETY: they were initialised, here and below.
    assert_eq!(unsafe { libc::pthread_mutexattr_setpshared(attr, SHARED) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::pthread_mutexattr_settype(attr, CHECKING) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { pthread_mutexattr_setrobust(attr, 1) }, 0);
    // SAFETY: the caller has room for one, which nobody else uses.
    assert_eq!(unsafe { libc::pthread_mutex_init(mutex, attr) }, 0);
}

fn locks(c: &mut Criterion) {
    let mut group = c.benchmark_group("lock+unlock");
    let memory = MemfdOptions::new(4096).create().expect("memory");
    let at = memory.base().as_ptr();
    let mutex: *mut libc::pthread_mutex_t = at.cast();
    let count: *mut u64 = at.wrapping_add(offset_of!(Locked, count)).cast();
    init(mutex);
    group.bench_function("raw", |b| {
        b.iter(|| {
            let (mutex, count) = (black_box(mutex), black_box(count));
            // SAFETY: it was made, and is mapped.
            assert_eq!(unsafe { libc::pthread_mutex_lock(mutex) }, 0);
            // SAFETY: it is mapped, and this thread has the mutex.
            unsafe { *count += 1 };
            // SAFETY: as above.
            assert_eq!(unsafe { libc::pthread_mutex_unlock(mutex) }, 0);
        });
    });
    let mutex = Shared::<Mutex<u64>>::new(0).expect("new");
    group.bench_function("mutex", |b| {
        b.iter(|| *black_box(&mutex).lock().expect("lock") += 1);
    });
    let lock = Shared::<RwLock<u64>>::new(0).expect("new");
    group.bench_function("rwlock-read", |b| {
        b.iter(|| *black_box(&lock).read().expect("read"));
    });
    group.bench_function("rwlock-write", |b| {
        b.iter(|| *black_box(&lock).write().expect("write") += 1);
    });
    group.finish();
}

criterion_group!(benches, posix, sysv, eventfd, locks);
criterion_main!(benches);

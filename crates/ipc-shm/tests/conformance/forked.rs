//! Memory that a forked child shares. (A process of the harness has one thread, so that it may fork.)
#![expect(unsafe_code, reason = "fork")]

use std::fs::File;
use std::io::Write;

use ipc_core::{ErrorKind, RecvMsg, RegionMut, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, broadcast, mpmc, spsc, unbounded};
use ipc_shm::{Anonymous, FileMap, PosixShmOptions, RegionExt};
use ipc_testkit::{Harness, dir, names_in};

use crate::fixtures::{DEV_SHM, fresh};
use crate::rings::kind;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("forked/a_child_shares_anonymous_memory", anonymous)
        .test("forked/a_child_has_its_own_copy_of_private_memory", private)
        .test("forked/a_copy_does_not_remove_the_name", name_stays)
        .test("forked/a_copy_of_an_end_that_is_dropped_ends_nothing", ends)
        .test("forked/a_copy_of_a_message_that_is_looked_at_frees_it_for_nobody", views)
}

/// Runs `child` in a forked child, and waits for it.
fn fork(child: impl FnOnce()) {
    // SAFETY: this process has one thread, and the child ends without unwinding or running destructors.
    match unsafe { libc::fork() } {
        0 => {
            child();
            // SAFETY: it ends the process.
            unsafe { libc::_exit(0) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the child is ours, and the status is valid for writes.
            let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            assert_eq!((waited, status), (pid, 0), "the child failed");
        }
    }
}

fn byte(memory: &impl RegionMut) -> u8 {
    let mut byte = [0];
    memory.read_at(3, &mut byte).expect("read");
    byte[0]
}

fn anonymous() {
    let memory = Anonymous::new(10).expect("map");
    fork(|| memory.write_at(3, &[9]).expect("write"));
    assert_eq!(byte(&memory), 9);
}

fn private() {
    let path = dir().join("file");
    File::create(&path).expect("create").write_all(&[1; 10]).expect("write");
    let memory = FileMap::private(&File::open(&path).expect("open")).expect("map");
    std::fs::remove_file(path).expect("remove");
    fork(|| memory.write_at(3, &[9]).expect("write"));
    assert_eq!(byte(&memory), 1);
}

fn name_stays() {
    let memory = PosixShmOptions::new().create(&fresh()).expect("create");
    let mut copy = Some(memory);
    fork(|| drop(copy.take()));
    assert_eq!(names_in(DEV_SHM).len(), 1, "the child removed its parent's name");
    drop(copy);
    assert_eq!(names_in(DEV_SHM).len(), 0);
}

fn ends() {
    fn check<T: SendMsg, R: RecvMsg>((tx, rx): (T, R)) {
        let (mut tx, mut rx) = (Some(tx), Some(rx));
        fork(|| drop((tx.take(), rx.take())));
        let (mut tx, mut rx) = (tx.expect("the parent's"), rx.expect("the parent's"));
        tx.try_send(b"still there").expect("there is a receiver");
        assert_eq!(rx.try_recv(&mut [0; 16]), Ok(11));
        assert_eq!(kind(rx.try_recv(&mut [0; 16])), ErrorKind::WouldBlock);
    }
    let options = RingOptions::new();
    check(spsc::pair(&options).expect("pair"));
    check(unbounded::pair(&options).expect("pair"));
    check(mpmc::pair(&options).expect("pair"));
    check(broadcast::pair(&options).expect("pair"));
}

fn views() {
    let (mut tx, mut one) = mpmc::pair(&RingOptions::new()).expect("pair");
    let mut two = one.try_clone().expect("a second receiver");
    tx.send(b"work").expect("send");
    let mut view = Some(one.peek(Wait::Never).expect("there is one"));
    fork(|| drop(view.take()));
    assert_eq!(kind(two.try_recv(&mut [0; 8])), ErrorKind::WouldBlock);
    view.expect("the parent's").release();
}

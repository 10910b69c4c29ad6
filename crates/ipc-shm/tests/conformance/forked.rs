//! Memory that a forked child shares. (A process of the harness has one thread, so that it may fork.)
#![expect(unsafe_code, reason = "fork")]

use std::fs::File;
use std::io::Write;

use ipc_core::RegionMut;
use ipc_shm::{Anonymous, FileMap, PosixShmOptions, RegionExt};
use ipc_testkit::{Harness, dir, names_in};

use crate::fixtures::{DEV_SHM, fresh};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("forked/a_child_shares_anonymous_memory", anonymous)
        .test("forked/a_child_has_its_own_copy_of_private_memory", private)
        .test("forked/a_copy_does_not_remove_the_name", name_stays)
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

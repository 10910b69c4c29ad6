//! Limits, and other users.

use ipc_core::{ErrorKind, Name, Region};
use ipc_shm::{Grant, MapOptions, MemfdOptions, PosixShmOptions};
use ipc_testkit::{Harness, Peer, become_nobody, in_namespaces, names_in, need_root};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::fixtures::{DEV_SHM, fresh};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("limits/a_full_dev_shm_is_a_resource_limit", full)
        .role("fills_dev_shm", fills_dev_shm)
        .test("limits/memory_that_may_not_be_locked_is_refused_and_mapped", locked)
        .role("locks", locks)
        .test("limits/memory_of_another_user_must_be_named", foreign)
        .role("nobody_opens", nobody_opens)
}

fn full() {
    let setup = "mount -t tmpfs -o size=1m tmpfs /dev/shm";
    in_namespaces("fills_dev_shm", &["--mount"], setup);
}

fn fills_dev_shm() {
    let name = fresh();
    let error = PosixShmOptions::new().len(2 << 20).create(&name).map(drop).expect_err("full");
    let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
    assert!(knob.contains("size="), "{knob}");
    assert_eq!(names_in(DEV_SHM).len(), 0, "something was left behind");
    // What fits is there to the last byte.
    let memory = PosixShmOptions::new().len(900 << 10).create(&name).expect("it fits");
    for at in (0..memory.len()).step_by(4096) {
        ipc_shm::RegionExt::write_at(&memory, at, &[1]).expect("write");
    }
}

fn locked() {
    need_root("become another user");
    Peer::cast("locks").start().join();
}

fn locks() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Memlock, none).expect("setrlimit");
    become_nobody();
    let options = MapOptions::new().lock(true);
    let memory = MemfdOptions::new(1 << 20).map(options).create().expect("it is mapped");
    let Grant::Refused(error) = &memory.granted().lock else { panic!("{:?}", memory.granted()) };
    let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
    assert!(knob.contains("RLIMIT_MEMLOCK"), "{knob}");
}

fn foreign() {
    need_root("become another user");
    let name = fresh();
    let memory = PosixShmOptions::new().mode(0o666).create(&name).expect("create");
    let mut peer = Peer::cast("nobody_opens");
    peer.command().env("NAME", name.as_os_str());
    peer.start().join();
    drop(memory);
}

fn nobody_opens() {
    become_nobody();
    let name = Name::new(std::env::var("NAME").expect("NAME")).expect("a name");
    let error = PosixShmOptions::new().open(&name).map(drop).expect_err("it is root's");
    assert_eq!(error.kind(), ErrorKind::ForeignOwner { uid: 0 });
    let memory = PosixShmOptions::new().owner(0).open(&name).expect("root is trusted");
    let error = memory.unlink().expect_err("root owns the name");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

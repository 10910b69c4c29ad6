//! Memory that holds an object, and memory that does not.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use ipc_core::{ErrorKind, Handoff, Region, Result};
use ipc_sem::posix::UnnamedSem;
use ipc_sem::{Barrier, Condvar, Event, Mutex, Reset, RwLock, Shareable, Shared, SharedOptions};
use ipc_shm::{Memfd, MemfdOptions, RegionExt};
use ipc_testkit::{Harness, Peer, hear, names_in, say};

use crate::fixtures::{DEV_SHM, fresh_name};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("shared/what_is_attached_to_is_checked", checked)
        .test("shared/regions_that_are_too_small_or_misaligned_are_refused", places)
        .test("shared/an_object_is_made_once", made_once)
        .test("shared/an_object_that_cannot_be_made_leaves_nothing", not_made)
        .test("shared/descriptors_of_other_things_come_back", descriptors)
        .test("shared/names_are_whole_private_and_removed", names)
        .test("shared/an_unrelated_process_finds_it_by_its_name", by_name)
        .role("shared/opens", opens)
        .test("shared/random_bytes_are_never_taken_for_an_object", random_bytes)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.map(drop).expect_err("it must fail").kind()
}

#[expect(unsafe_code, reason = "the memory belongs to this case")]
fn attach<S: Shareable>(memory: &Memfd, offset: usize) -> Result<Shared<S, &Memfd>> {
    // SAFETY: nothing else uses the memory while the object is used; what is written into it in between is what
    // the check must find out, and nothing is locked then.
    unsafe { Shared::attach_in(memory, offset) }
}

#[expect(unsafe_code, reason = "the memory belongs to this case")]
fn create<S: Shareable>(memory: &Memfd, offset: usize, init: S::Init) -> Result<Shared<S, &Memfd>> {
    // SAFETY: as above.
    unsafe { Shared::create_in(memory, offset, init) }
}

fn checked() {
    let memory = MemfdOptions::new(8192).create().expect("create");
    assert_eq!(kind(attach::<Mutex<u64>>(&memory, 64)), ErrorKind::NotFound);
    drop(create::<Mutex<u64>>(&memory, 64, 5).expect("create"));
    assert_eq!(*attach::<Mutex<u64>>(&memory, 64).expect("attach").lock().expect("lock"), 5);

    let wrong = |kind: ErrorKind| matches!(kind, ErrorKind::WrongType { .. });
    assert!(wrong(kind(attach::<Mutex<i64>>(&memory, 64))));
    assert!(wrong(kind(attach::<Mutex<[u32; 2]>>(&memory, 64))));
    assert!(wrong(kind(attach::<RwLock<u64>>(&memory, 64))));
    assert!(wrong(kind(attach::<(Mutex<u64>,)>(&memory, 64))));
    assert!(wrong(kind(attach::<Condvar>(&memory, 64))));
    assert!(wrong(kind(attach::<UnnamedSem>(&memory, 64))));
    assert!(wrong(kind(attach::<Barrier>(&memory, 64))));

    let magic = memory.atomic_u64(64).expect("word");
    let made = magic.load(Ordering::Relaxed);
    // Another version, one that is being made, nothing, and garbage.
    magic.store(made ^ 2, Ordering::Relaxed);
    let error = attach::<Mutex<u64>>(&memory, 64).map(drop).expect_err("another version");
    assert!(wrong(error.kind()) && error.to_string().contains("version"), "{error}");
    magic.store(made & !0xff, Ordering::Relaxed);
    assert_eq!(kind(attach::<Mutex<u64>>(&memory, 64)), ErrorKind::Corrupted);
    magic.store(0, Ordering::Relaxed);
    assert_eq!(kind(attach::<Mutex<u64>>(&memory, 64)), ErrorKind::NotFound);
    magic.store(0x1234_5678_9abc_def0, Ordering::Relaxed);
    let error = attach::<Mutex<u64>>(&memory, 64).map(drop).expect_err("garbage");
    assert!(wrong(error.kind()) && error.to_string().contains("header"), "{error}");
}

fn places() {
    let memory = MemfdOptions::new(4096).create().expect("create");
    for offset in [4096, 4096 - 64, 4096 - 64 - 8, usize::MAX, usize::MAX - 32] {
        let error = create::<Mutex<u64>>(&memory, offset, 0).map(drop).expect_err("no room");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("too small"), "{error}");
        assert_eq!(kind(attach::<Mutex<u64>>(&memory, offset)), ErrorKind::InvalidInput);
    }
    for offset in [1, 4, 63, 1001] {
        let error = create::<Mutex<u64>>(&memory, offset, 0).map(drop).expect_err("misaligned");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("misaligned"), "{error}");
    }
    // Nothing was written.
    let mut bytes = vec![1; memory.len()];
    memory.read_at(0, &mut bytes).expect("read");
    assert!(bytes.iter().all(|byte| *byte == 0));
    // The last place where it fits.
    let last = (4096 - 64 - size_of::<Event>()) / 64 * 64;
    drop(create::<Event>(&memory, last, Reset::Auto).expect("it fits"));
}

fn made_once() {
    let memory = MemfdOptions::new(4096).create().expect("create");
    drop(create::<Mutex<u64>>(&memory, 0, 1).expect("create"));
    let error = create::<Mutex<u64>>(&memory, 0, 2).map(drop).expect_err("it is there");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("attach"), "{error}");
    assert_eq!(*attach::<Mutex<u64>>(&memory, 0).expect("attach").lock().expect("lock"), 1);

    memory.write_at(1024, b"something").expect("write");
    assert_eq!(kind(create::<Mutex<u64>>(&memory, 1024, 0)), ErrorKind::AlreadyExists);
    let mut bytes = [0; 9];
    memory.read_at(1024, &mut bytes).expect("read");
    assert_eq!(&bytes, b"something");

    // Of four threads that make one at the same moment, one does.
    let place = 2048;
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads =
            [0; 4].map(|_| scope.spawn(|| create::<Event>(&memory, place, Reset::Auto).is_ok()));
        threads.map(|thread| thread.join().expect("join")).into_iter().filter(|it| *it).collect()
    });
    assert_eq!(made.len(), 1);
}

fn not_made() {
    let memory = MemfdOptions::new(8192).create().expect("create");
    for parties in [0, 65] {
        assert_eq!(kind(create::<Barrier>(&memory, 0, parties)), ErrorKind::InvalidInput);
        assert_eq!(kind(attach::<Barrier>(&memory, 0)), ErrorKind::NotFound);
    }
    assert_eq!(kind(Shared::<UnnamedSem>::new(u32::MAX)), ErrorKind::InvalidInput);
    drop(create::<Barrier>(&memory, 0, 64).expect("there is room still"));
    let name = fresh_name();
    let options = SharedOptions::<Barrier>::new();
    assert_eq!(kind(options.create(&name, 0)), ErrorKind::InvalidInput);
    assert!(names_in(DEV_SHM).is_empty());
}

fn descriptors() {
    let refused = |fd: OwnedFd| {
        let back = Shared::<Mutex<u64>>::try_from(fd).map(drop).expect_err("it is another thing");
        let _still_open = back.value.as_fd();
        back.error.kind()
    };
    let wrong = |kind: ErrorKind| matches!(kind, ErrorKind::WrongType { .. });
    let (pipe, _other) = std::io::pipe().expect("pipe");
    assert!(wrong(refused(pipe.into())));
    let fd = |memory: Memfd| memory.as_fd().try_clone_to_owned().expect("dup");
    assert!(wrong(refused(fd(MemfdOptions::new(32).create().expect("create")))));
    assert_eq!(refused(fd(MemfdOptions::new(4096).create().expect("create"))), ErrorKind::NotFound);
    let event = Shared::<Event>::new(Reset::Auto).expect("new");
    assert!(wrong(refused(event.into())));
    let lock = Shared::<Mutex<u64>>::new(3).expect("new");
    let lock = Shared::<Mutex<u64>>::try_from(OwnedFd::from(lock)).expect("it is one");
    assert_eq!(*lock.lock().expect("lock"), 3);
    assert_eq!(kind(Shared::<Event>::adopt("nobody")), ErrorKind::NotFound);
}

fn names() {
    use std::os::unix::fs::PermissionsExt;

    let name = fresh_name();
    let options = SharedOptions::<Mutex<u32>>::new();
    let ours = options.create(&name, 1).expect("create");
    let path = std::path::Path::new(DEV_SHM).join(name.as_os_str());
    let mode = std::fs::metadata(&path).expect("stat").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(kind(options.create(&name, 2)), ErrorKind::AlreadyExists);
    let theirs = options.open(&name).expect("open");
    assert_eq!(*theirs.lock().expect("lock"), 1);
    assert!(matches!(kind(SharedOptions::<Event>::new().open(&name)), ErrorKind::WrongType { .. }));
    drop(theirs);
    assert!(path.exists());
    drop(ours);
    assert!(!path.exists());
    assert_eq!(kind(options.open(&name)), ErrorKind::NotFound);
    // A link is not followed.
    std::os::unix::fs::symlink("/dev/zero", &path).expect("link");
    assert!(matches!(kind(options.open(&name)), ErrorKind::WrongType { .. }));
    std::fs::remove_file(&path).expect("remove");
    std::fs::write(&path, b"").expect("write");
    assert!(matches!(kind(options.open(&name)), ErrorKind::WrongType { .. }));
    std::fs::remove_file(&path).expect("remove");
}

fn by_name() {
    let name = fresh_name();
    let ours = SharedOptions::<Mutex<u32>>::new().create(&name, 1).expect("create");
    let mut peer = Peer::cast("shared/opens");
    peer.command().env("NAME", name.as_os_str());
    let mut peer = peer.start();
    peer.expect("opened");
    *ours.lock().expect("lock") += 1;
    peer.tell("look");
    peer.expect("2");
    peer.join();
}

fn opens() {
    let name = std::env::var_os("NAME").expect("NAME");
    let name = ipc_core::Name::new(name).expect("a name");
    let lock = SharedOptions::<Mutex<u32>>::new().open(&name).expect("open");
    say("opened");
    assert_eq!(hear(), "look");
    say(lock.lock().expect("lock").to_string());
}

fn random_bytes() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    let memory = MemfdOptions::new(4096).create().expect("create");
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, cases: 2000, ..Config::default() });
    let result = runner.run(&prop::collection::vec(any::<u8>(), 64), |bytes| {
        memory.write_at(0, &bytes).expect("write");
        prop_assert!(attach::<Mutex<u64>>(&memory, 0).is_err());
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

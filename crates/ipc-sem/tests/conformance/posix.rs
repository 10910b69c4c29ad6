//! POSIX semaphores: names, values, limits.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ipc_core::{ErrorKind, Name, NameProblem, Result, Semaphore, Wait};
use ipc_sem::Shared;
use ipc_sem::posix::{NamedSem, SemOptions, UnnamedSem, VALUE_MAX};
use ipc_testkit::{Harness, names_in};

use crate::fixtures::{DEV_SHM, fresh_name};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("posix/names_that_cannot_be_are_refused", names)
        .test("posix/values_above_the_greatest_are_refused", values)
        .test("posix/a_post_at_the_greatest_value_is_a_resource_limit", overflow)
        .test("posix/the_mode_is_what_was_asked_for_whatever_the_umask", mode)
        .test("posix/what_is_not_a_semaphore_is_refused", wrong_types)
        .test("posix/open_or_create_gives_all_of_four_threads_the_same", open_or_create)
        .test("posix/a_semaphore_without_a_name_goes_on", without_a_name)
        .test("posix/a_descriptor_becomes_a_semaphore_again", descriptors)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.map(drop).expect_err("it must fail").kind()
}

fn path(name: &Name) -> PathBuf {
    Path::new(DEV_SHM).join(format!("sem.{name}"))
}

fn names() {
    for name in ["", "a/b", "/a", ".", ".."] {
        assert!(matches!(kind(Name::new(name)), ErrorKind::InvalidName(_)), "{name:?}");
    }
    let long = Name::new("x".repeat(252)).expect("a file may be called so");
    let problem = NameProblem::TooLong { len: 252, max: 251 };
    assert_eq!(kind(SemOptions::new().create(&long)), ErrorKind::InvalidName(problem));
    assert_eq!(kind(SemOptions::new().open(&long)), ErrorKind::InvalidName(problem));
    assert_eq!(kind(SemOptions::new().open_or_create(&long)), ErrorKind::InvalidName(problem));
    let prefix = fresh_name().to_string();
    let longest = Name::new(format!("{prefix}{}", "x".repeat(251 - prefix.len()))).expect("a name");
    drop(SemOptions::new().create(&longest).expect("create"));
    assert_eq!(kind(SemOptions::new().open(&fresh_name())), ErrorKind::NotFound);
}

fn values() {
    let name = fresh_name();
    assert_eq!(VALUE_MAX, i32::MAX.cast_unsigned());
    for value in [VALUE_MAX + 1, u32::MAX] {
        assert_eq!(kind(SemOptions::new().value(value).create(&name)), ErrorKind::InvalidInput);
        assert_eq!(kind(Shared::<UnnamedSem>::new(value)), ErrorKind::InvalidInput);
    }
    assert!(names_in(DEV_SHM).is_empty(), "a create that failed has left something");
    assert_eq!(
        SemOptions::new().value(VALUE_MAX).create(&name).expect("create").value(),
        VALUE_MAX
    );
    assert_eq!(kind(SemOptions::new().mode(0o1000).create(&name)), ErrorKind::InvalidInput);
}

fn overflow() {
    let named = SemOptions::new().value(VALUE_MAX).create(&fresh_name()).expect("create");
    let unnamed = Shared::<UnnamedSem>::new(VALUE_MAX).expect("new");
    for sem in [&named as &dyn Semaphore, &unnamed] {
        let error = sem.post().expect_err("it is full");
        assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
        sem.try_wait().expect("there are many");
        sem.post().expect("there is room again");
    }
}

fn mode() {
    let name = fresh_name();
    for (mask, mode) in [(0o077, 0o666), (0o777, 0o640), (0, 0o600)] {
        let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
        let sem = SemOptions::new().mode(mode).create(&name).expect("create");
        rustix::process::umask(before);
        let stat = std::fs::metadata(path(&name)).expect("stat");
        assert_eq!(stat.permissions().mode() & 0o7777, mode);
        assert_eq!(stat.len(), size_of::<libc::sem_t>() as u64);
        drop(sem);
    }
}

fn wrong_types() {
    let name = fresh_name();
    let path = path(&name);
    let refused = || {
        let kind = kind(SemOptions::new().open(&name));
        assert!(matches!(kind, ErrorKind::WrongType { .. }), "{kind:?}");
        assert_eq!(self::kind(SemOptions::new().create(&name)), ErrorKind::AlreadyExists);
    };
    for bytes in [0, 1, size_of::<libc::sem_t>() - 1] {
        std::fs::write(&path, vec![0; bytes]).expect("write");
        refused();
    }
    std::fs::remove_file(&path).expect("remove");
    std::os::unix::fs::symlink("/etc/passwd", &path).expect("link");
    refused();
    std::fs::remove_file(&path).expect("remove");
    std::os::unix::net::UnixListener::bind(&path).map(drop).expect("bind");
    refused();
    std::fs::remove_file(&path).expect("remove");
    let fifo = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, fifo, 0).expect("fifo");
    refused();
    std::fs::remove_file(&path).expect("remove");
}

fn open_or_create() {
    for _ in 0..50 {
        let name = fresh_name();
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    let sem = SemOptions::new().value(7).open_or_create(&name).expect("either");
                    // Whole as soon as it can be found.
                    assert!(sem.value() <= 7 && sem.value() > 2, "{}", sem.value());
                    sem.wait_with(Wait::Never).expect("it has seven");
                    barrier.wait();
                    assert_eq!(sem.value(), 3, "they are not the same");
                    barrier.wait();
                });
            }
        });
        assert_eq!(kind(SemOptions::new().open(&name)), ErrorKind::NotFound);
    }
}

fn without_a_name() {
    let name = fresh_name();
    let ours = SemOptions::new().create(&name).expect("create");
    let theirs = SemOptions::new().open(&name).expect("open");
    ours.unlink().expect("unlink");
    let other = SemOptions::new().create(&name).expect("create");
    theirs.post().expect("post");
    assert_eq!((theirs.value(), other.value()), (1, 0));
    assert_eq!(kind(theirs.unlink()), ErrorKind::NotFound);
    assert!(path(&name).exists());
}

fn descriptors() {
    let name = fresh_name();
    let ours = SemOptions::new().value(2).create(&name).expect("create");
    let fd = ours.as_fd().try_clone_to_owned().expect("dup");
    let theirs = NamedSem::try_from(fd).expect("it is one");
    assert!(theirs.name().is_none());
    theirs.wait().expect("wait");
    assert_eq!(ours.value(), 1);
    let (pipe, _other) = std::io::pipe().expect("pipe");
    let back = NamedSem::try_from(OwnedFd::from(pipe)).map(drop).expect_err("a pipe");
    assert!(matches!(back.error.kind(), ErrorKind::WrongType { found: "a pipe or FIFO", .. }));
}

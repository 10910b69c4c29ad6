//! What has a name, and what must never have one.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use ipc_core::{Error, ErrorKind, Name, Region};
use ipc_shm::{PosixShmOptions, RegionExt};
use ipc_testkit::{Harness, Peer, names_in, say};

use crate::fixtures::{DEV_SHM, fresh};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("names/it_is_whole_when_it_appears", whole)
        .test("names/a_failed_initialisation_leaves_no_name", failed)
        .test("names/a_process_killed_in_its_initialisation_leaves_no_name", killed)
        .role("hangs_in_init", hangs_in_init)
        .test("names/a_name_that_is_taken_is_not_touched", taken)
        .test("names/what_is_no_memory_is_refused", refused)
        .test("names/the_mode_is_exact_whatever_the_umask", mode)
        .test("names/a_replaced_name_is_left_alone", replaced)
        .test("names/read_only_memory_follows_the_writer", read_only)
}

fn path(name: &Name) -> PathBuf {
    Path::new(DEV_SHM).join(name.as_os_str())
}

fn whole() {
    let name = fresh();
    let init = |memory: &dyn ipc_core::RegionMut| {
        assert!(!path(&name).exists(), "it has its name too early");
        memory.write_at(10, b"whole")
    };
    let _ours = PosixShmOptions::new().create_with(&name, init).expect("create");
    let mut text = [0; 5];
    let theirs = PosixShmOptions::new().open(&name).expect("open");
    theirs.read_at(10, &mut text).expect("read");
    assert_eq!(&text, b"whole");
}

fn failed() {
    let name = fresh();
    let no = |_: &dyn ipc_core::RegionMut| Err(Error::new(ErrorKind::Unsupported, "init"));
    let error = PosixShmOptions::new().create_with(&name, no).map(drop).expect_err("init failed");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(names_in(DEV_SHM), Vec::<String>::new());
}

fn killed() {
    let mut peer = Peer::cast("hangs_in_init").start();
    peer.expect("initialising");
    peer.kill();
    assert_eq!(names_in(DEV_SHM), Vec::<String>::new());
}

fn hangs_in_init() {
    let hang = |_: &dyn ipc_core::RegionMut| -> ipc_core::Result<()> {
        say("initialising");
        loop {
            std::thread::park();
        }
    };
    let _ = PosixShmOptions::new().create_with(&fresh(), hang);
}

fn taken() {
    let name = fresh();
    std::fs::write(path(&name), "somebody's").expect("write");
    let error = PosixShmOptions::new().create(&name).map(drop).expect_err("it is taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert_eq!(std::fs::read_to_string(path(&name)).expect("read"), "somebody's");
    std::fs::remove_file(path(&name)).expect("remove");
}

fn refused() {
    let name = fresh();
    let kind = || PosixShmOptions::new().open(&name).map(drop).map_err(|error| error.kind());
    assert_eq!(kind(), Err(ErrorKind::NotFound));

    std::fs::write(path(&name), "").expect("write");
    assert_eq!(kind(), Err(ErrorKind::Corrupted));
    std::fs::remove_file(path(&name)).expect("remove");

    std::fs::create_dir(path(&name)).expect("mkdir");
    assert!(matches!(kind(), Err(ErrorKind::WrongType { found: "a directory", .. })));
    std::fs::remove_dir(path(&name)).expect("remove");

    symlink("/etc/passwd", path(&name)).expect("symlink");
    assert!(matches!(kind(), Err(ErrorKind::WrongType { found: "a symbolic link", .. })));
    std::fs::remove_file(path(&name)).expect("remove");

    rustix::fs::mknodat(
        rustix::fs::CWD,
        path(&name),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("mkfifo");
    assert!(matches!(kind(), Err(ErrorKind::WrongType { found: "a pipe or FIFO", .. })));
    std::fs::remove_file(path(&name)).expect("remove");
}

fn mode() {
    let mask = rustix::fs::Mode::from_raw_mode(0o777);
    rustix::process::umask(mask);
    for mode in [0o600, 0o640, 0o666] {
        let name = fresh();
        let _memory = PosixShmOptions::new().mode(mode).create(&name).expect("create");
        let meta = std::fs::metadata(path(&name)).expect("stat");
        assert_eq!(meta.permissions().mode() & 0o7777, mode);
    }
    let error = PosixShmOptions::new().mode(0o1777).create(&fresh()).map(drop).expect_err("mode");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

fn replaced() {
    let name = fresh();
    let memory = PosixShmOptions::new().create(&name).expect("create");
    std::fs::remove_file(path(&name)).expect("remove");
    std::fs::write(path(&name), "another").expect("write");
    std::fs::set_permissions(path(&name), Permissions::from_mode(0o600)).expect("chmod");
    let error = memory.unlink().expect_err("the name is another file's");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(std::fs::read_to_string(path(&name)).expect("read"), "another");
    std::fs::remove_file(path(&name)).expect("remove");
}

fn read_only() {
    let name = fresh();
    let ours = PosixShmOptions::new().len(100).create(&name).expect("create");
    let theirs = PosixShmOptions::new().open_read_only(&name).expect("open");
    assert_eq!(theirs.len(), 100);
    ours.write_at(99, &[7]).expect("write");
    let mut byte = [0];
    theirs.read_at(99, &mut byte).expect("read");
    assert_eq!(byte, [7]);
}

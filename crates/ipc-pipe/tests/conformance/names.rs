//! Names that cannot be, and names that stand for something else.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use ipc_core::{ErrorKind, NameProblem, Named};
use ipc_pipe::{Fifo, FifoOptions};
use ipc_testkit::{Harness, dir, names_in_dir, need_root};
use rustix::process::geteuid;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("names/each_bad_path_is_its_own_error", each_bad_path_is_its_own_error)
        .test("names/what_is_not_a_fifo_is_wrong_type", what_is_not_a_fifo_is_wrong_type)
        .test("names/another_users_fifo_is_foreign", another_users_fifo_is_foreign)
        .test("names/missing_directory_is_not_found", missing_directory_is_not_found)
        .test("names/mode_is_exact_whatever_the_umask", mode_is_exact_whatever_the_umask)
        .test("names/a_mode_beyond_0777_is_refused", a_mode_beyond_0777_is_refused)
        .test("names/kept_name_stays", kept_name_stays)
        .test("names/a_replaced_name_is_left_alone", a_replaced_name_is_left_alone)
}

fn open_kind(path: &Path) -> ErrorKind {
    FifoOptions::new().open(path).expect_err("it cannot be opened").kind()
}

fn create_kind(path: &Path) -> ErrorKind {
    FifoOptions::new().create(path).expect_err("it cannot be created").kind()
}

fn each_bad_path_is_its_own_error() {
    let bytes = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let long = "x".repeat(256);
    let table = [
        (PathBuf::new(), NameProblem::Empty),
        (bytes(b"a\0b"), NameProblem::Nul { at: 1 }),
        (bytes(b"d\0r/name"), NameProblem::Nul { at: 1 }),
        (PathBuf::from("name/"), NameProblem::Slash { at: 4 }),
        (PathBuf::from("a/.."), NameProblem::Dot),
        (PathBuf::from("."), NameProblem::Dot),
        (PathBuf::from(&long), NameProblem::TooLong { len: 256, max: 255 }),
        (PathBuf::from("d/".repeat(2048) + "name"), NameProblem::TooLong { len: 4100, max: 4095 }),
    ];
    for (path, problem) in table {
        assert_eq!(create_kind(&path), ErrorKind::InvalidName(problem), "create {path:?}");
        assert_eq!(open_kind(&path), ErrorKind::InvalidName(problem), "open {path:?}");
    }
    // A component in the middle is the kernel's to refuse; it is an error all the same.
    create_kind(&dir().join(&long).join("name"));
}

fn what_is_not_a_fifo_is_wrong_type() {
    let base = dir();
    let fifo = FifoOptions::new().create(base.join("fifo")).expect("create");
    fs::write(base.join("file"), "text").expect("write a file");
    fs::create_dir(base.join("dir")).expect("make a directory");
    symlink(base.join("fifo"), base.join("link")).expect("make a link");
    for (name, found) in
        [("file", "a regular file"), ("dir", "a directory"), ("link", "a symbolic link")]
    {
        let path = base.join(name);
        assert_eq!(open_kind(&path), ErrorKind::WrongType { expected: "a FIFO", found });
        assert_eq!(create_kind(&path), ErrorKind::AlreadyExists, "create over {found}");
    }
    assert_eq!(super::fixtures::read(&base.join("file")), "text", "the file was touched");
    fs::remove_file(base.join("file")).expect("remove");
    fs::remove_file(base.join("link")).expect("remove");
    fs::remove_dir(base.join("dir")).expect("remove");
    drop(fifo);
}

fn another_users_fifo_is_foreign() {
    need_root("make another user's FIFO");
    let path = dir().join("fifo");
    let fifo = FifoOptions::new().create(&path).expect("create");
    std::os::unix::fs::chown(&path, Some(65534), None).expect("chown");
    assert_eq!(open_kind(&path), ErrorKind::ForeignOwner { uid: 65534 });
    FifoOptions::new().owner(65534).open(&path).expect("a trusted owner's FIFO opens");
    let other = FifoOptions::new().owner(4711).open(&path).expect_err("not that owner's");
    assert_eq!(other.kind(), ErrorKind::ForeignOwner { uid: 65534 });
    drop(fifo);
}

fn missing_directory_is_not_found() {
    let path = dir().join("missing").join("fifo");
    assert_eq!(create_kind(&path), ErrorKind::NotFound);
    assert_eq!(open_kind(&path), ErrorKind::NotFound);
}

fn mode_is_exact_whatever_the_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    for mode in [0o600, 0o622, 0o200, 0o666] {
        let fifo = FifoOptions::new().mode(mode).create(dir().join("fifo")).expect("create");
        let meta = fs::metadata(fifo.path()).expect("stat");
        assert_eq!(meta.permissions().mode() & 0o7777, mode);
        assert_eq!(meta.uid(), geteuid().as_raw());
    }
}

fn a_mode_beyond_0777_is_refused() {
    let error = FifoOptions::new().mode(0o4600).create(dir().join("fifo")).expect_err("setuid");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(names_in_dir().is_empty(), "something was left behind");
}

fn kept_name_stays() {
    let mut fifo = FifoOptions::new().create(dir().join("fifo")).expect("create");
    fifo.keep();
    drop(fifo);
    assert_eq!(names_in_dir(), ["fifo"]);
    FifoOptions::new().open(dir().join("fifo")).expect("open").unlink().expect("unlink");
}

fn a_replaced_name_is_left_alone() {
    let path = dir().join("fifo");
    let fifo = FifoOptions::new().create(&path).expect("create");
    fs::remove_file(&path).expect("remove");
    let other = FifoOptions::new().create(&path).expect("create another");
    let error = fifo.unlink().expect_err("it is not ours any more");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    <Fifo as Named>::open(&path, &FifoOptions::new()).expect("the other one is still there");
    other.unlink().expect("unlink");
}

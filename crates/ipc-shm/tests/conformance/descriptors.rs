//! Memory that came as a descriptor: what is checked before it is mapped.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use ipc_core::{ErrorKind, Region};
use ipc_shm::{MapOptions, Memfd, MemfdOptions, ReadOnly, ReadWrite, RegionExt, Seals};
use ipc_testkit::{Harness, dir};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("descriptors/memory_that_can_be_shortened_is_not_mapped", not_sealed)
        .test("descriptors/what_is_no_memory_comes_back", no_memory)
        .test("descriptors/memory_without_a_byte_is_refused", no_byte)
        .test("descriptors/nobody_can_shorten_or_seal_ours", sealed)
        .test("descriptors/one_writer_leaves_the_others_reading", one_writer)
        .test("descriptors/frozen_memory_never_changes", frozen)
        .test("descriptors/absurd_lengths_are_refused", lengths)
        .test("descriptors/what_was_granted_is_told", granted)
}

fn memfd(len: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = memfd_create("test", flags).expect("memfd_create");
    ftruncate(&fd, len).expect("ftruncate");
    fcntl_add_seals(&fd, seals).expect("seal");
    fd
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("maps").lines().count()
}

#[track_caller]
fn refused<A: ipc_shm::Access>(fd: OwnedFd) -> ErrorKind {
    let (number, before) = (fd.as_raw_fd(), mappings());
    let rejected = Memfd::<A>::try_from(fd).map(drop).expect_err("it must be refused");
    assert_eq!(rejected.value.as_raw_fd(), number, "another descriptor came back");
    assert_eq!(mappings(), before, "something was mapped");
    rejected.error.kind()
}

fn not_sealed() {
    for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::GROW, SealFlags::WRITE] {
        let kind = refused::<ReadOnly>(memfd(4096, seals));
        assert!(matches!(kind, ErrorKind::WrongType { found, .. } if found.contains("shorten")));
    }
}

fn no_memory() {
    let path = dir().join("file");
    std::fs::write(&path, "a file").expect("write");
    let kind = refused::<ReadOnly>(File::open(&path).expect("open").into());
    assert!(matches!(kind, ErrorKind::WrongType { found: "a regular file", .. }), "{kind:?}");
    std::fs::remove_file(path).expect("remove");
    let (pipe, _) = std::io::pipe().expect("pipe");
    let kind = refused::<ReadOnly>(pipe.into());
    assert!(matches!(kind, ErrorKind::WrongType { found: "a pipe or FIFO", .. }), "{kind:?}");
}

fn no_byte() {
    let both = SealFlags::SHRINK | SealFlags::GROW;
    assert_eq!(refused::<ReadWrite>(memfd(0, both)), ErrorKind::InvalidInput);
}

fn sealed() {
    let memory = MemfdOptions::new(4096).create().expect("create");
    assert!(memory.seals().expect("seals").contain(Seals::SIZE));
    assert!(ftruncate(&memory, 0).is_err(), "it was shortened");
    assert!(ftruncate(&memory, 8192).is_err(), "it has grown");
    assert!(fcntl_add_seals(&memory, SealFlags::WRITE).is_err(), "a seal was added");
}

fn one_writer() {
    let ours = MemfdOptions::new(4096).one_writer().create().expect("create");
    let copy = || ours.as_fd().try_clone_to_owned().expect("dup");
    assert_eq!(refused::<ReadWrite>(copy()), ErrorKind::PermissionDenied);
    let theirs = Memfd::<ReadOnly>::try_from(copy()).expect("reading is allowed");
    ours.write_at(5, b"seen").expect("write");
    let mut seen = [0; 4];
    theirs.read_at(5, &mut seen).expect("read");
    assert_eq!(&seen, b"seen");
}

fn frozen() {
    let memory = MemfdOptions::new(100).freezable().create().expect("create");
    memory.write_at(0, b"for ever").expect("write");
    let other = Memfd::<ReadWrite>::try_from(memory.as_fd().try_clone_to_owned().expect("dup"))
        .expect("map it twice");
    let rejected = memory.freeze().map(drop).expect_err("somebody may still write");
    assert_eq!(rejected.error.raw_os_error(), Some(libc::EBUSY));
    let memory = Memfd::<ReadWrite>::try_from(rejected.value).expect("it is as it was");
    drop(other);
    let memory = memory.freeze().expect("nobody writes");
    let mut text = [0; 8];
    memory.read_at(0, &mut text).expect("read");
    assert_eq!(&text, b"for ever");
    assert_eq!(memory.len(), 100);
    let copy = memory.as_fd().try_clone_to_owned().expect("dup");
    assert_eq!(refused::<ReadWrite>(copy), ErrorKind::PermissionDenied);
    let sealed = MemfdOptions::new(100).create().expect("create");
    let error = sealed.freeze().map(drop).expect_err("it is not freezable").error;
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

fn lengths() {
    for len in [0, usize::MAX, isize::MAX as usize + 1] {
        let error = MemfdOptions::new(len).create().map(drop).expect_err("absurd");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{len}");
    }
    let error = MemfdOptions::new(1 << 60).create().map(drop).expect_err("too much");
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
}

fn granted() {
    let ask = MapOptions::new().prefault(true).lock(true).huge_pages(true);
    let memory = MemfdOptions::new(1 << 16).map(ask).create().expect("create");
    let granted = memory.granted();
    assert!(granted.prefault.is_granted(), "{granted:?}");
    // Every page is there, without a touch of ours.
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
    let ours = smaps.split_once("ipc-shm").expect("it is mapped").1;
    let rss = ours.lines().find(|line| line.starts_with("Rss:")).expect("Rss");
    assert!(rss.contains(" 64 kB"), "{rss}");
    let plain = MemfdOptions::new(1 << 16).create().expect("create");
    assert_eq!(plain.granted().prefault, ipc_shm::Grant::NotAsked);
}

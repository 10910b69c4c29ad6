//! Memory that its sender cannot change any more, and what pretends to be.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, RecvMsg, SendMsg};
use ipc_sock::unix::{SealedMemfd, Seals};
use ipc_testkit::{Descriptors, Harness, dir};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};

use super::tools::{NEW, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/sealed/what_is_sealed_enough_arrives", what_is_sealed_enough_arrives)
        .test("unix/sealed/nobody_can_change_it", nobody_can_change_it)
        .test("unix/sealed/what_is_not_sealed_is_wrong_type", what_is_not_sealed)
        .test("unix/sealed/a_message_with_none_or_several_is_wrong_type", none_or_several)
        .test("unix/sealed/a_rejected_descriptor_comes_back", rejected_comes_back)
        .test("unix/sealed/more_than_the_reader_wants_is_too_large", too_large)
}

/// What makes up [`Seals::SIZE`].
const SIZE: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

fn memfd(flags: MemfdFlags, seals: SealFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("sealed", flags | MemfdFlags::CLOEXEC).expect("memfd");
    rustix::io::write(&fd, b"contents").expect("write");
    if !seals.is_empty() {
        rustix::fs::fcntl_add_seals(&fd, seals).expect("seal");
    }
    fd
}

/// The same memory, opened once more.
fn reopen(fd: &impl AsFd, flags: OFlags) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).expect("open")
}

/// What arrives of a message with these descriptors, in both ways that messages can come.
fn arrive(fds: &[BorrowedFd<'_>], seals: Seals) -> Result<SealedMemfd, Error> {
    let (tx, mut rx) = NEW.pair_seqpacket()?;
    tx.send_message(b"look", fds, soon())?;
    let packet = rx.recv_sealed(&mut [0; 8], seals, soon());
    let (tx, mut rx) = NEW.pair_datagram()?;
    tx.send_message(b"look", fds, soon())?;
    let datagram = rx.recv_sealed(&mut [0; 8], seals, soon());
    let datagram = datagram.map(|(len, memfd)| (len, memfd.len()));
    assert_eq!(packet.as_ref().map(|(len, it)| (*len, it.len())), datagram.as_ref().copied());
    packet.map(|(_, memfd)| memfd)
}

fn what_is_sealed_enough_arrives() -> Result<(), Error> {
    let size = memfd(MemfdFlags::ALLOW_SEALING, SIZE);
    assert_eq!(arrive(&[size.as_fd()], Seals::SIZE)?.read(8)?, b"contents");
    // Its contents can change, which is what was asked for.
    rustix::io::pwrite(&size, b"C", 0).expect("write");
    let contents = memfd(MemfdFlags::ALLOW_SEALING, SIZE | SealFlags::WRITE);
    for seals in [Seals::SIZE, Seals::CONTENTS] {
        let came = arrive(&[contents.as_fd()], seals)?;
        assert_eq!((came.len(), came.read(100)?), (8, b"contents".to_vec()));
    }
    let read_only = reopen(&contents, OFlags::RDONLY);
    assert_eq!(arrive(&[read_only.as_fd()], Seals::CONTENTS)?.read(8)?, b"contents");
    let empty = SealedMemfd::new(b"")?;
    assert_eq!(arrive(&[empty.as_fd()], Seals::CONTENTS)?.read(0)?, b"");
    Ok(())
}

fn nobody_can_change_it() -> Result<(), Error> {
    let ours = SealedMemfd::new(&[7; 10_000])?;
    let came = File::from(OwnedFd::from(arrive(&[ours.as_fd()], Seals::CONTENTS)?));
    assert!((&came).write_all(b"x").is_err(), "it can be written");
    assert!(came.set_len(1).is_err() && came.set_len(20_000).is_err(), "its size can change");
    let more = rustix::fs::fcntl_add_seals(&came, SealFlags::FUTURE_WRITE);
    assert!(more.is_err(), "seals can be added");
    assert_eq!(ours.read(10_000)?, [7; 10_000]);
    Ok(())
}

fn what_is_not_sealed() {
    let both = &[Seals::SIZE, Seals::CONTENTS][..];
    let changes = "a memfd that its sender can still change";
    let unread = "a descriptor that cannot be read from";
    let allow = MemfdFlags::ALLOW_SEALING;
    let sealed = SealedMemfd::new(b"contents").expect("memfd");
    let file = File::create_new(dir().join("file")).expect("create");
    std::fs::remove_file(dir().join("file")).expect("remove");
    let table: [(OwnedFd, &[Seals], &str); 10] = [
        (memfd(allow, SealFlags::empty()), both, changes),
        (memfd(allow, SealFlags::SHRINK | SealFlags::GROW), both, changes),
        (memfd(allow, SealFlags::SHRINK | SealFlags::WRITE | SealFlags::SEAL), both, changes),
        (memfd(allow, SIZE), &[Seals::CONTENTS], changes),
        (memfd(MemfdFlags::empty(), SealFlags::empty()), both, changes),
        (reopen(&sealed, OFlags::PATH), both, unread),
        (reopen(&memfd(allow, SIZE), OFlags::WRONLY), both, unread),
        (reopen(&file, OFlags::RDONLY), both, ""),
        (std::io::pipe().expect("pipe").0.into(), both, "a pipe or FIFO"),
        (NEW.datagram().expect("socket").into(), both, "a socket"),
    ];
    for (fd, seals, found) in table {
        for seals in seals {
            let error = arrive(&[fd.as_fd()], *seals).expect_err("it is not sealed");
            let ErrorKind::WrongType { expected, found: it } = error.kind() else {
                panic!("{error}")
            };
            assert_eq!(expected, "a memfd with the seals that were asked for");
            // What a regular file is found to be depends on whether /tmp is a tmpfs.
            assert!(it == found || found.is_empty(), "{error}");
        }
    }
}

fn none_or_several() -> Result<(), Error> {
    let memfd = SealedMemfd::new(b"contents")?;
    let before = Descriptors::now();
    for (fds, found) in [
        (vec![], "a message without one"),
        (vec![memfd.as_fd(); 2], "a message with several"),
        (vec![memfd.as_fd(); 253], "a message with several"),
    ] {
        let error = arrive(&fds, Seals::SIZE).expect_err("it must be one");
        let expected = "a message with one descriptor";
        assert_eq!(error.kind(), ErrorKind::WrongType { expected, found });
    }
    assert_eq!(Descriptors::now().since(&before).0.len(), 0, "leaked");
    // The connection goes on.
    let (mut tx, mut rx) = NEW.pair_seqpacket()?;
    tx.send(b"none")?;
    tx.send(b"next")?;
    assert!(rx.recv_sealed(&mut [0; 8], Seals::SIZE, soon()).is_err());
    assert_eq!(rx.recv(&mut [0; 8]), Ok(4));
    Ok(())
}

fn rejected_comes_back() {
    let fd = memfd(MemfdFlags::ALLOW_SEALING, SealFlags::empty());
    let number = fd.as_raw_fd();
    let rejected = SealedMemfd::check(fd, Seals::SIZE).expect_err("it is not sealed");
    assert_eq!(rejected.value.as_raw_fd(), number);
    assert!(matches!(rejected.error.kind(), ErrorKind::WrongType { .. }));
}

fn too_large() -> Result<(), Error> {
    // A terabyte, without a page of memory.
    let fd = memfd(MemfdFlags::ALLOW_SEALING, SealFlags::empty());
    rustix::fs::ftruncate(&fd, 1 << 40).expect("ftruncate");
    rustix::fs::fcntl_add_seals(&fd, SIZE).expect("seal");
    let came = arrive(&[fd.as_fd()], Seals::SIZE)?;
    assert_eq!(came.len(), 1 << 40);
    let error = came.read(1 << 20).expect_err("more than that");
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 1 << 40, max: 1 << 20 });
    Ok(())
}

//! The file of a socket: its mode, its owner, and when it goes.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use ipc_core::{Error, ErrorKind, Handoff, Listen, RecvMsg, Wait};
use ipc_sock::unix::{Listener, Stream};
use ipc_testkit::{Harness, NOBODY, Peer, dir, hear, is_root, names_in_dir, need_root, say};
use rustix::fs::Mode;

use super::sys::in_a_forked_copy;
use super::tools::{NEW, kind_of, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/bind/mode_is_exact_whatever_the_umask", mode_is_exact_whatever_the_umask)
        .test("unix/bind/a_mode_beyond_0777_is_refused", a_mode_beyond_0777_is_refused)
        .test("unix/bind/owner_and_group_are_set", owner_and_group_are_set)
        .test("unix/bind/the_name_goes_with_its_value", the_name_goes_with_its_value)
        .test("unix/bind/a_kept_name_stays", a_kept_name_stays)
        .test("unix/bind/unlink_closes_and_removes", unlink_closes_and_removes)
        .test("unix/bind/a_replaced_name_is_left_alone", a_replaced_name_is_left_alone)
        .test("unix/bind/a_forked_copy_removes_nothing", a_forked_copy_removes_nothing)
        .test("unix/bind/a_copy_that_was_handed_over_removes_nothing", handed_over_removes_nothing)
        .role("unix/bind/accepts_one", accepts_one)
        .test("unix/bind/a_change_of_directory_does_not_matter", a_change_of_directory)
        .test("unix/bind/a_listener_that_fails_leaves_no_name", a_listener_that_fails)
        .test("unix/bind/a_datagram_name_for_anybody_is_asked_for", a_datagram_name_for_anybody)
}

fn mode_is_exact_whatever_the_umask() {
    for umask in [0o077, 0, 0o777] {
        rustix::process::umask(Mode::from_raw_mode(umask));
        for mode in [0o600, 0o622, 0o200, 0o666, 0o777] {
            let options = NEW.mode(mode);
            let mode_of = || fs::metadata(path()).expect("stat").permissions().mode() & 0o7777;
            let listener = options.listen(path()).expect("listen");
            assert_eq!(mode_of(), mode, "umask {umask:o}");
            drop(listener);
            let _log = options.bind_datagram(path()).expect("bind");
            assert_eq!(mode_of(), mode, "umask {umask:o}");
        }
    }
}

fn a_mode_beyond_0777_is_refused() {
    assert_eq!(kind_of(NEW.mode(0o4600).listen(path())), ErrorKind::InvalidInput);
    assert!(names_in_dir().is_empty(), "something was left behind");
}

fn owner_and_group_are_set() {
    need_root("give files to another user");
    let meta = || fs::metadata(path()).expect("stat");
    let listener = NEW.mode(0o660).owner(None, Some(NOBODY)).listen(path()).expect("listen");
    assert_eq!((meta().uid(), meta().gid(), meta().mode() & 0o7777), (0, NOBODY, 0o660));
    drop(listener);
    let listener = NEW.owner(Some(NOBODY), None).listen(path()).expect("listen");
    assert_eq!((meta().uid(), meta().gid(), meta().mode() & 0o7777), (NOBODY, 0, 0o600));
    drop(listener);
    assert!(names_in_dir().is_empty(), "a name that was given away is still this process's");
}

fn the_name_goes_with_its_value() {
    drop(NEW.listen(path()).expect("listen"));
    drop(NEW.listen_seqpacket(path()).expect("listen"));
    let log = NEW.bind_datagram(path()).expect("bind");
    drop(log.try_clone().expect("clone"));
    assert_eq!(names_in_dir(), ["socket"], "a second value removed the name");
    drop(log);
    assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
}

fn a_kept_name_stays() {
    let mut listener = NEW.listen(path()).expect("listen");
    listener.keep();
    drop(listener);
    assert_eq!(names_in_dir(), ["socket"]);
    let mut log = NEW.bind_datagram(path()).expect("it is stale");
    log.keep();
    drop(log);
    assert_eq!(names_in_dir(), ["socket"]);
    NEW.listen(path()).expect("it is stale").unlink().expect("unlink");
}

fn unlink_closes_and_removes() {
    let listener = NEW.listen(path()).expect("listen");
    let _client = NEW.connect(path(), soon()).expect("connect");
    let server = listener.accept().expect("accept");
    listener.unlink().expect("unlink");
    assert!(names_in_dir().is_empty());
    assert_eq!(server.available(), Ok(0), "connections stay");
    NEW.bind_datagram(path()).expect("bind").unlink().expect("unlink");
    assert!(names_in_dir().is_empty());
}

fn a_replaced_name_is_left_alone() {
    let listener = NEW.listen(path()).expect("listen");
    fs::remove_file(path()).expect("remove");
    let other = NEW.listen(path()).expect("the name is free");
    let error = listener.unlink().expect_err("it is not ours any more");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    NEW.connect(path(), soon()).expect("the other one is still there");
    fs::remove_file(path()).expect("remove");
    fs::write(path(), "text").expect("write a file");
    drop(other);
    assert_eq!(fs::read_to_string(path()).expect("it is still there"), "text");
    fs::remove_file(path()).expect("remove");
}

fn a_forked_copy_removes_nothing() {
    let mut values = Some((
        NEW.listen(path()).expect("listen"),
        NEW.bind_datagram(dir().join("log")).expect("bind"),
    ));
    in_a_forked_copy(|| drop(values.take()));
    assert_eq!(names_in_dir(), ["log", "socket"], "the copy has removed a name");
    NEW.connect(path(), soon()).expect("connect");
    drop(values);
    assert!(names_in_dir().is_empty());
}

fn handed_over_removes_nothing() {
    let listener = NEW.listen(path()).expect("listen");
    let mut peer = Peer::cast("unix/bind/accepts_one");
    listener.give(peer.command(), "listener").expect("give");
    let mut peer = peer.start();
    peer.expect("ready");
    assert_eq!(names_in_dir(), ["socket"], "the parent's copy has removed the name");
    NEW.connect(path(), soon()).expect("connect");
    peer.expect("accepted");
    peer.tell("end");
    peer.join();
    assert_eq!(names_in_dir(), ["socket"], "the child has removed the name");
    fs::remove_file(path()).expect("remove");
}

fn accepts_one() -> Result<(), Error> {
    let listener = Listener::<Stream>::adopt("listener")?;
    say("ready");
    listener.accept()?;
    say("accepted");
    assert_eq!(hear(), "end");
    drop(listener);
    Ok(())
}

fn a_change_of_directory() {
    let (here, there) = (dir().join("here"), dir().join("there"));
    for directory in [&here, &there] {
        fs::create_dir(directory).expect("mkdir");
    }
    std::env::set_current_dir(&here).expect("chdir");
    let ours = NEW.listen("socket").expect("listen");
    std::env::set_current_dir(&there).expect("chdir");
    let others = NEW.listen("socket").expect("listen");
    drop(ours);
    assert_eq!(fs::read_dir(&here).expect("list").count(), 0, "left behind");
    assert_eq!(fs::read_dir(&there).expect("list").count(), 1, "the other one was removed");
    drop(others);
    fs::remove_dir(here).expect("rmdir");
    fs::remove_dir(there).expect("rmdir");
}

/// Whatever fails after the name was made, for want of descriptors.
fn a_listener_that_fails() {
    let mut failed = 0;
    for free in 0..8 {
        let made = ipc_testkit::with_free_descriptors(free, || NEW.listen(path()));
        match made {
            Ok(listener) => drop(listener),
            Err(error) => {
                super::tools::is_limit(&error, "RLIMIT_NOFILE");
                failed += 1;
            }
        }
        assert!(names_in_dir().is_empty(), "with {free} descriptors: {:?}", names_in_dir());
    }
    assert_eq!(failed, 3, "a socket, its directory and its inode");
    if is_root() {
        return;
    }
    // A user who may not give files away.
    assert_eq!(kind_of(NEW.owner(Some(1), None).listen(path())), ErrorKind::PermissionDenied);
    assert!(names_in_dir().is_empty());
}

fn a_datagram_name_for_anybody() -> Result<(), Error> {
    let name = super::tools::abstract_name();
    assert_eq!(kind_of(NEW.bind_datagram(&name)), ErrorKind::InvalidInput);
    let mut log = NEW.trust(ipc_sock::unix::Trust::Anyone).bind_datagram(&name)?;
    NEW.datagram()?.send_to(b"x", &name, Wait::Never)?;
    assert_eq!(log.try_recv(&mut [0; 8]), Ok(1));
    assert_eq!(OwnedFd::from(log).try_clone().map(drop).map_err(|it| it.kind()), Ok(()));
    Ok(())
}

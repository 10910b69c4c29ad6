//! Names that cannot be, names that stand for something else, and names as text.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use ipc_core::{Error, ErrorKind, Listen, NameProblem, RecvMsg, Wait};
use ipc_sock::unix::{Address, Datagram, Stream, ToAddress, Trust};
use ipc_testkit::{Harness, Peer, become_nobody, dir, names_in_dir, need_root};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType};

use super::tools::{NEW, kind_of, open_directory, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/names/each_bad_path_is_its_own_error", each_bad_path_is_its_own_error)
        .test("unix/names/a_path_of_107_bytes_just_fits", a_path_of_107_bytes_just_fits)
        .test("unix/names/a_path_without_a_nul_is_read_whole", a_path_without_a_nul)
        .test("unix/names/an_abstract_name_may_have_any_bytes", abstract_names_of_any_bytes)
        .test("unix/names/missing_directory_is_not_found", missing_directory_is_not_found)
        .test("unix/names/what_is_not_a_socket_is_wrong_type", what_is_not_a_socket_is_wrong_type)
        .test("unix/names/a_link_is_followed_by_clients_alone", a_link_is_followed_by_clients_alone)
        .test("unix/names/permission_denied_is_its_own_error", permission_denied)
        .role("unix/names/nobody_is_denied", nobody_is_denied)
        .test("unix/names/text_of_a_name_is_read_again", text_of_a_name_is_read_again)
        .test("unix/names/text_that_means_nothing_is_refused", text_that_means_nothing)
        .test("unix/names/ends_know_their_names", ends_know_their_names)
}

/// What each way to use a name says of it.
fn kinds(address: impl ToAddress) -> [ErrorKind; 4] {
    let sender = NEW.datagram().expect("socket");
    [
        kind_of(NEW.listen(&address)),
        kind_of(NEW.bind_datagram(&address)),
        kind_of(NEW.connect(&address, Wait::Forever)),
        kind_of(sender.send_to(b"x", &address, Wait::Forever)),
    ]
}

fn each_bad_path_is_its_own_error() {
    let bytes = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let long = NameProblem::TooLong { len: 108, max: 107 };
    let table = [
        (PathBuf::new(), NameProblem::Empty),
        (bytes(b"a\0b"), NameProblem::Nul { at: 1 }),
        (bytes(b"\0b"), NameProblem::Nul { at: 0 }),
        (PathBuf::from("x".repeat(108)), long),
        (PathBuf::from("d/".repeat(54)), long),
    ];
    for (path, problem) in table {
        assert_eq!(kinds(&path), [ErrorKind::InvalidName(problem); 4], "{path:?}");
    }
    for (path, problem) in [
        ("name/", NameProblem::Slash { at: 4 }),
        (".", NameProblem::Dot),
        ("a/..", NameProblem::Dot),
    ] {
        assert_eq!(kind_of(NEW.listen(path)), ErrorKind::InvalidName(problem), "{path:?}");
    }
    let of_abstract = |len: usize| kind_of(Address::abstract_name(vec![b'x'; len]));
    assert_eq!(of_abstract(0), ErrorKind::InvalidName(NameProblem::Empty));
    assert_eq!(of_abstract(108), ErrorKind::InvalidName(long));
}

fn a_path_of_107_bytes_just_fits() {
    let room = 107 - dir().as_os_str().len() - 1;
    let path = dir().join("x".repeat(room));
    let listener = NEW.listen(&path).expect("listen");
    assert_eq!(listener.local_address().expect("name").as_path(), Some(path.as_path()));
    let _client = NEW.connect(&path, soon()).expect("connect");
    listener.try_accept().expect("accept");
    // Also where something stale is in the way, for which there are longer names beside it.
    drop(std::os::unix::net::UnixListener::from(std::os::fd::OwnedFd::from(listener)));
    drop(NEW.listen(&path).expect("listen"));
}

/// The kernel takes paths that fill all of `sun_path`, which have no room for a NUL.
fn a_path_without_a_nul() -> Result<(), Error> {
    let mut log = NEW.bind_datagram(path())?;
    let long = dir().join("x".repeat(108 - dir().as_os_str().len() - 1));
    let sender = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).expect("socket");
    rustix::net::bind(&sender, &SocketAddrUnix::new(&long).expect("a path")).expect("bind");
    let to = SocketAddrUnix::new(path()).expect("a path");
    rustix::net::sendto(&sender, b"hello", SendFlags::empty(), &to).expect("send");
    let message = log.recv_message(&mut [0; 8], soon())?;
    assert_eq!(message.sender.as_path(), Some(long.as_path()));
    let sender = Datagram::try_from(sender)?;
    assert_eq!(sender.local_address()?.as_path(), Some(long.as_path()));
    fs::remove_file(&long).expect("remove");
    // The peer of a connection, which must not harm who asks for its name.
    let listener =
        rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("socket");
    let long = SocketAddrUnix::new(&long).expect("a path");
    rustix::net::bind(&listener, &long).expect("bind");
    rustix::net::listen(&listener, 1).expect("listen");
    let conn = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("socket");
    rustix::net::connect(&conn, &long).expect("connect");
    let peer = Stream::try_from(conn)?.peer_address()?;
    assert_eq!(peer, sender.local_address()?);
    fs::remove_file(peer.as_path().expect("a path")).expect("remove");
    Ok(())
}

fn abstract_names_of_any_bytes() {
    let mut name = ipc_testkit::unique_name().into_bytes();
    name.extend(b"\0a\xff\0");
    name.resize(107, 0);
    let address = Address::abstract_name(&name).expect("a name");
    let listener = NEW.listen(&address).expect("listen");
    assert_eq!(listener.local_address().expect("name").as_abstract_name(), Some(&name[..]));
    assert_eq!(kind_of(NEW.listen(&address)), ErrorKind::AlreadyExists);
    let shorter = Address::abstract_name(&name[..106]).expect("a name");
    assert_eq!(kind_of(NEW.connect(&shorter, soon())), ErrorKind::ConnectionRefused);
    let client = NEW.connect(&address, soon()).expect("connect");
    assert_eq!(client.peer_address(), Ok(address));
    // A datagram socket with such a name, whom it comes from.
    name[106] = 1;
    let address = Address::abstract_name(&name).expect("a name");
    let anyone = NEW.trust(Trust::Anyone);
    let mut rx = anyone.bind_datagram(&address).expect("bind");
    rx.send_to(b"to myself", &address, Wait::Never).expect("send");
    let message = rx.recv_message(&mut [0; 16], Wait::Never).expect("receive");
    assert_eq!((message.len, message.sender), (9, address));
}

fn missing_directory_is_not_found() {
    fs::write(dir().join("file"), "text").expect("write a file");
    for directory in ["missing", "file"] {
        let path = dir().join(directory).join("socket");
        assert_eq!(kinds(&path), [ErrorKind::NotFound; 4], "{directory}");
    }
    fs::remove_file(dir().join("file")).expect("remove");
    // The directory is there, and nothing in it.
    let sender = NEW.datagram().expect("socket");
    assert_eq!(kind_of(NEW.connect(path(), soon())), ErrorKind::NotFound);
    assert_eq!(kind_of(sender.send_to(b"x", path(), soon())), ErrorKind::NotFound);
}

fn what_is_not_a_socket_is_wrong_type() {
    fs::write(dir().join("file"), "text").expect("write a file");
    fs::create_dir(dir().join("dir")).expect("make a directory");
    for (name, found) in [("file", "a regular file"), ("dir", "a directory")] {
        let wrong = ErrorKind::WrongType { expected: "a socket", found };
        assert_eq!(kinds(dir().join(name)), [wrong; 4]);
    }
    assert_eq!(fs::read_to_string(dir().join("file")).expect("read"), "text");
    assert_eq!(names_in_dir(), ["dir", "file"], "something was left behind");
    fs::remove_file(dir().join("file")).expect("remove");
    fs::remove_dir(dir().join("dir")).expect("remove");
}

fn a_link_is_followed_by_clients_alone() {
    let (link, dangling) = (dir().join("link"), dir().join("dangling"));
    let listener = NEW.listen(path()).expect("listen");
    symlink(path(), &link).expect("make a link");
    symlink(dir().join("nothing"), &dangling).expect("make a link");
    let wrong = ErrorKind::WrongType { expected: "a socket", found: "a symbolic link" };
    assert_eq!(kind_of(NEW.listen(&link)), wrong);
    assert_eq!(kind_of(NEW.listen(&dangling)), wrong);
    NEW.connect(&link, soon()).expect("connect");
    listener.try_accept().expect("accept");
    assert_eq!(kind_of(NEW.connect(&dangling, soon())), ErrorKind::NotFound);
    drop(listener);
    assert_eq!(names_in_dir(), ["dangling", "link"]);
    fs::remove_file(link).expect("remove");
    fs::remove_file(dangling).expect("remove");
}

fn permission_denied() {
    need_root("become another user");
    open_directory(0o711);
    let _private = NEW.listen(path()).expect("listen");
    let _log = NEW.bind_datagram(dir().join("log")).expect("bind");
    Peer::start("unix/names/nobody_is_denied").join();
}

fn nobody_is_denied() {
    become_nobody();
    let denied = ErrorKind::PermissionDenied;
    assert_eq!(kind_of(NEW.listen(dir().join("new"))), denied);
    assert_eq!(kind_of(NEW.connect(path(), soon())), denied);
    let sender = NEW.trust(Trust::User(0)).datagram().expect("socket");
    assert_eq!(kind_of(sender.send_to(b"x", dir().join("log"), soon())), denied);
    assert_eq!(kind_of(sender.connect(dir().join("log"))), denied);
    // Somebody else's socket is in the way.
    assert_eq!(kind_of(NEW.listen(path())), denied, "it cannot even make a lock file there");
}

fn text_of_a_name_is_read_again() {
    let config = Config { failure_persistence: None, cases: 2000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let names = prop::collection::vec(any::<u8>(), 1..=107);
    let result = runner.run(&names, |name| {
        let address = Address::abstract_name(&name).expect("a name");
        let text = address.to_string();
        prop_assert!(text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_control()));
        prop_assert_eq!(text.parse(), Ok(address));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let result = runner.run(&"[^\0]{1,26}", |text| {
        let address = Address::path(&text).expect("a path");
        let again: Address = address.to_string().parse().expect("a name");
        // The same file, if not the same text.
        let same = std::path::Path::new("/d").join(again.as_path().expect("a path"));
        let wanted = std::path::Path::new("/d").join(&text);
        prop_assert!(same.components().eq(wanted.components()), "{} {}", text, again);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn text_that_means_nothing() {
    let parse = |text: &str| kind_of(text.parse::<Address>());
    for text in ["@\\", "@\\q", "@\\x", "@\\x1", "@\\xg0", "@\\x-1", "@\\x+1"] {
        assert_eq!(parse(text), ErrorKind::InvalidInput, "{text}");
    }
    assert_eq!(parse("@"), ErrorKind::InvalidName(NameProblem::Empty));
    assert_eq!(parse(""), ErrorKind::InvalidName(NameProblem::Empty));
    let long = "\\x00".repeat(108);
    let too_long = NameProblem::TooLong { len: 108, max: 107 };
    assert_eq!(parse(&format!("@{long}")), ErrorKind::InvalidName(too_long));
    assert_eq!("@\\x00".parse(), Address::abstract_name([0]));
    assert_eq!("./@a".parse(), Address::path("./@a"));
}

fn ends_know_their_names() -> Result<(), Error> {
    let listener = NEW.listen_seqpacket(path())?;
    let client = NEW.connect_seqpacket(path(), soon())?;
    let mut server = listener.accept()?;
    let name = Address::path(path())?;
    assert_eq!((client.peer_address()?, server.local_address()?), (name.clone(), name));
    assert!(client.local_address()?.is_unnamed() && server.peer_address()?.is_unnamed());
    drop(client);
    assert_eq!(kind_of(server.recv(&mut [0; 8])), ErrorKind::Disconnected);
    assert!(server.peer_address()?.is_unnamed(), "it stays");
    assert!(NEW.datagram()?.local_address()?.is_unnamed());
    let (one, _two) = NEW.pair()?;
    assert!(one.peer_address()?.is_unnamed());
    Ok(())
}

//! What only POSIX queues do, and how they refuse.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Name, NameProblem, Named, RecvMsg, SendMsg, Wait};
use ipc_mq::posix::{self, Access, Priority, Queue, QueueOptions, Receiver, Sender};
use ipc_testkit::{Harness, Peer, block, need_root};
use rustix::fs::OFlags;

use crate::fixtures::{fresh_name, traces};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("posix/bad_names_are_each_their_own_error", bad_names)
        .test("posix/bad_options_are_invalid_input", bad_options)
        .test("posix/a_name_of_255_bytes_works", longest_name)
        .test("posix/sizes_are_what_was_asked_for", sizes)
        .test("posix/mode_is_exact_whatever_the_umask", exact_mode)
        .test("posix/another_users_queue_is_foreign", foreign)
        .test("posix/wrong_access_is_permission_denied", wrong_access)
        .test("posix/priority_beats_age_and_age_decides_within", priorities)
        .test("posix/a_kept_message_is_not_overtaken_nor_given_away", kept_message)
        .test("posix/nonblocking_of_a_peer_does_not_end_a_wait", shared_nonblocking)
        .test("posix/what_is_not_that_end_comes_back", wrong_descriptors)
        .test("posix/a_kept_name_stays", kept_name)
        .test("posix/a_handoff_is_adopted_once", handoff)
        .role("adopts_twice", adopts_twice)
        .test("posix/create_or_open_creates_once", create_or_open)
}

fn bad_names() {
    let table = [
        (String::new(), NameProblem::Empty),
        ("/slash".into(), NameProblem::Slash { at: 0 }),
        ("in/between".into(), NameProblem::Slash { at: 2 }),
        ("a\0b".into(), NameProblem::Nul { at: 1 }),
        ("..".into(), NameProblem::Dot),
        ("x".repeat(256), NameProblem::TooLong { len: 256, max: 255 }),
    ];
    for (name, problem) in table {
        let error = Name::new(&name).expect_err("it is no name");
        assert_eq!(error.kind(), ErrorKind::InvalidName(problem), "{name:?}");
    }
}

fn bad_options() {
    let name = fresh_name();
    let new = QueueOptions::new;
    for options in [new().capacity(0), new().message_size(0), new().mode(0o1600)] {
        let error = options.create(&name).expect_err("it makes no sense");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{options:?}");
    }
    let beyond = [
        (new().capacity(65_537), "msg_max"),
        (new().message_size((16 << 20) + 1), "msgsize_max"),
        (new().capacity(usize::MAX), "msg_max"),
    ];
    for (options, expected) in beyond {
        let error = options.create(&name).expect_err("it is too much, also for root");
        let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
        assert!(knob.contains(expected), "{options:?}: {error}");
    }
    assert_eq!(Priority::new(32_768).expect_err("too high").kind(), ErrorKind::InvalidInput);
    assert!(traces().is_empty(), "something was left behind: {:?}", traces());
}

fn longest_name() {
    let mut text = fresh_name().to_string();
    text.extend(std::iter::repeat_n('x', 255 - text.len()));
    let name = Name::new(text).expect("255 bytes may be");
    let queue = QueueOptions::new().create(&name).expect("create");
    drop(QueueOptions::new().open(&name).expect("open"));
    queue.unlink().expect("unlink");
}

fn sizes() {
    let limits = posix::Limits::read().expect("limits");
    let queue = QueueOptions::new().create(&fresh_name()).expect("create");
    let found = queue.attributes().expect("attributes");
    assert_eq!(found.capacity, limits.default_capacity);
    assert_eq!(found.message_size, limits.default_message_size);
    // What is not said is the default, also beside what is said.
    let (mut rx, mut tx) = QueueOptions::new().capacity(2).pair().expect("pair");
    let found = rx.attributes().expect("attributes");
    assert_eq!((found.capacity, found.message_size), (2, limits.default_message_size));
    assert!(!found.nonblocking);
    tx.send(b"1").expect("send");
    tx.send(b"2").expect("send");
    assert_eq!(tx.try_send(b"3").expect_err("full").kind(), ErrorKind::WouldBlock);
    rx.recv(&mut [0; 1]).expect("receive");
    tx.try_send(b"3").expect("there is room");
}

fn exact_mode() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
    for mode in [0o600, 0o622, 0o666, 0o400] {
        let queue = QueueOptions::new().mode(mode).create(&fresh_name()).expect("create");
        let stat = rustix::fs::fstat(queue.as_fd()).expect("fstat");
        assert_eq!(stat.st_mode & 0o7777, mode);
    }
    // Nor does it hinder a pair, which is opened twice.
    drop(QueueOptions::new().mode(0o600).pair().expect("pair"));
    assert!(traces().is_empty(), "left behind: {:?}", traces());
}

fn foreign() {
    need_root("make another user's queue");
    let name = fresh_name();
    let queue = QueueOptions::new().create(&name).expect("create");
    let nobody = rustix::process::Uid::from_raw(65534);
    rustix::fs::fchown(queue.as_fd(), Some(nobody), None).expect("fchown");
    let error = QueueOptions::new().open(&name).expect_err("it is nobody's");
    assert_eq!(error.kind(), ErrorKind::ForeignOwner { uid: 65534 });
    drop(QueueOptions::new().owner(65534).open(&name).expect("a trusted owner's queue opens"));
    let error = QueueOptions::new().owner(4711).open(&name).expect_err("not that owner's");
    assert_eq!(error.kind(), ErrorKind::ForeignOwner { uid: 65534 });
    queue.unlink().expect("it is the same queue");
}

fn wrong_access() {
    let name = fresh_name();
    let _queue = QueueOptions::new().create(&name).expect("create");
    let receive = QueueOptions::new().access(Access::Receive).open(&name).expect("open");
    let denied = ErrorKind::PermissionDenied;
    assert_eq!(receive.sender().expect_err("it only receives").kind(), denied);
    let send = QueueOptions::new().access(Access::Send).open(&name).expect("open");
    assert_eq!(send.receiver().expect_err("it only sends").kind(), denied);
    send.sender().expect("sender").send(b"x").expect("send");
    receive.receiver().expect("receiver").recv(&mut [0; 8192]).expect("receive");
}

fn priorities() {
    let (mut rx, tx) = QueueOptions::new().pair().expect("pair");
    for (body, priority) in [(b"a0", 0), (b"b7", 7), (b"c7", 7), (b"d9", 9), (b"e0", 0)] {
        tx.send_priority(body, Priority::from(priority), Wait::Never).expect("send");
    }
    tx.send_priority(b"top", Priority::HIGHEST, Wait::Never).expect("send");
    let order: Vec<_> =
        std::iter::from_fn(|| rx.recv_message(Wait::Never).ok()).map(|it| it.body).collect();
    assert_eq!(order, [&b"top"[..], b"d9", b"b7", b"c7", b"a0", b"e0"]);
}

fn kept_message() {
    let (mut rx, tx) = QueueOptions::new().pair().expect("pair");
    tx.send_priority(b"long message", Priority::from(1), Wait::Never).expect("send");
    let error = rx.recv(&mut [0; 4]).expect_err("it is too long");
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 12, max: 4 });
    tx.send_priority(b"urgent", Priority::from(9), Wait::Never).expect("send");
    let rejected = rx.give(&mut Command::new("true"), "rx").expect_err("a message would be lost");
    assert_eq!(rejected.error.kind(), ErrorKind::InvalidInput);
    rx = rejected.value;
    let mut buf = [0; 8192];
    let (len, priority) = rx.recv_priority(&mut buf, Wait::Never).expect("receive");
    assert_eq!((&buf[..len], priority.get()), (&b"long message"[..], 1));
    assert_eq!(rx.recv_message(Wait::Never).expect("receive").body, b"urgent");
    let mut command = Command::new("true");
    rx.give(&mut command, "rx").expect("it keeps nothing any more");
    let rejected = tx.give(&mut command, "RX").expect_err("the variable is taken");
    assert_eq!(rejected.error.kind(), ErrorKind::AlreadyExists);
}

/// Sets `O_NONBLOCK` on the open file description, as a peer in C might.
fn make_nonblocking(fd: impl AsFd) {
    let flags = rustix::fs::fcntl_getfl(&fd).expect("fcntl");
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK).expect("fcntl");
}

fn shared_nonblocking() {
    let (mut rx, mut tx) = QueueOptions::new().capacity(1).pair().expect("pair");
    make_nonblocking(&rx);
    make_nonblocking(&tx);
    assert!(rx.attributes().expect("attributes").nonblocking);
    let timed = rx.recv_timeout(&mut [0; 8192], Duration::from_millis(10)).expect_err("empty");
    assert_eq!(timed.kind(), ErrorKind::TimedOut);
    assert_eq!(rx.try_recv(&mut [0; 8192]).expect_err("empty").kind(), ErrorKind::WouldBlock);
    let receive = block("recv", move || rx.recv(&mut [0; 8192]).map(|len| (len, rx)));
    tx.send(b"wake up").expect("send");
    let (len, mut rx) = receive.join().expect("receive");
    assert_eq!(len, 7);
    tx.send(b"full").expect("send");
    let send = block("send", move || tx.send(b"more"));
    rx.recv(&mut [0; 8192]).expect("receive");
    send.join().expect("send");
}

fn wrong_descriptors() {
    let (socket, _peer) = UnixStream::pair().expect("socketpair");
    let file = File::open("/proc/self/status").expect("open");
    let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
    for (fd, found) in [
        (OwnedFd::from(socket), "a socket"),
        (OwnedFd::from(file), "a regular file"),
        (epoll.expect("epoll"), "something without a file type (an eventfd, epoll or the like)"),
    ] {
        let number = fd.as_raw_fd();
        let rejected = Sender::try_from(fd).expect_err("it is no queue");
        let wrong = ErrorKind::WrongType { expected: "a POSIX message queue", found };
        assert_eq!(rejected.error.kind(), wrong);
        assert_eq!(rejected.value.as_raw_fd(), number, "another descriptor came back");
        assert!(Receiver::try_from(rejected.value).is_err());
    }
    let (rx, tx) = QueueOptions::new().pair().expect("pair");
    let rejected = Sender::try_from(OwnedFd::from(rx)).expect_err("it only receives");
    let mut rx = Receiver::try_from(rejected.value).expect("it receives");
    let rejected = Receiver::try_from(OwnedFd::from(tx)).expect_err("it only sends");
    let mut tx = Sender::try_from(rejected.value).expect("it sends");
    tx.send(b"still works").expect("send");
    assert_eq!(rx.recv(&mut [0; 64]), Ok(11));
}

fn kept_name() {
    let name = fresh_name();
    let mut queue = QueueOptions::new().create(&name).expect("create");
    queue.keep();
    drop(queue);
    let guest = <Queue as Named>::open(&name, &QueueOptions::new()).expect("it stays");
    guest.unlink().expect("unlink");
}

fn handoff() {
    let (rx, mut tx) = QueueOptions::new().pair().expect("pair");
    tx.send(b"x").expect("send");
    let mut peer = Peer::cast("adopts_twice");
    rx.give(peer.command(), "once").expect("give");
    peer.start().join();
    assert_eq!(tx.attributes().expect("attributes").messages, 0);
}

fn adopts_twice() {
    let wrong = Sender::adopt("once").expect_err("it is the other end");
    assert!(matches!(wrong.kind(), ErrorKind::WrongType { .. }), "{wrong}");
    let mut rx = Receiver::adopt("once").expect("a wrong guess loses nothing");
    let again = Receiver::adopt("once").expect_err("it is taken");
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert_eq!(rx.try_recv(&mut [0; 8192]), Ok(1));
    let nothing = Receiver::adopt("nobody_gave_this").expect_err("nobody gave it");
    assert_eq!(nothing.kind(), ErrorKind::NotFound);
}

fn create_or_open() {
    let name = fresh_name();
    let first = QueueOptions::new().create_or_open(&name).expect("create");
    let second = QueueOptions::new().create_or_open(&name).expect("open");
    drop(second);
    assert!(QueueOptions::new().open(&name).is_ok(), "who opened it has removed it");
    drop(first);
    assert!(QueueOptions::new().open(&name).is_err(), "who created it has not");
}

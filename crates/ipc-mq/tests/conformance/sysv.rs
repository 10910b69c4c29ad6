//! What only System V queues do, and how they refuse.

use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_mq::sysv::{self, Key, Limits, MessageType, QueueOptions, Receiver, Select, Sender};
use ipc_testkit::{
    CapabilitySet, Descriptors, Harness, Peer, block, dir, hear, need, need_capability, need_root,
    say,
};

use crate::fixtures::fresh_key;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("sysv/bad_types_keys_and_modes_are_invalid_input", bad_input)
        .test("sysv/ftok_is_that_of_the_c_library", ftok)
        .test("sysv/each_selection_takes_its_own", selections)
        .test("sysv/a_message_that_is_too_long_stays_in_the_queue", too_long_stays)
        .test("sysv/the_length_is_that_of_the_message_that_would_come", length_by_selection)
        .test("sysv/a_message_is_cut_only_on_request", truncated)
        .test("sysv/a_long_message_finds_a_buffer_that_grows", long_messages)
        .test("sysv/removal_lets_blocked_peers_go", removal)
        .test("sysv/a_removed_queue_is_disconnected_for_all_operations", removed)
        .test("sysv/another_users_queue_is_foreign", foreign)
        .test("sysv/bytes_and_mode_can_be_set", settings)
        .test("sysv/a_smaller_queue_refuses_what_can_never_fit", never_fits)
        .test("sysv/the_private_key_finds_nothing", private)
        .test("sysv/a_handoff_is_adopted_once_and_stale_ones_are_not_found", handoff)
        .role("adopts_id", adopts_id)
        .test("sysv/it_needs_no_descriptor", no_descriptor)
        .test("sysv/a_pair_goes_with_its_last_end", last_end)
        .test("sysv/a_deadline_is_kept_while_others_send_other_types", other_types)
}

fn kind(number: i64) -> MessageType {
    MessageType::new(number).expect("it is a type")
}

fn bad_input() {
    for number in [0, -1, i64::MIN] {
        let error = MessageType::new(number).expect_err("no type");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(Key::new(0).expect_err("IPC_PRIVATE").kind(), ErrorKind::InvalidInput);
    assert_eq!(Key::from_path_id("/", 0).expect_err("0").kind(), ErrorKind::InvalidInput);
    let error = Key::from_path_id(dir().join("missing"), 1).expect_err("no such file");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = QueueOptions::new().mode(0o1600).create(fresh_key()).expect_err("no such mode");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Asks the C library, by way of Python's `ctypes`.
fn ftok() {
    let path = dir();
    let script = "import ctypes,sys; print(ctypes.CDLL(None).ftok(sys.argv[1].encode(), 113))";
    need("python3", "python3");
    let out = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(std::ffi::OsStr::from_bytes(path.as_os_str().as_bytes()))
        .output()
        .expect("python3");
    let theirs: i32 = String::from_utf8_lossy(&out.stdout).trim().parse().expect("a number");
    assert_eq!(Key::from_path_id(&path, 113).expect("key").get(), theirs);
}

fn selections() {
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    for (body, number) in [(b"a", 5), (b"b", 3), (b"c", 9), (b"d", 3), (b"e", 5)] {
        tx.send_typed(body, kind(number), Wait::Never).expect("send");
    }
    let mut next = |select| {
        let mut buf = [0; 8];
        rx.recv_select(select, &mut buf, Wait::Never)
            .map(|(len, kind)| (buf[..len].to_vec(), kind.get()))
            .map_err(|error| error.kind())
    };
    assert_eq!(next(Select::LowestUpTo(kind(2))), Err(ErrorKind::WouldBlock));
    assert_eq!(next(Select::LowestUpTo(kind(5))), Ok((b"b".to_vec(), 3)));
    assert_eq!(next(Select::Type(kind(9))), Ok((b"c".to_vec(), 9)));
    assert_eq!(next(Select::Type(kind(9))), Err(ErrorKind::WouldBlock));
    assert_eq!(next(Select::Except(kind(5))), Ok((b"d".to_vec(), 3)));
    assert_eq!(next(Select::Except(kind(5))), Err(ErrorKind::WouldBlock));
    assert_eq!(next(Select::Any), Ok((b"a".to_vec(), 5)));
    assert_eq!(next(Select::LowestUpTo(kind(i64::MAX))), Ok((b"e".to_vec(), 5)));
}

fn too_long_stays() {
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    tx.send(&[7; 100]).expect("send");
    let error = rx.recv(&mut [0; 99]).expect_err("one byte too short");
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 100, max: 99 });
    assert_eq!(error.raw_os_error(), Some(7), "E2BIG");
    // Another receiver gets it: it is in the queue and not in this end.
    assert_eq!(rx.duplicate().try_recv(&mut [0; 100]), Ok(100));
}

fn length_by_selection() {
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    for (len, number) in [(10, 4), (20, 2), (30, 2), (40, 7)] {
        tx.send_typed(&vec![1; len], kind(number), Wait::Never).expect("send");
    }
    for (select, len) in [
        (Select::Any, 10),
        (Select::Type(kind(7)), 40),
        (Select::LowestUpTo(kind(9)), 20),
        (Select::Except(kind(4)), 20),
    ] {
        let error = rx.recv_select(select, &mut [0; 5], Wait::Forever).expect_err("too short");
        assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len, max: 5 }, "{select:?}");
    }
    assert_eq!(rx.peek(3).expect("peek").body.len(), 40);
    assert_eq!(rx.peek(4).expect_err("four messages").kind(), ErrorKind::WouldBlock);
}

fn truncated() {
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    tx.send(b"a long story").expect("send");
    let mut buf = [0; 6];
    let cut = rx.recv_truncated(Select::Any, &mut buf, Wait::Never).expect("receive");
    assert_eq!((cut.len, &buf), (6, b"a long"));
    assert_eq!(rx.try_recv(&mut buf).expect_err("it is gone").kind(), ErrorKind::WouldBlock);
}

fn long_messages() {
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    let most = tx.max_len();
    tx.send(&vec![9; most]).expect("send");
    let message = rx.recv_message(Wait::Never).expect("receive");
    assert!(message.body == vec![9; most]);
    tx.send(&vec![8; most]).expect("send");
    let mut buf = vec![0; 10 * most];
    assert_eq!(rx.try_recv(&mut buf), Ok(most));
}

fn removal() {
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(3600))] {
        let queue = QueueOptions::new().create(Key::PRIVATE).expect("create");
        let mut rx = queue.receiver();
        let receive = block("recv", move || rx.recv_with(&mut [0; 64], wait));
        let full = QueueOptions::new().create(Key::PRIVATE).expect("create");
        let mut tx = full.sender().expect("sender");
        while tx.try_send(&[0; 1000]).is_ok() {}
        let send = block("send", move || tx.send_with(&[0; 1000], wait));
        queue.unlink().expect("remove");
        full.unlink().expect("remove");
        let error = receive.join().expect_err("the queue is gone");
        assert_eq!(error.kind(), ErrorKind::Disconnected, "recv with {wait:?}: {error}");
        let error = send.join().expect_err("the queue is gone");
        assert_eq!(error.kind(), ErrorKind::Disconnected, "send with {wait:?}: {error}");
    }
}

fn removed() {
    let queue = QueueOptions::new().create(Key::PRIVATE).expect("create");
    let (mut tx, mut rx) = (queue.sender().expect("sender"), queue.receiver());
    let same = QueueOptions::new().open_id(queue.id()).expect("open");
    queue.unlink().expect("remove");
    let gone = ErrorKind::Disconnected;
    assert_eq!(tx.send(b"x").expect_err("gone").kind(), gone);
    assert_eq!(tx.try_send(&[0; 100_000]).expect_err("gone").kind(), gone);
    assert_eq!(rx.recv(&mut [0; 8]).expect_err("gone").kind(), gone);
    assert_eq!(rx.try_recv(&mut [0; 8]).expect_err("gone").kind(), gone);
    assert_eq!(rx.peek(0).expect_err("gone").kind(), gone);
    assert_eq!(same.sender().expect_err("gone").kind(), gone);
    assert_eq!(same.status().expect_err("gone").kind(), ErrorKind::NotFound);
    assert_eq!(same.set_max_bytes(10).expect_err("gone").kind(), ErrorKind::NotFound);
    assert_eq!(same.unlink().expect_err("gone").kind(), ErrorKind::NotFound);
}

fn foreign() {
    need_root("become another user");
    need_capability(CapabilitySet::SYS_ADMIN, "give another user's queue away");
    let key = fresh_key();
    let mut peer = Peer::cast("nobody_creates");
    peer.command().env("KEY", key.get().to_string());
    let mut peer = peer.start();
    peer.expect("created");
    let error = QueueOptions::new().open(key).expect_err("it is nobody's");
    assert_eq!(error.kind(), ErrorKind::ForeignOwner { uid: 65534 });
    let queue = QueueOptions::new().owner(65534).open(key).expect("a trusted creator's opens");
    // A change of owner does not make it ours.
    queue.set_owner(0, 0).expect("set the owner");
    let error = QueueOptions::new().open(key).expect_err("nobody has created it");
    assert_eq!(error.kind(), ErrorKind::ForeignOwner { uid: 65534 });
    peer.tell("done");
    peer.join();
}

fn settings() {
    let queue = QueueOptions::new().mode(0o640).create(fresh_key()).expect("create");
    queue.set_max_bytes(100).expect("set");
    queue.set_mode(0o604).expect("set");
    let status = queue.status().expect("status");
    assert_eq!((status.max_bytes, status.mode, status.key), (Some(100), 0o604, queue.key()));
    let mut tx = queue.sender().expect("sender");
    tx.send(&[0; 60]).expect("send");
    assert_eq!(tx.try_send(&[0; 60]).expect_err("full").kind(), ErrorKind::WouldBlock);
    let listed = sysv::queues().expect("list").into_iter().find(|it| it.id == queue.id());
    let listed = listed.expect("it is listed").status;
    assert_eq!((listed.messages, listed.bytes, listed.mode), (1, 60, 0o604));
    assert_eq!(listed.last_sender, Some(std::process::id()));
    assert!(listed.last_send.is_some() && listed.last_receive.is_none());
    let limits = Limits::read().expect("limits");
    let sysctl = std::fs::read_to_string("/proc/sys/kernel/msgmnb").expect("read");
    assert_eq!(limits.max_bytes.to_string(), sysctl.trim());
}

fn never_fits() {
    let queue = QueueOptions::new().max_bytes(50).create(Key::PRIVATE).expect("create");
    let mut tx = queue.sender().expect("sender");
    let error = tx.send(&[0; 51]).expect_err("it would wait for ever");
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 51, max: 50 });
    queue.set_max_bytes(51).expect("set");
    tx.send(&[0; 51]).expect("the sender notices that there is room");
}

fn private() {
    let error = QueueOptions::new().open(Key::PRIVATE).expect_err("it finds nothing");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let first = QueueOptions::new().create(Key::PRIVATE).expect("create");
    let second = QueueOptions::new().create(Key::PRIVATE).expect("create");
    assert_ne!(first.id(), second.id());
}

fn handoff() {
    let (rx, mut tx) = QueueOptions::new().pair().expect("pair");
    tx.send(b"x").expect("send");
    let mut peer = Peer::cast("adopts_id");
    rx.give(peer.command(), "once").expect("give");
    for (key, value) in [("FD", "7:1:2"), ("BAD", "msqid:"), ("GONE", "msqid:2147483647:0")] {
        peer.command().env(format!("IPC_HANDOFF_{key}"), value);
    }
    let mut peer = peer.start();
    peer.expect("adopted");
    peer.tell("go on");
    peer.join();
    let mut command = std::process::Command::new("true");
    let rejected = tx.give(&mut command, "no key").expect_err("no such key may be");
    assert_eq!(rejected.error.kind(), ErrorKind::InvalidInput);
    let other = rejected.value.duplicate().expect("duplicate");
    rejected.value.give(&mut command, "key").expect("give");
    let rejected = other.give(&mut command, "KEY").expect_err("the variable is taken");
    assert_eq!(rejected.error.kind(), ErrorKind::AlreadyExists);
}

fn adopts_id() {
    let mut rx = Receiver::adopt("once").expect("adopt");
    say("adopted");
    assert_eq!(hear(), "go on");
    assert_eq!(rx.try_recv(&mut [0; 64]), Ok(1));
    let of = |key| Sender::adopt(key).expect_err("it cannot be adopted").kind();
    assert_eq!(of("once"), ErrorKind::AlreadyExists);
    assert_eq!(of("nothing"), ErrorKind::NotFound);
    assert!(matches!(of("fd"), ErrorKind::WrongType { .. }));
    assert_eq!(of("bad"), ErrorKind::Corrupted);
    assert_eq!(of("gone"), ErrorKind::NotFound);
}

fn no_descriptor() {
    let before = Descriptors::now();
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    tx.send(b"x").expect("send");
    rx.recv(&mut [0; 8]).expect("receive");
    assert_eq!(Descriptors::now(), before);
}

fn last_end() {
    let (rx, tx) = QueueOptions::new().pair().expect("pair");
    let id = rx.id();
    let there = || QueueOptions::new().open_id(id).is_ok();
    drop(rx);
    assert!(there(), "an end is left");
    let mut command = std::process::Command::new("true");
    tx.give(&mut command, "tx").expect("give");
    assert!(there(), "a command has the last end");
    drop(command);
    assert!(!there(), "the queue stayed");
}

fn other_types() {
    let (mut rx, mut tx) = QueueOptions::new().pair().expect("pair");
    tx.send_typed(b"not for me", kind(1), Wait::Never).expect("send");
    let wait = Wait::timeout(Duration::from_millis(20));
    let error = rx.recv_select(Select::Type(kind(2)), &mut [0; 64], wait).expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(rx.try_recv(&mut [0; 64]), Ok(10), "a message was lost");
}

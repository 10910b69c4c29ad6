//! Receiving from anybody and from one process.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use ipc_core::{ErrorKind, RecvMsg, SendMsg, Wait};
use ipc_sock::unix::SocketOptions;
use ipc_testkit::{Descriptors, Harness, block, with_free_descriptors};
use rustix::process::{Signal, kill_process};

use super::addressing::echo;
use super::{clean_up, fails, fails_with, me, options, order, pid, recv, server, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("direct/one_sender_is_received_and_others_are_kept_in_order", kept_in_order)
        .test("direct/too_many_kept_messages_are_an_error_and_lose_none", too_many)
        .test("direct/too_many_kept_bytes_are_an_error_and_lose_none", too_many_bytes)
        .test("direct/a_short_buffer_keeps_the_message_of_one_sender", short_buffer)
        .test("direct/a_message_over_max_message_is_an_error", over_max)
        .test("direct/what_a_dead_process_sent_is_received_and_then_it_is_disconnected", drained)
        .test("direct/what_was_sent_by_a_process_that_is_gone_is_received", gone)
        .test("direct/a_blocked_receive_is_disconnected_when_its_sender_is_killed", killed)
        .test("direct/a_receive_from_one_process_waits_as_it_is_told", waits)
        .test("direct/a_receive_of_one_process_as_recv_msg", only_from)
        .test("direct/descriptors_that_come_are_closed", descriptors)
        .test("direct/it_polls", polls)
}

fn kept_in_order() {
    let mut port = options().open().expect("open");
    let (mut a, mut b) = (server(), server());
    order(&mut a, "open");
    order(&mut b, "open");
    for text in ["a1", "a2"] {
        order(&mut a, &format!("send {text}"));
    }
    order(&mut b, "send b1");
    order(&mut a, "send ");
    order(&mut b, "send b2");
    assert_eq!(recv(&mut port, Some(pid(&b))), (b"b1".to_vec(), pid(&b)));
    assert_eq!(port.kept(), 2);
    assert_eq!(recv(&mut port, Some(pid(&b))), (b"b2".to_vec(), pid(&b)));
    assert_eq!(port.kept(), 3);
    assert_eq!(recv(&mut port, None), (b"a1".to_vec(), pid(&a)));
    assert_eq!(recv(&mut port, Some(pid(&a))), (b"a2".to_vec(), pid(&a)));
    assert_eq!(recv(&mut port, None), (Vec::new(), pid(&a)));
    assert_eq!(port.kept(), 0);
    echo(&mut port);
    for mut peer in [a, b] {
        order(&mut peer, "end");
        peer.join();
    }
}

fn too_many() {
    let mut port = options().kept_messages(2).open().expect("open");
    let (mut a, mut b) = (server(), server());
    order(&mut a, "open");
    order(&mut b, "open");
    for n in 0..3 {
        order(&mut a, &format!("send a{n}"));
    }
    order(&mut b, "send b");
    let from_b = Some(pid(&b));
    for wait in [Wait::Forever, Wait::Never, soon()] {
        let error = port.recv_from(from_b, &mut [0; 8], wait).expect_err("two are kept");
        let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
        assert!(knob.contains("PortOptions::kept_messages"), "{error}");
    }
    // Receives from those that are kept go on, and make room.
    assert_eq!(recv(&mut port, Some(pid(&a))).0, b"a0");
    assert_eq!(recv(&mut port, None).0, b"a1");
    assert_eq!(recv(&mut port, from_b).0, b"b");
    assert_eq!(recv(&mut port, None).0, b"a2");
    drop((a, b, port));
    clean_up();
}

fn too_many_bytes() {
    let mut port = options().kept_bytes(3).open().expect("open");
    let (mut a, mut b) = (server(), server());
    order(&mut a, "open");
    order(&mut b, "open");
    for text in ["xx", "yy", "zz"] {
        order(&mut a, &format!("send {text}"));
    }
    order(&mut b, "send b");
    let error = port.recv_from(Some(pid(&b)), &mut [0; 8], soon()).expect_err("too many bytes");
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
    assert_eq!(port.kept(), 2);
    for text in ["xx", "yy", "zz", "b"] {
        assert_eq!(recv(&mut port, None).0, text.as_bytes());
    }
    drop((a, b, port));
    clean_up();
}

fn short_buffer() {
    let mut port = options().open().expect("open");
    let mut a = server();
    order(&mut a, "open");
    port.send_to(me(), b"mine", soon()).expect("send");
    order(&mut a, "send a long message");
    let too_large = |max| ErrorKind::MessageTooLarge { len: 14, max };
    for max in [0, 5, 13] {
        let result = port.recv_from(Some(pid(&a)), &mut vec![0; max], soon());
        fails(result, too_large(max));
    }
    assert_eq!(port.kept(), 2);
    assert_eq!(recv(&mut port, Some(pid(&a))).0, b"a long message");
    assert_eq!(recv(&mut port, None).0, b"mine");
    drop((a, port));
    clean_up();
}

fn over_max() {
    let mut port = options().max_message(10).open().expect("open");
    port.send_to(me(), &[1; 11], soon()).expect("send");
    port.send_to(me(), &[2; 10], soon()).expect("send");
    let result = port.recv_from(None, &mut [0; 4], soon());
    fails_with(result, ErrorKind::MessageTooLarge { len: 11, max: 10 }, "gone");
    assert_eq!(recv(&mut port, None).0, [2; 10]);
    // A longer buffer is room enough.
    port.send_to(me(), &[3; 11], soon()).expect("send");
    assert_eq!(recv(&mut port, None).0, [3; 11]);
}

fn drained() {
    let mut port = options().open().expect("open");
    let mut a = server();
    order(&mut a, "open");
    let from_a = Some(pid(&a));
    // Contact is made: from now on the pid is this process.
    fails(port.recv_from(from_a, &mut [0; 8], Wait::Never), ErrorKind::WouldBlock);
    for n in 0..3 {
        order(&mut a, &format!("send a{n}"));
    }
    a.kill();
    for n in 0..3 {
        assert_eq!(recv(&mut port, from_a).0, format!("a{n}").as_bytes());
    }
    fails(port.recv_from(from_a, &mut [0; 8], Wait::Forever), ErrorKind::Disconnected);
    fails(port.recv_from(from_a, &mut [0; 8], Wait::Forever), ErrorKind::NotFound);
    drop(port);
    clean_up();
}

fn gone() {
    let mut port = options().open().expect("open");
    let mut a = server();
    let from_a = Some(pid(&a));
    for text in ["open", "send one", "send two", "end"] {
        order(&mut a, text);
    }
    a.join();
    port.send_to(me(), b"mine", soon()).expect("send");
    assert_eq!(recv(&mut port, from_a).0, b"one");
    assert_eq!(recv(&mut port, from_a).0, b"two");
    fails(port.recv_from(from_a, &mut [0; 8], Wait::Forever), ErrorKind::NotFound);
    assert_eq!(recv(&mut port, None).0, b"mine");
}

fn killed() {
    for wait in [Wait::Forever, soon()] {
        let mut port = options().open().expect("open");
        let mut a = server();
        order(&mut a, "open");
        let from_a = Some(pid(&a));
        let blocked = block("a receive from one process", move || {
            (port.recv_from(from_a, &mut [0; 8], wait), port)
        });
        kill_process(a.pid(), Signal::KILL).expect("kill");
        let (result, port) = blocked.join();
        fails_with(result, ErrorKind::Disconnected, "has ended");
        drop((a, port));
    }
    clean_up();
}

fn waits() {
    let mut port = options().open().expect("open");
    let mut a = server();
    order(&mut a, "open");
    let from_a = Some(pid(&a));
    port.send_to(me(), b"mine", soon()).expect("send");
    let short = Wait::timeout(Duration::from_millis(5));
    fails(port.recv_from(from_a, &mut [0; 8], Wait::Never), ErrorKind::WouldBlock);
    fails(port.recv_from(from_a, &mut [0; 8], short), ErrorKind::TimedOut);
    // Messages of others do not end the wait.
    let mine = port.peer(me()).expect("peer");
    let blocked = block("a receive from one process", move || {
        let mut buf = [0; 8];
        let got = port.recv_from(from_a, &mut buf, Wait::Forever).expect("receive");
        (buf[..got.len].to_vec(), port)
    });
    for _ in 0..20 {
        (&mine).send(b"mine too").expect("send");
        assert!(blocked.settle(), "it received what it must not");
    }
    order(&mut a, "send at last");
    let (got, mut port) = blocked.join();
    assert_eq!(got, b"at last");
    assert_eq!(port.kept(), 21);
    for _ in 0..21 {
        assert_eq!(recv(&mut port, None).1, me());
    }
    order(&mut a, "end");
    a.join();
}

fn only_from() {
    let mut port = options().open().expect("open");
    let mut a = server();
    order(&mut a, "open");
    let mut buf = [0; 8];
    let mut only = port.only_from(pid(&a)).expect("it is there");
    fails(only.try_recv(&mut buf), ErrorKind::WouldBlock);
    order(&mut a, "send one");
    assert_eq!(only.recv(&mut buf), Ok(3));
    order(&mut a, "send two");
    a.kill();
    assert_eq!(only.recv(&mut buf), Ok(3));
    for _ in 0..2 {
        fails(only.recv(&mut buf), ErrorKind::Disconnected);
    }
    drop(port);
    clean_up();
}

fn descriptors() {
    let mut port = options().open().expect("open");
    let tx = SocketOptions::new().datagram().expect("a socket");
    let path = port.path().to_owned();
    let before = Descriptors::now();
    tx.send_message_to(b"with two", &[tx.as_fd(), tx.as_fd()], &path, soon()).expect("send");
    assert_eq!(recv(&mut port, None), (b"with two".to_vec(), me()));
    assert_eq!(Descriptors::now(), before);
    // Not even where there is no room for them.
    tx.send_message_to(b"with two", &[tx.as_fd(), tx.as_fd()], &path, soon()).expect("send");
    let result =
        with_free_descriptors(1, || port.recv_from(None, &mut [0; 64], Wait::Never).map(drop));
    let error = result.expect_err("there is room for one");
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
    assert_eq!(Descriptors::now(), before);
    echo(&mut port);
}

fn polls() {
    let mut port = options().open().expect("open");
    let now = |port: &ipc_sock::direct::Port| {
        ipc_fd::wait::ready("poll", port.as_fd(), rustix::event::PollFlags::IN, Wait::Never)
    };
    fails(now(&port), ErrorKind::WouldBlock);
    // By a socket of another program's, in several pieces.
    let tx = UnixDatagram::unbound().expect("a socket");
    tx.connect(port.path()).expect("connect");
    let pieces = [IoSlice::new(b"two "), IoSlice::new(b"pieces")];
    let flags = rustix::net::SendFlags::empty();
    let mut beside = rustix::net::SendAncillaryBuffer::default();
    rustix::net::sendmsg(&tx, &pieces, &mut beside, flags).expect("send");
    now(&port).expect("it is readable");
    let mut buf = [0; 16];
    let len = port.try_recv(&mut buf).expect("receive");
    assert_eq!(&buf[..len], b"two pieces");
    fails(now(&port), ErrorKind::WouldBlock);
}

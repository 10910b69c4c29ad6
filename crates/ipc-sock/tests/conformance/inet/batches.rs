//! Several datagrams with one call, and receives of every sort in any order.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, RecvMsg, SendMsg, Wait};
use ipc_sock::udp::{Batch, MAX_BATCH, Socket};
use ipc_testkit::{Harness, block};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::kind;
use super::udp::{bind, options, pair};
use crate::unix::tools::soon;

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("inet/udp/batches_arrive_whole_and_in_order", batches)
        .test("inet/udp/a_batch_waits_for_its_first_message_alone", batch_waits)
        .test("inet/udp/a_batch_begins_with_the_message_that_is_kept", batch_with_kept)
        .test("inet/udp/a_message_that_cannot_be_sent_ends_a_batch_before_it", batch_with_error)
        .test("inet/udp/signals_do_not_end_a_batch", batch_interrupted)
        .test("inet/udp/any_length_from_any_address_by_any_method", model)
}

/// Two ends, of which the second has room for some thousand short messages.
fn roomy_pair() -> (Socket, Socket) {
    options().recv_buffer(1 << 20).pair().expect("pair")
}

fn batches() {
    const ALL: usize = 3 * MAX_BATCH + 8;
    let (tx, mut rx) = roomy_pair();
    let messages: Vec<Vec<u8>> = (0..ALL).map(|n| vec![n as u8; n % 7]).collect();
    assert_eq!(tx.send_many(&messages, Wait::Never), Ok(ALL));
    assert_eq!(tx.send_many(&[] as &[&[u8]], Wait::Never), Ok(0));
    let from = tx.local_address().expect("address");
    for capacity in [MAX_BATCH, 5, 1000, 1] {
        let mut batch = Batch::new(capacity);
        let mut received = Vec::new();
        while received.len() < ALL {
            let n = rx.recv_many(&mut batch, soon()).expect("receive");
            assert!((1..=batch.capacity()).contains(&n));
            assert_eq!(n, batch.iter().len());
            for (message, who) in batch.iter() {
                assert_eq!(who, from);
                received.push(message.to_vec());
            }
        }
        assert_eq!(received, messages);
        assert_eq!(kind(rx.recv_many(&mut batch, Wait::Never)), ErrorKind::WouldBlock);
        assert_eq!(batch.iter().len(), 0, "what was received before is gone");
        assert_eq!(tx.send_many(&messages, soon()), Ok(ALL));
    }
    // To several receivers, without a connection.
    let (tx, _) = bind();
    let mut all: Vec<_> = (0..10).map(|_| bind()).collect();
    let many: Vec<_> = all.iter().map(|(_, to)| (to.to_string(), *to)).collect();
    assert_eq!(tx.send_many_to(&many, soon()), Ok(10));
    let mut buf = [0; 64];
    for (rx, to) in &mut all {
        let n = rx.recv_with(&mut buf, soon()).expect("receive");
        assert_eq!(&buf[..n], to.to_string().as_bytes());
    }
}

fn batch_waits() {
    let (tx, mut rx) = pair();
    let mut batch = Batch::new(8);
    let deadline = Instant::now() + Duration::from_millis(60);
    assert_eq!(kind(rx.recv_many(&mut batch, Wait::Until(deadline))), ErrorKind::TimedOut);
    assert!(Instant::now() >= deadline, "it gave up before its deadline");
    for wait in [Wait::Forever, soon()] {
        let receive = block("recv_many", move || {
            let result = rx.recv_many(&mut batch, wait);
            (result, rx, batch)
        });
        (&tx).send(b"one of eight").expect("send");
        let result;
        (result, rx, batch) = receive.join();
        assert_eq!(result, Ok(1));
    }
}

fn batch_with_kept() {
    let (mut rx, to) = bind();
    let (tx, from) = bind();
    let messages = [b"the first".as_slice(), b"2", b"3"].map(|message| (message, to));
    assert_eq!(tx.send_many_to(&messages, soon()), Ok(3));
    rx.recv(&mut [0; 4]).expect_err("too short");
    let mut batch = Batch::new(8);
    let mut received = Vec::new();
    while received.len() < 3 {
        rx.recv_many(&mut batch, soon()).expect("receive");
        received.extend(batch.iter().map(|(message, who)| {
            assert_eq!(who, from);
            message.to_vec()
        }));
    }
    assert_eq!(received, messages.map(|(message, _)| message));
}

fn batch_with_error() {
    let (tx, mut rx) = roomy_pair();
    let mut messages = vec![b"fine".to_vec(); MAX_BATCH + 20];
    messages[MAX_BATCH + 10] = vec![0; 66_000];
    assert_eq!(tx.send_many(&messages, soon()), Ok(MAX_BATCH + 10));
    let rest = &messages[MAX_BATCH + 10..];
    let too_large = ErrorKind::MessageTooLarge { len: 66_000, max: 65_507 };
    assert_eq!(kind(tx.send_many(rest, soon())), too_large);
    assert_eq!(tx.send_many(&rest[1..], soon()), Ok(9));
    let mut batch = Batch::new(MAX_BATCH);
    let mut received = 0;
    while received < MAX_BATCH + 19 {
        received += rx.recv_many(&mut batch, soon()).expect("receive");
        assert!(batch.iter().all(|(message, _)| message == b"fine"));
    }
    assert_eq!(kind(rx.recv_many(&mut batch, Wait::Never)), ErrorKind::WouldBlock);
}

fn batch_interrupted() {
    let (tx, mut rx) = roomy_pair();
    let receive = block("recv_many", move || {
        let mut batch = Batch::new(8);
        let mut received = Vec::new();
        while received.len() < 1000 {
            rx.recv_many(&mut batch, Wait::Forever).expect("a signal ends no receive");
            received.extend(batch.iter().map(|(message, _)| message.to_vec()));
        }
        received
    });
    assert_eq!(receive.interrupt(100), 100, "a signal ended recv_many");
    let messages: Vec<Vec<u8>> = (0..1000_u32).map(|n| n.to_le_bytes().to_vec()).collect();
    for some in messages.chunks(10) {
        assert_eq!(tx.send_many(some, soon()), Ok(some.len()));
        let _ = receive.interrupt(1);
    }
    assert_eq!(receive.join(), messages);
}

/// Every message arrives whole, in order and with its sender's address, whatever mixture of methods
/// and buffers receives it.
fn model() {
    #[derive(Debug, Clone)]
    enum Step {
        Send { sender: usize, len: usize },
        Receive { room: usize },
        ReceiveFrom { room: usize },
        ReceiveMany { capacity: usize },
    }
    let room = || prop_oneof![0..64_usize, 4000..4200_usize, Just(70_000)];
    let step = prop_oneof![
        (0..3_usize, prop_oneof![0..64_usize, 4000..4200_usize])
            .prop_map(|(sender, len)| Step::Send { sender, len }),
        room().prop_map(|room| Step::Receive { room }),
        room().prop_map(|room| Step::ReceiveFrom { room }),
        (1..4_usize).prop_map(|capacity| Step::ReceiveMany { capacity }),
    ];
    let any_loopback = any::<[u8; 3]>().prop_filter("an address of a host", |it| it != &[255; 3]);
    let hosts = proptest::collection::vec(any_loopback, 4);
    let steps = proptest::collection::vec(step, 1..30);
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..<_>::default() });
    let result = runner.run(&(hosts, steps), |(hosts, steps)| {
        let mut sockets: Vec<_> = hosts
            .iter()
            .map(|&[b, c, d]| {
                let host = Ipv4Addr::new(127, b, c, d.max(1));
                let socket = options().bind((host, 0).into()).expect("bind");
                let address = socket.local_address().expect("address");
                assert_eq!(address.ip(), host);
                (socket, address)
            })
            .collect();
        let (mut rx, to) = sockets.pop().expect("four");
        let mut model = VecDeque::new();
        let mut buf = vec![0; 70_000];
        for (number, step) in steps.into_iter().enumerate() {
            // What a receive by one of the methods must be.
            let due = |room: usize, first: Option<&(Vec<u8>, SocketAddr)>| match first {
                None => Err(ErrorKind::WouldBlock),
                Some((msg, _)) if msg.len() > room => {
                    Err(ErrorKind::MessageTooLarge { len: msg.len(), max: room })
                }
                Some((msg, from)) => Ok((msg.clone(), *from)),
            };
            match step {
                Step::Send { sender, len } => {
                    let msg = vec![number as u8; len];
                    let (tx, from) = &sockets[sender];
                    tx.send_to(&msg, to, soon()).expect("send");
                    model.push_back((msg, *from));
                }
                Step::Receive { room } => {
                    let got = rx.try_recv(&mut buf[..room]).map(|n| buf[..n].to_vec());
                    let due = due(room, model.front());
                    prop_assert_eq!(got.map_err(|e| e.kind()), due.clone().map(|(msg, _)| msg));
                    due.is_ok().then(|| model.pop_front());
                }
                Step::ReceiveFrom { room } => {
                    let got = rx.recv_from(&mut buf[..room], Wait::Never);
                    let got = got.map(|(n, from)| (buf[..n].to_vec(), from));
                    let due = due(room, model.front());
                    prop_assert_eq!(got.map_err(|e| e.kind()), due.clone());
                    due.is_ok().then(|| model.pop_front());
                }
                Step::ReceiveMany { capacity } => {
                    let mut batch = Batch::new(capacity);
                    let got = rx.recv_many(&mut batch, Wait::Never);
                    prop_assert_eq!(got.is_ok(), !model.is_empty());
                    for (msg, from) in batch.iter() {
                        prop_assert_eq!(model.pop_front(), Some((msg.to_vec(), from)));
                    }
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

//! Many processes at one queue, and processes that are killed.

use std::collections::BTreeSet;

use ipc_core::{Name, SendMsg, Wait};
use ipc_mq::{Backend, Mailbox, MailboxOptions, MailboxReceiver, MailboxSender};
use ipc_testkit::{Casting, Harness, Peer, dir, say};

use crate::fixtures::{fresh_name, traces};

pub(crate) fn cases(harness: Harness) -> Harness {
    let mut harness = harness
        .role("sends_its_numbers", sends_its_numbers)
        .role("receives_until_told", receives_until_told)
        .role("sends_until_killed", sends_until_killed)
        .role("receives_until_killed", receives_until_killed)
        .role("owns_until_killed", owns_until_killed);
    for (name, backend) in [("posix", Backend::Posix), ("sysv", Backend::SystemV)] {
        harness = harness
            .test(
                format!("processes/{name}/four_send_to_four_nothing_lost_nothing_twice"),
                move || four_to_four(backend),
            )
            .test(
                format!("processes/{name}/killed_senders_leave_whole_messages_in_order"),
                move || killed_senders(backend),
            )
            .test(
                format!("processes/{name}/a_killed_receiver_takes_one_message_at_most"),
                move || killed_receivers(backend),
            )
            .test(
                format!("processes/{name}/owners_killed_at_any_moment_leave_it_reclaimable"),
                move || killed_owners(backend),
            );
    }
    harness
}

/// How many processes a kill test kills.
fn kills() -> u64 {
    std::env::var("IPC_MQ_KILLS").map_or(100, |n| n.parse().expect("a number"))
}

const PER_SENDER: u32 = 1000;

/// A peer that finds the mailbox by its name.
fn cast(role: &str, name: &Name, backend: Backend) -> Casting {
    let mut peer = Peer::cast(role);
    let posix = if backend == Backend::Posix { "yes" } else { "no" };
    peer.command().env("MAILBOX", name.as_os_str()).env("POSIX", posix);
    peer
}

/// In a peer: the name and the options.
fn address() -> (Name, MailboxOptions) {
    let var = |name| std::env::var(name).expect("the case tells it");
    let backend = if var("POSIX") == "yes" { Backend::Posix } else { Backend::SystemV };
    (Name::new(var("MAILBOX")).expect("a name"), MailboxOptions::new().backend(backend))
}

fn mailbox() -> Mailbox {
    let (name, options) = address();
    options.open(&name).expect("open")
}

/// A message of 4 to 40 bytes whose every byte follows from its number.
fn body(id: u32, seq: u32) -> Vec<u8> {
    let mut body = [id.to_le_bytes(), seq.to_le_bytes()].concat();
    body.extend((0..seq % 32).map(|at| (seq + at) as u8));
    body
}

/// The two numbers of a message that is whole.
#[track_caller]
fn numbers(msg: &[u8]) -> (u32, u32) {
    let number = |at| u32::from_le_bytes(msg[at..at + 4].try_into().expect("4 bytes"));
    let (id, seq) = (number(0), number(4));
    assert_eq!(msg, body(id, seq), "message {seq} of {id} is torn");
    (id, seq)
}

fn four_to_four(backend: Backend) {
    let name = fresh_name();
    let mailbox = MailboxOptions::new().backend(backend).create(&name).expect("create");
    let receivers: Vec<_> = (0..4)
        .map(|id| {
            let mut peer = cast("receives_until_told", &name, backend);
            peer.command().env("ID", id.to_string());
            peer.start()
        })
        .collect();
    let senders: Vec<_> = (0..4)
        .map(|id| {
            let mut peer = cast("sends_its_numbers", &name, backend);
            peer.command().env("ID", id.to_string());
            peer.start()
        })
        .collect();
    senders.into_iter().for_each(Peer::join);
    let mut tx = mailbox.sender().expect("sender");
    for _ in 0..4 {
        tx.send(b"").expect("send the end");
    }
    receivers.into_iter().for_each(Peer::join);
    let mut seen = BTreeSet::new();
    for id in 0..4 {
        let path = dir().join(format!("seen-{id}"));
        let bytes = std::fs::read(&path).expect("read");
        std::fs::remove_file(path).expect("remove");
        for pair in bytes.chunks_exact(8) {
            let number = |at: usize| u32::from_le_bytes(pair[at..at + 4].try_into().expect("4"));
            assert!(seen.insert((number(0), number(4))), "{:?} came twice", (number(0), number(4)));
        }
    }
    let all: BTreeSet<_> =
        (0..4).flat_map(|id| (0..PER_SENDER).map(move |seq| (id, seq))).collect();
    let lost: Vec<_> = all.difference(&seen).collect();
    assert!(lost.is_empty(), "{} messages were lost: {lost:?}", lost.len());
    assert_eq!(seen, all, "messages came that nobody has sent");
}

fn id() -> u32 {
    std::env::var("ID").expect("ID").parse().expect("a number")
}

fn sends_its_numbers() {
    let mut tx = mailbox().sender().expect("sender");
    for seq in 0..PER_SENDER {
        // Each way to wait takes its turn.
        let wait = [Wait::Forever, Wait::timeout(std::time::Duration::from_secs(60))];
        tx.send_with(&body(id(), seq), wait[seq as usize % 2]).expect("send");
    }
}

/// Writes down what it receives until an empty message comes.
fn receives_until_told() {
    let mut rx = mailbox().receiver().expect("receiver");
    let mut seen = Vec::new();
    let mut next = [0; 4];
    for turn in 0_usize.. {
        let wait = [Wait::Forever, Wait::timeout(std::time::Duration::from_secs(60))];
        let msg = rx.recv_message(wait[turn % 2]).expect("receive");
        if msg.is_empty() {
            break;
        }
        let (id, seq) = numbers(&msg);
        let next = &mut next[id as usize];
        assert!(seq >= *next, "message {seq} of {id} came after {next}: the order is not kept");
        *next = seq + 1;
        seen.extend([id.to_le_bytes(), seq.to_le_bytes()].concat());
    }
    std::fs::write(dir().join(format!("seen-{}", id())), seen).expect("write");
}

fn killed_senders(backend: Backend) {
    let name = fresh_name();
    let mailbox = MailboxOptions::new().backend(backend).create(&name).expect("create");
    let mut rx = mailbox.receiver().expect("receiver");
    for round in 0..kills() {
        let peer = cast("sends_until_killed", &name, backend).start();
        let mut next = 0;
        let mut take = |rx: &mut MailboxReceiver, wait| match rx.recv_message(wait) {
            Ok(msg) => {
                assert_eq!(numbers(&msg), (7, next), "in round {round}");
                next += 1;
                true
            }
            Err(_) => false,
        };
        for _ in 0..1 + round * 7 % 50 {
            assert!(take(&mut rx, Wait::Forever));
        }
        peer.kill();
        // What it sent before it died is there, whole and in order.
        while take(&mut rx, Wait::Never) {}
    }
    let mut tx = mailbox.sender().expect("sender");
    tx.try_send(b"it still works").expect("send");
}

fn sends_until_killed() {
    let mut tx = mailbox().sender().expect("sender");
    for seq in 0.. {
        tx.send(&body(7, seq)).expect("send");
    }
}

fn killed_receivers(backend: Backend) {
    let (name, answers_name) = (fresh_name(), fresh_name());
    let options = MailboxOptions::new().backend(backend);
    let mailbox = options.create(&name).expect("create");
    let answers = options.create(&answers_name).expect("create");
    let (mut tx, mut rest) =
        (mailbox.sender().expect("sender"), mailbox.receiver().expect("receiver"));
    let mut answered = answers.receiver().expect("receiver");
    for round in 0..kills() {
        let mut peer = cast("receives_until_killed", &name, backend);
        peer.command().env("ANSWERS", answers_name.as_os_str());
        let peer = peer.start();
        let count = 1 + u32::try_from(round * 7 % 50).expect("small");
        let mut seen = Vec::new();
        for seq in 0..count + 5 {
            tx.send(&body(1, seq)).expect("send");
            if seq < count {
                let msg = answered.recv_message(Wait::Forever).expect("an answer");
                seen.push(numbers(&msg).1);
            }
        }
        peer.kill();
        for rx in [&mut answered, &mut rest] {
            while let Ok(msg) = rx.recv_message(Wait::Never) {
                seen.push(numbers(&msg).1);
            }
        }
        let lost = (0..count + 5).filter(|seq| !seen.contains(seq)).count();
        assert!(lost <= 1, "round {round}: {lost} messages were lost: {seen:?}");
        let before = seen.len();
        seen.dedup();
        assert_eq!(seen.len(), before, "round {round}: a message came twice");
        assert!(seen.is_sorted(), "round {round}: the order is not kept: {seen:?}");
    }
}

/// Answers each message with itself.
fn receives_until_killed() {
    let mut rx = mailbox().receiver().expect("receiver");
    let (_, options) = address();
    let answers = Name::new(std::env::var_os("ANSWERS").expect("ANSWERS")).expect("a name");
    let mut tx: MailboxSender = options.open(&answers).expect("open").sender().expect("sender");
    loop {
        let msg = rx.recv_message(Wait::Forever).expect("receive");
        tx.send(&msg).expect("send");
    }
}

fn killed_owners(backend: Backend) {
    let name = fresh_name();
    let options = MailboxOptions::new().backend(backend);
    for round in 0..kills() {
        let mut peer = cast("owns_until_killed", &name, backend).start();
        for _ in 0..1 + round % 5 {
            peer.expect("mine");
        }
        peer.kill();
        // It was killed while it created, held or removed the mailbox.
        match options.open(&name) {
            Ok(stale) => stale.unlink().expect("unlink"),
            Err(error) => assert_eq!(error.kind(), ipc_core::ErrorKind::NotFound, "{error}"),
        }
        drop(options.create(&name).expect("create"));
        assert!(traces().is_empty(), "left behind: {:?}", traces());
    }
}

fn owns_until_killed() {
    let (name, options) = address();
    loop {
        let mailbox = options.create(&name).expect("create");
        say("mine");
        drop(mailbox);
    }
}

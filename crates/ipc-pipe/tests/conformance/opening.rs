//! Opening a FIFO: who waits for whom, and for how long.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, ReadBytes, Wait};
use ipc_pipe::{Fifo, FifoOptions};
use ipc_testkit::{Descriptors, Harness, Peer, block, dir, say, wait_for_the_end};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("opening/without_a_peer_never_would_block", never_would_block)
        .test("opening/without_a_peer_a_deadline_passes", deadline_passes)
        .test("opening/reader_waits_for_a_silent_writer", reader_waits_for_a_silent_writer)
        .test("opening/reader_gets_what_a_writer_left", reader_gets_what_a_writer_left)
        .test("opening/writer_waits_for_a_blocked_reader", writer_waits_for_a_blocked_reader)
        .test("opening/forever_waits_for_the_peer", forever_waits_for_the_peer)
        .test("opening/both_needs_nobody_and_never_ends", both_needs_nobody)
        .test("opening/a_replaced_path_does_not_matter", replaced_path_does_not_matter)
        .test("opening/eof_comes_when_the_writer_is_killed", eof_when_writer_is_killed)
        .role("holds_a_writer", holds_a_writer)
        .test("opening/failed_opens_leak_no_descriptor", failed_opens_leak_nothing)
}

fn fifo() -> Fifo {
    FifoOptions::new().create(dir().join("fifo")).expect("create")
}

fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(30))
}

fn never_would_block() {
    let fifo = fifo();
    let reading = fifo.open_reader(Wait::Never).expect_err("there is no writer");
    assert_eq!(reading.kind(), ErrorKind::WouldBlock);
    let writing = fifo.open_writer(Wait::Never).expect_err("there is no reader");
    assert_eq!(writing.kind(), ErrorKind::WouldBlock);
}

fn deadline_passes() {
    let fifo = fifo();
    for open in [
        |fifo: &Fifo, wait| fifo.open_reader(wait).map(drop),
        |fifo: &Fifo, wait| fifo.open_writer(wait).map(drop),
    ] {
        let deadline = Instant::now() + Duration::from_millis(20);
        let error = open(&fifo, Wait::Until(deadline)).expect_err("there is no peer");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= deadline, "it gave up early");
        let past = open(&fifo, Wait::Until(deadline)).expect_err("there is no peer");
        assert_eq!(past.kind(), ErrorKind::TimedOut);
    }
}

/// A writer that opens and says nothing is a peer all the same.
fn reader_waits_for_a_silent_writer() {
    let fifo = fifo();
    let writer = std::thread::scope(|scope| {
        let writer = scope.spawn(|| fifo.open_writer(Wait::Forever));
        let mut rx = fifo.open_reader(soon()).expect("a writer is there");
        let empty = rx.read_with(&mut [0; 8], Wait::Never).expect_err("it has said nothing");
        assert_eq!(empty.kind(), ErrorKind::WouldBlock, "it looks like the end of the stream");
        writer.join().expect("join")
    });
    drop(writer.expect("open"));
}

fn reader_gets_what_a_writer_left() {
    let fifo = fifo();
    let (first_rx, mut tx) = fifo.open_both().expect("open");
    tx.write_all(b"left behind").expect("write");
    drop(tx);
    let mut rx = fifo.open_reader(Wait::Never).expect("data counts as a writer");
    drop(first_rx);
    let mut text = String::new();
    rx.read_to_string(&mut text).expect("read");
    assert_eq!(text, "left behind");
}

fn writer_waits_for_a_blocked_reader() {
    let fifo = fifo();
    let path = fifo.path().to_owned();
    let reader = block("read a FIFO", move || {
        let fifo = FifoOptions::new().open(path)?;
        let mut rx = fifo.open_reader(Wait::Forever)?;
        let mut buf = [0; 5];
        rx.read_exact_with(&mut buf, Wait::Forever).map(|()| buf)
    });
    let mut tx = fifo.open_writer(soon()).expect("a reader is there");
    tx.write_all(b"hello").expect("write");
    assert_eq!(reader.join(), Ok(*b"hello"));
}

fn forever_waits_for_the_peer() {
    let fifo = fifo();
    let path = fifo.path().to_owned();
    let writer = block("open a FIFO", move || {
        let mut tx = FifoOptions::new().open(path)?.open_writer(Wait::Forever)?;
        tx.write_all(b"x").map(|()| true).or(Ok::<_, ipc_core::Error>(false))
    });
    let mut rx = fifo.open_reader(Wait::Forever).expect("open");
    let mut buf = [0; 1];
    rx.read_exact(&mut buf).expect("read");
    assert_eq!(writer.join(), Ok(true));
}

fn both_needs_nobody() {
    let fifo = fifo();
    let (mut rx, mut tx) = fifo.open_both().expect("open");
    let client = fifo.open_writer(Wait::Never).expect("there is a reader");
    drop(client);
    let empty = rx.read_with(&mut [0; 8], Wait::Never).expect_err("a writer is held");
    assert_eq!(empty.kind(), ErrorKind::WouldBlock, "the end came while a writer was held");
    tx.write_all(b"x").expect("write");
    assert_eq!(rx.available(), Ok(1));
}

/// What is opened is what was checked, also when the path names something else by now.
fn replaced_path_does_not_matter() {
    let path = dir().join("fifo");
    let fifo = FifoOptions::new().create(&path).expect("create");
    let guest = FifoOptions::new().open(&path).expect("open");
    std::fs::remove_file(&path).expect("remove");
    std::fs::write(&path, "bait").expect("write a file");
    let (_rx, _tx) = fifo.open_both().expect("open");
    let mut tx = guest.open_writer(Wait::Never).expect("the same FIFO");
    tx.write_all(b"into the pipe").expect("write");
    assert_eq!(super::fixtures::read(&path), "bait");
    drop(fifo);
    std::fs::remove_file(&path).expect("the stranger's file is still there");
}

fn eof_when_writer_is_killed() {
    let fifo = fifo();
    let mut peer = Peer::cast("holds_a_writer");
    peer.command().env("FIFO", fifo.path());
    let mut peer = peer.start();
    let mut rx = fifo.open_reader(soon()).expect("open");
    peer.expect("open");
    let reader = block("read a FIFO", move || rx.read_with(&mut [0; 8], Wait::Forever));
    peer.kill();
    assert_eq!(reader.join(), Ok(0));
}

fn holds_a_writer() {
    let fifo = FifoOptions::new().open(std::env::var_os("FIFO").expect("FIFO")).expect("open");
    let _tx = fifo.open_writer(soon()).expect("open");
    say("open");
    wait_for_the_end()
}

fn failed_opens_leak_nothing() {
    let fifo = fifo();
    let before = Descriptors::now();
    for _ in 0..100 {
        fifo.open_reader(Wait::Never).expect_err("there is no writer");
        fifo.open_writer(Wait::Never).expect_err("there is no reader");
        FifoOptions::new().create(fifo.path()).expect_err("it exists");
        FifoOptions::new().open(dir().join("missing")).expect_err("it does not exist");
    }
    assert_eq!(Descriptors::now(), before);
}

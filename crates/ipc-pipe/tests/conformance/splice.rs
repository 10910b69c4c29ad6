//! The splice family: what it moves, how it waits, and what it refuses.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ipc_core::{ErrorKind, Wait};
use ipc_pipe::{PipeWriter, pipe};
use ipc_testkit::{Harness, block, default_sigpipe, dir};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("splice/moves_a_file_through_a_pipe_to_a_file", file_to_file)
        .test("splice/moves_between_pipes_and_sockets", pipes_and_sockets)
        .test("splice/tee_leaves_the_bytes", tee_leaves_the_bytes)
        .test("splice/waits_as_it_is_told", waits_as_told)
        .test("splice/full_target_times_out_without_spinning", full_target_times_out)
        .test("splice/is_woken_by_data", is_woken_by_data)
        .test("splice/ends_with_the_stream", ends_with_the_stream)
        .test("splice/closed_target_is_disconnected_not_sigpipe", closed_target)
        .test("splice/same_pipe_and_append_are_unsupported", unsupported)
        .test("splice/vmsplice_shares_pages", vmsplice_shares_pages)
}

fn file_to_file() {
    let data: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let source = dir().join("source");
    std::fs::write(&source, &data).expect("write a file");
    let from = File::open(&source).expect("open");
    let mut to = tempfile::tempfile().expect("temporary file");
    let (rx, tx) = pipe().expect("pipe");
    loop {
        let n = tx.splice_from(&from, 50_000, Wait::Forever).expect("splice");
        if n == 0 {
            break;
        }
        let mut left = n;
        while left > 0 {
            left -= rx.splice_to(&to, left, Wait::Forever).expect("splice");
        }
    }
    let mut copy = Vec::new();
    to.rewind().expect("rewind");
    to.read_to_end(&mut copy).expect("read");
    assert!(copy == data, "the copy differs");
    std::fs::remove_file(source).expect("remove");
}

fn pipes_and_sockets() {
    let (mut here, there) = UnixStream::pair().expect("socketpair");
    let (rx, mut tx) = pipe().expect("pipe");
    tx.write_all(b"to the socket").expect("write");
    assert_eq!(rx.splice_to(&there, 100, Wait::Never), Ok(13));
    let mut buf = [0; 13];
    here.read_exact(&mut buf).expect("read");
    assert_eq!(&buf, b"to the socket");
    here.write_all(b"and back").expect("write");
    assert_eq!(tx.splice_from(&there, 100, Wait::Never), Ok(8));
    assert_eq!(rx.available(), Ok(8));
}

fn tee_leaves_the_bytes() {
    let (rx, mut tx) = pipe().expect("pipe");
    let (log, log_tx) = pipe().expect("pipe");
    tx.write_all(&[5; 100]).expect("write");
    assert_eq!(rx.tee(&log_tx, 60, Wait::Never), Ok(60));
    assert_eq!((rx.available(), log.available()), (Ok(100), Ok(60)));
}

fn waits_as_told() {
    let (rx, tx) = pipe().expect("pipe");
    let (_out, out_tx) = pipe().expect("pipe");
    let soon = || Wait::timeout(Duration::from_millis(5));
    for (wait, kind) in [(Wait::Never, ErrorKind::WouldBlock), (soon(), ErrorKind::TimedOut)] {
        assert_eq!(rx.splice_to(&out_tx, 10, wait).expect_err("empty").kind(), kind);
        assert_eq!(rx.tee(&out_tx, 10, wait).expect_err("empty").kind(), kind);
        assert_eq!(tx.splice_from(rx_of_nothing(), 10, wait).expect_err("empty").kind(), kind);
    }
    fill(&tx);
    for (wait, kind) in [(Wait::Never, ErrorKind::WouldBlock), (soon(), ErrorKind::TimedOut)] {
        assert_eq!(tx.vmsplice(b"x", wait).expect_err("full").kind(), kind);
    }
}

/// A socket whose peer is open and says nothing.
fn rx_of_nothing() -> UnixStream {
    let (here, there) = UnixStream::pair().expect("socketpair");
    std::mem::forget(there);
    here
}

fn fill(tx: &PipeWriter) {
    let mut tx = tx;
    while ipc_core::WriteBytes::write_with(&mut tx, &[0; 4096], Wait::Never).is_ok() {}
}

fn full_target_times_out() {
    let (rx, mut tx) = pipe().expect("pipe");
    let (_out, out_tx) = pipe().expect("pipe");
    tx.write_all(b"there is data").expect("write");
    fill(&out_tx);
    let wait = Wait::timeout(Duration::from_millis(20));
    assert_eq!(rx.splice_to(&out_tx, 10, wait).expect_err("full").kind(), ErrorKind::TimedOut);
    assert_eq!(rx.available(), Ok(13), "bytes were lost");
}

fn is_woken_by_data() {
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(30))] {
        let (rx, mut tx) = pipe().expect("pipe");
        let (out, out_tx) = pipe().expect("pipe");
        let splice = block("splice", move || rx.splice_to(&out_tx, 10, wait));
        tx.write_all(b"wake up").expect("write");
        assert_eq!(splice.join(), Ok(7));
        assert_eq!(out.available(), Ok(7));
    }
}

fn ends_with_the_stream() {
    let (rx, tx) = pipe().expect("pipe");
    let (_out, out_tx) = pipe().expect("pipe");
    drop(tx);
    assert_eq!(rx.splice_to(&out_tx, 10, Wait::Forever), Ok(0));
    assert_eq!(rx.tee(&out_tx, 10, Wait::Forever), Ok(0));
}

fn closed_target() {
    // The ends look at the disposition when they are made.
    default_sigpipe();
    let (rx, mut tx) = pipe().expect("pipe");
    let (out, out_tx) = pipe().expect("pipe");
    tx.write_all(b"nobody will read this").expect("write");
    drop(out);
    let gone = ErrorKind::Disconnected;
    assert_eq!(rx.splice_to(&out_tx, 10, Wait::Forever).expect_err("closed").kind(), gone);
    assert_eq!(rx.tee(&out_tx, 10, Wait::Forever).expect_err("closed").kind(), gone);
    assert_eq!(out_tx.vmsplice(b"x", Wait::Forever).expect_err("closed").kind(), gone);
    let file = File::open("/proc/self/exe").expect("open");
    assert_eq!(out_tx.splice_from(&file, 10, Wait::Forever).expect_err("closed").kind(), gone);
    assert_eq!(rx.available(), Ok(21), "bytes were lost");
}

fn unsupported() {
    let (rx, mut tx) = pipe().expect("pipe");
    tx.write_all(b"x").expect("write");
    let same = rx.splice_to(&tx, 1, Wait::Forever).expect_err("the same pipe");
    assert_eq!(same.kind(), ErrorKind::Unsupported);
    let append = File::options().append(true).create(true).open(dir().join("log")).expect("open");
    let error = rx.splice_to(&append, 1, Wait::Forever).expect_err("O_APPEND");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    std::fs::remove_file(dir().join("log")).expect("remove");
}

fn vmsplice_shares_pages() {
    static PAGES: [u8; 12_288] = [42; 12_288];
    let (mut rx, tx) = pipe().expect("pipe");
    assert_eq!(tx.vmsplice(&PAGES, Wait::Forever), Ok(PAGES.len()));
    let mut copy = vec![0; PAGES.len()];
    rx.read_exact(&mut copy).expect("read");
    assert_eq!(copy, PAGES);
}

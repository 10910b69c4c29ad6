//! Descriptors of the wrong type, handoffs that are stale, and what the kernel grants.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, RecvMsg, Rejected, SendMsg, Wait, WriteBytes};
use ipc_pipe::{
    FifoOptions, PIPE_BUF, PacketReader, PacketWriter, PipeOptions, PipeReader, PipeWriter, pipe,
};
use ipc_testkit::{Descriptors, Harness, Peer, become_nobody, dir, need_root, say};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("descriptors/wrong_type_comes_back", wrong_type_comes_back)
        .test("descriptors/wrong_end_comes_back", wrong_end_comes_back)
        .test("descriptors/both_ends_of_an_o_rdwr_fifo_are_taken", o_rdwr_is_both)
        .test("descriptors/bad_key_gives_the_end_back", bad_key_gives_the_end_back)
        .test("descriptors/adopt_of_nothing_is_not_found", adopt_of_nothing_is_not_found)
        .test("descriptors/a_key_is_given_once", a_key_is_given_once)
        .test("descriptors/packets_stay_apart_on_a_fifo", packets_stay_apart_on_a_fifo)
        .test("descriptors/handoff_is_adopted_once", handoff_is_adopted_once)
        .role("adopts_twice", adopts_twice)
        .test("descriptors/stale_variable_is_not_found", stale_variable_is_not_found)
        .role("finds_it_stale", finds_it_stale)
        .test("descriptors/capacity_is_what_the_kernel_granted", capacity)
        .test("descriptors/capacity_below_the_contents_is_refused", shrink_below_contents)
        .test("descriptors/capacity_beyond_the_limit_names_the_knob", capacity_limit)
        .role("asks_for_too_much", asks_for_too_much)
        .test("descriptors/writes_up_to_pipe_buf_do_not_mix", writes_do_not_mix)
        .role("writes_records", writes_records)
}

fn kind<T>(result: Result<T, Rejected<OwnedFd>>, number: i32) -> ErrorKind {
    let rejected = result.map(drop).expect_err("it is not that end");
    assert_eq!(rejected.value.as_raw_fd(), number, "another descriptor came back");
    rejected.error.kind()
}

fn wrong_type_comes_back() {
    let (socket, _peer) = UnixStream::pair().expect("socketpair");
    let open = |path: &str| OwnedFd::from(File::open(path).expect("open"));
    let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
    for (fd, found) in [
        (open("/proc/self/status"), "a regular file"),
        (open("/proc/self"), "a directory"),
        (open("/dev/null"), "a character device"),
        (OwnedFd::from(socket), "a socket"),
        (epoll.expect("epoll"), "something without a file type (an eventfd, epoll or the like)"),
    ] {
        let wrong = ErrorKind::WrongType { expected: "a pipe", found };
        let copy = fd.try_clone().expect("dup");
        let number = copy.as_raw_fd();
        assert_eq!(kind(PipeReader::try_from(copy), number), wrong);
        let number = fd.as_raw_fd();
        assert_eq!(kind(PipeWriter::try_from(fd), number), wrong);
    }
}

fn wrong_end_comes_back() {
    let (rx, tx) = pipe().expect("pipe");
    let (rx, tx) = (OwnedFd::from(rx), OwnedFd::from(tx));
    let (rx_number, tx_number) = (rx.as_raw_fd(), tx.as_raw_fd());
    let wrong = |expected, found| ErrorKind::WrongType { expected, found };
    let reading = wrong("the writing end of a pipe", "the reading end");
    assert_eq!(kind(PipeWriter::try_from(rx), rx_number), reading);
    let writing = wrong("the reading end of a pipe", "the writing end");
    assert_eq!(kind(PipeReader::try_from(tx), tx_number), writing);

    let (_rx, tx) = pipe().expect("pipe");
    let (_packet_rx, packet_tx) = PipeOptions::new().open_packet().expect("pipe");
    let bytes = OwnedFd::from(tx);
    let packets = OwnedFd::from(packet_tx);
    let (bytes_number, packets_number) = (bytes.as_raw_fd(), packets.as_raw_fd());
    let kinds = ("a pipe of bytes", "a pipe in packet mode");
    assert_eq!(kind(PacketWriter::try_from(bytes), bytes_number), wrong(kinds.1, kinds.0));
    assert_eq!(kind(PipeWriter::try_from(packets), packets_number), wrong(kinds.0, kinds.1));
}

fn o_rdwr_is_both() {
    let fifo = FifoOptions::new().create(dir().join("fifo")).expect("create");
    let file = File::options().read(true).write(true).open(fifo.path()).expect("open");
    let copy = file.try_clone().expect("dup");
    let mut tx = PipeWriter::try_from(OwnedFd::from(file)).expect("it writes");
    let rx = PipeReader::try_from(OwnedFd::from(copy)).expect("it reads");
    tx.write_all(b"x").expect("write");
    assert_eq!(rx.available(), Ok(1));
    let node = fifo.as_fd().try_clone_to_owned().expect("dup");
    let rejected = PipeReader::try_from(node).expect_err("O_PATH does not read");
    assert!(matches!(rejected.error.kind(), ErrorKind::WrongType { .. }));
}

fn bad_key_gives_the_end_back() {
    let (mut rx, mut tx) = pipe().expect("pipe");
    let mut command = Command::new("true");
    for key in ["", "a b", "a=b", "a\0b", "schlüssel", &"k".repeat(65)] {
        let rejected = rx.give(&mut command, key).expect_err("no such key may be");
        assert_eq!(rejected.error.kind(), ErrorKind::InvalidInput, "key {key:?}");
        rx = rejected.value;
    }
    tx.write_all_with(b"still", Wait::Never).expect("the reader is still open");
    let (left, _right) = PipeOptions::new().open_duplex().expect("pipes");
    let rejected = left.give(&mut command, "no key").expect_err("no such key may be");
    drop(rejected.value.split());
}

fn adopt_of_nothing_is_not_found() {
    let error = PipeReader::adopt("nobody_gave_this").expect_err("nobody gave it");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn a_key_is_given_once() {
    let ((one, _a), (two, _b)) = (pipe().expect("pipe"), pipe().expect("pipe"));
    let mut command = Command::new("true");
    one.give(&mut command, "end").expect("give");
    let rejected = two.give(&mut command, "END").expect_err("the variable is taken");
    assert_eq!(rejected.error.kind(), ErrorKind::AlreadyExists);
}

/// The descriptor that a FIFO's packets are sent through without blocking keeps them apart too.
fn packets_stay_apart_on_a_fifo() {
    let fifo = FifoOptions::new().create(dir().join("fifo")).expect("create");
    let (rx, tx) = fifo.open_both().expect("open");
    let tx = OwnedFd::from(tx);
    let flags = rustix::fs::fcntl_getfl(&tx).expect("F_GETFL");
    rustix::fs::fcntl_setfl(&tx, flags | rustix::fs::OFlags::DIRECT).expect("F_SETFL");
    let mut tx = PacketWriter::try_from(tx).expect("a pipe in packet mode");
    let mut rx = PacketReader::try_from(OwnedFd::from(rx)).expect("a pipe");
    let mut buf = [0; 64];
    for wait in [Wait::Never, Wait::timeout(Duration::from_secs(30)), Wait::Forever] {
        tx.send_with(b"one", wait).expect("send");
        tx.send_with(b"two", wait).expect("send");
        assert_eq!(rx.recv_with(&mut buf, wait), Ok(3), "{wait:?}");
        assert_eq!(rx.recv_with(&mut buf, wait), Ok(3), "{wait:?}");
    }
}

fn handoff_is_adopted_once() {
    let (rx, mut tx) = pipe().expect("pipe");
    let mut peer = Peer::cast("adopts_twice");
    tx.write_all_with(b"x", Wait::Forever).expect("write");
    rx.give(peer.command(), "once").expect("give");
    let mut peer = peer.start();
    peer.expect("AlreadyExists");
    peer.expect("Ok(1)");
    peer.join();
}

fn adopts_twice() {
    let wrong = PipeWriter::adopt("once").expect_err("it is the other end");
    assert!(matches!(wrong.kind(), ErrorKind::WrongType { .. }), "{wrong}");
    let rx = PipeReader::adopt("once").expect("a wrong guess loses nothing");
    // Not even if it looks as if it had just been inherited.
    rustix::io::fcntl_setfd(&rx, rustix::io::FdFlags::empty()).expect("F_SETFD");
    let again = PipeReader::adopt("once").expect_err("it is taken");
    say(format!("{:?}", again.kind()));
    say(format!("{:?}", rx.available()));
}

fn stale_variable_is_not_found() {
    let (rx, _tx) = pipe().expect("pipe");
    let number = rx.as_fd().as_raw_fd();
    for value in [
        format!("{number}:1:2"),
        "1000:1:2".to_owned(),
        "1:2:3".to_owned(),
        "-1:2:3".to_owned(),
        "what?".to_owned(),
        String::new(),
    ] {
        let mut peer = Peer::cast("finds_it_stale");
        peer.command().env("IPC_HANDOFF_STALE", value);
        peer.start().join();
    }
}

fn finds_it_stale() {
    let error = PipeReader::adopt("stale").expect_err("it is stale");
    let kind = error.kind();
    assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupted), "{error}");
}

fn capacity() {
    let (rx, tx) = pipe().expect("pipe");
    let default = rx.capacity().expect("capacity");
    assert!(default >= PIPE_BUF, "{default}");
    assert_eq!(tx.set_capacity(0), Ok(4096));
    assert_eq!(tx.set_capacity(4097), Ok(8192));
    assert_eq!(rx.capacity(), Ok(8192));
    let error = tx.set_capacity(usize::MAX).expect_err("too much");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let before = Descriptors::now();
    PipeOptions::new().capacity(usize::MAX).open().expect_err("too much");
    assert_eq!(Descriptors::now(), before, "a failed open leaked");
}

fn shrink_below_contents() {
    let (rx, mut tx) = pipe().expect("pipe");
    tx.write_all_with(&[1; 20_000], Wait::Never).expect("write");
    let error = tx.set_capacity(4096).expect_err("more than that is in it");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(rx.available(), Ok(20_000), "bytes were lost");
}

fn capacity_limit() {
    need_root("become another user");
    Peer::start("asks_for_too_much").join();
}

fn asks_for_too_much() {
    become_nobody();
    let max = std::fs::read_to_string("/proc/sys/fs/pipe-max-size").expect("read the limit");
    let max: usize = max.trim().parse().expect("a number");
    let (_rx, tx) = pipe().expect("pipe");
    let error = tx.set_capacity(max + 1).expect_err("beyond the limit");
    let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
    assert!(knob.contains("/proc/sys/fs/pipe-max-size"), "{knob}");
    assert_eq!(tx.set_capacity(max), Ok(max));
}

const RECORDS: u8 = 200;

/// Records of exactly PIPE_BUF bytes of four processes: each arrives in one piece.
fn writes_do_not_mix() {
    let (mut rx, tx) = pipe().expect("pipe");
    let mut writers = Vec::new();
    for id in 1..=4_u8 {
        let mut peer = Peer::cast("writes_records");
        tx.try_clone().expect("dup").give(peer.command(), "records").expect("give");
        peer.command().env("RECORD", id.to_string());
        writers.push(peer.start());
    }
    drop(tx);
    let mut counts = [0_u8; 5];
    let mut record = [0; PIPE_BUF];
    for _ in 0..4 * u32::from(RECORDS) {
        ipc_core::ReadBytes::read_exact_with(&mut rx, &mut record, Wait::Forever).expect("read");
        assert!(record.iter().all(|byte| *byte == record[0]), "records are mixed");
        counts[usize::from(record[0])] += 1;
    }
    assert_eq!(counts, [0, RECORDS, RECORDS, RECORDS, RECORDS]);
    writers.into_iter().for_each(Peer::join);
}

fn writes_records() {
    let id: u8 = std::env::var("RECORD").expect("RECORD").parse().expect("a number");
    let mut tx = PipeWriter::adopt("records").expect("adopt");
    for _ in 0..RECORDS {
        tx.write_all_with(&[id; PIPE_BUF], Wait::Forever).expect("write");
    }
}

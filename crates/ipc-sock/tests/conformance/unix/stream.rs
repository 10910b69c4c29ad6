//! Half-close, buffers, and a peer that goes.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, ReadBytes, Wait, WriteBytes};
use ipc_testkit::{Harness, block, default_sigpipe};

use super::tools::{NEW, kind_of, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/stream/half_close_ends_one_direction", half_close)
        .test("unix/stream/a_receiver_that_shuts_down_is_disconnected", shut_receiver)
        .test("unix/stream/half_close_wakes_a_blocked_read", half_close_wakes)
        .test("unix/stream/available_counts_what_is_there", available)
        .test("unix/stream/buffers_are_as_asked_for", buffers)
        .test("unix/stream/what_was_sent_before_a_reset_is_read_first", reset)
        .test("unix/stream/room_is_used_although_poll_does_not_tell", room_that_poll_hides)
        .test("unix/stream/vectored_calls_take_all_buffers", vectored)
        .test("unix/stream/no_write_raises_sigpipe", no_sigpipe)
}

fn half_close() -> Result<(), Error> {
    let (mut one, mut two) = NEW.pair()?;
    one.write_all_with(b"question", soon())?;
    one.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    two.read_to_string(&mut text).expect("read");
    assert_eq!(text, "question");
    assert_eq!(two.read_with(&mut [0; 8], soon())?, 0);
    assert_eq!(kind_of(one.write_with(b"more", soon())), ErrorKind::Disconnected);
    // The other direction is open.
    two.write_all_with(b"answer", soon())?;
    drop(two);
    text.clear();
    one.read_to_string(&mut text).expect("read");
    assert_eq!(text, "answer");
    Ok(())
}

fn shut_receiver() -> Result<(), Error> {
    let (mut one, mut two) = NEW.pair()?;
    one.shutdown(Shutdown::Read)?;
    assert_eq!(kind_of(two.write_with(b"x", soon())), ErrorKind::Disconnected);
    one.write_all_with(b"still", soon())?;
    two.read_exact_with(&mut [0; 5], soon())?;
    // For all copies of an end.
    one.try_clone()?.shutdown(Shutdown::Both)?;
    assert_eq!(kind_of(one.write_with(b"x", soon())), ErrorKind::Disconnected);
    assert_eq!(two.read_with(&mut [0; 8], soon())?, 0);
    Ok(())
}

fn half_close_wakes() -> Result<(), Error> {
    let (one, mut two) = NEW.pair()?;
    let read = block("read an empty stream", move || two.read_with(&mut [0; 8], Wait::Forever));
    one.shutdown(Shutdown::Write)?;
    assert_eq!(read.join(), Ok(0));
    Ok(())
}

fn available() -> Result<(), Error> {
    let (mut one, mut two) = NEW.pair()?;
    assert_eq!(two.available(), Ok(0));
    one.write_all_with(b"abc", soon())?;
    one.write_all_with(b"de", soon())?;
    assert_eq!(two.available(), Ok(5));
    two.read_with(&mut [0; 1], soon())?;
    assert_eq!(two.available(), Ok(4));
    Ok(())
}

/// The kernel doubles what it is asked for, up to twice its limit.
fn buffers() -> Result<(), Error> {
    let (one, _) = NEW.send_buffer(10_000).recv_buffer(20_000).pair()?;
    assert_eq!((one.send_buffer()?, one.recv_buffer()?), (20_000, 40_000));
    let limit = |name: &str| -> usize {
        let text = std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).expect("read");
        text.trim().parse().expect("a number")
    };
    let (one, _) = NEW.send_buffer(1 << 30).recv_buffer(1 << 30).pair_seqpacket()?;
    assert_eq!(one.send_buffer()?, 2 * limit("wmem_max"));
    assert_eq!(one.recv_buffer()?, 2 * limit("rmem_max"));
    let (one, _) = NEW.pair_datagram()?;
    assert_eq!(one.send_buffer()?, limit("wmem_default"));
    Ok(())
}

fn reset() -> Result<(), Error> {
    let (mut one, mut two) = NEW.pair()?;
    one.write_all_with(b"unread", soon())?;
    two.write_all_with(b"last words", soon())?;
    drop(two);
    let mut buf = [0; 16];
    let n = one.read_with(&mut buf, soon())?;
    assert_eq!(&buf[..n], b"last words");
    let error = one.read_with(&mut buf, soon()).expect_err("the peer has not read everything");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    assert_eq!(one.read_with(&mut buf, soon()), Ok(0), "then it is the end of the stream");
    Ok(())
}

/// `poll` calls a Unix socket writable once three quarters of its buffer are free.
fn room_that_poll_hides() -> Result<(), Error> {
    let (mut one, mut two) = NEW.pair()?;
    while one.write_with(&[7; 4096], Wait::Never).is_ok() {}
    let deadline = Wait::timeout(Duration::from_secs(1));
    let write = block("write to a full stream", move || one.write_with(&[7; 100], deadline));
    two.read_exact_with(&mut vec![0; 40_000], soon())?;
    assert_eq!(write.join(), Ok(100), "there was room before the deadline");
    Ok(())
}

fn vectored() -> Result<(), std::io::Error> {
    let (mut one, mut two) = NEW.pair()?;
    let parts = [IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"bcd")];
    assert_eq!(one.write_vectored(&parts)?, 4);
    let (mut front, mut back) = ([0; 3], [0; 8]);
    let n = two.read_vectored(&mut [IoSliceMut::new(&mut front), IoSliceMut::new(&mut back)])?;
    assert_eq!((n, &front, back[0]), (4, b"abc", b'd'));
    Ok(())
}

fn no_sigpipe() -> Result<(), Error> {
    default_sigpipe();
    let (mut one, two) = NEW.pair()?;
    let (packets, gone) = NEW.pair_seqpacket()?;
    let (datagrams, closed) = NEW.pair_datagram()?;
    drop((two, gone, closed));
    for wait in [Wait::Forever, Wait::Never, soon()] {
        let kinds = [
            kind_of(one.write_with(b"x", wait)),
            kind_of(one.write_vectored_with(&[IoSlice::new(b"x")], wait)),
            kind_of(one.send_message(b"x", &[], wait)),
            kind_of(packets.send_message(b"x", &[], wait)),
            kind_of(datagrams.send_message(b"x", &[], wait)),
        ];
        assert_eq!(kinds, [ErrorKind::Disconnected; 5], "{wait:?}");
    }
    Ok(())
}

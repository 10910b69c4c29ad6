//! How long it blocks, and what wakes it.

use std::time::Duration;

use ipc_core::{ErrorKind, ReadBytes, Result, Wait, WriteBytes};

use super::{Bytes, pair};
use crate::waits::{self, fails, works};
use crate::{note, stream};

pub(super) fn cases<B: Bytes>(case: &mut impl FnMut(&str, fn())) {
    case("try_read_on_empty_would_block", read_never::<B>);
    case("try_write_on_full_would_block_and_what_was_accepted_arrives_once", full::<B>);
    case("a_write_that_is_out_in_part_returns_the_count_and_not_an_error", in_part::<B>);
    case("read_times_out_at_its_deadline_and_not_before", read_deadline::<B>);
    case("write_times_out_at_its_deadline_and_not_before", write_deadline::<B>);
    case("a_deadline_in_the_past_takes_what_is_possible_now", past_deadline::<B>);
    case("blocked_read_is_woken_by_a_write", read_woken::<B>);
    case("blocked_write_is_woken_by_a_read", write_woken::<B>);
    case("signals_do_not_end_a_read", read_interrupted::<B>);
    case("signals_do_not_end_a_write", write_interrupted::<B>);
    case("signals_do_not_move_the_deadline_of_a_read", read_interrupted_deadline::<B>);
    case("signals_do_not_move_the_deadline_of_a_write", write_interrupted_deadline::<B>);
}

/// What the blocked operations of these cases do.
const READ: &str = "read of an empty stream";
const WRITE: &str = "write to a full stream";

fn read<B: Bytes>(mut rx: B::Rx, wait: Wait) -> (Result<Vec<u8>>, B::Rx) {
    let mut buf = [0; 64];
    let result = rx.read_with(&mut buf, wait).map(|n| buf[..n].to_vec());
    (result, rx)
}

/// Writes the one byte that comes at `at`.
fn write_one<B: Bytes>(mut tx: B::Tx, at: u64, wait: Wait) -> (Result<usize>, B::Tx) {
    let result = tx.write_with(&stream::bytes(at, 1), wait);
    (result, tx)
}

/// A stream that is full, and how many bytes are in it.
fn full_pair<B: Bytes>() -> (B::Tx, B::Rx, u64) {
    let (mut tx, rx) = pair::<B>();
    let full = stream::fill(&mut tx, B::SETTLES);
    (tx, rx, full)
}

#[track_caller]
fn nothing_more<B: Bytes>(rx: &mut B::Rx, all: u64) {
    let soon = Wait::timeout(Duration::from_millis(20));
    if let Ok(n) = rx.read_with(&mut [0; 8192], soon) {
        panic!("{n} bytes more came than the {all} that were accepted");
    }
}

fn read_never<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    waits::never(READ, |wait| rx.read_with(&mut [0; 64], wait));
    works("write", tx.write_all_with(b"x", Wait::Forever));
    works("read", rx.read_exact_with(&mut [0; 1], Wait::Forever));
    waits::never("read after the last byte", |wait| rx.read_with(&mut [0; 64], wait));
}

fn full<B: Bytes>() {
    let (mut tx, mut rx, full) = full_pair::<B>();
    waits::never(WRITE, |wait| tx.write_with(&[1], wait));
    waits::never(WRITE, |wait| tx.write_with(&[2; 10_000], wait));
    stream::expect(&mut rx, 0, full);
    nothing_more::<B>(&mut rx, full);
    works("write after it was emptied", tx.write_with(b"x", Wait::Never));
}

/// More than fits is written: `Never` and a deadline both return how much went out, and only a
/// write of which nothing is out is an error.
fn in_part<B: Bytes>() {
    for wait in [Wait::Never, Wait::timeout(Duration::from_millis(50))] {
        let (mut tx, mut rx, full) = full_pair::<B>();
        stream::expect(&mut rx, 0, full);
        let much = usize::try_from(full).expect("it is small") * 2 + 100_000;
        let what = format!("write of {much} bytes to a stream of {full} with {wait:?}");
        let out = match tx.write_with(&stream::bytes(full, much), wait) {
            Ok(n) => n as u64,
            Err(error) if error.kind() == wait.exhausted() => {
                // Nothing may have gone out then.
                nothing_more::<B>(&mut rx, full);
                continue;
            }
            Err(error) => panic!("{what}: {error}"),
        };
        assert!((1..=much as u64).contains(&out), "{what} returned {out}");
        stream::expect(&mut rx, full, full + out);
        nothing_more::<B>(&mut rx, full + out);
    }
}

fn read_deadline<B: Bytes>() {
    let (_tx, mut rx) = pair::<B>();
    waits::deadline(READ, |wait| rx.read_with(&mut [0; 64], wait));
}

fn write_deadline<B: Bytes>() {
    let (mut tx, mut rx, full) = full_pair::<B>();
    waits::deadline(WRITE, |wait| tx.write_with(&[1], wait));
    waits::past_deadline(WRITE, |wait| tx.write_with(&[1], wait));
    stream::expect(&mut rx, 0, full);
    nothing_more::<B>(&mut rx, full);
}

fn past_deadline<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    let past = Wait::Until(waits::past());
    waits::past_deadline(READ, |wait| rx.read_with(&mut [0; 64], wait));
    let n = works("write with a deadline in the past, and room,", tx.write_with(b"room", past));
    let mut buf = [0; 64];
    let got = works("read with a deadline in the past", rx.read_with(&mut buf, past));
    assert_eq!(buf[..got], b"room"[..n]);
}

fn read_woken<B: Bytes>() {
    let (mut tx, mut rx) = pair::<B>();
    for wait in waits::long_waits() {
        let wake = || works("write", tx.write_all_with(b"!", Wait::Forever));
        let result = waits::woken(READ, wait, move |wait| read::<B>(rx, wait), wake);
        assert_eq!(works(READ, result.0), b"!");
        rx = result.1;
    }
}

fn write_woken<B: Bytes>() {
    for wait in waits::long_waits() {
        let (tx, mut rx, full) = full_pair::<B>();
        let write = move |wait| write_one::<B>(tx, full, wait);
        let wake = || stream::expect(&mut rx, 0, full + 1);
        let (result, _tx) = waits::woken(WRITE, wait, write, wake);
        assert_eq!(works(WRITE, result), 1);
        nothing_more::<B>(&mut rx, full + 1);
    }
}

fn read_interrupted<B: Bytes>() {
    let (mut tx, rx) = pair::<B>();
    let wake = || works("write", tx.write_all_with(b"!", Wait::Forever));
    let (result, _rx) = waits::interrupted(READ, move |wait| read::<B>(rx, wait), wake);
    assert_eq!(works(READ, result), b"!");
}

/// Nothing of the write is out when the signals come, so that they must not show at all; then a
/// large one is interrupted in its middle, which may shorten it but loses nothing.
fn write_interrupted<B: Bytes>() {
    let (tx, mut rx, full) = full_pair::<B>();
    let write = move |wait| write_one::<B>(tx, full, wait);
    let wake = || stream::expect(&mut rx, 0, full + 1);
    let (result, mut tx) = waits::interrupted(WRITE, write, wake);
    assert_eq!(works(WRITE, result), 1);
    nothing_more::<B>(&mut rx, full + 1);

    let large = full * 3 + 1000;
    let (from, to) = (full + 1, full + 1 + large);
    let data = stream::bytes(from, usize::try_from(large).expect("it is small"));
    let writer = crate::blocked::block("write_all of more than fits", move || {
        (tx.write_all_with(&data, Wait::Forever), tx)
    });
    let _ = writer.interrupt(20);
    note("a large write was interrupted: if it hangs, the rest of it was lost");
    stream::expect(&mut rx, from, to);
    let (result, _tx) = writer.join();
    works("write_all, interrupted by signals (EINTR),", result);
    nothing_more::<B>(&mut rx, to);
}

fn read_interrupted_deadline<B: Bytes>() {
    // The writer stays, so that the stream is empty and has not ended.
    let (_tx, mut rx) = pair::<B>();
    waits::interrupted_deadline(READ, move |wait| rx.read_with(&mut [0; 64], wait));
}

fn write_interrupted_deadline<B: Bytes>() {
    let (mut tx, mut rx, full) = full_pair::<B>();
    waits::interrupted_deadline(WRITE, move |wait| {
        let result = tx.write_with(&[1], wait);
        // A second look: the stream is full still.
        fails(WRITE, tx.write_with(&[1], Wait::Never), ErrorKind::WouldBlock);
        result
    });
    stream::expect(&mut rx, 0, full);
}

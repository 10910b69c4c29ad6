//! How long it blocks, and what wakes it.

use std::time::Duration;

use ipc_core::{ErrorKind, RecvMsg, Result, SendMsg, Wait};

use super::{Messages, pair};
use crate::payload::Script;
use crate::waits::{self, works};

pub(super) fn cases<M: Messages>(case: &mut impl FnMut(&str, fn())) {
    case("try_recv_on_empty_would_block", recv_never::<M>);
    case("try_send_on_full_would_block_and_what_was_accepted_arrives_once", full::<M>);
    case("recv_times_out_at_its_deadline_and_not_before", recv_deadline::<M>);
    case("send_times_out_at_its_deadline_and_not_before", send_deadline::<M>);
    case("a_deadline_in_the_past_takes_what_is_possible_now", past_deadline::<M>);
    case("blocked_recv_is_woken_by_a_send", recv_woken::<M>);
    case("blocked_send_is_woken_by_a_recv", send_woken::<M>);
    case("signals_do_not_end_a_recv", recv_interrupted::<M>);
    case("signals_do_not_end_a_send", send_interrupted::<M>);
    case("signals_do_not_move_the_deadline_of_a_recv", recv_interrupted_deadline::<M>);
    case("signals_do_not_move_the_deadline_of_a_send", send_interrupted_deadline::<M>);
}

/// What the blocked operations of these cases do.
const RECV: &str = "recv on an empty channel";
const SEND: &str = "send on a full channel";

/// A receive into a buffer of its own, which keeps the end alive.
fn recv<M: Messages>(mut rx: M::Rx, wait: Wait) -> (Result<Vec<u8>>, M::Rx) {
    let mut buf = vec![0; 8192];
    let result = rx.recv_with(&mut buf, wait).map(|len| buf[..len].to_vec());
    (result, rx)
}

/// A channel that is full: its ends, its script, and the number of the message that was refused.
fn full_pair<M: Messages>() -> (M::Tx, M::Rx, Script, u64) {
    let (mut tx, rx) = pair::<M>();
    let script = Script::uniform(tx.max_len());
    let refused = script.fill(&mut tx, M::SETTLES);
    (tx, rx, script, refused)
}

/// After message `last` nothing more is there, and nothing comes.
#[track_caller]
fn nothing_more<M: Messages>(rx: &mut M::Rx, last: u64) {
    let mut buf = vec![0; 8192];
    if let Ok(len) = rx.recv_timeout(&mut buf, Duration::from_millis(20)) {
        panic!("{len} bytes more came after message {last}: a message arrived twice");
    }
}

fn recv_never<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    waits::never(RECV, |wait| rx.recv_with(&mut [0; 64], wait));
    works("try_send", tx.try_send(b"x").or_else(|_| tx.send(b"x")));
    works("recv", rx.recv(&mut [0; 64]));
    waits::never("recv after the last message", |wait| rx.recv_with(&mut [0; 64], wait));
}

fn full<M: Messages>() {
    let (mut tx, mut rx, script, refused) = full_pair::<M>();
    let message = script.message(refused);
    // Offered again and again, it must not arrive more than once in the end.
    for _ in 0..5 {
        waits::never(SEND, |wait| tx.send_with(&message, wait));
    }
    let mut next = 0;
    while let Err(error) = tx.try_send(&message) {
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "send with Wait::Never: {error}");
        assert!(next < refused, "all {refused} messages are received, and no send is possible");
        script.expect(&mut rx, next..next + 1);
        next += 1;
    }
    script.expect(&mut rx, next..refused + 1);
    nothing_more::<M>(&mut rx, refused);
}

fn recv_deadline<M: Messages>() {
    let (_tx, mut rx) = pair::<M>();
    waits::deadline(RECV, |wait| rx.recv_with(&mut [0; 64], wait));
}

fn send_deadline<M: Messages>() {
    let (mut tx, mut rx, script, refused) = full_pair::<M>();
    let message = script.message(refused);
    waits::deadline(SEND, |wait| tx.send_with(&message, wait));
    waits::past_deadline(SEND, |wait| tx.send_with(&message, wait));
    // What was refused was not sent; where a part of it was begun, sending it again completes it.
    let sender = crate::blocked::start(SEND, move || {
        works("send of what was refused", tx.send(&message));
        tx
    });
    script.expect(&mut rx, 0..refused + 1);
    drop(sender.join());
    nothing_more::<M>(&mut rx, refused);
}

fn past_deadline<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let past = Wait::Until(waits::past());
    waits::past_deadline(RECV, |wait| rx.recv_with(&mut [0; 64], wait));
    works("send with a deadline in the past, and room,", tx.send_with(b"there is room", past));
    let mut buf = [0; 64];
    let len = works("recv with a deadline in the past", rx.recv_with(&mut buf, past));
    assert_eq!(&buf[..len], b"there is room");
}

fn recv_woken<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    for (wait, message) in waits::long_waits().into_iter().zip([b"first".as_slice(), b"second"]) {
        let wake = || works("send", tx.send(message));
        let result = waits::woken(RECV, wait, move |wait| recv::<M>(rx, wait), wake);
        assert_eq!(works(RECV, result.0), message);
        rx = result.1;
    }
}

fn send_woken<M: Messages>() {
    for wait in waits::long_waits() {
        let (mut tx, mut rx, script, refused) = full_pair::<M>();
        let message = script.message(refused);
        let send = move |wait| (tx.send_with(&message, wait), tx);
        let wake = || script.expect(&mut rx, 0..refused + 1);
        let (result, _tx) = waits::woken(SEND, wait, send, wake);
        works(SEND, result);
        nothing_more::<M>(&mut rx, refused);
    }
}

fn recv_interrupted<M: Messages>() {
    let (mut tx, rx) = pair::<M>();
    let wake = || works("send", tx.send(b"at last"));
    let (result, _rx) = waits::interrupted(RECV, move |wait| recv::<M>(rx, wait), wake);
    assert_eq!(works(RECV, result), b"at last");
}

fn send_interrupted<M: Messages>() {
    let (mut tx, mut rx, script, refused) = full_pair::<M>();
    let message = script.message(refused);
    let send = move |wait| (tx.send_with(&message, wait), tx);
    let wake = || script.expect(&mut rx, 0..refused + 1);
    let (result, _tx) = waits::interrupted(SEND, send, wake);
    works(SEND, result);
    nothing_more::<M>(&mut rx, refused);
}

fn recv_interrupted_deadline<M: Messages>() {
    // The sender stays, so that the channel is empty and not disconnected.
    let (_tx, mut rx) = pair::<M>();
    waits::interrupted_deadline(RECV, move |wait| rx.recv_with(&mut [0; 64], wait));
}

fn send_interrupted_deadline<M: Messages>() {
    let (mut tx, _rx, script, refused) = full_pair::<M>();
    let message = script.message(refused);
    waits::interrupted_deadline(SEND, move |wait| tx.send_with(&message, wait));
}

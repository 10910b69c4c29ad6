//! How long it blocks, and what wakes it.

use ipc_core::{Notified, Result, Wait};
use std::num::NonZeroU64;

use super::{Notifications, WAIT, check, notify, pair, take_all};
use crate::waits::{self, works};

pub(super) fn cases<N: Notifications>(case: &mut impl FnMut(&str, fn())) {
    case("try_wait_before_a_notification_would_block", never::<N>);
    case("wait_times_out_at_its_deadline_and_not_before", deadline::<N>);
    case("a_deadline_in_the_past_takes_a_notification_that_is_there", past_deadline::<N>);
    case("blocked_wait_is_woken_by_a_notification", woken::<N>);
    case("signals_do_not_end_a_wait", interrupted::<N>);
    case("signals_do_not_move_the_deadline_of_a_wait", interrupted_deadline::<N>);
}

/// A wait that keeps the end.
fn wait<N: Notifications>(rx: N::Rx, wait: Wait) -> (Result<NonZeroU64>, N::Rx) {
    (rx.wait_with(wait), rx)
}

fn never<N: Notifications>() {
    let (tx, rx) = pair::<N>();
    waits::never(WAIT, |wait| rx.wait_with(wait));
    notify(&tx);
    check::<N>(take_all(&rx), 1);
}

fn deadline<N: Notifications>() {
    let (tx, rx) = pair::<N>();
    waits::deadline(WAIT, |wait| rx.wait_with(wait));
    notify(&tx);
    check::<N>(take_all(&rx), 1);
}

fn past_deadline<N: Notifications>() {
    let (tx, rx) = pair::<N>();
    waits::past_deadline(WAIT, |wait| rx.wait_with(wait));
    notify(&tx);
    let past = Wait::Until(waits::past());
    check::<N>(works("wait with a deadline in the past", rx.wait_with(past)).get(), 1);
}

fn woken<N: Notifications>() {
    let (tx, mut rx) = pair::<N>();
    for long in waits::long_waits() {
        let op = move |it| wait::<N>(rx, it);
        let result;
        (result, rx) = waits::woken(WAIT, long, op, || notify(&tx));
        check::<N>(works(WAIT, result).get(), 1);
    }
    assert_eq!(take_all(&rx), 0, "a notification was seen twice: that is spurious");
}

fn interrupted<N: Notifications>() {
    let (tx, rx) = pair::<N>();
    let (result, rx) = waits::interrupted(WAIT, move |it| wait::<N>(rx, it), || notify(&tx));
    check::<N>(works(WAIT, result).get(), 1);
    assert_eq!(take_all(&rx), 0, "a signal was seen as a notification: that is spurious");
}

fn interrupted_deadline<N: Notifications>() {
    let (_tx, rx) = pair::<N>();
    waits::interrupted_deadline(WAIT, move |wait| rx.wait_with(wait));
}

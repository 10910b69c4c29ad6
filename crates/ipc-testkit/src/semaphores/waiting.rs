//! How long it blocks, and what wakes it.

use ipc_core::{Semaphore, Wait};

use super::{Semaphores, WAIT, pair, post, take_all};
use crate::waits::{self, works};

pub(super) fn cases<S: Semaphores>(case: &mut impl FnMut(&str, fn())) {
    case("try_wait_at_zero_would_block", never::<S>);
    case("wait_times_out_at_its_deadline_and_not_before", deadline::<S>);
    case("a_deadline_in_the_past_takes_a_permit_that_is_there", past_deadline::<S>);
    case("blocked_wait_is_woken_by_a_post", woken::<S>);
    case("signals_do_not_end_a_wait", interrupted::<S>);
    case("signals_do_not_move_the_deadline_of_a_wait", interrupted_deadline::<S>);
}

fn never<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    waits::never(WAIT, |wait| theirs.wait_with(wait));
    post(&ours);
    take_all(&theirs, 1);
}

fn deadline<S: Semaphores>() {
    let (_ours, theirs) = pair::<S>();
    waits::deadline(WAIT, |wait| theirs.wait_with(wait));
}

fn past_deadline<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    waits::past_deadline(WAIT, |wait| theirs.wait_with(wait));
    post(&ours);
    works("wait with a deadline in the past", theirs.wait_with(Wait::Until(waits::past())));
    take_all(&theirs, 0);
}

fn woken<S: Semaphores>() {
    for wait in waits::long_waits() {
        let (ours, theirs) = pair::<S>();
        let op = move |wait| theirs.wait_with(wait);
        works(WAIT, waits::woken(WAIT, wait, op, || post(&ours)));
        take_all(&ours, 0);
    }
}

fn interrupted<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    let op = move |wait| theirs.wait_with(wait);
    works(WAIT, waits::interrupted(WAIT, op, || post(&ours)));
    take_all(&ours, 0);
}

fn interrupted_deadline<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    waits::interrupted_deadline(WAIT, move |wait| theirs.wait_with(wait));
    post(&ours);
    take_all(&ours, 1);
}

//! None is lost, none comes from nowhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ipc_core::Notified;

use super::{Notifications, check, notify, pair, take_all};
use crate::waits::{self, works};
use crate::{blocked, note};

pub(super) fn cases<N: Notifications>(case: &mut impl FnMut(&str, fn())) {
    case("nothing_is_seen_before_the_first_notification", nothing::<N>);
    case("a_notification_is_seen_once", once::<N>);
    case("several_notifications_are_counted_or_coalesced", several::<N>);
    case("each_of_a_thousand_notifications_is_seen_before_the_next", lockstep::<N>);
    case("the_last_of_ten_thousand_notifications_is_seen", last::<N>);
}

fn nothing<N: Notifications>() {
    let (_tx, rx) = pair::<N>();
    let seen = take_all(&rx);
    assert_eq!(seen, 0, "{seen} notifications were seen and none was made: they are spurious");
}

fn once<N: Notifications>() {
    let (tx, rx) = pair::<N>();
    notify(&tx);
    check::<N>(works("wait", rx.wait()).get(), 1);
    let more = take_all(&rx);
    assert_eq!(more, 0, "a notification that was taken was seen again: that is spurious");
    waits::deadline("wait after the last notification", |wait| rx.wait_with(wait));
}

fn several<N: Notifications>() {
    let (tx, rx) = pair::<N>();
    for made in [2, 5, 20] {
        (0..made).for_each(|_| notify(&tx));
        check::<N>(take_all(&rx), made);
    }
}

/// Each is made when the one before was seen, so that none can be coalesced with another.
fn lockstep<N: Notifications>() {
    const ALL: u64 = 1000;
    let (tx, rx) = pair::<N>();
    let seen = Arc::new(AtomicU64::new(0));
    let sender = {
        let seen = Arc::clone(&seen);
        blocked::start("the sender", move || {
            for made in 1..=ALL {
                notify(&tx);
                while seen.load(Ordering::Acquire) < made {
                    thread::yield_now();
                }
            }
        })
    };
    note("notifications are made one by one: if it hangs, one of them was lost");
    for made in 1..=ALL {
        let count = works("wait", rx.wait()).get();
        assert_eq!(count, 1, "notification {made} was seen as {count}: some are spurious");
        seen.store(made, Ordering::Release);
    }
    sender.join();
    assert_eq!(take_all(&rx), 0, "after the last notification more were seen: they are spurious");
}

/// They are made as fast as can be: whatever is coalesced, after the last one a wait returns.
fn last<N: Notifications>() {
    const ALL: u64 = 10_000;
    let (tx, rx) = pair::<N>();
    let made = Arc::new(AtomicU64::new(0));
    let sender = {
        let made = Arc::clone(&made);
        blocked::start("the sender", move || {
            for n in 1..=ALL {
                made.store(n, Ordering::Release);
                notify(&tx);
            }
        })
    };
    note("ten thousand notifications are made: if it hangs, the last one was lost");
    let mut seen = 0;
    while made.load(Ordering::Acquire) < ALL || (!N::CAPS.coalesces && seen < ALL) {
        seen += works("wait", rx.wait()).get();
    }
    sender.join();
    seen += take_all(&rx);
    check::<N>(seen, ALL);
}

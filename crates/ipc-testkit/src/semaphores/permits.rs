//! Each permit is taken exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ipc_core::{ErrorKind, Semaphore, Wait};

use super::{Semaphores, pair, post, take_all};
use crate::waits::{fails, works};
use crate::{blocked, note};

pub(super) fn cases<S: Semaphores>(case: &mut impl FnMut(&str, fn())) {
    case("each_post_is_one_permit", count::<S>);
    case("a_wait_that_times_out_takes_no_permit", timeout_takes_none::<S>);
    case("waits_that_time_out_while_others_post_lose_no_permit", timeouts_race::<S>);
    case("permits_are_conserved_among_four_threads", conserved::<S>);
    case("one_permit_makes_a_lock_of_four_threads", lock::<S>);
    case("one_post_wakes_one_of_two_waiters", one_of_two::<S>);
}

fn count<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    take_all(&ours, 0);
    for permits in [1, 3, 10] {
        (0..permits).for_each(|_| post(&ours));
        take_all(&theirs, permits);
    }
    post(&theirs);
    post(&ours);
    take_all(&ours, 2);
}

fn timeout_takes_none<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    for _ in 0..3 {
        let result = theirs.wait_timeout(Duration::from_millis(2));
        fails("wait at zero with a deadline", result, ErrorKind::TimedOut);
        fails("wait at zero", theirs.try_wait(), ErrorKind::WouldBlock);
    }
    post(&ours);
    take_all(&theirs, 1);
    (0..5).for_each(|_| post(&ours));
    take_all(&ours, 5);
}

/// One thread waits with deadlines that pass all the time, another posts whenever there is no
/// permit: none may be lost between a post and a deadline.
fn timeouts_race<S: Semaphores>() {
    const ALL: u64 = 1000;
    let (ours, theirs) = pair::<S>();
    let taken = Arc::new(AtomicU64::new(0));
    note("posts race with deadlines: if it hangs, a permit was lost");
    let poster = {
        let taken = Arc::clone(&taken);
        blocked::start("the poster", move || {
            for n in 0..ALL {
                while taken.load(Ordering::Acquire) < n {
                    thread::yield_now();
                }
                post(&ours);
            }
            ours
        })
    };
    for n in 1..=ALL {
        while let Err(error) = theirs.wait_timeout(Duration::from_micros(n % 50)) {
            assert_eq!(error.kind(), ErrorKind::TimedOut, "wait: {error}");
        }
        taken.store(n, Ordering::Release);
    }
    take_all(&poster.join(), 0);
}

fn conserved<S: Semaphores>() {
    const EACH: u64 = 2500;
    let (ours, theirs) = pair::<S>();
    note("two threads post and two wait, as often: if it hangs, permits were lost");
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..EACH).for_each(|_| post(&ours)));
            scope.spawn(|| (0..EACH).for_each(|_| works("wait", theirs.wait())));
        }
    });
    take_all(&ours, 0);
}

fn lock<S: Semaphores>() {
    const EACH: u64 = 500;
    let (ours, theirs) = pair::<S>();
    // Not added to atomically, on purpose: that is what the lock is for.
    let counter = AtomicU64::new(0);
    let (inside, together) = (AtomicU64::new(0), AtomicU64::new(0));
    post(&ours);
    note("four threads take turns: if it hangs, a permit or a wake-up was lost");
    thread::scope(|scope| {
        for handle in [&ours, &theirs, &ours, &theirs] {
            scope.spawn(|| {
                for _ in 0..EACH {
                    works("wait", handle.wait());
                    together.fetch_max(inside.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
                    let count = counter.load(Ordering::Relaxed);
                    // Whoever can come in has a chance to.
                    thread::yield_now();
                    counter.store(count + 1, Ordering::Relaxed);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    post(handle);
                }
            });
        }
    });
    take_all(&ours, 1);
    let others = together.into_inner();
    assert_eq!(others, 0, "{} threads held the one permit at the same time", others + 1);
    assert_eq!(counter.into_inner(), 4 * EACH, "what one holder wrote the next one did not see");
}

fn one_of_two<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    let theirs = Arc::new(theirs);
    let wait = |handle: &Arc<S::Handle>| {
        let handle = Arc::clone(handle);
        blocked::block("wait at zero", move || handle.wait_with(Wait::Forever))
    };
    let (mut first, mut second) = (wait(&theirs), wait(&theirs));
    post(&ours);
    note("two waiters were blocked and one permit was posted: if it hangs, nobody woke");
    while !first.is_finished() && !second.is_finished() {
        thread::yield_now();
    }
    if second.is_finished() {
        (first, second) = (second, first);
    }
    works("wait", first.join());
    assert!(second.settle(), "one permit was posted, and two waiters took it");
    post(&ours);
    works("wait", second.join());
    take_all(&ours, 0);
}

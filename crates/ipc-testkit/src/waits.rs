//! What every operation that can wait owes its caller, whatever the family: the checks that the
//! suites share. `op` is always an operation that cannot be done until somebody else acts.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Result, Wait};

use crate::{blocked, note};

/// A deadline short enough for a test and long enough to block in.
const SHORT: Duration = Duration::from_millis(60);

/// A deadline long enough for many signals to come before it.
const LONGER: Duration = Duration::from_millis(150);

/// How often a wait without a deadline is interrupted.
const INTERRUPTIONS: u64 = 100;

/// Asserts how an operation fails.
#[track_caller]
pub(crate) fn fails<T: Debug>(what: &str, result: Result<T>, expected: ErrorKind) {
    match result {
        Ok(value) => panic!("{what} must be {expected:?}, and it returned {value:?}"),
        Err(error) => {
            assert_eq!(error.kind(), expected, "{what} must be {expected:?}, and it is: {error}");
        }
    }
}

/// Asserts that an operation succeeds.
#[track_caller]
pub(crate) fn works<T>(what: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Repeats what reports whether anything happened, until nothing has for as long as `settles`.
pub(crate) fn until_settled(settles: Duration, mut happens: impl FnMut() -> bool) {
    let mut quiet_since = Instant::now();
    loop {
        if happens() {
            quiet_since = Instant::now();
        }
        if quiet_since.elapsed() >= settles {
            return;
        }
        std::thread::sleep(settles / 20);
    }
}

/// `Never` is `WouldBlock`.
#[track_caller]
pub(crate) fn never<T: Debug>(what: &str, op: impl FnOnce(Wait) -> Result<T>) {
    note(format!("{what} with Wait::Never: if it hangs, it blocks"));
    fails(&format!("{what} with Wait::Never"), op(Wait::Never), ErrorKind::WouldBlock);
}

/// A deadline in the future is `TimedOut`, and not before it.
#[track_caller]
pub(crate) fn deadline<T: Debug>(what: &str, op: impl FnOnce(Wait) -> Result<T>) {
    note(format!("{what} with a deadline: if it hangs, the deadline is ignored"));
    let deadline = Instant::now() + SHORT;
    let result = op(Wait::Until(deadline));
    let now = Instant::now();
    fails(&format!("{what} with a deadline"), result, ErrorKind::TimedOut);
    not_early(what, deadline, now);
}

#[track_caller]
fn not_early(what: &str, deadline: Instant, now: Instant) {
    let early = deadline.saturating_duration_since(now);
    assert!(early.is_zero(), "{what} timed out too early, {early:?} before its deadline");
}

/// A deadline that has passed is `TimedOut`.
#[track_caller]
pub(crate) fn past_deadline<T: Debug>(what: &str, op: impl FnOnce(Wait) -> Result<T>) {
    note(format!("{what} with a deadline in the past: if it hangs, the deadline is ignored"));
    let result = op(Wait::Until(past()));
    fails(&format!("{what} with a deadline in the past"), result, ErrorKind::TimedOut);
}

/// A moment that has passed.
pub(crate) fn past() -> Instant {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
}

/// Every way to wait that lasts until `wake`: for ever, and with a deadline far away.
pub(crate) fn long_waits() -> [Wait; 2] {
    [Wait::Forever, Wait::timeout(Duration::from_secs(3600))]
}

/// `op` blocks with this wait, until `wake` makes it possible; returns what it returned.
#[track_caller]
pub(crate) fn woken<T: Debug + Send + 'static>(
    what: &'static str,
    wait: Wait,
    op: impl FnOnce(Wait) -> T + Send + 'static,
    wake: impl FnOnce(),
) -> T {
    let blocked = blocked::block(what, move || op(wait));
    note(format!("{what} is blocked and becomes possible now: if it hangs, nobody woke it"));
    wake();
    blocked.join()
}

/// Signals interrupt `op` often while it waits for ever; then `wake` makes it possible.
#[track_caller]
pub(crate) fn interrupted<T: Debug + Send + 'static>(
    what: &'static str,
    op: impl FnOnce(Wait) -> T + Send + 'static,
    wake: impl FnOnce(),
) -> T {
    let blocked = blocked::block(what, move || op(Wait::Forever));
    let times = blocked.interrupt(INTERRUPTIONS);
    if times < INTERRUPTIONS {
        let result = blocked.join();
        panic!("{what} was ended by a signal (EINTR): it returned {result:?}");
    }
    note(format!("{what} was interrupted and becomes possible now: if it hangs, nobody woke it"));
    wake();
    blocked.join()
}

/// Signals interrupt `op` all the time until its deadline: it is `TimedOut`, not before the
/// deadline, and does end.
#[track_caller]
pub(crate) fn interrupted_deadline<R: Debug + Send + 'static>(
    what: &'static str,
    op: impl FnOnce(Wait) -> Result<R> + Send + 'static,
) {
    note(format!(
        "signals interrupt {what} all the time: if it hangs, each of them begins the timeout anew"
    ));
    let blocked = blocked::start(what, move || {
        let deadline = Instant::now() + LONGER;
        let result = op(Wait::Until(deadline));
        (result, deadline, Instant::now())
    });
    let times = blocked.interrupt(u64::MAX);
    let (result, deadline, now) = blocked.join();
    let what = format!("{what}, interrupted by {times} signals (EINTR),");
    fails(&what, result, ErrorKind::TimedOut);
    not_early(&what, deadline, now);
}

//! Broken notifications and semaphores: each is the reference with one defect.

use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ipc_core::{Caps, ErrorKind, Handoff, Notified, Notify, Result, Semaphore, Shape, Wait};
use ipc_testkit::{Across, Harness, Notifications, Semaphores};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, poll};

use crate::support::eventfd::{self, Counter};

/// What is wrong; whatever it does not override is right.
trait Defect: Send + Sync + 'static {
    const NAME: &'static str;
    const FLAGS: EventfdFlags = EventfdFlags::empty();

    fn add(tx: &End<Self>) -> Result<()> {
        tx.inner.add(1)
    }
    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        rx.inner.take(wait)
    }
}

struct End<D: ?Sized> {
    inner: Counter,
    calls: AtomicU64,
    defect: PhantomData<D>,
}

impl<D: ?Sized> std::fmt::Debug for End<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl<D> End<D> {
    fn new(inner: Counter) -> Self {
        Self { inner, calls: AtomicU64::new(0), defect: PhantomData }
    }
}

impl<D: ?Sized> End<D> {
    /// How often it was called before.
    fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }
}

impl<D: Defect> Notify for End<D> {
    fn notify(&self) -> Result<()> {
        D::add(self)
    }
}

impl<D: Defect> Notified for End<D> {
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        Ok(NonZeroU64::new(D::take(self, wait)?).expect("no defect returns zero"))
    }
}

impl<D: Defect> Semaphore for End<D> {
    fn post(&self) -> Result<()> {
        D::add(self)
    }
    fn wait_with(&self, wait: Wait) -> Result<()> {
        D::take(self, wait).map(drop)
    }
}

struct Broken<D>(PhantomData<D>);

impl<D: Defect> Notifications for Broken<D> {
    const NAME: &'static str = D::NAME;
    const CAPS: Caps = Caps::new(Shape::Notification);
    type Tx = End<D>;
    type Rx = End<D>;
    type Across = Self;

    fn pair() -> Result<(End<D>, End<D>)> {
        let (tx, rx) = eventfd::pair(EventfdFlags::empty())?;
        Ok((End::new(tx), End::new(rx)))
    }
}

impl<D: Defect> Semaphores for Broken<D> {
    const NAME: &'static str = D::NAME;
    const CAPS: Caps = Caps::new(Shape::Semaphore);
    type Handle = End<D>;
    type Across = Self;

    fn pair() -> Result<(End<D>, End<D>)> {
        let (tx, rx) = eventfd::pair(D::FLAGS | EventfdFlags::SEMAPHORE)?;
        Ok((End::new(tx), End::new(rx)))
    }
}

impl<D: Defect> Across<End<D>> for Broken<D> {
    fn give(end: End<D>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.inner.give(command, key)?)
    }
    fn adopt(key: &str) -> Result<End<D>> {
        Ok(End::new(Counter::adopt(key)?))
    }
}

struct Spurious;

impl Defect for Spurious {
    const NAME: &'static str = "spurious";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        rx.inner.take(wait).or_else(|error| match error.kind() {
            ErrorKind::TimedOut => Ok(1),
            _ => Err(error),
        })
    }
}

struct SeenTwice;

impl Defect for SeenTwice {
    const NAME: &'static str = "seen-twice";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        let taken = rx.inner.take(wait)?;
        if rx.call().is_multiple_of(2) {
            rx.inner.add(1)?;
        }
        Ok(taken)
    }
}

struct Lost;

impl Defect for Lost {
    const NAME: &'static str = "lost";

    fn add(tx: &End<Self>) -> Result<()> {
        if tx.call() == 500 { Ok(()) } else { tx.inner.add(1) }
    }
}

struct Coalesces;

impl Defect for Coalesces {
    const NAME: &'static str = "coalesces-and-does-not-say-so";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        rx.inner.take(wait).map(|_| 1)
    }
}

/// Waits once, as a signal lets it.
fn poll_once(end: &Counter, wait: Wait) -> bool {
    let left = wait.remaining().map(|left| Timespec::try_from(left).expect("it fits"));
    let fd = end.0.as_fd();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], left.as_ref()).is_ok()
}

struct SignalWakes;

impl Defect for SignalWakes {
    const NAME: &'static str = "a-signal-passes-for-it";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        if poll_once(&rx.inner, wait) { rx.inner.take(wait) } else { Ok(1) }
    }
}

struct LosesOnTimeout;

impl Defect for LosesOnTimeout {
    const NAME: &'static str = "loses-a-permit-on-timeout";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        // It gives its place in the queue back, and a permit that came meanwhile is gone.
        rx.inner.take(wait).inspect_err(|error| {
            if error.kind() == ErrorKind::TimedOut {
                std::thread::sleep(Duration::from_micros(20));
                let _ = rx.inner.take(Wait::Never);
            }
        })
    }
}

struct OwesOnTimeout;

impl Defect for OwesOnTimeout {
    const NAME: &'static str = "owes-a-permit-after-a-timeout";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        // A wait that timed out is in the queue still, and is served before the next one.
        while rx.calls.load(Ordering::Relaxed) > 0 {
            rx.inner.take(wait)?;
            rx.calls.fetch_sub(1, Ordering::Relaxed);
        }
        rx.inner.take(wait).inspect_err(|error| {
            if error.kind() == ErrorKind::TimedOut {
                rx.call();
            }
        })
    }
}

struct PostsTwo;

impl Defect for PostsTwo {
    const NAME: &'static str = "posts-two";

    fn add(tx: &End<Self>) -> Result<()> {
        tx.inner.add(2)
    }
}

struct TakesAll;

impl Defect for TakesAll {
    const NAME: &'static str = "takes-all-permits-at-once";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        let taken = rx.inner.take(wait)?;
        while rx.inner.take(Wait::Never).is_ok() {}
        Ok(taken)
    }
}

struct LooksThenTakes;

impl Defect for LooksThenTakes {
    const NAME: &'static str = "looks-and-takes-in-two-steps";

    fn take(rx: &End<Self>, wait: Wait) -> Result<u64> {
        // All waiters see the one permit, and those who find nothing to take go on as well.
        if wait == Wait::Forever {
            poll_once(&rx.inner, wait);
            std::thread::sleep(Duration::from_micros(200));
            let _ = rx.inner.take(Wait::Never);
            std::thread::sleep(Duration::from_micros(200));
            return Ok(1);
        }
        rx.inner.take(wait)
    }
}

/// Which case of the suites catches which defect, and what it says.
pub(crate) fn add(harness: Harness) -> Harness {
    let lockstep = "each_of_a_thousand_notifications_is_seen_before_the_next";
    let several = "several_notifications_are_counted_or_coalesced";
    let timeout = "a_wait_that_times_out_takes_no_permit";
    let race = "waits_that_time_out_while_others_post_lose_no_permit";
    let each = "each_post_is_one_permit";
    Table(harness)
        .notification::<Spurious>(
            "wait_times_out_at_its_deadline_and_not_before",
            "must be TimedOut, and it returned 1",
        )
        .notification::<SeenTwice>("a_notification_is_seen_once", "that is spurious")
        .hang::<Lost>(lockstep, "one of them was lost")
        .notification::<Coalesces>(several, "some were lost")
        .notification::<SignalWakes>("signals_do_not_end_a_wait", "ended by a signal (EINTR)")
        .semaphore_hang::<LosesOnTimeout>(race, "a permit was lost")
        .semaphore::<OwesOnTimeout>(timeout, "1 of 1 permits were lost")
        .semaphore::<PostsTwo>(each, "must be WouldBlock, and it returned ()")
        .semaphore::<TakesAll>(each, "permits were lost")
        .semaphore::<SignalWakes>("signals_do_not_end_a_wait", "ended by a signal (EINTR)")
        .semaphore::<PostsTwo>(
            "one_post_wakes_one_of_two_waiters",
            "one permit was posted, and two waiters took it",
        )
        .semaphore::<LooksThenTakes>(
            "one_permit_makes_a_lock_of_four_threads",
            "wait for a permit more than were posted with Wait::Never must be WouldBlock",
        )
        .0
}

struct Table(Harness);

impl Table {
    fn notification<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("notifications/{}/{case}", D::NAME);
        Self(self.0.catches(Harness::notifications::<Broken<D>>, &case, says))
    }

    fn hang<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("notifications/{}/{case}", D::NAME);
        Self(self.0.catches_hang(Harness::notifications::<Broken<D>>, &case, says))
    }

    fn semaphore<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("semaphores/{}/{case}", D::NAME);
        Self(self.0.catches(Harness::semaphores::<Broken<D>>, &case, says))
    }

    fn semaphore_hang<D: Defect>(self, case: &str, says: &'static str) -> Self {
        let case = format!("semaphores/{}/{case}", D::NAME);
        Self(self.0.catches_hang(Harness::semaphores::<Broken<D>>, &case, says))
    }
}

//! The suite for notifications.

mod counting;
mod processes;
mod waiting;

use std::fmt::Debug;

use ipc_core::{Caps, ErrorKind, Notified, Notify, Result};

use crate::across::Across;
use crate::waits::works;
use crate::{Harness, environment, resources};

/// A notification, as the suite sees it.
pub trait Notifications: 'static {
    /// What the cases are named after: `notifications/NAME/…`.
    const NAME: &'static str;
    /// What the mechanism can do: it decides which cases there are, and what they expect.
    const CAPS: Caps;
    /// The end that notifies.
    type Tx: Notify + Send + Debug + 'static;
    /// The end that is notified.
    type Rx: Notified + Send + Debug + 'static;
    /// How an end reaches another process.
    type Across: Across<Self::Tx> + Across<Self::Rx>;

    /// Two ends of a new notification that nobody has made yet.
    ///
    /// # Errors
    ///
    /// What the mechanism reports.
    fn pair() -> Result<(Self::Tx, Self::Rx)>;

    /// What the mechanism has put where other processes see it: by default, files in the case's
    /// directory. For a namespace of the kernel see [`names_in`](crate::names_in).
    fn traces() -> Vec<String> {
        environment::names_in_dir()
    }
}

#[track_caller]
fn pair<N: Notifications>() -> (N::Tx, N::Rx) {
    works("create a notification", N::pair())
}

#[track_caller]
fn notify(tx: &impl Notify) {
    works("notify", tx.notify());
}

/// What waits for a notification that there is not.
const WAIT: &str = "wait before a notification";

/// Takes what is there now, and returns how many it counts.
#[track_caller]
fn take_all(rx: &impl Notified) -> u64 {
    let mut count = 0;
    loop {
        match rx.try_wait() {
            Ok(n) => count += n.get(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(error) => panic!("wait with Wait::Never: {error}"),
        }
    }
}

/// Asserts that `seen` is what may be seen of `made` notifications.
#[track_caller]
fn check<N: Notifications>(seen: u64, made: u64) {
    assert!(seen <= made, "{made} notifications were made and {seen} were seen: some are spurious");
    if N::CAPS.coalesces {
        assert!(seen > 0, "{made} notifications were made and none was seen: they were lost");
    } else {
        assert_eq!(seen, made, "{made} notifications were made: some were lost");
    }
}

fn role_name<N: Notifications>(role: &str) -> String {
    format!("notifications/{}/{role}", N::NAME)
}

impl Harness {
    /// Applies the suite for notifications.
    #[must_use]
    pub fn notifications<N: Notifications>(self) -> Self {
        let mut harness = self;
        let mut case = |name: &str, body: fn()| {
            let whole = format!("notifications/{}/{name}", N::NAME);
            harness = std::mem::take(&mut harness).test(whole, body);
        };
        counting::cases::<N>(&mut case);
        waiting::cases::<N>(&mut case);
        processes::cases::<N>(&mut case);
        case("children_inherit_no_descriptor", || resources::children_inherit_nothing(N::pair));
        case("a_hundred_cycles_leak_no_descriptor", || resources::no_descriptor_leaks(cycle::<N>));
        case("running_out_of_descriptors_is_a_resource_limit", || {
            resources::descriptors_run_out(N::pair);
        });
        case("nothing_is_left_behind", || resources::no_traces(N::traces, cycle::<N>));
        processes::roles::<N>(harness)
    }
}

/// Creates a notification, uses it and drops it.
fn cycle<N: Notifications>() {
    let (tx, rx) = pair::<N>();
    notify(&tx);
    works("wait", rx.wait());
}

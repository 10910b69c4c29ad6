//! The suite for semaphores.

mod permits;
mod processes;
mod waiting;

use std::fmt::Debug;

use ipc_core::{Caps, Result, Semaphore};

use crate::across::Across;
use crate::waits::{never, works};
use crate::{Harness, environment, resources};

/// A semaphore, as the suite sees it.
pub trait Semaphores: 'static {
    /// What the cases are named after: `semaphores/NAME/…`.
    const NAME: &'static str;
    /// What the mechanism can do: it decides which cases there are.
    const CAPS: Caps;
    /// One handle to a semaphore.
    type Handle: Semaphore + Send + Sync + Debug + 'static;
    /// How a handle reaches another process.
    type Across: Across<Self::Handle>;

    /// Two handles to one new semaphore that has no permits.
    ///
    /// # Errors
    ///
    /// What the mechanism reports.
    fn pair() -> Result<(Self::Handle, Self::Handle)>;

    /// What the mechanism has put where other processes see it: by default, files in the case's
    /// directory. For a namespace of the kernel see [`names_in`](crate::names_in).
    fn traces() -> Vec<String> {
        environment::names_in_dir()
    }
}

#[track_caller]
fn pair<S: Semaphores>() -> (S::Handle, S::Handle) {
    works("create a semaphore", S::pair())
}

#[track_caller]
fn post(handle: &impl Semaphore) {
    works("post", handle.post());
}

/// What waits for a permit that there is not.
const WAIT: &str = "wait at zero";

/// Asserts that there are this many permits and no more, and takes them.
#[track_caller]
fn take_all(handle: &impl Semaphore, permits: u64) {
    for taken in 0..permits {
        if let Err(error) = handle.try_wait() {
            panic!("{} of {permits} permits were lost: {error}", permits - taken);
        }
    }
    never("wait for a permit more than were posted", |wait| handle.wait_with(wait));
}

fn role_name<S: Semaphores>(role: &str) -> String {
    format!("semaphores/{}/{role}", S::NAME)
}

impl Harness {
    /// Applies the suite for semaphores.
    #[must_use]
    pub fn semaphores<S: Semaphores>(self) -> Self {
        let mut harness = self;
        let mut case = |name: &str, body: fn()| {
            let whole = format!("semaphores/{}/{name}", S::NAME);
            harness = std::mem::take(&mut harness).test(whole, body);
        };
        permits::cases::<S>(&mut case);
        waiting::cases::<S>(&mut case);
        processes::cases::<S>(&mut case);
        case("children_inherit_no_descriptor", || resources::children_inherit_nothing(S::pair));
        case("a_hundred_cycles_leak_no_descriptor", || resources::no_descriptor_leaks(cycle::<S>));
        case("running_out_of_descriptors_is_a_resource_limit", || {
            resources::descriptors_run_out(S::pair);
        });
        case("nothing_is_left_behind", || resources::no_traces(S::traces, cycle::<S>));
        processes::roles::<S>(harness)
    }
}

/// Creates a semaphore, uses it and drops it.
fn cycle<S: Semaphores>() {
    let (ours, theirs) = pair::<S>();
    post(&ours);
    take_all(&theirs, 1);
}

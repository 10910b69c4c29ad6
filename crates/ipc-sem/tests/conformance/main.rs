//! The conformance suites, applied to every semaphore and notification, and what only these do.

mod barrier;
mod c_programs;
mod deaths;
mod eventfd;
mod fixtures;
mod kills;
mod kills_semaphores;
mod kills_soak;
mod locks;
mod model;
mod posix;
mod privileges;
mod programs;
mod rwlock;
mod shared;
mod sysv;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new()
        .semaphores::<fixtures::NamedSems>()
        .semaphores::<fixtures::UnnamedSems>()
        .semaphores::<fixtures::SystemV>()
        .semaphores::<fixtures::EventFdSems>()
        .semaphores::<fixtures::Counted>()
        .notifications::<fixtures::EventFds>()
        .notifications::<fixtures::Events>()
        .notifications::<fixtures::Condvars>()
        .named::<fixtures::NamedSemNames>()
        .named::<fixtures::SystemVSets>();
    for part in [
        barrier::cases,
        c_programs::cases,
        deaths::cases,
        eventfd::cases,
        kills::cases,
        kills_semaphores::cases,
        kills_soak::cases,
        locks::cases,
        model::cases,
        posix::cases,
        privileges::cases,
        programs::cases,
        rwlock::cases,
        shared::cases,
        sysv::cases,
    ] {
        harness = part(harness);
    }
    harness.run()
}

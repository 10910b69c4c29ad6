//! The conformance suites, applied to every kind of queue, and what only queues do.

mod fixtures;
mod model;
mod notify;
mod posix;
mod privileges;
mod processes;
mod programs;
mod sysv;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new()
        .messages::<fixtures::Posix>()
        .messages::<fixtures::SystemV>()
        .messages::<fixtures::PosixMailbox>()
        .messages::<fixtures::SystemVMailbox>()
        .named::<fixtures::PosixQueues>()
        .named::<fixtures::SystemVQueues>()
        .named::<fixtures::Mailboxes>();
    for part in [
        model::cases,
        notify::cases,
        posix::cases,
        privileges::cases,
        processes::cases,
        programs::cases,
        sysv::cases,
    ] {
        harness = part(harness);
    }
    harness.run()
}

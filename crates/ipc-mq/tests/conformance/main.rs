//! The conformance suites, applied to every kind of queue, and what only queues do.

mod fixtures;

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
    let parts: [fn(Harness) -> Harness; 0] = [];
    for part in parts {
        harness = part(harness);
    }
    harness.run()
}

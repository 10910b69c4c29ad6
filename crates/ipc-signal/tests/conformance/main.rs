//! The conformance suite for notifications, applied to every way to be signalled, and what only
//! signals do.
//!
//! `IPC_SIGNAL_VALUES` is how many values the senders of `realtime/…senders…` queue together (100,000
//! unless set), and `IPC_SIGNAL_KILLS` how many senders the kill test kills (20).

mod descriptors;
mod dispositions;
mod fixtures;
mod handlers;
mod privileges;
mod programs;
mod races;
mod realtime;
mod sending;
mod timers;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new()
        .notifications::<fixtures::Standard>()
        .notifications::<fixtures::Realtime>()
        .notifications::<fixtures::Descriptor>();
    for part in [
        descriptors::cases,
        dispositions::cases,
        handlers::cases,
        privileges::cases,
        programs::cases,
        races::cases,
        realtime::cases,
        sending::cases,
        timers::cases,
    ] {
        harness = part(harness);
    }
    harness.run()
}

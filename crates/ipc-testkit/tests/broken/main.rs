//! The suites can fail: for each of many broken mechanisms, the case that catches it and what it
//! says.

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod counters;
mod listeners;
mod messages;
mod named;
mod regions;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let harness = messages::add(Harness::new());
    let harness = bytes::add(harness);
    let harness = counters::add(harness);
    let harness = regions::add(harness);
    let harness = named::add(harness);
    listeners::add(harness).run()
}

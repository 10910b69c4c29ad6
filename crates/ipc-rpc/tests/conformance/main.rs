//! What is promised of calls, over every transport, over bad networks, and with servers that are killed.

mod failures;
mod network;
mod promises;
mod service;
mod transports;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new();
    for part in [failures::cases, promises::cases, transports::cases] {
        harness = part(harness);
    }
    harness.run()
}

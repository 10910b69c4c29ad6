//! What is promised of calls, over every transport, over bad networks, and with servers that are killed.

mod costs;
mod exactly;
mod failures;
mod hostile;
mod matchmaker;
mod model;
mod network;
mod promises;
mod servers;
mod service;
mod strained;
mod transports;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new();
    for part in [
        costs::cases,
        failures::cases,
        hostile::cases,
        matchmaker::cases,
        model::cases,
        promises::cases,
        servers::cases,
        strained::cases,
        transports::cases,
        exactly::cases,
    ] {
        harness = part(harness);
    }
    let harness = harness.test("examples/run", || {
        ipc_testkit::run_examples(&[
            ("calculator", "twice the numbers to 19 are 380"),
            ("file_service", "the same: true"),
            ("matchmaker", "there is nothing of that name"),
        ]);
    });
    harness.run()
}

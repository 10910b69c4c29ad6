//! The harness itself: isolation, peers, the watchdog, and what it says.
//!
//! The cases here run another harness, whose cases pass, fail, hang and so on, in this same binary.

mod demo;
mod reports;
mod watchdog;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    if demo::is_asked_for() {
        return demo::harness().run();
    }
    let harness = reports::add(Harness::new());
    watchdog::add(harness).run()
}

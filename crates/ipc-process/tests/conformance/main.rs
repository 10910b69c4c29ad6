//! What the crate promises, each case in a process of its own: a case may be killed, adopt orphans, and
//! change what signals do.
//!
//! `IPC_PROCESS_KILLS` says how many processes each kill test kills; 50 unless set.

mod children;
mod deaths;
mod forks;
mod handles;
mod load;
mod pool;
mod programs;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new();
    for part in [
        children::cases,
        deaths::cases,
        forks::cases,
        handles::cases,
        load::cases,
        pool::cases,
        programs::cases,
    ] {
        harness = part(harness);
    }
    harness.run()
}

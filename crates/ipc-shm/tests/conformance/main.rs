//! The conformance suites, applied to every kind of shared memory, and what only memory does.

mod descriptors;
mod files;
mod fixtures;
mod forked;
mod limits;
mod names;
mod programs;
mod rings;
mod sysv;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new()
        .regions::<fixtures::Memfds>()
        .regions::<fixtures::PosixShms>()
        .regions::<fixtures::SharedFiles>()
        .regions::<fixtures::Segments>()
        .messages::<fixtures::Spsc>()
        .messages::<fixtures::Fenced>()
        .named::<fixtures::Names>()
        .named::<fixtures::Keys>();
    for part in [
        descriptors::cases,
        files::cases,
        forked::cases,
        limits::cases,
        names::cases,
        programs::cases,
        rings::cases,
        sysv::cases,
    ] {
        harness = part(harness);
    }
    harness.run()
}

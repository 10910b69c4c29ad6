//! The conformance suites, applied to every kind of shared memory, and what only memory does.

mod broadcasts;
mod descriptors;
mod doorbells;
mod files;
mod fixtures;
mod forked;
mod handed;
mod hostile;
mod latest;
mod limits;
mod many;
mod many_killed;
mod names;
mod programs;
mod rings;
mod sysv;
mod unbounded;

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
        .messages::<fixtures::Broadcast>()
        .messages::<fixtures::BroadcastFenced>()
        .messages::<fixtures::Unbounded>()
        .messages::<fixtures::Mpsc>()
        .messages::<fixtures::MpscFenced>()
        .messages::<fixtures::Mpmc>()
        .messages::<fixtures::MpmcFenced>()
        .named::<fixtures::Names>()
        .named::<fixtures::Keys>();
    for part in [
        broadcasts::cases,
        descriptors::cases,
        doorbells::cases,
        files::cases,
        forked::cases,
        handed::cases,
        hostile::cases,
        latest::cases,
        limits::cases,
        many::cases,
        many_killed::cases,
        names::cases,
        programs::cases,
        rings::cases,
        sysv::cases,
        unbounded::cases,
    ] {
        harness = part(harness);
    }
    harness.run()
}

//! The conformance suites, applied to every kind of pipe, and what only pipes do.

mod descriptors;
mod fixtures;
mod names;
mod opening;
mod programs;
mod reclaim;
mod splice;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new()
        .bytes::<fixtures::Pipe>()
        .bytes::<fixtures::FifoEnds>()
        .bytes::<fixtures::Duplex>()
        .messages::<fixtures::Packets>()
        .messages::<fixtures::FramedPipe>()
        .messages::<fixtures::FramedFifo>()
        .named::<fixtures::Fifos>();
    for part in [
        descriptors::cases,
        names::cases,
        opening::cases,
        programs::cases,
        reclaim::cases,
        splice::cases,
    ] {
        harness = part(harness);
    }
    harness.run()
}

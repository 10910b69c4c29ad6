//! The conformance suites, applied to every kind of socket, and what only sockets do.

mod direct;
mod fixtures;
mod inet;
mod unix;

use std::process::ExitCode;

use ipc_testkit::Harness;

fn main() -> ExitCode {
    let mut harness = Harness::new()
        .bytes::<fixtures::UnixStreams>()
        .messages::<fixtures::Seqpackets>()
        .messages::<fixtures::Datagrams>()
        .messages::<fixtures::FramedStreams>()
        .listeners::<fixtures::StreamListener>()
        .listeners::<fixtures::SeqpacketListener>()
        .listeners::<fixtures::AbstractListener>();
    for part in [direct::cases, inet::cases, unix::cases] {
        harness = part(harness);
    }
    harness.run()
}

//! Every suite passes on a plain mechanism that keeps its contract.

mod support;

use std::process::ExitCode;

use ipc_testkit::Harness;
use support::{eventfd, file, listener, memory, seqpacket, stream};

fn main() -> ExitCode {
    Harness::new()
        .messages::<seqpacket::SeqPacket>()
        .messages::<stream::Frames>()
        .bytes::<stream::Streams>()
        .notifications::<eventfd::Events>()
        .semaphores::<eventfd::Permits>()
        .regions::<memory::Memory>()
        .named::<file::Documents>()
        .listeners::<listener::Doors>()
        .run()
}

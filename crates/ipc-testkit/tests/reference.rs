//! Every suite passes on a plain mechanism that keeps its contract.

mod support;

use std::process::ExitCode;

use ipc_testkit::Harness;
use support::{seqpacket, stream};

fn main() -> ExitCode {
    Harness::new()
        .messages::<seqpacket::SeqPacket>()
        .messages::<stream::Frames>()
        .bytes::<stream::Streams>()
        .run()
}

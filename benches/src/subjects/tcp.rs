//! TCP over the loopback interface, without Nagle's delay.

use ipc_bench_schema::Variant;
use ipc_core::Mechanism;
use ipc_sock::tcp::Stream;

use super::ends::{self, BareStream, Handed, Over};
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "tcp",
    krate: "ipc-sock",
    summary: "TCP over the loopback interface: bytes both ways, also to another machine",
    caps: Stream::CAPS,
    variants: &[
        VariantEntry::polled::<Over<Handed<Stream>, ends::Stream<Stream>>>(Variant::Ours)
            .adaptive(),
        VariantEntry::polled::<Over<Handed<Stream>, BareStream<Stream>>>(Variant::Raw).adaptive(),
    ],
};

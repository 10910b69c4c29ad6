//! UDP over the loopback interface.

use ipc_bench_schema::Variant;
use ipc_core::Mechanism;
use ipc_sock::udp::Socket;

use super::ends::{BareMessages, Handed, Messages, Over};
use crate::{Subject, VariantEntry};

/// The row of the matrix. It takes no part in streams: what comes faster than it is received is thrown
/// away.
pub(super) const SUBJECT: Subject = Subject {
    id: "udp",
    krate: "ipc-sock",
    summary: "UDP over the loopback interface: messages that may be lost, also to another machine",
    caps: Socket::CAPS,
    variants: &[
        VariantEntry::of::<Over<Handed<Socket>, Messages<Socket>>>(Variant::Ours)
            .adaptive()
            .lossy(),
        VariantEntry::of::<Over<Handed<Socket>, BareMessages<Socket>>>(Variant::Raw)
            .adaptive()
            .lossy(),
    ],
};

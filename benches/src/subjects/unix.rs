//! Unix sockets: a pair of each type.

use ipc_bench_schema::Variant;
use ipc_core::Mechanism;
use ipc_sock::unix::{Datagram, Seqpacket, Stream};

use super::ends::{self, BareMessages, BareStream, Handed, Messages, Over};
use crate::{Subject, VariantEntry};

/// `SOCK_STREAM`
pub(super) const STREAM: Subject = Subject {
    id: "unix-stream",
    krate: "ipc-sock",
    summary: "Unix stream socket: bytes both ways, descriptors, the peer's identity",
    caps: Stream::CAPS,
    variants: &[
        VariantEntry::of::<Over<Handed<Stream>, ends::Stream<Stream>>>(Variant::Ours),
        VariantEntry::of::<Over<Handed<Stream>, BareStream<Stream>>>(Variant::Raw),
    ],
};

/// `SOCK_SEQPACKET`
pub(super) const SEQPACKET: Subject = Subject {
    id: "unix-seqpacket",
    krate: "ipc-sock",
    summary: "Unix seqpacket socket: messages both ways, descriptors, the peer's identity",
    caps: Seqpacket::CAPS,
    variants: &[
        VariantEntry::of::<Over<Handed<Seqpacket>, Messages<Seqpacket>>>(Variant::Ours),
        VariantEntry::of::<Over<Handed<Seqpacket>, BareMessages<Seqpacket>>>(Variant::Raw),
    ],
};

/// `SOCK_DGRAM`
pub(super) const DATAGRAM: Subject = Subject {
    id: "unix-dgram",
    krate: "ipc-sock",
    summary: "Unix datagram socket: messages to whoever has the name",
    caps: Datagram::CAPS,
    variants: &[
        VariantEntry::of::<Over<Handed<Datagram>, Messages<Datagram>>>(Variant::Ours),
        VariantEntry::of::<Over<Handed<Datagram>, BareMessages<Datagram>>>(Variant::Raw),
    ],
};

//! What only Unix sockets do.

mod bind;
mod connect;
mod credentials;
mod datagram;
mod descriptors;
mod frames;
mod handoff;
pub(crate) mod kills;
mod names;
mod peer;
mod privileges;
mod programs;
mod sealed;
mod seqpacket;
mod strace;
mod stream;
mod sys;
mod takeover;
pub(crate) mod tools;

use ipc_testkit::Harness;

pub(crate) fn cases(mut harness: Harness) -> Harness {
    for part in [
        bind::cases,
        connect::cases,
        credentials::cases,
        datagram::cases,
        descriptors::cases,
        frames::cases,
        handoff::cases,
        kills::cases,
        names::cases,
        peer::cases,
        privileges::cases,
        programs::cases,
        sealed::cases,
        seqpacket::cases,
        strace::cases,
        stream::cases,
        takeover::cases,
    ] {
        harness = part(harness);
    }
    harness
}

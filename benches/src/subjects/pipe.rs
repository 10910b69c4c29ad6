//! Anonymous pipes, one for each direction.

use ipc_bench_schema::Variant;
use ipc_core::Mechanism;
use ipc_pipe::DuplexPipe;

use super::ends::{Handed, Over, Stream};
use super::pipes::BarePipes;
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "pipe",
    krate: "ipc-pipe",
    summary: "anonymous pipe: bytes between a process and its children",
    caps: DuplexPipe::CAPS,
    variants: &[
        VariantEntry::of::<Over<Handed<DuplexPipe>, Stream<DuplexPipe>>>(Variant::Ours),
        VariantEntry::of::<Over<Handed<DuplexPipe>, BarePipes<true>>>(Variant::Raw),
    ],
};

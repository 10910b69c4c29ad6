//! Anonymous pipes, one for each direction.

use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::Variant;
use ipc_core::{Handoff, Mechanism};
use ipc_pipe::{DuplexPipe, PipeOptions};

use super::bytes::{Bare, Ours, Over, Source};
use crate::{Setup, Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "pipe",
    krate: "ipc-pipe",
    summary: "anonymous pipe: bytes between a process and its children",
    caps: DuplexPipe::CAPS,
    variants: &[
        VariantEntry::of::<Over<AnonymousPipe, Ours>>(Variant::Ours),
        VariantEntry::of::<Over<AnonymousPipe, Bare>>(Variant::Raw),
    ],
};

struct AnonymousPipe;

impl Source for AnonymousPipe {
    type Offer = DuplexPipe;
    const NOWAIT: bool = true;

    fn offer(setup: &Setup, command: &mut Command) -> Result<DuplexPipe> {
        let (ours, theirs) = PipeOptions::new().open_duplex()?;
        theirs.give(command, &setup.key)?;
        Ok(ours)
    }

    fn connect(offer: DuplexPipe) -> Result<DuplexPipe> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<DuplexPipe> {
        Ok(DuplexPipe::adopt(&setup.key)?)
    }
}

//! FIFOs, one for each direction.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use ipc_bench_schema::Variant;
use ipc_core::{Mechanism, Wait};
use ipc_pipe::{DuplexPipe, Fifo, FifoOptions};

use super::ends::{Over, Source, Stream};
use super::pipes::BarePipes;
use crate::{Setup, Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "fifo",
    krate: "ipc-pipe",
    summary: "FIFO: bytes between unrelated processes that know a path",
    caps: Fifo::CAPS,
    variants: &[
        VariantEntry::of::<Over<NamedPipe, Stream<DuplexPipe>>>(Variant::Ours),
        VariantEntry::of::<Over<NamedPipe, BarePipes<false>>>(Variant::Raw),
    ],
};

/// How long each side waits for the other to open its end.
const PATIENCE: Duration = Duration::from_secs(10);

struct NamedPipe;

impl Source for NamedPipe {
    /// The FIFO to the responder, and the one back.
    type Offer = (Fifo, Fifo);
    type End = DuplexPipe;

    fn offer(setup: &Setup, _command: &mut Command) -> Result<(Fifo, Fifo)> {
        let make = |way| FifoOptions::new().create(setup.dir.join(format!("{}.{way}", setup.key)));
        Ok((make("there")?, make("back")?))
    }

    fn connect((there, back): (Fifo, Fifo)) -> Result<DuplexPipe> {
        let wait = Wait::timeout(PATIENCE);
        let tx = there.open_writer(wait)?;
        let rx = back.open_reader(wait)?;
        Ok(DuplexPipe::new(rx, tx))
    }

    fn join(setup: &Setup) -> Result<DuplexPipe> {
        let wait = Wait::timeout(PATIENCE);
        let find = |way| FifoOptions::new().open(setup.dir.join(format!("{}.{way}", setup.key)));
        let rx = find("there")?.open_reader(wait)?;
        let tx = find("back")?.open_writer(wait)?;
        Ok(DuplexPipe::new(rx, tx))
    }
}

//! Anonymous pipes, one for each direction.

use anyhow::Result;
use ipc_bench_schema::Variant;
use ipc_core::Mechanism;
use ipc_pipe::{DuplexPipe, PIPE_BUF, PipeOptions, PipeReader, PipeWriter};

use super::ends::{Handed, Over, Stream};
use super::many::{BareEnd, Common, Many, OurBytes, another};
use super::pipes::BarePipes;
use crate::{Setup, Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "pipe",
    krate: "ipc-pipe",
    summary: "anonymous pipe: bytes between a process and its children",
    caps: DuplexPipe::CAPS,
    variants: &[
        VariantEntry::of::<Over<Handed<DuplexPipe>, Stream<DuplexPipe>>>(Variant::Ours)
            .adaptive()
            .fan_in_up_to::<Ours>(PIPE_BUF),
        VariantEntry::of::<Over<Handed<DuplexPipe>, BarePipes<true>>>(Variant::Raw)
            .adaptive()
            .fan_in_up_to::<Bare>(PIPE_BUF),
    ],
};

/// One pipe that all senders write to.
struct OnePipe;

type Ours = Many<OnePipe, OurBytes<PipeReader>, OurBytes<PipeWriter>>;
type Bare = Many<OnePipe, BareEnd<PipeReader, true>, BareEnd<PipeWriter, true>>;

impl Common for OnePipe {
    type Rx = PipeReader;
    type Tx = PipeWriter;
    type Keep = ();

    fn make(_: &Setup) -> Result<(PipeReader, PipeWriter, ())> {
        let (rx, tx) = PipeOptions::new().open()?;
        Ok((rx, tx, ()))
    }

    fn another_rx(rx: &PipeReader) -> Result<PipeReader> {
        another(rx)
    }

    fn another_tx(tx: &PipeWriter) -> Result<PipeWriter> {
        another(tx)
    }
}

//! FIFOs, one for each direction.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use ipc_bench_schema::{Topology, Variant, WaitMode};
use ipc_core::{Mechanism, Wait};
use ipc_pipe::{DuplexPipe, Fifo, FifoOptions, PIPE_BUF, PipeReader, PipeWriter};

use super::ends::{Over, Source, Stream};
use super::many::{BareEnd, OurBytes, Receives, Sends, one_way};
use super::pipes::BarePipes;
use crate::{Fan, Setup, Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "fifo",
    krate: "ipc-pipe",
    summary: "FIFO: bytes between unrelated processes that know a path",
    caps: Fifo::CAPS,
    variants: &[
        VariantEntry::of::<Over<NamedPipe, Stream<DuplexPipe>>>(Variant::Ours)
            .adaptive()
            .fan_in_up_to::<Senders<OurBytes<PipeReader>, OurBytes<PipeWriter>>>(PIPE_BUF),
        VariantEntry::of::<Over<NamedPipe, BarePipes<false>>>(Variant::Raw)
            .adaptive()
            .fan_in_up_to::<Senders<BareEnd<PipeReader, false>, BareEnd<PipeWriter, false>>>(
                PIPE_BUF,
            ),
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

/// One FIFO that several processes open to write to.
enum Senders<R, S> {
    /// The FIFO goes with it, since others may open it later.
    Receiver(R, #[expect(dead_code, reason = "it has the name")] Fifo),
    Sender(S),
}

impl<R, S> Fan for Senders<R, S>
where
    R: Receives<Of = PipeReader>,
    S: Sends<Of = PipeWriter>,
{
    type Offer = (Fifo, Setup);

    fn offer(setup: &Setup, _: Topology, _: &mut [Command]) -> Result<Self::Offer> {
        Ok((FifoOptions::new().create(setup.dir.join(&setup.key))?, setup.clone()))
    }

    fn connect((fifo, setup): Self::Offer) -> Result<Self> {
        let rx = fifo.open_reader(Wait::timeout(PATIENCE))?;
        Ok(Self::Receiver(R::new(rx, &setup)?, fifo))
    }

    fn join(setup: &Setup, _: Topology, _: usize) -> Result<Self> {
        let fifo = FifoOptions::new().open(setup.dir.join(&setup.key))?;
        Ok(Self::Sender(S::new(fifo.open_writer(Wait::timeout(PATIENCE))?, setup)?))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        match self {
            Self::Sender(tx) => tx.send(msg, wait),
            Self::Receiver(..) => Err(one_way()),
        }
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        match self {
            Self::Receiver(rx, _) => rx.recv(buf, wait),
            Self::Sender(_) => Err(one_way()),
        }
    }
}

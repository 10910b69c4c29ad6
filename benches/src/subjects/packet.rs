//! Anonymous pipes in packet mode, one for each direction.

use std::os::fd::OwnedFd;
use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{Mechanism, RecvMsg, SendMsg};
use ipc_pipe::{PacketReader, PacketWriter, PipeOptions};

use super::many::{BareEnd, Common, Many, OurMessages, another};
use crate::link::{Link, Setup, adopt_ends, give_ends, run};
use crate::sys::Raw;
use crate::{Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "pipe-packet",
    krate: "ipc-pipe",
    summary: "pipe in packet mode: messages of up to a page, kept apart by the kernel",
    caps: PacketWriter::CAPS,
    variants: &[
        VariantEntry::of::<Ours>(Variant::Ours).adaptive().fan_in::<OurMany>().fan_out::<OurMany>(),
        VariantEntry::of::<Bare>(Variant::Raw)
            .adaptive()
            .fan_in::<BareMany>()
            .fan_out::<BareMany>(),
    ],
};

/// Our crate's ends.
struct Ours {
    rx: PacketReader,
    tx: PacketWriter,
}

/// The same descriptors, read and written by bare system calls.
struct Bare {
    rx: Raw,
    tx: Raw,
}

impl Link for Ours {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        let (rx, their_tx) = PipeOptions::new().open_packet()?;
        let (their_rx, tx) = PipeOptions::new().open_packet()?;
        give_ends(setup, command, their_rx, their_tx)?;
        Ok(Self { rx, tx })
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let (rx, tx) = adopt_ends(setup)?;
        Ok(Self { rx, tx })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        run(wait, |wait| self.tx.send_with(msg, wait))
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        run(wait, |wait| self.rx.recv_with(buf, wait))
    }
}

impl Bare {
    fn new(ends: Ours) -> Result<Self> {
        let (rx, tx) = (OwnedFd::from(ends.rx), OwnedFd::from(ends.tx));
        Ok(Self { rx: Raw::reader(rx, true)?, tx: Raw::writer(tx, true)? })
    }
}

impl Link for Bare {
    type Offer = Self;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self> {
        Self::new(Ours::offer(setup, command)?)
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup) -> Result<Self> {
        Self::new(Ours::join(setup)?)
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.tx.write(msg, wait)?;
        Ok(())
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        Ok(self.rx.read(buf, wait)?)
    }
}

/// One pipe that all senders write packets to, or from which each receiver takes its own.
struct OnePipe;

type OurMany = Many<OnePipe, OurMessages<PacketReader>, OurMessages<PacketWriter>>;
type BareMany = Many<OnePipe, BareEnd<PacketReader, true>, BareEnd<PacketWriter, true>>;

impl Common for OnePipe {
    type Rx = PacketReader;
    type Tx = PacketWriter;
    type Keep = ();

    fn make(_: &Setup) -> Result<(PacketReader, PacketWriter, ())> {
        let (rx, tx) = PipeOptions::new().open_packet()?;
        Ok((rx, tx, ()))
    }

    fn another_rx(rx: &PacketReader) -> Result<PacketReader> {
        another(rx)
    }

    fn another_tx(tx: &PacketWriter) -> Result<PacketWriter> {
        another(tx)
    }
}

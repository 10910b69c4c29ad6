//! The mechanisms of this crate, as the suites see them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use ipc_core::{Caps, Framed, Handoff, Mechanism, Result};
use ipc_pipe::{
    DuplexPipe, Fifo, FifoOptions, PacketReader, PacketWriter, PipeOptions, PipeReader, PipeWriter,
};
use ipc_testkit::{Across, ByHandoff, Bytes, Messages, NamedObjects, dir, unique_name};

/// The longest message of the framed fixtures: more than a pipe holds, so that frames are torn.
const FRAME: u32 = 100_000;

pub(crate) struct Pipe;

impl Bytes for Pipe {
    const NAME: &'static str = "pipe";
    const CAPS: Caps = PipeReader::CAPS;
    type Tx = PipeWriter;
    type Rx = PipeReader;
    type Across = ByHandoff;

    fn pair() -> Result<(PipeWriter, PipeReader)> {
        let (rx, tx) = PipeOptions::new().open()?;
        Ok((tx, rx))
    }
}

pub(crate) struct FifoEnds;

impl Bytes for FifoEnds {
    const NAME: &'static str = "fifo";
    const CAPS: Caps = Fifo::CAPS;
    type Tx = PipeWriter;
    type Rx = PipeReader;
    type Across = ByHandoff;

    fn pair() -> Result<(PipeWriter, PipeReader)> {
        let (rx, tx) = FifoOptions::new().create(dir().join(unique_name()))?.open_both()?;
        Ok((tx, rx))
    }
}

pub(crate) struct Duplex;

impl Bytes for Duplex {
    const NAME: &'static str = "pipe-duplex";
    const CAPS: Caps = DuplexPipe::CAPS;
    type Tx = DuplexPipe;
    type Rx = DuplexPipe;
    type Across = ByHandoff;

    fn pair() -> Result<(DuplexPipe, DuplexPipe)> {
        PipeOptions::new().open_duplex()
    }
}

pub(crate) struct Packets;

impl Messages for Packets {
    const NAME: &'static str = "pipe-packet";
    const CAPS: Caps = PacketReader::CAPS;
    type Tx = PacketWriter;
    type Rx = PacketReader;
    type Across = ByHandoff;

    fn pair() -> Result<(PacketWriter, PacketReader)> {
        let (rx, tx) = PipeOptions::new().open_packet()?;
        Ok((tx, rx))
    }
}

pub(crate) struct FramedPipe;

impl Messages for FramedPipe {
    const NAME: &'static str = "framed-pipe";
    const CAPS: Caps = Framed::<PipeReader>::CAPS;
    type Tx = Framed<PipeWriter>;
    type Rx = Framed<PipeReader>;
    type Across = Frames;

    fn pair() -> Result<(Framed<PipeWriter>, Framed<PipeReader>)> {
        let (tx, rx) = Pipe::pair()?;
        Ok((Framed::new(tx, FRAME), Framed::new(rx, FRAME)))
    }
}

pub(crate) struct FramedFifo;

impl Messages for FramedFifo {
    const NAME: &'static str = "framed-fifo";
    const CAPS: Caps = Framed::<PipeReader>::CAPS;
    type Tx = Framed<PipeWriter>;
    type Rx = Framed<PipeReader>;
    type Across = Frames;

    fn pair() -> Result<(Framed<PipeWriter>, Framed<PipeReader>)> {
        let (tx, rx) = FifoEnds::pair()?;
        Ok((Framed::new(tx, FRAME), Framed::new(rx, FRAME)))
    }
}

/// Hands over the stream below the frames.
pub(crate) struct Frames;

impl<S: Handoff> Across<Framed<S>> for Frames {
    fn give(end: Framed<S>, command: &mut Command, key: &str) -> Result<()> {
        Ok(end.into_parts().0.give(command, key)?)
    }

    fn adopt(key: &str) -> Result<Framed<S>> {
        Ok(Framed::new(S::adopt(key)?, FRAME))
    }
}

pub(crate) struct Fifos;

impl NamedObjects for Fifos {
    const NAME: &'static str = "fifo";
    const CAPS: Caps = Fifo::CAPS;
    type Object = Fifo;
    type Address = PathBuf;

    fn fresh() -> PathBuf {
        dir().join(unique_name())
    }

    fn to_text(address: &PathBuf) -> OsString {
        address.clone().into()
    }

    fn from_text(text: &OsStr) -> PathBuf {
        text.into()
    }

    fn squat(address: &PathBuf) -> Option<Box<dyn FnOnce()>> {
        std::fs::write(address, "somebody else's").expect("write a file");
        let address = address.clone();
        Some(Box::new(move || {
            assert_eq!(read(&address), "somebody else's", "the stranger's file was touched");
            std::fs::remove_file(&address).expect("remove the file");
        }))
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

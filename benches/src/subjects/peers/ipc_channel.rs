//! `ipc-channel`: its channels of bytes, a Unix seqpacket socket for each direction here.

use std::process::Command;

use anyhow::{Context, Result, bail};
use ipc_bench_schema::{Variant, WaitMode};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel,
};
use ipc_core::{Caps, Shape};

use crate::{Link, Setup, Subject, VariantEntry};

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "ipc-channel",
    krate: "ipc-channel",
    summary: "ipc-channel: channels of bytes, as Servo has them between its processes",
    caps: Caps::new(Shape::Message).anonymous().reports_peer_death(),
    variants: &[VariantEntry::of::<Channel>(Variant::Peer)
        .no_fan_in("its set of receivers gives messages as it pleases, in buffers of its own")],
};

/// The responder's ends of both channels, on their way to the initiator: those that it is to use.
type Ends = (IpcBytesSender, IpcBytesReceiver);

struct Channel {
    tx: IpcBytesSender,
    rx: IpcBytesReceiver,
}

fn variable(setup: &Setup) -> String {
    format!("IPC_BENCH_CHANNEL_{}", setup.key)
}

impl Link for Channel {
    type Offer = IpcOneShotServer<Ends>;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Offer> {
        let (server, name) = IpcOneShotServer::new()?;
        command.env(variable(setup), name);
        Ok(server)
    }

    fn connect(server: Self::Offer) -> Result<Self> {
        let (_, (tx, rx)) = server.accept()?;
        Ok(Self { tx, rx })
    }

    fn join(setup: &Setup) -> Result<Self> {
        let name = std::env::var(variable(setup)).context("the name of the server")?;
        let (their_tx, rx) = bytes_channel()?;
        let (tx, their_rx) = bytes_channel()?;
        IpcSender::<Ends>::connect(name)?.send((their_tx, their_rx))?;
        Ok(Self { tx, rx })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], _: WaitMode) -> Result<()> {
        // There is one way to send, which sleeps while there is no room.
        Ok(self.tx.send(msg)?)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        let msg = if wait == WaitMode::Block {
            self.rx.recv()?
        } else {
            loop {
                match self.rx.try_recv() {
                    Err(TryRecvError::Empty) => std::hint::spin_loop(),
                    result => break result?,
                }
            }
        };
        let Some(room) = buf.get_mut(..msg.len()) else {
            bail!("a message of {} bytes", msg.len());
        };
        room.copy_from_slice(&msg);
        Ok(msg.len())
    }
}

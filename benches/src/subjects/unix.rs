//! Unix sockets: a pair of each type.

use std::os::fd::AsFd as _;
use std::process::Command;

use anyhow::Result;
use ipc_bench_schema::{Topology, Variant, WaitMode};
use ipc_core::Mechanism;
use ipc_sock::unix::{Datagram, Seqpacket, SocketOptions, Stream};

use super::ends::{self, BareMessages, BareStream, Handed, Messages, Over};
use super::many::{OurMessages, Receives, Sends};
use crate::sys::RawSocket;
use crate::{Fan, Setup, Subject, VariantEntry};

/// Seqpacket sockets of our crate.
pub(crate) type SoundLink = Over<Handed<Seqpacket>, Messages<Seqpacket>>;

/// `SOCK_STREAM`
pub(super) const STREAM: Subject = Subject {
    id: "unix-stream",
    krate: "ipc-sock",
    summary: "Unix stream socket: bytes both ways, descriptors, the peer's identity",
    caps: Stream::CAPS,
    variants: &[
        VariantEntry::polled::<Over<Handed<Stream>, ends::Stream<Stream>>>(Variant::Ours)
            .adaptive(),
        VariantEntry::polled::<Over<Handed<Stream>, BareStream<Stream>>>(Variant::Raw).adaptive(),
    ],
};

/// `SOCK_SEQPACKET`
pub(super) const SEQPACKET: Subject = Subject {
    id: "unix-seqpacket",
    krate: "ipc-sock",
    summary: "Unix seqpacket socket: messages both ways, descriptors, the peer's identity",
    caps: Seqpacket::CAPS,
    variants: &[
        VariantEntry::polled::<Over<Handed<Seqpacket>, Messages<Seqpacket>>>(Variant::Ours)
            .adaptive(),
        VariantEntry::polled::<Over<Handed<Seqpacket>, BareMessages<Seqpacket>>>(Variant::Raw)
            .adaptive(),
    ],
};

/// `SOCK_DGRAM`
pub(super) const DATAGRAM: Subject = Subject {
    id: "unix-dgram",
    krate: "ipc-sock",
    summary: "Unix datagram socket: messages to whoever has the name",
    caps: Datagram::CAPS,
    variants: &[
        VariantEntry::of::<Over<Handed<Datagram>, Messages<Datagram>>>(Variant::Ours)
            .adaptive()
            .fan_in::<ToName<OurMessages<Datagram>>>(),
        VariantEntry::of::<Over<Handed<Datagram>, BareMessages<Datagram>>>(Variant::Raw)
            .adaptive()
            .fan_in::<ToName<BareMany>>(),
    ],
};

/// Sockets of several senders, connected to the one that has a name.
struct ToName<E>(E);

impl<E> Fan for ToName<E>
where
    E: Sends<Of = Datagram> + Receives<Of = Datagram>,
{
    type Offer = Self;

    fn offer(setup: &Setup, _: Topology, _: &mut [Command]) -> Result<Self> {
        let rx = SocketOptions::new().bind_datagram(setup.dir.join(&setup.key))?;
        Ok(Self(<E as Receives>::new(rx, setup)?))
    }

    fn connect(offer: Self) -> Result<Self> {
        Ok(offer)
    }

    fn join(setup: &Setup, _: Topology, _: usize) -> Result<Self> {
        let tx = SocketOptions::new().datagram()?;
        tx.connect(setup.dir.join(&setup.key))?;
        Ok(Self(<E as Sends>::new(tx, setup)?))
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.0.send(msg, wait)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        self.0.recv(buf, wait)
    }
}

/// A datagram socket by bare system calls. Ours stays, since it has the name.
struct BareMany {
    raw: RawSocket,
    _named: Datagram,
}

impl BareMany {
    fn over(socket: Datagram) -> Result<Self> {
        let raw = RawSocket::new(socket.as_fd().try_clone_to_owned()?);
        Ok(Self { raw, _named: socket })
    }
}

impl Sends for BareMany {
    type Of = Datagram;

    fn new(tx: Datagram, _: &Setup) -> Result<Self> {
        Self::over(tx)
    }

    #[inline]
    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        self.raw.send(msg, wait)?;
        Ok(())
    }
}

impl Receives for BareMany {
    type Of = Datagram;

    fn new(rx: Datagram, _: &Setup) -> Result<Self> {
        Self::over(rx)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        Ok(self.raw.recv(buf, wait)?)
    }
}

//! The standard library's pipes and sockets, used as a program does that knows nothing else: `write_all`
//! and `read_exact`, which sleep.
//!
//! The two processes come to hold them by way of our crates, which is not measured.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use anyhow::Result;
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::Mechanism;
use ipc_pipe::DuplexPipe;
use ipc_sock::{tcp, unix};

use crate::subjects::ends::{Ends, Handed, Over};
use crate::{Subject, VariantEntry};

const SLEEPS: &[WaitMode] = &[WaitMode::Block];
const NO_POLL: &str = "the standard library has nothing to wait for several by";

/// `std::io::pipe`
pub(super) const PIPE: Subject = Subject {
    id: "std-pipe",
    krate: "std",
    summary: "std::io::pipe: the standard library's anonymous pipe",
    caps: DuplexPipe::CAPS,
    variants: &[VariantEntry::of::<Over<Handed<DuplexPipe>, Pipes>>(Variant::Peer)
        .waits(SLEEPS)
        .no_fan_in(NO_POLL)],
};

/// `std::os::unix::net::UnixStream`
pub(super) const UNIX: Subject = Subject {
    id: "std-unix-stream",
    krate: "std",
    summary: "UnixStream: the standard library's Unix stream socket",
    caps: unix::Stream::CAPS,
    variants: &[VariantEntry::of::<Over<Handed<unix::Stream>, Unix>>(Variant::Peer)
        .waits(SLEEPS)
        .no_fan_in(NO_POLL)],
};

/// `std::net::TcpStream`
pub(super) const TCP: Subject = Subject {
    id: "std-tcp",
    krate: "std",
    summary: "TcpStream: the standard library's TCP, over the loopback interface, without Nagle's delay",
    caps: tcp::Stream::CAPS,
    variants: &[VariantEntry::of::<Over<Handed<tcp::Stream>, Tcp>>(Variant::Peer)
        .waits(SLEEPS)
        .no_fan_in(NO_POLL)],
};

/// Two pipes.
struct Pipes {
    rx: PipeReader,
    tx: PipeWriter,
}

impl Ends for Pipes {
    type Of = DuplexPipe;

    fn new(pipe: DuplexPipe) -> Result<Self> {
        let (rx, tx) = pipe.split();
        Ok(Self { rx: OwnedFd::from(rx).into(), tx: OwnedFd::from(tx).into() })
    }

    #[inline]
    fn send(&mut self, msg: &[u8], _: WaitMode) -> Result<()> {
        Ok(self.tx.write_all(msg)?)
    }

    #[inline]
    fn recv(&mut self, buf: &mut [u8], _: WaitMode) -> Result<usize> {
        self.rx.read_exact(buf)?;
        Ok(buf.len())
    }
}

/// Declares a socket.
macro_rules! socket {
    ($name:ident($std:ty), $ours:ty) => {
        struct $name($std);

        impl Ends for $name {
            type Of = $ours;

            fn new(end: $ours) -> Result<Self> {
                Ok(Self(OwnedFd::from(end).into()))
            }

            #[inline]
            fn send(&mut self, msg: &[u8], _: WaitMode) -> Result<()> {
                Ok(self.0.write_all(msg)?)
            }

            #[inline]
            fn recv(&mut self, buf: &mut [u8], _: WaitMode) -> Result<usize> {
                self.0.read_exact(buf)?;
                Ok(buf.len())
            }
        }
    };
}

socket!(Unix(UnixStream), unix::Stream);
socket!(Tcp(TcpStream), tcp::Stream);

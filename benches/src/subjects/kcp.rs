//! KCP in its message mode over UDP on the loopback device.
//!
//! Ours has a thread for the protocol, which inherits the caller's placement; the bare variant drives
//! the `kcp` crate inside its own calls, as a program that does nothing else can. What the thread uses
//! is not among the CPU time of a cell, which is that of the measuring thread.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ipc_bench_schema::{Topology, Variant, WaitMode};
use ipc_core::Mechanism;
use ipc_sock::kcp::Messages;
use kcp::Kcp;

use super::ends::{self, Handed, Over};
use crate::link::{Link, Setup};
use crate::{Subject, VariantEntry};

/// The longest message with the default options.
const LONGEST: usize = 1 << 16;

const NO_FAN_IN: &str = "a socket that is readable has a datagram, and perhaps no message: the bare loop cannot wait \
                         for several";

const ONE_THREAD: &str = "where messages are on their way together, ours works in two threads beside each other, and a \
                          bare loop in one: these are not the same calls";

const NO_SETUP: &str = "it has a thread of its own, and what has threads is not forked";

/// The row of the matrix.
pub(super) const SUBJECT: Subject = Subject {
    id: "kcp",
    krate: "ipc-sock",
    summary: "KCP over UDP: messages that are sent again until they arrive",
    caps: Messages::CAPS.max_message(LONGEST),
    variants: &[
        VariantEntry::of::<Over<Handed<Messages>, ends::Messages<Messages>>>(Variant::Ours)
            .no_fan_in(NO_FAN_IN)
            .no_setup(NO_SETUP),
        VariantEntry::of::<Bare>(Variant::Raw)
            .sits_out(&[Topology::Stream, Topology::OpenLoop, Topology::FanOut], ONE_THREAD)
            .no_fan_in(NO_FAN_IN)
            .no_setup(NO_SETUP),
    ],
};

/// How many segments the bare variant leaves unacknowledged, so that all of them are on their way when
/// a send returns: nobody else would send them.
const UNACKNOWLEDGED: usize = 64;

/// So many segments are acknowledged together, as ours does.
const ACKNOWLEDGE: u32 = 16;

/// The `kcp` crate over one UDP socket.
struct Bare {
    kcp: Kcp<Out>,
    /// What the protocol wants to send.
    datagrams: Receiver<Vec<u8>>,
    socket: UdpSocket,
    nonblocking: bool,
    start: Instant,
    buf: Vec<u8>,
    to_acknowledge: u32,
}

struct Out(Sender<Vec<u8>>);

impl Write for Out {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.send(buf.to_vec()).map_err(|_| io::Error::from(ErrorKind::BrokenPipe))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bare {
    fn new(socket: UdpSocket) -> Result<Self> {
        let (out, datagrams) = channel();
        let mut kcp = Kcp::new(1, Out(out));
        // The same as ours by default.
        kcp.set_nodelay(true, 10, 2, true);
        kcp.set_wndsize(128, 128);
        kcp.set_mtu(1400)?;
        kcp.update(0)?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1 << 20)?;
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        let (start, buf) = (Instant::now(), vec![0; LONGEST]);
        Ok(Self { kcp, datagrams, socket, nonblocking: false, start, buf, to_acknowledge: 0 })
    }

    fn update(&mut self) -> Result<()> {
        self.kcp.update(u32::try_from(self.start.elapsed().as_millis())?)?;
        Ok(())
    }

    /// Sends what the protocol has to send.
    fn flush(&mut self) -> Result<()> {
        self.update()?;
        self.kcp.flush()?;
        self.to_acknowledge = 0;
        self.drain()
    }

    fn drain(&mut self) -> Result<()> {
        while let Ok(datagram) = self.datagrams.try_recv() {
            match self.socket.send(&datagram) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes one datagram, if one comes in time.
    fn pump(&mut self, wait: WaitMode) -> Result<()> {
        if wait != WaitMode::Block && !self.nonblocking {
            self.socket.set_nonblocking(true)?;
            self.nonblocking = true;
        }
        match self.socket.recv(&mut self.buf) {
            Ok(len) => {
                self.kcp.input(&self.buf[..len])?;
                self.to_acknowledge += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        if self.to_acknowledge >= ACKNOWLEDGE {
            return self.flush();
        }
        self.update()?;
        self.drain()
    }
}

impl Link for Bare {
    type Offer = UdpSocket;

    /// The responder finds the port in a file, and shows its own by a datagram.
    fn offer(setup: &Setup, _: &mut Command) -> Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = socket.local_addr()?.port().to_string();
        std::fs::write(setup.dir.join(&setup.key), port)?;
        Ok(socket)
    }

    fn connect(socket: UdpSocket) -> Result<Self> {
        let (_, from) = socket.recv_from(&mut [0; 1])?;
        socket.connect(from)?;
        Self::new(socket)
    }

    fn join(setup: &Setup) -> Result<Self> {
        let file = setup.dir.join(&setup.key);
        let port = std::fs::read_to_string(&file).context("read the port")?;
        std::fs::remove_file(file)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect((Ipv4Addr::LOCALHOST, port.parse()?))?;
        socket.send(&[0])?;
        Self::new(socket)
    }

    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        let segments = msg.len().div_ceil(self.kcp.mss());
        while self.kcp.wait_snd() > 0 && self.kcp.wait_snd() + segments > UNACKNOWLEDGED {
            self.pump(wait)?;
        }
        self.kcp.send(msg)?;
        self.flush()
    }

    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        loop {
            match self.kcp.recv(buf) {
                Ok(len) => return Ok(len),
                Err(kcp::Error::RecvQueueEmpty | kcp::Error::ExpectingFragment) => {}
                Err(error) => return Err(error.into()),
            }
            self.pump(wait)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use ipc_core::SendMsg;
    use ipc_sock::kcp::SocketOptions;

    use super::*;

    #[test]
    fn the_longest_message_is_that_of_the_default_options() {
        let (end, _) = SocketOptions::new().pair_messages().expect("a pair");
        assert_eq!(end.max_len(), LONGEST);
    }
}

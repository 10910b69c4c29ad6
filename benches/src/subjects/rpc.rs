//! Calls: the message is the argument of a call, and the answer is its result.
//!
//! What the loop does between receiving and sending is the method's work: when it receives, it is shown the
//! argument, which is the end of the request's frame; when it comes with the answer, the call is executed, and the
//! method returns that. So each round trip is a whole call, every step of it once: a stub, a request, a dispatcher, a
//! method, the reply cache, a reply.

use std::cell::Cell;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::process::Command;

use anyhow::{Context, Result};
use ipc_bench_schema::{Variant, WaitMode};
use ipc_core::{ErrorKind, Framed, Mechanism, Wait};
use ipc_rpc::serde_bytes::Bytes;
use ipc_rpc::wire::REQUEST;
use ipc_rpc::{
    CallError, Client, ClientOptions, Connection, Ends, Host, HostOptions, Pipelined, RecvFrame,
    SendFrame, Ticket,
};
use ipc_shm::Memfd;
use ipc_shm::ring::spsc::{Receiver, Sender};
use ipc_shm::ring::{RingOptions, Strategy};
use ipc_sock::{tcp, unix};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ends::{Handed, Source};
use crate::link::{Link, Setup, adopt_ends, give_ends, run};
use crate::{Subject, VariantEntry};

const ANSWERED: &str = "each call is answered before the next is made: there are only round trips";

/// Over two rings.
pub(super) const SHM: Subject = Subject {
    id: "rpc-shm",
    krate: "ipc-rpc",
    summary: "calls, executed at most once, over two rings in shared memory",
    caps: Sender::<Memfd>::CAPS,
    variants: &[VariantEntry::of::<Rpc<Rings>>(Variant::Ours).round_trips(ANSWERED).adaptive()],
};

/// Over a Unix seqpacket socket.
pub(super) const UNIX: Subject = Subject {
    id: "rpc-unix",
    krate: "ipc-rpc",
    summary: "calls, executed at most once, over a Unix seqpacket socket",
    caps: unix::Seqpacket::CAPS,
    variants: &[VariantEntry::of::<Rpc<Seqpacket>>(Variant::Ours).round_trips(ANSWERED)],
};

/// Over TCP, in frames.
pub(super) const TCP: Subject = Subject {
    id: "rpc-tcp",
    krate: "ipc-rpc",
    summary: "calls, executed at most once, over TCP on the loopback interface",
    caps: Framed::<tcp::Stream>::CAPS,
    variants: &[VariantEntry::of::<Rpc<Tcp>>(Variant::Ours).round_trips(ANSWERED)],
};

/// What the calls go over.
trait Transport: 'static {
    type Offer;
    type Link: SendFrame + RecvFrame;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Offer>;
    fn connect(setup: &Setup, offer: Self::Offer) -> Result<Self::Link>;
    fn join(setup: &Setup) -> Result<Self::Link>;

    /// Waits as the cell says from now on, where the link itself can.
    fn wait_as(_: &mut Self::Link, wait: WaitMode) -> WaitMode {
        wait
    }
}

/// Room for a payload and what stands before it.
fn frame(setup: &Setup) -> u32 {
    u32::try_from(setup.size).unwrap_or(u32::MAX).saturating_add(64)
}

struct Rings;

impl Transport for Rings {
    type Offer = Self::Link;
    type Link = Ends<Sender, Receiver>;

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Link> {
        let options = RingOptions::new().capacity((8 * setup.size).max(1 << 18));
        let (tx, their_rx) = options.pair()?;
        let (their_tx, rx) = options.pair()?;
        give_ends(setup, command, their_rx, their_tx)?;
        Ok(Ends::new(tx, rx))
    }

    fn connect(_: &Setup, link: Self::Link) -> Result<Self::Link> {
        Ok(link)
    }

    fn join(setup: &Setup) -> Result<Self::Link> {
        let (rx, tx) = adopt_ends(setup)?;
        Ok(Ends::new(tx, rx))
    }

    fn wait_as(link: &mut Self::Link, wait: WaitMode) -> WaitMode {
        let strategy = match wait {
            WaitMode::Block => Strategy::Block,
            WaitMode::Spin => Strategy::Spin,
            WaitMode::Adaptive => Strategy::Adaptive,
        };
        link.tx.set_strategy(strategy);
        link.rx.set_strategy(strategy);
        // What the ring does, nobody need do around it.
        WaitMode::Block
    }
}

struct Seqpacket;

impl Transport for Seqpacket {
    type Offer = unix::Seqpacket;
    type Link = unix::Seqpacket;

    fn offer(setup: &Setup, command: &mut Command) -> Result<unix::Seqpacket> {
        Handed::offer(setup, command)
    }

    fn connect(_: &Setup, link: unix::Seqpacket) -> Result<unix::Seqpacket> {
        Ok(link)
    }

    fn join(setup: &Setup) -> Result<unix::Seqpacket> {
        Handed::join(setup)
    }
}

struct Tcp;

impl Transport for Tcp {
    type Offer = tcp::Stream;
    type Link = Framed<tcp::Stream>;

    fn offer(setup: &Setup, command: &mut Command) -> Result<tcp::Stream> {
        Handed::offer(setup, command)
    }

    fn connect(setup: &Setup, stream: tcp::Stream) -> Result<Self::Link> {
        Ok(Framed::new(stream, frame(setup)))
    }

    fn join(setup: &Setup) -> Result<Self::Link> {
        let stream: tcp::Stream = Handed::join(setup)?;
        Ok(Framed::new(stream, frame(setup)))
    }
}

ipc_rpc::service! {
    #[service(name = "ipc-benches", version = 1, client = ExchangeClient, server = ExchangeServer)]
    trait Exchange {
        fn exchange(&self, call: &Call<'_>, message: &Bytes) -> Payload;
    }
}

/// Bytes that are passed by value: short ones allocate nothing.
#[derive(Debug)]
struct Payload {
    len: usize,
    short: [u8; Self::SHORT],
    long: Vec<u8>,
}

impl Payload {
    const SHORT: usize = 64;

    fn new(bytes: &[u8]) -> Self {
        let mut payload = Self { len: bytes.len(), short: [0; Self::SHORT], long: Vec::new() };
        match payload.short.get_mut(..bytes.len()) {
            Some(short) => short.copy_from_slice(bytes),
            None => payload.long = bytes.to_vec(),
        }
        payload
    }

    fn bytes(&self) -> &[u8] {
        if self.len > Self::SHORT { &self.long } else { &self.short[..self.len] }
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.bytes())
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor(PhantomData<Payload>);
        impl de::Visitor<'_> for Visitor {
            type Value = Payload;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Payload, E> {
                Ok(Payload::new(bytes))
            }
        }
        deserializer.deserialize_bytes(Visitor(PhantomData))
    }
}

/// Answers with what the loop has come with.
#[derive(Default)]
struct Answering(Cell<Option<Payload>>);

impl Exchange for Answering {
    fn exchange(&self, _: &ipc_rpc::Call<'_>, _: &Bytes) -> Payload {
        self.0.take().unwrap_or_else(|| Payload::new(&[]))
    }
}

/// The argument at the end of a request's frame, after its length.
fn argument(frame: &[u8]) -> Option<&[u8]> {
    let mut bytes = frame.get(REQUEST..)?;
    let mut len = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        bytes = rest;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (bytes.len() == len).then_some(bytes)
}

/// Either side.
enum Rpc<T: Transport> {
    Client {
        client: Box<ExchangeClient<Pipelined<T::Link>>>,
        ticket: Option<Ticket<Payload>>,
        wait: Waits,
    },
    Server(Box<Serving<T>>),
}

/// How to wait, and whether the link knows.
type Waits = Option<(WaitMode, WaitMode)>;

struct Serving<T: Transport> {
    link: T::Link,
    host: Host<ExchangeServer<Answering>>,
    connection: Connection,
    /// The frame that came.
    buf: Vec<u8>,
    len: usize,
    fds: Vec<OwnedFd>,
    wait: Waits,
}

impl<T: Transport> Serving<T> {
    fn wait_as(&mut self, wait: WaitMode) -> WaitMode {
        match self.wait {
            Some((cell, rest)) if cell == wait => rest,
            _ => {
                let rest = T::wait_as(&mut self.link, wait);
                self.wait = Some((wait, rest));
                rest
            }
        }
    }

    fn receive(&mut self, wait: WaitMode) -> Result<()> {
        let wait = self.wait_as(wait);
        self.len = run(wait, |wait| self.link.recv_frame(&mut self.buf, &mut self.fds, wait))?;
        Ok(())
    }

    /// Does what the frame asks for, and answers.
    fn answer(&mut self, wait: WaitMode) -> Result<()> {
        let wait = self.wait_as(wait);
        let frame = &self.buf[..self.len];
        let answer = self.host.handle(&mut self.connection, frame, &mut self.fds);
        let answer = answer.context("a frame without an answer")?;
        run(wait, |wait| self.link.send_frame(answer.bytes, answer.fds, wait))
    }
}

impl<T: Transport> Link for Rpc<T> {
    type Offer = (Setup, T::Offer);

    fn offer(setup: &Setup, command: &mut Command) -> Result<Self::Offer> {
        Ok((setup.clone(), T::offer(setup, command)?))
    }

    fn connect((setup, offer): Self::Offer) -> Result<Self> {
        let link = T::connect(&setup, offer)?;
        let options = ClientOptions::new().max_frame(frame(&setup));
        let client = Box::new(ExchangeClient::connect(link, &options)?.pipelined());
        Ok(Self::Client { client, ticket: None, wait: None })
    }

    fn join(setup: &Setup) -> Result<Self> {
        let options = HostOptions::new().max_frame(frame(setup).max(1024));
        let host = Host::new(ExchangeServer(Answering::default()), &options)?;
        let mut serving = Serving {
            link: T::join(setup)?,
            connection: host.connection(),
            host,
            buf: vec![0; frame(setup).max(1024) as usize],
            len: 0,
            fds: Vec::new(),
            wait: None,
        };
        // The client's hello.
        serving.receive(WaitMode::Block)?;
        serving.answer(WaitMode::Block)?;
        Ok(Self::Server(Box::new(serving)))
    }

    fn send(&mut self, msg: &[u8], wait: WaitMode) -> Result<()> {
        match self {
            Self::Client { client, ticket, wait: waits } => {
                if waits.is_none_or(|(cell, _)| cell != wait) {
                    let rest = T::wait_as(client.caller().client_mut().link(), wait);
                    *waits = Some((wait, rest));
                }
                *ticket = Some(client.exchange(Bytes::new(msg))?);
                Ok(())
            }
            Self::Server(serving) => {
                serving.host.service().0.0.set(Some(Payload::new(msg)));
                serving.answer(wait)
            }
        }
    }

    fn recv(&mut self, buf: &mut [u8], wait: WaitMode) -> Result<usize> {
        match self {
            Self::Client { client, ticket, wait: waits } => {
                let ticket = ticket.take().context("no call is under way")?;
                let rest = waits.map_or(wait, |(_, rest)| rest);
                let payload = await_result(client.caller().client_mut(), ticket, rest)?;
                let bytes = payload.bytes();
                let len = bytes.len().min(buf.len());
                buf[..len].copy_from_slice(&bytes[..len]);
                Ok(bytes.len())
            }
            Self::Server(serving) => {
                serving.receive(wait)?;
                let frame = &serving.buf[..serving.len];
                let seen = argument(frame).context("a frame that is no request")?;
                let len = seen.len().min(buf.len());
                buf[..len].copy_from_slice(&seen[..len]);
                Ok(seen.len())
            }
        }
    }
}

#[inline]
fn await_result<L: SendFrame + RecvFrame>(
    client: &mut Client<L>,
    ticket: Ticket<Payload>,
    wait: WaitMode,
) -> Result<Payload> {
    if wait == WaitMode::Block {
        return Ok(client.finish(ticket)?);
    }
    loop {
        match client.poll(&ticket, Wait::Never) {
            Ok(Some(payload)) => return Ok(payload),
            Ok(None) => std::hint::spin_loop(),
            Err(CallError::Transport { error, .. }) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

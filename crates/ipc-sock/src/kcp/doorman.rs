//! The opening: how a client and a listener agree on a conversation.
//!
//! The client says [`Hello`](Kind::Hello) with the conversation id and its half of the key. The listener
//! answers [`Welcome`](Kind::Welcome) with the other half, which it computes from a secret, and keeps
//! nothing: a flood of greetings under false addresses costs it no memory, and makes it send no more
//! bytes than it gets. The client repeats both halves in [`Confirm`](Kind::Confirm), which proves that
//! it receives at its address, and the listener makes the conversation and says
//! [`Ready`](Kind::Ready). The client repeats what was not answered.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait;
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::rand::{GetRandomFlags, getrandom};

use super::options::Tuning;
use super::session::Agreement;
use super::siphash::{Key, tag};
use super::wire::{Datagram, Kind, LONGEST, Mode, Opening};
use crate::socket::{SEND, Socket};

/// How long the client waits before it repeats itself, at first and at most.
const REPEAT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Some random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(os("getrandom")(errno)),
        }
    }
    Ok(bytes)
}

/// A conversation id and a half of a key.
fn draw() -> Result<(u32, u64)> {
    let [a, b, c, d, rest @ ..]: [u8; 12] = random()?;
    Ok((u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(rest)))
}

/// Draws a conversation for two ends of one process.
pub(super) fn draw_agreement(mode: Mode) -> Result<Agreement> {
    let (conv, one) = draw()?;
    let (_, two) = draw()?;
    Ok(Agreement { conv, key: Key(one, two), mode, peer_max: u32::MAX as usize })
}

/// What a listener does with a datagram of the opening.
#[derive(Debug)]
pub(super) enum Answer {
    Nothing,
    Say(Vec<u8>),
    /// A conversation begins.
    Begin(Agreement),
    /// The conversation of this key has begun already, and the client does not know it.
    Again(Key),
}

/// Who answers clients.
#[derive(Debug)]
pub(super) struct Doorman {
    secret: Key,
    mode: Mode,
    backlog: usize,
    pub(super) tuning: Tuning,
}

impl Doorman {
    pub(super) fn new(mode: Mode, backlog: usize, tuning: Tuning) -> Result<Self> {
        let secret = Key(u64::from_le_bytes(random()?), u64::from_le_bytes(random()?));
        Ok(Self { secret, mode, backlog, tuning })
    }

    /// The listener's half of the key.
    fn half(&self, conv: u32, theirs: u64, from: SocketAddr) -> u64 {
        let mut bytes = Vec::with_capacity(40);
        bytes.extend_from_slice(&conv.to_le_bytes());
        bytes.extend_from_slice(&theirs.to_le_bytes());
        match from.ip() {
            IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
        }
        bytes.extend_from_slice(&from.port().to_le_bytes());
        tag(self.secret, &bytes)
    }

    /// Answers a client. `exists` says that there is a conversation of this id and address, `waiting`
    /// how many are not accepted yet.
    pub(super) fn answer(
        &self,
        datagram: &Datagram<'_>,
        opening: Opening,
        from: SocketAddr,
        exists: bool,
        waiting: usize,
    ) -> Answer {
        let conv = datagram.conv;
        let half = self.half(conv, opening.key.0, from);
        let key = Key(opening.key.0, half);
        match datagram.kind {
            Kind::Hello => {
                let max_message = u32::try_from(self.tuning.max_message).unwrap_or(u32::MAX);
                let welcome = Opening { mode: self.mode, max_message, key };
                Answer::Say(welcome.datagram(conv, Kind::Welcome))
            }
            Kind::Confirm if opening.key != key || opening.mode != self.mode => Answer::Nothing,
            Kind::Confirm if exists => Answer::Again(key),
            Kind::Confirm if waiting < self.backlog => Answer::Begin(Agreement {
                conv,
                key,
                mode: self.mode,
                peer_max: opening.max_message as usize,
            }),
            _ => Answer::Nothing,
        }
    }
}

/// Agrees with a listener on a conversation, over a socket that is connected to it.
pub(super) fn knock(
    socket: &Socket,
    mode: Mode,
    tuning: &Tuning,
    deadline: Wait,
) -> Result<Agreement> {
    let (conv, half) = draw()?;
    let max_message = u32::try_from(tuning.max_message).unwrap_or(u32::MAX);
    let hello = Opening { mode, max_message, key: Key(half, 0) };
    let welcome = ask(socket, &hello.datagram(conv, Kind::Hello), deadline, |datagram| {
        let opening = datagram.opening()?;
        let ours = datagram.conv == conv && opening.key.0 == half;
        (ours && datagram.kind == Kind::Welcome).then_some(opening)
    })?;
    if welcome.mode != mode {
        let name = |mode| match mode {
            Mode::Stream => "a KCP listener for streams",
            Mode::Messages => "a KCP listener for messages",
        };
        let kind = ErrorKind::WrongType { expected: name(mode), found: name(welcome.mode) };
        return Err(Error::new(kind, "connect"));
    }
    let key = welcome.key;
    let confirm = Opening { mode, max_message, key };
    // Anything of the conversation says that it has begun; what it says besides is sent again.
    ask(socket, &confirm.datagram(conv, Kind::Confirm), deadline, |datagram| {
        let ready = datagram.conv == conv && datagram.kind == Kind::Ready;
        (datagram.open(key).is_some() && ready).then_some(())
    })?;
    Ok(Agreement { conv, key, mode, peer_max: welcome.max_message as usize })
}

/// Repeats a question until there is an answer to it.
fn ask<T>(
    socket: &Socket,
    question: &[u8],
    deadline: Wait,
    answer: impl Fn(Datagram<'_>) -> Option<T>,
) -> Result<T> {
    let refused = |errno: Errno| {
        let error = os("connect")(errno);
        if errno == Errno::CONNREFUSED {
            error.with_kind(ErrorKind::ConnectionRefused)
        } else {
            error
        }
    };
    let mut buf = vec![0; LONGEST];
    let mut pause = REPEAT.0;
    loop {
        match rustix::net::send(socket, question, SEND | SendFlags::DONTWAIT) {
            // The socket's buffer is full, or a signal came: the question is repeated soon.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(refused(errno)),
        }
        let repeat = Instant::now() + pause;
        pause = (pause * 2).min(REPEAT.1);
        let until = match deadline {
            Wait::Until(end) if end < repeat => deadline,
            Wait::Never => deadline,
            _ => Wait::Until(repeat),
        };
        loop {
            match wait::ready("connect", socket.as_fd(), PollFlags::IN, until) {
                Ok(()) => {}
                Err(error) if until == deadline => return Err(error),
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => return Err(error),
            }
            match rustix::net::recv(socket, &mut buf[..], RecvFlags::DONTWAIT) {
                Ok((_, len)) => {
                    let len = len.min(buf.len());
                    if let Some(found) = Datagram::parse(&mut buf[..len]).and_then(&answer) {
                        return Ok(found);
                    }
                    // Whoever keeps sending something else must not hold us here.
                    if until.remaining().is_some_and(|left| left.is_zero()) {
                        if until == deadline {
                            return Err(Error::new(deadline.exhausted(), "connect"));
                        }
                        break;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(refused(errno)),
            }
        }
    }
}

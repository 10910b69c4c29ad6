//! What [`Stream`](super::Stream) and [`Messages`](super::Messages) hold: one end of a conversation.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipc_core::handoff::Ticket;
use ipc_core::{Error, ErrorKind, Rejected, Result, Wait};
use ipc_fd::handoff::{Gift, adopt};
use ipc_fd::kind::os;
use rustix::net::{AddressFamily, SocketType};

use super::endpoint::{Direction, Endpoint, Link};
use super::options::{SocketOptions, Tuning, local_address};
use super::session::{Agreement, Session};
use super::siphash::Key;
use super::wire::Mode;
use crate::kind::{self, Expected};
use crate::socket::Socket;

/// What a descriptor must be to be adopted.
const EXPECTED: Expected = Expected {
    domains: &[AddressFamily::INET],
    kind: SocketType::DGRAM,
    listens: false,
    name: "a UDP socket",
};

/// One end of a conversation. Dropping it says goodbye.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Taken by a handoff, and by nothing else.
    ends: Option<(Arc<Endpoint>, Arc<Link>)>,
    started: AtomicBool,
}

impl Conversation {
    /// `heard` says that there was an opening; otherwise the peer may be yet to start.
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        agreement: Agreement,
        tuning: Tuning,
        heard: bool,
    ) -> Self {
        let session = Session::new(agreement, tuning, heard, Instant::now());
        let link = Arc::new(Link::new(None, session));
        endpoint.add(&link);
        Self { ends: Some((endpoint, link)), started: AtomicBool::new(false) }
    }

    /// A conversation that was accepted, whose endpoint has counted it.
    pub(super) fn accepted(endpoint: Arc<Endpoint>, link: Arc<Link>) -> Self {
        Self { ends: Some((endpoint, link)), started: AtomicBool::new(true) }
    }

    fn ends(&self) -> &(Arc<Endpoint>, Arc<Link>) {
        self.ends.as_ref().expect("only give takes them, which consumes the value")
    }

    /// Starts the thread of this end, if it sleeps still.
    pub(super) fn start(&self) -> Result<()> {
        if !self.started.load(Ordering::Acquire) {
            self.ends().0.start()?;
            self.started.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Does something with the session, as soon as it can be done.
    pub(super) fn until<T>(
        &self,
        direction: Direction,
        op: &'static str,
        wait: Wait,
        step: impl FnMut(&mut Session, Instant) -> Result<Option<T>>,
    ) -> Result<T> {
        self.start()?;
        let (endpoint, link) = self.ends();
        endpoint.until(link, direction, op, wait, step)
    }

    /// A descriptor that is readable while there is something to receive.
    pub(super) fn readiness(&self) -> Result<BorrowedFd<'_>> {
        self.start()?;
        let (_, link) = self.ends();
        let state = link.lock();
        link.bell.descriptor(|| state.session.readable())
    }

    pub(super) fn max_message(&self) -> usize {
        self.ends().1.lock().session.max_message()
    }

    pub(super) fn id(&self) -> u32 {
        self.ends().1.lock().session.agreement().conv
    }

    pub(super) fn local_address(&self) -> Result<SocketAddr> {
        local_address(self.ends().0.socket())
    }

    pub(super) fn peer_address(&self) -> Result<SocketAddr> {
        let (endpoint, link) = self.ends();
        if let Some(to) = link.peer_address() {
            return Ok(to);
        }
        let address = rustix::net::getpeername(endpoint.socket()).map_err(os("getpeername"))?;
        let address = address.ok_or_else(|| Error::new(ErrorKind::Other, "getpeername"))?;
        SocketAddr::try_from(address).map_err(os("getpeername"))
    }

    /// Gives the socket to a child, and in the variable after the ticket what both ends agreed on.
    pub(super) fn give(mut self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        let refuse = |value, error| Err(Rejected { value, error });
        if self.started.load(Ordering::Acquire) {
            let error = Error::new(ErrorKind::Unsupported, "handoff").with_note(
                "the state of a conversation that has begun is in the memory of this process",
            );
            return refuse(self, error);
        }
        let gift = match Gift::prepare(self.ends().0.socket().as_fd(), command, key) {
            Ok(gift) => gift,
            Err(error) => return refuse(self, error),
        };
        let Some((endpoint, link)) = self.ends.take() else { return Ok(()) };
        let words = {
            let state = link.lock();
            in_words(state.session.agreement(), state.session.tuning())
        };
        // Nobody else has a reference: the thread was never started.
        let Some(socket) = endpoint.into_socket() else { return Ok(()) };
        gift.attach(socket.into_fd(), command);
        let Ok(variable) = Ticket::variable(key) else { return Ok(()) };
        let ticket = command.get_envs().find_map(|(name, value)| {
            (name == &variable[..]).then(|| value?.to_str().map(str::to_owned)).flatten()
        });
        command.env(variable, format!("{}:{words}", ticket.unwrap_or_default()));
        Ok(())
    }

    /// Takes what the parent gave, with the parent's options.
    pub(super) fn adopt(key: &str, mode: Mode) -> Result<Self> {
        let variable = std::env::var(Ticket::variable(key)?).unwrap_or_default();
        let (agreement, tuning) = match from_words(&variable, mode) {
            Some(found) => found,
            // What there is to say of the ticket itself comes first.
            None => return Err(Ticket::from_env(key).err().unwrap_or_else(no_conversation)),
        };
        let [(fd, ())] = adopt([key], |_, fd| kind::check(fd, EXPECTED))?;
        let endpoint = Endpoint::new(Socket::new(fd), None)?;
        Ok(Self::new(endpoint, agreement, tuning, false))
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        if let Some((endpoint, link)) = &self.ends {
            endpoint.leave(link);
        }
    }
}

fn no_conversation() -> Error {
    let kind = ErrorKind::WrongType {
        expected: "an end of a KCP conversation of this sort",
        found: "something else",
    };
    Error::new(kind, "handoff")
}

/// What comes after descriptor, device and inode in the variable of a handoff: numbers.
fn in_words(agreement: &Agreement, tuning: &Tuning) -> String {
    let Agreement { conv, key: Key(one, two), mode, peer_max } = agreement;
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let numbers = [
        u64::from(*mode == Mode::Messages),
        u64::from(*conv),
        *one,
        *two,
        *peer_max as u64,
        u64::from(tuning.nodelay),
        tuning.interval.unsigned_abs().into(),
        tuning.resend.unsigned_abs().into(),
        tuning.congestion_window.into(),
        tuning.send_window.into(),
        tuning.recv_window.into(),
        tuning.mtu as u64,
        micros(tuning.timeout),
        micros(tuning.keep_alive),
        micros(tuning.linger.unwrap_or(tuning.timeout)),
        tuning.send_queue as u64,
        tuning.max_message as u64,
    ];
    numbers.map(|it| it.to_string()).join(":")
}

/// Reads what [`in_words`] wrote, and checks it as options are.
fn from_words(variable: &str, wanted: Mode) -> Option<(Agreement, Tuning)> {
    let mut numbers = variable.split(':').skip(3).map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let mode = if next()? == 0 { Mode::Stream } else { Mode::Messages };
    let conv = u32::try_from(next()?).ok()?;
    let key = Key(next()?, next()?);
    let peer_max = usize::try_from(next()?).ok()?;
    let options = SocketOptions::new()
        .nodelay(next()? != 0)
        .interval(Duration::from_millis(next()?))
        .resend(u8::try_from(next()?).ok()?)
        .congestion_window(next()? != 0)
        .send_window(u16::try_from(next()?).ok()?)
        .recv_window(u16::try_from(next()?).ok()?)
        .mtu(usize::try_from(next()?).ok()?)
        .timeout(Duration::from_micros(next()?))
        .keep_alive(Duration::from_micros(next()?))
        .linger(Duration::from_micros(next()?))
        .send_queue(usize::try_from(next()?).ok()?)
        .max_message(usize::try_from(next()?).ok()?);
    let tuning = options.tuning().ok()?;
    (mode == wanted).then_some((Agreement { conv, key, mode, peer_max }, tuning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_put_into_words_comes_back() {
        let agreement =
            Agreement { conv: 7, key: Key(u64::MAX, 1), mode: Mode::Messages, peer_max: 99 };
        let tuning = SocketOptions::new().mtu(9000).resend(3).tuning().expect("right options");
        let words = format!("5:6:7:{}", in_words(&agreement, &tuning));
        let (found, again) = from_words(&words, Mode::Messages).expect("it is right");
        assert_eq!((found.conv, found.key, found.peer_max), (7, agreement.key, 99));
        assert_eq!(in_words(&found, &again), in_words(&agreement, &tuning));
        assert!(from_words(&words, Mode::Stream).is_none());
    }

    proptest! {
        #[test]
        fn any_words_are_right_or_none(words in "[0-9:]{0,80}") {
            let _ = from_words(&words, Mode::Stream);
        }
    }
}

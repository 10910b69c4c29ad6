//! What a client knows of its calls, without any input or output.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ipc_core::{Error, ErrorKind};

use super::event::{Event, Finished};
use super::slot::{Slot, State, WINDOW, index};
use crate::fds::Beside;
use crate::wire::{self, Frame, Hello, PROTOCOL, REQUEST, ReplyHead, RequestHead, TAKES_FDS};
use crate::{ClientId, Refusal, Semantics, ServiceInfo, Status};

/// A client's side of the protocol: frames go in, frames and results come out. It reads no clock, and who drives
/// it decides when to send again.
///
/// [`Client`](crate::Client) drives one over a link. Drive one yourself to make calls in an event loop, or to
/// test what a network can do to them.
///
/// # Examples
///
/// ```
/// use ipc_rpc::{ClientId, Host, HostOptions, Semantics};
/// use ipc_rpc::session::{Event, Session};
/// # ipc_rpc::service! {
/// #     #[service(name = "echo", version = 1, client = EchoClient, server = EchoServer)]
/// #     trait Echo { fn echo(&self, call: &Call<'_>, n: u8) -> u8; }
/// # }
/// # struct Same;
/// # impl Echo for Same { fn echo(&self, _: &ipc_rpc::Call<'_>, n: u8) -> u8 { n } }
///
/// let host = Host::new(EchoServer(Same), &HostOptions::new())?;
/// let mut connection = host.connection();
/// let id = ClientId::random()?;
/// let mut session = Session::new(EchoClient::<()>::SERVICE, id, 1, 1 << 16);
///
/// // Both sides become acquainted…
/// let mut hello = Vec::new();
/// session.hello(&mut hello);
/// let answer = host.handle(&mut connection, &hello, &mut Vec::new()).expect("an answer");
/// assert_eq!(session.on_frame(answer.bytes), Event::Opened { remembered: false });
///
/// // …and a request that arrives twice is executed once, and answered twice.
/// let seq = session.begin(Semantics::AtMostOnce, 7, None)?;
/// session.frame(seq).push(42);
/// let (request, _) = session.outgoing(seq, None).expect("a call that is under way");
/// let request = request.to_vec();
/// for _ in 0..2 {
///     let answer = host.handle(&mut connection, &request, &mut Vec::new()).expect("an answer");
///     let answer = answer.bytes.to_vec();
///     let _ = session.on_frame(&answer);
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Session {
    service: ServiceInfo,
    client: ClientId,
    max_frame: u32,
    takes_fds: bool,
    nonce: u32,
    /// A `Hello` went out and was not answered.
    opening: bool,
    server: Option<Server>,
    slots: Box<[Slot]>,
    /// The number of the next call.
    next: u64,
    /// All calls below are finished.
    low: u64,
}

/// What the server has said of itself.
#[derive(Debug, Clone, Copy)]
struct Server {
    token: u64,
    epoch: u64,
    window: u64,
    max_frame: usize,
}

impl Session {
    /// A client that has not said hello. Its first call has the number `first`, 1 unless it goes on after a
    /// restart; it receives frames of at most `max_frame` bytes.
    #[must_use]
    pub fn new(service: ServiceInfo, client: ClientId, first: u64, max_frame: u32) -> Self {
        let slots = vec![Slot::default(); WINDOW].into_boxed_slice();
        // So that no number of a call is ever the last one.
        let first = first.clamp(1, u64::MAX / 2);
        Self {
            service,
            client,
            max_frame,
            takes_fds: false,
            nonce: 0,
            opening: false,
            server: None,
            slots,
            next: first,
            low: first,
        }
    }

    pub(crate) fn takes_fds(&mut self, yes: bool) {
        self.takes_fds = yes;
    }

    /// Who makes the calls.
    #[must_use]
    pub const fn client(&self) -> ClientId {
        self.client
    }

    /// The number of the first call that is not finished. A client that stores it, and its id, can go on after a
    /// restart of its own.
    #[must_use]
    pub const fn low(&self) -> u64 {
        self.low
    }

    /// How many calls are under way, or have replies that nobody has asked for.
    #[must_use]
    pub const fn under_way(&self) -> u64 {
        self.next - self.low
    }

    /// Which life of the server this is: another number after a restart.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.server.map(|it| it.epoch)
    }

    /// Whether the server has let this client in, and no new `Hello` is under way.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.server.is_some() && !self.opening
    }

    /// The longest frame that the server receives.
    #[inline]
    pub(crate) fn max_request(&self) -> usize {
        self.server.map_or(REQUEST, |it| it.max_frame)
    }

    /// Writes a `Hello`. The answer to an older one does not count any more.
    pub fn hello(&mut self, out: &mut Vec<u8>) {
        self.nonce = self.nonce.wrapping_add(1);
        self.opening = true;
        let ServiceInfo { name, version, signature } = self.service;
        let (client, low, max_frame, nonce) = (self.client, self.low, self.max_frame, self.nonce);
        Hello { protocol: PROTOCOL, version, signature, client, low, max_frame, nonce, name }
            .encode(out);
    }

    /// Whether one call more can be begun.
    #[must_use]
    #[inline]
    pub fn has_room(&self) -> bool {
        let window = self.server.map_or(WINDOW as u64, |it| it.window);
        self.next - self.low < window
    }

    /// Begins a call, and returns its number. Its arguments are to be appended to its [`frame`](Self::frame).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WouldBlock`] without [room](Self::has_room).
    #[inline]
    pub fn begin(
        &mut self,
        semantics: Semantics,
        method: u32,
        budget: Option<Duration>,
    ) -> ipc_core::Result<u64> {
        if !self.has_room() {
            return Err(Error::new(ErrorKind::WouldBlock, "begin call")
                .with_note("as many calls are under way as the server takes"));
        }
        let seq = self.next;
        self.next += 1;
        let flags = if self.takes_fds { TAKES_FDS } else { 0 };
        let (token, low) = (self.server.map_or(0, |it| it.token), self.low);
        let slot = &mut self.slots[index(seq)];
        slot.seq = seq;
        slot.state = State::Waiting;
        slot.semantics = semantics;
        slot.under = 0;
        slot.beside = None;
        RequestHead { semantics, flags, method, token, seq, low, budget }.write(&mut slot.frame);
        Ok(seq)
    }

    /// The frame of a call that was begun, to append its arguments to.
    ///
    /// # Panics
    ///
    /// If no such call was begun.
    #[inline]
    pub fn frame(&mut self, seq: u64) -> &mut Vec<u8> {
        let slot = &mut self.slots[index(seq)];
        assert!(slot.seq == seq && slot.state == State::Waiting, "no such call was begun");
        &mut slot.frame
    }

    /// What goes beside the frame.
    pub(crate) fn set_beside(&mut self, seq: u64, beside: Beside) {
        self.slots[index(seq)].beside = beside;
    }

    /// The request of a call, to be sent now, with the time that it has left. `None` if the call is not waiting.
    #[inline]
    pub fn outgoing(&mut self, seq: u64, budget: Option<Duration>) -> Option<(&[u8], &[OwnedFd])> {
        let token = self.server?.token;
        let slot = &mut self.slots[index(seq)];
        if slot.seq != seq || slot.state != State::Waiting {
            return None;
        }
        if slot.under != 0 || budget.is_some() {
            wire::renew(&mut slot.frame, token, self.low, budget);
        }
        slot.under = token;
        Some((&slot.frame, slot.beside.as_deref().unwrap_or_default()))
    }

    /// Whether a call is under way, or has a result that nobody has asked for.
    pub(crate) fn knows(&self, seq: u64) -> bool {
        let slot = &self.slots[index(seq)];
        slot.seq == seq && slot.state != State::Free
    }

    /// Whether a call was never sent.
    pub(crate) fn is_unsent(&self, seq: u64) -> bool {
        let slot = &self.slots[index(seq)];
        slot.seq == seq && slot.under == 0
    }

    /// The next call from number `from` on that is to be sent again when nothing is heard: all that wait but
    /// those that are made [maybe](Semantics::Maybe).
    #[must_use]
    pub fn unanswered(&self, from: u64) -> Option<u64> {
        (from.max(self.low)..self.next).find(|seq| {
            let slot = &self.slots[index(*seq)];
            slot.seq == *seq
                && slot.state == State::Waiting
                && (slot.semantics != Semantics::Maybe || slot.under == 0)
        })
    }

    /// Reads a frame from the server. What makes no sense, or comes too late, is [`Event::Nothing`].
    #[inline]
    pub fn on_frame<'a>(&mut self, bytes: &'a [u8]) -> Event<'a> {
        if let Some((head, result)) = wire::reply(bytes) {
            return self.on_reply(head, result);
        }
        match wire::decode(bytes) {
            Some(Frame::Welcome(welcome)) => self.on_welcome(&welcome),
            Some(Frame::Refused(refused)) => self.on_refused(&refused),
            _ => Event::Nothing,
        }
    }

    #[inline]
    fn on_reply<'a>(&mut self, head: ReplyHead, result: &'a [u8]) -> Event<'a> {
        if head.status == Status::UnknownClient {
            let current = self.server.is_some_and(|it| it.token == head.token);
            return if current && !self.opening { Event::Unknown } else { Event::Nothing };
        }
        let slot = &self.slots[index(head.seq)];
        // By another token it may be a reply to another life of this call; that one was given up.
        if slot.seq == head.seq && slot.state == State::Waiting && slot.under == head.token {
            Event::Reply(head, result)
        } else {
            Event::Nothing
        }
    }

    fn on_welcome(&mut self, welcome: &wire::Welcome) -> Event<'static> {
        if !self.opening || welcome.client != self.client || welcome.nonce != self.nonce {
            return Event::Nothing;
        }
        self.opening = false;
        let remembered = self.server.is_some_and(|it| it.token == welcome.token);
        let max_frame = usize::try_from(welcome.max_frame).unwrap_or(usize::MAX);
        self.server = Some(Server {
            token: welcome.token,
            epoch: welcome.epoch,
            window: u64::from(welcome.window).clamp(1, WINDOW as u64),
            max_frame: max_frame.max(REQUEST),
        });
        for slot in &mut self.slots {
            // What a server that has forgotten it may have executed must not be sent again.
            let forgotten = slot.under != 0 && slot.under != welcome.token;
            let repeatable =
                matches!(slot.semantics, Semantics::AtLeastOnce | Semantics::ExactlyOnce);
            if slot.state == State::Waiting && forgotten && !repeatable {
                slot.state = State::Lost;
            }
            if slot.state == State::Waiting && slot.under == 0 {
                // It was begun under another token, or none.
                wire::renew_token(&mut slot.frame, welcome.token);
            }
        }
        Event::Opened { remembered }
    }

    fn on_refused(&mut self, refused: &wire::Refused) -> Event<'static> {
        if !self.opening || refused.client != self.client || refused.nonce != self.nonce {
            return Event::Nothing;
        }
        self.opening = false;
        Event::Refused(match refused.reason {
            1 => Refusal::WrongService,
            2 => Refusal::WrongVersion { ours: self.service.version, theirs: refused.version },
            3 => Refusal::WrongMethods,
            4 => Refusal::Full,
            _ => Refusal::WrongProtocol,
        })
    }

    /// Keeps a reply for when its call is asked for.
    pub fn keep(&mut self, head: ReplyHead, result: &[u8], beside: Vec<OwnedFd>) {
        let slot = &mut self.slots[index(head.seq)];
        if slot.seq == head.seq && slot.state == State::Waiting {
            slot.state = State::Answered(head);
            slot.reply.clear();
            slot.reply.extend_from_slice(result);
            slot.beside = (!beside.is_empty()).then(|| beside.into());
        }
    }

    /// What came of a call, if that is known: then [`finish`](Self::finish) it.
    #[must_use]
    #[inline]
    pub fn finished(&self, seq: u64) -> Option<Finished<'_>> {
        let slot = &self.slots[index(seq)];
        match slot.state {
            State::Answered(head) if slot.seq == seq => Some(Finished::Reply(head, &slot.reply)),
            State::Lost if slot.seq == seq => Some(Finished::Lost),
            _ => None,
        }
    }

    /// The descriptors of a reply that was kept.
    pub(crate) fn beside(&self, seq: u64) -> Option<&[OwnedFd]> {
        self.slots[index(seq)].beside.as_deref()
    }

    /// Ends a call: its result was used, or nobody wants it any more. The server learns by the next request that
    /// it need not remember it.
    #[inline]
    pub fn finish(&mut self, seq: u64) {
        let slot = &mut self.slots[index(seq)];
        if slot.seq != seq || slot.state == State::Free {
            return;
        }
        slot.free();
        while self.low < self.next {
            let slot = &self.slots[index(self.low)];
            if slot.seq == self.low && slot.state != State::Free {
                break;
            }
            self.low += 1;
        }
    }

    /// A frame that says that nobody waits for the call any more; `None` if no server knows of it.
    #[must_use]
    pub fn cancel(&self, seq: u64) -> Option<[u8; 24]> {
        let slot = &self.slots[index(seq)];
        let sent = slot.seq == seq && slot.under != 0;
        self.server.filter(|_| sent).map(|it| wire::cancel(it.token, seq))
    }

    /// A frame that says which replies have come, for a client that has nothing else to say for a while.
    #[must_use]
    pub fn done(&self) -> Option<[u8; 24]> {
        self.server.map(|it| wire::done(it.token, self.low))
    }
}

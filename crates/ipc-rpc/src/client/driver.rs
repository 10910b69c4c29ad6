//! A client over a link.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Result, Wait};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ClientOptions;
use super::event::Finished;
use super::session::Session;
use super::slot::WINDOW;
use crate::marshal;
use crate::wire::{self, IN_MEMFD, ReplyHead};
use crate::{
    CallError, CallOptions, ClientId, ConnectError, Outcome, RecvFrame, SendFrame, ServiceInfo,
    Status, fds, large,
};

/// Makes calls over a link, one after the other or many at a time.
///
/// A call that is [invoked](crate::Caller) by the client of a [`service!`](crate::service) is sent, and its reply
/// received, by this thread: over a ring without a system call, over a socket with one to send and one to
/// receive.
///
/// # Blocking
///
/// A call waits until there is a reply, its [deadline](CallOptions::timeout) passes, or the link breaks.
///
/// # Examples
///
/// See [`service!`](crate::service).
pub struct Client<L> {
    link: L,
    session: Session,
    options: ClientOptions,
    /// What the link can carry, which may cost a system call to ask.
    max_frame: usize,
    /// Room for one frame that comes in, and what came with it.
    buf: Vec<u8>,
    fds: Vec<OwnedFd>,
    scratch: Vec<u8>,
    /// Until when each call under way is wanted, by its place in the window.
    deadlines: [Option<Instant>; WINDOW],
    redial: Option<Redial<L>>,
    timer: Option<Timer>,
}

type Redial<L> = Box<dyn FnMut(Wait) -> Result<L> + Send>;

/// When to send again.
#[derive(Debug)]
struct Timer {
    at: Instant,
    pause: Duration,
}

/// A call that is under way: what its result is asked for with.
///
/// # Examples
///
/// See [`Pipelined`](crate::Pipelined).
#[derive(Debug)]
#[must_use = "the result of the call is asked for with it"]
pub struct Ticket<T> {
    seq: u64,
    deadline: Option<Instant>,
    result: PhantomData<fn() -> T>,
}

const OP: &str = "call";

impl<L: SendFrame + RecvFrame> Client<L> {
    /// Connects to a service over a link, at the other end of which a server receives.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Refused`] by a server of something else, or of another version;
    /// [`ConnectError::Transport`] when there is no answer in time, or the link breaks.
    pub fn connect(
        link: L,
        service: ServiceInfo,
        options: &ClientOptions,
    ) -> Result<Self, ConnectError> {
        let (id, first) = match options.identity {
            Some(identity) => identity,
            None => (ClientId::random()?, 1),
        };
        let mut session = Session::new(service, id, first, options.max_frame);
        session.takes_fds(link.passes_fds());
        let mut client = Self {
            max_frame: link.max_frame(),
            link,
            session,
            options: *options,
            buf: vec![0; options.max_frame as usize],
            fds: Vec::new(),
            scratch: Vec::new(),
            deadlines: [None; WINDOW],
            redial: None,
            timer: None,
        };
        let wait = options.connect_timeout.map_or(Wait::Forever, Wait::timeout);
        client.open(wait)?;
        Ok(client)
    }

    /// Makes a new link by `redial` whenever the link breaks, and goes on with the calls that may be sent again.
    /// It is called until it succeeds or the call's time is over; what it says other than
    /// [`ErrorKind::WouldBlock`], [`ConnectionRefused`](ErrorKind::ConnectionRefused),
    /// [`NotFound`](ErrorKind::NotFound) and [`TimedOut`](ErrorKind::TimedOut) ends the call.
    pub fn set_redial(&mut self, redial: impl FnMut(Wait) -> Result<L> + Send + 'static) {
        self.redial = Some(Box::new(redial));
    }

    /// Who makes the calls.
    #[must_use]
    pub const fn id(&self) -> ClientId {
        self.session.client()
    }

    /// The number of the first call that is not finished: see [`ClientOptions::resume`].
    #[must_use]
    pub const fn low(&self) -> u64 {
        self.session.low()
    }

    /// Which life of the server this is: another number after each restart.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.session.epoch().unwrap_or(0)
    }

    /// The link, for what it has to say of itself. Who sends or receives by it disturbs the calls.
    pub const fn link(&mut self) -> &mut L {
        &mut self.link
    }

    /// Makes a call and does not wait for its result; it waits while as many calls are under way as the server
    /// takes.
    ///
    /// # Errors
    ///
    /// [`CallError::Transport`] with [`ErrorKind::MessageTooLarge`] for arguments that no frame holds, and when
    /// the link breaks.
    #[inline]
    pub fn start<A: Serialize, T>(
        &mut self,
        options: &CallOptions,
        method: u32,
        arguments: &A,
    ) -> Result<Ticket<T>, CallError> {
        // One that the clock cannot hold is none.
        let deadline = options.timeout.and_then(|it| Instant::now().checked_add(it));
        let alone = self.session.under_way() == 0;
        if !self.session.has_room() {
            self.until_room(deadline)?;
        }
        let begun = self.session.begin(options.semantics, method, options.timeout);
        let seq = begun.map_err(CallError::not_sent)?;
        self.deadlines[seq as usize % WINDOW] = deadline;
        self.marshal(seq, arguments).map_err(CallError::not_sent)?;
        if let Err(error) = self.send(seq, deadline, alone) {
            self.session.finish(seq);
            return Err(error);
        }
        Ok(Ticket { seq, deadline, result: PhantomData })
    }

    /// Waits for the result of a call.
    ///
    /// # Errors
    ///
    /// What came of the call.
    #[inline]
    pub fn finish<T: DeserializeOwned>(&mut self, ticket: Ticket<T>) -> Result<T, CallError> {
        match self.wait_for(&ticket, Wait::Forever) {
            Ok(Some(result)) => Ok(result),
            Ok(None) => Err(self.give_up(ticket.seq)),
            Err(error) => Err(error),
        }
    }

    /// Asks for the result of a call and waits no longer than this: `None` if it has not come.
    ///
    /// # Errors
    ///
    /// What came of the call, which is over then.
    #[inline]
    pub fn poll<T: DeserializeOwned>(
        &mut self,
        ticket: &Ticket<T>,
        wait: Wait,
    ) -> Result<Option<T>, CallError> {
        if !self.session.knows(ticket.seq) {
            return Err(CallError::not_sent(
                Error::new(ErrorKind::InvalidInput, OP).with_note("this call is over"),
            ));
        }
        self.wait_for(ticket, wait)
    }

    /// Gives a call up, and tells the server, if it can be told at once. The call may be executed yet, unless it
    /// waits in the server's queue.
    pub fn cancel<T>(&mut self, ticket: Ticket<T>) {
        self.abandon(ticket.seq);
    }

    /// Tells the server which results have come, so that it need not remember them: for a client that makes no
    /// call for a while. Every call says so too.
    ///
    /// # Errors
    ///
    /// Those of [`SendFrame`].
    pub fn acknowledge(&mut self, wait: Wait) -> Result<()> {
        match self.session.done() {
            Some(done) => self.link.send_frame(&done, &[], wait),
            None => Ok(()),
        }
    }

    /// Receives until the result of a call has come: `None` when the time is over.
    #[inline]
    fn wait_for<T: DeserializeOwned>(
        &mut self,
        ticket: &Ticket<T>,
        wait: Wait,
    ) -> Result<Option<T>, CallError> {
        let seq = ticket.seq;
        if let Some(result) = self.kept(seq) {
            return result.map(Some);
        }
        let mut others = 0;
        loop {
            let (until, last) = match (wait, ticket.deadline) {
                (Wait::Never, _) => (Wait::Never, true),
                (Wait::Forever, None) => (Wait::Forever, false),
                (Wait::Forever, Some(deadline)) => (Wait::Until(deadline), true),
                (Wait::Until(at), None) => (Wait::Until(at), true),
                (Wait::Until(at), Some(deadline)) => (Wait::Until(at.min(deadline)), true),
            };
            let step = match self.step(until, ticket.deadline, Some(seq)) {
                Ok(step) => step,
                Err(error) => {
                    self.session.finish(seq);
                    return Err(error);
                }
            };
            match step {
                Step::Answer(len) => return self.answer(len).map(Some),
                Step::Something => {
                    if let Some(result) = self.kept(seq) {
                        return result.map(Some);
                    }
                    // A server that talks without end does not stretch a wait that is over.
                    if ticket.deadline.is_some_and(|it| it <= Instant::now()) {
                        return Err(self.give_up(seq));
                    }
                    others += 1;
                    if last
                        && others > WINDOW
                        && wait.remaining().is_some_and(|left| left.is_zero())
                    {
                        return Ok(None);
                    }
                }
                Step::Nothing => {
                    if ticket.deadline.is_some_and(|it| it <= Instant::now()) {
                        return Err(self.give_up(seq));
                    }
                    if last && wait.remaining().is_some_and(|left| left.is_zero()) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The result of a call that was received while another one was waited for.
    #[inline]
    fn kept<T: DeserializeOwned>(&mut self, seq: u64) -> Option<Result<T, CallError>> {
        let result = match self.session.finished(seq)? {
            Finished::Lost => Err(CallError::OutcomeUnknown),
            Finished::Reply(head, result) => match self.session.beside(seq).map(copies) {
                Some(Err(error)) => Err(CallError::Transport { error, outcome: Outcome::Executed }),
                fds => {
                    let mut fds = fds.and_then(Result::ok).unwrap_or_default();
                    read(head, result, &mut fds, self.options.max_large)
                }
            },
        };
        self.session.finish(seq);
        Some(result)
    }

    /// The result of a call whose reply was received just now.
    #[inline]
    fn answer<T: DeserializeOwned>(&mut self, len: usize) -> Result<T, CallError> {
        // It was read as one before; its head is dearer to hand on than to read again.
        let (head, result) = wire::reply(&self.buf[..len]).ok_or(CallError::BadReply)?;
        let result = read(head, result, &mut self.fds, self.options.max_large);
        self.session.finish(head.seq);
        result
    }

    /// The call's time is over.
    #[cold]
    fn give_up(&mut self, seq: u64) -> CallError {
        let unsent = self.session.is_unsent(seq);
        self.abandon(seq);
        let error = Error::new(ErrorKind::TimedOut, OP);
        let outcome = if unsent { Outcome::NotExecuted } else { Outcome::Unknown };
        CallError::Transport { error, outcome }
    }

    fn abandon(&mut self, seq: u64) {
        if let Some(cancel) = self.session.cancel(seq) {
            // A courtesy, for which nobody waits.
            let _ = self.link.send_frame(&cancel, &[], Wait::Never);
        }
        self.session.finish(seq);
    }
}

/// What one look at the link brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing came in time.
    Nothing,
    /// Something that may have changed what is known.
    Something,
    /// The reply that is waited for is in the buffer, which has so many bytes of it.
    Answer(usize),
}

mod sending;
mod steps;

/// Copies of all descriptors: if one were missing, the others would have each other's numbers.
#[cold]
fn copies(beside: &[OwnedFd]) -> Result<Vec<OwnedFd>> {
    let copies = beside.iter().map(OwnedFd::try_clone).collect::<std::io::Result<_>>();
    copies.map_err(|error| Error::from_os("dup", error.raw_os_error().unwrap_or(0)))
}

fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Reads what a reply says.
#[inline]
fn read<T: DeserializeOwned>(
    head: ReplyHead,
    result: &[u8],
    fds: &mut Vec<OwnedFd>,
    max_large: usize,
) -> Result<T, CallError> {
    if head.status == Status::Ok && head.flags & IN_MEMFD == 0 {
        return fds::with_incoming(fds, || marshal::read(result)).ok_or(CallError::BadReply);
    }
    read_special(head, result, fds, max_large)
}

/// Reads what a reply says that is no result, or one in a memfd.
#[cold]
fn read_special<T: DeserializeOwned>(
    head: ReplyHead,
    result: &[u8],
    fds: &mut Vec<OwnedFd>,
    max_large: usize,
) -> Result<T, CallError> {
    match head.status {
        Status::Ok => {
            let large = large::unpack(fds, max_large).ok_or(CallError::BadReply)?;
            fds::with_incoming(fds, || marshal::read(&large)).ok_or(CallError::BadReply)
        }
        Status::ReplyTooLarge => Err(CallError::ReplyTooLarge {
            len: head.detail as usize,
            max: result.first_chunk().map_or(0, |max| u32::from_le_bytes(*max) as usize),
        }),
        status => Err(CallError::Failed(status)),
    }
}

impl<L> fmt::Debug for Client<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.session.client())
            .field("epoch", &self.session.epoch())
            .field("under_way", &self.session.under_way())
            .finish_non_exhaustive()
    }
}

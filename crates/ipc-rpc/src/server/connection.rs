//! What comes over one connection, and what is to be done about it: no input or output.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::execute::Execution;
use super::memory::{Arrival, Memory};
use super::table::Peer;
use crate::fds::Beside;
use crate::wire::{self, Frame, IN_MEMFD, ReplyHead, RequestHead};
use crate::{Host, Semantics, Serve, Status};

/// What a server knows of one connection.
///
/// # Examples
///
/// See [`Host::handle`].
#[derive(Debug)]
pub struct Connection {
    id: u64,
    pub(super) peer: Option<Arc<Peer>>,
    /// The answer, whose memory is used again.
    pub(super) out: Vec<u8>,
    pub(super) beside: Beside,
    pub(super) limits: Limits,
}

/// What the link can carry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_frame: usize,
    pub(super) passes_fds: bool,
}

/// A frame to send, and what goes beside it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Answer<'a> {
    /// The frame.
    pub bytes: &'a [u8],
    /// The descriptors.
    pub fds: &'a [OwnedFd],
}

/// What a frame asks for.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    /// No more than this.
    Plain(Plain),
    /// To execute a call of the connection's peer.
    Execute(Request<'a>),
}

/// What is asked for but for a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain {
    Nothing,
    /// To send what is in the connection's `out`.
    Answer,
    /// To leave off a call.
    Cancel {
        token: u64,
        seq: u64,
    },
}

/// What is to be done about a request.
#[derive(Debug, Clone, Copy)]
enum Decision {
    Execute { only_find: bool },
    Not(Plain),
}

/// A call that is to be executed.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) head: RequestHead,
    pub(super) arguments: Arguments<'a>,
    pub(super) deadline: Option<Instant>,
    /// It was executed before: only its record is looked for.
    pub(super) only_find: bool,
}

/// Where arguments are.
#[derive(Debug)]
pub(super) enum Arguments<'a> {
    Here(&'a [u8]),
    /// Copied, since the call waits.
    Kept(Vec<u8>),
    /// In a memfd, the first of the descriptors. It is read when the call is executed, so that calls that wait
    /// take none of this process's memory for it.
    InMemfd,
}

impl Limits {
    /// Whether it can carry a reply, which may have been made for another link.
    fn carry(&self, reply: &[u8], beside: &Beside) -> bool {
        reply.len() <= self.max_frame && (beside.is_none() || self.passes_fds)
    }
}

impl<'a> Request<'a> {
    #[inline]
    fn new(head: RequestHead, arguments: &'a [u8], only_find: bool) -> Self {
        let arguments = if head.flags & IN_MEMFD == 0 {
            Arguments::Here(arguments)
        } else {
            Arguments::InMemfd
        };
        let deadline = head.budget.and_then(|budget| Instant::now().checked_add(budget));
        Self { head, arguments, deadline, only_find }
    }
}

impl Connection {
    pub(super) fn new(id: u64) -> Self {
        let limits = Limits { max_frame: usize::MAX, passes_fds: false };
        Self { id, peer: None, out: Vec::new(), beside: None, limits }
    }

    /// Its number, counted by the host from 1.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// What its link can carry: the longest frame in bytes, and whether descriptors go with it. Anything and none
    /// unless it is set.
    pub const fn set_limits(&mut self, max_frame: usize, passes_fds: bool) {
        self.limits = Limits { max_frame, passes_fds };
    }

    pub(super) fn answer(&self) -> Answer<'_> {
        Answer { bytes: &self.out, fds: Memory::fds(&self.beside) }
    }

    /// Writes an answer that is a status alone.
    pub(super) fn status(&mut self, head: &RequestHead, status: Status) {
        status_frame(head, status, &mut self.out);
        self.beside = None;
    }
}

/// Makes an answer that is a status alone all that is in `out`.
#[inline]
pub(super) fn status_frame(head: &RequestHead, status: Status, out: &mut Vec<u8>) {
    ReplyHead { status, flags: 0, detail: 0, token: head.token, seq: head.seq }.write(out);
}

impl<S: Serve> Host<S> {
    /// Does what a frame asks for, and gives the answer, if there is one: to be sent before the next frame is
    /// handled. A call is executed here and now.
    ///
    /// `fds` are the descriptors that came with the frame; those that nobody takes are closed. What is no frame is
    /// ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_rpc::{Host, HostOptions};
    /// # ipc_rpc::service! {
    /// #     #[service(name = "echo", version = 1, client = EchoClient, server = EchoServer)]
    /// #     trait Echo { fn echo(&self, call: &Call<'_>, n: u8) -> u8; }
    /// # }
    /// # struct Same;
    /// # impl Echo for Same { fn echo(&self, _: &ipc_rpc::Call<'_>, n: u8) -> u8 { n } }
    ///
    /// let host = Host::new(EchoServer(Same), &HostOptions::new())?;
    /// let mut connection = host.connection();
    /// assert!(host.handle(&mut connection, b"nonsense", &mut Vec::new()).is_none());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[inline]
    pub fn handle<'c>(
        &self,
        connection: &'c mut Connection,
        frame: &[u8],
        fds: &mut Vec<OwnedFd>,
    ) -> Option<Answer<'c>> {
        let asked = match wire::request(frame) {
            // A request goes from hand to hand as rarely as can be: it is what all this is about.
            Some((head, arguments)) => match self.ask(connection, &head) {
                Decision::Execute { only_find } => {
                    let request = Request::new(head, arguments, only_find);
                    let execution = Execution {
                        peer: connection.peer.as_ref()?,
                        connection: connection.id,
                        limits: connection.limits,
                        cancelled: None,
                    };
                    let (out, beside) = (&mut connection.out, &mut connection.beside);
                    self.execute(&execution, &request, std::mem::take(fds), out, beside);
                    return Some(connection.answer());
                }
                Decision::Not(asked) => asked,
            },
            None => self.other(connection, frame),
        };
        fds.clear();
        match asked {
            Plain::Answer => Some(connection.answer()),
            Plain::Nothing | Plain::Cancel { .. } => None,
        }
    }

    /// Finds out what a frame asks for.
    pub(super) fn receive<'f>(&self, connection: &mut Connection, frame: &'f [u8]) -> Asked<'f> {
        match wire::request(frame) {
            Some((head, arguments)) => match self.ask(connection, &head) {
                Decision::Execute { only_find } => {
                    Asked::Execute(Request::new(head, arguments, only_find))
                }
                Decision::Not(asked) => Asked::Plain(asked),
            },
            None => Asked::Plain(self.other(connection, frame)),
        }
    }

    /// What a frame asks for that is no request.
    #[cold]
    fn other(&self, connection: &mut Connection, frame: &[u8]) -> Plain {
        match wire::decode(frame) {
            Some(Frame::Hello(hello)) => {
                self.greet(&hello, &mut connection.peer, &mut connection.out);
                connection.beside = None;
                Plain::Answer
            }
            Some(Frame::Done { token, low }) => {
                if let Some(peer) = self.peer(&mut connection.peer, token) {
                    peer.memory().advance(low);
                }
                Plain::Nothing
            }
            Some(Frame::Cancel { token, seq }) => Plain::Cancel { token, seq },
            _ => Plain::Nothing,
        }
    }

    #[inline]
    fn ask(&self, connection: &mut Connection, head: &RequestHead) -> Decision {
        let Some(peer) = self.peer(&mut connection.peer, head.token) else {
            connection.status(head, Status::UnknownClient);
            return Decision::Not(Plain::Answer);
        };
        let mut memory = peer.memory();
        let arrival = if head.semantics == Semantics::AtLeastOnce {
            memory.advance(head.low);
            Arrival::New
        } else {
            memory.arrive(head.seq, head.low)
        };
        match (arrival, head.semantics) {
            (Arrival::New, _) => return Decision::Execute { only_find: false },
            (Arrival::Evicted, Semantics::ExactlyOnce) => {
                return Decision::Execute { only_find: true };
            }
            (Arrival::Running, _) => return Decision::Not(Plain::Nothing),
            (Arrival::Saved, _) => {
                if let Some((reply, beside)) = memory.saved(head.seq)
                    && connection.limits.carry(reply, beside)
                {
                    connection.out.clear();
                    connection.out.extend_from_slice(reply);
                    connection.beside.clone_from(beside);
                    return Decision::Not(Plain::Answer);
                }
            }
            // Its sender sends it once: this is a copy that the network made.
            (_, Semantics::Maybe) => return Decision::Not(Plain::Nothing),
            (Arrival::Evicted | Arrival::Stale, _) => {}
        }
        drop(memory);
        connection.status(head, Status::Stale);
        Decision::Not(Plain::Answer)
    }
}

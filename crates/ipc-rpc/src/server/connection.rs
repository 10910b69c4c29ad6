//! What comes over one connection, and what is to be done about it: no input or output.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::execute::Execution;
use super::memory::{Arrival, Memory};
use super::table::Peer;
use crate::fds::Beside;
use crate::wire::{self, Frame, IN_MEMFD, REPLY, ReplyHead, RequestHead};
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
    Nothing,
    /// To send what is in the connection's `out`.
    Answer,
    /// To execute a call of the connection's peer.
    Execute(Request<'a>),
    /// To leave off a call.
    Cancel {
        token: u64,
        seq: u64,
    },
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
        self.out.clear();
        self.out.extend_from_slice(&status_frame(head, status));
        self.beside = None;
    }
}

pub(super) fn status_frame(head: &RequestHead, status: Status) -> [u8; REPLY] {
    ReplyHead { status, flags: 0, detail: 0, token: head.token, seq: head.seq }.encode()
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
        match self.receive(connection, frame) {
            Asked::Nothing | Asked::Cancel { .. } => {
                fds.clear();
                return None;
            }
            Asked::Answer => fds.clear(),
            Asked::Execute(request) => {
                let peer = connection.peer.as_ref()?;
                let execution = Execution {
                    peer,
                    connection: connection.id,
                    limits: connection.limits,
                    cancelled: None,
                };
                let answers = self.execute(
                    &execution,
                    &request,
                    std::mem::take(fds),
                    &mut connection.out,
                    &mut connection.beside,
                );
                if !answers {
                    return None;
                }
            }
        }
        Some(connection.answer())
    }

    /// Finds out what a frame asks for.
    #[inline]
    pub(super) fn receive<'f>(&self, connection: &mut Connection, frame: &'f [u8]) -> Asked<'f> {
        match wire::decode(frame) {
            Some(Frame::Request(head, arguments)) => self.ask(connection, head, arguments),
            Some(Frame::Hello(hello)) => {
                self.greet(&hello, &mut connection.peer, &mut connection.out);
                connection.beside = None;
                Asked::Answer
            }
            Some(Frame::Done { token, low }) => {
                if let Some(peer) = self.peer(&mut connection.peer, token) {
                    peer.memory().advance(low);
                }
                Asked::Nothing
            }
            Some(Frame::Cancel { token, seq }) => Asked::Cancel { token, seq },
            _ => Asked::Nothing,
        }
    }

    #[inline]
    fn ask<'f>(
        &self,
        connection: &mut Connection,
        head: RequestHead,
        arguments: &'f [u8],
    ) -> Asked<'f> {
        let Some(peer) = self.peer(&mut connection.peer, head.token) else {
            connection.status(&head, Status::UnknownClient);
            return Asked::Answer;
        };
        let mut memory = peer.memory();
        let arrival = if head.semantics == Semantics::AtLeastOnce {
            memory.advance(head.low);
            Arrival::New
        } else {
            memory.arrive(head.seq, head.low)
        };
        let only_find = match (arrival, head.semantics) {
            (Arrival::New, _) => false,
            (Arrival::Running, _) => return Asked::Nothing,
            (Arrival::Saved, _) => {
                if let Some((reply, beside)) = memory.saved(head.seq) {
                    connection.out.clear();
                    connection.out.extend_from_slice(reply);
                    connection.beside.clone_from(beside);
                }
                return Asked::Answer;
            }
            // Its sender sends it once: this is a copy that the network made.
            (_, Semantics::Maybe) => return Asked::Nothing,
            (Arrival::Evicted, Semantics::ExactlyOnce) => true,
            (Arrival::Evicted | Arrival::Stale, _) => {
                drop(memory);
                connection.status(&head, Status::Stale);
                return Asked::Answer;
            }
        };
        drop(memory);
        let arguments = if head.flags & IN_MEMFD == 0 {
            Arguments::Here(arguments)
        } else {
            Arguments::InMemfd
        };
        let deadline = head.budget.and_then(|budget| Instant::now().checked_add(budget));
        Asked::Execute(Request { head, arguments, deadline, only_find })
    }
}

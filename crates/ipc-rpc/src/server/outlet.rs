//! Where the replies of a connection go, and the calls that wait for a worker.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipc_core::{ErrorKind, Result, Wait};

use super::connection::{Arguments, Limits, Request, status_frame};
use super::memory::{Memory, Saved};
use super::serve::is_full;
use super::table::Peer;
use crate::fds::Beside;
use crate::wire::RequestHead;
use crate::{Semantics, SendFrame, Status};

/// A call that waits for a worker.
pub(super) struct Job {
    pub(super) outlet: Arc<Outlet>,
    pub(super) peer: Arc<Peer>,
    pub(super) request: Request<'static>,
    pub(super) fds: Vec<OwnedFd>,
    pub(super) cancelled: Arc<AtomicBool>,
}

/// Where the replies of a connection go.
///
/// A worker sends its reply itself. If the client takes none, the reply is put behind those that are late, and
/// the worker goes on; the connection's own thread sends those, and receives nothing as long as there are any. So who
/// takes no replies costs no worker, and gets no more of them under way than the queue holds.
pub(super) struct Outlet {
    pub(super) connection: u64,
    pub(super) limits: Limits,
    tx: Mutex<Box<dyn SendFrame + Send>>,
    late: Mutex<LateReplies>,
    /// Its client is gone, or takes no replies.
    broken: AtomicBool,
    /// The calls that wait or run, by token and number.
    running: Mutex<HashMap<(u64, u64), Arc<AtomicBool>>>,
}

#[derive(Default)]
struct LateReplies {
    /// Nobody sends but the connection's thread. It is set, and not, with nobody sending.
    any: bool,
    replies: VecDeque<Reply>,
}

struct Reply {
    frame: Vec<u8>,
    beside: Beside,
}

/// What came of an attempt to send a reply that is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    None,
    Sent,
    /// The client still takes none.
    Stuck,
}

/// Nothing panics with one of these locks held but what a link does, and then its connection is broken.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outlet {
    pub(super) fn new(
        connection: u64,
        limits: Limits,
        tx: impl SendFrame + Send + 'static,
    ) -> Self {
        Self {
            connection,
            limits,
            tx: Mutex::new(Box::new(tx)),
            late: Mutex::default(),
            broken: AtomicBool::new(false),
            running: Mutex::default(),
        }
    }

    /// A job of a request, whose arguments it keeps.
    pub(super) fn job(
        self: &Arc<Self>,
        peer: Arc<Peer>,
        request: Request<'_>,
        fds: Vec<OwnedFd>,
    ) -> Job {
        let arguments = match request.arguments {
            Arguments::Here(bytes) => Arguments::Kept(bytes.to_vec()),
            Arguments::Kept(bytes) => Arguments::Kept(bytes),
            Arguments::InMemfd => Arguments::InMemfd,
        };
        let Request { head, deadline, only_find, .. } = request;
        let request = Request { head, arguments, deadline, only_find };
        let cancelled = Arc::new(AtomicBool::new(false));
        lock(&self.running).insert((head.token, head.seq), Arc::clone(&cancelled));
        Job { outlet: Arc::clone(self), peer, request, fds, cancelled }
    }

    /// A call is over.
    pub(super) fn ended(&self, head: &RequestHead) {
        lock(&self.running).remove(&(head.token, head.seq));
    }

    pub(super) fn cancel(&self, token: u64, seq: u64) {
        if let Some(cancelled) = lock(&self.running).get(&(token, seq)) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    pub(super) fn set_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Sends a reply, or leaves it to the connection's thread.
    pub(super) fn send(&self, frame: &[u8], beside: &Beside) {
        /// A client that is only a little slower than the workers loses nothing by it.
        const PATIENCE: Duration = Duration::from_millis(5);
        if self.is_broken() || self.postpone(frame, beside, false) {
            return;
        }
        let mut tx = lock(&self.tx);
        // Meanwhile it may have become late.
        if self.is_broken() || self.postpone(frame, beside, false) {
            return;
        }
        let fds = Memory::fds(beside);
        let mut sent = tx.send_frame(frame, fds, Wait::Never);
        if sent.as_ref().is_err_and(is_full) {
            sent = tx.send_frame(frame, fds, Wait::timeout(PATIENCE));
        }
        match self.settle(sent) {
            Late::Stuck => _ = self.postpone(frame, beside, true),
            Late::None | Late::Sent => {}
        }
    }

    /// Puts a reply behind those that are late, if there are any or there are to be.
    fn postpone(&self, frame: &[u8], beside: &Beside, begin: bool) -> bool {
        let mut late = lock(&self.late);
        late.any |= begin;
        if late.any {
            late.replies.push_back(Reply { frame: frame.to_vec(), beside: beside.clone() });
        }
        late.any
    }

    /// Sends one reply that is late.
    pub(super) fn send_late(&self, turn: Duration) -> Late {
        let reply = {
            let mut late = lock(&self.late);
            let reply = late.replies.pop_front();
            late.any = reply.is_some();
            reply
        };
        let Some(reply) = reply else { return Late::None };
        let sent = lock(&self.tx).send_frame(
            &reply.frame,
            Memory::fds(&reply.beside),
            Wait::timeout(turn),
        );
        let settled = self.settle(sent);
        if settled == Late::Stuck {
            // First again: a part of it may be on the link.
            lock(&self.late).replies.push_front(reply);
        }
        settled
    }

    fn settle(&self, sent: Result<()>) -> Late {
        match sent {
            Ok(()) => Late::Sent,
            Err(error) if is_full(&error) => Late::Stuck,
            // A datagram socket's client that is gone.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Late::Sent,
            Err(_) => {
                self.set_broken();
                Late::Sent
            }
        }
    }
}

impl Job {
    /// Says that there is no room for it.
    pub(super) fn refuse(self) {
        let head = &self.request.head;
        let mut reply = Vec::new();
        status_frame(head, Status::Busy, &mut reply);
        match head.semantics {
            Semantics::AtLeastOnce => {}
            // Final, as every answer: a copy of the request that comes later is not executed either.
            _ => self.peer.memory().complete(head.seq, Some(Saved::frame(&reply))),
        }
        self.outlet.ended(head);
        self.outlet.send(&reply, &None);
    }
}

//! Executing a call, and remembering what came of it.

use std::any::Any;
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::connection::{Arguments, Limits, Request, status_frame};
use super::memory::Saved;
use super::table::Peer;
use crate::call::{Dispatched, Results};
use crate::fds::{self, Beside};
use crate::journal::{CallId, Once, Verdict};
use crate::wire::{IN_MEMFD, REPLY, ReplyHead, TAKES_FDS};
use crate::{Call, Host, Semantics, Serve, Status, large};

/// For whom a call is executed, and how its result goes back.
#[derive(Debug)]
pub(super) struct Execution<'a> {
    pub(super) peer: &'a Arc<Peer>,
    pub(super) connection: u64,
    pub(super) limits: Limits,
    pub(super) cancelled: Option<&'a AtomicBool>,
}

impl<S: Serve> Host<S> {
    /// Executes a call, if it is not too late, puts the reply into `out`, and remembers it.
    #[inline]
    pub(super) fn execute(
        &self,
        execution: &Execution<'_>,
        request: &Request<'_>,
        fds: Vec<OwnedFd>,
        out: &mut Vec<u8>,
        beside: &mut Beside,
    ) {
        let head = &request.head;
        *beside = None;
        let over = if execution.cancelled.is_some_and(|it| it.load(Ordering::Relaxed)) {
            Some(Status::Cancelled)
        } else if request.deadline.is_some_and(|it| it <= Instant::now()) {
            Some(Status::Expired)
        } else {
            None
        };
        if head.semantics == Semantics::ExactlyOnce {
            self.execute_once(execution, request, over, fds, out);
        } else if let Some(status) = over {
            status_frame(head, status, out);
        } else {
            self.run(execution, request, fds, None, out, beside);
        }
        let packed = self.fit(execution, request, out, beside);
        let reply = match head.semantics {
            Semantics::AtLeastOnce => return,
            Semantics::Maybe => None,
            Semantics::AtMostOnce | Semantics::ExactlyOnce => {
                Some(Saved { frame: out, beside, packed })
            }
        };
        execution.peer.memory().complete(head.seq, reply);
    }

    /// Runs the method, and writes its reply.
    #[inline]
    fn run(
        &self,
        execution: &Execution<'_>,
        request: &Request<'_>,
        mut fds: Vec<OwnedFd>,
        transaction: Option<&dyn Any>,
        out: &mut Vec<u8>,
        beside: &mut Beside,
    ) -> Status {
        let head = &request.head;
        let large;
        let arguments = match &request.arguments {
            Arguments::Here(bytes) => Some(*bytes),
            Arguments::Kept(bytes) => Some(&bytes[..]),
            Arguments::InMemfd => {
                large = large::unpack(&mut fds, self.options.max_large);
                large.as_deref()
            }
        };
        let call = Call {
            client: execution.peer.client,
            connection: execution.connection,
            seq: head.seq,
            semantics: head.semantics,
            deadline: request.deadline,
            cancelled: execution.cancelled,
            transaction,
            fds: RefCell::new(fds),
        };
        status_frame(head, Status::Ok, out);
        let max = self.longest(execution, request);
        let mut results = Results { out, max, beside: None };
        let dispatched = match arguments {
            // A service that panics is as it was left: it must be able to go on, as after a poisoned lock.
            Some(arguments) => catch_unwind(AssertUnwindSafe(|| {
                self.service.dispatch(&call, head.method, arguments, &mut results)
            })),
            None => Ok(Dispatched::Malformed),
        };
        *beside = results.beside.take();
        let (status, detail) = match dispatched {
            Ok(Dispatched::Done) => {
                let refused = beside.is_some()
                    && !(execution.limits.passes_fds && head.flags & TAKES_FDS != 0);
                if !refused {
                    return Status::Ok;
                }
                (Status::BadResult, 0)
            }
            Ok(Dispatched::BadResult) => (Status::BadResult, 0),
            Ok(Dispatched::UnknownMethod) => (Status::UnknownMethod, 0),
            Ok(Dispatched::Malformed) => (Status::Malformed, 0),
            Ok(Dispatched::TooLong(len)) => {
                (Status::ReplyTooLarge, u32::try_from(len).unwrap_or(u32::MAX))
            }
            Err(panic) => {
                // Its message was printed by the panic hook. To drop it may panic again.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
                fds::take_outgoing();
                (Status::Panicked, 0)
            }
        };
        *beside = None;
        let reply = ReplyHead { status, flags: 0, detail, token: head.token, seq: head.seq };
        reply.write(out);
        if status == Status::ReplyTooLarge {
            out.extend_from_slice(&u32::try_from(max).unwrap_or(u32::MAX).to_le_bytes());
        }
        status
    }

    /// Runs the method in the journal's transaction, or finds what came of it before. A call that is `over` is not
    /// begun, but may have been executed in another life of the server.
    fn execute_once(
        &self,
        execution: &Execution<'_>,
        request: &Request<'_>,
        over: Option<Status>,
        fds: Vec<OwnedFd>,
        out: &mut Vec<u8>,
    ) {
        let head = &request.head;
        let fail = |out: &mut Vec<u8>, status| {
            status_frame(head, status, out);
        };
        let Some(journal) = &self.journal else { return fail(out, Status::NoJournal) };
        let call = CallId::new(execution.peer.client, head.seq);
        // Not what this request says: a client that never acknowledges anything must not fill the journal.
        let low = execution.peer.memory().low().min(head.seq);
        if request.only_find || over.is_some() {
            let unknown = if request.only_find { None } else { over };
            let find = AssertUnwindSafe(|| journal.find(call, out));
            return match catch_unwind(find) {
                Ok(Ok(true)) => readdress(request, out),
                Ok(Ok(false)) => fail(out, unknown.unwrap_or(Status::Stale)),
                Ok(Err(_)) | Err(_) => fail(out, Status::JournalFailed),
            };
        }
        let mut fds = Some(fds);
        let mut execute = |transaction: &dyn Any, out: &mut Vec<u8>| {
            let mut beside = None;
            let fds = fds.take().unwrap_or_default();
            let status = self.run(execution, request, fds, Some(transaction), out, &mut beside);
            if beside.is_some() {
                // No journal keeps a descriptor.
                status_frame(head, Status::BadResult, out);
                return Verdict::RollBack;
            }
            match status {
                Status::Ok | Status::ReplyTooLarge => Verdict::Commit,
                _ => Verdict::RollBack,
            }
        };
        // A store that panics costs no thread of the server.
        let once = AssertUnwindSafe(|| journal.once(call, low, out, &mut execute));
        match catch_unwind(once) {
            Ok(Ok(Once::Executed | Once::RolledBack)) => {}
            Ok(Ok(Once::Replayed)) => readdress(request, out),
            Ok(Ok(Once::Stale)) => fail(out, Status::Stale),
            Ok(Err(_)) | Err(_) => fail(out, Status::JournalFailed),
        }
    }

    /// How long a reply may be before it is packed.
    #[inline]
    fn longest(&self, execution: &Execution<'_>, request: &Request<'_>) -> usize {
        let max = execution.peer.max_frame().min(execution.limits.max_frame).max(REPLY + 4);
        let packs = execution.limits.passes_fds && request.head.flags & TAKES_FDS != 0;
        if packs { max.max(self.options.max_large.saturating_add(REPLY)) } else { max }
    }

    /// Puts what is too long for the link into a memfd, and says how many bytes that has.
    #[inline]
    fn fit(
        &self,
        execution: &Execution<'_>,
        request: &Request<'_>,
        out: &mut Vec<u8>,
        beside: &mut Beside,
    ) -> usize {
        /// No more memory stays with what was packed.
        const KEPT: usize = 1 << 16;
        let max = execution.peer.max_frame().min(execution.limits.max_frame).max(REPLY + 4);
        if out.len() <= max {
            return 0;
        }
        let packed_len = out.len();
        let packs = execution.limits.passes_fds && request.head.flags & TAKES_FDS != 0;
        let packed = if packs { large::pack(&out[REPLY..], beside.take()).ok() } else { None };
        match packed {
            Some(packed) => {
                *beside = packed;
                out.truncate(REPLY);
                // It is used again, for replies that are not as long.
                out.shrink_to(KEPT);
                out[2] |= IN_MEMFD.to_le_bytes()[0];
                packed_len
            }
            // No memory for it, or a record that was made for a link that could carry more.
            None => {
                let detail = u32::try_from(out.len()).unwrap_or(u32::MAX);
                let (token, seq) = (request.head.token, request.head.seq);
                let status = Status::ReplyTooLarge;
                ReplyHead { status, flags: 0, detail, token, seq }.write(out);
                out.extend_from_slice(&u32::try_from(max).unwrap_or(u32::MAX).to_le_bytes());
                *beside = None;
                0
            }
        }
    }
}

/// A reply of another life of the server, for a request of this one.
fn readdress(request: &Request<'_>, out: &mut Vec<u8>) {
    let record = match crate::wire::decode(out) {
        Some(crate::wire::Frame::Reply(head, _)) => head,
        // The journal has something else: nothing is known of the call.
        _ => {
            status_frame(&request.head, Status::JournalFailed, out);
            return;
        }
    };
    let head = ReplyHead { token: request.head.token, seq: request.head.seq, ..record };
    head.overwrite(out);
}

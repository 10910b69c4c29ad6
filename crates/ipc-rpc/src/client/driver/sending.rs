//! Writing arguments, and sending them.

use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Result, Wait};
use serde::Serialize;

use super::super::session::Session;
use super::{Client, OP, Step, is_full};
use crate::marshal::{self, NotEncoded};
use crate::wire::{IN_MEMFD, REQUEST};
use crate::{CallError, Outcome, RecvFrame, SendFrame, fds, large};

/// A call without its arguments. It must not be sent, also when what writes them panics.
struct Unwritten<'a> {
    session: &'a mut Session,
    seq: u64,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.session.finish(self.seq);
        // Nor must its descriptors go with the next one.
        drop(fds::take_outgoing());
    }
}

impl<L: SendFrame + RecvFrame> Client<L> {
    /// Writes the arguments behind the head. If that fails, the call is over.
    #[inline]
    pub(super) fn marshal<A: Serialize>(&mut self, seq: u64, arguments: &A) -> Result<()> {
        let max = self.session.max_request().min(self.max_frame);
        let passes_fds = self.link.passes_fds();
        let unwritten = Unwritten { session: &mut self.session, seq };
        let cap = if passes_fds { self.options.max_large.saturating_add(REQUEST) } else { max };
        let frame = unwritten.session.frame(seq);
        let written = marshal::append(arguments, frame, cap);
        let mut beside = fds::take_outgoing();
        match written {
            Ok(()) => {}
            Err(NotEncoded::TooLong(len)) => {
                let kind = ErrorKind::MessageTooLarge { len, max: cap };
                return Err(Error::new(kind, OP).with_note(
                    "the server's HostOptions::max_frame and the link's longest message decide; larger \
                     arguments go over a link that passes descriptors (WithFds)",
                ));
            }
            Err(NotEncoded::Refused) => {
                return Err(Error::new(ErrorKind::InvalidInput, OP)
                    .with_note("the arguments cannot be written as bytes"));
            }
        }
        if frame.len() > max {
            beside = large::pack(&frame[REQUEST..], beside)?;
            frame.truncate(REQUEST);
            frame[2] |= IN_MEMFD.to_le_bytes()[0];
        }
        if beside.is_some() {
            if !passes_fds {
                return Err(Error::new(ErrorKind::Unsupported, OP)
                    .with_note("no descriptor goes over this link: ipc_rpc::WithFds does that"));
            }
            unwritten.session.set_beside(seq, beside);
        }
        std::mem::forget(unwritten);
        Ok(())
    }

    /// Sends a call for the first time.
    #[inline]
    pub(super) fn send(
        &mut self,
        seq: u64,
        deadline: Option<Instant>,
        alone: bool,
    ) -> Result<(), CallError> {
        if self.options.retry.is_some() {
            if alone || self.timer.is_none() {
                self.arm();
            }
        } else if alone {
            // Of calls that were sent again over a new link, none is left.
            self.timer = None;
        }
        let wait = deadline.map_or(Wait::Forever, Wait::Until);
        if alone {
            // Nothing is under way that the server could be blocked with: wait for room.
            let budget = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            let Some((frame, fds)) = self.session.outgoing(seq, budget) else { return Ok(()) };
            return match self.link.send_frame(frame, fds, wait) {
                Ok(()) => Ok(()),
                Err(error) => self.not_sent(error, deadline),
            };
        }
        self.send_between(seq, deadline)
    }

    /// Sends a call while others are under way, and receives between: the server may be waiting for that.
    fn send_between(&mut self, seq: u64, deadline: Option<Instant>) -> Result<(), CallError> {
        const TURN: Duration = Duration::from_millis(1);
        let mut pause = Wait::Never;
        loop {
            let budget = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            let Some((frame, fds)) = self.session.outgoing(seq, budget) else { return Ok(()) };
            match self.link.send_frame(frame, fds, pause) {
                Ok(()) => return Ok(()),
                Err(error) if is_full(&error) => {}
                Err(error) => return self.not_sent(error, deadline),
            }
            if deadline.is_some_and(|it| it <= Instant::now()) {
                let error = Error::new(ErrorKind::TimedOut, OP);
                return self.not_sent(error, deadline);
            }
            let received = self.step(Wait::Never, deadline, None)?;
            pause = if received == Step::Nothing { Wait::timeout(TURN) } else { Wait::Never };
        }
    }

    /// A call could not be sent. With a link that can be made anew it is sent by that.
    #[cold]
    fn not_sent(&mut self, error: Error, deadline: Option<Instant>) -> Result<(), CallError> {
        if error.kind() == ErrorKind::Disconnected && self.redial.is_some() {
            return self.reconnect(deadline);
        }
        // A frame that has begun to go out arrives in the end.
        let begun = error.kind() == ErrorKind::TimedOut || error.kind() == ErrorKind::WouldBlock;
        let outcome = if begun { Outcome::Unknown } else { Outcome::NotExecuted };
        Err(CallError::Transport { error, outcome })
    }

    /// Receives until there is room for a call more.
    #[cold]
    pub(super) fn until_room(&mut self, deadline: Option<Instant>) -> Result<(), CallError> {
        while !self.session.has_room() {
            if self.oldest_is_kept() {
                let error = Error::new(ErrorKind::WouldBlock, OP).with_note(
                    "as many results as the window holds have come and nobody has asked for them: finish some",
                );
                return Err(CallError::not_sent(error));
            }
            let wait = deadline.map_or(Wait::Forever, Wait::Until);
            let _ = self.step(wait, deadline, None)?;
            if !self.session.has_room() && deadline.is_some_and(|it| it <= Instant::now()) {
                return Err(CallError::not_sent(Error::new(ErrorKind::TimedOut, OP)));
            }
        }
        Ok(())
    }

    /// Whether the oldest call has its result: no room is made by receiving more.
    fn oldest_is_kept(&self) -> bool {
        self.session.finished(self.session.low()).is_some()
    }
}

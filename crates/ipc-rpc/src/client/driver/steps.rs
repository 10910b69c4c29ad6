//! Receiving, sending again, and connecting.

use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Result, Wait};

use super::super::event::Event;
use super::super::slot::WINDOW;
use super::{Client, OP, Step, Timer, is_full};
use crate::{CallError, ConnectError, Outcome, RecvFrame, SendFrame};

/// How often a call is sent again that was under way when its link broke, over a link that loses nothing.
const AFTER_REDIAL: Duration = Duration::from_millis(50);

impl<L: SendFrame + RecvFrame> Client<L> {
    /// Receives one frame, and does what it asks for. The reply to `wanted` is left in the buffer; others are
    /// kept.
    #[inline]
    pub(super) fn step(
        &mut self,
        wait: Wait,
        deadline: Option<Instant>,
        wanted: Option<u64>,
    ) -> Result<Step, CallError> {
        self.fds.clear();
        let until = match &self.timer {
            Some(timer) => earlier(wait, timer.at),
            None => wait,
        };
        let len = match self.link.recv_frame(&mut self.buf, &mut self.fds, until) {
            Ok(len) => len,
            Err(error) => return self.nothing_came(error, deadline),
        };
        if self.timer.is_some() {
            self.retry_if_due(deadline)?;
        }
        match self.session.on_frame(&self.buf[..len]) {
            Event::Reply(head, _) if wanted == Some(head.seq) => {
                self.heard();
                return Ok(Step::Answer(len));
            }
            Event::Reply(head, result) => {
                self.session.keep(head, result, std::mem::take(&mut self.fds));
                self.heard();
            }
            Event::Nothing => {}
            Event::Unknown => {
                self.open_again(deadline)?;
            }
            Event::Opened { .. } => self.send_again()?,
            Event::Refused(refusal) => return Err(CallError::Refused(refusal)),
        }
        Ok(Step::Something)
    }

    #[cold]
    fn nothing_came(&mut self, error: Error, deadline: Option<Instant>) -> Result<Step, CallError> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                self.retry_if_due(deadline)?;
                Ok(Step::Nothing)
            }
            // A datagram to a port that nobody has bound: of no more worth than one that is lost.
            ErrorKind::ConnectionRefused if self.timer.is_some() => Ok(Step::Nothing),
            ErrorKind::Disconnected if self.redial.is_some() => {
                self.reconnect(deadline)?;
                Ok(Step::Something)
            }
            _ => Err(CallError::Transport { error, outcome: Outcome::Unknown }),
        }
    }

    /// There was a reply: the link is no slower than it was.
    #[inline]
    fn heard(&mut self) {
        if let Some(timer) = &mut self.timer {
            timer.pause = self.options.retry.unwrap_or(AFTER_REDIAL);
        }
    }

    pub(super) fn arm(&mut self) {
        if let Some(pause) = self.options.retry {
            self.timer = Some(Timer { at: Instant::now() + pause, pause });
        }
    }

    fn retry_if_due(&mut self, deadline: Option<Instant>) -> Result<(), CallError> {
        let retry = self.options.retry.unwrap_or(AFTER_REDIAL);
        let Some(timer) = &mut self.timer else { return Ok(()) };
        let now = Instant::now();
        if now < timer.at {
            return Ok(());
        }
        timer.pause = (timer.pause * 2).min(retry * 16);
        timer.at = now + timer.pause;
        if self.session.is_open() { self.send_again() } else { self.open_again(deadline) }
    }

    /// Sends every call again that has no reply.
    #[cold]
    fn send_again(&mut self) -> Result<(), CallError> {
        let mut from = 0;
        while let Some(seq) = self.session.unanswered(from) {
            from = seq + 1;
            let until = self.deadlines[seq as usize % WINDOW];
            let budget = until.map(|it| it.saturating_duration_since(Instant::now()));
            let Some((frame, fds)) = self.session.outgoing(seq, budget) else { continue };
            match self.link.send_frame(frame, fds, Wait::Never) {
                Ok(()) => {}
                // The rest at the next turn.
                Err(error) if is_full(&error) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Disconnected => return Ok(()),
                Err(error) => {
                    return Err(CallError::Transport { error, outcome: Outcome::Unknown });
                }
            }
        }
        Ok(())
    }

    /// Says hello, and does not wait for the answer.
    #[cold]
    fn open_again(&mut self, deadline: Option<Instant>) -> Result<(), CallError> {
        if self.session.is_open() {
            self.session.hello(&mut self.scratch);
        }
        let wait = deadline.map_or(Wait::Forever, Wait::Until);
        match self.link.send_frame(&self.scratch, &[], wait) {
            Ok(()) => Ok(()),
            // It will be said again.
            Err(error) if self.timer.is_some() || is_full(&error) => {
                let _ = error;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Disconnected && self.redial.is_some() => {
                Ok(())
            }
            Err(error) => Err(CallError::Transport { error, outcome: Outcome::Unknown }),
        }
    }

    /// Says hello and waits for the answer.
    pub(super) fn open(&mut self, wait: Wait) -> Result<(), ConnectError> {
        const OP: &str = "connect";
        self.session.hello(&mut self.scratch);
        let send =
            |link: &mut L, hello: &[u8], retries: bool| match link.send_frame(hello, &[], wait) {
                Err(error) if retries && error.kind() == ErrorKind::ConnectionRefused => Ok(()),
                sent => sent,
            };
        send(&mut self.link, &self.scratch, self.options.retry.is_some())?;
        self.arm();
        loop {
            let until = self.timer.as_ref().map_or(wait, |timer| earlier(wait, timer.at));
            self.fds.clear();
            match self.link.recv_frame(&mut self.buf, &mut self.fds, until) {
                Ok(len) => match self.session.on_frame(&self.buf[..len]) {
                    Event::Opened { .. } => return Ok(()),
                    Event::Refused(refusal) => return Err(refusal.into()),
                    _ => {}
                },
                Err(error) if is_full(&error) => {}
                Err(error)
                    if error.kind() == ErrorKind::ConnectionRefused && self.timer.is_some() => {}
                Err(error) => return Err(error.into()),
            }
            if wait.remaining().is_some_and(|left| left.is_zero()) {
                return Err(Error::new(ErrorKind::TimedOut, OP)
                    .with_note(
                        "no server answers: ClientOptions::connect_timeout says how long to wait",
                    )
                    .into());
            }
            if let (Some(timer), Some(retry)) = (&mut self.timer, self.options.retry)
                && timer.at <= Instant::now()
            {
                timer.pause = (timer.pause * 2).min(retry * 16);
                timer.at = Instant::now() + timer.pause;
                send(&mut self.link, &self.scratch, true)?;
            }
        }
    }

    /// Makes a new link and goes on.
    #[cold]
    pub(super) fn reconnect(&mut self, deadline: Option<Instant>) -> Result<(), CallError> {
        let wait = match (deadline, self.options.connect_timeout) {
            (None, None) => Wait::Forever,
            (None, Some(timeout)) => Wait::timeout(timeout),
            (Some(deadline), None) => Wait::Until(deadline),
            (Some(deadline), Some(timeout)) => earlier(Wait::timeout(timeout), deadline),
        };
        let mut pause = Duration::from_millis(1);
        loop {
            let Some(redial) = &mut self.redial else {
                let error = Error::new(ErrorKind::Disconnected, OP);
                return Err(CallError::Transport { error, outcome: Outcome::Unknown });
            };
            let opened = match redial(wait) {
                Ok(link) => {
                    self.max_frame = link.max_frame();
                    self.session.takes_fds(link.passes_fds());
                    self.link = link;
                    self.open(wait)
                }
                Err(error) => Err(error.into()),
            };
            match opened {
                Ok(()) => {
                    // What still runs, by a request that came over the old link, answers to that one. It is
                    // asked for until its reply is saved.
                    let pause = self.options.retry.unwrap_or(AFTER_REDIAL);
                    self.timer = Some(Timer { at: Instant::now() + pause, pause });
                    return self.send_again();
                }
                Err(ConnectError::Refused(refusal)) => return Err(CallError::Refused(refusal)),
                Err(ConnectError::Transport(error)) => match error.kind() {
                    ErrorKind::WouldBlock
                    | ErrorKind::TimedOut
                    | ErrorKind::ConnectionRefused
                    | ErrorKind::NotFound
                    | ErrorKind::Disconnected => {}
                    _ => return Err(CallError::Transport { error, outcome: Outcome::Unknown }),
                },
            }
            if wait.remaining().is_some_and(|left| left.is_zero()) {
                let error = Error::new(ErrorKind::TimedOut, OP)
                    .with_note("the link broke and could not be made anew in time");
                return Err(CallError::Transport { error, outcome: Outcome::Unknown });
            }
            // The server may be about to start again.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

fn earlier(wait: Wait, at: Instant) -> Wait {
    match wait {
        Wait::Never => Wait::Never,
        Wait::Until(until) => Wait::Until(until.min(at)),
        Wait::Forever => Wait::Until(at),
    }
}

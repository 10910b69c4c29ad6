//! One end of a conversation: the `kcp` crate's state, and what we put around it. It makes no system
//! call, and is told the time.

#[cfg(test)]
mod simulation;
mod transfer;

use std::fmt;
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Result};
use kcp::Kcp;

use super::guard::{self, Expected, FRAGMENTS, SEGMENT, Segment};
use super::options::Tuning;
use super::outbox::Output;
use super::replay::Replay;
use super::siphash::Key;
use super::wire::{Datagram, HEADER, Kind, Mode};

/// So many segments of the peer's are acknowledged at once; fewer wait for the next interval, or for
/// data that goes the other way.
const ACKNOWLEDGE: u32 = 16;

/// For so long after it was last used a session is looked at in every interval, so that a call rarely
/// has to wake the thread.
const BUSY: Duration = Duration::from_millis(64);

/// How often a goodbye is said again.
const GOODBYE: Duration = Duration::from_millis(50);

/// After so many goodbyes without an answer to them the peer is left: it has everything.
const GOODBYES: u32 = 10;

/// So often an end says that it is there before the peer was ever heard of, who may be yet to start.
const INTRODUCTIONS: u32 = 3;

/// The clock of the `kcp` crate has 31 bits of milliseconds. From here on, 12 days, it begins anew as
/// soon as nothing is in flight; meanwhile no new data is taken.
const CLOCK_RESTS: u128 = 1 << 30;

/// A peer that is heard of and acknowledges nothing for so many timeouts is gone as well.
const STUCK: u32 = 10;

/// What was sent to a peer that was never heard of is given up after this.
const NEVER_FETCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// What both ends of a conversation know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreement {
    pub(super) conv: u32,
    pub(super) key: Key,
    pub(super) mode: Mode,
    /// The longest message that the peer takes.
    pub(super) peer_max: usize,
}

/// How the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Peer {
    Open,
    /// It has gone, and everything it sent has come.
    Closed,
    /// It has gone; something may be missing.
    Lost(Error),
}

/// How we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Us {
    Open,
    /// Until everything is acknowledged, or for this long at most.
    Leaving {
        until: Instant,
        goodbye: Instant,
        said: u32,
    },
    Left,
}

/// One end of a conversation.
pub(super) struct Session {
    kcp: Kcp<Output>,
    out: Output,
    agreement: Agreement,
    tuning: Tuning,
    /// When the `kcp` crate's clock began.
    start: Instant,
    replay: Replay,
    heard: Option<Instant>,
    spoke: Instant,
    used: Instant,
    introductions: u32,
    /// How many segments were ever queued.
    queued: u32,
    to_acknowledge: u32,
    /// How many segments were received since the peer was told of room.
    freed: usize,
    peer: Peer,
    us: Us,
    /// What is left of a segment that was longer than the buffer of a read.
    part: Vec<u8>,
    /// How much of it was read.
    part_read: usize,
}

impl Session {
    pub(super) fn new(agreement: Agreement, tuning: Tuning, heard: bool, now: Instant) -> Self {
        let out = Output::new(agreement, tuning.recv_window, now);
        let mut kcp = match agreement.mode {
            Mode::Stream => Kcp::new_stream(agreement.conv, out.clone()),
            Mode::Messages => Kcp::new(agreement.conv, out.clone()),
        };
        kcp.set_nodelay(tuning.nodelay, tuning.interval, tuning.resend, !tuning.congestion_window);
        kcp.set_wndsize(tuning.send_window, tuning.recv_window);
        // The sizes were checked with the options; and nothing is sent by the first update.
        let _ = kcp.set_mtu(tuning.mtu - HEADER);
        let _ = kcp.update(0);
        // Before the time of any datagram, so that the first moment is a moment to speak.
        let long_ago = now.checked_sub(tuning.keep_alive).unwrap_or(now);
        Self {
            kcp,
            out,
            agreement,
            tuning,
            start: now,
            replay: Replay::new(),
            heard: heard.then_some(now),
            spoke: long_ago,
            used: now,
            introductions: 0,
            queued: 0,
            to_acknowledge: 0,
            freed: 0,
            peer: Peer::Open,
            us: Us::Open,
            part: Vec::new(),
            part_read: 0,
        }
    }

    pub(super) const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    pub(super) const fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// The longest message that can be sent.
    pub(super) fn max_message(&self) -> usize {
        let segments = FRAGMENTS.min(self.tuning.send_queue);
        (self.kcp.mss() * segments).min(self.agreement.peer_max).min(self.tuning.max_message)
    }

    /// The `kcp` crate's time, which stays below 2³¹.
    fn clock(&mut self, now: Instant) -> u32 {
        let mut past = now.saturating_duration_since(self.start).as_millis();
        if past >= CLOCK_RESTS && self.out.lock().in_flight.is_empty() {
            self.start = now;
            past = 0;
        }
        u32::try_from(past).unwrap_or(u32::MAX).min(i32::MAX as u32 - (1 << 28))
    }

    fn update(&mut self, now: Instant) -> u32 {
        let clock = self.clock(now);
        self.out.lock().now = now;
        // The output takes everything, so that nothing fails.
        let _ = self.kcp.update(clock);
        clock
    }

    /// Sends what can be sent, acknowledgements among it.
    fn flush(&mut self, now: Instant) {
        self.update(now);
        let _ = self.kcp.flush();
        self.to_acknowledge = 0;
    }

    /// Tells the peer how much room there is, and that we live.
    fn announce(&mut self, now: Instant) {
        // A question for our window, as if the peer had asked: it changes nothing else.
        let ask = Segment {
            conv: self.agreement.conv,
            command: guard::WINDOW_ASK,
            fragment: 0,
            window: self.kcp.rmt_wnd(),
            time: 0,
            sequence: 0,
            unacknowledged: 0,
            len: 0,
        };
        let _ = self.kcp.input(&ask.encode());
        self.freed = 0;
        self.flush(now);
    }

    /// Sends a datagram that is not KCP's.
    pub(super) fn say(&mut self, kind: Kind) {
        self.out.lock().put(kind, &[]);
    }

    /// Takes the datagrams that are to be sent.
    pub(super) fn drain(&mut self, now: Instant, mut send: impl FnMut(&[u8])) {
        let mut out = self.out.lock();
        let mut ready = std::mem::take(&mut out.ready);
        if ready.is_empty() {
            return;
        }
        for datagram in &ready {
            send(datagram);
        }
        self.spoke = now;
        out.spare.append(&mut ready);
        // An empty vector with its capacity.
        out.ready = ready;
    }

    /// Takes a datagram; `false` for one that is not the peer's, or came before.
    pub(super) fn input(&mut self, datagram: Datagram<'_>, now: Instant) -> bool {
        let (number, kind) = (datagram.number, datagram.kind);
        let Some(payload) = datagram.open(self.agreement.key) else { return false };
        if !self.replay.first(number) {
            return false;
        }
        self.heard = Some(now);
        match kind {
            Kind::Segments => self.input_segments(payload, now),
            Kind::Close | Kind::Reset => {
                if self.peer == Peer::Open {
                    self.peer = match kind {
                        Kind::Close => Peer::Closed,
                        _ => Peer::Lost(gone("the peer went before all it sent had come")),
                    };
                }
                if self.us != Us::Open {
                    self.us = Us::Left;
                }
                self.say(Kind::Closed);
            }
            Kind::Closed if self.us != Us::Open => self.us = Us::Left,
            _ => {}
        }
        true
    }

    fn input_segments(&mut self, payload: &mut [u8], now: Instant) {
        let clock = self.update(now);
        let expected = Expected {
            conv: self.agreement.conv,
            mode: self.agreement.mode,
            longest: self.tuning.mtu.max(LEAST_TAKEN) as u32,
            next: self.out.lock().next,
            now: clock,
        };
        if self.peer != Peer::Open || !guard::admit(payload, &expected) {
            return;
        }
        self.used = now;
        let unsent = self.unsent();
        let before = self.kcp.wait_snd();
        let mut out = self.out.lock();
        for segment in guard::segments(payload) {
            out.acknowledged(&segment);
            self.to_acknowledge += u32::from(segment.is_data());
        }
        drop(out);
        if self.kcp.input(payload).is_err() {
            self.peer = Peer::Lost(corrupted());
        }
        let more_room = self.kcp.wait_snd() < before || self.kcp.rmt_wnd() > 0;
        if self.to_acknowledge >= ACKNOWLEDGE || (unsent && more_room) {
            self.flush(now);
        }
    }

    /// Whether segments are queued that were never sent.
    fn unsent(&self) -> bool {
        self.out.lock().next < self.queued
    }

    /// Does what the time asks for.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.us == Us::Left {
            return;
        }
        if self.peer != Peer::Open {
            if self.us != Us::Open {
                self.us = Us::Left;
            }
            return;
        }
        let oldest = self.out.lock().in_flight.front().map(|(_, sent)| *sent);
        let patience = self.heard.map_or(NEVER_FETCHED, |_| self.tuning.timeout * STUCK);
        if self
            .heard
            .is_some_and(|heard| now.saturating_duration_since(heard) >= self.tuning.timeout)
        {
            self.lose(gone("nothing was heard of the peer for as long as the timeout says"));
            return;
        }
        if oldest.is_some_and(|sent| now.saturating_duration_since(sent) >= patience) {
            self.lose(gone("the peer does not acknowledge what it is sent"));
            return;
        }
        if let Us::Leaving { until, goodbye, said } = self.us {
            let acknowledged = self.kcp.wait_snd() == 0;
            if acknowledged && said >= GOODBYES && now >= goodbye {
                self.us = Us::Left;
                return;
            }
            if now >= until {
                self.say(if acknowledged { Kind::Close } else { Kind::Reset });
                self.us = Us::Left;
                return;
            }
            if acknowledged && now >= goodbye {
                self.say(Kind::Close);
                self.us = Us::Leaving { until, goodbye: now + GOODBYE, said: said + 1 };
            }
        }
        let clock = self.update(now);
        if self.kcp.check(clock) == 0 || now.saturating_duration_since(self.used) >= self.interval()
        {
            self.flush(now);
        }
        if now >= self.spoke + self.tuning.keep_alive && self.introduces() {
            self.introductions = self.introductions.saturating_add(1);
            self.announce(now);
            self.spoke = now;
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.tuning.interval).unwrap_or(10))
    }

    /// Whether it says that it is there: always, to a peer that was heard of.
    fn introduces(&self) -> bool {
        self.heard.is_some() || self.introductions < INTRODUCTIONS
    }

    /// When [`tick`](Self::tick) is due.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        if self.us == Us::Left || self.peer != Peer::Open {
            return (self.us != Us::Left && self.us != Us::Open).then_some(now);
        }
        let busy = self.kcp.wait_snd() > 0
            || self.to_acknowledge > 0
            || now.saturating_duration_since(self.used) < BUSY;
        let past = now.saturating_duration_since(self.start).as_millis();
        let clock = u32::try_from(past).unwrap_or(u32::MAX).min(i32::MAX as u32 - (1 << 28));
        let wait = u64::from(self.kcp.check(clock).max(1));
        let moments = [
            busy.then(|| now + Duration::from_millis(wait)),
            self.introduces().then(|| self.spoke + self.tuning.keep_alive),
            self.heard.map(|heard| heard + self.tuning.timeout),
            match self.us {
                Us::Leaving { until, goodbye, .. } if self.kcp.wait_snd() == 0 => {
                    Some(until.min(goodbye))
                }
                Us::Leaving { until, .. } => Some(until),
                _ => None,
            },
        ];
        moments.into_iter().flatten().min()
    }

    /// The peer cannot be reached: nobody has its port.
    pub(super) fn refused(&mut self) {
        if self.us != Us::Open {
            self.us = Us::Left;
        }
        if self.heard.is_none() {
            self.lose(gone("nobody holds the other end"));
        }
    }

    fn lose(&mut self, error: Error) {
        if self.peer == Peer::Open {
            self.peer = Peer::Lost(error);
        }
        if self.us != Us::Open {
            self.us = Us::Left;
        }
    }

    /// The thread that drove this has ended.
    pub(super) fn abandon(&mut self) {
        self.lose(
            Error::new(ErrorKind::Other, "kcp").with_note("the thread of the socket has died"),
        );
    }

    /// Says goodbye, once everything is acknowledged, or after `linger`.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.us != Us::Open {
            return;
        }
        if self.peer != Peer::Open {
            // Again, in case that the first answer was lost.
            self.say(Kind::Closed);
            self.us = Us::Left;
            return;
        }
        let until = now + self.tuning.linger.unwrap_or(self.tuning.timeout);
        if self.kcp.wait_snd() > 0 {
            self.us = Us::Leaving { until, goodbye: now, said: 0 };
            self.flush(now);
            return;
        }
        // Without acknowledgements: a sender that waits for room must not find any now.
        self.say(Kind::Close);
        self.us = match self.heard {
            Some(_) => Us::Leaving { until, goodbye: now + GOODBYE, said: 1 },
            // The peer is yet to start: it finds the goodbye when it does.
            None => Us::Left,
        };
    }

    pub(super) fn has_left(&self) -> bool {
        self.us == Us::Left
    }

    /// How many segments are not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.kcp.wait_snd()
    }

    /// Whether a peer that has no room for more, or is yet to start, has taken nothing since so many
    /// segments were not acknowledged.
    pub(super) fn is_stalled(&self, before: usize) -> bool {
        let closed = self.heard.is_none() || self.kcp.rmt_wnd() == 0;
        closed && self.us != Us::Left && self.kcp.wait_snd() > 0 && self.kcp.wait_snd() >= before
    }

    /// Whether everything was acknowledged.
    pub(super) fn acknowledged(&self) -> Result<Option<()>> {
        if self.kcp.wait_snd() == 0 {
            return Ok(Some(()));
        }
        self.check_peer("wait_acknowledged").map(|()| None)
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self.peer, Peer::Lost(_))
    }

    /// Whether a receive would return something.
    pub(super) fn readable(&self) -> bool {
        self.part_read < self.part.len() || self.peer != Peer::Open || self.kcp.peeksize().is_ok()
    }

    /// Whether a send may find room.
    pub(super) fn writable(&self) -> bool {
        self.peer != Peer::Open || self.room() > 0
    }

    /// For how many segments there is room.
    fn room(&self) -> usize {
        let past = self.out.lock().now.saturating_duration_since(self.start).as_millis();
        if past >= CLOCK_RESTS {
            return 0;
        }
        self.tuning.send_queue.saturating_sub(self.kcp.wait_snd())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("conv", &self.agreement.conv)
            .field("peer", &self.peer)
            .field("us", &self.us)
            .finish_non_exhaustive()
    }
}

fn gone(note: &'static str) -> Error {
    Error::new(ErrorKind::Disconnected, "kcp").with_note(note)
}

fn corrupted() -> Error {
    Error::new(ErrorKind::Corrupted, "recv")
        .with_note("the peer sent a message longer than SocketOptions::max_message")
}

/// Segments up to this are taken, whatever the `mtu`: those of a peer with the default.
const LEAST_TAKEN: usize = 1500;

/// The least `mtu`: the headers, and room for something.
pub(super) const LEAST_MTU: usize = HEADER + SEGMENT + 32;

//! What a session has to send, and what that says of the `kcp` crate's state.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::guard::{self, Segment};
use super::session::Agreement;
use super::wire::{self, Kind};

/// Where the `kcp` crate puts its datagrams, and what they say of its state, which it does not show.
pub(super) struct Outbox {
    agreement: Agreement,
    /// Of the next datagram.
    number: u64,
    pub(super) ready: Vec<Vec<u8>>,
    pub(super) spare: Vec<Vec<u8>>,
    /// The sequence number that is sent next.
    pub(super) next: u32,
    /// What was sent and not acknowledged, in order, and when it was sent first.
    pub(super) in_flight: VecDeque<(u32, Instant)>,
    /// The window that the peer was told of last.
    pub(super) window: u16,
    pub(super) now: Instant,
}

impl Outbox {
    /// Finishes a datagram.
    pub(super) fn put(&mut self, kind: Kind, payload: &[u8]) {
        let mut datagram = self.spare.pop().unwrap_or_default();
        wire::begin(&mut datagram, self.agreement.conv, self.number, kind);
        datagram.extend_from_slice(payload);
        wire::seal(&mut datagram, self.agreement.key);
        self.number += 1;
        self.ready.push(datagram);
    }

    pub(super) fn acknowledged(&mut self, segment: &Segment) {
        while self.in_flight.front().is_some_and(|(sn, _)| *sn < segment.unacknowledged) {
            self.in_flight.pop_front();
        }
        let acknowledged = segment
            .acknowledged()
            .and_then(|it| self.in_flight.binary_search_by_key(&it, |(sn, _)| *sn).ok());
        if let Some(at) = acknowledged {
            self.in_flight.remove(at);
        }
    }
}

/// What the `kcp` crate writes to.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Outbox>>);

impl Output {
    /// `window` is what the peer takes for granted at first.
    pub(super) fn new(agreement: Agreement, window: u16, now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Outbox {
            agreement,
            number: 0,
            ready: Vec::new(),
            spare: Vec::new(),
            next: 0,
            in_flight: VecDeque::new(),
            window,
            now,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut out = self.lock();
        for segment in guard::segments(buf) {
            out.window = segment.window;
            if segment.is_data() && segment.sequence >= out.next {
                out.next = segment.sequence + 1;
                let now = out.now;
                out.in_flight.push_back((segment.sequence, now));
            }
        }
        out.put(Kind::Segments, buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

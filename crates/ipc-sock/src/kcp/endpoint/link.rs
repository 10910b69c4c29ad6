//! A session with its lock.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::super::bell::Bell;
use super::super::session::Session;

/// A session, and those who wait for it.
#[derive(Debug)]
pub(in crate::kcp) struct Link {
    /// Where the peer is, on a socket that is not connected to it.
    pub(in crate::kcp) to: Option<SocketAddr>,
    state: Mutex<State>,
    pub(in crate::kcp) readable: Condvar,
    pub(in crate::kcp) writable: Condvar,
    pub(in crate::kcp) bell: Bell,
}

#[derive(Debug)]
pub(in crate::kcp) struct State {
    pub(in crate::kcp) session: Session,
    pub(in crate::kcp) readers: usize,
    pub(in crate::kcp) writers: usize,
    /// Whether somebody wants to hear that the session has ended.
    pub(in crate::kcp) lingers: bool,
    /// The user's value has gone, and the goodbye goes on without it.
    pub(in crate::kcp) orphaned: bool,
    /// Nobody holds it any more: it only answers a repeated goodbye, until then.
    pub(in crate::kcp) forgotten: Option<Instant>,
}

impl State {
    /// Keeps the session for a while, to answer a goodbye that is said again.
    pub(in crate::kcp) fn forget(&mut self) {
        self.forgotten = Some(Instant::now() + self.session.tuning().timeout);
    }
}

impl Link {
    pub(in crate::kcp) fn new(to: Option<SocketAddr>, session: Session) -> Self {
        let state = State {
            session,
            readers: 0,
            writers: 0,
            lingers: false,
            orphaned: false,
            forgotten: None,
        };
        let (readable, writable) = (Condvar::new(), Condvar::new());
        Self { to, state: Mutex::new(state), readable, writable, bell: Bell::default() }
    }

    /// Where the peer is, on a socket that many share.
    pub(in crate::kcp) const fn peer_address(&self) -> Option<SocketAddr> {
        self.to
    }

    pub(in crate::kcp) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever polls. To be called after everything that may have changed.
    pub(in crate::kcp) fn show(&self, state: &State) {
        self.bell.show(|| state.session.readable());
    }

    /// Wakes whoever can go on.
    pub(in crate::kcp) fn notify(&self, state: &State) {
        self.show(state);
        if state.readers > 0 && state.session.readable() {
            self.readable.notify_all();
        }
        if (state.writers > 0 && state.session.writable())
            || (state.lingers && state.session.has_left())
        {
            self.writable.notify_all();
        }
    }
}

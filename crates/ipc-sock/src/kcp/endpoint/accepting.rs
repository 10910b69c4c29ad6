//! Conversations that have arrived and that nobody has accepted yet.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

use ipc_core::{Error, ErrorKind, Result, Wait};

use super::super::wire::Kind;
use super::{Endpoint, Link, Table, sleep};

impl Table {
    /// Whether accepting does not block.
    fn is_ready(&self) -> bool {
        self.dead || !self.waiting.is_empty()
    }
}

impl Endpoint {
    /// Adds the value that accepts.
    pub(in crate::kcp) fn add_listener(&self) {
        self.table().handles += 1;
    }

    /// Nobody accepts any more: those that wait are told.
    pub(in crate::kcp) fn stop_listening(&self) {
        if self.is_forked() {
            return;
        }
        let waiting = {
            let mut table = self.table();
            table.doorman = None;
            std::mem::take(&mut table.waiting)
        };
        for link in waiting {
            self.turn_away(&link);
        }
        if let Some(thread) = self.release() {
            self.wake();
            let _ = thread.join();
        }
    }

    /// Says to a peer that was never accepted that nobody will.
    fn turn_away(&self, link: &Link) {
        let now = Instant::now();
        let mut state = link.lock();
        state.session.say(Kind::Reset);
        self.send(link, &mut state, now);
        state.forgotten = Some(now);
    }

    /// The oldest conversation that waits, as soon as there is one.
    pub(in crate::kcp) fn accept(&self, wait: Wait) -> Result<Arc<Link>> {
        let mut table = self.table();
        loop {
            if let Some(link) = table.waiting.pop_front() {
                table.handles += 1;
                self.show(&table);
                return Ok(link);
            }
            if table.dead {
                return Err(Error::new(ErrorKind::Disconnected, "accept")
                    .with_note("the thread of this socket has panicked"));
            }
            table.acceptors += 1;
            let waited = sleep(&self.arrived, table, wait, "accept");
            table = waited.0;
            table.acceptors -= 1;
            waited.1?;
        }
    }

    /// A descriptor that is readable while a conversation waits to be accepted.
    pub(in crate::kcp) fn readiness(&self) -> Result<BorrowedFd<'_>> {
        let table = self.table();
        self.bell.descriptor(|| table.is_ready())
    }

    pub(super) fn show(&self, table: &Table) {
        self.bell.show(|| table.is_ready());
    }
}

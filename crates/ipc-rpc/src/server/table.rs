//! The clients that a server remembers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_core::Result;

use super::memory::Memory;
use crate::{ClientId, id};

/// One client, which all its connections share.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) client: ClientId,
    pub(crate) token: u64,
    /// The longest frame that it receives.
    max_frame: AtomicU32,
    memory: Mutex<Memory>,
}

impl Peer {
    #[inline]
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics with the lock held; if it did, what is remembered is whole at every step.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(crate) fn max_frame(&self) -> usize {
        self.max_frame.load(Ordering::Relaxed) as usize
    }
}

/// How much is remembered, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) clients: usize,
    pub(crate) window: u16,
    pub(crate) bytes: usize,
    pub(crate) lease: Duration,
}

/// All clients, by token and by id.
#[derive(Debug)]
pub(crate) struct Table {
    bounds: Bounds,
    peers: HashMap<u64, Entry>,
    tokens: HashMap<ClientId, u64>,
}

#[derive(Debug)]
struct Entry {
    peer: Arc<Peer>,
    /// How much it had done when it was last looked at, and since when no more.
    activity: u64,
    idle_since: Instant,
}

impl Table {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, peers: HashMap::new(), tokens: HashMap::new() }
    }

    pub(crate) fn find(&self, token: u64) -> Option<&Arc<Peer>> {
        self.peers.get(&token).map(|it| &it.peer)
    }

    /// A client has said hello: it is remembered from now on, or still. `None` when there is no room.
    pub(crate) fn enter(
        &mut self,
        client: ClientId,
        low: u64,
        max_frame: u32,
        now: Instant,
    ) -> Result<Option<Arc<Peer>>> {
        if let Some(entry) = self.tokens.get(&client).and_then(|token| self.peers.get(token)) {
            entry.peer.max_frame.store(max_frame, Ordering::Relaxed);
            entry.peer.memory().advance(low);
            return Ok(Some(Arc::clone(&entry.peer)));
        }
        if self.peers.len() >= self.bounds.clients {
            self.expire(now);
            if self.peers.len() >= self.bounds.clients {
                return Ok(None);
            }
        }
        let token = id::random()?;
        let memory = Memory::new(low, self.bounds.window, self.bounds.bytes);
        let peer = Arc::new(Peer {
            client,
            token,
            max_frame: AtomicU32::new(max_frame),
            memory: Mutex::new(memory),
        });
        let entry = Entry { peer: Arc::clone(&peer), activity: 0, idle_since: now };
        self.peers.insert(token, entry);
        self.tokens.insert(client, token);
        Ok(Some(peer))
    }

    /// Forgets who has done nothing for the time of a lease. A request of theirs is answered with
    /// [`UnknownClient`](crate::Status::UnknownClient) from then on, and never executed.
    fn expire(&mut self, now: Instant) {
        let lease = self.bounds.lease;
        self.peers.retain(|_, entry| {
            let activity = entry.peer.memory().activity;
            if entry.activity != activity {
                (entry.activity, entry.idle_since) = (activity, now);
            }
            now.saturating_duration_since(entry.idle_since) < lease
        });
        let peers = &self.peers;
        self.tokens.retain(|_, token| peers.contains_key(token));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { clients: 2, window: 4, bytes: 100, lease: Duration::from_secs(10) };

    fn client(number: u64) -> ClientId {
        ClientId::new(number).expect("not 0")
    }

    #[test]
    fn a_client_that_comes_back_is_remembered() -> Result<()> {
        let (mut table, now) = (Table::new(BOUNDS), Instant::now());
        let first = table.enter(client(1), 1, 100, now)?.expect("room");
        let again = table.enter(client(1), 3, 200, now)?.expect("room");
        assert_eq!(first.token, again.token);
        assert_eq!(first.max_frame(), 200);
        Ok(())
    }

    #[test]
    fn only_who_is_idle_for_a_lease_is_forgotten() -> Result<()> {
        let (mut table, start) = (Table::new(BOUNDS), Instant::now());
        let idle = table.enter(client(1), 1, 100, start)?.expect("room").token;
        let busy = table.enter(client(2), 1, 100, start)?.expect("room");
        busy.memory().advance(2);
        assert!(table.enter(client(3), 1, 100, start)?.is_none(), "both are within their lease");
        busy.memory().advance(3);
        let later = start + BOUNDS.lease;
        assert!(table.enter(client(3), 1, 100, later)?.is_some());
        assert!(table.find(idle).is_none() && table.find(busy.token).is_some());
        Ok(())
    }
}

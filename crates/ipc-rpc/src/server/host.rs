//! A service with what it remembers.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ipc_core::Result;

use super::connection::Connection;
use super::table::{Peer, Table};
use crate::wire::{Hello, PROTOCOL, Refused, Welcome};
use crate::{HostOptions, Journal, Serve, id};

/// A service, the clients that it knows, and what it remembers of their calls. All connections of a server share
/// one, so that a client that connects again is recognised.
///
/// [`serve`](crate::serve) serves one connection in the calling thread, [`Pool`](crate::Pool) many in many.
/// Without either, [`handle`](Self::handle) takes a frame and gives the answer, for an event loop of your own.
///
/// # Examples
///
/// See [`service!`](crate::service).
pub struct Host<S> {
    pub(crate) service: S,
    pub(crate) options: HostOptions,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    epoch: u64,
    table: Mutex<Table>,
    connections: AtomicU64,
}

impl<S: Serve> Host<S> {
    /// A host of this service, in a life of its own: who was known to another one is not known to it.
    ///
    /// # Errors
    ///
    /// Those of [`ClientId::random`](crate::ClientId::random).
    pub fn new(service: S, options: &HostOptions) -> Result<Self> {
        Ok(Self {
            service,
            options: *options,
            journal: None,
            epoch: id::random()?,
            table: Mutex::new(Table::new(options.bounds())),
            connections: AtomicU64::new(1),
        })
    }

    /// Records exactly-once calls in this journal. Without one they are refused.
    #[must_use]
    pub fn with_journal(mut self, journal: impl Journal + 'static) -> Self {
        self.journal = Some(Arc::new(journal));
        self
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &S {
        &self.service
    }

    /// Which life of the server this is.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A new connection, over which frames will come.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection::new(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics with the lock held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client with this token.
    #[inline]
    pub(crate) fn peer<'c>(
        &self,
        current: &'c mut Option<Arc<Peer>>,
        token: u64,
    ) -> Option<&'c Arc<Peer>> {
        if current.as_ref().is_none_or(|it| it.token != token) {
            *current = Some(Arc::clone(self.table().find(token)?));
        }
        current.as_ref()
    }

    /// Lets a client in or does not, and writes the answer.
    #[cold]
    pub(crate) fn greet(
        &self,
        hello: &Hello<'_>,
        current: &mut Option<Arc<Peer>>,
        out: &mut Vec<u8>,
    ) {
        let service = S::SERVICE;
        let (client, nonce) = (hello.client, hello.nonce);
        let reason = if hello.protocol != PROTOCOL {
            Some(0)
        } else if hello.name != service.name {
            Some(1)
        } else if hello.version != service.version {
            Some(2)
        } else if hello.signature != service.signature {
            Some(3)
        } else {
            None
        };
        let entered = match reason {
            Some(reason) => Err(reason),
            // No random numbers: as good as no room.
            None => self
                .table()
                .enter(client, hello.low, hello.max_frame, Instant::now())
                .ok()
                .flatten()
                .ok_or(4),
        };
        out.clear();
        match entered {
            Ok(peer) => {
                let (window, max_frame) = (self.options.window, self.options.max_frame);
                let (epoch, token) = (self.epoch, peer.token);
                let welcome = Welcome { window, max_frame, epoch, token, client, nonce };
                out.extend_from_slice(&welcome.encode());
                *current = Some(peer);
            }
            Err(reason) => {
                let (version, signature) = (service.version, service.signature);
                let refused = Refused { reason, version, signature, client, nonce };
                out.extend_from_slice(&refused.encode());
            }
        }
    }
}

impl<S> fmt::Debug for Host<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("epoch", &self.epoch)
            .field("options", &self.options)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

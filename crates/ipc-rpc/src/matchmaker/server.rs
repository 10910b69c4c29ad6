//! The matchmaker's process.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipc_core::Result;
use ipc_process::Process;
use ipc_sock::unix::{Listener, Seqpacket, SocketOptions};

use super::registry::{Entry, Registry};
use super::{Address, Matchmaking, MatchmakingServer, Refused};
use crate::server::{Acceptor, TURN, serve_connection};
use crate::{Call, Host, HostOptions, WithFds};

/// The register of services, at a socket path.
///
/// # Examples
///
/// See the [module's documentation](super).
#[derive(Debug)]
pub struct Matchmaker {
    listener: Listener<Seqpacket>,
    host: Host<MatchmakingServer<Book>>,
    stopped: AtomicBool,
    connections: AtomicUsize,
}

/// The register, and whose connections they are.
#[derive(Debug)]
struct Book {
    registry: Mutex<Registry>,
    processes: Mutex<HashMap<u64, Process>>,
}

impl Matchmaker {
    /// How many services are registered at most.
    pub const MAX_ENTRIES: usize = 4096;

    /// How many servers and clients are connected at most; others wait.
    pub const MAX_CONNECTIONS: usize = 256;

    /// A matchmaker at this path, which only processes of this user reach.
    ///
    /// # Errors
    ///
    /// Those of [`SocketOptions::listen_seqpacket`]: [`ErrorKind::AlreadyExists`](ipc_core::ErrorKind::AlreadyExists) when there is one already.
    pub fn listen(path: impl AsRef<Path>) -> Result<Self> {
        let listener = SocketOptions::new().listen_seqpacket(path.as_ref())?;
        let registry = Mutex::new(Registry::new(Self::MAX_ENTRIES));
        let book = Book { registry, processes: Mutex::new(HashMap::new()) };
        let host = Host::new(MatchmakingServer(book), &HostOptions::new())?;
        let (stopped, connections) = (AtomicBool::new(false), AtomicUsize::new(0));
        Ok(Self { listener, host, stopped, connections })
    }

    /// Serves until it is [stopped](Self::stop).
    ///
    /// # Errors
    ///
    /// What the listener says, other than that descriptors have run out.
    pub fn run(&self) -> Result<()> {
        let acceptor = Acceptor {
            name: "matchmaker",
            stopped: &self.stopped,
            connections: &self.connections,
            most: Self::MAX_CONNECTIONS,
        };
        acceptor.run(&self.listener, |link| Ok(move || self.serve(link)))
    }

    /// Lets [`run`](Self::run) return soon.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Serves one connection; what was registered by it goes with it.
    fn serve(&self, link: Seqpacket) {
        let book = &self.host.service().0;
        let connection = self.host.connection();
        let id = connection.id();
        // A kernel without it: the end of the connection tells, and the lease.
        if let Some(process) = link.peer_pidfd().ok().and_then(|fd| Process::try_from(fd).ok()) {
            book.processes().insert(id, process);
        }
        let link = WithFds::new(link);
        // What ends one connection is no concern of the others.
        let _ = serve_connection(link, &self.host, connection, Some(TURN), || !self.is_stopped());
        book.gone(id);
    }
}

impl Book {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn processes(&self) -> MutexGuard<'_, HashMap<u64, Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self, connection: u64) {
        self.processes().remove(&connection);
        self.registry().gone(connection);
    }

    /// Whether the process at the other end has died, although a copy of its end may be open in another one.
    fn is_dead(&self, connection: u64) -> bool {
        self.processes().get(&connection).is_some_and(|it| !it.is_alive().unwrap_or(true))
    }

    /// Where a service is whose process lives.
    fn find_alive(&self, name: &str, version: u32) -> Result<Address, Refused> {
        let (address, connection) = self.registry().find(name, version, Instant::now())?;
        if self.is_dead(connection) {
            self.gone(connection);
            return Err(Refused::NotFound);
        }
        Ok(address)
    }
}

impl Matchmaking for Book {
    fn register(
        &self,
        call: &Call<'_>,
        name: &str,
        version: u32,
        address: Address,
        lease_ms: u64,
    ) -> Result<u64, Refused> {
        // Somebody who is dead keeps no name.
        let _ = self.find_alive(name, version);
        let entry = Entry { name: name.to_owned(), version, address };
        let length = Duration::from_millis(lease_ms);
        self.registry().register(entry, call.connection(), length, Instant::now())
    }

    fn renew(&self, call: &Call<'_>, lease: u64) -> Result<(), Refused> {
        self.registry().renew(lease, call.connection(), Instant::now())
    }

    fn withdraw(&self, call: &Call<'_>, lease: u64) -> Result<(), Refused> {
        self.registry().withdraw(lease, call.connection())
    }

    fn find(&self, _: &Call<'_>, name: &str, version: u32) -> Result<Address, Refused> {
        self.find_alive(name, version)
    }

    fn list(&self, _: &Call<'_>) -> Vec<Entry> {
        let list = self.registry().list(Instant::now());
        list.into_iter().filter(|it| self.find_alive(&it.name, it.version).is_ok()).collect()
    }
}

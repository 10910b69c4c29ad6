//! How much a server takes and remembers.

use std::time::Duration;

use super::table::Bounds;

/// How much a server takes and remembers.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_rpc::HostOptions;
///
/// let options = HostOptions::new().max_clients(10_000).lease(Duration::from_secs(10));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until a host is made with them"]
pub struct HostOptions {
    pub(crate) max_frame: u32,
    pub(crate) max_large: usize,
    pub(crate) window: u16,
    pub(crate) max_clients: usize,
    pub(crate) lease: Duration,
    pub(crate) saved_bytes: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl HostOptions {
    /// Frames of 64 KiB, 64 calls of each client under way, 1024 clients that are remembered for a minute at least.
    pub const fn new() -> Self {
        Self {
            max_frame: 1 << 16,
            max_large: 1 << 26,
            window: 64,
            max_clients: 1024,
            lease: Duration::from_secs(60),
            saved_bytes: 1 << 20,
        }
    }

    /// The longest request in bytes, with its head of 32: 64 KiB unless it is set. So much memory is allocated
    /// for each connection, and no more on a client's word.
    pub const fn max_frame(mut self, bytes: u32) -> Self {
        // A `Hello` with the longest name must fit.
        self.max_frame = if bytes < 512 { 512 } else { bytes };
        self
    }

    /// The most bytes of arguments that come in a memfd, and of a result that goes in one: 64 MiB unless it is
    /// set.
    pub const fn max_large(mut self, bytes: usize) -> Self {
        self.max_large = bytes;
        self
    }

    /// How many calls one client may have under way: 64 unless it is set, and 1 at least. So many replies are
    /// remembered for it.
    pub const fn window(mut self, calls: u16) -> Self {
        self.window = if calls == 0 { 1 } else { calls };
        self
    }

    /// How many clients are remembered. One more is refused, unless one of them has been silent for a
    /// [lease](Self::lease).
    pub const fn max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients;
        self
    }

    /// How long a silent client is remembered at least. A client that was forgotten and asks again for what it had
    /// called is told [`OutcomeUnknown`](crate::CallError::OutcomeUnknown).
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How many bytes of replies are saved for one client: 1 MiB unless it is set; a descriptor counts for 64 KiB.
    /// The oldest go first; who asks for one of them again is told [`Stale`](crate::Status::Stale), and nothing is
    /// executed.
    pub const fn saved_bytes(mut self, bytes: usize) -> Self {
        self.saved_bytes = bytes;
        self
    }

    pub(crate) const fn bounds(&self) -> Bounds {
        Bounds {
            clients: self.max_clients,
            window: self.window,
            bytes: self.saved_bytes,
            lease: self.lease,
        }
    }
}

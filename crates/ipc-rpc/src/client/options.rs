//! How a client makes its calls.

use std::time::Duration;

use crate::ClientId;

/// How a client connects, sends again, and how much it takes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use ipc_rpc::ClientOptions;
///
/// // Over UDP, which loses datagrams.
/// let options = ClientOptions::new().retry(Duration::from_millis(50)).max_frame(1200);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until a client connects with them"]
pub struct ClientOptions {
    pub(crate) retry: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) max_frame: u32,
    pub(crate) max_large: usize,
    pub(crate) identity: Option<(ClientId, u64)>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientOptions {
    /// For a link that loses nothing: what was sent once is not sent again as long as the link holds.
    pub const fn new() -> Self {
        Self {
            retry: None,
            connect_timeout: None,
            max_frame: 1 << 16,
            max_large: 1 << 26,
            identity: None,
        }
    }

    /// For a link that loses messages, such as UDP: what has no reply after this time is sent again, and after
    /// each silence as long again later, up to 16 times as long. Without it, a lost message is waited for until
    /// the call's deadline. It is 100 µs at least, and a day at most.
    pub const fn retry(mut self, after: Duration) -> Self {
        const SHORTEST: Duration = Duration::from_micros(100);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        self.retry = Some(if after.as_nanos() < SHORTEST.as_nanos() {
            SHORTEST
        } else if after.as_secs() > DAY.as_secs() {
            DAY
        } else {
            after
        });
        self
    }

    /// How long connecting may take, also again; for ever unless it is set.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The longest reply in bytes, with its head of 24: 64 KiB unless it is set, and 40 at least. So much
    /// memory is allocated for it.
    pub const fn max_frame(mut self, bytes: u32) -> Self {
        self.max_frame = if bytes < 40 { 40 } else { bytes };
        self
    }

    /// The longest result in bytes that comes in a memfd: 64 MiB unless it is set.
    pub const fn max_large(mut self, bytes: usize) -> Self {
        self.max_large = bytes;
        self
    }

    /// Goes on as a client that was there before, from the first call that it had not finished
    /// ([`Client::low`](crate::Client::low)). For exactly-once calls that outlive their client: store both before
    /// a call is made, and make the same calls again in the same order.
    pub const fn resume(mut self, id: ClientId, first: u64) -> Self {
        self.identity = Some((id, first));
        self
    }
}

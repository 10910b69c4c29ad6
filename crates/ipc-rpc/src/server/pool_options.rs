//! How much a pool takes.

use std::time::Duration;

/// What a pool does with a call that its queue has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFull {
    /// Lets it wait, and receives nothing more over that connection: the link fills up, and the client waits.
    #[default]
    Wait,
    /// Refuses it, as [`Busy`](crate::Status::Busy): it is not executed. An exactly-once call waits all the same.
    Refuse,
}

/// How many threads a pool has, and how much waits for them.
///
/// # Examples
///
/// See [`Pool`](crate::Pool).
#[derive(Debug, Clone, Copy)]
#[must_use = "options do nothing until a pool is made with them"]
pub struct PoolOptions {
    pub(super) workers: usize,
    pub(super) queue: usize,
    pub(super) on_full: OnFull,
    pub(super) reply_timeout: Duration,
    pub(super) connections: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl PoolOptions {
    /// Four workers and a queue of 64 calls, which lets clients wait when it is full, and 256 connections.
    pub const fn new() -> Self {
        Self {
            workers: 4,
            queue: 64,
            on_full: OnFull::Wait,
            reply_timeout: Duration::from_secs(5),
            connections: 256,
        }
    }

    /// How many calls are executed at a time.
    pub const fn workers(mut self, threads: usize) -> Self {
        self.workers = threads;
        self
    }

    /// How many calls wait for a worker.
    pub const fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// What happens to one more.
    pub const fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    /// How long a client may take no reply at all while there are some for it; then its connection is given up. No
    /// worker waits for it: the replies are kept, and nothing is received by that connection meanwhile.
    pub const fn reply_timeout(mut self, timeout: Duration) -> Self {
        self.reply_timeout = timeout;
        self
    }

    /// How many connections [`Pool::listen`](crate::Pool::listen) serves at a time; others wait to be accepted. Each
    /// has a thread, and memory for one frame.
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }
}

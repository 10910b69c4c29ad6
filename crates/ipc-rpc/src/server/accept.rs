//! Accepting connections, each for a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ipc_core::{ErrorKind, Listen, Result, Wait};

/// How often a thread that waits looks whether it is to end.
pub(crate) const TURN: Duration = Duration::from_millis(50);

/// Who accepts, and what for.
#[derive(Debug)]
pub(crate) struct Acceptor<'a> {
    /// The name of the threads.
    pub(crate) name: &'static str,
    /// Whether it is over; a listener that fails ends it too.
    pub(crate) stopped: &'a AtomicBool,
    /// How many connections there are, of all who accept for this server.
    pub(crate) connections: &'a AtomicUsize,
    /// How many there may be. Others wait in the listener.
    pub(crate) most: usize,
}

impl Acceptor<'_> {
    /// Accepts until it is stopped, and runs what `prepare` makes of each connection in a thread of its own. What
    /// ends one connection, or keeps it from beginning, is no concern of the others.
    ///
    /// # Errors
    ///
    /// What the listener says, other than that somebody has gone, or was not let in, or that descriptors have run
    /// out.
    pub(crate) fn run<'env, C, J: FnOnce() + Send + 'env>(
        &'env self,
        listener: &impl Listen<Conn = C>,
        prepare: impl Fn(C) -> Result<J>,
    ) -> Result<()> {
        std::thread::scope(|scope| {
            while !self.stopped.load(Ordering::Relaxed) {
                if self.connections.load(Ordering::Relaxed) >= self.most {
                    // The listener is readable all the time, and nothing tells of an end.
                    std::thread::sleep(TURN);
                    continue;
                }
                let connection = match listener.accept_with(Wait::timeout(TURN)) {
                    Ok(connection) => connection,
                    Err(error) => match error.kind() {
                        ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Disconnected => {
                            continue;
                        }
                        ErrorKind::ResourceLimit { .. } | ErrorKind::PermissionDenied => {
                            // It would say the same at once.
                            std::thread::sleep(TURN);
                            continue;
                        }
                        _ => {
                            self.stopped.store(true, Ordering::Relaxed);
                            return Err(error);
                        }
                    },
                };
                match prepare(connection) {
                    Ok(job) => {
                        let counted = Counted::new(self.connections);
                        let thread = std::thread::Builder::new().name(self.name.to_owned());
                        // Without a thread the connection goes, and with it its count.
                        let _ = thread.spawn_scoped(scope, move || {
                            job();
                            drop(counted);
                        });
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::ResourceLimit { .. }) => {
                        std::thread::sleep(TURN);
                    }
                    Err(_) => {}
                }
            }
            Ok(())
        })
    }
}

/// One of the connections, also if its thread panics.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(connections: &'a AtomicUsize) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(connections)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

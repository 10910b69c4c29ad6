//! Serving calls.

mod accept;
mod connection;
mod execute;
mod host;
mod memory;
mod options;
mod outlet;
mod pool;
mod pool_options;
mod queue;
mod serve;
mod table;

pub use connection::{Answer, Connection};
pub use host::Host;
pub use options::HostOptions;
pub use pool::Pool;
pub use pool_options::{OnFull, PoolOptions};
pub use serve::{serve, serve_while};

#[cfg(feature = "unix")]
pub(crate) use accept::{Acceptor, TURN};
#[cfg(feature = "unix")]
pub(crate) use serve::serve_connection;

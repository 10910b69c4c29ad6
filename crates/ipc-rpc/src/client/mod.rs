//! Making calls.

mod driver;
pub(crate) mod event;
mod options;
mod pipelined;
pub(crate) mod session;
mod slot;

pub use driver::{Client, Ticket};
pub use options::ClientOptions;
pub use pipelined::Pipelined;

//! Making calls.

mod driver;
mod options;
mod pipelined;
pub(crate) mod session;

pub use driver::{Client, Ticket};
pub use options::ClientOptions;
pub use pipelined::Pipelined;

//! Objects in shared memory: made in place, found again, checked before they are used.

mod header;
mod object;
mod options;
mod shareable;

pub use object::Shared;
pub use options::SharedOptions;
pub(crate) use shareable::describe_plain;
pub use shareable::{Plain, Shareable};

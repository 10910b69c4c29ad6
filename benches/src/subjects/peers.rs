//! What other people have made of the same mechanisms: rows whose one variant is `peer`.
//!
//! The standard library's are always there. Other people's libraries come with the feature `peers`, since
//! they bring many crates of their own.

#[cfg(feature = "peers")]
mod iceoryx2;
#[cfg(feature = "peers")]
mod interprocess;
#[cfg(feature = "peers")]
mod ipc_channel;
mod std;

use crate::Subject;

/// The rows of the matrix.
pub(super) const ALL: &[Subject] = &[
    std::PIPE,
    std::UNIX,
    std::TCP,
    #[cfg(feature = "peers")]
    interprocess::SUBJECT,
    #[cfg(feature = "peers")]
    ipc_channel::SUBJECT,
    #[cfg(feature = "peers")]
    iceoryx2::SUBJECT,
];

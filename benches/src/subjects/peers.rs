//! What other people have made of the same mechanisms: rows whose one variant is `peer`.
//!
//! The standard library's are always there. Other people's libraries come with the feature `peers`, since
//! they bring many crates of their own.

mod std;

use crate::Subject;

/// The rows of the matrix.
pub(super) const ALL: &[Subject] = &[std::PIPE, std::UNIX, std::TCP];

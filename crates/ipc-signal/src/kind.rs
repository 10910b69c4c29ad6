//! Arguments that make no sense.

use ipc_core::{Error, ErrorKind};

/// An argument that makes no sense.
pub(crate) fn invalid(op: &'static str, note: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, op).with_note(note)
}

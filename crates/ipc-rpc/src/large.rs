//! What is too long for a frame, where the build knows no way around it.

use std::os::fd::OwnedFd;

use ipc_core::{Error, ErrorKind, Result};

use crate::fds::Beside;

pub(crate) fn pack(_: &[u8], _: Beside) -> Result<Beside> {
    Err(Error::new(ErrorKind::Unsupported, "pack arguments")
        .with_note("ipc-rpc was built without the feature unix"))
}

pub(crate) fn unpack(_: &mut Vec<OwnedFd>, _: usize) -> Option<Vec<u8>> {
    None
}

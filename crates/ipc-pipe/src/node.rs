//! The inode of a FIFO.

use std::os::fd::{AsFd, OwnedFd};

use ipc_core::{ErrorKind, Result};
use ipc_fd::kind::os;
use ipc_fd::place::{Place, Sort, chmod};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

/// What is looked for.
pub(crate) const FIFO: Sort = Sort {
    file_type: FileType::Fifo,
    name: "a FIFO",
    op: "open FIFO",
    foreign: "name the owner in FifoOptions::owner if you trust it",
};

/// Makes a FIFO with exactly this mode and holds on to it.
pub(crate) fn make(place: &Place, mode: u32) -> Result<OwnedFd> {
    let private = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(place.dir(), place.name(), FileType::Fifo, private, 0).map_err(
        |errno| match errno {
            Errno::EXIST => os("mkfifo")(errno)
                .with_note("FifoOptions::reclaim takes over what a dead owner left behind"),
            errno => os("mkfifo")(errno),
        },
    )?;
    // Whatever number this user has.
    let me = rustix::process::geteuid().as_raw();
    let node = place.pin(FIFO, Some(me)).inspect_err(|error| {
        // Out of descriptors: it is ours. Any other error says that it was replaced.
        if matches!(error.kind(), ErrorKind::ResourceLimit { .. }) {
            let _ = place.unlink();
        }
    })?;
    let stat = rustix::fs::fstat(&node).map_err(os("fstat"))?;
    if stat.st_mode & 0o7777 != mode
        && let Err(errno) = chmod(node.as_fd(), mode)
    {
        let _ = place.unlink();
        return Err(os("chmod FIFO")(errno));
    }
    Ok(node)
}

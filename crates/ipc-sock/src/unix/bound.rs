//! Giving a socket its name, in the place of one that a dead process left behind.
//!
//! The kernel knows whether a socket file has a socket: `connect` to it with a datagram socket says
//! `ECONNREFUSED` if it has none, and something else if it has one of any type and in any state, also
//! one that is bound and does not listen yet; and nobody notices. So nothing live is ever taken for
//! stale, whatever program it belongs to.
//!
//! Only who finds something stale takes the lock, moves it aside, looks whether it is what was looked
//! at, and binds. `bind` itself is atomic: of two that race for a free name, one gets it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use ipc_fd::lock::LockFile;
use ipc_fd::place::{Place, Sort, chmod, same};
use rustix::fs::{FileType, Gid, Mode, RenameFlags, Uid};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::{Address, SocketOptions};
use crate::socket::Socket;

/// The operation in this file's errors.
const OP: &str = "bind";

/// What is appended to a name for the lock file, and for a stale socket on its way out.
pub(crate) const LOCK: &str = ".sock-lock";
pub(crate) const STALE: &str = ".sock-stale";

/// What is looked for.
const SOCKET: Sort = Sort {
    file_type: FileType::Socket,
    name: "a socket",
    op: OP,
    foreign: "another user left it there, or listens: remove it, or take another name",
};

/// The file of a socket, which goes when this is dropped by the process that made it.
///
/// It must be dropped before the socket: a name without a socket is stale, and somebody may take it over
/// between the look at it and its removal.
#[derive(Debug)]
pub(crate) struct Bound {
    place: Place,
    /// The inode, open with `O_PATH`: it cannot be reused while this is open.
    node: OwnedFd,
    pid: u32,
    keep: bool,
}

/// Gives `socket` its name; a path comes back, to be removed some day.
pub(super) fn bind(
    socket: &Socket,
    address: &Address,
    options: &SocketOptions,
) -> Result<Option<Bound>> {
    let sockaddr = address.to_sockaddr()?;
    let Some(path) = address.as_path() else {
        rustix::net::bind(socket, &sockaddr).map_err(os(OP))?;
        return Ok(None);
    };
    let place = Place::new(path, "socket path")?;
    // The file gets the mode of the socket, less the umask; who may do more is told afterwards.
    let (uid, gid) = options.owner;
    let first = if uid.is_some() || gid.is_some() { 0o600 } else { options.mode };
    rustix::fs::fchmod(socket, Mode::from_raw_mode(first)).map_err(os("fchmod socket"))?;
    match rustix::net::bind(socket, &sockaddr) {
        Err(Errno::ADDRINUSE) => {
            let _lock = make_way(&place, uid)?;
            rustix::net::bind(socket, &sockaddr).map_err(os(OP))?;
        }
        bound => {
            bound.map_err(os(OP))?;
            clear_up(&place, uid);
        }
    }
    // Whatever number this user has.
    let me = rustix::process::geteuid().as_raw();
    let node = place.pin(SOCKET, Some(me)).inspect_err(|error| {
        // Out of descriptors: it is ours. Any other error says that it was replaced.
        if matches!(error.kind(), ErrorKind::ResourceLimit { .. }) {
            let _ = place.unlink();
        }
    })?;
    let bound = Bound { place, node, pid: std::process::id(), keep: false };
    if uid.is_some() || gid.is_some() {
        let path = format!("/proc/self/fd/{}", bound.node.as_raw_fd());
        rustix::fs::chown(path, uid.map(Uid::from_raw), gid.map(Gid::from_raw))
            .map_err(os("chown socket"))?;
    }
    let stat = rustix::fs::fstat(&bound.node).map_err(os("fstat"))?;
    if stat.st_mode & 0o7777 != options.mode {
        chmod(bound.node.as_fd(), options.mode).map_err(os("chmod socket"))?;
    }
    Ok(Some(bound))
}

/// Removes what a dead process left at `place`, and holds the lock until the name is taken.
fn make_way(place: &Place, owner: Option<u32>) -> Result<LockFile> {
    let lock = LockFile::acquire(place.beside(LOCK)?, OP)?;
    let aside = place.beside(STALE)?;
    // Left by a process that was killed between the two steps below, or somebody's by that name.
    remove_stale(&aside, owner)?;
    let stale = match pin(place, owner) {
        Ok(node) => node,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(lock),
        Err(error) => return Err(error),
    };
    if is_live(stale.as_fd())? {
        return Err(in_use());
    }
    place.rename_to(&aside, RenameFlags::NOREPLACE).map_err(os(OP))?;
    let moved = aside.stat().map_err(os(OP))?;
    if !same(&moved, &rustix::fs::fstat(&stale).map_err(os("fstat"))?) {
        // Somebody who does not know the lock has put another socket there: put it back.
        aside.rename_to(place, RenameFlags::NOREPLACE).map_err(os(OP))?;
        return Err(in_use());
    }
    // Its file is there before a socket that is being bound is: at the first look it may have been without
    // one. A rename waits for that to end, so that this look is the last word.
    if is_live(stale.as_fd())? {
        aside.rename_to(place, RenameFlags::NOREPLACE).map_err(os(OP))?;
        return Err(in_use());
    }
    aside.unlink().map_err(os(OP))?;
    Ok(lock)
}

/// Removes what a process that was killed while it made way left beside the name, if one was: it left
/// the lock file.
fn clear_up(place: &Place, owner: Option<u32>) {
    // Nobody is worse off if this fails: who finds something stale the next time tries again.
    if let (Ok(lock), Ok(aside)) = (place.beside(LOCK), place.beside(STALE))
        && lock.stat().is_ok()
        && let Ok(_lock) = LockFile::acquire(lock, OP)
    {
        let _ = remove_stale(&aside, owner);
    }
}

/// Finds a socket of this user, or of the one to whom a process like this one gave its socket.
fn pin(place: &Place, owner: Option<u32>) -> Result<OwnedFd> {
    match place.pin(SOCKET, None) {
        Err(error) if owner.is_some() && matches!(error.kind(), ErrorKind::ForeignOwner { .. }) => {
            place.pin(SOCKET, owner)
        }
        pinned => pinned,
    }
}

/// Removes a stale socket, if there is one.
fn remove_stale(place: &Arc<Place>, owner: Option<u32>) -> Result<()> {
    match pin(place, owner) {
        Ok(node) if is_live(node.as_fd())? => Err(in_use()),
        Ok(_) => place.unlink().map_err(os(OP)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the file of a socket has one.
pub(crate) fn is_live(node: BorrowedFd<'_>) -> Result<bool> {
    let probe = Socket::open(AddressFamily::UNIX, SocketType::DGRAM)?;
    // The inode itself, whatever has its name by now.
    let path = format!("/proc/self/fd/{}", node.as_raw_fd());
    let address = SocketAddrUnix::new(path).map_err(os(OP))?;
    match rustix::net::connect(&probe, &address) {
        Err(Errno::CONNREFUSED) => Ok(false),
        Ok(()) | Err(Errno::PROTOTYPE | Errno::PERM) => Ok(true),
        Err(errno) => Err(os("connect")(errno).with_note("to see whether the socket is stale")),
    }
}

fn in_use() -> Error {
    Error::new(ErrorKind::AlreadyExists, OP).with_note("a process has a socket there")
}

impl Bound {
    /// Leaves the name when this is dropped.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// Removes the name now, if it still stands for this socket.
    pub(crate) fn unlink(mut self) -> Result<()> {
        self.keep = true;
        self.place.unlink_if(self.node.as_fd(), "unlink socket")
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // A forked copy must not remove what its parent still uses. A name that is gone, or somebody
        // else's by now, is none of ours to complain about.
        if !self.keep && self.pid == std::process::id() {
            let _ = self.place.unlink_if(self.node.as_fd(), "unlink socket");
        }
    }
}

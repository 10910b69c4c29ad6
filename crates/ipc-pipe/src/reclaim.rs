//! Taking the place of a FIFO whose owner has died.
//!
//! The owner holds `flock` on a lock file beside the FIFO, in which stands which FIFO is its own: the
//! device, the inode, and when that was born, since a file system may give its number to another
//! file. A new owner takes the lock, which it can once the old one is dead, and sees by the note that
//! the FIFO at the path is the one that the old owner made.
//!
//! The steps, so that a kill after any of them leaves what the next owner can take over:
//!
//! 1. lock; 2. note "making"; 3. make the FIFO under another name; 4. note it, and the stale one if
//!    there is one; 5. rename it into place, or exchange it with the stale one and remove that;
//!    6. note "placed"; 7. let go of those who wait for the stale one.
//!
//! What has the other name is removed only where the note says "making", and a lock file that does
//! not begin as ours do is left alone.

use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use ipc_fd::lock::LockFile;
use ipc_fd::place::Place;
use rustix::fs::{AtFlags, OFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::end::reopen;
use crate::node::FIFO;

/// What is appended to the FIFO's name for the lock file, and for a FIFO that is being made.
const LOCK: &str = ".fifo-lock";
const NEW: &str = ".fifo-new";

/// How every lock file of ours begins.
const MAGIC: &str = "ipc-pipe FIFO owner 1\n";

/// The operation in this file's errors.
const OP: &str = "reclaim FIFO";

/// How many bytes a name can have so that the others fit beside it.
pub(crate) const NAME_MAX: usize = ipc_core::Name::MAX - LOCK.len();

/// The lock that says that the owner of a FIFO lives.
///
/// Dropping it unlocks, and removes the lock file if the FIFO goes too, or if nothing was noted yet.
#[derive(Debug)]
pub(crate) struct OwnerLock(LockFile);

/// What stands in a lock file.
#[derive(Debug, Default)]
struct Note {
    making: bool,
    fifos: Vec<String>,
}

impl OwnerLock {
    /// Locks `place` for this process, and puts a FIFO of `make` there, in place of a stale one.
    pub(crate) fn reclaim(
        place: &Arc<Place>,
        make: impl Fn(&Place) -> Result<OwnedFd>,
    ) -> Result<(OwnedFd, Self)> {
        let mut lock = Self(LockFile::acquire(place.beside(LOCK)?, OP)?);
        let note = lock.read()?;
        let new_place = place.beside(NEW)?;
        if note.making && new_place.pin(FIFO, None).is_ok() {
            new_place.unlink().map_err(os(OP))?;
        }
        let stale = match place.pin(FIFO, None) {
            Ok(fifo) => Some(note.proves(fifo)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };

        let old = stale.as_ref().map(|(_, identity)| identity.as_str());
        let stale_fd = stale.as_ref().map(|(fifo, _)| fifo.as_fd());
        lock.note(true, None, old)?;
        let node = make(&new_place).or_else(|error| {
            // Nothing was made: what has the other name is not ours, and must not be noted so.
            lock.note(false, None, old)?;
            lock.0.remove = stale.is_none();
            Err(error)
        })?;
        let placed = identity(&node)
            .and_then(|new| lock.note(true, Some(&new), old).map(|()| new))
            .and_then(|new| new_place.replace(place, stale_fd, OP).map(|()| new))
            .and_then(|new| lock.note(false, Some(&new), None));
        if let Err(error) = placed {
            let _ = new_place.unlink();
            // Without a stale FIFO there is nothing that the note must prove.
            lock.0.remove = stale.is_none();
            return Err(error);
        }
        lock.0.remove = true;
        if let Some(old) = stale_fd {
            // Those who wait in `open` for the other end find this one, and then its end.
            drop(reopen(old, OFlags::RDWR | OFlags::NONBLOCK));
        }
        Ok((node, lock))
    }

    /// What the owner before has noted; nothing if the file is new.
    fn read(&self) -> Result<Note> {
        let mut text = String::new();
        let read = self.0.file().take(512).read_to_string(&mut text);
        if self.0.remove {
            return Ok(Note::default());
        }
        // The lock is on a file of somebody who happens to use the same name.
        let lines = read.ok().and_then(|_| text.strip_prefix(MAGIC)).ok_or_else(|| {
            Error::new(ErrorKind::AlreadyExists, OP).with_note("the lock file is not one of ours")
        })?;
        let making = lines.starts_with("making");
        Ok(Note { making, fifos: lines.lines().skip(1).map(str::to_owned).collect() })
    }

    /// Notes what goes on, the FIFO that is or is about to be at the path, and the stale one.
    fn note(&mut self, making: bool, new: Option<&str>, old: Option<&str>) -> Result<()> {
        let none = "0".repeat(IDENTITY);
        let state = if making { "making" } else { "placed" };
        let (new, old) = (new.unwrap_or(&none), old.unwrap_or(&none));
        // One write of an unchanging length over the old text: a kill leaves the one or the other.
        self.0.remove = false;
        self.0.file().rewind().map_err(io)?;
        self.0.file().write_all(format!("{MAGIC}{state}\n{new}\n{old}\n").as_bytes()).map_err(io)
    }

    /// Closes this process's copy of the lock file and leaves the rest to the owner.
    pub(crate) fn forget(mut self) {
        self.0.remove = false;
    }
}

impl Note {
    /// The FIFO and its identity, if a dead owner has noted it as its own.
    fn proves(&self, fifo: OwnedFd) -> Result<(OwnedFd, String)> {
        let identity = identity(&fifo)?;
        if !self.fifos.contains(&identity) {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("the lock file does not say that a dead owner left this FIFO"));
        }
        Ok((fifo, identity))
    }
}

/// How long an identity is: four numbers of twenty digits, and colons.
const IDENTITY: usize = 83;

/// What tells a FIFO from every other that was ever there: device, inode, and time of birth where the
/// file system knows it.
fn identity(fifo: &OwnedFd) -> Result<String> {
    let mask = StatxFlags::INO | StatxFlags::BTIME;
    let stat: Statx =
        rustix::fs::statx(fifo, c"", AtFlags::EMPTY_PATH, mask).map_err(os("statx"))?;
    let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
    let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    let (sec, nsec) = if known { (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec) } else { (0, 0) };
    Ok(format!("{device:020}:{:020}:{sec:020}:{nsec:020}", stat.stx_ino))
}

fn io(error: std::io::Error) -> Error {
    os("lock file")(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

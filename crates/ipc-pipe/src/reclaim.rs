//! Taking the place of a FIFO whose owner has died.
//!
//! The owner holds `flock` on `<fifo>.lock`, in which stands the FIFO's device and inode. A new
//! owner takes the lock, which it can if the old one is dead, and proves by the note that the FIFO is
//! the one the old owner made. The order of steps is such that a crash after any of them leaves
//! nothing that the next owner cannot take over:
//!
//! 1. lock; 2. remove `<fifo>.new` of an owner that died here; 3. make `<fifo>.new`; 4. write its
//!    inode into the lock file; 5. rename it to `<fifo>`; 6. let go of those who wait for the old one.
//!
//! A crash between 4 and 5 leaves a note that does not match an older stale FIFO. So the note keeps
//! both: the inode that is about to be there, and the one that was.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ipc_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::end::reopen;
use crate::fifo::{pin, same};
use crate::kind::{file_type, os};

/// The operation in this file's errors.
const OP: &str = "reclaim FIFO";

/// The lock that says that the owner of a FIFO lives.
///
/// Dropping it unlocks, and removes the lock file if the FIFO goes too, or if nothing was noted yet.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    file: File,
    path: PathBuf,
    remove: bool,
}

impl OwnerLock {
    /// Locks `path` for this process, and puts a FIFO of `make` there, in place of a stale one.
    pub(crate) fn reclaim(
        path: &Path,
        make: impl Fn(&Path) -> Result<OwnedFd>,
    ) -> Result<(OwnedFd, Self)> {
        let mut lock = Self::acquire(beside(path, ".lock"))?;
        let stale = lock.stale(path)?;

        let new_path = beside(path, ".new");
        match pin(&new_path, None) {
            Ok(_) => rustix::fs::unlink(&new_path).map_err(os(OP))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let node = make(&new_path)?;
        let new = rustix::fs::fstat(&node).map_err(os("fstat"))?;
        let placed = lock.note(&new, stale.as_ref()).and_then(|()| {
            // Only what was proven stale may be replaced.
            let flags = match stale {
                Some(_) => RenameFlags::empty(),
                None => RenameFlags::NOREPLACE,
            };
            rustix::fs::renameat_with(CWD, &new_path, CWD, path, flags).map_err(os(OP))
        });
        if let Err(error) = placed {
            let _ = rustix::fs::unlink(&new_path);
            lock.remove = stale.is_none();
            return Err(error);
        }
        if let Some((old, _)) = stale {
            // Those who wait in `open` for the other end find this one, and then its end.
            drop(reopen(old.as_fd(), OFlags::RDWR | OFlags::NONBLOCK));
        }
        lock.remove = true;
        Ok((node, lock))
    }

    /// Takes the lock, if nobody alive has it.
    fn acquire(path: PathBuf) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let private = Mode::RUSR | Mode::WUSR;
        loop {
            let file = rustix::fs::open(&path, flags, private).map_err(|errno| match errno {
                Errno::LOOP => os(OP)(errno).with_kind(ErrorKind::WrongType {
                    expected: "a lock file",
                    found: "a symbolic link",
                }),
                errno => os("open lock file")(errno),
            })?;
            let stat = rustix::fs::fstat(&file).map_err(os("fstat"))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                let kind =
                    ErrorKind::WrongType { expected: "a lock file", found: file_type(&stat) };
                return Err(Error::new(kind, OP));
            }
            if stat.st_uid != rustix::process::geteuid().as_raw() {
                return Err(Error::new(ErrorKind::ForeignOwner { uid: stat.st_uid }, OP));
            }
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::AGAIN) => {
                    return Err(Error::new(ErrorKind::AlreadyExists, OP)
                        .with_note("its owner is alive: it holds the lock file"));
                }
                locked => locked.map_err(os("flock"))?,
            }
            // The owner before may have removed the file between our open and our lock.
            match rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(now) if same(&now, &stat) => {
                    return Ok(Self { file: File::from(file), path, remove: stat.st_size == 0 });
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(os(OP)(errno)),
            }
        }
    }

    /// The FIFO at `path`, if there is one and the lock file proves that a dead owner left it.
    fn stale(&self, path: &Path) -> Result<Option<(OwnedFd, Stat)>> {
        let old = match pin(path, None) {
            Ok(old) => old,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let stat = rustix::fs::fstat(&old).map_err(os("fstat"))?;
        let mut text = String::new();
        (&self.file).take(256).read_to_string(&mut text).map_err(io)?;
        if !text.lines().any(|line| line == inode(&stat)) {
            return Err(Error::new(ErrorKind::AlreadyExists, OP)
                .with_note("the lock file does not say that a dead owner left this FIFO"));
        }
        Ok(Some((old, stat)))
    }

    /// Notes the FIFO that is about to be at the path, and the one that is there until then.
    fn note(&mut self, new: &Stat, stale: Option<&(OwnedFd, Stat)>) -> Result<()> {
        let old = stale.map_or_else(|| inode(new), |(_, stat)| inode(stat));
        // One write of an unchanging length over the old text: a crash leaves the one or the other.
        self.remove = false;
        self.file.rewind().map_err(io)?;
        self.file.write_all(format!("{}\n{old}\n", inode(new)).as_bytes()).map_err(io)
    }

    /// Closes this process's copy of the lock file and leaves the rest to the owner.
    pub(crate) fn forget(mut self) {
        self.remove = false;
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // Removed while it is locked: whoever opened it before finds out in `acquire`.
        if self.remove {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

/// How an inode is noted.
fn inode(stat: &Stat) -> String {
    format!("{:020}:{:020}", stat.st_dev, stat.st_ino)
}

/// The path with a suffix after its last component.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = OsString::from(path);
    beside.push(suffix);
    PathBuf::from(beside)
}

fn io(error: std::io::Error) -> Error {
    os("lock file")(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

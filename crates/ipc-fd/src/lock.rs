//! A lock file beside a name, held by who makes or replaces what has the name.

use std::fs::File;
use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Result};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::kind::{file_type, os};
use crate::place::{Place, same};
use crate::user::is_owner;

/// A lock file that this process has locked: `flock(LOCK_EX)`.
///
/// The kernel gives the lock back when the last copy of the descriptor is closed, however the process
/// ends. Dropping it unlocks, and removes the file if [`remove`](Self::remove) says so.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use ipc_core::ErrorKind;
/// use ipc_fd::{lock::LockFile, place::Place};
///
/// let dir = tempfile::tempdir().unwrap();
/// let place = Arc::new(Place::new(&dir.path().join("orders.lock"), "lock")?);
/// let lock = LockFile::acquire(Arc::clone(&place), "lock")?;
/// assert_eq!(LockFile::acquire(place, "lock").unwrap_err().kind(), ErrorKind::AlreadyExists);
/// drop(lock);
/// assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `flock`(2).
#[derive(Debug)]
pub struct LockFile {
    file: File,
    place: Arc<Place>,
    /// Whether the file goes when this value is dropped: at first, if it is empty.
    pub remove: bool,
}

impl LockFile {
    /// Takes the lock, if nobody alive has it. The file is made with mode 0600.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] while somebody has it; [`ErrorKind::WrongType`] and
    /// [`ErrorKind::ForeignOwner`] for what is at the place and is no lock file of this user; those of
    /// `openat`.
    pub fn acquire(place: Arc<Place>, op: &'static str) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let wrong = |found| ErrorKind::WrongType { expected: "a lock file", found };
        loop {
            let file = place.open(flags, Mode::RUSR | Mode::WUSR).map_err(|errno| match errno {
                Errno::LOOP => os(op)(errno).with_kind(wrong("a symbolic link")),
                errno => os("open lock file")(errno),
            })?;
            let stat = rustix::fs::fstat(&file).map_err(os("fstat"))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(Error::new(wrong(file_type(&stat)), op));
            }
            if !is_owner(stat.st_uid, None) {
                return Err(Error::new(ErrorKind::ForeignOwner { uid: stat.st_uid }, op));
            }
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::AGAIN) => {
                    return Err(Error::new(ErrorKind::AlreadyExists, op)
                        .with_note("its owner is alive: it holds the lock file"));
                }
                locked => locked.map_err(os("flock"))?,
            }
            // The owner before may have removed the file between our open and our lock.
            match place.stat() {
                Ok(now) if same(&now, &stat) => {
                    let remove = stat.st_size == 0;
                    return Ok(Self { file: File::from(file), place, remove });
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(os(op)(errno)),
            }
        }
    }

    /// The file, to note in it what the next owner must know.
    pub const fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Removed while it is locked: whoever opened it before finds out in `acquire`. Another file
        // of the same name is left alone.
        if self.remove
            && let (Ok(ours), Ok(now)) = (rustix::fs::fstat(&self.file), self.place.stat())
            && same(&ours, &now)
        {
            let _ = self.place.unlink();
        }
    }
}

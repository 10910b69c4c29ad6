//! A name in a directory that is held open.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Name, NameProblem, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::kind::{file_type, os};
use crate::user::is_owner;

/// The longest path in bytes, without its NUL: `PATH_MAX` is 4096.
const PATH_MAX: usize = 4095;

/// Which sort of file a mechanism looks for at its name.
#[derive(Debug, Clone, Copy)]
pub struct Sort {
    /// The kernel's type.
    pub file_type: FileType,
    /// In words, as in "it must be a FIFO".
    pub name: &'static str,
    /// The operation in errors.
    pub op: &'static str,
    /// What the user is to do about an object of somebody else.
    pub foreign: &'static str,
}

/// A name in a directory. The directory is held open, so that the name stands for the same place when
/// this process changes its working directory, or somebody renames a directory above.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, NameProblem};
/// use ipc_fd::place::Place;
///
/// let dir = tempfile::tempdir().unwrap();
/// let place = Place::new(&dir.path().join("orders"), "FIFO path")?;
/// assert_eq!(place.stat().unwrap_err(), rustix::io::Errno::NOENT);
///
/// let error = Place::new("a\0b".as_ref(), "FIFO path").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidName(NameProblem::Nul { at: 1 }));
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Place {
    dir: Arc<OwnedFd>,
    name: OsString,
    path: PathBuf,
}

impl Place {
    /// Checks a path and opens its directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] in operation `op` for what cannot be a path;
    /// [`ErrorKind::NotFound`] and [`ErrorKind::PermissionDenied`] for its directory.
    pub fn new(path: &Path, op: &'static str) -> Result<Self> {
        let name = check(path, op)?.to_owned();
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(dir, flags, Mode::empty()).map_err(os("open directory"))?;
        Ok(Self { dir: Arc::new(dir), name, path: path.to_owned() })
    }

    /// The name with a suffix, in the same directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] when it is too long with the suffix.
    pub fn beside(&self, suffix: &str) -> Result<Arc<Self>> {
        let mut name = self.name.clone();
        name.push(suffix);
        Name::new(&name)?;
        let mut path = OsString::from(&self.path);
        path.push(suffix);
        Ok(Arc::new(Self { dir: Arc::clone(&self.dir), name, path: path.into() }))
    }

    /// The path that it was made of.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name, without the directory.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// The directory, open with `O_PATH`.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// `openat(O_CLOEXEC)`
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, &self.name, flags | OFlags::CLOEXEC, mode)
    }

    /// `fstatat(AT_SYMLINK_NOFOLLOW)`
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub fn stat(&self) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// `unlinkat`
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub fn unlink(&self) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty())
    }

    /// `renameat2`
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub fn rename_to(&self, to: &Self, flags: RenameFlags) -> Result<(), Errno> {
        rustix::fs::renameat_with(&self.dir, &self.name, &to.dir, &to.name, flags)
    }

    /// Finds a file of this sort and of `owner`, or of this user, and holds on to its inode
    /// (`O_PATH | O_NOFOLLOW`).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongType`], [`ErrorKind::ForeignOwner`], and those of
    /// `openat`.
    pub fn pin(&self, sort: Sort, owner: Option<u32>) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let node = self.open(flags, Mode::empty()).map_err(os(sort.op))?;
        let stat = rustix::fs::fstat(&node).map_err(os("fstat"))?;
        if FileType::from_raw_mode(stat.st_mode) != sort.file_type {
            let kind = ErrorKind::WrongType { expected: sort.name, found: file_type(&stat) };
            return Err(Error::new(kind, sort.op));
        }
        if !is_owner(stat.st_uid, owner) {
            let kind = ErrorKind::ForeignOwner { uid: stat.st_uid };
            return Err(Error::new(kind, sort.op).with_note(sort.foreign));
        }
        Ok(node)
    }

    /// Puts what this place has at `to`: in the place of `stale`, or of nothing, but of nothing else.
    ///
    /// What was stale is removed. This process must be the only one of its kind that puts something
    /// there at this moment: see [`lock`](crate::lock).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyExists`] when something else is at `to` by now; it is left there.
    pub fn replace(
        &self,
        to: &Self,
        stale: Option<BorrowedFd<'_>>,
        op: &'static str,
    ) -> Result<()> {
        let Some(stale) = stale else {
            return self.rename_to(to, RenameFlags::NOREPLACE).map_err(os(op));
        };
        self.rename_to(to, RenameFlags::EXCHANGE).map_err(os(op))?;
        let was_there = self.stat().map_err(os(op))?;
        let stale = rustix::fs::fstat(stale).map_err(os("fstat"))?;
        if !same(&was_there, &stale) {
            self.rename_to(to, RenameFlags::EXCHANGE).map_err(os(op))?;
            return Err(Error::new(ErrorKind::AlreadyExists, op)
                .with_note("somebody else has put a file in the place of the stale one"));
        }
        self.unlink().map_err(os(op))
    }

    /// Removes the name if it still stands for `node`.
    ///
    /// The look and the removal are two system calls: in a directory that others can write to, a file
    /// that is put there in between is removed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the name is gone, or stands for another file, which is left alone.
    pub fn unlink_if(&self, node: BorrowedFd<'_>, op: &'static str) -> Result<()> {
        let node = rustix::fs::fstat(node).map_err(os("fstat"))?;
        let now = self.stat().map_err(os(op))?;
        if !same(&now, &node) {
            return Err(Error::new(ErrorKind::NotFound, op)
                .with_note("the path names another file by now, which was left alone"));
        }
        self.unlink().map_err(os(op))
    }
}

/// Sets the mode of an inode that is open with `O_PATH`, whatever the umask was when it was made.
///
/// # Errors
///
/// Those of `chmod`; `ENOENT` where `/proc` is not mounted.
pub fn chmod(node: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", node.as_raw_fd());
    rustix::fs::chmod(path, Mode::from_raw_mode(mode))
}

/// Whether two stats are of one file.
#[must_use]
pub fn same(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Checks what can be known of a path without looking at the file system, and returns its last
/// component.
fn check<'a>(path: &'a Path, op: &'static str) -> Result<&'a OsStr> {
    let bytes = path.as_os_str().as_bytes();
    let problem = |problem| Err(Error::new(ErrorKind::InvalidName(problem), op));
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return problem(NameProblem::Nul { at });
    }
    if bytes.len() > PATH_MAX {
        return problem(NameProblem::TooLong { len: bytes.len(), max: PATH_MAX });
    }
    if bytes.len() > 1 && bytes.ends_with(b"/") {
        return problem(NameProblem::Slash { at: bytes.len() - 1 });
    }
    if let Some(long) = bytes.split(|byte| *byte == b'/').find(|it| it.len() > Name::MAX) {
        return problem(NameProblem::TooLong { len: long.len(), max: Name::MAX });
    }
    // What follows the last slash, which `Path::file_name` would normalise.
    let last = OsStr::from_bytes(bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
    Name::new(last).map(|_| last)
}

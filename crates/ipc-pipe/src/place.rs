//! A name in a directory that is held open.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipc_core::{Error, ErrorKind, Name, NameProblem, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::kind::{file_type, os};

/// The longest path in bytes, without its NUL: `PATH_MAX` is 4096.
const PATH_MAX: usize = 4095;

/// Where a FIFO is: a name in a directory. The directory is held open, so that the name stands for
/// the same place when this process changes its working directory, or somebody renames a directory
/// above.
#[derive(Debug)]
pub(crate) struct Place {
    dir: Arc<OwnedFd>,
    name: OsString,
    path: PathBuf,
}

impl Place {
    /// Checks a path and opens its directory.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let name = check(path)?.to_owned();
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(dir, flags, Mode::empty()).map_err(os("open directory"))?;
        Ok(Self { dir: Arc::new(dir), name, path: path.to_owned() })
    }

    /// The name with a suffix, in the same directory.
    pub(crate) fn beside(&self, suffix: &str) -> Result<Arc<Self>> {
        let mut name = self.name.clone();
        name.push(suffix);
        Name::new(&name)?;
        let mut path = OsString::from(&self.path);
        path.push(suffix);
        Ok(Arc::new(Self { dir: Arc::clone(&self.dir), name, path: path.into() }))
    }

    /// The path that it was made of.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name, without the directory.
    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(crate) fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.dir, &self.name, flags | OFlags::CLOEXEC, mode)
    }

    pub(crate) fn stat(&self) -> Result<Stat, Errno> {
        rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub(crate) fn unlink(&self) -> Result<()> {
        rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty()).map_err(os("unlink FIFO"))
    }

    pub(crate) fn rename_to(&self, to: &Self, flags: RenameFlags) -> Result<(), Errno> {
        rustix::fs::renameat_with(&self.dir, &self.name, &to.dir, &to.name, flags)
    }

    /// Makes a FIFO with exactly this mode and holds on to it.
    pub(crate) fn make_fifo(&self, mode: u32) -> Result<OwnedFd> {
        let private = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(&self.dir, &self.name, FileType::Fifo, private, 0).map_err(
            |errno| match errno {
                Errno::EXIST => os("mkfifo")(errno)
                    .with_note("FifoOptions::reclaim takes over what a dead owner left behind"),
                errno => os("mkfifo")(errno),
            },
        )?;
        let node = self.pin(None).inspect_err(|error| {
            // Out of descriptors: it is ours. Any other error says that it was replaced.
            if matches!(error.kind(), ErrorKind::ResourceLimit { .. }) {
                let _ = self.unlink();
            }
        })?;
        let stat = rustix::fs::fstat(&node).map_err(os("fstat"))?;
        if stat.st_mode & 0o7777 != mode {
            let node_path = format!("/proc/self/fd/{}", node.as_raw_fd());
            if let Err(errno) = rustix::fs::chmod(node_path, Mode::from_raw_mode(mode)) {
                let _ = self.unlink();
                return Err(os("chmod FIFO")(errno));
            }
        }
        Ok(node)
    }

    /// Finds a FIFO of `owner`, or of this user, and holds on to it.
    pub(crate) fn pin(&self, owner: Option<u32>) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let node = self.open(flags, Mode::empty()).map_err(os("open FIFO"))?;
        let stat = rustix::fs::fstat(&node).map_err(os("fstat"))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
            let kind = ErrorKind::WrongType { expected: "a FIFO", found: file_type(&stat) };
            return Err(Error::new(kind, "open FIFO"));
        }
        if stat.st_uid != owner.unwrap_or_else(|| rustix::process::geteuid().as_raw()) {
            return Err(Error::new(ErrorKind::ForeignOwner { uid: stat.st_uid }, "open FIFO")
                .with_note("name the owner in FifoOptions::owner if you trust it"));
        }
        Ok(node)
    }
}

/// Whether two stats are of one file.
pub(crate) fn same(a: &Stat, b: &Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Checks what can be known of a path without looking at the file system, and returns its last
/// component.
fn check(path: &Path) -> Result<&OsStr> {
    let bytes = path.as_os_str().as_bytes();
    let problem = |problem| Err(Error::new(ErrorKind::InvalidName(problem), "FIFO path"));
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

//! The directory in which the ports of a user are, and what dead processes left there.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::{file_type, os};
use ipc_fd::place::chmod;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;

use super::process::start_time;
use crate::unix::{LOCK, STALE, is_live};

/// The operation in this file's errors.
const OP: &str = "open the directory of ports";

/// The directory, which belongs to this user alone. It is held open, so that names are looked up in what
/// was checked, whatever happens to its path.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory, and makes it if there is none.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let path = path.map_or_else(default_path, Path::to_owned);
        // Without a slash at its end, which would have a symbolic link followed.
        let path: PathBuf = path.components().collect();
        let made = match rustix::fs::mkdir(&path, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(os("mkdir")(errno)),
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty()).map_err(os(OP))?;
        let mut stat = rustix::fs::fstat(&fd).map_err(os("fstat"))?;
        if made && stat.st_uid == euid() && mode(&stat) != 0o700 {
            // The umask took something away.
            chmod(fd.as_fd(), 0o700).map_err(os("chmod"))?;
            stat = rustix::fs::fstat(&fd).map_err(os("fstat"))?;
        }
        check(&stat)?;
        Ok(Self { fd, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The address of a name in what was checked, not by its path.
    pub(super) fn address(&self, name: &str) -> Result<SocketAddrUnix> {
        let path = format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd());
        SocketAddrUnix::new(path).map_err(os("socket name"))
    }

    /// Whether a name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Removes what processes left that were killed. What cannot be looked at is left for another day.
    pub(super) fn clean(&self) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(fd) = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()) else { return };
        let Ok(dir) = Dir::new(fd) else { return };
        for entry in dir.flatten() {
            if self.is_stale(entry.file_name()) {
                let _ = rustix::fs::unlinkat(&self.fd, entry.file_name(), AtFlags::empty());
            }
        }
    }

    /// Whether a name is of a process that has ended, and no copy of its socket is open either.
    ///
    /// Both are asked. In another pid namespace the process may be alive and not to be seen from here;
    /// and a socket that is being bound has its name a moment before it can be reached.
    fn is_stale(&self, name: &CStr) -> bool {
        let Some((pid, start)) = parse(name.to_bytes()) else { return false };
        if start_time(pid) == Some(start) {
            return false;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(node) = rustix::fs::openat(&self.fd, name, flags, Mode::empty()) else {
            return false;
        };
        match rustix::fs::fstat(&node).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
            Ok(FileType::Socket) => is_live(node.as_fd()).is_ok_and(|live| !live),
            Ok(FileType::RegularFile) => name.to_bytes().ends_with(LOCK.as_bytes()),
            _ => false,
        }
    }
}

/// What a port is called.
pub(super) fn name(pid: u32, start: u64) -> String {
    format!("{pid}.{start}")
}

/// Whose name it is: that of a port, or of what is beside it while its process takes over the name that
/// it had left behind at an exec.
fn parse(name: &[u8]) -> Option<(u32, u64)> {
    let beside = [LOCK, STALE].into_iter().find_map(|it| name.strip_suffix(it.as_bytes()));
    let (pid, start) = std::str::from_utf8(beside.unwrap_or(name)).ok()?.split_once('.')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

/// `$XDG_RUNTIME_DIR/ipc-direct`, or `/tmp/ipc-direct-UID`.
fn default_path() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // `su` and `sudo -E` leave the variable of the user before: that directory is not ours to use.
    let ours = |path: &PathBuf| {
        path.is_absolute()
            && rustix::fs::stat(path)
                .is_ok_and(|stat| stat.st_uid == euid() && mode(&stat) == 0o700)
    };
    match runtime.filter(ours) {
        Some(path) => path.join("ipc-direct"),
        None => format!("/tmp/ipc-direct-{}", euid()).into(),
    }
}

/// Checks that nobody else can have put anything there.
fn check(stat: &Stat) -> Result<()> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        let kind = ErrorKind::WrongType { expected: "a directory", found: file_type(stat) };
        return Err(Error::new(kind, OP));
    }
    if stat.st_uid != euid() {
        return Err(Error::new(ErrorKind::ForeignOwner { uid: stat.st_uid }, OP)
            .with_note("another user made it: remove it, or name another one in PortOptions"));
    }
    if mode(stat) & 0o077 != 0 {
        return Err(Error::new(ErrorKind::PermissionDenied, OP)
            .with_note("other users may look or write there: chmod 700, if nobody has"));
    }
    Ok(())
}

fn mode(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

fn euid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_as_they_are_made() {
        assert_eq!(parse(name(7, 1234).as_bytes()), Some((7, 1234)));
        assert_eq!(parse(b"7.1234.sock-lock"), Some((7, 1234)));
        for other in ["7", "7.", ".7", "x.1", "1.x", "1.2.3", "", "-1.2", "99999999999.1"] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }
}

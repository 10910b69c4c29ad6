//! The queues that exist, where the `mqueue` file system is mounted.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use ipc_core::{Error, ErrorKind, Name, Result};

/// A queue that exists, as the `mqueue` file system shows it.
///
/// # Examples
///
/// See [`queues`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueEntry {
    /// Its name.
    pub name: Name,
    /// The user who owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// Its permissions, such as 0o600.
    pub mode: u32,
    /// How many bytes of messages are in it, `None` where this user may not read it.
    pub bytes: Option<u64>,
    /// The process that is registered for a notification, if there is one and it can be seen.
    pub registered: Option<Registered>,
}

/// The process that is registered for a queue's notification.
///
/// # Examples
///
/// See [`queues`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// The process.
    pub pid: u32,
    /// The signal that it will get; 0 if it is told in another way.
    pub signal: i32,
}

/// Every queue of this IPC namespace, sorted by name.
///
/// Each is opened and closed to be looked at, which ends a [notification](super::Receiver::notify_signal)
/// that **this** process is registered for; those of other processes stay.
///
/// # Errors
///
/// - [`ErrorKind::Unsupported`] where the `mqueue` file system is not mounted: the kernel lists
///   queues in no other way, and using them works all the same. As root, `mkdir -p /dev/mqueue` and
///   `mount -t mqueue none /dev/mqueue`.
/// - [`ErrorKind::PermissionDenied`] when the directory cannot be read.
///
/// # Platform
///
/// A mount shows the IPC namespace in which it was made, which in odd cases is not this process's.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, Name};
/// use ipc_mq::posix::{self, QueueOptions};
///
/// let name = Name::new(format!("ipc-mq-doc-list-{}", std::process::id()))?;
/// let _queue = QueueOptions::new().create(&name)?;
/// match posix::queues() {
///     Ok(queues) => assert!(queues.iter().any(|it| it.name == name && it.mode == 0o600)),
///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mq_overview`(7), section *Mounting the message queue filesystem*.
pub fn queues() -> Result<Vec<QueueEntry>> {
    match mount_point() {
        Some(path) => queues_in(&path),
        None => Err(Error::new(ErrorKind::Unsupported, "list POSIX queues").with_note(
            "no mqueue file system is mounted; as root: mkdir -p /dev/mqueue; \
             mount -t mqueue none /dev/mqueue",
        )),
    }
}

/// Every queue that the `mqueue` file system at `directory` shows, sorted by name: for a mount at
/// an odd place, or of another IPC namespace (`/proc/PID/root/dev/mqueue`).
///
/// # Errors
///
/// As for [`queues`]; [`ErrorKind::NotFound`] when there is no such directory.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// let error = ipc_mq::posix::queues_in("/no/such/directory").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// ```
pub fn queues_in(directory: impl AsRef<Path>) -> Result<Vec<QueueEntry>> {
    let mut queues = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        // A queue that has been removed meanwhile is none.
        let Ok(meta) = entry.metadata() else { continue };
        let Ok(name) = Name::new(entry.file_name()) else { continue };
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |key: &str| {
            text.split_whitespace().find_map(|it| it.strip_prefix(key)?.strip_prefix(':'))
        };
        let number = |key: &str| field(key).and_then(|it| it.parse::<u64>().ok());
        let pid = number("NOTIFY_PID").and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0);
        let signal = number("SIGNO").and_then(|it| i32::try_from(it).ok()).unwrap_or(0);
        queues.push(QueueEntry {
            name,
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
            bytes: number("QSIZE"),
            registered: pid.map(|pid| Registered { pid, signal }),
        });
    }
    queues.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(queues)
}

/// Where an `mqueue` file system is mounted: the usual place, if it is there.
fn mount_point() -> Option<PathBuf> {
    let usual = Path::new("/dev/mqueue");
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    let mut found: Vec<_> = mounts.split(|byte| *byte == b'\n').filter_map(mqueue_mount).collect();
    found.sort_by_key(|path| path != usual);
    found.into_iter().next()
}

/// The mount point in a line of `mountinfo`, if it is of type `mqueue`.
fn mqueue_mount(line: &[u8]) -> Option<PathBuf> {
    // `36 35 98:0 /root /point options optional… - type source options`
    let mut fields = line.split(|byte| *byte == b' ');
    let point = fields.nth(4)?;
    fields.find(|field| *field == b"-")?;
    (fields.next()? == b"mqueue").then(|| PathBuf::from(unescape(point)))
}

/// Spaces and the like are written as `\040`.
fn unescape(text: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code =
            code.and_then(|digits| u8::from_str_radix(OsStr::from_bytes(digits).to_str()?, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(out)
}

fn io(error: io::Error) -> Error {
    Error::from_os("list POSIX queues", error.raw_os_error().unwrap_or(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_among_others_and_unescaped() {
        let line = br"51 23 0:19 / /mnt/a\040b rw,relatime shared:9 - mqueue none rw";
        assert_eq!(mqueue_mount(line), Some(PathBuf::from("/mnt/a b")));
        assert_eq!(mqueue_mount(b"24 29 0:22 / /proc rw - proc proc rw"), None);
        assert_eq!(mqueue_mount(b""), None);
    }
}

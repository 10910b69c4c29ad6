//! How to open a port.

use std::path::PathBuf;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::user::is_one_user;
use rustix::net::SocketType;
use rustix::process::{geteuid, getuid};

use super::directory::{Directory, name};
use super::{Port, process};
use crate::unix::{Address, SocketOptions};

/// How to open the port of this process.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_sock::direct::PortOptions;
///
/// # let dir = tempfile::tempdir().unwrap();
/// let options = PortOptions::new().directory(dir.path().join("ports")).kept_messages(100);
/// let port = options.open()?;
/// assert_eq!(port.pid(), std::process::id());
/// assert_eq!(options.open().unwrap_err().kind(), ErrorKind::AlreadyExists);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "options do nothing until the port is opened"]
pub struct PortOptions {
    directory: Option<PathBuf>,
    pub(super) max_message: usize,
    pub(super) kept_messages: usize,
    pub(super) kept_bytes: usize,
    pub(super) contacts: usize,
    pub(super) accept_root: bool,
    send_buffer: Option<usize>,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl PortOptions {
    /// In the user's own directory, open to the user's own processes.
    pub const fn new() -> Self {
        Self {
            directory: None,
            max_message: 1 << 18,
            kept_messages: 1024,
            kept_bytes: 1 << 20,
            contacts: 32,
            accept_root: false,
            send_buffer: None,
        }
    }

    /// The directory in which the ports are that can reach each other, made with mode 0700 if there is
    /// none. Unless told otherwise it is `$XDG_RUNTIME_DIR/ipc-direct` where that variable names a
    /// directory of this user with mode 0700, and `/tmp/ipc-direct-UID` else.
    ///
    /// It must belong to this user, with no permission for anybody else. Nor may anybody else be able to
    /// write to the directories above, unless they are sticky as `/tmp` is.
    ///
    /// # Limits
    ///
    /// 107 bytes for the path of a port, which ends in `/PID.START`: about 80 for the directory.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// The longest message in bytes that is received: 256 KiB unless told otherwise, which is more than
    /// the kernel's default lets anybody send. A longer one is [`ErrorKind::MessageTooLarge`] and lost.
    /// This much memory is reserved, and used as far as messages are long.
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// How many messages are kept at most that a receive from one process has found in its way: 1024
    /// unless told otherwise.
    pub const fn kept_messages(mut self, messages: usize) -> Self {
        self.kept_messages = messages;
        self
    }

    /// How many bytes the messages that are kept may have together before no more are kept: 1 MiB unless
    /// told otherwise. The last of them may go beyond it.
    pub const fn kept_bytes(mut self, bytes: usize) -> Self {
        self.kept_bytes = bytes;
        self
    }

    /// How many processes the port remembers, so that another one with the pid of one of them is told
    /// apart: 32 unless told otherwise. The one that was not dealt with for longest is forgotten first.
    ///
    /// # Limits
    ///
    /// Each takes two descriptors (`RLIMIT_NOFILE`).
    pub const fn contacts(mut self, processes: usize) -> Self {
        self.contacts = processes;
        self
    }

    /// Receives also what processes of root send, which can reach every user's directory. What root says
    /// about its pid is root's word: it may send any credentials.
    pub const fn accept_root(mut self, yes: bool) -> Self {
        self.accept_root = yes;
        self
    }

    /// Asks for room for what was sent to one process and not yet received there: `SO_SNDBUF`. The kernel
    /// doubles the figure for its own needs.
    ///
    /// # Limits
    ///
    /// `/proc/sys/net/core/wmem_max`; the kernel takes no more, and says nothing.
    #[doc(alias = "SO_SNDBUF")]
    pub const fn send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = Some(bytes);
        self
    }

    /// Opens the port of this process: `socket`, `bind`. Names that dead processes left in the directory
    /// are removed.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::AlreadyExists`] when this process has a port in this directory;
    /// - for the directory: [`ErrorKind::ForeignOwner`] when another user made it,
    ///   [`ErrorKind::PermissionDenied`] when others have permissions, [`ErrorKind::WrongType`] for what
    ///   is no directory, also for a symbolic link to one, [`ErrorKind::InvalidName`] when its path is
    ///   too long, [`ErrorKind::NotFound`] when the directory above is not there;
    /// - [`ErrorKind::Unsupported`] in a set-user-ID program: what it sends has its *real* user for a
    ///   sender, and would be refused; in a user namespace that has no number for this process's user; and where
    ///   `/proc` is not that of this pid namespace;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn open(&self) -> Result<Port> {
        const OP: &str = "open port";
        if !is_one_user(geteuid().as_raw()) {
            return Err(Error::new(ErrorKind::Unsupported, OP).with_note(
                "in this user namespace, this process's user cannot be told from others",
            ));
        }
        if getuid() != geteuid() {
            return Err(Error::new(ErrorKind::Unsupported, OP)
                .with_note("the real user of this process is not its effective one"));
        }
        let (pid, start) = process::this()?;
        let directory = Directory::open(self.directory.as_deref())?;
        directory.clean();
        let name = name(pid, start);
        let path = directory.path().join(&name);
        let address = Address::path(&path)?;
        let (socket, bound) =
            self.sockets().credentials(true).bind(&address, SocketType::DGRAM).map_err(
                |error| match error.kind() {
                    ErrorKind::AlreadyExists => error.with_note("this process has a port there"),
                    _ => error,
                },
            )?;
        if !directory.has(&name) {
            return Err(Error::new(ErrorKind::NotFound, OP)
                .with_note("somebody has moved the directory at this moment"));
        }
        Ok(Port::new(self, directory, path, (socket, bound)))
    }

    /// The options of the sockets.
    pub(super) const fn sockets(&self) -> SocketOptions {
        match self.send_buffer {
            Some(bytes) => SocketOptions::new().send_buffer(bytes),
            None => SocketOptions::new(),
        }
    }
}

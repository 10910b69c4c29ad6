//! Who is at the other end.

use std::os::fd::{AsFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use ipc_fd::user::is_owner;
use rustix::io::Errno;

use crate::socket::Socket;
use crate::sys;

/// A process as the kernel knows it: of a peer at the moment when it connected, listened or made the
/// pair; of a message at the moment when it was sent.
///
/// The process may have ended since, and another one may have its pid: [a pidfd](super::Stream::peer_pidfd)
/// tells. A process that connects and then runs another program, or hands its end to another
/// process, stays the peer.
///
/// # Examples
///
/// ```
/// let (one, _two) = ipc_sock::unix::SocketOptions::new().pair()?;
/// let peer = one.peer()?;
/// assert_eq!(peer.pid, std::process::id());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `unix`(7), `SO_PEERCRED` and `SCM_CREDENTIALS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias("SO_PEERCRED", "SCM_CREDENTIALS", "ucred"))]
pub struct Credentials {
    /// The process; 0 if it is in a pid namespace that this process cannot see.
    pub pid: u32,
    /// Its effective user id; 65534 (`/proc/sys/kernel/overflowuid`) if it has none in this user
    /// namespace.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

impl From<libc::ucred> for Credentials {
    fn from(cred: libc::ucred) -> Self {
        Self { pid: u32::try_from(cred.pid).unwrap_or(0), uid: cred.uid, gid: cred.gid }
    }
}

/// Which users may be at the other end.
///
/// Both sides check: who connects, that the listener belongs to a user it trusts, and who listens,
/// that the client does. The kernel vouches for the user id (`SO_PEERCRED`), which no name and no mode
/// of a file does. In a user namespace without a number for this process's user, many users look alike:
/// there, [`Trust::SameUser`] trusts nobody.
///
/// # Examples
///
/// ```
/// use ipc_sock::unix::{SocketOptions, Trust};
/// // A client of a daemon that runs as root.
/// let options = SocketOptions::new().trust(Trust::User(0));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Trust {
    /// This process's effective user alone. Not even root: name it, if it is to be trusted.
    #[default]
    SameUser,
    /// This user alone.
    User(u32),
    /// Whoever can reach the socket. The mode of its file and of its directories is then all that
    /// protects it, and an abstract name has neither.
    Anyone,
}

impl Trust {
    /// Whether a peer is one of these users.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ForeignOwner`] if it is not.
    pub(crate) fn check(self, peer: &Credentials, op: &'static str) -> Result<()> {
        self.check_uid(peer.uid, op)
    }

    /// Whether a user is one of these.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ForeignOwner`] if not.
    pub(crate) fn check_uid(self, uid: u32, op: &'static str) -> Result<()> {
        let trusted = match self {
            Self::Anyone => true,
            Self::User(owner) => is_owner(uid, Some(owner)),
            Self::SameUser => is_owner(uid, None),
        };
        if trusted {
            return Ok(());
        }
        Err(Error::new(ErrorKind::ForeignOwner { uid }, op)
            .with_note("name that user in SocketOptions::trust if you trust it"))
    }
}

/// `SO_PEERCRED`
pub(crate) fn credentials(socket: &Socket) -> Result<Credentials> {
    // Not rustix's: its pid has no zero, which the kernel writes for a process that is not visible here.
    sys::peer_credentials(socket.as_fd()).map(Into::into).map_err(os("getsockopt SO_PEERCRED"))
}

/// `SO_PEERPIDFD`
pub(crate) fn pidfd(socket: &Socket) -> Result<OwnedFd> {
    const OP: &str = "getsockopt SO_PEERPIDFD";
    sys::peer_pidfd(socket.as_fd()).map_err(|errno| match errno {
        // Before Linux 6.16 the kernel has none for a process that was waited for.
        Errno::SRCH | Errno::INVAL => os(OP)(errno)
            .with_kind(ErrorKind::NotFound)
            .with_note("the peer has ended, and was waited for"),
        Errno::NODATA => os(OP)(errno).with_kind(ErrorKind::Unsupported),
        errno => os(OP)(errno),
    })
}

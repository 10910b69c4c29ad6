//! What the kernel allows, and errors that name it.

use std::fs;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// The most messages that a queue of a privileged process can have room for, `HARD_MSGMAX`.
const HARD_MSGMAX: usize = 65_536;

/// The longest message of a queue that a privileged process makes, in bytes: `HARD_MSGSIZEMAX`.
pub(crate) const HARD_MSGSIZEMAX: usize = 16 << 20;

/// Too many messages in one queue.
const MSG_MAX: ErrorKind = ErrorKind::ResourceLimit {
    limit: "room for messages in one POSIX queue",
    knob: "/proc/sys/fs/mqueue/msg_max (CAP_SYS_RESOURCE goes beyond it, up to 65536)",
};

/// Messages that are too long.
const MSGSIZE_MAX: ErrorKind = ErrorKind::ResourceLimit {
    limit: "bytes in one message of a POSIX queue",
    knob: "/proc/sys/fs/mqueue/msgsize_max (CAP_SYS_RESOURCE goes beyond it, up to 16 MiB)",
};

/// Too many queues.
const QUEUES_MAX: ErrorKind = ErrorKind::ResourceLimit {
    limit: "POSIX message queues in this IPC namespace",
    knob: "/proc/sys/fs/mqueue/queues_max",
};

/// Too many bytes in the queues of a user.
const MSGQUEUE_BYTES: ErrorKind = ErrorKind::ResourceLimit {
    limit: "bytes in all POSIX message queues of this user",
    knob: "RLIMIT_MSGQUEUE (ulimit -q)",
};

/// What limits POSIX message queues here: `/proc/sys/fs/mqueue` and `RLIMIT_MSGQUEUE`.
///
/// # Units
///
/// Messages, bytes and queues, as each field says.
///
/// # Examples
///
/// ```
/// let limits = ipc_mq::posix::Limits::read()?;
/// assert!(limits.default_capacity <= limits.max_capacity);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mq_overview`(7), section */proc interfaces*; `getrlimit`(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "RLIMIT_MSGQUEUE")]
pub struct Limits {
    /// How many messages a queue has room for when nothing is said: `msg_default`, at most
    /// `msg_max`.
    pub default_capacity: usize,
    /// How long a message may be when nothing is said, in bytes: `msgsize_default`, at most
    /// `msgsize_max`.
    pub default_message_size: usize,
    /// The most messages that a queue of an unprivileged process has room for: `msg_max`.
    pub max_capacity: usize,
    /// The longest message of a queue of an unprivileged process, in bytes: `msgsize_max`.
    pub max_message_size: usize,
    /// The most queues in this IPC namespace, but for privileged processes: `queues_max`.
    pub max_queues: usize,
    /// The most bytes in all queues of this user together, `None` without a limit. A queue counts
    /// with all that it has room for, and some bytes for each message.
    pub user_bytes: Option<u64>,
}

impl Limits {
    /// Reads the limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when `/proc` is not mounted or the kernel has no POSIX message
    /// queues.
    pub fn read() -> Result<Self> {
        let (max_capacity, max_message_size) = (sysctl("msg_max")?, sysctl("msgsize_max")?);
        Ok(Self {
            default_capacity: sysctl("msg_default")?.min(max_capacity),
            default_message_size: sysctl("msgsize_default")?.min(max_message_size),
            max_capacity,
            max_message_size,
            max_queues: sysctl("queues_max")?,
            user_bytes: getrlimit(Resource::Msgqueue).current,
        })
    }
}

fn sysctl(name: &str) -> Result<usize> {
    let text = fs::read_to_string(format!("/proc/sys/fs/mqueue/{name}"));
    text.ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "read limits").with_note(
            "/proc/sys/fs/mqueue: /proc is not mounted or the kernel has no POSIX queues",
        )
    })
}

/// Why `mq_open` would not create a queue of these sizes.
#[cold]
pub(super) fn create_error(errno: Errno, sizes: Option<(usize, usize)>) -> Error {
    let error = open_error(errno);
    let limits = Limits::read().ok();
    match (errno, sizes) {
        (Errno::INVAL | Errno::OVERFLOW, Some((capacity, message_size))) => {
            let (most, longest) = limits.map_or((HARD_MSGMAX, HARD_MSGSIZEMAX), |it| {
                (it.max_capacity, it.max_message_size)
            });
            match () {
                () if capacity > HARD_MSGMAX => error.with_kind(MSG_MAX),
                () if message_size > HARD_MSGSIZEMAX => error.with_kind(MSGSIZE_MAX),
                () if capacity > most => error.with_kind(MSG_MAX),
                () if message_size > longest => error.with_kind(MSGSIZE_MAX),
                () => error,
            }
        }
        (Errno::NOSPC, _) => error.with_kind(QUEUES_MAX),
        // The kernel says `EMFILE` for two limits. What has room for one more is not the one.
        (Errno::MFILE, _) if has_free_descriptor() => error.with_kind(MSGQUEUE_BYTES),
        _ => error,
    }
}

/// Why `mq_open` would not open a queue.
#[cold]
pub(super) fn open_error(errno: Errno) -> Error {
    let error = os("mq_open")(errno);
    match errno {
        Errno::NOSYS => error.with_note("the kernel has no POSIX queues (CONFIG_POSIX_MQUEUE)"),
        Errno::ACCESS => {
            error.with_note("the queue's mode does not let this user have that access")
        }
        _ => error,
    }
}

fn has_free_descriptor() -> bool {
    rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok()
}

//! The one error type.

use std::{fmt, io};

use crate::{NameProblem, errno};

/// The result of every operation in this workspace.
///
/// # Examples
///
/// ```
/// fn double(n: u32) -> ipc_core::Result<u32> {
///     n.checked_mul(2)
///         .ok_or(ipc_core::Error::new(ipc_core::ErrorKind::InvalidInput, "double"))
/// }
/// assert_eq!(double(4), Ok(8));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms that a program can act on.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, SendMsg};
/// use ipc_pipe::PipeOptions;
///
/// let (_rx, mut tx) = PipeOptions::new().open_packet()?;
/// match tx.send(&[0; 5000]).map_err(|error| error.kind()) {
///     Err(ErrorKind::MessageTooLarge { len: 5000, max }) => assert_eq!(max, 4096),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operation would have to wait, and [`Wait::Never`](crate::Wait::Never) was asked for.
    /// Nothing happened; try again later.
    WouldBlock,
    /// The deadline passed first.
    TimedOut,
    /// The other end is gone, or the object was removed.
    Disconnected,
    /// The message is longer than the mechanism, or the buffer offered for it, can take. Nothing
    /// was sent; a message that was to be received is still there.
    MessageTooLarge {
        /// The length of the message in bytes; a lower bound where the kernel does not tell it, which
        /// the mechanism then documents.
        len: usize,
        /// The most that fits, in bytes.
        max: usize,
    },
    /// The address exists, and nobody listens there.
    ConnectionRefused,
    /// Nothing has this name.
    NotFound,
    /// Something has this name already.
    AlreadyExists,
    /// The kernel does not let this user do that.
    PermissionDenied,
    /// The object belongs to another user, and the caller did not say that it trusts that user.
    ForeignOwner {
        /// The owner's user id.
        uid: u32,
    },
    /// The name cannot be used at all.
    InvalidName(NameProblem),
    /// An argument makes no sense, whatever the state of the system.
    InvalidInput,
    /// The object is of another type than the operation needs.
    WrongType {
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A limit of the system was reached; raising it, or using less, helps.
    ResourceLimit {
        /// What ran out.
        limit: &'static str,
        /// What changes the limit.
        knob: &'static str,
    },
    /// The process that held the lock died; what the lock protects may be half changed.
    OwnerDied,
    /// What the peer wrote does not make sense; the channel cannot be used any more.
    Corrupted,
    /// The mechanism, or this kernel, does not do that.
    Unsupported,
    /// Any other error of the operating system.
    Other,
}

impl ErrorKind {
    /// The nearest kind of `std`.
    fn to_io(self) -> io::ErrorKind {
        match self {
            Self::WouldBlock => io::ErrorKind::WouldBlock,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Disconnected => io::ErrorKind::BrokenPipe,
            Self::ConnectionRefused => io::ErrorKind::ConnectionRefused,
            Self::NotFound => io::ErrorKind::NotFound,
            Self::AlreadyExists => io::ErrorKind::AlreadyExists,
            Self::PermissionDenied | Self::ForeignOwner { .. } => io::ErrorKind::PermissionDenied,
            Self::MessageTooLarge { .. }
            | Self::InvalidName(_)
            | Self::InvalidInput
            | Self::WrongType { .. } => io::ErrorKind::InvalidInput,
            Self::ResourceLimit { .. } => io::ErrorKind::QuotaExceeded,
            Self::Corrupted => io::ErrorKind::InvalidData,
            Self::Unsupported => io::ErrorKind::Unsupported,
            Self::OwnerDied | Self::Other => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("it would have to wait"),
            Self::TimedOut => f.write_str("the deadline passed"),
            Self::Disconnected => f.write_str("the other end is gone"),
            Self::MessageTooLarge { len, max } => {
                write!(f, "the message has {len} bytes and {max} fit")
            }
            Self::ConnectionRefused => f.write_str("nobody listens there"),
            Self::NotFound => f.write_str("there is nothing of that name"),
            Self::AlreadyExists => f.write_str("something of that name exists already"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::ForeignOwner { uid } => write!(f, "it belongs to another user (uid {uid})"),
            Self::InvalidName(problem) => write!(f, "the name {problem}"),
            Self::InvalidInput => f.write_str("an argument is not valid"),
            Self::WrongType { expected, found } => {
                write!(f, "it must be {expected} and is {found}")
            }
            Self::ResourceLimit { limit, knob } => write!(f, "no more {limit}; see {knob}"),
            Self::OwnerDied => f.write_str("the process that held the lock died"),
            Self::Corrupted => f.write_str("what the peer wrote does not make sense"),
            Self::Unsupported => f.write_str("not supported here"),
            Self::Other => f.write_str("the operating system refused"),
        }
    }
}

/// An operation that failed: what kind of failure, which operation, which errno, and what to do.
///
/// It is small, it does not allocate, and it turns into [`io::Error`] with `?`.
///
/// # Examples
///
/// ```
/// use ipc_core::{Error, ErrorKind};
///
/// let error = Error::from_os("pipe2", 24);
/// assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }));
/// assert_eq!(
///     error.to_string(),
///     "pipe2: no more open file descriptors of this process; \
///      see RLIMIT_NOFILE (ulimit -n) (EMFILE)",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    op: &'static str,
    os: Option<i32>,
    note: Option<&'static str>,
}

impl Error {
    /// An error that this workspace noticed itself, in operation `op`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Error, ErrorKind}; assert_eq!(Error::new(ErrorKind::TimedOut,
    /// "read").to_string(), "read: the deadline passed");
    /// ```
    #[must_use]
    pub const fn new(kind: ErrorKind, op: &'static str) -> Self {
        Self { kind, op, os: None, note: None }
    }

    /// An error of the operating system in operation `op`; the kind follows from the errno.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Error, ErrorKind};
    /// assert_eq!(Error::from_os("write", 32).kind(), ErrorKind::Disconnected);
    /// ```
    #[must_use]
    pub fn from_os(op: &'static str, errno: i32) -> Self {
        Self { kind: errno::kind(errno), op, os: Some(errno), note: None }
    }

    /// The same error with a kind that says more than its errno does.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Error, ErrorKind};
    /// // ENXIO from open(2) of a FIFO means that nobody reads it yet.
    /// let error = Error::from_os("open", 6).with_kind(ErrorKind::WouldBlock);
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// assert_eq!(error.raw_os_error(), Some(6));
    /// ```
    #[must_use]
    pub const fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error with a sentence that says what was expected or what to do.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::InvalidInput, "seek").with_note("a pipe has no position");
    /// assert_eq!(error.to_string(), "seek: an argument is not valid: a pipe has no position");
    /// ```
    #[must_use]
    pub const fn with_note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    /// What kind of failure.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Error, ErrorKind};
    /// assert_eq!(Error::from_os("read", 11).kind(), ErrorKind::WouldBlock);
    /// ```
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Which operation: the system call, or the method where no single call stands for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Error;
    /// assert_eq!(Error::from_os("mkfifo", 17).op(), "mkfifo");
    /// ```
    #[must_use]
    pub const fn op(&self) -> &'static str {
        self.op
    }

    /// The errno, where the operating system gave one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Error, ErrorKind};
    /// assert_eq!(Error::from_os("mkfifo", 17).raw_os_error(), Some(17));
    /// assert_eq!(Error::new(ErrorKind::TimedOut, "read").raw_os_error(), None);
    /// ```
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        self.os
    }

    /// What was expected or what to do, where there is more to say than the kind does.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Error;
    /// assert_eq!(Error::from_os("read", 11).note(), None);
    /// ```
    #[must_use]
    pub const fn note(&self) -> Option<&'static str> {
        self.note
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op, self.kind)?;
        if let Some(note) = self.note {
            write!(f, ": {note}")?;
        }
        match self.os.map(|os| (os, errno::name(os))) {
            Some((_, Some(name))) => write!(f, " ({name})"),
            Some((os, None)) => write!(f, " (errno {os})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Keeps the whole error: `get_ref` and a downcast bring it back, with the errno, which
/// `io::Error::raw_os_error` does not know. The kind becomes the nearest one of `std`.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind.to_io(), error)
    }
}

/// A value that was refused, handed back together with the reason.
///
/// A conversion that consumes a descriptor gives it back in this, so that a wrong guess loses
/// nothing. `?` drops the value and keeps the [`Error`].
///
/// # Examples
///
/// ```
/// use std::os::fd::OwnedFd;
/// use ipc_core::{ErrorKind, Rejected};
/// use ipc_pipe::PipeReader;
///
/// let file = std::fs::File::open("/dev/null").unwrap();
/// let rejected = PipeReader::try_from(OwnedFd::from(file)).unwrap_err();
/// assert!(matches!(rejected.error.kind(), ErrorKind::WrongType { expected: "a pipe", .. }));
/// let _still_open: OwnedFd = rejected.value;
/// ```
#[derive(Debug)]
pub struct Rejected<T> {
    /// What was offered, unchanged.
    pub value: T,
    /// Why it was refused.
    pub error: Error,
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for Rejected<T> {}

impl<T> From<Rejected<T>> for Error {
    fn from(rejected: Rejected<T>) -> Self {
        rejected.error
    }
}

impl<T> From<Rejected<T>> for io::Error {
    fn from(rejected: Rejected<T>) -> Self {
        rejected.error.into()
    }
}

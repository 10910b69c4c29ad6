//! What can come of a call.

use std::fmt;

use ipc_core::{Error, ErrorKind};

/// What the server says of a call: the status of a reply.
///
/// # Examples
///
/// ```
/// use ipc_rpc::Status;
/// assert_eq!(Status::Panicked.to_string(), "the method panicked");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It was executed, and its result follows.
    Ok,
    /// The method panicked.
    Panicked,
    /// The service has no such method.
    UnknownMethod,
    /// The arguments are not those of the method.
    Malformed,
    /// It was executed, and its result does not fit into a frame.
    ReplyTooLarge,
    /// Its deadline had passed before it was begun.
    Expired,
    /// It was cancelled before it was begun.
    Cancelled,
    /// The server's queue is full.
    Busy,
    /// The server remembers that it knew the call, and has no reply to it any more.
    Stale,
    /// The server keeps no journal, without which nothing is exactly once.
    NoJournal,
    /// The journal could not be written.
    JournalFailed,
    /// The server does not know the client: it was restarted, or has forgotten it.
    UnknownClient,
    /// It was executed, and its result cannot be sent: its `Serialize` refuses, or there are descriptors in it that
    /// the link does not pass. The effect of an exactly-once call is undone.
    BadResult,
}

impl Status {
    pub(crate) const fn to_byte(self) -> u8 {
        self as u8
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Ok,
            1 => Self::Panicked,
            2 => Self::UnknownMethod,
            3 => Self::Malformed,
            4 => Self::ReplyTooLarge,
            5 => Self::Expired,
            6 => Self::Cancelled,
            7 => Self::Busy,
            8 => Self::Stale,
            9 => Self::NoJournal,
            10 => Self::JournalFailed,
            11 => Self::UnknownClient,
            12 => Self::BadResult,
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "it was executed",
            Self::Panicked => "the method panicked",
            Self::UnknownMethod => "the service has no such method",
            Self::Malformed => "the arguments are not those of the method",
            Self::ReplyTooLarge => "the result does not fit into a frame",
            Self::Expired => "the deadline had passed before the method was begun",
            Self::Cancelled => "it was cancelled before the method was begun",
            Self::Busy => "the server's queue is full",
            Self::Stale => "the server executes it no more and has no reply to it any more",
            Self::NoJournal => "the server keeps no journal for exactly-once calls",
            Self::JournalFailed => "the server could not write its journal",
            Self::UnknownClient => "the server does not know the client",
            Self::BadResult => "the method's result cannot be sent",
        })
    }
}

/// Whether a call that has failed was executed.
///
/// # Examples
///
/// See [`CallError::outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was not, and never will be.
    NotExecuted,
    /// It was.
    Executed,
    /// It was or was not, wholly or in part, or will be yet.
    Unknown,
}

/// Why there is no result of a call.
///
/// What the method itself says went wrong is no error of the call, but a result of its own type.
///
/// # Examples
///
/// ```
/// use ipc_rpc::{CallError, Outcome, Status};
///
/// fn may_be_tried_again(error: &CallError) -> bool {
///     error.outcome() == Outcome::NotExecuted
/// }
/// assert!(may_be_tried_again(&CallError::Failed(Status::Busy)));
/// assert!(!may_be_tried_again(&CallError::OutcomeUnknown));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The transport failed: the deadline passed ([`ErrorKind::TimedOut`]), the server is gone
    /// ([`ErrorKind::Disconnected`]), the arguments are too long ([`ErrorKind::MessageTooLarge`]).
    Transport {
        /// What it says.
        error: Error,
        /// [`Outcome::NotExecuted`] if the request never went out.
        outcome: Outcome,
    },
    /// The server answers that the call failed.
    Failed(Status),
    /// The method was executed, and its result is longer than a frame may be.
    ReplyTooLarge {
        /// How long it is in bytes, at least.
        len: usize,
        /// How long it may be.
        max: usize,
    },
    /// The server was restarted, or has forgotten this client, after the request was sent: whether it was
    /// executed is not known. Only an exactly-once call outlives that.
    OutcomeUnknown,
    /// The result is not one of the method's type.
    BadReply,
    /// When the connection was made again, the server did not let this client in.
    Refused(Refusal),
}

impl CallError {
    /// Whether the call was executed, as far as is known.
    ///
    /// For a call that is made [at least once](crate::Semantics::AtLeastOnce), a refusal says that of one of its
    /// requests only.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Transport { outcome, .. } => *outcome,
            Self::Failed(status) => match status {
                Status::Ok | Status::ReplyTooLarge => Outcome::Executed,
                Status::UnknownMethod
                | Status::Malformed
                | Status::Expired
                | Status::Cancelled
                | Status::Busy
                | Status::NoJournal => Outcome::NotExecuted,
                Status::Panicked
                | Status::Stale
                | Status::JournalFailed
                | Status::UnknownClient
                | Status::BadResult => Outcome::Unknown,
            },
            Self::ReplyTooLarge { .. } | Self::BadReply => Outcome::Executed,
            Self::OutcomeUnknown | Self::Refused(_) => Outcome::Unknown,
        }
    }

    /// Whether its deadline passed, here or at the server.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Transport { error, .. } => error.kind() == ErrorKind::TimedOut,
            Self::Failed(status) => *status == Status::Expired,
            _ => false,
        }
    }

    pub(crate) const fn not_sent(error: Error) -> Self {
        Self::Transport { error, outcome: Outcome::NotExecuted }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport { error, outcome: Outcome::NotExecuted } => {
                write!(f, "{error}; the call was not executed")
            }
            Self::Transport { error, .. } => {
                write!(f, "{error}; the call may have been executed")
            }
            Self::Failed(status) => write!(f, "call: {status}"),
            Self::ReplyTooLarge { len, max } => {
                write!(
                    f,
                    "call: the method was executed, and its result has {len} bytes where {max} fit: \
                     see ClientOptions::max_frame and HostOptions::max_frame"
                )
            }
            Self::OutcomeUnknown => f.write_str(
                "call: the server was restarted, or has forgotten this client: the call may have been executed",
            ),
            Self::BadReply => f.write_str("call: the result is not of the method's type"),
            Self::Refused(refusal) => write!(f, "connect again: {refusal}"),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Transport { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why a server does not let a client in.
///
/// # Examples
///
/// ```
/// use ipc_rpc::Refusal;
/// let refusal = Refusal::WrongVersion { ours: 2, theirs: 1 };
/// assert_eq!(refusal.to_string(), "the server has version 1 of the service, and this client wants 2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It speaks another version of the protocol.
    WrongProtocol,
    /// It is another service.
    WrongService,
    /// It has another version of the service.
    WrongVersion {
        /// The client's.
        ours: u32,
        /// The server's.
        theirs: u32,
    },
    /// Its methods or their types differ, although the versions are the same.
    WrongMethods,
    /// It remembers as many clients as it can.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongProtocol => f.write_str("the server speaks another version of the protocol"),
            Self::WrongService => f.write_str("the server has another service"),
            Self::WrongVersion { ours, theirs } => write!(
                f,
                "the server has version {theirs} of the service, and this client wants {ours}"
            ),
            Self::WrongMethods => f.write_str(
                "the server's methods, or their types, differ from this client's of the same version",
            ),
            Self::Full => f.write_str(
                "the server remembers as many clients as it can: see HostOptions::max_clients",
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// Why a client is not connected.
///
/// # Examples
///
/// See [`Client::connect`](crate::Client::connect).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The transport failed.
    Transport(Error),
    /// The server did not let it in.
    Refused(Refusal),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::Refused(refusal) => write!(f, "connect: {refusal}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        Self::Transport(error)
    }
}

impl From<Refusal> for ConnectError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

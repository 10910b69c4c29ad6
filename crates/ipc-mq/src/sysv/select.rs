//! Types of messages, and choosing by type.

use std::ffi::{c_int, c_long};
use std::fmt;

use ipc_core::{Error, ErrorKind, Result};

/// The type of a message: a number above 0, which receivers [select](Select) by.
///
/// # Examples
///
/// ```
/// use ipc_core::ErrorKind;
/// use ipc_mq::sysv::MessageType;
///
/// assert_eq!(MessageType::new(7)?.get(), 7);
/// for invalid in [0, -1, i64::MIN] {
///     assert_eq!(MessageType::new(invalid).unwrap_err().kind(), ErrorKind::InvalidInput);
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgop`(2), `mtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "mtype")]
pub struct MessageType(c_long);

impl MessageType {
    /// 1, the lowest: what messages have if nothing else is said.
    pub const ONE: Self = Self(1);

    /// A type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for 0, for negative numbers, and for what a C `long` cannot
    /// hold.
    ///
    /// # Examples
    ///
    /// See [`MessageType`].
    pub fn new(number: i64) -> Result<Self> {
        match c_long::try_from(number) {
            Ok(number @ 1..) => Ok(Self(number)),
            _ => Err(Error::new(ErrorKind::InvalidInput, "message type")
                .with_note("a type is a C long above 0")),
        }
    }

    /// The number.
    ///
    /// # Examples
    ///
    /// See [`MessageType`].
    #[must_use]
    #[expect(
        clippy::allow_attributes,
        reason = "whether the next one is fulfilled depends on the target"
    )]
    #[allow(clippy::useless_conversion, reason = "a C long has 32 bits on some targets")]
    pub fn get(self) -> i64 {
        self.0.into()
    }

    #[inline]
    pub(super) fn raw(self) -> c_long {
        self.0
    }

    /// What the kernel has given.
    #[inline]
    pub(super) fn of_kernel(number: c_long) -> Self {
        Self(number.max(1))
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As [`MessageType::new`].
impl TryFrom<i64> for MessageType {
    type Error = Error;

    fn try_from(number: i64) -> Result<Self> {
        Self::new(number)
    }
}

/// Which messages a receive takes; of those, the one that was sent first, but for
/// [`LowestUpTo`](Self::LowestUpTo).
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_mq::sysv::{MessageType, QueueOptions, Select};
///
/// let (mut rx, mut tx) = QueueOptions::new().pair()?;
/// let types = [5, 3, 9].map(|it| MessageType::new(it).unwrap());
/// for kind in types {
///     tx.send_typed(&[], kind, Wait::Forever)?;
/// }
/// let mut next =
///     |select| rx.recv_select(select, &mut [], Wait::Never).map(|(_, kind)| kind.get());
/// assert_eq!(next(Select::LowestUpTo(types[0]))?, 3);
/// assert_eq!(next(Select::Except(types[0]))?, 9);
/// assert_eq!(next(Select::Type(types[0]))?, 5);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `msgop`(2): `msgtyp` and `MSG_EXCEPT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[doc(alias = "msgtyp")]
pub enum Select {
    /// Any message: `msgtyp` 0.
    #[default]
    Any,
    /// A message of this type: `msgtyp` above 0.
    Type(MessageType),
    /// A message of the lowest type that is there, if it is not above this one: a negative
    /// `msgtyp`. So types are priorities, and 1 is the most urgent.
    LowestUpTo(MessageType),
    /// A message of any other type: `MSG_EXCEPT`.
    #[doc(alias = "MSG_EXCEPT")]
    Except(MessageType),
}

impl Select {
    /// `msgtyp` and the flag that belongs to it.
    #[inline]
    pub(super) fn raw(self) -> (c_long, c_int) {
        match self {
            Self::Any => (0, 0),
            Self::Type(kind) => (kind.0, 0),
            Self::LowestUpTo(kind) => (-kind.0, 0),
            Self::Except(kind) => (kind.0, libc::MSG_EXCEPT),
        }
    }

    /// Which of these types, in the order of their messages, a receive takes.
    pub(super) fn pick(self, types: &[MessageType]) -> Option<usize> {
        match self {
            Self::Any => (!types.is_empty()).then_some(0),
            Self::Type(kind) => types.iter().position(|it| *it == kind),
            Self::Except(kind) => types.iter().position(|it| *it != kind),
            Self::LowestUpTo(most) => {
                let allowed = types.iter().enumerate().filter(|(_, it)| **it <= most);
                // The first of several that are equally low.
                allowed.min_by_key(|(at, it)| (**it, *at)).map(|(at, _)| at)
            }
        }
    }
}

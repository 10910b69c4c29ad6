//! Names of objects in a flat namespace.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::{Error, ErrorKind, Result};

/// What is wrong with a name.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, Name, NameProblem};
/// let error = Name::new("a/b").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidName(NameProblem::Slash { at: 1 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NameProblem {
    /// It has no bytes.
    Empty,
    /// It is `.` or `..`, which name directories.
    Dot,
    /// It has a NUL byte, which ends a name for the kernel.
    Nul {
        /// The index of the byte.
        at: usize,
    },
    /// It has a slash, which separates components of a path.
    Slash {
        /// The index of the byte.
        at: usize,
    },
    /// It is longer than the kernel takes.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most the kernel takes, in bytes.
        max: usize,
    },
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::Dot => f.write_str("is . or .., a directory"),
            Self::Nul { at } => write!(f, "has a NUL at byte {at}"),
            Self::Slash { at } => write!(f, "has a slash at byte {at}, where none may be"),
            Self::TooLong { len, max } => write!(f, "has {len} bytes, and at most {max} may be"),
        }
    }
}

/// The name of an object in a flat namespace of the kernel or of a directory: one component, not a
/// path.
///
/// It is one to 255 bytes (`NAME_MAX`), none of them NUL or a slash, and neither `.` nor `..`. It
/// need not be UTF-8. What a mechanism puts around it (the leading slash of `mq_open`, the `sem.`
/// of a POSIX semaphore) is the mechanism's affair and never part of the name.
///
/// # Limits
///
/// A mechanism may take less than `NAME_MAX` and says so where it does.
///
/// # Examples
///
/// ```
/// use ipc_core::Name;
///
/// let name = Name::new("telemetry")?;
/// assert_eq!(name.to_string(), "telemetry");
/// assert!(Name::new("no/slash").is_err());
/// assert!(Name::new("no\0nul").is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `NAME_MAX` in `limits.h`(0P), POSIX.1-2017 3.170 Filename; `path_resolution`(7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(OsString);

impl Name {
    /// The most bytes of a name on Linux, `NAME_MAX`.
    pub const MAX: usize = 255;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`] with what is wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{ErrorKind, Name, NameProblem};
    /// let error = Name::new("x".repeat(256)).unwrap_err();
    /// let problem = NameProblem::TooLong { len: 256, max: 255 };
    /// assert_eq!(error.kind(), ErrorKind::InvalidName(problem));
    /// ```
    pub fn new(name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        match Self::problem(name.as_bytes()) {
            None => Ok(Self(name.to_owned())),
            Some(problem) => Err(Error::new(ErrorKind::InvalidName(problem), "name")),
        }
    }

    /// The name itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Name;
    /// assert_eq!(Name::new("queue")?.as_os_str(), "queue");
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    fn problem(name: &[u8]) -> Option<NameProblem> {
        let find = |byte| name.iter().position(|it| *it == byte);
        if name.is_empty() {
            Some(NameProblem::Empty)
        } else if let Some(at) = find(0) {
            Some(NameProblem::Nul { at })
        } else if let Some(at) = find(b'/') {
            Some(NameProblem::Slash { at })
        } else if name == b"." || name == b".." {
            Some(NameProblem::Dot)
        } else if name.len() > Self::MAX {
            Some(NameProblem::TooLong { len: name.len(), max: Self::MAX })
        } else {
            None
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl AsRef<OsStr> for Name {
    fn as_ref(&self) -> &OsStr {
        &self.0
    }
}

impl TryFrom<&str> for Name {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl std::str::FromStr for Name {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

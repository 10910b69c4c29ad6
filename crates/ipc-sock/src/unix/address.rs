//! Names of Unix sockets.

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipc_core::{Error, ErrorKind, NameProblem, Result};
use ipc_fd::kind::os;
use rustix::net::SocketAddrUnix;

use crate::socket::Socket;
use crate::sys;

/// The longest path in bytes: `sun_path` has 108, and one is for the NUL.
const PATH_MAX: usize = 107;

/// The longest abstract name in bytes: the NUL comes first.
const ABSTRACT_MAX: usize = 107;

/// What a Unix socket is called: a path, an abstract name, or nothing.
///
/// # Which to take
///
/// A **path** is a file: who may connect is a matter of its mode and of its directory, and it stays
/// when its process dies; [`SocketOptions::listen`](super::SocketOptions::listen) takes over what a
/// dead process left. An **abstract name** is gone with its last socket, needs no file system, and is
/// open to everybody in the same network namespace: anyone can connect to it, and anyone can take
/// the name before its owner does. Both ends of a connection check the user at the other end, whatever
/// the name ([`Trust`](super::Trust)).
///
/// # As text
///
/// [`Display`](fmt::Display) writes a path as it is and an abstract name after an `@`, as
/// `/proc/net/unix` and `ss` do, with bytes that are not printable ASCII as `\xNN`; [`FromStr`] reads that
/// again. A path that begins with `@` is written with `./` before it, and one that is not UTF-8 is
/// written as [`Path::display`] does, which nothing reads again.
///
/// # Errors
///
/// [`ErrorKind::InvalidName`] for a name that is empty, too long, or (a path) has a NUL;
/// [`ErrorKind::InvalidInput`] for text with a `\` that means nothing.
///
/// # Limits
///
/// 107 bytes, for which there is no knob: `sun_path` has 108. Work in the directory, or shorten it.
///
/// # Examples
///
/// ```
/// use ipc_core::{ErrorKind, NameProblem};
/// use ipc_sock::unix::Address;
///
/// let path = Address::path("/run/orders")?;
/// let name = Address::abstract_name("orders")?;
/// assert_eq!((path.to_string(), name.to_string()), ("/run/orders".into(), "@orders".into()));
/// assert_eq!("@orders".parse(), Ok(name));
///
/// let error = Address::path("x".repeat(108)).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidName(NameProblem::TooLong { len: 108, max: 107 }));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `unix`(7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[doc(alias = "sockaddr_un")]
pub struct Address(Form);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    Path(PathBuf),
    Abstract(Vec<u8>),
    Unnamed,
}

impl Address {
    /// A file.
    ///
    /// # Errors
    ///
    /// See [`Address`].
    pub fn path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = path.as_os_str().as_bytes();
        check(bytes, PATH_MAX)?;
        if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
            return Err(invalid(NameProblem::Nul { at }));
        }
        Ok(Self(Form::Path(path.to_owned())))
    }

    /// A name in the abstract namespace. It may have any bytes, also NUL.
    ///
    /// # Errors
    ///
    /// See [`Address`].
    ///
    /// # Platform
    ///
    /// Linux alone.
    pub fn abstract_name(name: impl AsRef<[u8]>) -> Result<Self> {
        let name = name.as_ref();
        check(name, ABSTRACT_MAX)?;
        Ok(Self(Form::Abstract(name.to_owned())))
    }

    /// The path, if it is one.
    #[must_use]
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Form::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The abstract name, if it is one.
    #[must_use]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Abstract(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the socket has no name, as those of clients and of socket pairs have none.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.0 == Form::Unnamed
    }

    /// As the kernel takes it.
    pub(crate) fn to_sockaddr(&self) -> Result<SocketAddrUnix> {
        let made = match &self.0 {
            Form::Path(path) => SocketAddrUnix::new(path),
            Form::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
            Form::Unnamed => Ok(SocketAddrUnix::new_unnamed()),
        };
        // The lengths were checked when it was made.
        made.map_err(|_| Error::new(ErrorKind::InvalidInput, "socket name"))
    }

    /// As the kernel gives it: nothing, a path that may end with a NUL, or a NUL and an abstract name.
    pub(crate) fn from_sun_path(bytes: &[u8]) -> Self {
        match bytes.split_first() {
            // An abstract name without a byte is of no use to anybody.
            None | Some((0, [])) => Self(Form::Unnamed),
            Some((0, name)) => Self(Form::Abstract(name.to_owned())),
            Some(_) => {
                let path = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                Self(Form::Path(OsStr::from_bytes(path).into()))
            }
        }
    }
}

/// `getsockname`
pub(super) fn local(socket: &Socket) -> Result<Address> {
    let name = sys::local_name(socket.as_fd()).map_err(os("getsockname"))?;
    Ok(Address::from_sun_path(&name))
}

/// `getpeername`
pub(super) fn peer(socket: &Socket) -> Result<Address> {
    let name = sys::peer_name(socket.as_fd()).map_err(os("getpeername"))?;
    Ok(Address::from_sun_path(&name))
}

fn check(bytes: &[u8], max: usize) -> Result<()> {
    match bytes.len() {
        0 => Err(invalid(NameProblem::Empty)),
        len if len > max => Err(invalid(NameProblem::TooLong { len, max })),
        _ => Ok(()),
    }
}

fn invalid(problem: NameProblem) -> Error {
    Error::new(ErrorKind::InvalidName(problem), "socket name")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Path(path) => {
                let dot = if path.as_os_str().as_bytes().starts_with(b"@") { "./" } else { "" };
                write!(f, "{dot}{}", path.display())
            }
            Form::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
            Form::Unnamed => f.write_str("(unnamed)"),
        }
    }
}

/// `@name` is an abstract name, in which `\xNN` and the like stand for bytes as
/// [`escape_ascii`](slice::escape_ascii) writes them, and everything else is a path.
impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix('@') {
            Some(name) => Self::abstract_name(unescape(name.as_bytes())?),
            None => Self::path(text),
        }
    }
}

/// Undoes `escape_ascii`.
fn unescape(text: &[u8]) -> Result<Vec<u8>> {
    let bad = || {
        Error::new(ErrorKind::InvalidInput, "socket name")
            .with_note(r"after \ comes t r n ' \x22 \ or xNN")
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().ok_or_else(bad)? {
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            same @ (b'\'' | b'"' | b'\\') => same,
            b'x' => {
                let digits = [rest.next().ok_or_else(bad)?, rest.next().ok_or_else(bad)?];
                let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(bad);
                u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).map_err(|_| bad())?
            }
            _ => return Err(bad()),
        });
    }
    Ok(bytes)
}

/// What can stand for the [`Address`] of a socket: a path in any form, or an [`Address`].
///
/// # Errors
///
/// See [`Address`].
///
/// # Examples
///
/// ```
/// use ipc_sock::unix::{Address, ToAddress};
/// assert_eq!("/run/orders".to_address(), Address::path("/run/orders"));
/// ```
pub trait ToAddress {
    /// The address.
    ///
    /// # Errors
    ///
    /// See [`Address`].
    fn to_address(&self) -> Result<Address>;
}

impl ToAddress for Address {
    fn to_address(&self) -> Result<Address> {
        Ok(self.clone())
    }
}

/// Always a path: see [`Address::from_str`] for text that may be an abstract name.
impl ToAddress for str {
    fn to_address(&self) -> Result<Address> {
        Address::path(self)
    }
}

impl ToAddress for Path {
    fn to_address(&self) -> Result<Address> {
        Address::path(self)
    }
}

impl ToAddress for PathBuf {
    fn to_address(&self) -> Result<Address> {
        Address::path(self)
    }
}

impl<T: ToAddress + ?Sized> ToAddress for &T {
    fn to_address(&self) -> Result<Address> {
        (**self).to_address()
    }
}

//! Where a service is.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use ipc_core::{Framed, Result, Wait};
use ipc_sock::{tcp, udp, unix};
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::{RecvFrame, SendFrame, WithFds};

/// Where a service is.
///
/// # Examples
///
/// ```
/// use ipc_rpc::matchmaker::Address;
/// assert_eq!(Address::Unix("/run/calculator".into()).to_string(), "unix:/run/calculator");
/// assert_eq!(Address::Tcp(([127, 0, 0, 1], 80).into()).to_string(), "tcp:127.0.0.1:80");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Address {
    /// A Unix seqpacket socket at a path.
    Unix(PathBuf),
    /// A TCP port, over which frames go.
    Tcp(SocketAddr),
    /// A UDP port. A server there serves one client: the one that its socket is connected to.
    Udp(SocketAddr),
}

impl Address {
    /// The longest frame over TCP, in bytes.
    pub const MAX_FRAME: u32 = 1 << 20;

    /// Connects to it.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn connect(&self, wait: Wait) -> Result<AnyLink> {
        Ok(match self {
            Self::Unix(path) => {
                let socket = unix::SocketOptions::new().connect_seqpacket(path, wait)?;
                AnyLink::Unix(WithFds::new(socket))
            }
            Self::Tcp(address) => {
                let stream = tcp::SocketOptions::new().connect(*address, wait)?;
                AnyLink::Tcp(Framed::new(stream, Self::MAX_FRAME))
            }
            Self::Udp(address) => AnyLink::Udp(udp::SocketOptions::new().connect(*address)?),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Udp(address) => write!(f, "udp:{address}"),
        }
    }
}

/// A link to an [`Address`], whatever it is.
///
/// # Examples
///
/// See [`Address::connect`].
#[derive(Debug)]
#[non_exhaustive]
pub enum AnyLink {
    /// Over which descriptors go.
    Unix(WithFds),
    /// In frames.
    Tcp(Framed<tcp::Stream>),
    /// Which loses datagrams: set [`ClientOptions::retry`](crate::ClientOptions::retry).
    Udp(udp::Socket),
}

impl SendFrame for AnyLink {
    fn max_frame(&self) -> usize {
        match self {
            Self::Unix(link) => link.max_frame(),
            Self::Tcp(link) => link.max_frame(),
            Self::Udp(link) => link.max_frame(),
        }
    }

    fn passes_fds(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    fn send_frame(&mut self, frame: &[u8], fds: &[OwnedFd], wait: Wait) -> Result<()> {
        match self {
            Self::Unix(link) => link.send_frame(frame, fds, wait),
            Self::Tcp(link) => link.send_frame(frame, fds, wait),
            Self::Udp(link) => link.send_frame(frame, fds, wait),
        }
    }
}

impl RecvFrame for AnyLink {
    fn recv_frame(&mut self, buf: &mut [u8], fds: &mut Vec<OwnedFd>, wait: Wait) -> Result<usize> {
        match self {
            Self::Unix(link) => link.recv_frame(buf, fds, wait),
            Self::Tcp(link) => link.recv_frame(buf, fds, wait),
            Self::Udp(link) => link.recv_frame(buf, fds, wait),
        }
    }
}

/// What knows where services are.
///
/// # Examples
///
/// See [`StaticAddresses`] and the [module's documentation](super).
pub trait Locate {
    /// Where a service is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](ipc_core::ErrorKind::NotFound) if nobody offers it.
    fn locate(&mut self, name: &str, version: u32) -> Result<Address>;
}

/// Addresses that were written down.
///
/// # Examples
///
/// ```
/// use ipc_rpc::matchmaker::{Address, Locate, StaticAddresses};
///
/// let address = Address::Unix("/run/calculator".into());
/// let mut addresses = StaticAddresses::new().with("calculator", 1, address.clone());
/// assert_eq!(addresses.locate("calculator", 1)?, address);
/// assert!(addresses.locate("calculator", 2).is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct StaticAddresses(HashMap<(String, u32), Address>);

impl StaticAddresses {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, version: u32, address: Address) -> Self {
        self.0.insert((name.into(), version), address);
        self
    }
}

impl Locate for StaticAddresses {
    fn locate(&mut self, name: &str, version: u32) -> Result<Address> {
        let found = self.0.get(&(name.to_owned(), version)).cloned();
        found.ok_or(Refused::NotFound.error("locate service"))
    }
}

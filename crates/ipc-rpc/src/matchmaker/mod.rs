//! Finding a server: who offers which service, and where.
//!
//! A [`Matchmaker`] keeps a register at one socket path that everybody knows. A server [registers](Register) its
//! service by name and version with the address that it has, such as a TCP port that the system chose; a client
//! [finds](Locate) it there. An entry is leased. It goes
//!
//! - when its server withdraws it, or drops the [`Registration`];
//! - when the server's process dies: its connection to the matchmaker breaks, or its pidfd says so, at the latest
//!   when somebody asks for it;
//! - when its lease is not renewed in time, by a server that hangs or a matchmaker's connection that does.
//!
//! Where nothing moves, [`StaticAddresses`] do, by the same trait.
//!
//! # Trust
//!
//! The matchmaker's socket is of mode 0600, and connects processes of one user, as
//! [`SocketOptions`](ipc_sock::unix::SocketOptions) say. A name belongs to the first who registers it, as long as its
//! lease lasts.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use ipc_core::Wait;
//! use ipc_rpc::matchmaker::{Address, Locate, Matchmaker, Register};
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("matchmaker");
//! let matchmaker = Matchmaker::listen(&path)?;
//! std::thread::scope(|scope| {
//!     let serving = scope.spawn(|| matchmaker.run());
//!
//!     // A server, on a port that the system chose.
//!     let address = Address::Tcp(([127, 0, 0, 1], 4711).into());
//!     let register = Register::connect(&path, Wait::Forever)?;
//!     let registration = register.register("calculator", 1, &address, Duration::from_secs(10))?;
//!
//!     // A client.
//!     let mut directory = Register::connect(&path, Wait::Forever)?;
//!     assert_eq!(directory.locate("calculator", 1)?, address);
//!
//!     drop(registration);
//!     assert!(directory.locate("calculator", 1).is_err());
//!     drop(directory);
//!     matchmaker.stop();
//!     serving.join().unwrap()
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod register;
mod registry;
mod server;

pub use address::{Address, AnyLink, Locate, StaticAddresses};
pub use register::{Register, Registration};
pub use registry::Entry;
pub use server::Matchmaker;

use ipc_core::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

crate::service! {
    #[service(name = "ipc-rpc matchmaker", version = 1, client = MatchmakingClient, server = MatchmakingServer)]
    /// What the matchmaker's clients call.
    pub(crate) trait Matchmaking {
        /// Enters a service, and returns the number of its lease.
        fn register(
            &self, call: &Call<'_>, name: &str, version: u32, address: Address, lease_ms: u64
        ) -> Result<u64, Refused>;
        /// Begins the lease anew.
        fn renew(&self, call: &Call<'_>, lease: u64) -> Result<(), Refused>;
        /// Ends the lease.
        fn withdraw(&self, call: &Call<'_>, lease: u64) -> Result<(), Refused>;
        /// Where a service is.
        fn find(&self, call: &Call<'_>, name: &str, version: u32) -> Result<Address, Refused>;
        /// All that is registered.
        fn list(&self, call: &Call<'_>) -> Vec<Entry>;
    }
}

/// Why the matchmaker does not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refused {
    /// Somebody else has that name and version.
    Taken,
    /// There is nothing of that name and version, or no such lease.
    NotFound,
    /// A name that is empty or longer than 255 bytes.
    InvalidName,
    /// The register is full.
    Full,
    /// A path that no socket can have.
    InvalidAddress,
}

impl Refused {
    pub(crate) const fn error(self, op: &'static str) -> Error {
        match self {
            Self::Taken => Error::new(ErrorKind::AlreadyExists, op)
                .with_note("somebody who is alive has registered this name and version"),
            Self::NotFound => Error::new(ErrorKind::NotFound, op)
                .with_note("no server that is alive is registered by this name and version"),
            Self::InvalidName => Error::new(ErrorKind::InvalidInput, op)
                .with_note("a service's name has 1 to 255 bytes"),
            Self::InvalidAddress => Error::new(ErrorKind::InvalidInput, op)
                .with_note("the path of a socket has 1 to 107 bytes"),
            Self::Full => {
                let kind = ErrorKind::ResourceLimit {
                    limit: "room in the matchmaker's register",
                    knob: "Matchmaker::MAX_ENTRIES",
                };
                Error::new(kind, op)
            }
        }
    }
}

//! Numbers that nobody else has.

use std::fmt;

use ipc_core::{Error, Result};
use rustix::rand::{GetRandomFlags, getrandom};

/// Who makes calls. With the number of a call it names the call for ever.
///
/// A client chooses one at random. One that is to finish its exactly-once calls after a restart of its own
/// stores it, with the number of the first call that is not finished: see
/// [`ClientOptions::resume`](crate::ClientOptions::resume).
///
/// # Examples
///
/// ```
/// use ipc_rpc::ClientId;
/// let id = ClientId::random()?;
/// assert_eq!(ClientId::new(id.get()), Some(id));
/// assert_eq!(ClientId::new(0), None);
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(u64);

impl ClientId {
    /// A random one. `getrandom`
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](ipc_core::ErrorKind::Unsupported) on a kernel without `getrandom`.
    ///
    /// # References
    ///
    /// `getrandom`(2).
    pub fn random() -> Result<Self> {
        random().map(Self)
    }

    /// One that was chosen before; 0 is none.
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        if id == 0 { None } else { Some(Self(id)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// In hexadecimal.
impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({:016x})", self.0)
    }
}

/// A random number that is not 0.
pub(crate) fn random() -> Result<u64> {
    loop {
        let mut bytes = [0; 8];
        // So few bytes come at once or not at all.
        match getrandom(&mut bytes, GetRandomFlags::empty()) {
            Ok(8) => {}
            Ok(_) | Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(Error::from_os("getrandom", errno.raw_os_error())),
        }
        let number = u64::from_ne_bytes(bytes);
        if number != 0 {
            return Ok(number);
        }
    }
}

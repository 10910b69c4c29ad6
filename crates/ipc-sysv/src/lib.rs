//! What the System V mechanisms share. Programs take a mechanism crate, which exports [`Key`] again.
//!
//! # Examples
//!
//! ```
//! use ipc_sysv::Key;
//! assert_eq!(Key::new(0x1234)?.to_string(), "0x00001234");
//! # Ok::<(), ipc_core::Error>(())
//! ```

use std::time::{Duration, SystemTime};

pub mod handoff;
mod key;
mod removal;

pub use key::Key;
pub use removal::Removal;

/// A pid as the kernel notes it, where 0 is nobody.
///
/// # Examples
///
/// ```
/// assert_eq!((ipc_sysv::pid(0), ipc_sysv::pid(7)), (None, Some(7)));
/// ```
#[must_use]
pub fn pid(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|it| *it != 0)
}

/// A time as the kernel notes it, in seconds since 1970, where 0 is never.
///
/// # Examples
///
/// ```
/// assert_eq!(ipc_sysv::time(0), None);
/// assert!(ipc_sysv::time(1_700_000_000) < Some(std::time::SystemTime::now()));
/// ```
#[must_use]
pub fn time(secs: i64) -> Option<SystemTime> {
    let secs = u64::try_from(secs).ok().filter(|it| *it != 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs))
}

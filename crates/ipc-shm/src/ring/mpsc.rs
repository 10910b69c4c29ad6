//! A ring from several senders to one receiver.
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg};
//! use ipc_shm::ring::{RingOptions, mpsc};
//!
//! let (mut one, mut rx) = mpsc::pair(&RingOptions::new().senders(2))?;
//! let mut two = one.try_clone()?;
//! one.send(b"from one")?;
//! two.send(b"from two")?;
//! let mut buf = [0; 64];
//! assert_eq!(rx.recv(&mut buf)?, 8);
//! assert_eq!(rx.recv(&mut buf)?, 8);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # What is promised
//!
//! - The messages of one sender are received in order, those of different senders in any: there is no order
//!   between them, also when one was sent after another was known to have been sent.
//! - A sender that is stopped or killed in the middle of a message holds nobody up, and has not sent it. Its
//!   place is taken from it once the kernel says that it has ended, and never because time has passed.
//! - Senders come and go, as may the receiver: as with a pipe, an end is [`Disconnected`] as long as nobody
//!   has the other one.
//!
//! [`Disconnected`]: ipc_core::ErrorKind::Disconnected

use ipc_core::{RegionMut, Result};

use super::RingOptions;
use super::many::{self, Single};
use crate::Memfd;

/// A sending end.
pub type Sender<R = Memfd> = many::Sender<Single, R>;
/// The receiving end.
pub type Receiver<R = Memfd> = many::Receiver<Single, R>;
/// Room for a message that is not sent yet.
pub type Grant<'a, R = Memfd> = many::Grant<'a, Single, R>;
/// A message in the ring.
pub type View<'a, R = Memfd> = many::View<'a, Single, R>;

/// Makes a ring in memory of its own, and a sender and a receiver.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a capacity above 2 GiB, and for no
/// sender or more than 64; [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when memory or
/// descriptors run out.
pub fn pair(options: &RingOptions) -> Result<(Sender, Receiver)> {
    many::pair(options)
}

/// How many bytes of memory a ring takes.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) as for [`pair`].
pub fn region_len(options: &RingOptions) -> Result<usize> {
    many::region_len::<Single>(options)
}

/// Makes a ring in memory that nobody uses; its first [`region_len`] bytes are overwritten. Then ends attach
/// to it, in this process or others.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) as for [`pair`], and when the memory is too
/// small or [private](crate::Private).
pub fn init(region: &impl RegionMut, options: &RingOptions) -> Result<()> {
    many::init::<Single>(region, options)
}

//! A ring from several senders to several receivers: each message is for one of them.
//!
//! ```
//! use ipc_core::{RecvMsg, SendMsg};
//! use ipc_shm::ring::{RingOptions, mpmc};
//!
//! let (mut tx, mut one) = mpmc::pair(&RingOptions::new())?;
//! let mut two = one.try_clone()?;
//! tx.send(b"work")?;
//! tx.send(b"more")?;
//! let mut buf = [0; 64];
//! assert_eq!(one.recv(&mut buf)?, 4);
//! assert_eq!(two.recv(&mut buf)?, 4);
//! # Ok::<(), ipc_core::Error>(())
//! ```
//!
//! # What is promised
//!
//! - What [`mpsc`](super::mpsc) promises. The messages of one sender are taken in order; what several
//!   receivers do with them is up to them.
//! - A receiver that dies gives back what it had not released: [`peek`](many::Receiver::peek), do the work, and
//!   [`release`](many::View::release), and no work is lost (though some may be done twice).
//! - While one receiver takes a message of a sender, others receive from the other senders. One that is
//!   stopped at that moment holds that sender's messages up until it goes on or ends.

use ipc_core::{RegionMut, Result};

use super::RingOptions;
use super::many::{self, Several};
use crate::Memfd;

/// A sending end.
pub type Sender<R = Memfd> = many::Sender<Several, R>;
/// A receiving end.
pub type Receiver<R = Memfd> = many::Receiver<Several, R>;
/// Room for a message that is not sent yet.
pub type Grant<'a, R = Memfd> = many::Grant<'a, Several, R>;
/// A message in the ring.
pub type View<'a, R = Memfd> = many::View<'a, Several, R>;

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
    many::region_len::<Several>(options)
}

/// Makes a ring in memory that nobody uses; its first [`region_len`] bytes are overwritten. Then ends attach
/// to it, in this process or others.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) as for [`pair`], and when the memory is too
/// small or [private](crate::Private).
pub fn init(region: &impl RegionMut, options: &RingOptions) -> Result<()> {
    many::init::<Several>(region, options)
}

//! Where things are in a ring.
//!
//! ```text
//!    0  MAGIC, LENGTH of the data in bytes, ELEMENT
//!  128  PRODUCER: who it is          (written when an end is attached or dropped)
//!  256  CONSUMER: who it is
//!  384  HEAD: how far the consumer is, in bytes since the beginning (written now and then by it)
//!  512  CONSUMER_SLEEPS, CONSUMER_GONE, CONSUMER_CPU, CONSUMER_CAME    (read by the producer at every send)
//!  640  PRODUCER_SLEEPS, PRODUCER_GONE, PRODUCER_CPU    (read by the consumer when it publishes HEAD)
//! 1024  data
//! ```
//!
//! Words that different ends write are 128 bytes apart: processors fetch cache lines in pairs.
//!
//! # Records
//!
//! A record is a header of 8 bytes, the message, and zeros up to a multiple of 8. The header is the
//! **commit word**: 0 until the record is whole, then its length and [`COMMITTED`]. So a short message
//! crosses from one processor to the other in one cache line, with the word that announces it.
//!
//! A record does not wrap: what is left at the end of the data is a [`PAD`], and the record begins at 0.
//!
//! For the consumer to find 0 where the next record will be, the producer has set it to 0 before it commits
//! the record before. It does so ahead, some hundred bytes at a time; after a long record, for the one word at which
//! the next would end if it were as long.

use ipc_core::{Error, ErrorKind, Result};

/// What such a ring begins with: the layout's version is the last byte.
pub(crate) const MAGIC_VALUE: u64 = u64::from_be_bytes(*b"ipcspsc\x01");

pub(crate) const MAGIC: usize = 0;
pub(crate) const LENGTH: usize = 8;
pub(crate) const ELEMENT: usize = 16;
pub(crate) const PRODUCER: usize = 128;
pub(crate) const CONSUMER: usize = 256;
pub(crate) const HEAD: usize = 384;
pub(crate) const CONSUMER_SLEEPS: usize = 512;
pub(crate) const CONSUMER_GONE: usize = 520;
pub(crate) const CONSUMER_CPU: usize = 528;
/// Whether there was a consumer, where they come and go.
pub(crate) const CONSUMER_CAME: usize = 536;
pub(crate) const PRODUCER_SLEEPS: usize = 640;
pub(crate) const PRODUCER_GONE: usize = 648;
pub(crate) const PRODUCER_CPU: usize = 656;
pub(crate) const DATA: usize = 1024;

/// What an end says in the word at which it sleeps.
pub(crate) const ASLEEP: u64 = 1;
/// Who looks makes a full fence first: this end's process cannot be reached by, or cannot make, a
/// `membarrier`, or it sleeps so often that it would be dear.
pub(crate) const WANTS_FENCES: u64 = 2;

/// A header's bits beside the length.
pub(crate) const COMMITTED: u64 = 1 << 63;
pub(crate) const PAD: u64 = 1 << 62;

/// Beyond this no position is believed: who counts bytes from 0 takes years to get there, and a sum of two
/// such does not overflow.
pub(crate) const FAR: u64 = 1 << 62;

/// The length of a header.
pub(crate) const HEADER: usize = 8;

/// The shortest and the longest data.
pub(crate) const MIN: usize = 64;
pub(crate) const MAX: usize = 1 << 31;

/// How many bytes a record of a message takes.
pub(crate) const fn record(len: usize) -> usize {
    HEADER + ((len + 7) & !7)
}

/// The longest message: two records and the word after them fit, wherever the first begins.
pub(crate) const fn max_len(capacity: usize) -> usize {
    capacity / 2 - 2 * HEADER
}

/// Checks that some bytes are in a message.
pub(crate) fn check(offset: usize, len: usize, of: usize, op: &'static str) -> Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= of => Ok(()),
        _ => {
            Err(Error::new(ErrorKind::InvalidInput, op)
                .with_note("the bytes end after the message"))
        }
    }
}

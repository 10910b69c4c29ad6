//! The protocol of the newest value.
//!
//! ```text
//!    0  MAGIC, LENGTH of a value and its number, rounded up to a power of two; ELEMENT
//!  128  PRODUCER: who writes, 0 for nobody; CAME: whether there was a writer
//!  256  VERSION: the number of the newest value, 0 for none
//!  512  CONSUMER_SLEEPS: of all readers
//! 1024  4 slots: the number of the value in it, 0 while it is written; the value
//! ```
//!
//! A value goes to the slot of its number, so that the writer touches neither the newest nor the two before.
//! A reader copies the newest out and looks at the slot's number again: a writer that has gone round meanwhile
//! has changed it.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::memory::Memory;
use super::sleepers::notify_all;

pub(crate) const CAME: usize = 136;
pub(crate) const VERSION: usize = 256;
pub(crate) const DATA: usize = 1024;
pub(crate) const SLOTS: u64 = 4;

/// How long a slot is: what LENGTH says.
pub(crate) fn slot_len(value: usize) -> Option<usize> {
    value.checked_add(8)?.max(128).checked_next_power_of_two()
}

/// Where the value of a number is, after its number.
fn slot(number: u64, slot_len: usize) -> usize {
    DATA + (number % SLOTS) as usize * slot_len
}

/// Writes value `number`, which is one more than the newest.
#[inline]
pub(crate) fn write<M: Memory>(memory: &M, slot_len: usize, number: u64, value: &[u8]) {
    let at = slot(number, slot_len);
    memory.store(at, 0, Relaxed);
    // Nobody sees a part of the value and the number that was there before.
    memory.fence(Release);
    memory.write(at + 8, value);
    memory.store(at, number, Release);
    memory.store(VERSION, number, Release);
    notify_all(memory);
}

/// Why a look gave no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoValue {
    /// There is none that is newer.
    Old,
    /// It was always being overwritten.
    Torn,
}

/// Copies the newest value out, if its number is above `than`; returns the number. It looks so many times: the
/// writer has to go round during each look, or to break the rules, for none to succeed.
#[inline]
pub(crate) fn read<M: Memory>(
    memory: &M,
    slot_len: usize,
    than: u64,
    value: &mut [u8],
    looks: u32,
) -> Result<u64, NoValue> {
    for _ in 0..looks {
        let number = memory.load(VERSION, Acquire);
        if number <= than {
            return Err(NoValue::Old);
        }
        let at = slot(number, slot_len);
        if memory.load(at, Acquire) == number {
            memory.read(at + 8, value);
            // What was read is not newer than the number that is read now.
            memory.fence(Acquire);
            if memory.load(at, Relaxed) == number {
                return Ok(number);
            }
        }
    }
    Err(NoValue::Torn)
}

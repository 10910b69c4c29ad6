//! How an end finds its ring in memory, whatever kind of ring it is.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use ipc_core::{Error, ErrorKind, RegionMut, Result};

use super::layout::{ELEMENT, LENGTH, MAGIC, MAX, MIN};
use super::mapped::Mapped;
use super::memory::Memory;

const ATTACH: &str = "attach to ring";
const MAKE: &str = "make ring";

/// What every ring's first word has in its highest bytes, below which are its kind and the layout's version.
const FAMILY: u64 = u64::from_be_bytes(*b"ipc\0\0\0\0\0");
const FAMILY_MASK: u64 = u64::from_be_bytes(*b"\xff\xff\xff\0\0\0\0\0");

/// Refuses memory that nobody else sees.
fn check_shared(region: &impl RegionMut, op: &'static str) -> Result<()> {
    if region.is_shared() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, op)
        .with_note("what is written to a private mapping, nobody else sees: map it shared"))
}

/// Finds the ring that begins with `magic`, whose header has `header` bytes. Returns its memory and its
/// length, which is a power of two; whether it fits into the memory is for the caller to check.
pub(crate) fn open<R: RegionMut>(
    region: R,
    full_fences: bool,
    magic: u64,
    header: usize,
    element: u64,
) -> Result<(Mapped<R>, usize)> {
    let corrupted = |note| Err(Error::new(ErrorKind::Corrupted, ATTACH).with_note(note));
    let wrong = |expected, found| Err(Error::new(ErrorKind::WrongType { expected, found }, ATTACH));
    check_shared(&region, ATTACH)?;
    if region.len() < header + MIN {
        return Err(Error::new(ErrorKind::InvalidInput, ATTACH)
            .with_note("the memory is too small for any ring"));
    }
    let memory = Mapped::new(region, full_fences);
    match memory.load(MAGIC, Acquire) {
        found if found == magic => {}
        0 => {
            return Err(Error::new(ErrorKind::NotFound, ATTACH)
                .with_note("there is no ring in this memory, or not yet"));
        }
        found if found >> 8 == magic >> 8 => {
            return wrong("a ring of layout 1", "a ring of another layout");
        }
        found if found & FAMILY_MASK == FAMILY => {
            return wrong("a ring of this kind", "a ring of another kind");
        }
        _ => return corrupted("there is something else in this memory"),
    }
    let capacity = usize::try_from(memory.load(LENGTH, Relaxed)).unwrap_or(usize::MAX);
    if !capacity.is_power_of_two() || !(MIN..=MAX).contains(&capacity) {
        return corrupted("the ring's length makes no sense");
    }
    if memory.len() - header < capacity {
        return corrupted("the ring is longer than its memory");
    }
    if memory.load(ELEMENT, Relaxed) != element {
        return wrong("a ring of this element", "a ring of another element, or of bytes");
    }
    Ok((memory, capacity))
}

/// Makes the memory of a ring: zeros but for what `fill` writes, and `magic` when all is there.
pub(crate) fn create<R: RegionMut>(
    region: &R,
    len: usize,
    magic: u64,
    fill: impl FnOnce(&Mapped<&R>),
) -> Result<()> {
    check_shared(region, MAKE)?;
    if region.len() < len {
        return Err(Error::new(ErrorKind::InvalidInput, MAKE)
            .with_note("the memory is too small: region_len says how much it takes"));
    }
    let memory = Mapped::new(region, true);
    memory.zero(0, len);
    fill(&memory);
    // Last: who finds this finds the rest.
    memory.store(MAGIC, magic, Release);
    Ok(())
}

/// The length of a ring's data for what was asked.
pub(crate) fn data_len(capacity: usize) -> Result<usize> {
    if capacity > MAX {
        return Err(
            Error::new(ErrorKind::InvalidInput, MAKE).with_note("a ring holds 2 GiB at most")
        );
    }
    Ok(capacity.max(MIN).next_power_of_two())
}

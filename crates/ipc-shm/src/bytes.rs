//! Reading and writing memory that somebody else may write at the same time.
#![expect(unsafe_code, reason = "copies to and from memory that others write are made here")]

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use ipc_core::{Error, ErrorKind, Region, RegionMut, Result};

use crate::copy::{LONG, copy};

/// Copies and atomics for every [`Region`], without `unsafe`.
///
/// Bytes are copied out and in by relaxed atomic operations, or by one instruction for many, so that another
/// process or thread may write them at the same moment: the copy then is some mixture of old and new bytes,
/// torn anywhere, and never undefined behaviour. To know which, agree on a protocol:
/// [`atomic_u32`](Self::atomic_u32) and [`atomic_u64`](Self::atomic_u64) are what it is made of.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for bytes that are not in the region, or an atomic that is not aligned.
///
/// # Examples
///
/// ```
/// use std::sync::atomic::Ordering;
/// use ipc_shm::{MemfdOptions, RegionExt};
///
/// let memory = MemfdOptions::new(4096).create()?;
/// memory.write_at(8, b"hello")?;
/// memory.atomic_u32(0)?.store(5, Ordering::Release);
///
/// let len = memory.atomic_u32(0)?.load(Ordering::Acquire);
/// let mut text = [0; 5];
/// memory.read_at(8, &mut text)?;
/// assert_eq!((len, &text), (5, b"hello"));
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub trait RegionExt: Region {
    /// Copies `buf.len()` bytes out, from `offset` on.
    ///
    /// # Errors
    ///
    /// See [`RegionExt`].
    fn read_at(&self, offset: usize, buf: &mut [u8]) -> Result<()> {
        check(self, offset, buf.len(), "read region")?;
        if buf.len() >= LONG {
            let from = self.base().as_ptr().wrapping_add(offset);
            // SAFETY: the bytes are in the region, which is mapped as long as it is borrowed.
            unsafe { copy(from, buf.as_mut_ptr(), buf.len()) };
            return Ok(());
        }
        for_words(offset, buf.len(), |at, i, whole| {
            if whole {
                let word = u64_at(self, at).load(Ordering::Relaxed);
                buf[i..i + 8].copy_from_slice(&word.to_ne_bytes());
            } else {
                buf[i] = u8_at(self, at).load(Ordering::Relaxed);
            }
        });
        Ok(())
    }

    /// Copies `bytes` in, from `offset` on.
    ///
    /// # Errors
    ///
    /// See [`RegionExt`].
    fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<()>
    where
        Self: RegionMut,
    {
        check(self, offset, bytes.len(), "write region")?;
        if bytes.len() >= LONG {
            let to = self.base().as_ptr().wrapping_add(offset);
            // SAFETY: the bytes are in the region, which is mapped for writing as long as it is borrowed.
            unsafe { copy(bytes.as_ptr(), to, bytes.len()) };
            return Ok(());
        }
        for_words(offset, bytes.len(), |at, i, whole| {
            if whole {
                let word = bytes[i..].first_chunk().map_or(0, |it| u64::from_ne_bytes(*it));
                u64_at(self, at).store(word, Ordering::Relaxed);
            } else {
                u8_at(self, at).store(bytes[i], Ordering::Relaxed);
            }
        });
        Ok(())
    }

    /// The four bytes at `offset`, a multiple of 4, as an atomic.
    ///
    /// # Errors
    ///
    /// See [`RegionExt`].
    fn atomic_u32(&self, offset: usize) -> Result<&AtomicU32>
    where
        Self: RegionMut,
    {
        check_aligned(self, offset, 4)?;
        // SAFETY: four bytes from `offset` on are in the region, and the base is aligned to 64.
        let at = unsafe { self.base().add(offset) };
        // SAFETY: the region is mapped, initialised and writable as long as it is borrowed, and reached
        // by atomics alone.
        Ok(unsafe { at.cast::<AtomicU32>().as_ref() })
    }

    /// The eight bytes at `offset`, a multiple of 8, as an atomic.
    ///
    /// # Errors
    ///
    /// See [`RegionExt`].
    fn atomic_u64(&self, offset: usize) -> Result<&AtomicU64>
    where
        Self: RegionMut,
    {
        check_aligned(self, offset, 8)?;
        Ok(u64_at(self, offset))
    }

    /// The bytes as a slice.
    ///
    /// # Safety
    ///
    /// As long as the slice lives, nobody writes to the memory: no thread, and no process that has it
    /// mapped. Sealed memory that no process has mapped for writing ([`Seals::CONTENTS`](crate::Seals))
    /// is so; everything else is a matter of trust.
    unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: the region is mapped, initialised and readable as long as it is borrowed; that nobody
        // writes to it, the caller promises.
        unsafe { std::slice::from_raw_parts(self.base().as_ptr(), self.len()) }
    }
}

impl<R: Region + ?Sized> RegionExt for R {}

/// Checks that some bytes are in the region.
fn check(
    region: &(impl Region + ?Sized),
    offset: usize,
    len: usize,
    op: &'static str,
) -> Result<()> {
    match offset.checked_add(len) {
        Some(end) if end <= region.len() => Ok(()),
        _ => {
            Err(Error::new(ErrorKind::InvalidInput, op).with_note("the bytes end after the region"))
        }
    }
}

/// Checks that an atomic of some bytes is in the region, and aligned.
fn check_aligned(region: &(impl Region + ?Sized), offset: usize, len: usize) -> Result<()> {
    const OP: &str = "atomic in region";
    check(region, offset, len, OP)?;
    if !offset.is_multiple_of(len) {
        return Err(Error::new(ErrorKind::InvalidInput, OP).with_note("the offset is not aligned"));
    }
    Ok(())
}

/// Calls `op(offset, index, whole)` for every aligned word, and for the single bytes before and after.
fn for_words(offset: usize, len: usize, mut op: impl FnMut(usize, usize, bool)) {
    let mut i = 0;
    while i < len {
        let at = offset + i;
        let whole = at.is_multiple_of(8) && len - i >= 8;
        op(at, i, whole);
        i += if whole { 8 } else { 1 };
    }
}

/// The byte at an offset that was checked.
fn u8_at<R: Region + ?Sized>(region: &R, offset: usize) -> &AtomicU8 {
    // SAFETY: `offset` is in the region, as every caller has checked.
    let at = unsafe { region.base().add(offset) };
    // SAFETY: the region is mapped and initialised as long as it is borrowed, and reached by atomics
    // alone. Only those who know that it is writable store.
    unsafe { at.cast::<AtomicU8>().as_ref() }
}

/// The word at an offset that was checked to be aligned to 8.
fn u64_at<R: Region + ?Sized>(region: &R, offset: usize) -> &AtomicU64 {
    // SAFETY: eight bytes from `offset` on are in the region, as every caller has checked.
    let at = unsafe { region.base().add(offset) };
    // SAFETY: as for a byte; the base is aligned to 64, and the offset to 8.
    unsafe { at.cast::<AtomicU64>().as_ref() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::MemfdOptions;

    proptest! {
        #[test]
        fn what_was_written_is_read(offset in 0usize..100, bytes: Vec<u8>) {
            let memory = MemfdOptions::new(300).create().expect("create");
            let fits = offset + bytes.len() <= 300;
            prop_assert_eq!(memory.write_at(offset, &bytes).is_ok(), fits);
            let mut back = vec![0; bytes.len()];
            prop_assert_eq!(memory.read_at(offset, &mut back).is_ok(), fits);
            prop_assert!(!fits || back == bytes);
            if let Some(before) = offset.checked_sub(1) {
                let mut byte = [9];
                memory.read_at(before, &mut byte).expect("read");
                prop_assert_eq!(byte[0], 0);
            }
        }
    }

    #[test]
    fn bytes_outside_are_refused() {
        let memory = MemfdOptions::new(64).create().expect("create");
        for (offset, len) in [(64, 1), (60, 5), (usize::MAX, 2), (0, 65)] {
            let error = memory.write_at(offset, &vec![1; len]).expect_err("outside");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{offset} {len}");
        }
        assert!(memory.read_at(64, &mut []).is_ok());
        assert!(memory.atomic_u64(4).is_err() && memory.atomic_u64(64).is_err());
        assert!(memory.atomic_u32(61).is_err() && memory.atomic_u32(60).is_ok());
    }
}

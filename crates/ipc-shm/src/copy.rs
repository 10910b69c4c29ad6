//! Copies of long runs of bytes to and from memory that somebody else may write at the same time.
#![expect(unsafe_code, reason = "a copy by an instruction that the compiler does not see through")]

/// From so many bytes on, [`copy`] is quicker than a loop over words.
pub(crate) const LONG: usize = 1024;

/// Copies `len` bytes between private memory and memory that others may write: `rep movsb`.
///
/// To the compiler this is no access of Rust's, so that what another process does at the same moment gives
/// some mixture of old and new bytes, and not undefined behaviour. The processor may write the bytes in any
/// order, but all of them before what is stored afterwards.
///
/// # Safety
///
/// Both ranges are mapped for what is done to them as long as this runs, and do not overlap.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller vouches for both ranges; the direction flag is clear by the calling convention.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies `len` bytes between private memory and memory that others may write, one by one.
///
/// # Safety
///
/// Both ranges are mapped for what is done to them as long as this runs, and do not overlap.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
    for i in 0..len {
        // SAFETY: the caller vouches for both ranges, and a byte is always aligned.
        let (from, to) =
            unsafe { (&*from.add(i).cast::<AtomicU8>(), &*to.add(i).cast::<AtomicU8>()) };
        to.store(from.load(Relaxed), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::copy;

    proptest! {
        #[test]
        fn it_copies_every_byte_and_no_other(from: Vec<u8>, before in 0usize..20, after in 0usize..20) {
            let mut to = vec![0xa5; before + from.len() + after];
            // SAFETY: both are vectors of this thread, and as long.
            unsafe { copy(from.as_ptr(), to[before..].as_mut_ptr(), from.len()) };
            let (start, rest) = to.split_at(before);
            let (middle, end) = rest.split_at(from.len());
            prop_assert!(start.iter().chain(end).all(|byte| *byte == 0xa5));
            prop_assert_eq!(middle, from);
        }
    }
}

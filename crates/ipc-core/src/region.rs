//! Shared memory.
#![expect(unsafe_code, reason = "the contract of a region is one that only its author can uphold")]

use std::ptr::NonNull;
use std::sync::Arc;

/// Memory that several processes see at once.
///
/// It hands out a pointer and a length and never a `&[u8]`: a peer may write at any moment, and a
/// Rust reference promises that nobody does. Whoever builds a data structure on it uses atomics, or
/// copies out and validates the copy.
///
/// # Safety
///
/// From the moment the value exists until it is dropped, whoever implements this upholds that
///
/// - [`base`](Self::base) and [`len`](Self::len) never change, also when the value moves;
/// - the bytes from `base` to `base + len` are mapped, readable and initialised, and this process
///   reaches them by no reference to anything but atomics and cells;
/// - touching any of them does not fault: the memory behind the mapping is reserved, and no process
///   can take it away. A type that cannot promise that (a mapped file, which a peer may truncate)
///   documents it and what happens then (`SIGBUS`).
///
/// Whether they may be written is for [`RegionMut`] to say.
///
/// `base` is aligned to 64 bytes at least, a cache line, so that a header can hold any atomic.
///
/// # Examples
///
/// ```
/// use std::{ptr::NonNull, sync::atomic::{AtomicU32, Ordering}};
/// use ipc_core::{Region, RegionMut};
///
/// /// Memory of this process alone, for tests of what is built on regions.
/// #[repr(align(64))]
/// struct Page([AtomicU32; 1024]);
/// struct Leaked(&'static Page);
///
/// // SAFETY: the page is leaked, so that it never moves and is never unmapped; it is initialised, and
/// // consists of atomics.
/// unsafe impl Region for Leaked {
///     fn base(&self) -> NonNull<u8> {
///         NonNull::from(self.0).cast()
///     }
///     fn len(&self) -> usize {
///         size_of::<Page>()
///     }
/// }
///
/// // SAFETY: atomics may be written through a shared reference.
/// unsafe impl RegionMut for Leaked {}
///
/// let region = Leaked(Box::leak(Box::new(Page([const { AtomicU32::new(0) }; 1024]))));
/// assert_eq!(region.len(), 4096);
///
/// // SAFETY: the region holds at least four bytes, aligned to 64, and lives as long as `word`.
/// let word = unsafe { region.base().cast::<AtomicU32>().as_ref() };
/// word.store(7, Ordering::Relaxed);
/// assert_eq!(word.load(Ordering::Relaxed), 7);
/// ```
pub unsafe trait Region {
    /// The address of the first byte.
    fn base(&self) -> NonNull<u8>;

    /// The length in bytes.
    fn len(&self) -> usize;

    /// Whether the region has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shared memory that may be written.
///
/// What is built on memory and writes to it asks for this, so that a read-only mapping is refused by
/// the compiler and not by `SIGSEGV`.
///
/// # Safety
///
/// All bytes of the region are writable for as long as the value exists, by atomics or raw pointers.
///
/// # Examples
///
/// See [`Region`].
pub unsafe trait RegionMut: Region {
    /// Whether others who map the same memory see what is written here. They do not where writing makes a
    /// copy (`MAP_PRIVATE`): what is to reach somebody asks first.
    fn is_shared(&self) -> bool {
        true
    }
}

// SAFETY: the reference keeps the region from being dropped or moved;
// the rest is what `T` promises.
unsafe impl<T: Region + ?Sized> Region for &T {
    fn base(&self) -> NonNull<u8> {
        (**self).base()
    }

    fn len(&self) -> usize {
        (**self).len()
    }
}

// SAFETY: as above.
unsafe impl<T: RegionMut + ?Sized> RegionMut for &T {
    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }
}

// SAFETY: the box owns the region, and a region does not depend on where its value lies;
// the rest is what `T` promises.
unsafe impl<T: Region + ?Sized> Region for Box<T> {
    fn base(&self) -> NonNull<u8> {
        (**self).base()
    }

    fn len(&self) -> usize {
        (**self).len()
    }
}

// SAFETY: as above.
unsafe impl<T: RegionMut + ?Sized> RegionMut for Box<T> {
    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }
}

// SAFETY: each of the counted owners keeps the region;
// the rest is what `T` promises.
unsafe impl<T: Region + ?Sized> Region for Arc<T> {
    fn base(&self) -> NonNull<u8> {
        (**self).base()
    }

    fn len(&self) -> usize {
        (**self).len()
    }
}

// SAFETY: as above.
unsafe impl<T: RegionMut + ?Sized> RegionMut for Arc<T> {
    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }
}

//! What stands before an object in shared memory, and says what it is.
//!
//! ```text
//! 0   magic      0 before anything was made; then "being made"; then, last of all, "made" and a version
//! 8   type       a hash of the description of the object's type
//! 16  size       of the object, in bytes
//! 24  pids       the PID namespace of its maker, where that matters; 0 if it does not, or nobody knows
//! 32  nothing
//! 64  the object
//! ```
#![expect(unsafe_code, reason = "the header lies in shared memory")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use ipc_core::{Error, ErrorKind, RegionMut, Result};

use super::Shareable;

/// How many bytes stand before the object: so that it begins a cache line.
pub(super) const LEN: usize = 64;

/// An object is being made. The last byte of a magic number is its version.
const BEGUN: u64 = u64::from_be_bytes(*b"ipc-sem\0");

/// An object was made.
const MADE: u64 = u64::from_be_bytes(*b"ipc-sem\x01");

const OP: &str = "attach to shared object";
const MAKE: &str = "make shared object";

#[repr(C)]
struct Header {
    magic: AtomicU64,
    kind: AtomicU64,
    size: AtomicU64,
    pids: AtomicU64,
}

/// A header and the object behind it, in a region where there is room for both.
pub(super) struct Placed<S> {
    at: NonNull<u8>,
    object: NonNull<S>,
}

/// How long memory must be for an object.
pub(super) const fn len_of<S>() -> usize {
    LEN + size_of::<S>()
}

impl<S: Shareable> Placed<S> {
    /// Checks that an object fits at `offset`.
    pub(super) fn new(region: &impl RegionMut, offset: usize, header: bool) -> Result<Self> {
        let invalid = |note| Err(Error::new(ErrorKind::InvalidInput, OP).with_note(note));
        let before = if header { LEN } else { 0 };
        match offset.checked_add(before + size_of::<S>()) {
            Some(end) if end <= region.len() => {}
            _ => return invalid("the region is too small for the object at this offset"),
        }
        // SAFETY: the offset is in the region.
        let at = unsafe { region.base().add(offset) };
        // SAFETY: the object's first byte is in the region, or just behind it if it has none.
        let object = unsafe { at.add(before) }.cast::<S>();
        if (header && !at.cast::<Header>().is_aligned()) || !object.is_aligned() {
            return invalid("the offset is misaligned: a multiple of 64 always does");
        }
        Ok(Self { at, object })
    }

    pub(super) fn object(&self) -> NonNull<S> {
        self.object
    }

    fn header(&self) -> &Header {
        // SAFETY: it is in a region that is mapped as long as this value is used, aligned, and consists of
        // atomics.
        unsafe { self.at.cast().as_ref() }
    }

    /// Makes the object, where there is none yet.
    pub(super) fn make(&self, init: S::Init) -> Result<()> {
        let magic = &self.header().magic;
        let claimed = magic.compare_exchange(0, BEGUN, Ordering::AcqRel, Ordering::Acquire);
        if let Err(found) = claimed {
            let note = match found {
                BEGUN => "somebody is making an object there, or has died of it",
                MADE => "there is an object already: attach to it",
                _ => "there is something else: memory must be zeroed",
            };
            return Err(Error::new(ErrorKind::AlreadyExists, MAKE).with_note(note));
        }
        let to = self.object.cast::<u8>();
        // SAFETY: there is room for the object, which is this caller's: nobody else gets here, and nobody uses it
        // before the magic number is there. All bytes are zero before it is made.
        unsafe { to.write_bytes(0, size_of::<S>()) };
        // SAFETY: as above.
        if let Err(error) = unsafe { S::init(self.object.as_ptr(), init) } {
            magic.store(0, Ordering::Release);
            return Err(error);
        }
        self.header().kind.store(kind_of::<S>(), Ordering::Relaxed);
        self.header().size.store(size_of::<S>() as u64, Ordering::Relaxed);
        self.header().pids.store(pids_of::<S>(), Ordering::Relaxed);
        magic.store(MADE, Ordering::Release);
        Ok(())
    }

    /// Checks that such an object is there, whole.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |found| ErrorKind::WrongType { expected: "an object of this type", found };
        let (kind, note) = match self.header().magic.load(Ordering::Acquire) {
            MADE => {
                let kind = self.header().kind.load(Ordering::Relaxed);
                let size = self.header().size.load(Ordering::Relaxed);
                if (kind, size) != (kind_of::<S>(), size_of::<S>() as u64) {
                    let found = wrong("an object of another type");
                    return Err(Error::new(found, OP));
                }
                let (theirs, ours) = (self.header().pids.load(Ordering::Relaxed), pids_of::<S>());
                if theirs == ours || theirs == 0 || ours == 0 {
                    return Ok(());
                }
                (
                    ErrorKind::Unsupported,
                    "it was made in another PID namespace, where the numbers by which a lock knows its holder mean \
                     other threads: take a semaphore or an event across containers",
                )
            }
            BEGUN => (
                ErrorKind::Corrupted,
                "it is half made: its creator is still at it, or has died of it",
            ),
            0 => (ErrorKind::NotFound, "nothing has been made in this memory yet"),
            other if other & !0xff == MADE & !0xff => (
                wrong("an object of another version of this crate"),
                "let all programs use the same version",
            ),
            _ => (wrong("something else"), "the memory does not begin with an object's header"),
        };
        Err(Error::new(kind, OP).with_note(note))
    }
}

/// The PID namespace of this process, for objects that know threads by their numbers.
fn pids_of<S: Shareable>() -> u64 {
    if !S::KNOWS_THREADS {
        return 0;
    }
    // One that cannot be told is not held against anybody.
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |it| std::os::unix::fs::MetadataExt::ino(&it))
}

/// The number that stands for a type: FNV-1a of its description.
fn kind_of<S: Shareable>() -> u64 {
    let mut text = String::new();
    S::describe(&mut text);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

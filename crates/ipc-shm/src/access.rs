//! What a mapping may be used for, as a type: so that what writes is refused by the compiler on memory
//! that may only be read.

use rustix::mm::{MapFlags, ProtFlags};

/// Memory that may be read and written, and that everybody who maps it sees: `PROT_READ | PROT_WRITE`,
/// `MAP_SHARED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadWrite {}

/// Memory that this mapping cannot change: `PROT_READ`, `MAP_SHARED`. Others may change it at any moment
/// all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnly {}

/// Memory that becomes this process's own, page by page, as it is written to (copy on write): nobody
/// else sees the changes. `PROT_READ | PROT_WRITE`, `MAP_PRIVATE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias("MAP_PRIVATE", "copy-on-write"))]
pub enum Private {}

/// [`ReadWrite`], [`ReadOnly`] or [`Private`].
///
/// # Examples
///
/// ```
/// use ipc_shm::{Access, Memfd};
/// fn len<A: Access>(memory: &Memfd<A>) -> usize {
///     ipc_core::Region::len(memory)
/// }
/// ```
pub trait Access: Sealed + Send + Sync + 'static {
    /// Whether a mapping needs a descriptor that is open for writing.
    #[doc(hidden)]
    const WRITES: bool;
    #[doc(hidden)]
    const NAME: &'static str;
}

mod private {
    use super::{MapFlags, ProtFlags};

    /// What the outside need not know of an access.
    pub trait Sealed {
        #[doc(hidden)]
        const MAP: Map;
    }

    /// What `mmap` is told.
    #[derive(Debug, Clone, Copy)]
    pub struct Map {
        pub(crate) prot: ProtFlags,
        pub(crate) flags: MapFlags,
    }
}

pub(crate) use private::Map;
use private::Sealed;

const BOTH: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

impl Sealed for ReadWrite {
    const MAP: Map = Map { prot: BOTH, flags: MapFlags::SHARED };
}

impl Sealed for ReadOnly {
    const MAP: Map = Map { prot: ProtFlags::READ, flags: MapFlags::SHARED };
}

impl Sealed for Private {
    const MAP: Map = Map { prot: BOTH, flags: MapFlags::PRIVATE };
}

impl Access for ReadWrite {
    const WRITES: bool = true;
    const NAME: &'static str = "read and write";
}

impl Access for ReadOnly {
    const WRITES: bool = false;
    const NAME: &'static str = "read";
}

impl Access for Private {
    const WRITES: bool = false;
    const NAME: &'static str = "copy on write";
}

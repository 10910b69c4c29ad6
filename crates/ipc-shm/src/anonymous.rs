//! Memory without a name or a descriptor, which forked children share.

use ipc_core::{Caps, Mechanism, Persistence, Result, Shape};

use crate::mapping::Mapping;
use crate::options::check_len;
use crate::{Granted, MapOptions, ReadWrite};

/// Memory that this process and the children it forks share: `MAP_SHARED | MAP_ANONYMOUS`.
///
/// There is nothing to pass on: a child that is forked (and does not `exec`) has the mapping at the same
/// address. Its pages are allocated when they are first touched; a machine that has no more memory then
/// kills a process, as with all memory. [`MapOptions::prefault`] asks beforehand.
///
/// # Examples
///
/// ```
/// use ipc_shm::{Anonymous, RegionExt};
///
/// let memory = Anonymous::new(4096)?;
/// memory.write_at(0, b"for my children")?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `mmap`(2), `MAP_ANONYMOUS`; `fork`(2).
#[derive(Debug)]
#[doc(alias = "MAP_ANONYMOUS")]
pub struct Anonymous<A = ReadWrite> {
    pub(crate) mapping: Mapping<A>,
    granted: Granted,
}

impl Anonymous {
    /// Memory of `len` bytes, zeroed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a length of zero or above
    /// `isize::MAX`; [`ErrorKind::ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when memory or
    /// addresses run out.
    pub fn new(len: usize) -> Result<Self> {
        Self::with_options(len, MapOptions::new())
    }

    /// As [`new`](Self::new), and asks for more.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn with_options(len: usize, options: MapOptions) -> Result<Self> {
        check_len(len, "mmap")?;
        let mapping = Mapping::new(None, 0, len)?;
        let granted = Granted::ask(&mapping, options, true);
        Ok(Self { mapping, granted })
    }

    /// What was granted of what was asked for with the mapping.
    #[must_use]
    pub const fn granted(&self) -> &Granted {
        &self.granted
    }
}

impl Mechanism for Anonymous {
    const NAME: &'static str = "shm-anonymous";
    const CAPS: Caps = Caps::new(Shape::Region).anonymous().persistence(Persistence::Process);
}

//! A POSIX semaphore in memory that is shared anyway.
#![expect(unsafe_code, reason = "a semaphore is made in place, in shared memory")]

use std::fmt;

use ipc_core::{Caps, Mechanism, Persistence, Result, Semaphore, Shape, Wait};
use ipc_fd::kind::os;

use crate::shared::Shareable;
use crate::sys::sem::RawSem;

/// A POSIX semaphore in shared memory: `sem_init`.
///
/// It is an object of a [`Shared`](crate::Shared), alone or beside others. What a C program sees at its place
/// is a `sem_t`.
///
/// See the [module's documentation](super) for what happens when a process dies.
///
/// # Errors
///
/// Of `post`: [`ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) at [`VALUE_MAX`](super::VALUE_MAX).
///
/// # Examples
///
/// Room for three, and none taken:
///
/// ```
/// use ipc_core::Semaphore;
/// use ipc_sem::{Shared, posix::UnnamedSem};
///
/// let (room, taken) = (3, 0);
/// let buffer = Shared::<(UnnamedSem, UnnamedSem)>::new((room, taken))?;
/// buffer.0.wait()?;
/// buffer.1.post()?;
/// assert_eq!((buffer.0.value(), buffer.1.value()), (2, 1));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sem_overview`(7), `sem_init`(3).
#[doc(alias("sem_t", "sem_init"))]
#[repr(transparent)]
pub struct UnnamedSem(RawSem);

impl UnnamedSem {
    /// How many permits there are now: `sem_getvalue`. It may be another number before this returns.
    #[doc(alias = "sem_getvalue")]
    #[must_use]
    pub fn value(&self) -> u32 {
        self.0.value()
    }
}

impl Semaphore for UnnamedSem {
    #[inline]
    fn post(&self) -> Result<()> {
        super::post(&self.0)
    }

    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<()> {
        super::wait_with(&self.0, wait)
    }
}

impl Mechanism for UnnamedSem {
    const NAME: &'static str = "posix-sem-unnamed";
    const CAPS: Caps = Caps::new(Shape::Semaphore).anonymous().persistence(Persistence::Process);
}

// SAFETY: a `sem_t` holds no address and is used by atomic operations alone; `init` makes one.
unsafe impl Shareable for UnnamedSem {
    type Init = u32;

    unsafe fn init(this: *mut Self, value: u32) -> Result<()> {
        super::check_value(value)?;
        // SAFETY: the caller promises the place, and the type is transparent.
        unsafe { RawSem::init(this.cast(), value) }.map_err(os("sem_init"))
    }

    fn describe(to: &mut String) {
        to.push_str("sem_t");
    }
}

impl fmt::Debug for UnnamedSem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnnamedSem").field("value", &self.value()).finish()
    }
}

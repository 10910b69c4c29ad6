//! An object in shared memory, as one process has it.
#![expect(unsafe_code, reason = "an object in shared memory is reached by its address")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::num::NonZeroU64;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::ptr::NonNull;

use ipc_core::handoff::Handoff;
use ipc_core::{
    Caps, Mechanism, Name, Notified, Notify, RegionMut, Rejected, Result, Semaphore, Wait,
};
use ipc_fd::handoff::{adopt, give};

use super::Shareable;
use super::header::{Placed, len_of};
use super::options::SORT;
use crate::memory::{Memory, check};

/// An object that several processes use: a lock, or several of them, in memory that they share.
///
/// | the processes | make it by | and find it by |
/// |---|---|---|
/// | are a parent and its children | [`new`](Self::new) | [`Handoff`], or a descriptor that is passed |
/// | know a name | [`SharedOptions::create`](super::SharedOptions::create) | [`open`](super::SharedOptions::open) |
/// | share memory already | [`create_in`](Self::create_in) | [`attach_in`](Self::attach_in) |
///
/// What it is, is checked: memory that holds nothing, something else, another type, a half-made object or one of
/// another version is refused, each with an error of its own.
///
/// # Trust
///
/// **All processes that can write to the memory are trusted** to run this code, or code that keeps to its rules.
/// A lock keeps out who asks; and the C library keeps addresses of each process in a locked mutex. A hostile
/// process can make the others crash, or worse. For peers that are not trusted take a pipe, a socket, or a ring
/// of `ipc-shm`.
///
/// # Limitations
///
/// A forked child has a copy of this value and of all guards. What the parent holds, the child does not: a guard
/// that it drops unlocks nothing. But it must not read or write through one. Nor may it use a lock in a new PID
/// namespace: who attaches there is refused, but a copy is not asked.
///
/// # Examples
///
/// ```
/// use ipc_sem::{Mutex, Shared};
///
/// let counter = Shared::<Mutex<u64>>::new(0)?;
/// *counter.lock()? += 1;
/// assert_eq!(*counter.lock()?, 1);
/// # Ok::<(), ipc_core::Error>(())
/// ```
pub struct Shared<S: Shareable, R = Memory> {
    /// Invariant: it is in the region, and was made there.
    object: NonNull<S>,
    region: ManuallyDrop<R>,
}

// SAFETY: the object is used by several processes through shared references; the region says for itself.
unsafe impl<S: Shareable, R: Send> Send for Shared<S, R> {}
// SAFETY: as above.
unsafe impl<S: Shareable, R: Sync> Sync for Shared<S, R> {}

impl<S: Shareable> Shared<S> {
    /// Makes an object in memory without a name, to be given to children or passed as a descriptor:
    /// `memfd_create`.
    ///
    /// # Errors
    ///
    /// [`ResourceLimit`](ipc_core::ErrorKind::ResourceLimit) when descriptors or memory run out, and what the
    /// object says.
    ///
    /// # Examples
    ///
    /// See [`Shared`].
    pub fn new(init: S::Init) -> Result<Self> {
        let memory = Memory::unnamed(len_of::<S>())?;
        Placed::<S>::new(&memory, 0, true)?.make(init)?;
        Self::in_own(memory)
    }

    /// The object in memory that this crate has mapped, and that nothing else in this process reaches.
    pub(super) fn in_own(memory: Memory) -> Result<Self> {
        // SAFETY: only this crate reaches the memory, and only through the object. Other processes that have
        // it are trusted, as the type's documentation says.
        unsafe { Self::attach_in(memory, 0) }
    }

    /// The name by which it was made or opened.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.region.name()
    }

    /// Leaves the name when this value is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Name;
    /// # use ipc_sem::{Event, Reset, SharedOptions};
    /// let name = Name::new(format!("ipc-sem-doc-keep-{}", std::process::id()))?;
    /// SharedOptions::<Event>::new().create(&name, Reset::Auto)?.keep();
    /// SharedOptions::<Event>::new().open(&name)?.unlink()?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn keep(&mut self) {
        self.region.keep();
    }

    /// Removes the name now, if it is still this object's. Who has it open keeps it.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ipc_core::ErrorKind::NotFound) when there is no name, or it stands for something else by
    /// now, which is left alone; [`PermissionDenied`](ipc_core::ErrorKind::PermissionDenied) when another user
    /// owns it.
    pub fn unlink(mut self) -> Result<()> {
        self.region.unlink("shm_unlink")
    }
}

impl<S: Shareable, R: RegionMut> Shared<S, R> {
    /// Makes an object in a region of the caller's: a header of 64 bytes at `offset`, and the object behind it.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a region that is too small, or an offset that
    ///   is not aligned;
    /// - [`AlreadyExists`](ipc_core::ErrorKind::AlreadyExists) when the eight bytes there are not zero: an
    ///   object, one that is being made, or something else;
    /// - what the object says.
    ///
    /// # Safety
    ///
    /// As long as anybody has the object, the bytes from `offset` on to its end are reached through values of this
    /// type alone, in this process and all others, as the same type at the same place. (The other bytes of the
    /// region are the caller's.) They stay mapped as long as this process holds a lock in them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_sem::{Mutex, Shared};
    /// use ipc_shm::MemfdOptions;
    ///
    /// let memory = MemfdOptions::new(4096).create()?;
    /// // SAFETY: nobody touches the second half of the memory but by way of this.
    /// let counter = unsafe { Shared::<Mutex<u64>, _>::create_in(&memory, 2048, 0) }?;
    /// *counter.lock()? += 1;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub unsafe fn create_in(region: R, offset: usize, init: S::Init) -> Result<Self> {
        let placed = Placed::<S>::new(&region, offset, true)?;
        placed.make(init)?;
        Ok(Self { object: placed.object(), region: ManuallyDrop::new(region) })
    }

    /// Finds an object that somebody made in a region.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a region that is too small, or an offset that
    ///   is not aligned;
    /// - [`NotFound`](ipc_core::ErrorKind::NotFound) when nothing has been made there;
    /// - [`Corrupted`](ipc_core::ErrorKind::Corrupted) when the object is half made: its creator is still at it,
    ///   or has died;
    /// - [`WrongType`](ipc_core::ErrorKind::WrongType) when it is something else: not of this crate, of another
    ///   version of it, or of another type;
    /// - [`Unsupported`](ipc_core::ErrorKind::Unsupported) when it is a lock and was made in another PID namespace.
    ///
    /// # Safety
    ///
    /// That of [`create_in`](Self::create_in).
    pub unsafe fn attach_in(region: R, offset: usize) -> Result<Self> {
        let placed = Placed::<S>::new(&region, offset, true)?;
        placed.check()?;
        Ok(Self { object: placed.object(), region: ManuallyDrop::new(region) })
    }

    /// Takes what a C program has made, without a header, for an object: a `sem_t` that `sem_init` made for an
    /// [`UnnamedSem`](crate::posix::UnnamedSem), a structure that begins with a `pthread_mutex_t` for a
    /// [`Mutex`](crate::Mutex). Nothing can be checked but room and alignment.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ipc_core::ErrorKind::InvalidInput) for a region that is too small, or an offset that is
    /// not aligned.
    ///
    /// # Safety
    ///
    /// That of [`create_in`](Self::create_in); and the object is there, whole: a mutex was made robust and
    /// shared between processes (`PTHREAD_MUTEX_ROBUST`, `PTHREAD_PROCESS_SHARED`).
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Semaphore, Region};
    /// use ipc_sem::{Shared, posix::UnnamedSem};
    /// use ipc_shm::MemfdOptions;
    ///
    /// let memory = MemfdOptions::new(4096).create()?;
    /// // A C program has called sem_init(memory + 128, 1, 0) here.
    /// // SAFETY: a `sem_t` is there, and nothing else uses its bytes.
    /// let sem = unsafe { Shared::<UnnamedSem, _>::bare_in(&memory, 128) }?;
    /// sem.post()?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub unsafe fn bare_in(region: R, offset: usize) -> Result<Self> {
        let placed = Placed::<S>::new(&region, offset, false)?;
        Ok(Self { object: placed.object(), region: ManuallyDrop::new(region) })
    }
}

/// Unmaps the memory, unless a thread of this process holds a lock in it, by way of a guard that was forgotten, or of
/// another mapping: then it stays mapped, since the C library may touch it, and its name stays too.
impl<S: Shareable, R> Drop for Shared<S, R> {
    fn drop(&mut self) {
        if !self.is_held_here() {
            // SAFETY: this value ends, and nobody drops the region again.
            unsafe { ManuallyDrop::drop(&mut self.region) };
        }
    }
}

impl<S: Shareable, R> Deref for Shared<S, R> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        // SAFETY: the object is in the region, which is mapped as long as this value lives, was made there, and
        // is for being shared.
        unsafe { self.object.as_ref() }
    }
}

/// By the descriptor of its memory.
impl<S: Shareable> Handoff for Shared<S> {
    fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
        give(self, command, key)
    }

    fn adopt(key: &str) -> Result<Self> {
        let [(fd, _)] = adopt([key], |_, fd| check(fd, len_of::<S>(), SORT))?;
        Ok(Self::try_from(fd)?)
    }
}

impl<S: Shareable> AsFd for Shared<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.region.as_fd()
    }
}

/// Unmaps the memory as dropping would, and removes its name where dropping would.
impl<S: Shareable> From<Shared<S>> for OwnedFd {
    fn from(shared: Shared<S>) -> Self {
        let held = shared.is_held_here();
        let mut shared = ManuallyDrop::new(shared);
        // SAFETY: the value is not used again, and not dropped.
        let memory = unsafe { ManuallyDrop::take(&mut shared.region) };
        if held { memory.leak() } else { memory.into() }
    }
}

impl<S: Shareable> TryFrom<OwnedFd> for Shared<S> {
    type Error = Rejected<OwnedFd>;

    /// Takes the descriptor of an object's memory, from a process that is trusted.
    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        let memory = Memory::of_descriptor(fd, len_of::<S>(), SORT)?;
        let placed = Placed::<S>::new(&memory, 0, true).and_then(|placed| {
            placed.check()?;
            Ok(placed.object())
        });
        match placed {
            Ok(object) => Ok(Self { object, region: ManuallyDrop::new(memory) }),
            Err(error) => Err(Rejected { value: memory.into(), error }),
        }
    }
}

impl<S: Shareable + fmt::Debug, R> fmt::Debug for Shared<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shared").field(&**self).finish()
    }
}

impl<S: Shareable + Semaphore, R> Semaphore for Shared<S, R> {
    #[inline]
    fn post(&self) -> Result<()> {
        (**self).post()
    }

    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<()> {
        (**self).wait_with(wait)
    }
}

impl<S: Shareable + Notify, R> Notify for Shared<S, R> {
    #[inline]
    fn notify(&self) -> Result<()> {
        (**self).notify()
    }
}

impl<S: Shareable + Notified, R> Notified for Shared<S, R> {
    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        (**self).wait_with(wait)
    }
}

impl<S: Shareable + Mechanism, R> Mechanism for Shared<S, R> {
    const NAME: &'static str = S::NAME;
    const CAPS: Caps = S::CAPS;
}

//! A set of System V semaphores.

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Named, Result, Wait};
use ipc_fd::kind::os;
use rustix::io::Errno;

use super::status::{Status, gone, status};
use super::{CAPS, Key, Op, RemovalGuard, Sem, SetOptions, VALUE_MAX};
use crate::sys::semop as sys;

/// How many operations are passed on without allocating.
const FEW: usize = 8;

/// A set of System V semaphores that unrelated processes find by its key.
///
/// The value that [`SetOptions::create`] returned removes the set when it is dropped, in the process that created
/// it; call [`keep`](Self::keep) to leave it. **Removing a set ends it for everybody**: who waits gets
/// [`ErrorKind::Disconnected`].
///
/// # Examples
///
/// ```
/// use ipc_core::Semaphore;
/// use ipc_sem::sysv::{Key, SetOptions};
///
/// let dir = tempfile::tempdir().unwrap();
/// let key = Key::from_path_id(dir.path(), b's')?;
/// let server = SetOptions::new().values(&[0, 3]).create(key)?;
///
/// // In another process:
/// let client = SetOptions::new().open(key)?;
/// client.sem(1)?.wait()?;
/// client.sem(0)?.post()?;
///
/// assert_eq!(server.values()?, [1, 2]);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `semget`(2), `semop`(2), `semctl`(2), `sysvipc`(7).
#[derive(Debug)]
#[doc(alias("semget", "semop", "semctl"))]
pub struct Set {
    key: Key,
    id: i32,
    len: u16,
    guard: Option<RemovalGuard>,
}

/// Who waits for a semaphore.
///
/// # Examples
///
/// See [`Set::waiting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How many wait for permits: `GETNCNT`.
    pub for_permits: u32,
    /// How many wait until there are none: `GETZCNT`.
    pub for_zero: u32,
}

impl Set {
    pub(super) fn created(key: Key, guard: RemovalGuard, len: u16) -> Self {
        Self { key, id: guard.id(), len, guard: Some(guard) }
    }

    pub(super) fn opened(key: Key, id: i32, len: u16) -> Self {
        Self { key, id, len, guard: None }
    }

    /// The key by which it was created or is found.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// The id, which every process of the IPC namespace can use: see [`SetOptions::open_id`].
    #[must_use]
    #[doc(alias = "semid")]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// How many semaphores it has.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// One semaphore of the set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when there are not so many.
    ///
    /// # Examples
    ///
    /// See [`Set`].
    pub fn sem(&self, num: u16) -> Result<Sem> {
        self.check(num)?;
        Ok(Sem::new(self.id, num, None))
    }

    fn check(&self, num: u16) -> Result<()> {
        if num >= self.len {
            return Err(Error::new(ErrorKind::InvalidInput, "semop")
                .with_note("the set has no semaphore of this number: the first is 0"));
        }
        Ok(())
    }

    /// Does several operations at once, or none of them: `semtimedop`.
    ///
    /// It waits until all can be done, one after the other. Nobody sees some of them done.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`], as `wait` says;
    /// - [`ErrorKind::Disconnected`] when the set is removed, or was;
    /// - [`ErrorKind::InvalidInput`] for no operation, or a number of a semaphore that there is not;
    /// - [`ErrorKind::ResourceLimit`] for a value above 32767, for more operations than `SEMOPM`, and when the
    ///   kernel has no memory to undo;
    /// - [`ErrorKind::PermissionDenied`] when this user may not change it (or, to wait for zero, read it).
    ///
    /// # Limits
    ///
    /// `SEMOPM`, the third number in `/proc/sys/kernel/sem`: 500 unless changed.
    ///
    /// # Examples
    ///
    /// Two forks for a philosopher, or none:
    ///
    /// ```
    /// use ipc_core::{ErrorKind, Wait};
    /// use ipc_sem::sysv::{Op, SetOptions};
    ///
    /// let forks = SetOptions::new().values(&[1, 1, 1]).private()?;
    /// let take = |a, b| [Op::wait(a, 1).undo(), Op::wait(b, 1).undo()];
    /// forks.operate(&take(0, 1), Wait::Forever)?;
    /// let error = forks.operate(&take(1, 2), Wait::Never).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// assert_eq!(forks.values()?, [0, 0, 1]);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias("semop", "semtimedop"))]
    pub fn operate(&self, ops: &[Op], wait: Wait) -> Result<()> {
        ops.iter().try_for_each(|op| self.check(op.num))?;
        let nowait = wait == Wait::Never;
        if ops.len() > FEW {
            let ops: Result<Vec<_>> = ops.iter().map(|op| op.of_kernel(nowait)).collect();
            return operate(self.id, &mut ops?, wait);
        }
        let mut few = [sys::sembuf { sem_num: 0, sem_op: 0, sem_flg: 0 }; FEW];
        for (to, op) in few.iter_mut().zip(ops) {
            *to = op.of_kernel(nowait)?;
        }
        operate(self.id, &mut few[..ops.len()], wait)
    }

    /// The values of all semaphores: `semctl(GETALL)`. They may be others before this returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the set was removed; [`ErrorKind::PermissionDenied`].
    ///
    /// # Examples
    ///
    /// See [`Set`].
    #[doc(alias = "GETALL")]
    pub fn values(&self) -> Result<Vec<u16>> {
        get_all(self.id, self.len)
    }

    /// Sets the values of all semaphores: `semctl(SETALL)`. Who waits and can go on does. What was to be undone is
    /// forgotten.
    ///
    /// # Errors
    ///
    /// As for [`values`](Self::values); [`ErrorKind::InvalidInput`] for another number of values than there are
    /// semaphores, and [`ErrorKind::ResourceLimit`] for a value above 32767.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_sem::sysv::SetOptions;
    /// let set = SetOptions::new().values(&[1, 2]).private()?;
    /// set.set_values(&[5, 6])?;
    /// assert_eq!(set.values()?, [5, 6]);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "SETALL")]
    pub fn set_values(&self, values: &[u16]) -> Result<()> {
        if values.len() != self.len() {
            return Err(Error::new(ErrorKind::InvalidInput, "semctl SETALL")
                .with_note("one value for each semaphore of the set"));
        }
        set_all(self.id, values)
    }

    /// How many wait for semaphore `num`: `semctl(GETNCNT)` and `GETZCNT`.
    ///
    /// # Errors
    ///
    /// As for [`values`](Self::values), and for [`sem`](Self::sem).
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_sem::sysv::SetOptions;
    /// let waiting = SetOptions::new().values(&[1]).private()?.waiting(0)?;
    /// assert_eq!((waiting.for_permits, waiting.for_zero), (0, 0));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias("GETNCNT", "GETZCNT"))]
    pub fn waiting(&self, num: u16) -> Result<Waiting> {
        self.check(num)?;
        let ask = |command, op| match sys::ask(self.id, num.into(), command) {
            Ok(count) => Ok(u32::try_from(count).unwrap_or(0)),
            Err(errno) => Err(gone(op, errno)),
        };
        Ok(Waiting {
            for_permits: ask(libc::GETNCNT, "semctl GETNCNT")?,
            for_zero: ask(libc::GETZCNT, "semctl GETZCNT")?,
        })
    }

    /// What the kernel knows of the set: `semctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it was removed.
    ///
    /// # Examples
    ///
    /// See [`Status`].
    #[doc(alias = "IPC_STAT")]
    pub fn status(&self) -> Result<Status> {
        status(self.id)
    }

    /// Sets the permissions: `semctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a mode above 0777, [`ErrorKind::PermissionDenied`] for who neither owns nor
    /// created it, [`ErrorKind::NotFound`] when it was removed.
    #[doc(alias = "IPC_SET")]
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        const OP: &str = "semctl IPC_SET";
        if mode > 0o777 {
            return Err(Error::new(ErrorKind::InvalidInput, OP).with_note("a mode is at most 0777"));
        }
        let mut ds = sys::stat(self.id).map_err(|errno| gone(OP, errno))?;
        ds.sem_perm.mode = mode as _;
        sys::set(self.id, &mut ds).map_err(|errno| gone(OP, errno))
    }

    /// Leaves the set when this value is dropped.
    pub fn keep(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.disarm();
        }
    }

    /// Removes the set when the guard is dropped.
    ///
    /// # Examples
    ///
    /// See [`RemovalGuard`].
    pub fn removal_guard(&self) -> RemovalGuard {
        RemovalGuard::new(self.id)
    }

    /// Removes the set now, for everybody: `semctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it was removed before, [`ErrorKind::PermissionDenied`] when this user neither
    /// owns nor created it.
    #[doc(alias = "IPC_RMID")]
    pub fn unlink(mut self) -> Result<()> {
        self.keep();
        RemovalGuard::new(self.id).remove()
    }
}

impl Named for Set {
    type Address = Key;
    type Options = SetOptions;

    fn create(key: &Key, options: &SetOptions) -> Result<Self> {
        options.create(*key)
    }

    fn open(key: &Key, options: &SetOptions) -> Result<Self> {
        options.open(*key)
    }

    fn unlink(self) -> Result<()> {
        Self::unlink(self)
    }
}

impl Mechanism for Set {
    const NAME: &'static str = "sysv-sem";
    const CAPS: Caps = CAPS;
}

/// Operates on a set as `wait` says.
#[inline]
pub(super) fn operate(id: i32, ops: &mut [sys::sembuf], wait: Wait) -> Result<()> {
    let first = match wait {
        // With `Never`, every operation says so.
        Wait::Forever | Wait::Never => sys::operate(id, ops),
        Wait::Until(_) => Err(Errno::INTR),
    };
    match first {
        Ok(()) => Ok(()),
        Err(errno) => go_on(id, ops, wait, errno),
    }
}

#[cold]
fn go_on(id: i32, ops: &mut [sys::sembuf], wait: Wait, mut errno: Errno) -> Result<()> {
    loop {
        let wants_permits = ops.iter().any(|op| op.sem_op < 0);
        match errno {
            Errno::INTR => {}
            Errno::AGAIN => return Err(os("semop")(errno).with_kind(wait.exhausted())),
            Errno::INVAL if ops.is_empty() => {
                return Err(os("semop")(errno).with_note("there must be one operation at least"));
            }
            Errno::INVAL | Errno::IDRM => {
                return Err(os("semop")(errno)
                    .with_kind(ErrorKind::Disconnected)
                    .with_note("the set was removed"));
            }
            Errno::FBIG => {
                return Err(os("semop")(errno)
                    .with_kind(ErrorKind::InvalidInput)
                    .with_note("the set has no semaphore of this number"));
            }
            Errno::TOOBIG => {
                return Err(os("semop")(errno).with_kind(ErrorKind::ResourceLimit {
                    limit: "operations at once on a System V set",
                    knob: "SEMOPM, the third number in /proc/sys/kernel/sem",
                }));
            }
            Errno::RANGE if !wants_permits => return Err(overflow()),
            Errno::RANGE => {
                return Err(os("semop")(errno).with_kind(ErrorKind::ResourceLimit {
                    limit: "permits in one System V semaphore, or to give back when a process ends",
                    knob: "SEMVMX (32767), which is fixed",
                }));
            }
            Errno::ACCESS => {
                return Err(
                    os("semop")(errno).with_note("the set's mode does not let this user do that")
                );
            }
            errno => return Err(os("semop")(errno)),
        }
        let result = match wait.remaining() {
            Some(left) if wait != Wait::Never => sys::operate_timeout(id, ops, left),
            _ => sys::operate(id, ops),
        };
        match result {
            Ok(()) => return Ok(()),
            Err(next) => errno = next,
        }
    }
}

/// A value would be too great.
#[cold]
pub(super) fn overflow() -> Error {
    os("semop")(Errno::RANGE).with_kind(ErrorKind::ResourceLimit {
        limit: "permits in one System V semaphore",
        knob: "SEMVMX (32767), which is fixed",
    })
}

/// Room for the values of any set: the number of a semaphore has 16 bits.
const ROOM: usize = 1 << 16;

#[expect(unsafe_code, reason = "the kernel writes as many values as the set has")]
fn get_all(id: i32, len: u16) -> Result<Vec<u16>> {
    let mut values = vec![0; ROOM];
    // SAFETY: no set has more semaphores, whichever has this id by now.
    unsafe { sys::get_all(id, &mut values) }.map_err(|errno| gone("semctl GETALL", errno))?;
    values.truncate(len.into());
    Ok(values)
}

#[expect(unsafe_code, reason = "the kernel reads as many values as the set has")]
pub(super) fn set_all(id: i32, values: &[u16]) -> Result<()> {
    if values.iter().any(|value| *value > VALUE_MAX) {
        return Err(overflow());
    }
    let mut room = vec![0; ROOM];
    room[..values.len()].copy_from_slice(values);
    // SAFETY: as above.
    unsafe { sys::set_all(id, &room) }.map_err(|errno| gone("semctl SETALL", errno))
}

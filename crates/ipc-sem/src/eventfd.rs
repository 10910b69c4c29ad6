//! A counter behind a descriptor: `eventfd`.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::Command;

use ipc_core::handoff::Handoff;
use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Notified, Notify, Persistence, Rejected, Result, Semaphore,
    Shape, Wait,
};
use ipc_fd::handoff::{adopt, give};
use ipc_fd::kind::{checked, file_type, os};
use ipc_fd::wait::{again, go_on, ready};
use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::io::{Errno, ReadWriteFlags};

/// The greatest value of a counter.
const MAX: u64 = u64::MAX - 1;

/// The most that is added without a look whether there is room.
const SMALL: u64 = 1 << 32;

/// What both modes are.
const CAPS: Caps = Caps::new(Shape::Notification).anonymous().pollable();

/// A counter of notifications behind a descriptor: `eventfd`.
///
/// [`notify`](Notify::notify) adds one, a wait takes the whole count. None is lost, and none coalesces. It lives as
/// long as somebody has the descriptor open, which goes to a child by [`Handoff`], and to anybody over a Unix
/// socket; `poll` says [`POLLIN`](PollFlags::IN) as long as the count is not zero.
///
/// A process that is killed leaves the count as it is. There is no end of file: who waits does not learn that
/// nobody is left to notify.
///
/// # Errors
///
/// Of the waits: [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`].
///
/// # Limits
///
/// The count is 2⁶⁴ − 2 at most. [`add`](Self::add) of 2³² or more looks first, and fails there. Less than that, and
/// a notification, would block, as the kernel has no call that adds without blocking; they do not get there in
/// a lifetime, unless somebody else has filled the counter.
///
/// # Platform
///
/// Linux 5.8, for waits that do not block.
///
/// # Examples
///
/// ```
/// use ipc_core::{Notified, Notify};
/// use ipc_sem::EventFd;
///
/// let event = EventFd::new()?;
/// event.notify()?;
/// event.add(4)?;
/// assert_eq!(event.wait()?.get(), 5);
/// assert!(event.try_wait().is_err());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `eventfd`(2).
#[derive(Debug)]
#[doc(alias = "eventfd")]
pub struct EventFd(OwnedFd);

/// A semaphore behind a descriptor: `eventfd(EFD_SEMAPHORE)`.
///
/// As [`EventFd`], but a wait takes one. A process that is killed after it has taken a permit takes it with it.
///
/// # Errors
///
/// Of the waits: [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`].
///
/// # Limits
///
/// Those of [`EventFd`].
///
/// # Examples
///
/// ```
/// use ipc_core::Semaphore;
/// use ipc_sem::EventFdSem;
///
/// let permits = EventFdSem::new(2)?;
/// permits.wait()?;
/// permits.wait()?;
/// assert!(permits.try_wait().is_err());
/// permits.post()?;
/// permits.wait()?;
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `eventfd`(2), `EFD_SEMAPHORE`.
#[derive(Debug)]
#[doc(alias = "EFD_SEMAPHORE")]
pub struct EventFdSem(OwnedFd);

impl EventFd {
    /// A counter at zero.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors or memory run out.
    pub fn new() -> Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC).map_err(os("eventfd"))?))
    }

    /// Adds a number of notifications at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when the count would be more than 2⁶⁴ − 2; nothing is added.
    /// [`ErrorKind::InvalidInput`] for zero, which nobody would notice.
    ///
    /// # Examples
    ///
    /// See [`EventFd`].
    pub fn add(&self, count: u64) -> Result<()> {
        add(self.0.as_fd(), count)
    }

    /// Another handle to the same counter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self(duplicate(self.0.as_fd())?))
    }
}

impl EventFdSem {
    /// A semaphore with so many permits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors or memory run out.
    pub fn new(permits: u32) -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::SEMAPHORE;
        Ok(Self(eventfd(permits, flags).map_err(os("eventfd"))?))
    }

    /// Adds a number of permits at once.
    ///
    /// # Errors
    ///
    /// As for [`EventFd::add`].
    pub fn post_many(&self, permits: u64) -> Result<()> {
        add(self.0.as_fd(), permits)
    }

    /// Another handle to the same semaphore.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self(duplicate(self.0.as_fd())?))
    }
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 0).map_err(os("fcntl F_DUPFD_CLOEXEC"))
}

/// `write` of one.
#[inline]
fn add_one(fd: BorrowedFd<'_>) -> Result<()> {
    const ONE: [u8; 8] = 1_u64.to_ne_bytes();
    match rustix::io::write(fd, &ONE) {
        Ok(_) => Ok(()),
        Err(errno) => write_on(fd, ONE, errno),
    }
}

#[cold]
fn write_on(fd: BorrowedFd<'_>, bytes: [u8; 8], errno: Errno) -> Result<()> {
    go_on("write", fd, PollFlags::OUT, errno, || rustix::io::write(fd, &bytes)).map(drop)
}

fn add(fd: BorrowedFd<'_>, count: u64) -> Result<()> {
    const FULL: Error = Error::new(
        ErrorKind::ResourceLimit {
            limit: "counts in one eventfd",
            knob: "2^64 - 2, which is fixed",
        },
        "write",
    );
    match count {
        0 => Err(Error::new(ErrorKind::InvalidInput, "write")
            .with_note("nobody would notice an addition of 0")),
        u64::MAX => Err(FULL),
        // `write` would block where there is no room.
        SMALL.. => {
            let now = value(fd).ok_or_else(|| {
                Error::new(ErrorKind::Unsupported, "write")
                    .with_note("/proc must be mounted to add 2^32 or more")
            })?;
            if MAX - now.min(MAX) < count {
                return Err(FULL);
            }
            write(fd, count)
        }
        _ => write(fd, count),
    }
}

fn write(fd: BorrowedFd<'_>, count: u64) -> Result<()> {
    let bytes = count.to_ne_bytes();
    match rustix::io::write(fd, &bytes) {
        Ok(_) => Ok(()),
        Err(errno) => write_on(fd, bytes, errno),
    }
}

/// What the counter stands at, as `/proc` tells.
fn value(fd: BorrowedFd<'_>) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("eventfd-count:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// `read`, as `wait` says.
#[inline]
fn take(fd: BorrowedFd<'_>, wait: Wait) -> Result<u64> {
    let mut bytes = [0; 8];
    if wait == Wait::Forever {
        if let Err(errno) = rustix::io::read(fd, &mut bytes) {
            read_on(fd, &mut bytes, errno)?;
        }
    } else {
        take_now(fd, &mut bytes, wait)?;
    }
    Ok(u64::from_ne_bytes(bytes))
}

#[cold]
fn read_on(fd: BorrowedFd<'_>, bytes: &mut [u8; 8], errno: Errno) -> Result<()> {
    go_on("read", fd, PollFlags::IN, errno, || rustix::io::read(fd, &mut *bytes)).map(drop)
}

/// `preadv2(RWF_NOWAIT)`, and `ppoll` in between.
fn take_now(fd: BorrowedFd<'_>, bytes: &mut [u8; 8], wait: Wait) -> Result<()> {
    // What has no position is read where it stands.
    const HERE: u64 = u64::MAX;
    let read = || {
        let mut slices = [std::io::IoSliceMut::new(&mut bytes[..])];
        rustix::io::preadv2(fd, &mut slices, HERE, ReadWriteFlags::NOWAIT)
    };
    again("read", wait, read, || ready("read", fd, PollFlags::IN, wait)).map(drop)
}

/// Checks that a descriptor is an eventfd, in semaphore mode or not.
fn check(fd: BorrowedFd<'_>, semaphore: bool) -> Result<()> {
    let (expected, other) = if semaphore {
        ("an eventfd in semaphore mode", "an eventfd that counts")
    } else {
        ("an eventfd that counts", "an eventfd in semaphore mode")
    };
    let wrong = |found| Err(Error::new(ErrorKind::WrongType { expected, found }, "eventfd"));
    let number = fd.as_raw_fd();
    let link = std::fs::read_link(format!("/proc/self/fd/{number}"));
    match link {
        Ok(link) if link.as_os_str() == "anon_inode:[eventfd]" => {}
        Ok(_) => {
            let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
            return wrong(file_type(&stat));
        }
        Err(_) => {
            return Err(Error::new(ErrorKind::Unsupported, "eventfd")
                .with_note("/proc must be mounted to tell what a descriptor is"));
        }
    }
    // Before Linux 6.5 nobody tells the mode.
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let mode = info.lines().find_map(|line| line.strip_prefix("eventfd-semaphore:"));
    match mode.map(|mode| mode.trim() == "1") {
        Some(is_semaphore) if is_semaphore != semaphore => wrong(other),
        _ => Ok(()),
    }
}

impl Notify for EventFd {
    #[inline]
    fn notify(&self) -> Result<()> {
        add_one(self.0.as_fd())
    }
}

impl Notified for EventFd {
    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        let count = take(self.0.as_fd(), wait)?;
        NonZeroU64::new(count).ok_or_else(|| Error::new(ErrorKind::Corrupted, "read"))
    }
}

impl Semaphore for EventFdSem {
    #[inline]
    fn post(&self) -> Result<()> {
        add_one(self.0.as_fd())
    }

    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<()> {
        take(self.0.as_fd(), wait).map(drop)
    }
}

impl Mechanism for EventFd {
    const NAME: &'static str = "eventfd";
    const CAPS: Caps = CAPS.persistence(Persistence::Process);
}

impl Mechanism for EventFdSem {
    const NAME: &'static str = "eventfd-sem";
    const CAPS: Caps = Caps::new(Shape::Semaphore).anonymous().pollable();
}

/// What is the same for both.
macro_rules! descriptor {
    ($($type:ident, $semaphore:literal;)+) => {$(
        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl From<$type> for OwnedFd {
            fn from(event: $type) -> Self {
                event.0
            }
        }

        impl TryFrom<OwnedFd> for $type {
            type Error = Rejected<OwnedFd>;

            /// Takes an eventfd of this mode. Before Linux 6.5, the mode cannot be checked.
            fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
                Ok(Self(checked(fd, |fd| check(fd, $semaphore))?.0))
            }
        }

        impl Handoff for $type {
            fn give(self, command: &mut Command, key: &str) -> Result<(), Rejected<Self>> {
                give(self, command, key)
            }

            fn adopt(key: &str) -> Result<Self> {
                let [(fd, ())] = adopt([key], |_, fd| check(fd, $semaphore))?;
                Ok(Self(fd))
            }
        }
    )+};
}

descriptor! {
    EventFd, false;
    EventFdSem, true;
}

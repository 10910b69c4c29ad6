//! Signals as bytes to read: `signalfd`.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Notified, Rejected, Result, Shape, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::ready;
use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::sys::info::FdInfo;
use crate::sys::transfer as sys;
use crate::{Origin, SignalSet};
/// The operation in this file's errors.
const OP: &str = "read signalfd";

/// How many signals one call of [`SignalFd::read_batch`] takes at most.
const BATCH: usize = 32;

/// A descriptor that is readable while signals of a set are pending: `signalfd`.
///
/// It is for programs that wait for descriptors: `poll`, `epoll`, `io_uring`.
///
/// # Whose signals
///
/// It does not catch signals: a read **takes what is pending for the thread and the process that
/// read**, as [`SignalSet::wait`] does. So
///
/// - the signals must be blocked in every thread, or they are delivered and never read;
/// - signals that were sent to one thread are read by that thread alone;
/// - a child that inherits the descriptor reads **the child's** signals. But an `epoll` that it was
///   added to by the parent goes on watching the parent's: add it again in the child.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says.
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_signal::{Pid, Signal, SignalFd, Target, send};
///
/// let signals = SignalFd::open([Signal::INT, Signal::TERM].into())?;
/// send(Target::Process(Pid::this()), Signal::TERM)?;
/// let origin = signals.read(Wait::Forever)?;
/// assert_eq!((origin.signal(), origin.pid()), (Signal::TERM, Some(Pid::this())));
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `signalfd`(2).
#[derive(Debug)]
#[doc(alias = "signalfd")]
pub struct SignalFd {
    fd: OwnedFd,
    set: SignalSet,
}

impl SignalFd {
    /// Blocks the signals in the calling thread and makes a descriptor for them: `signalfd` with
    /// `SFD_CLOEXEC`.
    ///
    /// They stay blocked when the value is dropped: what is pending then would be delivered, and end
    /// the process.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unsupported`] for a set with `SIGKILL` or `SIGSTOP`;
    /// - [`ErrorKind::InvalidInput`] for an empty set, or when **another thread does not block** one
    ///   of the signals: it would get them, and the default of most is to end the process;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// See [`SignalFd`].
    pub fn open(set: SignalSet) -> Result<Self> {
        set.claim("signalfd")?;
        let fd = sys::signalfd(set.bits()).map_err(os("signalfd"))?;
        Ok(Self { fd, set })
    }

    /// The signals that it reads.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{Signal, SignalFd};
    /// assert!(SignalFd::open(Signal::HUP.into())?.set().contains(Signal::HUP));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn set(&self) -> SignalSet {
        self.set
    }

    /// Makes it read other signals, for everybody who has a copy of the descriptor; those that are
    /// new are blocked in the calling thread, and none is unblocked.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), without the last.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Wait;
    /// use ipc_signal::{Pid, Signal, SignalFd, Target, send};
    ///
    /// let mut signals = SignalFd::open(Signal::HUP.into())?;
    /// signals.set_signals(Signal::USR1.into())?;
    /// send(Target::Process(Pid::this()), Signal::USR1)?;
    /// assert_eq!(signals.read(Wait::Never)?.signal(), Signal::USR1);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn set_signals(&mut self, set: SignalSet) -> Result<()> {
        set.claim("signalfd")?;
        sys::set_signalfd(self.fd.as_fd(), set.bits()).map_err(os("signalfd"))?;
        self.set = set;
        Ok(())
    }

    /// Takes one signal: `read`. [`Wait::Forever`] is one call that sleeps, [`Wait::Never`] one that
    /// does not.
    ///
    /// # Errors
    ///
    /// See [`SignalFd`].
    ///
    /// # Platform
    ///
    /// Reads that do not sleep are `preadv2` with `RWF_NOWAIT`, and on older kernels, which refuse that
    /// for a signalfd, `sigtimedwait` without a time, which takes from the same signals. `O_NONBLOCK` is
    /// never set.
    ///
    /// # Examples
    ///
    /// See [`SignalFd`].
    #[inline]
    pub fn read(&self, wait: Wait) -> Result<Origin> {
        let mut buf = [FdInfo::ZERO];
        self.fill(&mut buf, wait)?;
        Ok(buf[0].origin())
    }

    /// Takes as many signals as are pending, up to 32, by one `read`, and appends them to `batch`;
    /// waits while there is none. Returns how many came.
    ///
    /// # Errors
    ///
    /// See [`SignalFd`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Wait;
    /// use ipc_signal::{Pid, Signal, SignalFd, Target, Value, queue};
    ///
    /// let signal = Signal::realtime(0)?;
    /// let signals = SignalFd::open(signal.into())?;
    /// for n in 0..3_i32 {
    ///     queue(Target::Process(Pid::this()), signal, n.into())?;
    /// }
    /// let mut batch = Vec::new();
    /// assert_eq!(signals.read_batch(&mut batch, Wait::Forever)?, 3);
    /// let values: Vec<_> = batch.iter().map(|it| it.value().unwrap().as_int()).collect();
    /// assert_eq!(values, [0, 1, 2]);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn read_batch(&self, batch: &mut Vec<Origin>, wait: Wait) -> Result<usize> {
        let mut buf = [FdInfo::ZERO; BATCH];
        let count = self.fill(&mut buf, wait)?;
        batch.extend(buf[..count].iter().map(FdInfo::origin));
        Ok(count)
    }

    /// Another descriptor of the same set.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{Signal, SignalFd};
    /// let signals = SignalFd::open(Signal::HUP.into())?;
    /// assert_eq!(signals.try_clone()?.set(), signals.set());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn try_clone(&self) -> Result<Self> {
        let fd =
            rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(os("fcntl F_DUPFD_CLOEXEC"))?;
        Ok(Self { fd, set: self.set })
    }

    #[inline]
    fn fill(&self, buf: &mut [FdInfo], wait: Wait) -> Result<usize> {
        let fd = self.fd.as_fd();
        let result = match wait {
            Wait::Forever => sys::read(fd, buf),
            Wait::Never | Wait::Until(_) => sys::read_now(fd, buf),
        };
        result.or_else(|errno| self.fill_again(buf, wait, errno))
    }

    /// Takes signals when that has failed with `errno`.
    #[cold]
    fn fill_again(&self, buf: &mut [FdInfo], wait: Wait, mut errno: Errno) -> Result<usize> {
        loop {
            match errno {
                Errno::INTR => {}
                Errno::AGAIN => self.wait_ready(wait)?,
                // The kernel is older than `RWF_NOWAIT` here.
                Errno::OPNOTSUPP => match self.take_without_read(buf)? {
                    0 => self.wait_ready(wait)?,
                    count => return Ok(count),
                },
                errno => return Err(os(OP)(errno)),
            }
            let fd = self.fd.as_fd();
            // `EAGAIN` says that somebody who shares the open file description has set `O_NONBLOCK`.
            let forever = matches!(wait, Wait::Forever);
            match if forever { sys::read(fd, buf) } else { sys::read_now(fd, buf) } {
                Ok(count) => return Ok(count),
                Err(next) => errno = next,
            }
        }
    }

    /// Takes what is pending now by `sigtimedwait`: how many.
    pub(crate) fn take_without_read(&self, buf: &mut [FdInfo]) -> Result<usize> {
        let mut count = 0;
        while count < buf.len() {
            match self.set.wait(Wait::Never) {
                Ok(origin) => buf[count] = FdInfo::of(&origin),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            count += 1;
        }
        Ok(count)
    }

    /// Waits until a signal is pending: `ppoll`.
    fn wait_ready(&self, wait: Wait) -> Result<()> {
        if wait.remaining().is_some_and(|left| left.is_zero()) {
            return Err(Error::new(wait.exhausted(), OP));
        }
        ready(OP, self.fd.as_fd(), PollFlags::IN, wait)
    }
}

/// One signal a wait. Standard signals coalesce, realtime signals do not.
impl Notified for SignalFd {
    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        let mut buf = [FdInfo::ZERO];
        self.fill(&mut buf, wait)?;
        Ok(NonZeroU64::MIN)
    }
}

impl AsFd for SignalFd {
    /// Readable while a signal of the set is pending for whoever asks.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<SignalFd> for OwnedFd {
    fn from(signals: SignalFd) -> Self {
        signals.fd
    }
}

/// Checks that it is a signalfd, of which the kernel tells in `/proc` alone, and blocks its signals
/// in the calling thread, as [`SignalFd::open`] does.
///
/// # Errors
///
/// [`ErrorKind::WrongType`], [`ErrorKind::Unsupported`] when `/proc` is not mounted, and as
/// [`SignalFd::open`]; the descriptor comes back.
impl TryFrom<OwnedFd> for SignalFd {
    type Error = Rejected<OwnedFd>;

    fn try_from(fd: OwnedFd) -> Result<Self, Rejected<OwnedFd>> {
        match set_of(fd.as_fd()).and_then(|set| set.claim("signalfd").map(|()| set)) {
            Ok(set) => Ok(Self { fd, set }),
            Err(error) => Err(Rejected { value: fd, error }),
        }
    }
}

/// The set of a descriptor that is a signalfd.
pub(crate) fn set_of(fd: BorrowedFd<'_>) -> Result<SignalSet> {
    const OP: &str = "adopt descriptor";
    let number = fd.as_raw_fd();
    let Ok(text) = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else {
        return Err(Error::new(ErrorKind::Unsupported, OP)
            .with_note("/proc is not mounted: nothing else tells what a descriptor is"));
    };
    let mask = text.lines().find_map(|line| line.strip_prefix("sigmask:"));
    match mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) {
        Some(mask) => Ok(SignalSet::of_bits(mask)),
        None => {
            let kind = ErrorKind::WrongType { expected: "a signalfd", found: "another descriptor" };
            Err(Error::new(kind, OP))
        }
    }
}

impl Mechanism for SignalFd {
    const NAME: &'static str = "signalfd";
    const CAPS: Caps = Caps::new(Shape::Notification).anonymous().pollable().coalesces();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pid, Signal, Target, Value, queue};

    /// How older kernels are served. The signals go to this thread: the other threads of a test binary
    /// do not block them.
    #[test]
    fn without_a_read_the_same_is_taken() {
        let signal = Signal::realtime(9).expect("a signal");
        let set = SignalSet::from(signal);
        let _guard = set.block().expect("block");
        let fd = sys::signalfd(set.bits()).expect("signalfd");
        let signals = SignalFd { fd, set };
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let thread = Pid::new(thread).expect("a tid");
        let send = |n: i32| {
            let target = Target::Thread { process: Pid::this(), thread };
            queue(target, signal, n.into()).expect("queue");
        };
        let mut buf = [FdInfo::ZERO; 2];
        assert_eq!(signals.take_without_read(&mut buf), Ok(0));
        (0..3).for_each(send);
        assert_eq!(signals.take_without_read(&mut buf), Ok(2));
        let values = buf.map(|it| it.origin().value().map(Value::as_int));
        assert_eq!(values, [Some(0), Some(1)]);
        assert_eq!(signals.take_without_read(&mut buf), Ok(1));
        // By either way, all that is told is the same.
        send(7);
        let read = signals.read(Wait::Never).expect("read");
        send(7);
        signals.take_without_read(&mut buf[..1]).expect("wait");
        assert_eq!(buf[0].origin(), read);
    }
}

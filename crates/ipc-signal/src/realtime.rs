//! A realtime signal between two processes: a queue of values that loses none.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Notified, Notify, Rejected, Result, Shape, Wait,
};
use ipc_fd::kind::os;
use ipc_fd::wait::Naps;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::kind::invalid;
use crate::standard::{check_pidfd, notify_error, open_pidfd};
use crate::sys::info::SigInfo;
use crate::sys::transfer as sys;
use crate::{Origin, Pid, Signal, SignalSet, Value, origin};

/// The operation in this file's errors.
const OP: &str = "sigqueue";

/// Of both ends.
const CAPS: Caps = Caps::new(Shape::Notification).anonymous();

/// Queues values for one process, each with a realtime signal: `pidfd_send_signal` with `SI_QUEUE`,
/// which is what `sigqueue` does, by a pidfd.
///
/// Each value arrives exactly once, and those of one sender in the order in which they were sent. Any
/// number of processes may send to one; between senders there is no order.
///
/// # A full queue
///
/// The kernel keeps as many signals as `RLIMIT_SIGPENDING` of the **receiver** allows, for all
/// processes of its user together ([`Limits`](crate::Limits)), and refuses the next one (`EAGAIN`).
/// Nothing is ever dropped.
///
/// - [`try_send`](Self::try_send) and [`Wait::Never`]: [`ErrorKind::WouldBlock`]; its note names the
///   limit.
/// - [`Notify::notify`]: [`ErrorKind::ResourceLimit`], as that trait demands.
/// - With a deadline or for ever it waits. **The kernel has no call that waits for room**, so this is
///   looking again, with naps in between that grow from 50 µs to **2 ms** (`poll` on the pidfd, so
///   that the receiver's death ends them at once). Room is seen up to 2 ms late, the waiter uses about
///   1 % of a CPU, and who waits longest does not come first.
///
/// # A receiver that dies
///
/// What a receiver has not taken when it ends is gone with it, and no sender is told. A process that is
/// being killed throws its queue away first, so that a sender that waits for room may find some there,
/// for a value that nobody will take.
///
/// # Who has sent it
///
/// Pid and uid in the signal are those of the process that **made** this value, at that moment. A
/// forked child that uses its copy sends in its parent's name: it should
/// [`duplicate`](Self::duplicate) it. The receiver cannot rely on either: see
/// [`Origin`](crate::Origin).
///
/// # Errors
///
/// [`ErrorKind::Disconnected`] once the receiver has ended and was waited for, and also before when it
/// is seen while waiting for room; [`ErrorKind::PermissionDenied`] when it is another user's.
///
/// # Platform
///
/// Linux 5.3 (`pidfd_open`).
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_signal::{RtReceiver, Signal};
///
/// let rx = RtReceiver::new(Signal::realtime(3)?)?;
/// let tx = rx.sender()?;
/// for n in 0..100_i32 {
///     tx.send(n.into(), Wait::Forever)?;
/// }
/// for n in 0..100 {
///     assert_eq!(rx.recv(Wait::Never)?.value().unwrap().as_int(), n);
/// }
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sigqueue`(3), `pidfd_send_signal`(2), `signal`(7), section *Queueing and delivery semantics for
/// realtime signals*.
#[derive(Debug)]
#[doc(alias = "sigqueue")]
#[doc(alias = "RtChannel")]
pub struct RtSender {
    pidfd: OwnedFd,
    signal: Signal,
    /// What is sent, but for the value.
    info: SigInfo,
}

impl RtSender {
    /// A sender to a process. If it may have ended and been waited for, its number may be another
    /// process's: see [`SignalSender::to`](crate::SignalSender::to).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] for a standard signal, which would lose values;
    /// - [`ErrorKind::NotFound`] when there is no such process;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Pid, RtSender, Signal};
    /// assert!(RtSender::to(Pid::this(), Signal::realtime(0)?).is_ok());
    /// assert!(RtSender::to(Pid::this(), Signal::USR1).is_err());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn to(pid: Pid, signal: Signal) -> Result<Self> {
        realtime(signal, OP)?;
        Ok(Self::new(open_pidfd(pid)?, signal))
    }

    /// A sender to the process of a pidfd.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a standard signal, [`ErrorKind::WrongType`] when it is no
    /// pidfd, [`ErrorKind::Disconnected`] when the process is gone; the descriptor comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{RtSender, Signal};
    /// let file = std::fs::File::open("/dev/null").unwrap();
    /// assert!(RtSender::from_pidfd(file.into(), Signal::realtime_min()).is_err());
    /// ```
    pub fn from_pidfd(pidfd: OwnedFd, signal: Signal) -> Result<Self, Rejected<OwnedFd>> {
        match realtime(signal, OP).and_then(|()| check_pidfd(pidfd.as_fd())) {
            Ok(()) => Ok(Self::new(pidfd, signal)),
            Err(error) => Err(Rejected { value: pidfd, error }),
        }
    }

    fn new(pidfd: OwnedFd, signal: Signal) -> Self {
        Self { pidfd, signal, info: origin::queued(signal, Value::default()) }
    }

    /// Queues a value, and waits while the queue is full.
    ///
    /// # Errors
    ///
    /// See [`RtSender`]. After an error nothing was sent.
    ///
    /// # Examples
    ///
    /// See [`RtSender`].
    #[inline]
    pub fn send(&self, value: Value, wait: Wait) -> Result<()> {
        match self.queue(value) {
            Ok(()) => Ok(()),
            Err(errno) => self.send_again(value, wait, errno),
        }
    }

    /// Queues a value if there is room for it now.
    ///
    /// # Errors
    ///
    /// See [`RtSender`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{RtReceiver, Signal};
    /// let rx = RtReceiver::new(Signal::realtime(3)?)?;
    /// rx.sender()?.try_send(7.into())?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn try_send(&self, value: Value) -> Result<()> {
        self.send(value, Wait::Never)
    }

    /// Queues a value, and waits for `timeout` at most while the queue is full.
    ///
    /// # Errors
    ///
    /// See [`RtSender`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ipc_signal::{RtReceiver, Signal};
    /// let rx = RtReceiver::new(Signal::realtime(3)?)?;
    /// rx.sender()?.send_timeout(7.into(), Duration::from_secs(1))?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn send_timeout(&self, value: Value, timeout: Duration) -> Result<()> {
        self.send(value, Wait::timeout(timeout))
    }

    /// Another sender to the same process, in the name of the process that calls this.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_core::Wait;
    /// # use ipc_signal::{Pid, RtReceiver, Signal};
    /// let rx = RtReceiver::new(Signal::realtime(3)?)?;
    /// rx.sender()?.duplicate()?.send(7.into(), Wait::Never)?;
    /// assert_eq!(rx.recv(Wait::Never)?.pid(), Some(Pid::this()));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn duplicate(&self) -> Result<Self> {
        let pidfd = rustix::io::fcntl_dupfd_cloexec(&self.pidfd, 0);
        Ok(Self::new(pidfd.map_err(os("fcntl F_DUPFD_CLOEXEC"))?, self.signal))
    }

    /// Which signal it sends.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{Pid, RtSender, Signal};
    /// let signal = Signal::realtime(4)?;
    /// assert_eq!(RtSender::to(Pid::this(), signal)?.signal(), signal);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }

    #[inline]
    fn queue(&self, value: Value) -> Result<(), Errno> {
        let mut info = self.info;
        info.set_value(value.as_usize());
        sys::send(self.pidfd.as_fd(), self.signal.number(), Some(&info))
    }

    /// Queues a value when that has failed with `errno`.
    #[cold]
    fn send_again(&self, value: Value, wait: Wait, mut errno: Errno) -> Result<()> {
        let mut naps = Naps::new(wait);
        loop {
            if errno != Errno::AGAIN {
                return Err(notify_error(OP, errno));
            }
            self.nap(naps.next_nap().ok_or_else(|| full(errno, wait))?)?;
            match self.queue(value) {
                Ok(()) => return Ok(()),
                Err(next) => errno = next,
            }
        }
    }

    /// Sleeps, unless the receiver ends.
    fn nap(&self, nap: Duration) -> Result<()> {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let timeout = Timespec::try_from(nap).ok();
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::Disconnected, OP)
                .with_note("the receiving process has ended, with a full queue")),
            Err(errno) => Err(os("poll")(errno)),
        }
    }
}

/// The error for a queue that stays full.
#[cold]
fn full(errno: Errno, wait: Wait) -> Error {
    os(OP)(errno).with_kind(wait.exhausted()).with_note(
        "the receiver's user has as many signals pending as RLIMIT_SIGPENDING of the receiver allows",
    )
}

/// Refuses a standard signal, which would lose values.
fn realtime(signal: Signal, op: &'static str) -> Result<()> {
    if !signal.is_realtime() {
        return Err(invalid(op, "a standard signal does not queue: values would be lost"));
    }
    Ok(())
}

impl Notify for RtSender {
    /// Queues the value 0: one call of `pidfd_send_signal`.
    #[inline]
    fn notify(&self) -> Result<()> {
        // A full queue is a limit here and no reason to wait: nobody could.
        self.queue(Value::default()).map_err(|errno| notify_error(OP, errno))
    }
}

impl AsFd for RtSender {
    /// The pidfd: readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl From<RtSender> for OwnedFd {
    fn from(sender: RtSender) -> Self {
        sender.pidfd
    }
}

impl Mechanism for RtSender {
    const NAME: &'static str = "rt-signal";
    const CAPS: Caps = CAPS;
}

/// Receives the values that are queued for this process with one realtime signal, which it blocks:
/// `sigtimedwait`.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says. Nobody tells a receiver
/// that its senders are gone.
///
/// # Examples
///
/// See [`RtSender`].
///
/// # References
///
/// `sigtimedwait`(2).
#[derive(Debug)]
#[doc(alias = "sigwaitinfo")]
#[doc(alias = "RtChannel")]
pub struct RtReceiver {
    signal: Signal,
}

impl RtReceiver {
    /// Blocks the signal in the calling thread, for good, and receives it from now on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a standard signal, or when **another thread does not block
    /// it**, which would get it.
    ///
    /// # Examples
    ///
    /// See [`RtSender`].
    pub fn new(signal: Signal) -> Result<Self> {
        const OP: &str = "sigtimedwait";
        realtime(signal, OP)?;
        SignalSet::from(signal).claim(OP)?;
        Ok(Self { signal })
    }

    /// A sender to this process, for others: give it to a child
    /// ([`Handoff`](ipc_core::Handoff)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// # Examples
    ///
    /// See [`RtSender`].
    pub fn sender(&self) -> Result<RtSender> {
        RtSender::to(Pid::this(), self.signal)
    }

    /// Waits for the next signal of the queue, and says what it carries and where it comes from.
    ///
    /// [`value`](Origin::value) is `None` for one that was sent without, by `kill`(1) for example.
    ///
    /// # Errors
    ///
    /// See [`RtReceiver`].
    ///
    /// # Examples
    ///
    /// See [`RtSender`].
    #[inline]
    pub fn recv(&self, wait: Wait) -> Result<Origin> {
        SignalSet::from(self.signal).wait(wait)
    }

    /// Which signal it receives.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{RtReceiver, Signal};
    /// let signal = Signal::realtime(4)?;
    /// assert_eq!(RtReceiver::new(signal)?.signal(), signal);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }
}

impl Notified for RtReceiver {
    /// One call of `sigtimedwait`, with [`Wait::Forever`] and [`Wait::Never`]; one signal, so always
    /// 1, and each signal once.
    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        SignalSet::from(self.signal).take(wait, None).map(|_| NonZeroU64::MIN)
    }
}

impl Mechanism for RtReceiver {
    const NAME: &'static str = "rt-signal";
    const CAPS: Caps = CAPS;
}

//! A standard signal between two processes: something happened.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_core::{
    Caps, Error, ErrorKind, Mechanism, Notified, Notify, Rejected, Result, Shape, Wait,
};
use ipc_fd::kind::os;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};

use crate::send::send_error;
use crate::sys::transfer as sys;
use crate::{Origin, Pid, Signal, SignalSet};
/// Of both ends.
const CAPS: Caps = Caps::new(Shape::Notification).anonymous().coalesces();

/// Sends one signal to one process: `pidfd_send_signal`.
///
/// It holds a pidfd, so that it never signals another process that has got the same number.
///
/// # Errors
///
/// [`ErrorKind::Disconnected`] once the process has ended **and was waited for**. In between, the
/// kernel takes its signals and forgets them.
///
/// # Platform
///
/// Linux 5.3 (`pidfd_open`).
///
/// # Examples
///
/// ```
/// use ipc_core::{Notified, Notify};
/// use ipc_signal::{Signal, SignalReceiver};
///
/// let rx = SignalReceiver::new(Signal::USR1)?;
/// let tx = rx.sender()?;
/// tx.notify()?;
/// tx.notify()?;
/// assert_eq!(rx.wait()?.get(), 1);
/// assert!(rx.try_wait().is_err(), "two have become one");
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `pidfd_open`(2), `pidfd_send_signal`(2).
#[derive(Debug)]
#[doc(alias = "pidfd_send_signal")]
pub struct SignalSender {
    pidfd: OwnedFd,
    signal: Signal,
}

impl SignalSender {
    /// A sender to a process. If it may have ended and been waited for, its number may be another
    /// process's: get the pidfd from where the process was started, or the sender from the process
    /// itself ([`SignalReceiver::sender`]).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] for a realtime signal: [`RtSender`](crate::RtSender) loses none;
    /// - [`ErrorKind::NotFound`] when there is no such process;
    /// - [`ErrorKind::ResourceLimit`] when descriptors run out.
    ///
    /// That the process may be signalled at all shows when it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Notify;
    /// use ipc_signal::{Pid, Signal, SignalSender};
    ///
    /// let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    /// SignalSender::to(Pid::from(&child), Signal::TERM)?.notify()?;
    /// assert!(!child.wait().unwrap().success());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "pidfd_open")]
    pub fn to(pid: Pid, signal: Signal) -> Result<Self> {
        standard(signal, "pidfd_open")?;
        Ok(Self { pidfd: open_pidfd(pid)?, signal })
    }

    /// A sender to the process of a pidfd.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a realtime signal, [`ErrorKind::WrongType`] when it is no
    /// pidfd, [`ErrorKind::Disconnected`] when the process is gone; the descriptor comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Signal, SignalSender};
    /// let file = std::fs::File::open("/dev/null").unwrap();
    /// assert!(SignalSender::from_pidfd(file.into(), Signal::USR1).is_err());
    /// ```
    pub fn from_pidfd(pidfd: OwnedFd, signal: Signal) -> Result<Self, Rejected<OwnedFd>> {
        let checked =
            standard(signal, "adopt descriptor").and_then(|()| check_pidfd(pidfd.as_fd()));
        match checked {
            Ok(()) => Ok(Self { pidfd, signal }),
            Err(error) => Err(Rejected { value: pidfd, error }),
        }
    }

    /// Which signal it sends.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{Signal, SignalReceiver};
    /// assert_eq!(SignalReceiver::new(Signal::USR1)?.sender()?.signal(), Signal::USR1);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }
}

/// Refuses a realtime signal, which would be lost without an error when the queue is full.
fn standard(signal: Signal, op: &'static str) -> Result<()> {
    if signal.is_realtime() {
        return Err(crate::kind::invalid(
            op,
            "a realtime signal is for RtSender, which loses none",
        ));
    }
    Ok(())
}

/// `pidfd_open`, close-on-exec as every pidfd is.
pub(crate) fn open_pidfd(pid: Pid) -> Result<OwnedFd> {
    const OP: &str = "pidfd_open";
    let Some(pid) = pid.rustix() else {
        return Err(crate::kind::invalid(OP, "0 is no process"));
    };
    pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| match errno {
        // The number is a thread's that does not lead its process.
        Errno::INVAL | Errno::NOENT => os(OP)(errno)
            .with_kind(ErrorKind::NotFound)
            .with_note("it is a thread, and no process has this number"),
        errno => os(OP)(errno),
    })
}

/// Checks that a descriptor is a pidfd of a process that is there.
pub(crate) fn check_pidfd(pidfd: BorrowedFd<'_>) -> Result<()> {
    match sys::send(pidfd, 0, None) {
        // It is one; whether it may be used shows when it is.
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(errno) => Err(notify_error("adopt descriptor", errno)),
    }
}

/// Why a sender could not send: there is nobody any more.
#[cold]
pub(crate) fn notify_error(op: &'static str, errno: Errno) -> Error {
    let error = send_error(op, errno);
    if errno == Errno::SRCH { error.with_kind(ErrorKind::Disconnected) } else { error }
}

impl Notify for SignalSender {
    /// One call of `pidfd_send_signal`.
    #[inline]
    fn notify(&self) -> Result<()> {
        sys::send(self.pidfd.as_fd(), self.signal.number(), None)
            .map_err(|errno| notify_error("pidfd_send_signal", errno))
    }
}

impl AsFd for SignalSender {
    /// The pidfd: readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl From<SignalSender> for OwnedFd {
    fn from(sender: SignalSender) -> Self {
        sender.pidfd
    }
}

impl Mechanism for SignalSender {
    const NAME: &'static str = "signal";
    const CAPS: Caps = CAPS;
}

/// Waits for one signal, which it blocks: `sigtimedwait`.
///
/// Signals that come while one is pending become one with it. Anybody who may signal this process
/// can notify it: a count says that the signal came, [`recv`](Self::recv) says from whom.
///
/// # Errors
///
/// [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says. Nobody tells a receiver
/// that its senders are gone.
///
/// # Examples
///
/// See [`SignalSender`].
///
/// # References
///
/// `sigtimedwait`(2).
#[derive(Debug)]
#[doc(alias = "sigtimedwait")]
pub struct SignalReceiver {
    signal: Signal,
}

impl SignalReceiver {
    /// Blocks the signal in the calling thread, for good, and receives it from now on.
    ///
    /// It stays blocked when the value is dropped: what is pending then would be delivered, and the
    /// default of most signals is to end the process.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unsupported`] for `SIGKILL` and `SIGSTOP`;
    /// - [`ErrorKind::InvalidInput`] for a realtime signal, which is for
    ///   [`RtReceiver`](crate::RtReceiver), or when **another thread does not block it**, which would
    ///   get it.
    ///
    /// # Examples
    ///
    /// See [`SignalSender`].
    pub fn new(signal: Signal) -> Result<Self> {
        if signal.is_realtime() {
            let note = "a realtime signal is for RtReceiver, which counts them";
            return Err(crate::kind::invalid("sigtimedwait", note));
        }
        SignalSet::from(signal).claim("sigtimedwait")?;
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
    /// See [`SignalSender`].
    pub fn sender(&self) -> Result<SignalSender> {
        SignalSender::to(Pid::this(), self.signal)
    }

    /// Waits for the signal and says where it comes from.
    ///
    /// # Errors
    ///
    /// See [`SignalReceiver`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::{Notify, Wait};
    /// use ipc_signal::{Pid, Signal, SignalReceiver};
    ///
    /// let rx = SignalReceiver::new(Signal::USR2)?;
    /// rx.sender()?.notify()?;
    /// assert_eq!(rx.recv(Wait::Forever)?.pid(), Some(Pid::this()));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[inline]
    pub fn recv(&self, wait: Wait) -> Result<Origin> {
        SignalSet::from(self.signal).wait(wait)
    }

    /// Which signal it receives.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ipc_signal::{Signal, SignalReceiver};
    /// assert_eq!(SignalReceiver::new(Signal::USR1)?.signal(), Signal::USR1);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }
}

impl Notified for SignalReceiver {
    /// One call of `sigtimedwait`, with [`Wait::Forever`] and [`Wait::Never`]; always 1.
    #[inline]
    fn wait_with(&self, wait: Wait) -> Result<NonZeroU64> {
        SignalSet::from(self.signal).take(wait, None).map(|_| NonZeroU64::MIN)
    }
}

impl Mechanism for SignalReceiver {
    const NAME: &'static str = "signal";
    const CAPS: Caps = CAPS;
}

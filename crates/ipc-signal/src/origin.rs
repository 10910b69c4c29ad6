//! Where a signal comes from.

use ipc_core::{Error, ErrorKind, Result};

use crate::sys::info::SigInfo;
use crate::{Pid, Signal, Value};

/// A signal that was taken, and all that the kernel tells of it: `siginfo_t`.
///
/// Which of its parts mean something depends on the [`code`](Self::code); those that do not are
/// `None`.
///
/// # Who says so
///
/// - Of [`Code::User`] and [`Code::Thread`] the kernel itself has filled in pid and uid.
/// - Of [`Code::Queue`] the **sender** has, and may have written anything: the kernel does not look
///   (probed: a child can claim to be pid 4242). The same goes for every code below zero, such as
///   [`Code::Timer`], which another process can send as well.
/// - What the kernel does check, always, is that the sender may signal us: it has our user id or
///   `CAP_KILL`. So a claim can be false, but only by somebody who could have killed us.
/// - A code above zero is the kernel's own; no other process can send it.
///
/// [`is_vouched_for`](Self::is_vouched_for) tells which it is.
///
/// # Examples
///
/// ```
/// use ipc_core::Wait;
/// use ipc_signal::{Code, Pid, Signal, SignalSet, Target, Value, queue};
///
/// let signal = Signal::realtime(1)?;
/// let _guard = SignalSet::from(signal).block()?;
/// queue(Target::Process(Pid::this()), signal, Value::from(42_i32))?;
///
/// let origin = SignalSet::from(signal).wait(Wait::Never)?;
/// assert_eq!((origin.signal(), origin.code()), (signal, Code::Queue));
/// assert_eq!(origin.value().unwrap().as_int(), 42);
/// assert_eq!(origin.pid(), Some(Pid::this()));
/// assert!(!origin.is_vouched_for());
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sigaction`(2), section *The siginfo_t argument to a SA_SIGINFO handler*; `rt_sigqueueinfo`(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "siginfo_t")]
#[doc(alias = "signalfd_siginfo")]
pub struct Origin {
    pub(crate) number: i32,
    pub(crate) code: i32,
    pub(crate) pid: i32,
    pub(crate) uid: u32,
    pub(crate) value: usize,
    pub(crate) overrun: i32,
    pub(crate) status: i32,
    pub(crate) band: i64,
    pub(crate) fd: i32,
}

/// Why a signal was sent: `si_code`.
///
/// # Examples
///
/// See [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// `SI_USER`: a process has called `kill`. Also what the kernel makes of a standard signal for
    /// whose particulars it has no room ([`Limits`](crate::Limits)); then there is no pid.
    User,
    /// `SI_TKILL`: a thread has called `tgkill` or `pthread_kill`.
    Thread,
    /// `SI_QUEUE`: a process has called `sigqueue`, with a value.
    Queue,
    /// `SI_TIMER`: a POSIX timer has expired, with its value and overrun.
    Timer,
    /// `SI_MESGQ`: a message has come to a POSIX queue that was empty, with the value of
    /// `mq_notify`.
    Message,
    /// `SI_ASYNCIO`: asynchronous input or output is done, with a value.
    AsyncIo,
    /// `SI_KERNEL`: the kernel, without a particular reason.
    Kernel,
    /// A code above zero, whose meaning depends on the signal, such as `CLD_EXITED` of `SIGCHLD` and
    /// `POLL_IN` of a [`SigIo`](crate::SigIo).
    Specific(i32),
    /// Any other code below zero.
    Other(i32),
}

/// What `SIGIO` and the like tell of a descriptor.
///
/// # Examples
///
/// See [`SigIo`](crate::SigIo).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoEvent {
    /// The number of the descriptor that was watched; it may have been closed since.
    pub fd: i32,
    /// What happened, as the bits of `poll`: `si_band`.
    pub events: i64,
}

impl Origin {
    /// Which signal.
    ///
    /// # Examples
    ///
    /// See [`Origin`].
    #[must_use]
    pub fn signal(&self) -> Signal {
        Signal::of_kernel(self.number)
    }

    /// Why it was sent.
    ///
    /// # Examples
    ///
    /// See [`Origin`].
    #[doc(alias = "si_code")]
    #[must_use]
    pub fn code(&self) -> Code {
        match self.code {
            libc::SI_USER => Code::User,
            libc::SI_TKILL => Code::Thread,
            libc::SI_QUEUE => Code::Queue,
            libc::SI_TIMER => Code::Timer,
            libc::SI_MESGQ => Code::Message,
            libc::SI_ASYNCIO => Code::AsyncIo,
            libc::SI_KERNEL => Code::Kernel,
            code if code > 0 => Code::Specific(code),
            code => Code::Other(code),
        }
    }

    /// Who has sent it, or which child it is about: with [`Code::User`], [`Code::Thread`],
    /// [`Code::Queue`], [`Code::Message`] and `SIGCHLD`. `None` for a process that has no number in
    /// this pid namespace.
    ///
    /// # Examples
    ///
    /// See [`Origin`].
    #[doc(alias = "si_pid")]
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.has_sender().then(|| Pid::new(self.pid).ok()).flatten()
    }

    /// The real user id of who has sent it, where there is a [`pid`](Self::pid).
    ///
    /// # Examples
    ///
    /// See [`pid`](Self::pid).
    #[doc(alias = "si_uid")]
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        self.pid().map(|_| self.uid)
    }

    /// Its value: with [`Code::Queue`], [`Code::Timer`], [`Code::Message`] and [`Code::AsyncIo`].
    ///
    /// # Examples
    ///
    /// See [`Origin`].
    #[doc(alias = "si_value")]
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        self.has_value().then(|| Value::from(self.value))
    }

    /// How many expiries of a timer this signal stands for besides its own: with [`Code::Timer`].
    ///
    /// # Examples
    ///
    /// See [`Timer`](crate::Timer).
    #[doc(alias = "si_overrun")]
    #[must_use]
    pub fn overrun(&self) -> Option<u32> {
        let has = self.code() == Code::Timer;
        has.then(|| u32::try_from(self.overrun).unwrap_or(0))
    }

    /// A child's exit status, or the number of the signal that has ended, stopped or continued it:
    /// with `SIGCHLD` of the kernel.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Wait;
    /// use ipc_signal::{Pid, Signal, SignalSet};
    ///
    /// let _guard = SignalSet::from(Signal::CHLD).block()?;
    /// let mut child = std::process::Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
    /// let origin = SignalSet::from(Signal::CHLD).wait(Wait::Forever)?;
    /// assert_eq!((origin.pid(), origin.child_status()), (Some(Pid::from(&child)), Some(7)));
    /// child.wait().unwrap();
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "si_status")]
    #[must_use]
    pub fn child_status(&self) -> Option<i32> {
        self.is_about_child().then_some(self.status)
    }

    /// Which descriptor is ready for what: with a signal of [`SigIo`](crate::SigIo).
    ///
    /// # Examples
    ///
    /// See [`SigIo`](crate::SigIo).
    #[doc(alias = "si_fd")]
    #[doc(alias = "si_band")]
    #[must_use]
    pub fn io(&self) -> Option<IoEvent> {
        self.is_io().then_some(IoEvent { fd: self.fd, events: self.band })
    }

    /// Whether the kernel answers for what this says, and not the sender alone.
    ///
    /// A process can send itself any code; this is about what others can.
    ///
    /// # Examples
    ///
    /// See [`Origin`].
    #[must_use]
    pub fn is_vouched_for(&self) -> bool {
        self.code >= 0 || self.code == libc::SI_TKILL
    }

    /// Fails unless the signal was sent by `pid`, and the kernel answers for that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`]; the note says whether it is another process or not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Wait;
    /// use ipc_signal::{Pid, Signal, SignalSet, Target, send};
    ///
    /// let set = SignalSet::from(Signal::USR1);
    /// let _guard = set.block()?;
    /// send(Target::Process(Pid::this()), Signal::USR1)?;
    /// let origin = set.wait(Wait::Never)?;
    /// origin.require_sender(Pid::this())?;
    /// assert!(origin.require_sender(Pid::new(1)?).is_err());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn require_sender(&self, pid: Pid) -> Result<()> {
        let note = match self.pid() {
            Some(sender) if sender == pid && self.is_vouched_for() => return Ok(()),
            Some(sender) if sender == pid => "the kernel does not answer for this sender",
            _ => "another process has sent the signal",
        };
        Err(Error::new(ErrorKind::PermissionDenied, "signal").with_note(note))
    }

    fn has_sender(&self) -> bool {
        let by_code =
            matches!(self.code(), Code::User | Code::Thread | Code::Queue | Code::Message);
        by_code || self.is_about_child()
    }

    fn has_value(&self) -> bool {
        matches!(self.code(), Code::Queue | Code::Timer | Code::Message | Code::AsyncIo)
    }

    /// `POLL_IN` to `POLL_HUP`, of a signal to which the kernel gives no such codes itself.
    fn is_io(&self) -> bool {
        matches!(self.code(), Code::Specific(1..=6))
            && (self.number == libc::SIGIO || self.signal().is_realtime())
    }

    /// Without the parts that this code does not have: the kernel's fields overlap, and each would
    /// show something of another.
    #[inline]
    pub(crate) fn tidy(self) -> Self {
        let Self { number, code, pid, uid, value, overrun, status, band, fd } = self;
        let mut tidy =
            Self { number, code, pid: 0, uid: 0, value: 0, overrun: 0, status: 0, band: 0, fd: 0 };
        if self.has_sender() {
            (tidy.pid, tidy.uid) = (pid, uid);
        }
        if self.has_value() {
            tidy.value = value;
        }
        if self.code == libc::SI_TIMER {
            tidy.overrun = overrun;
        }
        if self.is_about_child() {
            tidy.status = status;
        }
        if self.is_io() {
            (tidy.band, tidy.fd) = (band, fd);
        }
        tidy
    }

    fn is_about_child(&self) -> bool {
        self.number == libc::SIGCHLD && matches!(self.code(), Code::Specific(1..=6))
    }
}

/// What this process sends with a value: the pid and uid that it has now.
pub(crate) fn queued(signal: Signal, value: Value) -> SigInfo {
    let uid = rustix::process::getuid().as_raw();
    SigInfo::queued(signal.number(), Pid::this().get(), uid, value.as_usize())
}

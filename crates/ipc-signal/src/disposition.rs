//! What is done with a signal, without the registry: ignoring, the default, and any function.

use std::ffi::c_int;

use ipc_core::Result;
use ipc_fd::kind::os;

use crate::sys::action::{self as sys, Action};
use crate::{Origin, Signal, SignalSet};
/// The operation in this file's errors.
const OP: &str = "sigaction";

/// A disposition that was set: the previous one comes back when this is dropped, unless a different
/// one was set since, which is left alone. Two that are alike (both ignore) cannot be told apart: drop
/// in the opposite order of making, as the end of a scope does.
///
/// Dispositions belong to the whole process. A child that is forked has them too; `exec` keeps what
/// is ignored and turns handlers into the default.
///
/// # Examples
///
/// ```
/// use ipc_signal::{Disposition, Pid, Signal, Target, send};
///
/// let guard = Disposition::ignore(Signal::HUP)?;
/// send(Target::Process(Pid::this()), Signal::HUP)?; // And we live.
/// drop(guard);
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sigaction`(2), `signal`(7).
#[derive(Debug)]
#[doc(alias = "sigaction")]
#[must_use = "dropping it puts the previous disposition back"]
pub struct Disposition {
    signal: Signal,
    previous: Action,
    ours: Action,
    raw: Option<Raw>,
}

/// What a raw handler runs.
#[derive(Debug)]
struct Raw {
    function: fn(&Origin),
    /// What the raw handler ran whose place it has taken.
    before: Option<fn(&Origin)>,
}

/// How a raw handler runs.
///
/// # Examples
///
/// See [`Disposition::raw`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RawOptions {
    flags: c_int,
    mask: SignalSet,
}

impl RawOptions {
    /// Interrupts system calls (`EINTR`), blocks the signal itself while the handler runs, and no
    /// other.
    ///
    /// # Examples
    ///
    /// See [`Disposition::raw`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets interrupted system calls go on, where they can: `SA_RESTART`.
    #[doc(alias = "SA_RESTART")]
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.flags |= libc::SA_RESTART;
        self
    }

    /// Blocks these signals too while the handler runs: `sa_mask`.
    #[doc(alias = "sa_mask")]
    #[must_use]
    pub fn block(mut self, set: SignalSet) -> Self {
        self.mask = set;
        self
    }

    /// Lets the signal interrupt its own handler: `SA_NODEFER`.
    #[doc(alias = "SA_NODEFER")]
    #[must_use]
    pub fn nested(mut self) -> Self {
        self.flags |= libc::SA_NODEFER;
        self
    }

    /// Runs once; after that the signal has its default disposition: `SA_RESETHAND`.
    #[doc(alias = "SA_RESETHAND")]
    #[must_use]
    pub fn once(mut self) -> Self {
        self.flags |= libc::SA_RESETHAND;
        self
    }

    /// Runs on the thread's alternate stack, if it has one: `SA_ONSTACK`. For faults such as a stack
    /// that is used up; Rust's threads have one.
    #[doc(alias = "SA_ONSTACK")]
    #[must_use]
    pub fn on_alternate_stack(mut self) -> Self {
        self.flags |= libc::SA_ONSTACK;
        self
    }
}

impl Disposition {
    /// Ignores the signal: `SIG_IGN`. What is pending and not blocked is thrown away.
    ///
    /// Programs that are executed inherit this. Children of a process that ignores `SIGCHLD` leave no
    /// status behind: waiting for them fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](ipc_core::ErrorKind::Unsupported) for `SIGKILL` and `SIGSTOP`.
    ///
    /// # Examples
    ///
    /// See [`Disposition`].
    #[doc(alias = "SIG_IGN")]
    pub fn ignore(signal: Signal) -> Result<Self> {
        Self::set(signal, Action::ignore(), None)
    }

    /// Gives the signal its default disposition, such as to end the process: `SIG_DFL`.
    ///
    /// # Errors
    ///
    /// As [`ignore`](Self::ignore).
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Disposition, Signal};
    /// // As C programs have it: writing to a pipe that nobody reads ends the program.
    /// Disposition::default(Signal::PIPE)?.keep();
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "SIG_DFL")]
    pub fn default(signal: Signal) -> Result<Self> {
        Self::set(signal, Action::default(), None)
    }

    /// Runs a function of the caller's whenever the signal is delivered: `SA_SIGINFO`.
    ///
    /// It takes the place of every other handler of the signal, those of
    /// [`Handler`](crate::Handler) included, and calls none of them. Errno is left as it was.
    ///
    /// # Errors
    ///
    /// As [`ignore`](Self::ignore), also for a mask with `SIGKILL` or `SIGSTOP`.
    ///
    /// # Safety
    ///
    /// The function runs **between any two instructions of any thread**, as a matter of fact also in
    /// the middle of `malloc`, of `println!`, or of a lock being taken. So it
    ///
    /// - calls nothing but what `signal-safety`(7) lists, and nothing that does: it neither allocates
    ///   nor frees, takes no lock (`Mutex`, `println!`, thread-locals with destructors), and starts no
    ///   thread;
    /// - shares data by atomics alone, or by `static`s that are written before it is installed and
    ///   never after;
    /// - never panics: a panic in it aborts the process;
    /// - does not rely on which thread it runs in, unless all others block the signal;
    /// - may itself be interrupted by other signals, and by its own with
    ///   [`nested`](RawOptions::nested);
    /// - does not return from a fault (`SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`) that it has not
    ///   repaired: the same instruction runs again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicI32, Ordering};
    /// use ipc_signal::{Disposition, Origin, Pid, RawOptions, Signal, Target, send};
    ///
    /// static FROM: AtomicI32 = AtomicI32::new(0);
    ///
    /// fn remember(origin: &Origin) {
    ///     FROM.store(origin.pid().map_or(-1, Pid::get), Ordering::SeqCst);
    /// }
    ///
    /// // SAFETY: `remember` stores to an atomic and does nothing else.
    /// let _guard = unsafe { Disposition::raw(Signal::USR1, RawOptions::new(), remember)? };
    /// send(Target::Process(Pid::this()), Signal::USR1)?;
    /// assert_eq!(FROM.load(Ordering::SeqCst), Pid::this().get());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `signal-safety`(7).
    #[doc(alias = "SA_SIGINFO")]
    #[expect(unsafe_code, reason = "what the function may do is the caller's to promise")]
    pub unsafe fn raw(signal: Signal, options: RawOptions, function: fn(&Origin)) -> Result<Self> {
        let mask = options.mask.caught(OP)?;
        signal.caught(OP)?;
        // SAFETY: the caller promises what this function asks for. It is stored before it can be
        // called.
        let before = unsafe { sys::set_raw(signal.number(), Some(function)) };
        let ours = Action::raw(options.flags, mask.bits());
        Self::set(signal, ours, Some(Raw { function, before }))
    }

    /// Leaves the disposition as it is now.
    ///
    /// # Examples
    ///
    /// See [`default`](Self::default).
    pub fn keep(self) {
        std::mem::forget(self);
    }

    fn set(signal: Signal, ours: Action, raw: Option<Raw>) -> Result<Self> {
        signal.caught(OP)?;
        let previous = sys::set_action(signal.number(), &ours).map_err(os(OP))?;
        Ok(Self { signal, previous, ours, raw })
    }
}

impl Drop for Disposition {
    #[expect(unsafe_code, reason = "a raw handler's function is put back")]
    fn drop(&mut self) {
        let number = self.signal.number();
        let installed = sys::action(number).is_ok_and(|it| it.handler() == self.ours.handler());
        if !installed || self.raw.as_ref().is_some_and(|raw| !sys::runs(number, raw.function)) {
            return;
        }
        // The action first: a raw handler must find its own function to the last. It cannot fail, as
        // the kernel has told this action itself.
        let _ = sys::set_action(number, &self.previous);
        if let Some(Raw { before, .. }) = self.raw {
            // SAFETY: whoever has set this function before has promised what it must.
            unsafe { sys::set_raw(number, before) };
        }
    }
}

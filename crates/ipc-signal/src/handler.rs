//! Handlers that safe code can have: a flag, a counter, a descriptor.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::fs::{FileType, OFlags};
use signal_hook_registry::{FORBIDDEN, SigId};

use crate::Signal;
use crate::kind::invalid;
use crate::sys::action::{self as sys, Action, Reaction};

/// The operation in this file's errors.
const OP: &str = "sigaction";

/// Something that happens whenever a signal is delivered: a flag is set, a counter counts, a
/// descriptor is written to.
///
/// In the context of a signal next to nothing may be called: it may have interrupted `malloc`, or
/// whoever holds a lock. These reactions are one atomic operation or one `write`, so that they are
/// safe, and errno is left as it was. For anything else there is
/// [`Disposition::raw`](crate::Disposition::raw), and for most programs something better: wait for
/// signals ([`SignalSet::wait`](crate::SignalSet::wait), [`SignalFd`](crate::SignalFd)), which has
/// none of a handler's restrictions.
///
/// Deliveries of a standard signal coalesce: a counter counts how often the handler **ran**.
///
/// # Together with other libraries
///
/// Handlers are registered with `signal-hook-registry`, as those of `signal-hook` and `tokio` are: all of them run, in the order of their registration, and a handler
/// that was there before the first of them runs first. Interrupted system calls go on
/// (`SA_RESTART`).
///
/// # What dropping it does
///
/// The reaction stops. When it was the last one of this crate for the signal, the **previous
/// disposition is put back**, so that a `SIGTERM` ends the process again, unless
///
/// - somebody else's handler for the signal was there first in the registry: then it stays, as it is
///   what was there before;
/// - anybody else has registered anything with the registry since the first one: then the registry's handler stays,
///   since it may be theirs. The signal is theirs then, or goes to the handler from before, or, if
///   there was none, nowhere;
/// - another handler has been installed since without the registry: it is left alone.
///
/// The registry itself never puts anything back, and believes that its handler is installed once it
/// was. So **what another library registers for this signal after it was put back does not run**.
/// Where that can happen, use [`detach`](Self::detach).
///
/// # Examples
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
/// use ipc_signal::{Handler, Pid, Signal, Target, send};
///
/// let stop = Arc::new(AtomicBool::new(false));
/// let handler = Handler::flag(Signal::TERM, Arc::clone(&stop))?;
/// send(Target::Process(Pid::this()), Signal::TERM)?;
/// assert!(stop.load(Ordering::SeqCst));
/// drop(handler); // From here on, a SIGTERM ends the process.
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `sigaction`(2), `signal-safety`(7).
#[derive(Debug)]
#[doc(alias = "sigaction")]
#[must_use = "dropping it removes the handler"]
pub struct Handler {
    signal: Signal,
    id: SigId,
    restore: bool,
}

/// What this crate knows of a signal that it has handlers for, or had.
#[derive(Debug)]
struct Ours {
    /// How many handlers there are.
    live: usize,
    /// What was there before, and the registry's handler, if it was us who brought the registry in
    /// and nobody else relies on it.
    brought: Option<(Action, Action)>,
    /// The registry's number for our first registration, if it can be told.
    first: Option<u128>,
    /// How many registrations this crate had made then.
    made: u128,
}

#[derive(Debug)]
struct Table {
    signals: BTreeMap<i32, Ours>,
    /// How many registrations this crate has made, for all signals.
    made: u128,
}

static TABLE: Mutex<Table> = Mutex::new(Table { signals: BTreeMap::new(), made: 0 });

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handler {
    /// Sets `flag` whenever the signal is delivered.
    ///
    /// A flag alone does not end a wait: between the look at it and the wait, the signal may come.
    /// See [`descriptor`](Self::descriptor), or block the signal and wait for it.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Unsupported`] for `SIGKILL`, `SIGSTOP`, and for `SIGSEGV`, `SIGILL` and
    ///   `SIGFPE`, where a handler that returns runs into the same fault for ever;
    /// - [`ErrorKind::AlreadyExists`] when another handler was installed after one of ours was
    ///   removed, to which the registry does not pass signals on.
    ///
    /// # Examples
    ///
    /// See [`Handler`].
    pub fn flag(signal: Signal, flag: Arc<AtomicBool>) -> Result<Self> {
        Self::install(signal, Reaction::Flag(flag))
    }

    /// Adds 1 to `counter` whenever the signal is delivered.
    ///
    /// # Errors
    ///
    /// As [`flag`](Self::flag).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// use ipc_signal::{Handler, Pid, Signal, Target, send};
    ///
    /// let count = Arc::new(AtomicU64::new(0));
    /// let _handler = Handler::counter(Signal::USR1, Arc::clone(&count))?;
    /// for _ in 0..3 {
    ///     send(Target::Process(Pid::this()), Signal::USR1)?;
    /// }
    /// assert_eq!(count.load(Ordering::SeqCst), 3);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn counter(signal: Signal, counter: Arc<AtomicU64>) -> Result<Self> {
        Self::install(signal, Reaction::Counter(counter))
    }

    /// Writes to a descriptor whenever the signal is delivered: 1 to an eventfd, a byte to a pipe.
    /// So a program that waits in `poll` is woken, however close to the wait the signal comes: the
    /// *self-pipe*.
    ///
    /// The descriptor must have `O_NONBLOCK`, so that a full one never stops the program in its
    /// handler; then nothing is written, and the other side has something to read already. Keep the
    /// reading end of a pipe open as long as this: a write without a reader raises `SIGPIPE`, which
    /// Rust's `main` ignores and others do not.
    ///
    /// # Errors
    ///
    /// As [`flag`](Self::flag); [`ErrorKind::WrongType`] for a descriptor that is neither, and
    /// [`ErrorKind::InvalidInput`] for one without `O_NONBLOCK` or not open for writing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Handler, Pid, Signal, Target, send};
    /// use rustix::event::{EventfdFlags, eventfd};
    ///
    /// let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    /// let _handler = Handler::descriptor(Signal::HUP, fd.try_clone().unwrap())?;
    /// send(Target::Process(Pid::this()), Signal::HUP)?;
    /// let mut count = [0; 8];
    /// rustix::io::read(&fd, &mut count).unwrap();
    /// assert_eq!(u64::from_ne_bytes(count), 1);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "self-pipe")]
    pub fn descriptor(signal: Signal, fd: OwnedFd) -> Result<Self> {
        let len = written(fd.as_fd())?;
        Self::install(signal, Reaction::Write(fd, len))
    }

    /// Leaves the reaction in place until the process ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, atomic::AtomicBool};
    /// # use ipc_signal::{Handler, Signal};
    /// Handler::flag(Signal::HUP, Arc::new(AtomicBool::new(false)))?.keep();
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn keep(self) {
        std::mem::forget(self);
    }

    /// Stops the reaction and puts nothing back: from now on the signal does what others have
    /// registered for it, also later, and nothing if nobody has, **also where its default would be to
    /// end the process**.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, atomic::AtomicBool};
    /// use ipc_signal::{Handler, Pid, Signal, Target, send};
    /// Handler::flag(Signal::HUP, Arc::new(AtomicBool::new(false)))?.detach();
    /// send(Target::Process(Pid::this()), Signal::HUP)?; // And we live.
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn detach(mut self) {
        self.restore = false;
    }

    fn install(signal: Signal, reaction: Reaction) -> Result<Self> {
        signal.caught(OP)?;
        if FORBIDDEN.contains(&signal.number()) {
            return Err(Error::new(ErrorKind::Unsupported, OP)
                .with_note("a handler of a fault that returns runs into the same fault again"));
        }
        let mut table = table();
        let before = sys::action(signal.number()).map_err(os(OP))?;
        let ours = table.signals.get(&signal.number());
        if let Some((previous, registry)) = ours.and_then(|ours| ours.brought.as_ref()) {
            // The registry believes that its handler is installed. Is it?
            let now = before.handler();
            let known = [registry.handler(), previous.handler(), libc::SIG_DFL, libc::SIG_IGN];
            if !known.contains(&now) {
                return Err(Error::new(ErrorKind::AlreadyExists, OP).with_note(
                    "a handler was installed after one of ours was removed, and would not run",
                ));
            }
            if now != registry.handler() {
                let registry = *registry;
                sys::set_action(signal.number(), &registry).map_err(os(OP))?;
                table.signals.entry(signal.number()).and_modify(|ours| {
                    ours.brought = Some((before, registry));
                });
            }
        }
        let id = sys::register(signal.number(), reaction).map_err(os(OP))?;
        table.made += 1;
        let made = table.made;
        let after = sys::action(signal.number()).map_err(os(OP))?;
        let ours = table.signals.entry(signal.number()).or_insert_with(|| Ours {
            live: 0,
            brought: (after.handler() != before.handler()).then_some((before, after)),
            first: sys::number(id),
            made,
        });
        ours.live += 1;
        Ok(Self { signal, id, restore: true })
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let mut table = table();
        signal_hook_registry::unregister(self.id);
        let number = self.signal.number();
        let Some(ours) = table.signals.get_mut(&number) else { return };
        ours.live -= 1;
        if ours.live > 0 {
            return;
        }
        if !self.restore {
            // Others rely on the registry's handler from now on.
            ours.brought = None;
        }
        let (first, made) = (ours.first, ours.made);
        let Some((previous, registry)) = ours.brought else { return };
        // How many registrations there were since our first one, and how many of them were ours.
        let now = sys::registrations(number);
        table.made += 1;
        let all = now.zip(first).and_then(|(now, first)| now.checked_sub(first));
        let alone = all == Some(table.made - made);
        let installed = sys::action(number).is_ok_and(|it| it.handler() == registry.handler());
        if alone && installed {
            // It cannot fail: the kernel has told this action itself.
            let _ = sys::set_action(number, &previous);
        } else if !alone && let Some(ours) = table.signals.get_mut(&number) {
            ours.brought = None;
        }
    }
}

/// How many bytes a handler writes to a descriptor.
fn written(fd: BorrowedFd<'_>) -> Result<usize> {
    const OP: &str = "handle signals by descriptor";
    let flags = rustix::fs::fcntl_getfl(fd).map_err(os("fcntl"))?;
    let stat = rustix::fs::fstat(fd).map_err(os("fstat"))?;
    let len = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => 1,
        // Of an eventfd the kernel tells in `/proc` alone.
        _ => {
            let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
            if !link.is_ok_and(|target| target.as_os_str() == "anon_inode:[eventfd]") {
                let (expected, found) = ("an eventfd or a pipe", "another descriptor");
                return Err(Error::new(ErrorKind::WrongType { expected, found }, OP));
            }
            size_of::<u64>()
        }
    };
    if !flags.contains(OFlags::NONBLOCK) {
        return Err(invalid(OP, "it must have O_NONBLOCK, or it could stop the program"));
    }
    if flags & OFlags::RWMODE == OFlags::RDONLY {
        return Err(invalid(OP, "it is not open for writing"));
    }
    Ok(len)
}

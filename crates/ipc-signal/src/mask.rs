//! Blocking signals.

use std::fs;
use std::marker::PhantomData;

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;

use crate::sys::{self, How};
use crate::{Pid, SignalSet};
impl SignalSet {
    /// Blocks these signals in the calling thread, besides those that are blocked: `sigprocmask` with
    /// `SIG_BLOCK`. The guard puts the mask back as it was.
    ///
    /// A signal that is sent meanwhile is pending. It is delivered when it is unblocked, unless it is
    /// taken before by a wait or a [`SignalFd`](crate::SignalFd).
    ///
    /// A signal that is sent to a process goes to **any** thread that does not block it. So **block
    /// before the first thread is started**: threads and children inherit the mask.
    /// [`unblocked_threads`](Self::unblocked_threads) tells who was forgotten.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a set with `SIGKILL` or `SIGSTOP`, which the kernel would leave
    /// out without a word.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Pid, Signal, SignalSet, Target, pending, send};
    ///
    /// let set = SignalSet::from(Signal::TERM);
    /// let guard = set.block()?;
    /// send(Target::Process(Pid::this()), Signal::TERM)?;
    /// assert!(pending()?.contains(Signal::TERM));
    /// set.wait(ipc_core::Wait::Never)?; // Otherwise it would end us when the guard goes.
    /// drop(guard);
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `sigprocmask`(2), `pthread_sigmask`(3).
    #[doc(alias = "sigprocmask")]
    #[doc(alias = "pthread_sigmask")]
    pub fn block(self) -> Result<BlockGuard> {
        self.change(How::Block)
    }

    /// Unblocks these signals in the calling thread, until the guard puts the mask back. What is
    /// pending is delivered before this returns.
    ///
    /// # Errors
    ///
    /// None that the kernel gives for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
    /// use ipc_signal::{Handler, Pid, Signal, SignalSet, Target, send};
    ///
    /// let flag = Arc::new(AtomicBool::new(false));
    /// let _handler = Handler::flag(Signal::USR1, Arc::clone(&flag))?;
    /// let set = SignalSet::from(Signal::USR1);
    /// let _blocked = set.block()?;
    /// send(Target::Process(Pid::this()), Signal::USR1)?;
    /// assert!(!flag.load(Ordering::SeqCst));
    /// drop(set.unblock()?);
    /// assert!(flag.load(Ordering::SeqCst));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn unblock(self) -> Result<BlockGuard> {
        self.change(How::Unblock)
    }

    /// Blocks these signals and no others in the calling thread, until the guard puts the mask back.
    ///
    /// # Errors
    ///
    /// As [`block`](Self::block).
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Signal, SignalSet, blocked};
    /// let _guard = SignalSet::from(Signal::HUP).block_only()?;
    /// assert_eq!(blocked()?, Signal::HUP.into());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn block_only(self) -> Result<BlockGuard> {
        self.change(How::Set)
    }

    fn change(self, how: How) -> Result<BlockGuard> {
        const OP: &str = "sigprocmask";
        if how != How::Unblock {
            self.caught(OP)?;
        }
        let before = sys::change_mask(how, self.bits()).map_err(os(OP))?;
        Ok(BlockGuard { before, not_send: PhantomData })
    }

    /// The threads of this process that do not block all of these signals: a signal that is sent to
    /// the process may go to any of them, and end the process. Reads `/proc/self/task`.
    ///
    /// The C library has a thread that is just starting block everything for a moment: it is not
    /// found before it runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when `/proc` is not mounted, [`ErrorKind::ResourceLimit`] when
    /// descriptors run out.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Signal, SignalSet};
    ///
    /// let set = SignalSet::from(Signal::USR1);
    /// let (says, hears) = std::sync::mpsc::channel();
    /// let early = std::thread::spawn(move || {
    ///     says.send(()).unwrap();
    ///     std::thread::park();
    /// });
    /// hears.recv().unwrap(); // It runs.
    /// let _guard = set.block()?;
    /// assert_eq!(set.unblocked_threads()?.len(), 1);
    /// early.thread().unpark();
    /// early.join().unwrap();
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn unblocked_threads(self) -> Result<Vec<Pid>> {
        const OP: &str = "read /proc/self/task";
        let failed = |error: std::io::Error| match error.raw_os_error() {
            Some(errno) if errno != libc::ENOENT => Error::from_os(OP, errno),
            _ => Error::new(ErrorKind::Unsupported, OP).with_note("/proc is not mounted"),
        };
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc/self/task").map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let text = match fs::read_to_string(entry.path().join("status")) {
                Ok(text) => text,
                // It has ended since. Both errors say so, at different moments.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let mask = text.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            let mask = mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
            // A thread that is ending takes no signal any more.
            let ends = text.lines().any(|line| line.starts_with("State:\tZ"));
            if !ends && mask.is_some_and(|mask| mask & self.bits() != self.bits()) {
                let tid = entry.file_name().to_str().and_then(|it| it.parse().ok());
                found.extend(tid.and_then(|it: i32| Pid::new(it).ok()));
            }
        }
        Ok(found)
    }

    /// Blocks these signals in the calling thread for good, and refuses if another thread would get
    /// them: for those who are about to wait for them.
    pub(crate) fn claim(self, op: &'static str) -> Result<()> {
        self.caught(op)?;
        if self.is_empty() {
            return Err(crate::kind::invalid(op, "there is no signal in the set"));
        }
        let before = sys::change_mask(How::Block, self.bits()).map_err(os("sigprocmask"))?;
        // Where it cannot be told, there is nothing to complain about.
        if self.unblocked_threads().is_ok_and(|threads| !threads.is_empty()) {
            sys::change_mask(How::Set, before).map_err(os("sigprocmask"))?;
            return Err(crate::kind::invalid(
                op,
                "another thread does not block the signal and would get it: \
                 block it before the first thread is started",
            ));
        }
        Ok(())
    }
}

/// The signals that the calling thread blocks.
///
/// # Errors
///
/// None that the kernel gives for it.
///
/// # Examples
///
/// ```
/// use ipc_signal::{Signal, SignalSet, blocked};
/// let guard = SignalSet::from(Signal::USR1).block()?;
/// assert!(blocked()?.contains(Signal::USR1));
/// drop(guard);
/// assert!(!blocked()?.contains(Signal::USR1));
/// # Ok::<(), ipc_core::Error>(())
/// ```
#[doc(alias = "sigprocmask")]
pub fn blocked() -> Result<SignalSet> {
    sys::change_mask(How::Block, 0).map(SignalSet::of_bits).map_err(os("sigprocmask"))
}

/// The blocked signals that were sent and not delivered, to the calling thread or to the process:
/// `sigpending`.
///
/// # Errors
///
/// None that the kernel gives for it.
///
/// # Examples
///
/// See [`SignalSet::block`].
///
/// # References
///
/// `sigpending`(2).
#[doc(alias = "sigpending")]
pub fn pending() -> Result<SignalSet> {
    sys::pending().map(SignalSet::of_bits).map_err(os("sigpending"))
}

/// Puts the calling thread's mask back when it is dropped, **exactly** as it was. So drop guards in
/// the opposite order of their making, as the end of a scope does.
///
/// A mask belongs to a thread, and this value stays in it.
///
/// # Examples
///
/// See [`SignalSet::block`].
#[derive(Debug)]
#[must_use = "dropping it puts the mask back"]
pub struct BlockGuard {
    before: u64,
    /// A raw pointer is neither `Send` nor `Sync`.
    not_send: PhantomData<*const ()>,
}

impl BlockGuard {
    /// What was blocked before.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Signal, SignalSet};
    /// let outer = SignalSet::from(Signal::USR1).block_only()?;
    /// let inner = SignalSet::from(Signal::USR2).block()?;
    /// assert_eq!(inner.before(), Signal::USR1.into());
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn before(&self) -> SignalSet {
        SignalSet::of_bits(self.before)
    }

    /// Leaves the mask as it is now.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_signal::{Signal, SignalSet, blocked};
    /// SignalSet::from(Signal::USR1).block()?.keep();
    /// assert!(blocked()?.contains(Signal::USR1));
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for BlockGuard {
    fn drop(&mut self) {
        // It cannot fail: the arguments are those of a call that has succeeded.
        let _ = sys::change_mask(How::Set, self.before);
    }
}

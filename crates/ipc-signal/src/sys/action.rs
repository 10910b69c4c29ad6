//! `sigaction`, and what runs in the context of a signal.

use std::ffi::{c_int, c_void};
use std::hash::{Hash, Hasher};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use rustix::io::Errno;
use signal_hook_registry::SigId;

use super::info::SigInfo;
use super::{check, last_errno};
use crate::origin::Origin;

/// One past the highest number of a signal.
const SIGNALS: usize = 65;

/// What the kernel does with a signal: a `sigaction`, of which only this file looks at the insides.
#[derive(Clone, Copy)]
pub(crate) struct Action(libc::sigaction);

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(libc::sigaction { sa_sigaction, sa_flags, .. }) = self;
        write!(f, "Action {{ handler: {sa_sigaction:#x}, flags: {sa_flags:#x} }}")
    }
}

impl Action {
    /// The handler, `SIG_DFL` or `SIG_IGN`.
    pub(crate) fn handler(&self) -> usize {
        self.0.sa_sigaction
    }

    fn of(handler: usize, flags: c_int, mask: u64) -> Self {
        // SAFETY: a `sigaction` of zeros is a valid one: the default, no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        for signal in (1..SIGNALS as c_int).filter(|signal| mask & 1 << (signal - 1) != 0) {
            // SAFETY: the set belongs to the structure on this stack. The call refuses what the C
            // library keeps for itself, and changes nothing then.
            let _ = unsafe { libc::sigaddset(&raw mut action.sa_mask, signal) };
        }
        Self(action)
    }

    pub(crate) fn default() -> Self {
        Self::of(libc::SIG_DFL, 0, 0)
    }

    pub(crate) fn ignore() -> Self {
        Self::of(libc::SIG_IGN, 0, 0)
    }

    /// Runs what [`set_raw`] has stored for the signal.
    pub(crate) fn raw(flags: c_int, mask: u64) -> Self {
        let handler = run_raw as extern "C" fn(c_int, *mut SigInfo, *mut c_void) as usize;
        Self::of(handler, flags | libc::SA_SIGINFO, mask)
    }
}

/// `sigaction`: what is done with a signal now.
pub(crate) fn action(signal: c_int) -> Result<Action, Errno> {
    let Action(mut old) = Action::default();
    // SAFETY: null changes nothing, and the old action goes to where there is room for it.
    check(unsafe { libc::sigaction(signal, ptr::null(), &raw mut old) }.into())?;
    Ok(Action(old))
}

/// `sigaction`: what shall be done with a signal; returns what was.
pub(crate) fn set_action(signal: c_int, new: &Action) -> Result<Action, Errno> {
    let Action(mut old) = Action::default();
    // SAFETY: an `Action` is the default, to ignore, one that the kernel has told before, or
    // `run_raw`, which lives as long as the program; the old one goes to where there is room for it.
    check(unsafe { libc::sigaction(signal, &raw const new.0, &raw mut old) }.into())?;
    Ok(Action(old))
}

/// The functions that raw handlers run, by signal.
static RAW: [AtomicPtr<()>; SIGNALS] = [const { AtomicPtr::new(ptr::null_mut()) }; SIGNALS];

/// Stores what a raw handler of `signal` runs, and returns what it ran.
///
/// # Safety
///
/// `function` must do nothing but what is async-signal-safe, and must not unwind.
pub(crate) unsafe fn set_raw(signal: c_int, function: Option<fn(&Origin)>) -> Option<fn(&Origin)> {
    let new = function.map_or(ptr::null_mut(), |function| function as *mut ());
    function_of(RAW[signal as usize].swap(new, Ordering::AcqRel))
}

/// Whether a raw handler of `signal` runs this function.
pub(crate) fn runs(signal: c_int, function: fn(&Origin)) -> bool {
    RAW[signal as usize].load(Ordering::Acquire) == function as *mut ()
}

/// The function that a pointer in [`RAW`] is of.
fn function_of(pointer: *mut ()) -> Option<fn(&Origin)> {
    // SAFETY: what is stored in `RAW` is null or was such a function, and `Option` of a function has
    // null for `None`.
    unsafe { std::mem::transmute::<*mut (), Option<fn(&Origin)>>(pointer) }
}

/// Runs a raw handler, and leaves errno as the interrupted code had it.
extern "C" fn run_raw(signal: c_int, info: *mut SigInfo, _context: *mut c_void) {
    // SAFETY: the C library's errno of this thread lives as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the address is valid, and nobody else uses it in this thread meanwhile.
    let before = unsafe { errno.read() };
    let function = RAW.get(signal as usize).map(|it| it.load(Ordering::Acquire));
    if let Some(function) = function.and_then(function_of) {
        // SAFETY: with `SA_SIGINFO` the kernel passes 128 bytes of information that live until the
        // handler returns. They are copied, in case they are less aligned than ours.
        let info = unsafe { info.read_unaligned() };
        function(&info.origin());
    }
    // SAFETY: as for the read.
    unsafe { errno.write(before) };
}

/// What a safe handler does when its signal comes.
#[derive(Debug)]
pub(crate) enum Reaction {
    /// Sets the flag.
    Flag(Arc<AtomicBool>),
    /// Adds 1 to the counter.
    Counter(Arc<AtomicU64>),
    /// Writes so many bytes of an eventfd's 1 to the descriptor, which does not block.
    Write(OwnedFd, usize),
}

impl Reaction {
    fn react(&self) {
        match self {
            Self::Flag(flag) => flag.store(true, Ordering::SeqCst),
            Self::Counter(counter) => {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            Self::Write(fd, len) => {
                let one = 1_u64.to_ne_bytes();
                // SAFETY: the descriptor is open, as this value owns it, and the bytes are on this
                // stack. A descriptor that is full says already what the write would.
                unsafe { libc::syscall(libc::SYS_write, fd.as_raw_fd(), one.as_ptr(), *len) };
            }
        }
    }
}

/// Has the registry run a reaction; `signal` must not be one of its `FORBIDDEN`.
pub(crate) fn register(signal: c_int, reaction: Reaction) -> Result<SigId, Errno> {
    // SAFETY: a reaction is an atomic operation or one `write`, all of which are async-signal-safe;
    // none allocates, locks or panics, and the registry preserves errno.
    let id = unsafe { signal_hook_registry::register(signal, move || reaction.react()) };
    id.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
}

/// Has the registry run nothing, which shows how many registrations there have been: the number of
/// this one, if it can be told.
pub(crate) fn registrations(signal: c_int) -> Option<u128> {
    // SAFETY: a closure that does nothing is async-signal-safe.
    let id = unsafe { signal_hook_registry::register(signal, || ()) }.ok()?;
    signal_hook_registry::unregister(id);
    number(id)
}

/// The number of a registration. The registry counts them, over all signals, and shows the count in
/// a `SigId` to nobody but a hasher.
pub(crate) fn number(id: SigId) -> Option<u128> {
    /// Keeps the one field that has 16 bytes.
    struct Seen(Option<u128>);

    impl Hasher for Seen {
        fn write(&mut self, _: &[u8]) {}

        fn write_u128(&mut self, number: u128) {
            self.0 = Some(number);
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut seen = Seen(None);
    id.hash(&mut seen);
    seen.0
}

/// `fcntl` with a number: `F_SETSIG` and the like.
pub(crate) fn fcntl(fd: &impl AsRawFd, command: c_int, value: c_int) -> Result<c_int, Errno> {
    // SAFETY: the descriptor is open, and the commands that this crate uses take an integer.
    match unsafe { libc::fcntl(fd.as_raw_fd(), command, value) } {
        -1 => Err(last_errno()),
        it => Ok(it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Handler` puts dispositions back by this count: should the registry change, it would put back
    /// nothing, and this says why.
    #[test]
    fn registrations_are_counted_one_by_one() {
        let first = registrations(libc::SIGURG).expect("the number is seen");
        let id = register(libc::SIGWINCH, Reaction::Flag(Arc::default())).expect("register");
        assert_eq!(number(id), Some(first + 1));
        assert_eq!(registrations(libc::SIGURG), Some(first + 2));
        signal_hook_registry::unregister(id);
    }
}

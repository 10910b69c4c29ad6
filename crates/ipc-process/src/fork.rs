//! `fork`, with what its caller has to know.
#![expect(unsafe_code, reason = "forking is unsafe, and its caller is told why")]

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc_core::{Error, ErrorKind, Result};
use ipc_fd::kind::os;
use rustix::event::EventfdFlags;
use rustix::io::Errno;

use crate::child::start_error;
use crate::kind::pipe;
use crate::process::check_signal;
use crate::sys::{self, Forked};
use crate::{Child, OnDrop, Pid, Process};

/// The operation in this file's errors.
const OP: &str = "fork";

/// The exit status of a forked child that panicked, as that of a Rust program.
pub const PANICKED: u8 = 101;

/// How to fork a child.
///
/// # Examples
///
/// See [`fork`](Self::fork).
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "options do nothing until a child is forked"]
pub struct ForkOptions {
    on_drop: OnDrop,
    parent_death_signal: Option<i32>,
    new_session: bool,
}

impl ForkOptions {
    /// A child that dropping its handle waits for, in this process's session, which outlives its
    /// parent.
    pub const fn new() -> Self {
        Self { on_drop: OnDrop::Wait, parent_death_signal: None, new_session: false }
    }

    /// What dropping the handle does; see [`OnDrop`].
    pub const fn on_drop(mut self, choice: OnDrop) -> Self {
        self.on_drop = choice;
        self
    }

    /// Has the child signalled when the thread that forks it ends: `prctl(PR_SET_PDEATHSIG)`, before
    /// anything else in the child. Should the parent have ended by then, the signal comes at once.
    ///
    /// The limits of [`die_with_parent`](crate::die_with_parent) apply.
    #[doc(alias = "PR_SET_PDEATHSIG")]
    pub const fn parent_death_signal(mut self, signal: i32) -> Self {
        self.parent_death_signal = Some(signal);
        self
    }

    /// Makes the child the leader of a session and process group of its own, without a terminal:
    /// `setsid`. Ctrl-C and the end of the terminal do not reach it then.
    #[doc(alias = "setsid")]
    pub const fn new_session(mut self) -> Self {
        self.new_session = true;
        self
    }

    /// Forks a child that runs `run` and ends with what it returns as its exit status: `fork`, then
    /// `pidfd_open`.
    ///
    /// The child never returns from here: it ends by `_exit`, so that no destructor of a frame above
    /// this call and no handler of `atexit` runs in it. A panic in `run` is reported as usual and ends
    /// the child with status [`PANICKED`]. Standard output is flushed before the fork, so that nothing
    /// comes out twice, and at the end of the child.
    ///
    /// What `run` owns exists twice after the fork and is dropped in both processes: in the parent at
    /// once, in the child when `run` has returned. For a descriptor that is right (move the child's
    /// end of a pipe into it, and the parent's copy is closed). It is wrong for what owns something
    /// outside of the process, such as a temporary directory: borrow it, and let `run` not drop it.
    ///
    /// # Safety
    ///
    /// After the fork two processes have what was one's. The caller makes sure that
    ///
    /// 1. **no other thread holds a lock that the child will take.** The child has the calling thread
    ///    only; a lock that another thread held is held for ever, and what it guarded may be half
    ///    changed. In a process with one thread there is nothing to do. In any other, `run` may
    ///    only make async-signal-safe calls (`signal-safety`(7)); what glibc promises beyond that
    ///    (`malloc` works) no other C library does. This function itself allocates nothing in the
    ///    child; the report of a panic does.
    /// 2. **nothing in the child uses what the kernel did not duplicate**: threads, and what waits for
    ///    them; `io_uring` and asynchronous I/O; memory that is marked `MADV_DONTFORK`; handles that
    ///    act by thread id.
    /// 3. **memory that both share afterwards (`MAP_SHARED`) has no two exclusive users.** A value that
    ///    is the only writer of a ring, say, exists twice now: one process must not touch it again.
    ///
    /// Descriptors are no question of safety, and still of correctness: both copies share the
    /// position in a file, and an end of a pipe is closed when both are. Locks of `fcntl` are not
    /// inherited, those of `flock` are shared.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::ResourceLimit`] when processes (`RLIMIT_NPROC`, `pids.max`), memory or
    ///   descriptors run out. In a process with several threads, one of which takes the last
    ///   descriptor during the fork, the child has begun to run and was killed;
    /// - [`ErrorKind::InvalidInput`] for a parent-death signal that is none;
    /// - [`ErrorKind::Disconnected`] when `SIGCHLD` is ignored and the child has ended already.
    ///
    /// # Limits
    ///
    /// The lock of standard output is held during the fork, so that the child finds it free: while
    /// another thread holds it, the fork waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use ipc_process::ForkOptions;
    ///
    /// let (mut rx, mut tx) = std::io::pipe()?;
    /// // SAFETY: the child makes one system call and neither locks nor allocates.
    /// let mut child = unsafe {
    ///     ForkOptions::new().fork(move || match tx.write_all(b"hello from the child") {
    ///         Ok(()) => 0,
    ///         Err(_) => 1,
    ///     })
    /// }?;
    /// let mut text = String::new();
    /// rx.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello from the child");
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// `fork`(2), `pthread_atfork`(3), `signal-safety`(7), `_exit`(2).
    #[doc(alias = "clone")]
    #[doc(alias = "vfork")]
    pub unsafe fn fork(&self, run: impl FnOnce() -> u8) -> Result<Child> {
        if let Some(signal) = self.parent_death_signal {
            check_signal("prctl PR_SET_PDEATHSIG", signal)?;
        }
        let parent = Pid::this();
        // There will be room for the child's pidfd: it takes the place of this descriptor.
        let room = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(os("eventfd"))?;
        // Nothing that is buffered now may come out of both, and nobody else may be writing.
        let mut out = std::io::stdout().lock();
        let _ = out.flush();
        // SAFETY: the caller has promised it, and the child's branch does not return.
        let forked = unsafe { sys::fork() };
        drop(out);
        drop(room);
        match forked.map_err(|errno| start_error(OP, errno))? {
            Forked::Child => self.be_the_child(parent, run),
            Forked::Parent(pid) => {
                let mut child = Child::of(Pid::new(pid)?)?;
                child.on_drop(self.on_drop);
                Ok(child)
            }
        }
    }

    fn be_the_child(&self, parent: Pid, run: impl FnOnce() -> u8) -> ! {
        if let Some(signal) = self.parent_death_signal {
            let armed = sys::set_parent_death_signal(signal);
            if armed.is_err() || !sys::parent_is(parent.get()) {
                sys::die_by(signal);
            }
        }
        if self.new_session {
            // A new process leads no group, which is the only reason to refuse.
            let _ = rustix::process::setsid();
        }
        let code = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            // Its destructor might panic as well.
            std::mem::forget(panic);
            PANICKED
        });
        let _ = std::io::stdout().flush();
        sys::exit_now(code)
    }

    /// Starts a process that runs `run` and that nobody here has to wait for: `fork`, twice.
    ///
    /// The process in between ends at once and is waited for, so that the new one gets the reaper for
    /// its parent ([`set_subreaper`](crate::set_subreaper) says who that is), which waits for it. The
    /// handle tells whether it lives; it does not tell how it ended. If this process is that reaper
    /// itself, the new one is its child after all: see [`reap_any`](crate::reap_any).
    ///
    /// For a daemon, choose [`new_session`](Self::new_session) as well.
    ///
    /// # Safety
    ///
    /// As for [`fork`](Self::fork).
    ///
    /// # Errors
    ///
    /// Those of [`fork`](Self::fork), and [`ErrorKind::InvalidInput`] with a parent-death signal: the
    /// parent that it would mean ends at once.
    ///
    /// # Examples
    ///
    /// ```
    /// use ipc_core::Wait;
    /// use ipc_process::ForkOptions;
    ///
    /// // SAFETY: the process does nothing at all.
    /// let process = unsafe { ForkOptions::new().new_session().detach(|| 0) }?;
    /// process.wait_exit(Wait::Forever)?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[doc(alias = "daemon")]
    pub unsafe fn detach(&self, run: impl FnOnce() -> u8) -> Result<Process> {
        if self.parent_death_signal.is_some() {
            return Err(Error::new(ErrorKind::InvalidInput, OP).with_note(
                "a detached process has no parent here whose death could be signalled",
            ));
        }
        let (told, tell) = pipe()?;
        let (hold, held) = pipe()?;
        let mut ours = Some((told, held));
        let between = || {
            // The copies that a fork makes of these ends have to be closed by hand, or nobody would
            // see the others close theirs.
            drop(ours.take());
            let mut ends = Some((tell, hold));
            let inner = || {
                drop(ends.take());
                run()
            };
            // SAFETY: the caller has promised it of the whole of what runs after the fork.
            let forked = unsafe { Self { on_drop: OnDrop::Leave, ..*self }.fork(inner) };
            introduce(forked, ends)
        };
        // SAFETY: the caller has promised it; what is done in between allocates nothing.
        let mut between = unsafe { Self::new().fork(between) }?;
        let mut word = [0; 4];
        let heard = ours.as_mut().map(|(told, _)| told.read_exact(&mut word));
        // While the process in between lives, it is the new one's parent and does not wait for it: the
        // pid is the new one's.
        let process = match (heard, i32::from_ne_bytes(word)) {
            (Some(Ok(())), pid @ 1..) => Process::open(Pid::new(pid)?),
            (Some(Ok(())), errno) => Err(start_error(OP, Errno::from_raw_os_error(-errno))),
            _ => Err(Error::new(ErrorKind::Other, OP)
                .with_note("the process in between was killed before it could tell the pid")),
        };
        drop(ours);
        match between.wait() {
            // Where SIGCHLD is ignored, it needs nobody to wait for it.
            Err(error) if error.kind() != ErrorKind::Disconnected => Err(error),
            _ => process,
        }
    }
}

/// In the process between: tells the pid of the new one, or the errno, and stays until that was heard.
fn introduce(forked: Result<Child>, ends: Option<(PipeWriter, PipeReader)>) -> u8 {
    let Some((mut tell, mut hold)) = ends else { return 1 };
    let word = match &forked {
        Ok(child) => child.pid().get(),
        Err(error) => -error.raw_os_error().unwrap_or(libc::EIO),
    };
    let told = tell.write_all(&word.to_ne_bytes());
    // It ends when the parent has the pidfd, or has ended; and not when a signal comes.
    let _ = hold.read_exact(&mut [0]);
    u8::from(told.is_err())
}

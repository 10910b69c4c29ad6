//! Threads that block, and knowing that they do without sleeping.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, getpid};
use rustix::thread::gettid;

use crate::{proc, sys};

/// How many looks in a row must find a thread in the same sleep.
const LOOKS: u32 = 4;

/// Waits until a thread sleeps in the kernel, or `done` says that it will not; `false` when it is
/// done or gone.
///
/// It looks at the thread's state in `/proc` and yields in between. A thread counts as blocked once
/// several looks in a row find it asleep (`S`) without its having run in between.
pub(crate) fn settle(pid: Pid, tid: Pid, done: impl Fn() -> bool) -> bool {
    let mut last = None;
    let mut same = 0;
    while same < LOOKS {
        if done() {
            return false;
        }
        let now = match proc::sample(pid, tid) {
            None => return false,
            Some(sample) if matches!(sample.state, 'Z' | 'X') => return false,
            Some(sample) => sample,
        };
        same = if now.state == 'S' && last == Some(now) { same + 1 } else { 0 };
        last = Some(now);
        thread::yield_now();
    }
    true
}

/// An operation that is blocked on a thread of its own.
#[derive(Debug)]
pub struct Blocked<T> {
    what: &'static str,
    thread: JoinHandle<T>,
    tid: Pid,
}

/// Runs `op` on a thread of its own and returns once it blocks there. `what` names it in reports:
/// "recv on an empty channel".
///
/// # Panics
///
/// If it returns instead.
pub fn block<T: Debug + Send + 'static>(
    what: &'static str,
    op: impl FnOnce() -> T + Send + 'static,
) -> Blocked<T> {
    let blocked = start(what, op);
    if !blocked.settle() {
        let result = blocked.join();
        panic!("{what} did not block: {result:?}");
    }
    blocked
}

/// Runs `op` on a thread of its own.
pub(crate) fn start<T: Send + 'static>(
    what: &'static str,
    op: impl FnOnce() -> T + Send + 'static,
) -> Blocked<T> {
    let tid = Arc::new(AtomicI32::new(0));
    let thread = {
        let tid = Arc::clone(&tid);
        // A store, after which nothing can block but `op`.
        let body = move || {
            tid.store(gettid().as_raw_nonzero().get(), Ordering::Release);
            op()
        };
        thread::Builder::new().name(what.to_owned()).spawn(body).expect("start a thread")
    };
    let tid = loop {
        match Pid::from_raw(tid.load(Ordering::Acquire)) {
            Some(tid) => break tid,
            None => thread::yield_now(),
        }
    };
    Blocked { what, thread, tid }
}

impl<T> Blocked<T> {
    /// Waits until it is blocked (again); `false` when it has returned.
    #[must_use]
    pub fn settle(&self) -> bool {
        settle(getpid(), self.tid, || self.thread.is_finished())
    }

    /// Whether it has returned.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it is blocked and interrupts it by a signal whose handler does nothing and was
    /// installed without `SA_RESTART`, at most `times` times; returns how often.
    ///
    /// It ends early when the operation returns.
    #[must_use]
    pub fn interrupt(&self, times: u64) -> u64 {
        sys::count_signals();
        for done in 0..times {
            let before = sys::signals_seen();
            if !self.settle() || !sys::interrupt_thread(self.tid) {
                return done;
            }
            while sys::signals_seen() == before {
                if self.is_finished() {
                    return done;
                }
                thread::yield_now();
            }
        }
        times
    }

    /// Waits for the operation to return, and passes its panic on.
    pub fn join(self) -> T {
        self.thread.join().unwrap_or_else(|panic| {
            eprintln!("note: it panicked in the thread of {}", self.what);
            std::panic::resume_unwind(panic)
        })
    }
}

//! The parent of a pool.
#![expect(unsafe_code, reason = "workers are forked, under a promise made to `start`")]

use std::fmt;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use ipc_fd::wait::any_ready;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::{PreforkOptions, Report, Worker, WorkerReport};
use crate::kind::{leave_to_tracer, pipe};
use crate::sys::{self, Mask};
use crate::{Child, ForkOptions, OnDrop, Pid, stat};

/// The signals that end a pool.
const STOP: [i32; 2] = [libc::SIGTERM, libc::SIGINT];

/// Something that happened to a pool.
///
/// # Examples
///
/// See [`Prefork::run`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A worker was started in place of one that has ended.
    Started {
        /// Its place.
        slot: usize,
        /// Its pid.
        pid: Pid,
    },
    /// A worker could not be started; it is tried again after the back-off.
    NotStarted {
        /// Its place.
        slot: usize,
        /// Why.
        error: Error,
    },
    /// A worker has ended.
    Ended {
        /// Its place.
        slot: usize,
        /// Its pid, which may be another process's from now on.
        pid: Pid,
        /// How it ended; `None` where that was lost (see [`Child`]).
        status: Option<ExitStatus>,
    },
    /// This process was told to end, by `SIGTERM` or `SIGINT`.
    Signal(i32),
}

/// A pool of workers, forked before there is work, that share what their parent has opened: the
/// model of preforking servers.
///
/// The parent opens what there is to share (a listener, as a rule), starts the pool, and
/// [runs](Self::run) it. Each worker is a forked process that calls the same closure; what it returns
/// is its exit status. A worker that ends, however, is replaced, with a growing delay if it keeps
/// failing. A worker that is killed takes with it what it was working on, and nothing else.
///
/// # Ending
///
/// `SIGTERM` or `SIGINT` to the parent, or [`drain`](Self::drain), ends it in good order: nothing is
/// started any more, every worker is [told](Worker::is_draining), finishes what it has begun and
/// returns; what has not by the deadline, or when a second signal comes, is killed. If the parent is
/// killed, the workers are told just so, by the end of a pipe that it held, and none is left behind
/// (another process that the parent has forked keeps that pipe open until it ends).
/// Dropping the value drains it.
///
/// # Signals
///
/// `SIGTERM` and `SIGINT` are blocked in the thread from [`start`](PreforkOptions::start) until the value is
/// dropped, and read from a `signalfd`. Their handlers, if there are any, do not run meanwhile.
///
/// # Examples
///
/// ```no_run
/// use std::io::Write;
/// use std::net::TcpListener;
/// use ipc_process::{PreforkOptions, Worker};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// listener.set_nonblocking(true)?;
/// let serve = |worker: &Worker<'_>| {
///     while let Ok(Some(connection)) = worker.accept(&listener) {
///         let mut connection = std::net::TcpStream::from(connection);
///         let _ = writeln!(connection, "hello from worker {}", worker.slot());
///     }
///     0
/// };
/// // SAFETY: this process has one thread, and nothing that a fork would make two owners of.
/// let mut pool = unsafe { PreforkOptions::new(4).start(serve) }?;
/// assert_eq!(pool.report().running(), 4);
/// let report = pool.run(|event| eprintln!("{event:?}"))?; // Until somebody sends SIGTERM.
/// println!("{report}");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
///
/// `signalfd`(2), `pidfd_open`(2); W. R. Stevens, *Unix Network Programming*, volume 1, chapter 30.
#[doc(alias = "master")]
pub struct Prefork<F: FnMut(&Worker<'_>) -> u8> {
    options: PreforkOptions,
    run: F,
    slots: Vec<Slot>,
    /// Whose end tells the workers to drain.
    stop: PipeReader,
    go_on: Option<PipeWriter>,
    signals: OwnedFd,
    mask: Mask,
    /// A forked copy of the pool is not the pool.
    owner: Pid,
    killed: usize,
}

/// A place for a worker.
#[derive(Debug)]
struct Slot {
    child: Option<Child>,
    started: Instant,
    /// When the next one is due, if none is there.
    due: Option<Instant>,
    starts: u64,
    failures: u32,
    last_exit: Option<ExitStatus>,
}

impl PreforkOptions {
    /// Starts the workers, each of which runs `run` in a process of its own.
    ///
    /// # Safety
    ///
    /// As for [`ForkOptions::fork`], for as long as the pool lives: it forks again whenever a worker
    /// has to be replaced. That the process has one thread, it checks each time.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] when this process has more than one thread, or no worker is
    ///   asked for;
    /// - those of [`ForkOptions::fork`]; the workers that were started are drained;
    /// - [`ErrorKind::Unsupported`] when `/proc` is not mounted.
    ///
    /// # Examples
    ///
    /// See [`Prefork`].
    pub unsafe fn start<F: FnMut(&Worker<'_>) -> u8>(self, run: F) -> Result<Prefork<F>> {
        const OP: &str = "prefork";
        if self.workers == 0 {
            return Err(
                Error::new(ErrorKind::InvalidInput, OP).with_note("a pool has at least one worker")
            );
        }
        one_thread()?;
        let (stop, go_on) = pipe()?;
        let signals = sys::signalfd(&STOP).map_err(os("signalfd4"))?;
        let mask = sys::block_signals(&STOP).map_err(os("pthread_sigmask"))?;
        let now = Instant::now();
        let empty = || Slot {
            child: None,
            started: now,
            due: Some(now),
            starts: 0,
            failures: 0,
            last_exit: None,
        };
        let mut pool = Prefork {
            run,
            slots: (0..self.workers).map(|_| empty()).collect(),
            stop,
            go_on: Some(go_on),
            signals,
            mask,
            owner: Pid::this(),
            killed: 0,
            options: self,
        };
        for slot in 0..pool.slots.len() {
            pool.fork(slot)?;
        }
        Ok(pool)
    }
}

/// A lock that another thread holds during a fork is held for ever in the worker.
fn one_thread() -> Result<()> {
    /// A thread that was joined a moment ago is still on its way out of the kernel.
    const LOOKS: u32 = 50;
    for _ in 0..LOOKS {
        if stat::threads()? == 1 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Error::new(ErrorKind::InvalidInput, "prefork").with_note(
        "this process has several threads, and a lock that one of them holds would stay locked in \
         the workers: start threads in the workers only",
    ))
}

impl<F: FnMut(&Worker<'_>) -> u8> Prefork<F> {
    /// Keeps the pool running until this process is told to end (`SIGTERM`, `SIGINT`), then drains it.
    /// `on_event` is told what happens, for a log.
    ///
    /// # Errors
    ///
    /// Only what makes supervising impossible. The pool is then as it was.
    ///
    /// # Examples
    ///
    /// See [`Prefork`], and `examples/prefork_http.rs` for a server.
    pub fn run(&mut self, mut on_event: impl FnMut(&Event)) -> Result<Report> {
        loop {
            let event = self.supervise(Wait::Forever)?;
            on_event(&event);
            if matches!(event, Event::Signal(_)) {
                return self.drain(Wait::timeout(self.options.drain));
            }
        }
    }

    /// Waits until something happens to the pool and does what is to be done: replaces a worker, or
    /// takes note of its end. For a program with a loop of its own; others [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`] as [`Wait`] says;
    /// - [`ErrorKind::NotFound`] when the pool was drained and nobody is left.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use ipc_process::{Event, PreforkOptions};
    /// use std::time::Duration;
    /// use ipc_core::{ErrorKind, Wait};
    ///
    /// // SAFETY: this process has one thread, and nothing that a fork would make two owners of.
    /// let mut pool = unsafe { PreforkOptions::new(2).start(|_worker| 0) }?;
    /// loop {
    ///     match pool.supervise(Wait::timeout(Duration::from_secs(10))) {
    ///         Ok(Event::Signal(_)) => break,
    ///         Ok(event) => eprintln!("{event:?}"),
    ///         Err(error) if error.kind() == ErrorKind::TimedOut => eprintln!("{}", pool.report()),
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// pool.drain(Wait::timeout(Duration::from_secs(30)))?;
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    pub fn supervise(&mut self, wait: Wait) -> Result<Event> {
        const OP: &str = "supervise a pool";
        loop {
            let due = self.slots.iter().enumerate().filter_map(|(at, slot)| Some((slot.due?, at)));
            let due = due.min().filter(|_| self.go_on.is_some());
            if let Some((_, slot)) = due.filter(|(due, _)| *due <= Instant::now()) {
                return Ok(match self.fork(slot) {
                    Ok(pid) => Event::Started { slot, pid },
                    Err(error) => {
                        self.next(slot, false, Duration::ZERO);
                        Event::NotStarted { slot, error }
                    }
                });
            }
            let running: Vec<_> = (0..self.slots.len())
                .filter_map(|slot| Some((slot, self.slots[slot].child.as_ref()?.as_fd())))
                .collect();
            if running.is_empty() && self.go_on.is_none() {
                return Err(Error::new(ErrorKind::NotFound, OP)
                    .with_note("the pool was drained, and no worker is left"));
            }
            let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
            fds.extend(running.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
            match any_ready(OP, &mut fds, sooner(wait, due.map(|(due, _)| due))) {
                // It may be the back-off that is over, and not the caller's wait.
                Err(error) if error.kind() == ErrorKind::TimedOut => match wait.remaining() {
                    Some(left) if left.is_zero() => return Err(error),
                    _ => continue,
                },
                ready => ready?,
            }
            let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
            let signalled = ready(&fds[0]);
            let ended = fds[1..].iter().position(ready).map(|at| running[at].0);
            if signalled && let Some(signal) = self.take_signal()? {
                return Ok(Event::Signal(signal));
            }
            if let Some(slot) = ended
                && let Some(event) = self.reap(slot)?
            {
                return Ok(event);
            }
        }
    }

    /// Ends the pool in good order: tells the workers, waits until they have returned, and kills those
    /// that have not when `wait` is over or a signal comes.
    ///
    /// # Errors
    ///
    /// Only what makes supervising impossible; how workers ended is in the report.
    ///
    /// # Examples
    ///
    /// See [`supervise`](Self::supervise).
    #[doc(alias = "graceful shutdown")]
    pub fn drain(&mut self, wait: Wait) -> Result<Report> {
        if let Some(mut go_on) = self.go_on.take() {
            // A byte that nobody ever reads, and then the end: another process that this one has
            // forked may have a copy of this end. It fails when there is no worker.
            let _ = go_on.write_all(&[0]);
        }
        self.slots.iter_mut().for_each(|slot| slot.due = None);
        loop {
            match self.supervise(wait) {
                Ok(Event::Signal(_)) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound) => break,
                Err(error) if error.kind() == wait.exhausted() => break,
                Err(error) => return Err(error),
            }
        }
        for slot in 0..self.slots.len() {
            if let Some(child) = self.slots[slot].child.as_mut() {
                self.killed += 1;
                // What fails here has ended already.
                let _ = child.process().kill();
                let status = child.wait().ok();
                self.ended(slot, status);
            }
        }
        Ok(self.report())
    }

    /// The state of the pool now.
    ///
    /// # Examples
    ///
    /// See [`Prefork`].
    #[must_use]
    pub fn report(&self) -> Report {
        let now = Instant::now();
        let worker = |(slot, it): (usize, &Slot)| WorkerReport {
            slot,
            pid: it.child.as_ref().map(Child::pid),
            uptime: it.child.as_ref().map(|_| now.saturating_duration_since(it.started)),
            starts: it.starts,
            failures: it.failures,
            last_exit: it.last_exit,
            next_start: it.due.map(|due| due.saturating_duration_since(now)),
        };
        Report {
            workers: self.slots.iter().enumerate().map(worker).collect(),
            draining: self.go_on.is_none(),
            killed: self.killed,
        }
    }

    fn fork(&mut self, at: usize) -> Result<Pid> {
        one_thread()?;
        let starts = self.slots[at].starts + 1;
        let Self { run, slots, stop, go_on, signals, .. } = self;
        let work = || {
            // This copy of the writing end must not keep the others from seeing it closed, and the
            // handles of the other workers are the parent's: in a copy, dropping them only closes them.
            drop(go_on.take());
            slots.clear();
            run(&Worker { slot: at, starts, stop: stop.as_fd(), signals: signals.as_fd() })
        };
        let options = ForkOptions::new().on_drop(OnDrop::Kill);
        // SAFETY: there is one thread, as was checked above, and the caller of `start` has promised the
        // rest for as long as the pool lives.
        let child = unsafe { options.fork(work) }?;
        let pid = child.pid();
        let slot = &mut self.slots[at];
        (slot.child, slot.started, slot.starts, slot.due) =
            (Some(child), Instant::now(), starts, None);
        Ok(pid)
    }

    /// Takes the status of a worker that has ended.
    fn reap(&mut self, slot: usize) -> Result<Option<Event>> {
        let Some(child) = self.slots[slot].child.as_mut() else { return Ok(None) };
        let pid = child.pid();
        let status = match child.try_wait() {
            Ok(status) => Some(status),
            Err(error) if error.kind() == ErrorKind::Disconnected => None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                leave_to_tracer("waitid", Wait::Forever)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.ended(slot, status);
        Ok(Some(Event::Ended { slot, pid, status }))
    }

    /// Takes note of a worker's end.
    fn ended(&mut self, at: usize, status: Option<ExitStatus>) {
        let slot = &mut self.slots[at];
        (slot.child, slot.last_exit) = (None, status);
        let lifetime = slot.started.elapsed();
        self.next(at, status.is_some_and(|status| status.success()), lifetime);
    }

    /// Chooses when the next worker is due after one has ended or could not be started.
    fn next(&mut self, at: usize, success: bool, lifetime: Duration) {
        let (draining, backoff) = (self.go_on.is_none(), self.options.backoff);
        let slot = &mut self.slots[at];
        slot.failures = backoff.failures(slot.failures, success, lifetime);
        slot.due = (!draining).then(|| Instant::now() + backoff.delay(slot.failures));
    }

    /// Takes the signal that has come: the number is the first field of what a `signalfd` gives.
    fn take_signal(&self) -> Result<Option<i32>> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.signals, &mut info) {
            Ok(_) => Ok(info.first_chunk().map(|number| i32::from_ne_bytes(*number))),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(os("read")(errno)),
        }
    }
}

/// The wait that is over first.
fn sooner(wait: Wait, due: Option<Instant>) -> Wait {
    match (wait, due) {
        (Wait::Forever, Some(due)) => Wait::Until(due),
        (Wait::Until(deadline), Some(due)) => Wait::Until(deadline.min(due)),
        (wait, _) => wait,
    }
}

impl<F: FnMut(&Worker<'_>) -> u8> fmt::Debug for Prefork<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefork")
            .field("options", &self.options)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl<F: FnMut(&Worker<'_>) -> u8> Drop for Prefork<F> {
    fn drop(&mut self) {
        if Pid::this() != self.owner {
            return;
        }
        let _ = self.drain(Wait::timeout(self.options.drain));
        sys::restore_signals(&self.mask);
    }
}

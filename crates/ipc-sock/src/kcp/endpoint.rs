//! A UDP socket, the conversations on it, and the thread that drives them.

mod accepting;
mod driver;
mod link;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Result, Wait};
use ipc_fd::kind::os;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Pid;

use self::driver::Driver;
pub(super) use self::link::{Link, State};
use super::bell::Bell;
use super::doorman::{Answer, Doorman};
use super::session::Session;
use super::wire::{Datagram, Kind, LONGEST};
use crate::socket::{SEND, Socket};
use crate::sys;

/// At most so many datagrams are taken before the time is looked at.
const BATCH: usize = 64;

/// Who drops an end waits no longer for a peer that takes nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// [`Endpoint::sleeps_until`] while the thread is looking at the sessions.
const AWAKE: u64 = u64::MAX;

/// What is on the socket.
#[derive(Debug, Default)]
struct Table {
    links: HashMap<(Option<SocketAddr>, u32), Arc<Link>>,
    /// Conversations that nobody has accepted yet.
    waiting: VecDeque<Arc<Link>>,
    /// While somebody listens.
    doorman: Option<Doorman>,
    /// How many values of the user's are on this socket; the thread ends after the last.
    handles: usize,
    acceptors: usize,
    thread: Option<JoinHandle<()>>,
    /// The thread has ended by a panic: nobody will come any more.
    dead: bool,
}

/// A socket with its thread.
pub(super) struct Endpoint {
    socket: Socket,
    /// Wakes the thread.
    wake: OwnedFd,
    /// Held while datagrams are taken, with room for one: what was taken from the socket has reached its
    /// session when this is free.
    intake: Mutex<Vec<u8>>,
    table: Mutex<Table>,
    arrived: Condvar,
    /// Rings while a conversation waits to be accepted.
    bell: Bell,
    /// When the thread looks at the sessions by itself, in microseconds since `epoch`.
    ///
    /// The thread says [`AWAKE`] before it looks at the sessions, and the moment afterwards; a caller
    /// changes a session and looks at this afterwards. So either the thread sees the change, or the
    /// caller sees that the thread must be woken.
    sleeps_until: AtomicU64,
    epoch: Instant,
    /// A forked copy has no thread.
    pid: Pid,
}

impl Endpoint {
    pub(super) fn new(socket: Socket, doorman: Option<Doorman>) -> Result<Arc<Self>> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        Ok(Arc::new(Self {
            socket,
            wake: wake.map_err(os("eventfd"))?,
            intake: Mutex::new(Vec::new()),
            table: Mutex::new(Table { doorman, ..Table::default() }),
            arrived: Condvar::new(),
            bell: Bell::default(),
            sleeps_until: AtomicU64::new(AWAKE),
            epoch: Instant::now(),
            pid: rustix::process::getpid(),
        }))
    }

    pub(super) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket, of an endpoint whose thread was never started.
    pub(super) fn into_socket(self: Arc<Self>) -> Option<Socket> {
        Arc::into_inner(self).map(|endpoint| endpoint.socket)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread, if it does not run yet, and looks at what has come before.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        if self.table().thread.is_some() {
            return Ok(());
        }
        // Before the thread can: what has come is known to the first call.
        self.take_datagrams(&mut |due| self.wake_for(due));
        let mut table = self.table();
        if table.thread.is_some() {
            return Ok(());
        }
        let endpoint = Arc::clone(self);
        // A signal must find a thread of the program's own.
        let thread = sys::with_signals_blocked(|| {
            std::thread::Builder::new()
                .name("kcp".into())
                .spawn(move || Driver::new(endpoint).run())
        });
        table.thread = Some(thread.map_err(|error| {
            let kind =
                ErrorKind::ResourceLimit { limit: "threads", knob: "RLIMIT_NPROC (ulimit -u)" };
            Error::from_os("pthread_create", error.raw_os_error().unwrap_or(0)).with_kind(kind)
        })?);
        Ok(())
    }

    /// Adds a session, which the caller holds.
    pub(super) fn add(&self, link: &Arc<Link>) {
        let conv = link.lock().session.agreement().conv;
        let mut table = self.table();
        table.links.insert((link.to, conv), Arc::clone(link));
        table.handles += 1;
    }

    /// Does something with a session, until it says that it is done or `wait` is exhausted.
    pub(super) fn until<T>(
        &self,
        link: &Link,
        direction: Direction,
        op: &'static str,
        wait: Wait,
        mut step: impl FnMut(&mut Session, Instant) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut state = link.lock();
        let mut looked = false;
        loop {
            let now = Instant::now();
            let done = step(&mut state.session, now);
            self.send(link, &mut state, now);
            link.show(&state);
            match done {
                Ok(None) => {}
                Ok(Some(value)) => {
                    let due = state.session.due(now);
                    drop(state);
                    self.wake_for(due);
                    return Ok(value);
                }
                Err(error) => return Err(error),
            }
            if wait.remaining().is_some_and(|left| left.is_zero()) {
                if looked {
                    return Err(Error::new(wait.exhausted(), op));
                }
                // What the thread has not seen yet can be done all the same.
                looked = true;
                drop(state);
                self.take_datagrams(&mut |due| self.wake_for(due));
                state = link.lock();
                continue;
            }
            let (condvar, count): (_, fn(&mut State) -> &mut usize) = match direction {
                Direction::In => (&link.readable, |state| &mut state.readers),
                Direction::Out => (&link.writable, |state| &mut state.writers),
            };
            *count(&mut state) += 1;
            state = sleep(condvar, state, wait, op).0;
            *count(&mut state) -= 1;
        }
    }

    /// Wakes the thread if it sleeps beyond this moment.
    fn wake_for(&self, due: Option<Instant>) {
        if due.is_some_and(|due| self.micros(due) < self.sleeps_until.load(Ordering::SeqCst)) {
            self.wake();
        }
    }

    fn wake(&self) {
        // It fails when the counter is full: the thread is being woken then.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Rounded up, so that it is not before the moment.
    fn micros(&self, moment: Instant) -> u64 {
        let past = moment.saturating_duration_since(self.epoch).as_micros();
        u64::try_from(past).unwrap_or(AWAKE - 2) + 1
    }

    /// Sends what a session has to send. What the socket does not take is lost, and sent again.
    fn send(&self, link: &Link, state: &mut State, now: Instant) {
        let flags = SEND | SendFlags::DONTWAIT;
        state.session.drain(now, |datagram| {
            let _ = match link.to {
                None => rustix::net::send(&self.socket, datagram, flags),
                Some(to) => rustix::net::sendto(&self.socket, datagram, flags, &to),
            };
        });
    }

    /// Takes what has come and gives it to whom it is for; says of each session when it is due.
    fn take_datagrams(&self, due: &mut impl FnMut(Option<Instant>)) {
        let mut buf = self.intake.lock().unwrap_or_else(PoisonError::into_inner);
        buf.resize(LONGEST, 0);
        for _ in 0..BATCH {
            match rustix::net::recvfrom(&self.socket, &mut buf[..], RecvFlags::DONTWAIT) {
                Ok((_, len, from)) => {
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    let len = len.min(buf.len());
                    self.take(&mut buf[..len], from, due);
                }
                Err(Errno::INTR) => {}
                Err(Errno::CONNREFUSED) => self.refused(),
                Err(_) => return,
            }
        }
    }

    fn take(
        &self,
        bytes: &mut [u8],
        from: Option<SocketAddr>,
        due: &mut impl FnMut(Option<Instant>),
    ) {
        let Some(datagram) = Datagram::parse(bytes) else { return };
        let mut table = self.table();
        let found = table
            .links
            .get(&(from, datagram.conv))
            .or_else(|| table.links.get(&(None, datagram.conv)))
            .map(Arc::clone);
        let now = Instant::now();
        if let (Some(opening), Some(from)) = (datagram.opening(), from) {
            let waiting = table.waiting.len();
            let Some(doorman) = &table.doorman else { return };
            let tuning = doorman.tuning;
            let link = match doorman.answer(&datagram, opening, from, found.is_some(), waiting) {
                Answer::Nothing => return,
                Answer::Say(answer) => {
                    let flags = SEND | SendFlags::DONTWAIT;
                    let _ = rustix::net::sendto(&self.socket, &answer, flags, &from);
                    return;
                }
                Answer::Begin(agreement) => {
                    let session = Session::new(agreement, tuning, true, now);
                    let link = Arc::new(Link::new(Some(from), session));
                    table.links.insert((Some(from), agreement.conv), Arc::clone(&link));
                    table.waiting.push_back(Arc::clone(&link));
                    self.show(&table);
                    if table.acceptors > 0 {
                        self.arrived.notify_one();
                    }
                    link
                }
                Answer::Again(key) => match found {
                    Some(link) if link.lock().session.agreement().key == key => link,
                    _ => return,
                },
            };
            drop(table);
            let mut state = link.lock();
            state.session.say(Kind::Ready);
            self.send(&link, &mut state, now);
            due(state.session.due(now));
            return;
        }
        drop(table);
        let Some(link) = found else { return };
        let mut state = link.lock();
        if state.session.input(datagram, now) {
            self.send(&link, &mut state, now);
            link.notify(&state);
            due(state.session.due(now));
        }
    }

    /// Nobody has the port that this socket is connected to.
    fn refused(&self) {
        let links: Vec<_> = self.table().links.values().cloned().collect();
        for link in links {
            let mut state = link.lock();
            state.session.refused();
            link.notify(&state);
        }
    }

    /// Looks at all sessions; returns when the next is due.
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut table = self.table();
        table.waiting.retain(|link| !link.lock().session.is_lost());
        self.show(&table);
        table.links.retain(|_, link| {
            let state = link.lock();
            // One that nobody holds was turned away, or is gone.
            let held = Arc::strong_count(link) > 1 || state.orphaned || state.forgotten.is_some();
            held && state.forgotten.is_none_or(|until| now < until)
        });
        let links: Vec<_> = table.links.values().cloned().collect();
        drop(table);
        let mut next = None;
        for link in links {
            let mut state = link.lock();
            state.session.tick(now);
            self.send(&link, &mut state, now);
            link.notify(&state);
            let released = state.orphaned && state.session.has_left();
            if released {
                state.orphaned = false;
                state.forget();
            }
            let due = [state.session.due(now), state.forgotten, next];
            next = due.into_iter().flatten().min();
            drop(state);
            if released {
                // Nobody joins a thread that ends after the last value has gone.
                drop(self.release());
            }
        }
        next
    }

    /// The user's value of a session goes: it says goodbye and waits until the peer has everything, for
    /// as long as the options say, and as long as the peer takes something.
    pub(super) fn leave(self: &Arc<Self>, link: &Arc<Link>) {
        if self.is_forked() {
            return;
        }
        let now = Instant::now();
        let mut state = link.lock();
        state.session.leave(now);
        self.send(link, &mut state, now);
        state.lingers = true;
        if !state.session.has_left() {
            drop(state);
            // Somebody must hear the answer; without a thread nobody does.
            let started = self.start().is_ok();
            self.wake();
            state = link.lock();
            while started && !state.session.has_left() {
                let unacknowledged = state.session.unacknowledged();
                state = sleep(&link.writable, state, Wait::timeout(PATIENCE), "close").0;
                if state.session.is_stalled(unacknowledged) {
                    // The thread goes on, and releases what this would have.
                    state.orphaned = true;
                    return;
                }
            }
        }
        state.forget();
        drop(state);
        if let Some(thread) = self.release() {
            self.wake();
            let _ = thread.join();
        }
    }

    /// Whether this is a copy in a forked process, which has no thread.
    fn is_forked(&self) -> bool {
        rustix::process::getpid() != self.pid
    }

    /// One value of the user's less; after the last the thread ends, and with it the socket.
    fn release(&self) -> Option<JoinHandle<()>> {
        let mut table = self.table();
        table.handles -= 1;
        if table.handles > 0 { None } else { table.thread.take() }
    }

    fn is_done(&self) -> bool {
        self.table().handles == 0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// Sleeps until it is woken, or fails because `wait` is exhausted.
fn sleep<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    wait: Wait,
    op: &'static str,
) -> (MutexGuard<'a, T>, Result<()>) {
    match wait.remaining() {
        None => (condvar.wait(guard).unwrap_or_else(PoisonError::into_inner), Ok(())),
        Some(left) if left.is_zero() => (guard, Err(Error::new(wait.exhausted(), op))),
        Some(left) => {
            let waited = condvar.wait_timeout(guard, left);
            (waited.unwrap_or_else(PoisonError::into_inner).0, Ok(()))
        }
    }
}

//! Serving many connections in many threads.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Listen, Result, Wait};

use super::connection::{Arguments, Asked, Connection, Limits, Request, status_frame};
use super::execute::Execution;
use super::memory::{Memory, Saved};
use super::pool_options::{OnFull, PoolOptions};
use super::queue::Queue;
use super::serve::{After, after};
use super::table::Peer;
use crate::wire::RequestHead;
use crate::{Host, RecvFrame, Semantics, SendFrame, Serve, Status};

/// Threads that execute calls of many connections.
///
/// Each connection is [served](Self::serve) by a thread that receives; calls wait in one bounded queue for a
/// worker, which executes them and sends the reply. So the calls of a pipelined client are executed at the same
/// time and answered in any order, and one that is cancelled while it waits is not executed.
///
/// # Examples
///
/// ```
/// use ipc_rpc::{Call, ClientOptions, Host, HostOptions, Pool, PoolOptions};
/// use ipc_sock::unix::SocketOptions;
///
/// ipc_rpc::service! {
///     #[service(name = "shout", version = 1, client = ShoutClient, server = ShoutServer)]
///     trait Shout {
///         fn shout(&self, call: &Call<'_>, text: &str) -> String;
///     }
/// }
///
/// struct Loud;
/// impl Shout for Loud {
///     fn shout(&self, _: &Call<'_>, text: &str) -> String {
///         text.to_uppercase()
///     }
/// }
///
/// let host = Host::new(ShoutServer(Loud), &HostOptions::new())?;
/// let pool = Pool::new(host, &PoolOptions::new().workers(2))?;
/// let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
/// std::thread::scope(|scope| {
///     let server = scope.spawn(|| pool.serve(theirs.try_clone()?, theirs));
///     let mut client = ShoutClient::connect(ours, &ClientOptions::new())?;
///     assert_eq!(client.shout("hello")?, "HELLO");
///     drop(client);
///     server.join().unwrap()?;
///     Ok::<(), Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<S: Serve + Send + Sync + 'static> {
    shared: Arc<Shared<S>>,
    options: PoolOptions,
    workers: Vec<JoinHandle<()>>,
}

struct Shared<S> {
    host: Host<S>,
    queue: Queue<Job>,
    stopped: AtomicBool,
}

/// A call that waits for a worker.
struct Job {
    outlet: Arc<Outlet>,
    peer: Arc<Peer>,
    request: Request<'static>,
    fds: Vec<OwnedFd>,
    cancelled: Arc<AtomicBool>,
}

/// Where the replies of a connection go.
struct Outlet {
    connection: u64,
    limits: Limits,
    tx: Mutex<Box<dyn SendFrame + Send>>,
    timeout: Duration,
    /// Its client does not take replies.
    broken: AtomicBool,
    /// The calls that wait or run, by token and number.
    running: Mutex<HashMap<(u64, u64), Arc<AtomicBool>>>,
}

/// How often a thread looks whether it is to end.
const TURN: Duration = Duration::from_millis(50);

impl<S: Serve + Send + Sync + 'static> Pool<S> {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when the system gives no more threads.
    pub fn new(host: Host<S>, options: &PoolOptions) -> Result<Self> {
        let queue = Queue::new(options.queue);
        let shared = Arc::new(Shared { host, queue, stopped: AtomicBool::new(false) });
        let mut pool = Self { shared, options: *options, workers: Vec::new() };
        for number in 0..options.workers.max(1) {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name(format!("rpc worker {number}"));
            let worker = thread
                .spawn(move || shared.work())
                .map_err(|error| Error::from_os("clone", error.raw_os_error().unwrap_or(0)))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host<S> {
        &self.shared.host
    }

    /// How many calls wait for a worker.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }

    /// Lets every [`serve`](Self::serve) and [`listen`](Self::listen) return soon.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
    }

    /// Serves one connection, whose frames this thread receives, until its other end is gone or the pool is
    /// [stopped](Self::stop).
    ///
    /// # Errors
    ///
    /// What the link says, other than [`ErrorKind::Disconnected`]; [`ErrorKind::TimedOut`] when the client did
    /// not take its replies.
    pub fn serve(&self, tx: impl SendFrame + Send + 'static, mut rx: impl RecvFrame) -> Result<()> {
        let host = &self.shared.host;
        let mut connection = host.connection();
        let limits = Limits { max_frame: tx.max_frame(), passes_fds: tx.passes_fds() };
        connection.limits = limits;
        let outlet = Arc::new(Outlet {
            connection: connection.id(),
            limits,
            tx: Mutex::new(Box::new(tx)),
            timeout: self.options.reply_timeout,
            broken: AtomicBool::new(false),
            running: Mutex::new(HashMap::new()),
        });
        let mut buf = vec![0; host.options.max_frame as usize];
        let mut fds = Vec::new();
        while !self.is_stopped() {
            if outlet.broken.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::TimedOut, "serve")
                    .with_note("the client does not take its replies"));
            }
            match rx.recv_frame(&mut buf, &mut fds, Wait::timeout(TURN)) {
                Ok(len) => self.take(&mut connection, &outlet, &buf[..len], &mut fds),
                Err(error) => match after(&error, &mut rx)? {
                    After::GoOn => {}
                    After::End => break,
                },
            }
        }
        // Nobody takes replies any more. The calls go on: their client may connect again and ask for them.
        outlet.broken.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Accepts connections and serves each in a thread of its own, until the pool is [stopped](Self::stop).
    /// `split` makes an end to send by and one to receive by of a connection.
    ///
    /// # Errors
    ///
    /// What the listener says, other than that descriptors have run out: then those who want to connect wait.
    pub fn listen<C, T, R>(
        &self,
        listener: &impl Listen<Conn = C>,
        split: impl Fn(C) -> Result<(T, R)>,
    ) -> Result<()>
    where
        T: SendFrame + Send + 'static,
        R: RecvFrame + Send,
    {
        std::thread::scope(|scope| {
            while !self.is_stopped() {
                match listener.accept_with(Wait::timeout(TURN)).and_then(&split) {
                    Ok((tx, rx)) => {
                        // What ends one connection is no concern of the others.
                        let thread = std::thread::Builder::new().name("rpc connection".to_owned());
                        let _ = thread.spawn_scoped(scope, move || drop(self.serve(tx, rx)));
                    }
                    Err(error) => match error.kind() {
                        ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Disconnected => {}
                        ErrorKind::ResourceLimit { .. } | ErrorKind::PermissionDenied => {
                            std::thread::sleep(TURN);
                        }
                        _ => {
                            self.stop();
                            return Err(error);
                        }
                    },
                }
            }
            Ok(())
        })
    }

    /// Does what a frame asks for, or has it done.
    fn take(
        &self,
        connection: &mut Connection,
        outlet: &Arc<Outlet>,
        frame: &[u8],
        fds: &mut Vec<OwnedFd>,
    ) {
        match self.shared.host.receive(connection, frame, fds) {
            Asked::Nothing => {}
            Asked::Answer => {
                let answer = connection.answer();
                outlet.send(answer.bytes, answer.fds);
            }
            Asked::Cancel { token, seq } => outlet.cancel(token, seq),
            Asked::Execute(request) => {
                if let Some(peer) = connection.peer.clone() {
                    let job = outlet.job(peer, request, std::mem::take(fds));
                    self.enqueue(job);
                }
            }
        }
        fds.clear();
    }

    fn enqueue(&self, mut job: Job) {
        while let Err(back) = self.shared.queue.try_push(job) {
            job = back;
            // An exactly-once call may have been executed in another life: to say that it was not needs a look.
            let refuses = self.options.on_full == OnFull::Refuse
                && job.request.head.semantics != Semantics::ExactlyOnce;
            if self.is_stopped() {
                // Nobody is told: the client asks again, or learns that the server is gone.
                return;
            }
            if refuses {
                return job.refuse();
            }
            self.shared.queue.wait_for_room(TURN);
        }
    }
}

impl<S: Serve> Shared<S> {
    /// What a worker does.
    fn work(&self) {
        let (mut out, mut beside) = (Vec::new(), None);
        while let Some(mut job) = self.queue.pop() {
            let execution = Execution {
                peer: &job.peer,
                connection: job.outlet.connection,
                limits: job.outlet.limits,
                cancelled: Some(&job.cancelled),
            };
            let fds = std::mem::take(&mut job.fds);
            let answers = self.host.execute(&execution, &job.request, fds, &mut out, &mut beside);
            job.outlet.ended(&job.request.head);
            if answers {
                job.outlet.send(&out, Memory::fds(&beside));
            }
            beside = None;
        }
    }
}

impl Job {
    /// Says that there is no room for it.
    fn refuse(self) {
        let head = &self.request.head;
        let reply = status_frame(head, Status::Busy);
        match head.semantics {
            Semantics::AtLeastOnce => {}
            // Final, as every answer: a copy of the request that comes later is not executed either.
            _ => self.peer.memory().complete(head.seq, Some(Saved::frame(&reply))),
        }
        self.outlet.ended(head);
        self.outlet.send(&reply, &[]);
    }
}

impl Outlet {
    fn running(&self) -> MutexGuard<'_, HashMap<(u64, u64), Arc<AtomicBool>>> {
        // Nothing panics with the lock held.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn job(self: &Arc<Self>, peer: Arc<Peer>, request: Request<'_>, fds: Vec<OwnedFd>) -> Job {
        let arguments = match request.arguments {
            Arguments::Here(bytes) => Arguments::Large(bytes.to_vec()),
            Arguments::Large(bytes) => Arguments::Large(bytes),
            Arguments::Missing => Arguments::Missing,
        };
        let Request { head, deadline, only_find, .. } = request;
        let request = Request { head, arguments, deadline, only_find };
        let cancelled = Arc::new(AtomicBool::new(false));
        self.running().insert((head.token, head.seq), Arc::clone(&cancelled));
        Job { outlet: Arc::clone(self), peer, request, fds, cancelled }
    }

    fn ended(&self, head: &RequestHead) {
        self.running().remove(&(head.token, head.seq));
    }

    fn cancel(&self, token: u64, seq: u64) {
        if let Some(cancelled) = self.running().get(&(token, seq)) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    fn send(&self, frame: &[u8], fds: &[OwnedFd]) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        let mut tx = self.tx.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + self.timeout;
        match tx.send_frame(frame, fds, Wait::Until(deadline)) {
            Ok(()) => {}
            // A datagram socket's client that is gone.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => self.broken.store(true, Ordering::Relaxed),
        }
    }
}

impl<S: Serve + Send + Sync + 'static> Drop for Pool<S> {
    fn drop(&mut self) {
        self.stop();
        self.shared.queue.close();
        for worker in self.workers.drain(..) {
            // It catches what methods panic with.
            let _ = worker.join();
        }
    }
}

impl<S: Serve + Send + Sync + 'static> fmt::Debug for Pool<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("options", &self.options)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

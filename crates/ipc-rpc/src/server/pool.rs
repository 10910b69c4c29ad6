//! Serving many connections in many threads.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use ipc_core::{Error, ErrorKind, Listen, Result, Wait};

use super::accept::{Acceptor, TURN};
use super::connection::{Asked, Connection, Limits, Plain};
use super::execute::Execution;
use super::outlet::{Job, Late, Outlet};
use super::pool_options::{OnFull, PoolOptions};
use super::queue::Queue;
use super::serve::{After, after};
use crate::{Host, RecvFrame, Semantics, SendFrame, Serve};

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
    /// How many connections [`Pool::listen`] serves.
    connections: AtomicUsize,
}

impl<S: Serve + Send + Sync + 'static> Pool<S> {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceLimit`] when the system gives no more threads.
    pub fn new(host: Host<S>, options: &PoolOptions) -> Result<Self> {
        let queue = Queue::new(options.queue);
        let (stopped, connections) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { host, queue, stopped, connections });
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
        let outlet = Arc::new(Outlet::new(connection.id(), limits, tx));
        let mut stuck_since = None;
        let mut buf = vec![0; host.options.max_frame as usize];
        let mut fds = Vec::new();
        while !self.is_stopped() {
            if outlet.is_broken() {
                return Err(Error::new(ErrorKind::TimedOut, "serve")
                    .with_note("the client does not take its replies"));
            }
            match outlet.send_late(TURN) {
                Late::None => stuck_since = None,
                Late::Sent => {
                    stuck_since = None;
                    continue;
                }
                Late::Stuck => {
                    let since = *stuck_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.options.reply_timeout {
                        outlet.set_broken();
                    }
                    continue;
                }
            }
            match rx.recv_frame(&mut buf, &mut fds, Wait::timeout(TURN)) {
                Ok(len) => self.take(&mut connection, &outlet, &buf[..len], &mut fds),
                Err(error) => match after(&error, &mut rx, limits.passes_fds) {
                    Ok(After::GoOn) => {}
                    Ok(After::End) => break,
                    Err(error) => {
                        outlet.set_broken();
                        return Err(error);
                    }
                },
            }
        }
        // Nobody takes replies any more. The calls go on: their client may connect again and ask for them.
        outlet.set_broken();
        Ok(())
    }

    /// Accepts connections and serves each in a thread of its own, until the pool is [stopped](Self::stop).
    /// `split` makes an end to send by and one to receive by of a connection; one that it refuses is closed.
    ///
    /// Beyond [`PoolOptions::connections`], and when descriptors have run out, those who want to connect wait. A
    /// client keeps its connection as long as it likes; over TCP set `keep_alive`, or one whose machine has vanished
    /// keeps it for ever.
    ///
    /// # Errors
    ///
    /// What the listener says, other than that.
    pub fn listen<C, T, R>(
        &self,
        listener: &impl Listen<Conn = C>,
        split: impl Fn(C) -> Result<(T, R)>,
    ) -> Result<()>
    where
        T: SendFrame + Send + 'static,
        R: RecvFrame + Send,
    {
        let acceptor = Acceptor {
            name: "rpc connection",
            stopped: &self.shared.stopped,
            connections: &self.shared.connections,
            most: self.options.connections,
        };
        acceptor.run(listener, |connection| {
            let (tx, rx) = split(connection)?;
            Ok(move || _ = self.serve(tx, rx))
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
        match self.shared.host.receive(connection, frame) {
            Asked::Plain(Plain::Nothing) => {}
            Asked::Plain(Plain::Answer) => outlet.send(&connection.out, &connection.beside),
            Asked::Plain(Plain::Cancel { token, seq }) => outlet.cancel(token, seq),
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
            self.host.execute(&execution, &job.request, fds, &mut out, &mut beside);
            job.outlet.ended(&job.request.head);
            job.outlet.send(&out, &beside);
            beside = None;
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

//! The service that the tests call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use ipc_rpc::serde_bytes::{ByteBuf, Bytes};
use ipc_rpc::{
    Call, ClientOptions, Ends, Fd, Host, HostOptions, RecvFrame, SendFrame, serve, serve_while,
};
use ipc_sock::unix::{Seqpacket, SocketOptions};
use serde::{Deserialize, Serialize};

/// An error of the service's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NoQuotient {
    DivisionByZero { dividend: i64 },
    Overflow,
}

ipc_rpc::service! {
    #[service(name = "test", version = 3, client = TestClient, server = TestServer)]
    pub(crate) trait Test {
        fn add(&self, call: &Call<'_>, a: i64, b: i64) -> i64;
        fn divide(&self, call: &Call<'_>, a: i64, b: i64) -> Result<i64, NoQuotient>;
        fn nothing(&self, call: &Call<'_>);
        fn echo(&self, call: &Call<'_>, text: &str, bytes: &Bytes) -> (String, ByteBuf);
        /// Counts how often it is executed with this number, and returns the number.
        fn count(&self, call: &Call<'_>, number: u64) -> u64;
        fn numbers(&self, call: &Call<'_>, numbers: Vec<u64>) -> u64;
        fn zeros(&self, call: &Call<'_>, bytes: usize) -> ByteBuf;
        fn panic(&self, call: &Call<'_>);
        /// Waits until the test opens the gate; whether it was cancelled then.
        fn wait(&self, call: &Call<'_>) -> bool;
        fn remaining_ms(&self, call: &Call<'_>) -> Option<u64>;
        fn open(&self, call: &Call<'_>, path: &str) -> Result<Fd, i32>;
        fn read(&self, call: &Call<'_>, file: Fd) -> String;
    }
}

/// What the tests look at from outside of the calls.
#[derive(Debug, Default)]
pub(crate) struct State {
    counts: Mutex<HashMap<u64, u32>>,
    gate: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    open: bool,
    waiting: u32,
    /// How many found that nobody waits for them any more.
    over: u32,
}

impl State {
    /// How often each number was counted.
    pub(crate) fn counts(&self) -> MutexGuard<'_, HashMap<u64, u32>> {
        self.counts.lock().expect("no panic with it")
    }

    /// Returns once so many calls wait at the gate.
    pub(crate) fn until_waiting(&self, calls: u32) {
        let mut gate = self.gate.lock().expect("no panic with it");
        while gate.waiting < calls {
            gate = self.changed.wait(gate).expect("no panic with it");
        }
    }

    /// Returns once so many calls have found that they were cancelled.
    pub(crate) fn until_over(&self, calls: u32) {
        let mut gate = self.gate.lock().expect("no panic with it");
        while gate.over < calls {
            gate = self.changed.wait(gate).expect("no panic with it");
        }
    }

    pub(crate) fn open_gate(&self) {
        self.gate.lock().expect("no panic with it").open = true;
        self.changed.notify_all();
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Tested(pub(crate) Arc<State>);

impl Test for Tested {
    fn add(&self, _: &Call<'_>, a: i64, b: i64) -> i64 {
        a + b
    }

    fn divide(&self, _: &Call<'_>, a: i64, b: i64) -> Result<i64, NoQuotient> {
        if b == 0 {
            return Err(NoQuotient::DivisionByZero { dividend: a });
        }
        a.checked_div(b).ok_or(NoQuotient::Overflow)
    }

    fn nothing(&self, _: &Call<'_>) {}

    fn echo(&self, _: &Call<'_>, text: &str, bytes: &Bytes) -> (String, ByteBuf) {
        (text.to_owned(), ByteBuf::from(bytes.to_vec()))
    }

    fn count(&self, _: &Call<'_>, number: u64) -> u64 {
        *self.0.counts().entry(number).or_default() += 1;
        number
    }

    fn numbers(&self, _: &Call<'_>, numbers: Vec<u64>) -> u64 {
        numbers.iter().sum()
    }

    fn zeros(&self, _: &Call<'_>, bytes: usize) -> ByteBuf {
        ByteBuf::from(vec![0; bytes.min(1 << 24)])
    }

    fn panic(&self, _: &Call<'_>) {
        panic!("as the test wants");
    }

    fn wait(&self, call: &Call<'_>) -> bool {
        let mut gate = self.0.gate.lock().expect("no panic with it");
        gate.waiting += 1;
        self.0.changed.notify_all();
        while !gate.open {
            gate = self.0.changed.wait(gate).expect("no panic with it");
        }
        let over = call.is_over();
        gate.over += u32::from(over);
        self.0.changed.notify_all();
        over
    }

    fn remaining_ms(&self, call: &Call<'_>) -> Option<u64> {
        call.remaining().map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
    }

    fn open(&self, _: &Call<'_>, path: &str) -> Result<Fd, i32> {
        match std::fs::File::open(path) {
            Ok(file) => Ok(Fd::from(file)),
            Err(error) => Err(error.raw_os_error().unwrap_or(0)),
        }
    }

    fn read(&self, _: &Call<'_>, file: Fd) -> String {
        std::io::read_to_string(std::fs::File::from(file.into_inner())).unwrap_or_default()
    }
}

/// A server in a thread.
pub(crate) struct Served {
    pub(crate) state: Arc<State>,
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<ipc_core::Result<()>>,
}

impl Served {
    /// Serves a link.
    pub(crate) fn start(
        link: impl SendFrame + RecvFrame + Send + 'static,
        options: &HostOptions,
    ) -> Self {
        let tested = Tested::default();
        let state = Arc::clone(&tested.0);
        let host = Host::new(TestServer(tested), options).expect("host");
        let thread = std::thread::spawn(move || serve(link, &host));
        Self { state, stopped: Arc::default(), thread }
    }

    /// Serves a link until it is stopped.
    pub(crate) fn start_stoppable(
        link: impl SendFrame + RecvFrame + Send + 'static,
        options: &HostOptions,
    ) -> Self {
        let tested = Tested::default();
        let state = Arc::clone(&tested.0);
        let host = Host::new(TestServer(tested), options).expect("host");
        let stopped = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stopped);
        let go_on = move || !stops.load(Ordering::Relaxed);
        let thread = std::thread::spawn(move || serve_while(link, &host, go_on));
        Self { state, stopped, thread }
    }

    /// Ends a server that does not learn by itself that its client is gone.
    pub(crate) fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.join();
    }

    /// The client is gone: the server has ended without an error.
    pub(crate) fn join(self) {
        self.thread.join().expect("the server does not panic").expect("the server ends well");
    }
}

/// A client and a server over a pair of sockets.
pub(crate) fn over_seqpacket(
    options: &HostOptions,
) -> (TestClient<ipc_rpc::Client<Seqpacket>>, Served) {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket().expect("socketpair");
    let served = Served::start(theirs, options);
    (TestClient::connect(ours, &ClientOptions::new()).expect("connect"), served)
}

/// Two links out of two pairs of one direction each.
pub(crate) fn crossed<T, R>(there: (T, R), back: (T, R)) -> (Ends<T, R>, Ends<T, R>) {
    (Ends::new(there.0, back.1), Ends::new(back.0, there.1))
}

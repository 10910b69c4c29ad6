//! Peers that are slow, that talk without end, that take more than their share: the others go on.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_core::{Error, ErrorKind, Framed, RecvMsg, Result, SendMsg, Wait};
use ipc_rpc::serde_bytes::Bytes;
use ipc_rpc::session::{Event, Session};
use ipc_rpc::{
    CallError, CallOptions, ClientId, ClientOptions, ConnectError, Host, HostOptions, Outcome,
    Pool, PoolOptions, RecvFrame, Semantics, SendFrame, Status, WithFds, method_id, serve,
};
use ipc_sock::unix::{Seqpacket, SocketOptions};
use ipc_testkit::{Harness, dir, note, with_free_descriptors};
use serde::{Deserialize, Serialize, Serializer};

use crate::service::{Served, TestClient, TestServer, Tested, over_seqpacket};

type Checked = std::result::Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("strained/who_takes_no_replies_costs_no_worker", slow_client)
        .test("strained/a_frame_that_does_not_go_on_keeps_no_thread_busy", half_a_frame)
        .test("strained/a_server_that_talks_without_end_stretches_no_wait", chatty_server)
        .test("strained/a_connection_that_cannot_be_split_ends_alone", not_split)
        .test("strained/more_connections_than_agreed_wait", connections)
        .test("strained/a_call_whose_descriptors_do_not_fit_is_told", no_descriptors_left)
        .test("strained/arguments_that_wait_stay_in_their_memfd", memfds_wait)
        .test("strained/arguments_that_panic_leave_nothing_behind", arguments_panic)
        .test("strained/times_that_no_clock_holds_are_none", endless_times)
        .test("strained/a_deadline_of_nothing_is_over_at_once", no_time)
}

/// A client by hand, which has been let in.
fn by_hand<L: SendFrame + RecvFrame>(
    link: &mut L,
) -> std::result::Result<Session, Box<dyn std::error::Error>> {
    let mut session = Session::new(TestClient::<()>::SERVICE, ClientId::random()?, 1, 1 << 16);
    let (mut hello, mut buf) = (Vec::new(), [0; 64]);
    session.hello(&mut hello);
    link.send_frame(&hello, &[], Wait::Forever)?;
    let len = link.recv_frame(&mut buf, &mut Vec::new(), Wait::Forever)?;
    assert_eq!(session.on_frame(&buf[..len]), Event::Opened { remembered: false });
    Ok(session)
}

fn request(session: &mut Session, method: u32, arguments: &[u8]) -> Result<Vec<u8>> {
    let seq = session.begin(Semantics::AtMostOnce, method, None)?;
    session.frame(seq).extend_from_slice(arguments);
    Ok(session.outgoing(seq, None).expect("it is open").0.to_vec())
}

fn slow_client() -> Checked {
    const LARGE: u64 = 19;
    let tested = Tested::default();
    let state = Arc::clone(&tested.0);
    let host = Host::new(TestServer(tested), &HostOptions::new())?;
    let hour = Duration::from_secs(3600);
    let pool = Pool::new(host, &PoolOptions::new().workers(1).reply_timeout(hour))?;
    let (mut slow, slow_served) = SocketOptions::new().pair_seqpacket()?;
    let (quick, quick_served) = SocketOptions::new().pair_seqpacket()?;
    std::thread::scope(|scope| {
        let servers = [slow_served, quick_served].map(|link| {
            let pool = &pool;
            scope.spawn(move || pool.serve(link.try_clone()?, link))
        });
        let mut session = by_hand(&mut slow)?;
        for _ in 0..LARGE {
            // 60,000 as a varint: more than the socket holds, all together.
            let zeros =
                request(&mut session, method_id("zeros", "(usize) -> ByteBuf"), &[0xe0, 0xd4, 3])?;
            slow.send(&zeros)?;
        }
        slow.send(&request(&mut session, method_id("count", "(u64) -> u64"), &[1])?)?;
        note("a client takes no replies: if this hangs, the only worker waits for it");
        while state.counts().get(&1).is_none() {
            std::thread::yield_now();
        }
        let mut client = TestClient::connect(quick, &ClientOptions::new())?;
        assert_eq!(client.add(1, 2)?, 3);

        // Now it does take them, and none is missing.
        let (mut replies, mut buf) = (0, vec![0; 1 << 16]);
        while replies < LARGE + 1 {
            let len = slow.recv(&mut buf)?;
            match session.on_frame(&buf[..len]) {
                Event::Reply(head, _) => {
                    assert_eq!(head.status, Status::Ok);
                    session.finish(head.seq);
                    replies += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        drop((client, slow));
        for server in servers {
            server.join().expect("no panic")?;
        }
        Ok(())
    })
}

/// A link that counts how often it is asked for a frame.
struct Counting<L> {
    link: L,
    times: Arc<AtomicU64>,
}

impl<L: SendFrame> SendFrame for Counting<L> {
    fn max_frame(&self) -> usize {
        self.link.max_frame()
    }

    fn send_frame(&mut self, frame: &[u8], fds: &[OwnedFd], wait: Wait) -> Result<()> {
        self.link.send_frame(frame, fds, wait)
    }
}

impl<L: RecvFrame> RecvFrame for Counting<L> {
    fn recv_frame(&mut self, buf: &mut [u8], fds: &mut Vec<OwnedFd>, wait: Wait) -> Result<usize> {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.link.recv_frame(buf, fds, wait)
    }
}

fn half_a_frame() -> Checked {
    let (mut ours, theirs) = SocketOptions::new().pair()?;
    let times = Arc::new(AtomicU64::new(0));
    let link = Counting { link: Framed::new(theirs, 8192), times: Arc::clone(&times) };
    let served = Served::start(link, &HostOptions::new().max_frame(1000));
    // A length that the link allows and the server has no room for, and nothing after it.
    let begin = Instant::now();
    ours.write_all(&5000_u32.to_le_bytes())?;
    // It waits for the frame, looks at the next one, which is the same, and waits again.
    while times.load(Ordering::Relaxed) < 5 {
        std::thread::yield_now();
    }
    assert!(begin.elapsed() >= Duration::from_millis(50), "it asks again and again");
    ours.write_all(&[9; 5000])?;
    let mut client = TestClient::connect(Framed::new(ours, 8192), &ClientOptions::new())?;
    assert_eq!(client.add(1, 2)?, 3, "the server stays up, and that frame is gone");
    drop(client);
    served.join();
    Ok(())
}

/// A link to a server that lets its client in, and then sends replies to a call that nobody has made, without end.
struct Babbling {
    host: Host<TestServer<Tested>>,
    welcome: Vec<u8>,
}

impl SendFrame for Babbling {
    fn max_frame(&self) -> usize {
        1000
    }

    fn send_frame(&mut self, frame: &[u8], _: &[OwnedFd], _: Wait) -> Result<()> {
        let mut connection = self.host.connection();
        if let Some(answer) = self.host.handle(&mut connection, frame, &mut Vec::new()) {
            self.welcome = answer.bytes.to_vec();
        }
        Ok(())
    }
}

impl RecvFrame for Babbling {
    fn recv_frame(&mut self, buf: &mut [u8], _: &mut Vec<OwnedFd>, _: Wait) -> Result<usize> {
        let mut frame = std::mem::take(&mut self.welcome);
        if frame.first() != Some(&2) {
            frame = vec![0x11; 24];
            frame[..2].copy_from_slice(&[5, 0]);
        }
        buf[..frame.len()].copy_from_slice(&frame);
        Ok(frame.len())
    }
}

fn chatty_server() -> Checked {
    let host = Host::new(TestServer(Tested::default()), &HostOptions::new())?;
    let link = Babbling { host, welcome: Vec::new() };
    let mut client = TestClient::connect(link, &ClientOptions::new())?;
    let short = CallOptions::new().timeout(Duration::from_millis(20));
    note("the server talks without end: if this hangs, the time is not looked at");
    let error = client.with(short).add(1, 2).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let mut client = client.pipelined();
    let ticket = client.add(1, 2)?;
    for wait in [Wait::Never, Wait::timeout(Duration::from_millis(5))] {
        assert_eq!(client.caller().client_mut().poll(&ticket, wait)?, None);
    }
    Ok(())
}

/// Runs `test` with a pool that listens at a path.
fn listening(
    options: &PoolOptions,
    split: impl Fn(Seqpacket) -> Result<(Seqpacket, Seqpacket)> + Send,
    test: impl FnOnce(&dyn Fn() -> Result<Seqpacket>) -> Checked,
) -> Checked {
    let path = dir().join("socket");
    let host = Host::new(TestServer(Tested::default()), &HostOptions::new())?;
    let pool = Pool::new(host, options)?;
    let listener = SocketOptions::new().listen_seqpacket(&path)?;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| pool.listen(&listener, split));
        let result = test(&|| SocketOptions::new().connect_seqpacket(&path, Wait::Forever));
        pool.stop();
        server.join().expect("no panic")?;
        result
    })
}

fn not_split() -> Checked {
    let times = AtomicU64::new(0);
    let split = |link: Seqpacket| {
        if times.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "split"));
        }
        Ok((link.try_clone()?, link))
    };
    listening(&PoolOptions::new().workers(1), split, |connect| {
        match TestClient::connect(connect()?, &ClientOptions::new()).map(drop) {
            Err(ConnectError::Transport(error)) => {
                assert_eq!(error.kind(), ErrorKind::Disconnected);
            }
            other => panic!("{other:?}"),
        }
        let mut client = TestClient::connect(connect()?, &ClientOptions::new())?;
        assert_eq!(client.add(1, 2)?, 3, "the pool goes on");
        Ok(())
    })
}

fn connections() -> Checked {
    let split = |link: Seqpacket| Ok((link.try_clone()?, link));
    listening(&PoolOptions::new().workers(1).connections(1), split, |connect| {
        let mut first = TestClient::connect(connect()?, &ClientOptions::new())?;
        assert_eq!(first.add(1, 2)?, 3);
        let impatient = ClientOptions::new().connect_timeout(Duration::from_millis(30));
        match TestClient::connect(connect()?, &impatient).map(drop) {
            Err(ConnectError::Transport(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            other => panic!("{other:?}"),
        }
        drop(first);
        let mut second = TestClient::connect(connect()?, &ClientOptions::new())?;
        assert_eq!(second.add(1, 2)?, 3);
        Ok(())
    })
}

fn no_descriptors_left() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let host = Host::new(TestServer(Tested::default()), &HostOptions::new())?;
    let server = std::thread::spawn(move || serve(WithFds::new(theirs), &host));
    let mut link = WithFds::new(ours);
    let mut session = by_hand(&mut link)?;
    let frame = request(&mut session, method_id("read", "(Fd) -> String"), &[0])?;
    // Open until the end: closed, it would make room for its copy.
    let files = [OwnedFd::from(std::fs::File::open("/dev/null")?)];
    let error = with_free_descriptors(0, || {
        link.send_frame(&frame, &files, Wait::Forever)?;
        note("the call is lost: if this hangs, nobody says so");
        link.recv_frame(&mut [0; 100], &mut Vec::new(), Wait::Forever)
    })
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let error = server.join().expect("no panic").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ResourceLimit { .. }), "{error}");
    Ok(())
}

/// How many memfds this process has open.
fn memfds() -> usize {
    let fds = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let targets = fds.filter_map(|fd| std::fs::read_link(fd.expect("a descriptor").path()).ok());
    targets.filter(|it| it.to_string_lossy().contains("memfd:")).count()
}

fn memfds_wait() -> Checked {
    const CALLS: usize = 5;
    let tested = Tested::default();
    let state = Arc::clone(&tested.0);
    let host = Host::new(TestServer(tested), &HostOptions::new())?;
    let pool = Pool::new(host, &PoolOptions::new().workers(1))?;
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let theirs = WithFds::new(theirs);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| pool.serve(theirs.try_clone()?, theirs));
        let mut client =
            TestClient::connect(WithFds::new(ours), &ClientOptions::new())?.pipelined();
        let gate = client.wait()?;
        state.until_waiting(1);
        let bytes = vec![1; 300_000];
        let tickets = (0..CALLS)
            .map(|_| client.echo("", Bytes::new(&bytes)))
            .collect::<std::result::Result<Vec<_>, CallError>>()?;
        while pool.waiting() < CALLS {
            std::thread::yield_now();
        }
        // One here and one there of each: the server has not read them.
        assert_eq!(memfds(), 2 * CALLS);
        state.open_gate();
        client.finish(gate)?;
        for ticket in tickets {
            assert_eq!(client.finish(ticket)?.1.len(), bytes.len());
        }
        drop(client);
        server.join().expect("no panic")?;
        Ok(())
    })
}

/// A value that cannot be written, but for 0.
#[derive(Deserialize)]
struct Fragile(u8);

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        assert_eq!(self.0, 0, "as the test wants");
        serializer.serialize_u8(self.0)
    }
}

ipc_rpc::service! {
    #[service(name = "fragile", version = 1, client = FragileClient, server = FragileServer)]
    trait FragileService {
        fn take(&self, call: &Call<'_>, before: Vec<ipc_rpc::Fd>, value: Fragile) -> usize;
        fn refuse(&self, call: &Call<'_>) -> Unwritable;
    }
}

/// A value whose `Serialize` says no.
#[derive(Debug, PartialEq, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("as the test wants"))
    }
}

struct Taking;

impl FragileService for Taking {
    fn take(&self, _: &ipc_rpc::Call<'_>, before: Vec<ipc_rpc::Fd>, _: Fragile) -> usize {
        before.len()
    }

    fn refuse(&self, _: &ipc_rpc::Call<'_>) -> Unwritable {
        Unwritable
    }
}

fn arguments_panic() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let host = Host::new(FragileServer(Taking), &HostOptions::new())?;
    let server = std::thread::spawn(move || serve(WithFds::new(theirs), &host));
    let mut client = FragileClient::connect(WithFds::new(ours), &ClientOptions::new())?;
    // More often than the window has places.
    for _ in 0..100 {
        let one = vec![std::fs::File::open("/dev/null")?.into()];
        let panics = AssertUnwindSafe(|| client.take(one, Fragile(1)));
        assert!(catch_unwind(panics).is_err());
        assert_eq!(client.take(Vec::new(), Fragile(0))?, 0);
    }
    assert_eq!(client.caller().low(), 201, "no call is left");
    let error = client.refuse().unwrap_err();
    assert_eq!(error, CallError::Failed(Status::BadResult));
    assert_eq!(error.outcome(), Outcome::Unknown, "it was executed, and must not be taken as not");
    drop(client);
    server.join().expect("no panic")?;
    Ok(())
}

fn endless_times() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(theirs, &HostOptions::new().lease(Duration::MAX));
    let options = ClientOptions::new().retry(Duration::MAX).connect_timeout(Duration::MAX);
    let mut client = TestClient::connect(ours, &options)?;
    let endless = CallOptions::new().timeout(Duration::MAX);
    assert_eq!(client.with(endless).add(1, 2)?, 3);
    assert_eq!(client.with(endless).remaining_ms()?, None);
    drop(client);
    served.join();
    Ok(())
}

fn no_time() -> Checked {
    let (mut client, served) = over_seqpacket(&HostOptions::new());
    let none = CallOptions::new().timeout(Duration::ZERO);
    for _ in 0..100 {
        let error = client.with(none).count(1).unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    assert_eq!(client.add(1, 2)?, 3);
    assert!(served.state.counts().is_empty(), "the server begins none of them");
    drop(client);
    served.join();
    Ok(())
}

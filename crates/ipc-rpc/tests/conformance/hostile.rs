//! Peers that send anything: nothing panics, nothing is executed twice, and nothing is allocated on their word.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ipc_rpc::session::{Event, Session};
use ipc_rpc::wire::{self, Frame};
use ipc_rpc::{ClientId, ClientOptions, Host, HostOptions, Semantics, Status};
use ipc_shm::ring::RingOptions;
use ipc_testkit::{Harness, note};

use crate::network::Random;
use crate::service::{Served, TestClient, TestServer, Tested, crossed};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("hostile/a_server_survives_100_000_inputs", server_survives)
        .test("hostile/a_client_survives_100_000_inputs", client_survives)
        .test("allocations/a_call_over_rings_makes_none", none)
        .test("hostile/no_length_makes_a_server_allocate_more_than_the_cap", lengths)
}

/// The most that was asked for at once.
static MOST: AtomicUsize = AtomicUsize::new(0);
/// How often something was asked for.
static TIMES: AtomicUsize = AtomicUsize::new(0);

struct Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching;

#[expect(
    unsafe_code,
    reason = "an allocator is one; this one looks at sizes and passes everything on"
)]
// SAFETY: everything is done by the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(layout.size(), Ordering::Relaxed);
        TIMES.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as for `alloc`; the memory came from there.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        MOST.fetch_max(new_size, Ordering::Relaxed);
        TIMES.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// The methods of the service that do not wait or panic.
const METHODS: &[(&str, &str)] = &[
    ("add", "(i64, i64) -> i64"),
    ("divide", "(i64, i64) -> Result<i64, NoQuotient>"),
    ("nothing", "()"),
    ("echo", "(&str, &Bytes) -> (String, ByteBuf)"),
    ("count", "(u64) -> u64"),
    ("numbers", "(Vec<u64>) -> u64"),
    ("open", "(&str) -> Result<Fd, i32>"),
    ("read", "(Fd) -> String"),
];

/// Frames of every kind, whole, cut off, and with bytes that are anything.
struct Frames {
    random: Random,
    valid: Vec<Vec<u8>>,
}

impl Frames {
    fn new(seed: u64, valid: Vec<Vec<u8>>) -> Self {
        Self { random: Random(seed), valid }
    }

    fn next(&mut self) -> Vec<u8> {
        let random = &mut self.random;
        let mut frame = match random.below(4) {
            0 => {
                let len = random.below(200);
                (0..len).map(|_| random.next() as u8).collect()
            }
            _ => self.valid[random.below(self.valid.len() as u64) as usize].clone(),
        };
        for _ in 0..random.below(4) {
            if frame.is_empty() {
                break;
            }
            let at = random.below(frame.len() as u64) as usize;
            match random.below(4) {
                0 => frame[at] = random.next() as u8,
                1 => frame[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize],
                2 => frame.truncate(at),
                _ => frame.insert(at, random.next() as u8),
            }
        }
        frame
    }
}

/// A session that knows the server, and requests of all methods.
type Acquainted = (Session, Vec<Vec<u8>>);

fn requests(
    host: &Host<TestServer<Tested>>,
    semantics: Semantics,
) -> Result<Acquainted, Box<dyn std::error::Error>> {
    let mut session = Session::new(TestClient::<()>::SERVICE, ClientId::random()?, 1, 1 << 16);
    let mut hello = Vec::new();
    session.hello(&mut hello);
    let mut connection = host.connection();
    let welcome = host.handle(&mut connection, &hello, &mut Vec::new()).expect("an answer");
    let _ = session.on_frame(welcome.bytes);
    let mut frames = vec![hello];
    for (name, types) in METHODS {
        let method = ipc_rpc::method_id(name, types);
        let seq = session.begin(semantics, method, None)?;
        session.frame(seq).extend_from_slice(&[3, b'a', b'b', b'c', 2, 1, 2]);
        frames.push(session.outgoing(seq, None).expect("open").0.to_vec());
    }
    frames.extend(session.cancel(2).map(Vec::from));
    frames.extend(session.done().map(Vec::from));
    Ok((session, frames))
}

fn server_survives() -> Checked {
    let tested = Tested::default();
    let host = Host::new(TestServer(tested.clone()), &HostOptions::new().max_clients(100_000))?;
    let mut frames = Frames::new(1, Vec::new());
    for semantics in [Semantics::Maybe, Semantics::AtLeastOnce, Semantics::AtMostOnce] {
        frames.valid.extend(requests(&host, semantics)?.1);
    }
    let mut connection = host.connection();
    let mut statuses = std::collections::BTreeMap::<String, u32>::new();
    for _ in 0..100_000 {
        let frame = frames.next();
        let answer = host.handle(&mut connection, &frame, &mut Vec::new());
        let said = match answer.and_then(|it| wire::decode(it.bytes)) {
            Some(Frame::Reply(head, _)) => format!("{:?}", head.status),
            Some(Frame::Welcome(_)) => "welcome".to_owned(),
            Some(Frame::Refused(_)) => "refused".to_owned(),
            Some(other) => panic!("a server does not say {other:?}"),
            None => "nothing".to_owned(),
        };
        *statuses.entry(said).or_default() += 1;
    }
    note(format!("{statuses:?}"));
    // The inputs reached every part.
    for said in ["Ok", "Malformed", "UnknownMethod", "UnknownClient", "Stale", "refused", "welcome"]
    {
        assert!(statuses.contains_key(said), "no input came to {said}: {statuses:?}");
    }
    let (_, requests) = requests(&host, Semantics::AtMostOnce)?;
    let answer = host.handle(&mut connection, &requests[1], &mut Vec::new()).expect("an answer");
    let Some(Frame::Reply(head, _)) = wire::decode(answer.bytes) else { panic!("no reply") };
    assert_ne!(head.status, Status::UnknownClient, "the server goes on");
    Ok(())
}

fn client_survives() -> Checked {
    let host = Host::new(TestServer(Tested::default()), &HostOptions::new())?;
    let (mut session, requests) = requests(&host, Semantics::AtMostOnce)?;
    let mut valid = Vec::new();
    let mut connection = host.connection();
    for request in &requests {
        if let Some(answer) = host.handle(&mut connection, request, &mut Vec::new()) {
            valid.push(answer.bytes.to_vec());
        }
    }
    let mut frames = Frames::new(2, valid);
    let (mut replies, mut hello) = (0, Vec::new());
    for round in 0..100_000 {
        if round % 100 == 0 {
            session.hello(&mut hello);
        }
        match session.on_frame(&frames.next()) {
            Event::Reply(head, result) => {
                replies += 1;
                session.keep(head, result, Vec::new());
                assert!(session.finished(head.seq).is_some());
                session.finish(head.seq);
                let seq = session.begin(Semantics::AtMostOnce, 1, None)?;
                let _ = session.outgoing(seq, None);
            }
            Event::Unknown => session.hello(&mut hello),
            _ => {}
        }
        assert!(session.under_way() <= 64);
    }
    assert!(replies > 0, "no input was a reply");
    Ok(())
}

fn lengths() -> Checked {
    /// What the server takes, and the bound of `serde` for what a length claims.
    const CAP: usize = 1 << 20;
    let host = Host::new(TestServer(Tested::default()), &HostOptions::new())?;
    let mut connection = host.connection();
    let (mut session, _) = requests(&host, Semantics::AtMostOnce)?;
    MOST.store(0, Ordering::Relaxed);
    for claimed in [1_u64 << 20, 1 << 30, 1 << 40, u64::MAX] {
        for method in [
            ("echo", "(&str, &Bytes) -> (String, ByteBuf)"),
            ("numbers", "(Vec<u64>) -> u64"),
            ("open", "(&str) -> Result<Fd, i32>"),
        ] {
            let seq = session.begin(
                Semantics::AtMostOnce,
                ipc_rpc::method_id(method.0, method.1),
                None,
            )?;
            let mut left = claimed;
            while left >= 0x80 {
                session.frame(seq).push(left as u8 | 0x80);
                left >>= 7;
            }
            session.frame(seq).push(left as u8);
            session.frame(seq).extend_from_slice(&[1; 100]);
            let frame = session.outgoing(seq, None).expect("open").0.to_vec();
            let answer = host.handle(&mut connection, &frame, &mut Vec::new()).expect("an answer");
            let Some(Frame::Reply(head, _)) = wire::decode(answer.bytes) else {
                panic!("no reply")
            };
            assert_eq!(head.status, Status::Malformed, "{method:?} with a length of {claimed}");
            session.finish(seq);
        }
    }
    let most = MOST.load(Ordering::Relaxed);
    note(format!("the most that was allocated at once: {most} bytes"));
    assert!(most <= CAP, "{most} bytes were allocated on a peer's word");
    Ok(())
}

fn none() -> Checked {
    let options = RingOptions::new();
    let (ours, theirs) = crossed(options.pair()?, options.pair()?);
    let served = Served::start(theirs, &HostOptions::new());
    let mut client = TestClient::connect(ours, &ClientOptions::new())?;
    let mut calls = |count: i64| (0..count).try_for_each(|n| client.add(n, 1).map(drop));
    // Each place of the window gets its memory.
    calls(200)?;
    let before = TIMES.load(Ordering::Relaxed);
    calls(10_000)?;
    let allocations = TIMES.load(Ordering::Relaxed) - before;
    // A ring looks every 20 ms whether the process at its other end lives, and allocates for that.
    assert!(allocations < 100, "{allocations} on both sides, in 10,000 calls");
    drop(client);
    served.join();
    Ok(())
}

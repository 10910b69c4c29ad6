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
        .test("hostile/who_does_not_know_a_token_does_nothing_to_its_client", forged)
        .test("hostile/numbers_at_their_end_are_executed_once", last_numbers)
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

/// A request with other numbers in its head.
fn numbered(frame: &[u8], token: u64, seq: u64, low: u64) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[8..16].copy_from_slice(&token.to_le_bytes());
    frame[16..24].copy_from_slice(&seq.to_le_bytes());
    let behind = u32::try_from(seq - low).expect("not so far");
    frame[24..28].copy_from_slice(&behind.to_le_bytes());
    frame
}

/// A call of `count` with the number 1, by a client that is let in, and its token.
fn count_once(
    host: &Host<TestServer<Tested>>,
) -> Result<(Vec<u8>, u64), Box<dyn std::error::Error>> {
    let (mut session, _) = requests(host, Semantics::AtMostOnce)?;
    let seq =
        session.begin(Semantics::AtMostOnce, ipc_rpc::method_id("count", "(u64) -> u64"), None)?;
    session.frame(seq).push(1);
    let frame = session.outgoing(seq, None).expect("open").0.to_vec();
    let token = u64::from_le_bytes(frame[8..16].try_into()?);
    Ok((frame, token))
}

fn status_of(
    host: &Host<TestServer<Tested>>,
    connection: &mut ipc_rpc::Connection,
    frame: &[u8],
) -> Status {
    match host.handle(connection, frame, &mut Vec::new()).and_then(|it| wire::decode(it.bytes)) {
        Some(Frame::Reply(head, _)) => head.status,
        other => panic!("{other:?}"),
    }
}

fn forged() -> Checked {
    let tested = Tested::default();
    let host = Host::new(TestServer(tested.clone()), &HostOptions::new())?;
    let (frame, token) = count_once(&host)?;
    let mut strange = host.connection();
    let mut random = Random(7);
    for _ in 0..1000 {
        let guess = random.next();
        let request = numbered(&frame, guess, 9, 9);
        assert_eq!(status_of(&host, &mut strange, &request), Status::UnknownClient);
        // All is acknowledged; the call is cancelled.
        for kind in [7, 6] {
            let mut note = [0; 24];
            note[0] = kind;
            note[8..16].copy_from_slice(&guess.to_le_bytes());
            note[16..].copy_from_slice(&if kind == 7 { u64::MAX } else { 9 }.to_le_bytes());
            assert!(host.handle(&mut strange, &note, &mut Vec::new()).is_none());
        }
    }
    assert!(tested.0.counts().is_empty(), "nothing was executed for a stranger");
    let own = numbered(&frame, token, 9, 9);
    assert_eq!(status_of(&host, &mut host.connection(), &own), Status::Ok);
    Ok(())
}

fn last_numbers() -> Checked {
    let tested = Tested::default();
    let host = Host::new(TestServer(tested.clone()), &HostOptions::new())?;
    let (frame, token) = count_once(&host)?;
    let mut connection = host.connection();
    for _ in 0..3 {
        for seq in [u64::MAX, u64::MAX - 1] {
            let request = numbered(&frame, token, seq, u64::MAX - 1);
            assert_eq!(status_of(&host, &mut connection, &request), Status::Ok);
        }
        // Below what was acknowledged, however far.
        for seq in [0, 1, 9, u64::MAX - 2, u64::MAX - 64] {
            let request = numbered(&frame, token, seq, seq);
            assert_eq!(status_of(&host, &mut connection, &request), Status::Stale);
        }
    }
    assert_eq!(tested.0.counts().get(&1), Some(&2), "each of two calls, once");
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

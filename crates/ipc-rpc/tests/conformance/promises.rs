//! How often a call is executed, over networks that lose 30 %, repeat 10 % and reorder 20 %: an oracle counts.
//!
//! `IPC_RPC_CALLS` is how many calls of each semantics are made over UDP: 20,000 unless it is set.

use std::collections::HashMap;
use std::time::Duration;

use ipc_rpc::session::{Event, Finished, Session};
use ipc_rpc::{
    CallError, CallOptions, ClientId, ClientOptions, Connection, Host, HostOptions, Semantics,
    Status,
};
use ipc_sock::udp;
use ipc_testkit::{Harness, note};

use crate::network::{Proxy, Random, Wire};
use crate::service::{Served, TestClient, TestServer, Tested};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("promises/maybe_is_executed_once_or_not_at_all", || simulated(Semantics::Maybe, 0))
        .test("promises/at_least_once_is_executed", || simulated(Semantics::AtLeastOnce, 0))
        .test("promises/at_most_once_is_executed_once_if_answered", || {
            simulated(Semantics::AtMostOnce, 0)
        })
        .test("promises/at_most_once_over_restarts_of_the_server", || {
            simulated(Semantics::AtMostOnce, 200)
        })
        .test("promises/at_least_once_over_restarts_of_the_server", || {
            simulated(Semantics::AtLeastOnce, 200)
        })
        .test("promises/maybe_over_udp", || over_udp(Semantics::Maybe))
        .test("promises/at_least_once_over_udp", || over_udp(Semantics::AtLeastOnce))
        .test("promises/at_most_once_over_udp", || over_udp(Semantics::AtMostOnce))
        .test("promises/an_evicted_reply_is_stale_and_not_executed_again", evicted)
        .test("promises/a_cancelled_call_is_not_executed_by_a_late_request", late_request)
        .test("promises/a_call_whose_time_is_over_is_not_begun", expired)
        .test("promises/a_client_that_comes_back_gets_the_reply_of_before", comes_back)
        .test("promises/a_saved_reply_that_the_new_link_cannot_carry_is_stale", saved_for_another)
}

/// What the oracle makes of a number that was called.
#[derive(Debug, Default)]
struct Oracle {
    answered: u64,
    unknown: u64,
    never: u64,
    once: u64,
    more_often: u64,
}

impl Oracle {
    /// Compares what the client was told of each number with how often it was executed.
    fn judge(
        told: &HashMap<u64, bool>,
        executed: &HashMap<u64, u32>,
        semantics: Semantics,
    ) -> Self {
        let mut oracle = Self::default();
        for (number, answered) in told {
            let times = executed.get(number).copied().unwrap_or(0);
            match answered {
                true => oracle.answered += 1,
                false => oracle.unknown += 1,
            }
            match times {
                0 => oracle.never += 1,
                1 => oracle.once += 1,
                _ => oracle.more_often += 1,
            }
            assert!(!answered || times > 0, "{number} was answered and never executed");
            if semantics != Semantics::AtLeastOnce {
                assert!(times <= 1, "{number} was executed {times} times");
            }
        }
        note(format!("{semantics:?}: {oracle:?}"));
        oracle
    }
}

/// The number as `postcard` writes it.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

const COUNT: u32 = ipc_rpc::method_id("count", "(u64) -> u64");

/// A server that is started again and again, and counts over all its lives.
struct Lives {
    tested: Tested,
    host: Host<TestServer<Tested>>,
    connection: Connection,
}

impl Lives {
    fn begin(tested: Tested) -> ipc_core::Result<Self> {
        let host = Host::new(TestServer(tested.clone()), &HostOptions::new())?;
        let connection = host.connection();
        Ok(Self { tested, host, connection })
    }

    fn handle(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let answer = self.host.handle(&mut self.connection, frame, &mut Vec::new())?;
        Some(answer.bytes.to_vec())
    }
}

/// 20,000 calls over a network in memory, with a clock that counts; the server is started anew after every
/// `restart` calls or so, if that is not 0.
fn simulated(semantics: Semantics, restart: u64) -> Checked {
    const CALLS: u64 = 20_000;
    /// After so long, everything is sent again, and after so long a maybe-call is given up.
    const RETRY: u64 = 20;
    const PATIENCE: u64 = 100;
    let mut lives = Lives::begin(Tested::default())?;
    let (mut there, mut back) = (Wire::new(11), Wire::new(12));
    let mut random = Random(13);
    let mut session = Session::new(TestClient::<()>::SERVICE, ClientId::random()?, 1, 1 << 16);
    let mut hello = Vec::new();
    session.hello(&mut hello);

    let mut under_way: Vec<(u64, u64, u64)> = Vec::new();
    let mut told = HashMap::new();
    let mut now = 0;
    while told.len() < CALLS as usize {
        now += 1;
        assert!(now < 100 * CALLS, "it goes on for ever: {} calls are told", told.len());
        while session.is_open()
            && session.has_room()
            && told.len() + under_way.len() < CALLS as usize
        {
            let number = (told.len() + under_way.len()) as u64;
            let seq = session.begin(semantics, COUNT, None)?;
            varint(number, session.frame(seq));
            if let Some((frame, _)) = session.outgoing(seq, None) {
                there.send(frame);
            }
            under_way.push((seq, number, now));
        }
        if now % RETRY == 0 {
            if session.is_open() {
                send_again(&mut session, &mut there);
            } else {
                there.send(&hello);
            }
        }
        if restart > 0 && random.below(restart) == 0 {
            lives = Lives::begin(lives.tested)?;
        }
        for frame in there.arrive() {
            if let Some(answer) = lives.handle(&frame) {
                back.send(&answer);
            }
        }
        for frame in back.arrive() {
            match session.on_frame(&frame) {
                Event::Reply(head, result) => {
                    assert_eq!(head.status, Status::Ok, "call {}", head.seq);
                    session.keep(head, result, Vec::new());
                }
                Event::Unknown => {
                    session.hello(&mut hello);
                    there.send(&hello);
                }
                Event::Opened { .. } => send_again(&mut session, &mut there),
                Event::Refused(refusal) => panic!("{refusal}"),
                _ => {}
            }
        }
        under_way.retain(|(seq, number, since)| {
            let answered = match session.finished(*seq) {
                Some(Finished::Reply(_, result)) => {
                    let mut expected = Vec::new();
                    varint(*number, &mut expected);
                    assert_eq!(result, expected, "the result of another call");
                    true
                }
                Some(_) => false,
                None if semantics == Semantics::Maybe && now - since > PATIENCE => false,
                None => return true,
            };
            session.finish(*seq);
            told.insert(*number, answered);
            false
        });
    }
    // What is still under way arrives, long after.
    for _ in 0..10_000 {
        for frame in there.arrive() {
            lives.handle(&frame);
        }
    }
    let executed = lives.tested.0.counts();
    let oracle = Oracle::judge(&told, &executed, semantics);
    match (semantics, restart) {
        (Semantics::Maybe, _) => assert!(oracle.answered > CALLS / 3 && oracle.never > 0),
        (Semantics::AtMostOnce, 1..) => assert!(oracle.unknown > 0, "the restarts hit no call"),
        _ => assert_eq!((oracle.answered, oracle.never), (CALLS, 0)),
    }
    if semantics == Semantics::AtLeastOnce {
        assert!(oracle.more_often > 0, "the network was too good to show anything");
    }
    Ok(())
}

fn send_again(session: &mut Session, there: &mut Wire) {
    let mut from = 0;
    while let Some(seq) = session.unanswered(from) {
        from = seq + 1;
        if let Some((frame, _)) = session.outgoing(seq, None) {
            there.send(frame);
        }
    }
}

/// Many calls over real sockets, through a proxy, with threads and clocks.
fn over_udp(semantics: Semantics) -> Checked {
    let calls = std::env::var("IPC_RPC_CALLS").map_or(Ok(20_000), |it| it.parse::<u64>())?;
    let proxy = Proxy::start();
    let [front, back] = proxy.addresses();
    let ours = udp::SocketOptions::new().connect(front)?;
    let theirs = udp::SocketOptions::new().connect(back)?;
    proxy.set_end(0, ours.local_address()?);
    proxy.set_end(1, theirs.local_address()?);
    let served = Served::start_stoppable(theirs, &HostOptions::new());

    let options = ClientOptions::new().retry(Duration::from_millis(2));
    let mut client = TestClient::connect(ours, &options)?.pipelined();
    let mut how = CallOptions::new().semantics(semantics);
    if semantics == Semantics::Maybe {
        how = how.timeout(Duration::from_millis(20));
    }
    client.set_options(how);
    let mut told = HashMap::new();
    let mut tickets = std::collections::VecDeque::new();
    for number in 0..calls {
        tickets.push_back((number, client.count(number)?));
        if tickets.len() == 60 {
            let (number, ticket) = tickets.pop_front().expect("there are some");
            told.insert(number, answered(client.finish(ticket), number));
        }
    }
    for (number, ticket) in tickets {
        told.insert(number, answered(client.finish(ticket), number));
    }
    drop(client);
    let (carried, lost) = proxy.counts();
    note(format!("{carried} datagrams, {lost} lost"));
    let oracle = Oracle::judge(&told, &served.state.counts(), semantics);
    assert!(semantics == Semantics::Maybe || oracle.answered == calls);
    served.stop();
    Ok(())
}

fn answered(result: Result<u64, CallError>, number: u64) -> bool {
    match result {
        Ok(result) => {
            assert_eq!(result, number, "the result of another call");
            true
        }
        Err(error) => {
            assert!(error.is_timeout(), "{error}");
            false
        }
    }
}

/// A client and a server by hand, which know each other.
fn acquainted(options: &HostOptions) -> Result<(Session, Lives), Box<dyn std::error::Error>> {
    let tested = Tested::default();
    let host = Host::new(TestServer(tested.clone()), options)?;
    let connection = host.connection();
    let mut lives = Lives { tested, host, connection };
    let mut session = Session::new(TestClient::<()>::SERVICE, ClientId::random()?, 1, 1 << 16);
    let mut hello = Vec::new();
    session.hello(&mut hello);
    let welcome = lives.handle(&hello).expect("an answer");
    assert_eq!(session.on_frame(&welcome), Event::Opened { remembered: false });
    Ok((session, lives))
}

fn request(session: &mut Session, number: u64) -> Result<(u64, Vec<u8>), ipc_core::Error> {
    let seq = session.begin(Semantics::AtMostOnce, COUNT, None)?;
    varint(number, session.frame(seq));
    let (frame, _) = session.outgoing(seq, None).expect("it is open");
    Ok((seq, frame.to_vec()))
}

fn status(session: &mut Session, frame: &[u8]) -> Status {
    match session.on_frame(frame) {
        Event::Reply(head, _) => head.status,
        other => panic!("{other:?}"),
    }
}

fn evicted() -> Checked {
    let (mut session, mut lives) = acquainted(&HostOptions::new().saved_bytes(60))?;
    let requests =
        (0..3).map(|n| Ok(request(&mut session, n)?.1)).collect::<ipc_core::Result<Vec<_>>>()?;
    for request in &requests {
        lives.handle(request);
    }
    // Two replies of 25 bytes are saved, and the first is not.
    let answer = lives.handle(&requests[0]).expect("an answer");
    assert_eq!(status(&mut session, &answer), Status::Stale);
    let answer = lives.handle(&requests[2]).expect("an answer");
    assert_eq!(status(&mut session, &answer), Status::Ok);
    assert!(lives.tested.0.counts().values().all(|times| *times == 1));
    Ok(())
}

fn late_request() -> Checked {
    let (mut session, mut lives) = acquainted(&HostOptions::new())?;
    let (lost, late) = request(&mut session, 1)?;
    // It is given up, and the next call says so.
    session.finish(lost);
    let (_, next) = request(&mut session, 2)?;
    lives.handle(&next);
    lives.handle(&late);
    assert_eq!(lives.tested.0.counts().get(&1), None);
    assert_eq!(lives.tested.0.counts().get(&2), Some(&1));
    Ok(())
}

fn expired() -> Checked {
    let (mut session, mut lives) = acquainted(&HostOptions::new())?;
    let (_, frame) = request(&mut session, 1)?;
    let seq = session.begin(Semantics::AtMostOnce, COUNT, Some(Duration::ZERO))?;
    varint(2, session.frame(seq));
    let late = session.outgoing(seq, Some(Duration::ZERO)).expect("it is open").0.to_vec();
    for _ in 0..2 {
        let answer = lives.handle(&late).expect("an answer");
        assert_eq!(status(&mut session, &answer), Status::Expired);
    }
    lives.handle(&frame);
    assert_eq!(lives.tested.0.counts().get(&2), None);
    assert_eq!(lives.tested.0.counts().get(&1), Some(&1), "another call has its own time");
    Ok(())
}

fn saved_for_another() -> Checked {
    let (mut session, mut lives) = acquainted(&HostOptions::new())?;
    let (_, frame) = request(&mut session, 1)?;
    let _lost_with_the_connection = lives.handle(&frame);
    lives.connection = lives.host.connection();
    lives.connection.set_limits(24, false);
    let answer = lives.handle(&frame).expect("an answer");
    assert_eq!(status(&mut session, &answer), Status::Stale);
    assert_eq!(lives.tested.0.counts().get(&1), Some(&1));
    Ok(())
}

fn comes_back() -> Checked {
    let (mut session, mut lives) = acquainted(&HostOptions::new())?;
    let (seq, frame) = request(&mut session, 1)?;
    let _lost_with_the_connection = lives.handle(&frame);
    // Another connection, and the same client.
    lives.connection = lives.host.connection();
    let mut hello = Vec::new();
    session.hello(&mut hello);
    let welcome = lives.handle(&hello).expect("an answer");
    assert_eq!(session.on_frame(&welcome), Event::Opened { remembered: true });
    assert_eq!(session.unanswered(0), Some(seq));
    let (frame, _) = session.outgoing(seq, None).expect("it waits");
    let frame = frame.to_vec();
    let answer = lives.handle(&frame).expect("an answer");
    assert_eq!(status(&mut session, &answer), Status::Ok);
    assert_eq!(lives.tested.0.counts().get(&1), Some(&1));
    Ok(())
}

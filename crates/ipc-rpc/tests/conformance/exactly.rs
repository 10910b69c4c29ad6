//! Exactly once, over a bad network, with a server that is killed again and again.
//!
//! The server is killed `IPC_RPC_KILLS` times, 200 unless it is set, during `IPC_RPC_ONCE_CALLS` calls, 2,000 unless
//! it is set: each is committed to the disk, so that 20,000 take a minute or more.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipc_rpc::session::Session;
use ipc_rpc::{
    Call, CallError, CallOptions, Client, ClientId, ClientOptions, Host, HostOptions, RedbJournal,
    Semantics, Status, serve, wire,
};
use ipc_sock::udp;
use ipc_sock::unix::SocketOptions;
use ipc_testkit::{Harness, Peer, dir, hear, note, say};
use redb::{Database, ReadableTable, TableDefinition, WriteTransaction};

use crate::network::{Proxy, Random};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("exactly_once/with_a_server_that_is_killed_again_and_again", killed)
        .test("exactly_once/a_method_that_panics_leaves_no_effect", panics)
        .test("exactly_once/a_call_of_another_life_is_answered_from_the_journal", replayed)
        .test("exactly_once/a_call_of_another_life_is_answered_although_its_time_is_over", late)
        .test("exactly_once/a_client_that_resumes_gets_the_reply_of_before", resumed)
        .test("exactly_once/who_acknowledges_nothing_does_not_fill_the_journal", unacknowledged)
        .test("exactly_once/a_journal_that_panics_fails_the_call_alone", journal_panics)
        .role("exactly_once/server", server)
}

/// How often each number was executed: changed in the journal's transaction.
const TIMES: TableDefinition<'_, u64, u64> = TableDefinition::new("times");

ipc_rpc::service! {
    #[service(name = "once", version = 1, client = OnceClient, server = OnceServer)]
    trait Once {
        /// How often it was executed with this number, this time with it.
        fn count(&self, call: &Call<'_>, number: u64) -> u64;
        fn count_and_panic(&self, call: &Call<'_>, number: u64);
    }
}

struct Counting;

impl Once for Counting {
    fn count(&self, call: &Call<'_>, number: u64) -> u64 {
        let transaction = call.transaction::<WriteTransaction>().expect("exactly once");
        let mut times = transaction.open_table(TIMES).expect("open");
        let now = times.get(number).expect("get").map_or(0, |it| it.value()) + 1;
        times.insert(number, now).expect("insert");
        now
    }

    fn count_and_panic(&self, call: &Call<'_>, number: u64) {
        self.count(call, number);
        panic!("as the test wants");
    }
}

fn database() -> PathBuf {
    dir().join("calls.redb")
}

fn host() -> Result<Host<OnceServer<Counting>>, Box<dyn std::error::Error>> {
    let journal = RedbJournal::new(Arc::new(Database::create(database())?))?;
    Ok(Host::new(OnceServer(Counting), &HostOptions::new())?.with_journal(journal))
}

/// The server's process: it is told where the proxy is, and says where it is itself.
fn server() -> Checked {
    let proxy: SocketAddr = hear().parse()?;
    let host = host()?;
    let socket = udp::SocketOptions::new().connect(proxy)?;
    say(socket.local_address()?.to_string());
    serve(socket, &host)?;
    Ok(())
}

fn start_server(proxy: &Proxy) -> Result<Peer, Box<dyn std::error::Error>> {
    let mut server = Peer::start("exactly_once/server");
    server.tell(&proxy.addresses()[1].to_string());
    proxy.set_end(1, server.listen().parse()?);
    Ok(server)
}

fn killed() -> Checked {
    let kills = std::env::var("IPC_RPC_KILLS").map_or(Ok(200), |it| it.parse::<u64>())?;
    let calls = std::env::var("IPC_RPC_ONCE_CALLS").map_or(Ok(2_000), |it| it.parse::<u64>())?;
    let between = (calls / kills.max(1)).max(1);
    let proxy = Proxy::start();
    let mut server = start_server(&proxy)?;
    let ours = udp::SocketOptions::new().connect(proxy.addresses()[0])?;
    proxy.set_end(0, ours.local_address()?);
    let options = ClientOptions::new().retry(Duration::from_millis(2));
    let mut client = OnceClient::connect(ours, &options)?.pipelined();
    client.set_options(CallOptions::new().semantics(Semantics::ExactlyOnce));

    let mut random = Random(5);
    let mut next_kill = random.below(2 * between);
    let (mut killed, mut answered) = (0, 0);
    let mut tickets = VecDeque::new();
    for number in 0..calls {
        tickets.push_back(client.count(number)?);
        if tickets.len() == 40 {
            let ticket = tickets.pop_front().expect("there are forty");
            assert_eq!(client.finish(ticket)?, 1, "the reply says how often it was executed");
            answered += 1;
        }
        // With calls waiting, running, committed and not answered.
        if number >= next_kill && killed < kills {
            server.kill();
            server = start_server(&proxy)?;
            killed += 1;
            next_kill = killed * between + random.below(between);
        }
    }
    for ticket in tickets {
        assert_eq!(client.finish(ticket)?, 1);
        answered += 1;
    }
    while killed < kills {
        server.kill();
        server = start_server(&proxy)?;
        killed += 1;
    }
    server.kill();
    drop(client);

    let (once, more_often) = executed()?;
    let (carried, lost) = proxy.counts();
    note(format!(
        "ExactlyOnce: {calls} calls, {answered} answered, {killed} kills, {carried} datagrams, {lost} lost: \
         executed once {once}, more often {more_often}, never {}",
        calls - once - more_often
    ));
    assert_eq!((once, more_often, answered, killed), (calls, 0, calls, kills));
    std::fs::remove_file(database())?;
    Ok(())
}

/// What the database says: how many numbers were executed once, and how many more often.
fn executed() -> Result<(u64, u64), Box<dyn std::error::Error>> {
    let transaction = Database::open(database())?.begin_read()?;
    let times = transaction.open_table(TIMES)?;
    let (mut once, mut more_often) = (0, 0);
    for entry in times.iter()? {
        match entry?.1.value() {
            1 => once += 1,
            _ => more_often += 1,
        }
    }
    Ok((once, more_often))
}

type Over = OnceClient<Client<ipc_sock::unix::Seqpacket>>;

/// Lets a client talk to a server in a thread, which ends with it.
fn with_server(options: &ClientOptions, talk: impl FnOnce(&mut Over) -> Checked) -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let host = host()?;
    let server = std::thread::spawn(move || serve(theirs, &host));
    let mut client = OnceClient::connect(ours, options)?;
    client.set_options(CallOptions::new().semantics(Semantics::ExactlyOnce));
    talk(&mut client)?;
    drop(client);
    server.join().expect("the server does not panic")?;
    Ok(())
}

fn panics() -> Checked {
    with_server(&ClientOptions::new(), |client| {
        assert_eq!(client.count(1)?, 1);
        assert_eq!(client.count_and_panic(1), Err(CallError::Failed(Status::Panicked)));
        assert_eq!(client.count(1)?, 2, "what the method did before it panicked is undone");
        Ok(())
    })?;
    std::fs::remove_file(database())?;
    Ok(())
}

fn replayed() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let proxied = theirs.try_clone()?;
    let first = host()?;
    let server = std::thread::spawn(move || -> Checked2 {
        // It executes and never answers: as if it was killed after the commit.
        let mut link = theirs;
        let mut connection = first.connection();
        let mut buf = vec![0; 1 << 16];
        for answers in [true, false] {
            let len = ipc_core::RecvMsg::recv(&mut link, &mut buf)?;
            let answer = first.handle(&mut connection, &buf[..len], &mut Vec::new());
            let answer = answer.expect("an answer").bytes.to_vec();
            if answers {
                ipc_core::SendMsg::send(&mut link, &answer)?;
            }
        }
        drop(first);
        let second = host().map_err(|error| error.to_string())?;
        serve(proxied, &second)?;
        Ok(())
    });
    let options = ClientOptions::new().retry(Duration::from_millis(5));
    let mut client = OnceClient::connect(ours, &options)?;
    client.set_options(CallOptions::new().semantics(Semantics::ExactlyOnce));
    assert_eq!(client.count(7)?, 1);
    assert_eq!(client.count(7)?, 2, "another call is executed");
    drop(client);
    server.join().expect("the server does not panic").map_err(|error| error.to_string())?;
    std::fs::remove_file(database())?;
    Ok(())
}

type Checked2 = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn late() -> Checked {
    let count = ipc_rpc::method_id("count", "(u64) -> u64");
    let mut session = Session::new(OnceClient::<()>::SERVICE, ClientId::random()?, 1, 1 << 16);
    let mut hello = Vec::new();
    let (mut executed, mut not_begun) = (None, None);
    for life in 0..2 {
        let host = host()?;
        let mut connection = host.connection();
        session.hello(&mut hello);
        let welcome = host.handle(&mut connection, &hello, &mut Vec::new()).expect("an answer");
        let _ = session.on_frame(welcome.bytes);
        let mut answer = |session: &mut Session, seq, budget| {
            let frame = session.outgoing(seq, budget).expect("it waits").0.to_vec();
            let answer = host.handle(&mut connection, &frame, &mut Vec::new()).expect("an answer");
            match wire::decode(answer.bytes) {
                Some(wire::Frame::Reply(head, result)) => (head.status, result.to_vec()),
                other => panic!("{other:?}"),
            }
        };
        if life == 0 {
            let seq = session.begin(Semantics::ExactlyOnce, count, None)?;
            session.frame(seq).push(7);
            assert_eq!(answer(&mut session, seq, None), (Status::Ok, vec![1]));
            executed = Some(seq);
            let seq = session.begin(Semantics::ExactlyOnce, count, None)?;
            session.frame(seq).push(8);
            not_begun = Some(seq);
        } else {
            let over = Some(Duration::ZERO);
            let seq = executed.expect("it was begun");
            assert_eq!(answer(&mut session, seq, over), (Status::Ok, vec![1]));
            let seq = not_begun.expect("it was begun");
            assert_eq!(answer(&mut session, seq, over), (Status::Expired, Vec::new()));
        }
    }
    std::fs::remove_file(database())?;
    Ok(())
}

fn unacknowledged() -> Checked {
    const REPLIES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("ipc-rpc replies");
    let host = host()?;
    let mut connection = host.connection();
    let mut session = Session::new(OnceClient::<()>::SERVICE, ClientId::random()?, 1, 1 << 16);
    let mut hello = Vec::new();
    session.hello(&mut hello);
    let welcome = host.handle(&mut connection, &hello, &mut Vec::new()).expect("an answer");
    let _ = session.on_frame(welcome.bytes);
    let count = ipc_rpc::method_id("count", "(u64) -> u64");
    let seq = session.begin(Semantics::ExactlyOnce, count, None)?;
    session.frame(seq).push(7);
    let mut frame = session.outgoing(seq, None).expect("it waits").0.to_vec();
    for number in 1..=200_u32 {
        // It says of every call that it has no reply to the first.
        frame[16..24].copy_from_slice(&u64::from(number).to_le_bytes());
        frame[24..28].copy_from_slice(&(number - 1).to_le_bytes());
        let answer = host.handle(&mut connection, &frame, &mut Vec::new()).expect("an answer");
        assert_eq!(answer.bytes[1], 0, "it is executed");
    }
    drop(host);
    let transaction = Database::open(database())?.begin_read()?;
    let records = redb::ReadableTableMetadata::len(&transaction.open_table(REPLIES)?)?;
    assert!(records <= 64, "{records} replies of a client that may have 64 calls under way");
    std::fs::remove_file(database())?;
    Ok(())
}

#[derive(Debug)]
struct Unreliable;

impl ipc_rpc::Journal for Unreliable {
    fn once(
        &self,
        _: ipc_rpc::CallId,
        _: u64,
        _: &mut Vec<u8>,
        _: &mut dyn FnMut(&dyn std::any::Any, &mut Vec<u8>) -> ipc_rpc::Verdict,
    ) -> ipc_core::Result<ipc_rpc::Once> {
        panic!("as the test wants");
    }

    fn find(&self, _: ipc_rpc::CallId, _: &mut Vec<u8>) -> ipc_core::Result<bool> {
        panic!("as the test wants");
    }
}

fn journal_panics() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let host = Host::new(OnceServer(Counting), &HostOptions::new())?.with_journal(Unreliable);
    let server = std::thread::spawn(move || serve(theirs, &host));
    let mut client = OnceClient::connect(ours, &ClientOptions::new())?;
    let once = CallOptions::new().semantics(Semantics::ExactlyOnce);
    for _ in 0..3 {
        let error = client.with(once).count(1).unwrap_err();
        assert_eq!(error, CallError::Failed(Status::JournalFailed));
        assert_eq!(error.outcome(), ipc_rpc::Outcome::Unknown);
    }
    drop(client);
    server.join().expect("the server does not panic")?;
    Ok(())
}

fn resumed() -> Checked {
    let mut before = None;
    with_server(&ClientOptions::new(), |client| {
        before = Some((client.caller().id(), client.caller().low()));
        assert_eq!(client.count(3)?, 1);
        Ok(())
    })?;
    // The client did not store that it was finished, and makes the same call again.
    let (id, low) = before.expect("it was set");
    with_server(&ClientOptions::new().resume(id, low), |client| {
        assert_eq!(client.count(3)?, 1, "the reply of before, and not another execution");
        assert_eq!(client.count(3)?, 2);
        Ok(())
    })?;
    std::fs::remove_file(database())?;
    Ok(())
}

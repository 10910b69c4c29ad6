//! Calls that fail: what the client is told, and that the server stays up.

use std::time::Duration;

use ipc_core::{ErrorKind, RecvMsg, SendMsg, Wait};
use ipc_rpc::serde_bytes::Bytes;
use ipc_rpc::{
    CallError, CallOptions, Client, ClientOptions, ConnectError, HostOptions, Outcome, Refusal,
    Semantics, Status,
};
use ipc_sock::unix::SocketOptions;
use ipc_testkit::Harness;

use crate::service::{Served, TestClient, over_seqpacket};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("failures/an_unknown_method_is_said_to_be_one", unknown_method)
        .test("failures/arguments_of_another_method_are_malformed", malformed)
        .test("failures/another_version_is_refused_with_both_versions", wrong_version)
        .test("failures/another_service_is_refused", wrong_service)
        .test("failures/other_methods_of_the_same_version_are_refused", wrong_methods)
        .test("failures/a_method_that_panics_fails_its_call_alone", panics)
        .test("failures/a_reply_that_is_too_long_says_how_long_it_is", reply_too_large)
        .test("failures/arguments_that_are_too_long_are_not_sent", request_too_large)
        .test("failures/a_frame_that_is_too_long_is_thrown_away", oversized_frame)
        .test("failures/exactly_once_without_a_journal_is_refused", no_journal)
        .test("failures/a_deadline_that_passes_ends_the_wait", deadline)
        .test("failures/the_time_left_travels_with_the_call", deadline_travels)
        .test("failures/a_server_that_is_gone_is_disconnected", gone)
        .test("failures/nobody_there_to_connect_to_times_out", nobody_there)
        .test("failures/a_window_of_results_that_nobody_takes_is_full", window)
        .test("failures/a_server_that_knows_too_many_clients_is_full", full)
}

ipc_rpc::service! {
    #[service(name = "test", version = 2, client = OldClient, server = OldServer)]
    trait Old {
        fn add(&self, call: &Call<'_>, a: i64, b: i64) -> i64;
    }
}

ipc_rpc::service! {
    #[service(name = "test", version = 3, client = CousinClient, server = CousinServer)]
    trait Cousin {
        fn add(&self, call: &Call<'_>, a: i64, b: i32) -> i64;
    }
}

ipc_rpc::service! {
    #[service(name = "best", version = 3, client = StrangerClient, server = StrangerServer)]
    trait Stranger {
        fn add(&self, call: &Call<'_>, a: i64, b: i64) -> i64;
    }
}

/// A call by hand, of a method that the client's trait does not have.
fn call_by_number(method: u32, arguments: &[u8]) -> Checked {
    let (mut client, served) = over_seqpacket(&HostOptions::new());
    let by_hand = client.caller();
    let ticket = by_hand.start(&CallOptions::new(), method, &Bytes::new(arguments))?;
    let error = by_hand.finish::<i64>(ticket).unwrap_err();
    let status = if method == 1 { Status::UnknownMethod } else { Status::Malformed };
    assert_eq!(error, CallError::Failed(status));
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    assert_eq!(client.add(1, 2)?, 3, "the server stays up");
    drop(client);
    served.join();
    Ok(())
}

fn unknown_method() -> Checked {
    call_by_number(1, b"")
}

fn malformed() -> Checked {
    // `add` with a byte too many.
    let add = ipc_rpc::method_id("add", "(i64, i64) -> i64");
    call_by_number(add, &[0; 40])
}

fn refused(connected: Result<(), ConnectError>) -> Refusal {
    match connected {
        Err(ConnectError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn wrong_version() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(theirs, &HostOptions::new());
    let connected = OldClient::connect(ours.try_clone()?, &ClientOptions::new()).map(drop);
    assert_eq!(refused(connected), Refusal::WrongVersion { ours: 2, theirs: 3 });
    let mut client = TestClient::connect(ours, &ClientOptions::new())?;
    assert_eq!(client.add(1, 2)?, 3, "the server stays up, and lets the right client in");
    drop(client);
    served.join();
    Ok(())
}

fn wrong_service() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(theirs, &HostOptions::new());
    let connected = StrangerClient::connect(ours, &ClientOptions::new()).map(drop);
    assert_eq!(refused(connected), Refusal::WrongService);
    served.join();
    Ok(())
}

fn wrong_methods() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(theirs, &HostOptions::new());
    let connected = CousinClient::connect(ours, &ClientOptions::new()).map(drop);
    assert_eq!(refused(connected), Refusal::WrongMethods);
    served.join();
    Ok(())
}

fn panics() -> Checked {
    let (mut client, served) = over_seqpacket(&HostOptions::new());
    for _ in 0..3 {
        let error = client.panic().unwrap_err();
        assert_eq!(error, CallError::Failed(Status::Panicked));
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(client.add(1, 2)?, 3, "the server stays up");
    }
    drop(client);
    served.join();
    Ok(())
}

fn reply_too_large() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(theirs, &HostOptions::new());
    let mut client = TestClient::connect(ours, &ClientOptions::new().max_frame(1000))?;
    assert_eq!(client.zeros(970)?.len(), 970);
    match client.zeros(5000) {
        Err(CallError::ReplyTooLarge { len: 5000.., max: 1000 }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(client.add(1, 2)?, 3, "the server stays up");
    drop(client);
    served.join();
    Ok(())
}

fn request_too_large() -> Checked {
    let (mut client, served) = over_seqpacket(&HostOptions::new().max_frame(1000));
    let error = client.echo("", Bytes::new(&[0; 2000])).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    let CallError::Transport { error, .. } = error else { panic!("{error}") };
    assert!(
        matches!(error.kind(), ErrorKind::MessageTooLarge { len: 2000.., max: 1000 }),
        "{error}"
    );
    assert_eq!(client.add(1, 2)?, 3);
    drop(client);
    served.join();
    Ok(())
}

fn oversized_frame() -> Checked {
    let (mut ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(theirs, &HostOptions::new().max_frame(1000));
    ours.send(&[4; 50_000])?;
    let mut client = TestClient::connect(ours, &ClientOptions::new())?;
    assert_eq!(client.add(1, 2)?, 3, "the server stays up");
    drop(client);
    served.join();
    Ok(())
}

fn no_journal() -> Checked {
    let (mut client, served) = over_seqpacket(&HostOptions::new());
    let once = CallOptions::new().semantics(Semantics::ExactlyOnce);
    assert_eq!(client.with(once).count(1), Err(CallError::Failed(Status::NoJournal)));
    assert!(served.state.counts().is_empty());
    drop(client);
    served.join();
    Ok(())
}

fn deadline() -> Checked {
    let (mut client, served) = over_seqpacket(&HostOptions::new());
    let short = CallOptions::new().timeout(Duration::from_millis(20));
    let error = client.with(short).wait().unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.outcome(), Outcome::Unknown, "the server may have begun");
    served.state.open_gate();
    assert_eq!(client.add(1, 2)?, 3, "the late reply is not taken for that of the next call");
    drop(client);
    served.join();
    Ok(())
}

fn deadline_travels() -> Checked {
    let (mut client, served) = over_seqpacket(&HostOptions::new());
    assert_eq!(client.remaining_ms()?, None);
    let long = CallOptions::new().timeout(Duration::from_secs(100));
    let left = client.with(long).remaining_ms()?.expect("a deadline");
    assert!((1..=100_000).contains(&left), "{left} ms");
    drop(client);
    served.join();
    Ok(())
}

fn gone() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let mut theirs_too = theirs.try_clone()?;
    let served = Served::start(theirs, &HostOptions::new());
    let mut client = TestClient::connect(ours, &ClientOptions::new())?;
    assert_eq!(client.add(1, 2)?, 3);
    theirs_too.shutdown(std::net::Shutdown::Both)?;
    let _ = theirs_too.recv_with(&mut [0; 64], Wait::Never);
    let error = client.add(1, 2).unwrap_err();
    let CallError::Transport { error, .. } = error else { panic!("{error}") };
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    drop(client);
    served.join();
    Ok(())
}

fn nobody_there() -> Checked {
    let (ours, _theirs) = SocketOptions::new().pair_seqpacket()?;
    let options = ClientOptions::new().connect_timeout(Duration::from_millis(30));
    match TestClient::connect(ours, &options).map(drop) {
        Err(ConnectError::Transport(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn window() -> Checked {
    let (client, served) = over_seqpacket(&HostOptions::new().window(4));
    let mut client = client.pipelined();
    let tickets = (0..4).map(|n| client.add(n, 0)).collect::<Result<Vec<_>, _>>()?;
    let error = client.add(9, 9).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    let CallError::Transport { error, .. } = error else { panic!("{error}") };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    for (n, ticket) in (0..).zip(tickets) {
        assert_eq!(client.finish(ticket)?, n);
    }
    let ticket = client.add(9, 9)?;
    assert_eq!(client.finish(ticket)?, 18);
    drop(client);
    served.join();
    Ok(())
}

fn full() -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(theirs, &HostOptions::new().max_clients(1));
    let first =
        Client::connect(ours.try_clone()?, TestClient::<()>::SERVICE, &ClientOptions::new())?;
    let connected = TestClient::connect(ours, &ClientOptions::new()).map(drop);
    assert_eq!(refused(connected), Refusal::Full);
    drop(first);
    served.join();
    Ok(())
}

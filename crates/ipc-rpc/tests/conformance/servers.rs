//! Servers with threads, descriptors among arguments, links that break and are made anew.

use std::collections::VecDeque;
use std::sync::Arc;

use ipc_core::{ErrorKind, Listen, RecvMsg, Wait};
use ipc_rpc::serde_bytes::{ByteBuf, Bytes};
use ipc_rpc::{
    CallError, ClientOptions, Fd, Host, HostOptions, OnFull, Outcome, Pool, PoolOptions, SendFrame,
    Status, WithFds, serve,
};
use ipc_sock::unix::{Seqpacket, SocketOptions};
use ipc_testkit::{Descriptors, Harness, dir, note};

use crate::service::{Served, State, TestClient, TestServer, Tested};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("pool/calls_of_one_client_run_at_the_same_time", at_the_same_time)
        .test("pool/a_full_queue_lets_the_client_wait", back_pressure)
        .test("pool/a_full_queue_refuses_if_it_is_told_to", busy)
        .test("pool/a_cancelled_call_that_waits_is_not_executed", cancelled_waiting)
        .test("pool/a_cancelled_call_that_runs_learns_of_it", cancelled_running)
        .test("pool/a_listener_serves_several_clients", several_clients)
        .test("pool/a_panic_costs_no_worker", panics)
        .test("descriptors/go_both_ways", descriptors)
        .test("descriptors/need_a_link_that_passes_them", no_descriptors)
        .test("descriptors/none_is_left_open", none_is_left_open)
        .test("large/arguments_and_results_go_in_sealed_memory", large)
        .test("large/no_more_than_was_allowed", too_large)
        .test("redial/a_lost_reply_is_fetched_and_not_computed_again", lost_reply)
        .test("redial/a_call_that_still_runs_is_waited_for", still_runs)
        .test("redial/a_server_that_was_restarted_is_unknown_outcome", restarted)
}

type Clients = (TestClient<ipc_rpc::Client<Seqpacket>>, Arc<State>);

/// Runs `test` with a client of a pool.
fn with_pool(
    options: &PoolOptions,
    test: impl FnOnce(Clients, &Pool<TestServer<Tested>>) -> Checked,
) -> Checked {
    let tested = Tested::default();
    let state = Arc::clone(&tested.0);
    let pool = Pool::new(Host::new(TestServer(tested), &HostOptions::new())?, options)?;
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| pool.serve(theirs.try_clone()?, theirs));
        let client = TestClient::connect(ours, &ClientOptions::new())?;
        let result = test((client, Arc::clone(&state)), &pool);
        state.open_gate();
        server.join().expect("the server does not panic")?;
        result
    })
}

fn at_the_same_time() -> Checked {
    with_pool(&PoolOptions::new().workers(3), |(client, state), _| {
        let mut client = client.pipelined();
        let waiting = [client.wait()?, client.wait()?];
        state.until_waiting(2);
        let quick = client.add(1, 2)?;
        assert_eq!(client.finish(quick)?, 3, "it overtakes those that wait");
        state.open_gate();
        for ticket in waiting {
            assert!(!client.finish(ticket)?);
        }
        Ok(())
    })
}

fn back_pressure() -> Checked {
    with_pool(&PoolOptions::new().workers(1).queue(2), |(client, state), pool| {
        let mut client = client.pipelined();
        let gate = client.wait()?;
        state.until_waiting(1);
        let tickets =
            (0..50).map(|n| client.count(n)).collect::<Result<VecDeque<_>, CallError>>()?;
        assert!(pool.waiting() <= 2, "{} calls wait in a queue for 2", pool.waiting());
        state.open_gate();
        client.finish(gate)?;
        for (number, ticket) in (0..).zip(tickets) {
            assert_eq!(client.finish(ticket)?, number, "none was refused");
        }
        assert!(state.counts().values().all(|times| *times == 1));
        Ok(())
    })
}

fn busy() -> Checked {
    let options = PoolOptions::new().workers(1).queue(2).on_full(OnFull::Refuse);
    with_pool(&options, |(client, state), _| {
        let mut client = client.pipelined();
        let gate = client.wait()?;
        state.until_waiting(1);
        let mut tickets =
            (0..5).map(|n| client.count(n)).collect::<Result<VecDeque<_>, CallError>>()?;
        // Two wait, and the others are told at once.
        for _ in 0..3 {
            let refused = tickets.pop_back().expect("there are five");
            let error = client.finish(refused).unwrap_err();
            assert_eq!(error, CallError::Failed(Status::Busy));
            assert_eq!(error.outcome(), Outcome::NotExecuted);
        }
        state.open_gate();
        client.finish(gate)?;
        for (number, ticket) in (0..).zip(tickets) {
            assert_eq!(client.finish(ticket)?, number);
        }
        assert_eq!(state.counts().len(), 2, "those that were refused were not executed");
        Ok(())
    })
}

fn cancelled_waiting() -> Checked {
    with_pool(&PoolOptions::new().workers(1), |(client, state), pool| {
        let mut client = client.pipelined();
        let gate = client.wait()?;
        state.until_waiting(1);
        let unwanted = client.count(1)?;
        client.caller().cancel(unwanted);
        let wanted = client.count(2)?;
        // Once the second one waits too, the cancellation, which came before it, has been seen.
        while pool.waiting() < 2 {
            std::thread::yield_now();
        }
        state.open_gate();
        client.finish(gate)?;
        client.finish(wanted)?;
        assert_eq!(state.counts().get(&1), None, "nobody wanted it any more");
        assert_eq!(state.counts().get(&2), Some(&1));
        Ok(())
    })
}

fn cancelled_running() -> Checked {
    with_pool(&PoolOptions::new().workers(2), |(client, state), _| {
        let mut client = client.pipelined();
        let unwanted = client.wait()?;
        state.until_waiting(1);
        client.caller().cancel(unwanted);
        let wanted = client.wait()?;
        // As above.
        state.until_waiting(2);
        state.open_gate();
        assert!(!client.finish(wanted)?, "another call is not over");
        state.until_over(1);
        Ok(())
    })
}

fn several_clients() -> Checked {
    let path = dir().join("socket");
    let pool = Pool::new(
        Host::new(TestServer(Tested::default()), &HostOptions::new())?,
        &PoolOptions::new().workers(2),
    )?;
    let listener = SocketOptions::new().listen_seqpacket(&path)?;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| pool.listen(&listener, |it| Ok((it.try_clone()?, it))));
        let clients: Vec<_> = (0..5)
            .map(|client| {
                let path = &path;
                scope.spawn(move || {
                    let link = SocketOptions::new().connect_seqpacket(path, Wait::Forever)?;
                    let mut stub = TestClient::connect(link, &ClientOptions::new())?;
                    for n in 0..50 {
                        assert_eq!(stub.add(n, client)?, n + client);
                    }
                    Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
                })
            })
            .collect();
        for client in clients {
            client.join().expect("no panic").map_err(|error| error.to_string())?;
        }
        pool.stop();
        server.join().expect("no panic")?;
        Ok(())
    })
}

fn panics() -> Checked {
    with_pool(&PoolOptions::new().workers(1), |(mut client, _), _| {
        for _ in 0..3 {
            assert_eq!(client.panic(), Err(CallError::Failed(Status::Panicked)));
        }
        assert_eq!(client.add(1, 2)?, 3);
        Ok(())
    })
}

fn with_fds(
    options: &HostOptions,
    test: impl FnOnce(TestClient<ipc_rpc::Client<WithFds>>) -> Checked,
) -> Checked {
    let (ours, theirs) = SocketOptions::new().pair_seqpacket()?;
    let served = Served::start(WithFds::new(theirs), options);
    test(TestClient::connect(WithFds::new(ours), &ClientOptions::new())?)?;
    served.join();
    Ok(())
}

fn descriptors() -> Checked {
    with_fds(&HostOptions::new(), |mut client| {
        let file = client.open("/proc/self/comm")?.expect("it can be opened");
        let name = client.read(file)?;
        assert_eq!(name, std::fs::read_to_string("/proc/self/comm")?);
        assert_eq!(client.open("/does/not/exist")?.map(drop), Err(2));
        Ok(())
    })
}

fn no_descriptors() -> Checked {
    let (mut client, served) = crate::service::over_seqpacket(&HostOptions::new());
    let file = Fd::from(std::fs::File::open("/dev/null")?);
    let error = client.read(file).unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotExecuted);
    let CallError::Transport { error, .. } = error else { panic!("{error}") };
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = client.open("/dev/null").map(drop).unwrap_err();
    assert_eq!(error, CallError::Failed(Status::BadResult));
    assert_ne!(error.outcome(), Outcome::NotExecuted, "the method has opened the file");
    assert_eq!(client.add(1, 2)?, 3);
    drop(client);
    served.join();
    Ok(())
}

fn none_is_left_open() -> Checked {
    let before = Descriptors::now();
    with_fds(&HostOptions::new(), |mut client| {
        for _ in 0..100 {
            let file = client.open("/dev/null")?.expect("it can be opened");
            // One that the method takes, and one that a method without any does not.
            client.read(file)?;
            let stray: std::os::fd::OwnedFd = std::fs::File::open("/dev/null")?.into();
            client.caller().link().send_frame(b"nonsense", &[stray], Wait::Forever)?;
        }
        Ok(())
    })?;
    assert_eq!(Descriptors::now(), before);
    Ok(())
}

fn large() -> Checked {
    with_fds(&HostOptions::new(), |mut client| {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n >> 8) as u8).collect();
        let (text, back) = client.echo("large", Bytes::new(&bytes))?;
        assert_eq!((&text[..], &back), ("large", &ByteBuf::from(bytes)));
        assert_eq!(client.add(1, 2)?, 3);
        Ok(())
    })
}

fn too_large() -> Checked {
    with_fds(&HostOptions::new().max_large(100_000), |mut client| {
        let error = client.echo("", Bytes::new(&[0; 200_000])).unwrap_err();
        assert_eq!(error, CallError::Failed(Status::Malformed));
        assert!(matches!(client.zeros(200_000), Err(CallError::ReplyTooLarge { .. })));
        assert_eq!(client.zeros(80_000)?.len(), 80_000);
        Ok(())
    })
}

/// A client that connects to a path again whenever its link breaks.
fn redialling(
    path: &std::path::Path,
) -> Result<TestClient<ipc_rpc::Client<Seqpacket>>, Box<dyn std::error::Error>> {
    let path = path.to_owned();
    let link = SocketOptions::new().connect_seqpacket(&path, Wait::Forever)?;
    let mut client = TestClient::connect(link, &ClientOptions::new())?;
    client.caller().set_redial(move |wait| SocketOptions::new().connect_seqpacket(&path, wait));
    Ok(client)
}

/// Takes one request and executes it, and breaks the link in place of the answer.
fn break_after_one(host: &Host<TestServer<Tested>>, mut link: Seqpacket) -> ipc_core::Result<()> {
    let mut connection = host.connection();
    let mut buf = [0; 1000];
    for answers in [true, false] {
        let len = link.recv(&mut buf)?;
        let answer = host.handle(&mut connection, &buf[..len], &mut Vec::new()).expect("an answer");
        if answers {
            link.send_frame(answer.bytes, &[], Wait::Forever)?;
        }
    }
    Ok(())
}

fn lost_reply() -> Checked {
    let path = dir().join("socket");
    let listener = SocketOptions::new().listen_seqpacket(&path)?;
    let tested = Tested::default();
    let state = Arc::clone(&tested.0);
    let host = Host::new(TestServer(tested), &HostOptions::new())?;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            break_after_one(&host, listener.accept()?)?;
            serve(listener.accept()?, &host)
        });
        let mut client = redialling(&path)?;
        assert_eq!(client.count(5)?, 5);
        assert_eq!(state.counts().get(&5), Some(&1), "it was executed before the link broke");
        drop(client);
        server.join().expect("no panic")?;
        Ok(())
    })
}

fn still_runs() -> Checked {
    let path = dir().join("socket");
    let listener = SocketOptions::new().listen_seqpacket(&path)?;
    let tested = Tested::default();
    let state = Arc::clone(&tested.0);
    let host = Host::new(TestServer(tested), &HostOptions::new())?;
    let pool = Pool::new(host, &PoolOptions::new())?;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let first = listener.accept()?;
            let copy = first.try_clone()?;
            let breaks = scope.spawn(move || {
                state.until_waiting(1);
                copy.shutdown(std::net::Shutdown::Both)?;
                Ok::<_, ipc_core::Error>(state)
            });
            pool.serve(first.try_clone()?, first)?;
            let state = breaks.join().expect("no panic")?;
            let mut second = listener.accept()?;
            // The client says hello, and asks again for what still runs.
            let (host, mut buf) = (pool.host(), [0; 1000]);
            let mut connection = host.connection();
            let len = second.recv(&mut buf)?;
            let hello = host.handle(&mut connection, &buf[..len], &mut Vec::new());
            second.send_frame(hello.expect("a welcome").bytes, &[], Wait::Forever)?;
            let len = second.recv(&mut buf)?;
            let answer = host.handle(&mut connection, &buf[..len], &mut Vec::new());
            assert!(answer.is_none(), "it runs, and is not executed twice");
            // Now it ends, and answers to the old connection.
            state.open_gate();
            pool.serve(second.try_clone()?, second)
        });
        let mut client = redialling(&path)?;
        note(
            "the method runs on while the link breaks: if this hangs, nobody asks for its result again",
        );
        assert!(!client.wait()?);
        drop(client);
        server.join().expect("no panic")?;
        Ok(())
    })
}

fn restarted() -> Checked {
    let path = dir().join("socket");
    let listener = SocketOptions::new().listen_seqpacket(&path)?;
    let tested = Tested::default();
    let state = Arc::clone(&tested.0);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let host = Host::new(TestServer(tested.clone()), &HostOptions::new())?;
            break_after_one(&host, listener.accept()?)?;
            let host = Host::new(TestServer(tested), &HostOptions::new())?;
            serve(listener.accept()?, &host)
        });
        let mut client = redialling(&path)?;
        let epoch = client.caller().epoch();
        assert_eq!(client.count(5), Err(CallError::OutcomeUnknown));
        assert_ne!(client.caller().epoch(), epoch);
        assert_eq!(state.counts().get(&5), Some(&1));
        assert_eq!(client.count(6)?, 6, "the next call is one like any other");
        drop(client);
        server.join().expect("no panic")?;
        Ok(())
    })
}

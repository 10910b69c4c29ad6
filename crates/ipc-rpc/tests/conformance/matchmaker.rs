//! Servers that come and go, and the clients that look for them.

use std::path::PathBuf;
use std::time::Duration;

use ipc_core::{ErrorKind, Listen, Wait};
use ipc_process::{Pid, Process};
use ipc_rpc::matchmaker::{Address, Locate, Matchmaker, Register, StaticAddresses};
use ipc_rpc::{ClientOptions, Host, HostOptions, WithFds, serve};
use ipc_sock::unix::SocketOptions;
use ipc_testkit::{Harness, Peer, dir, hear, note, say, wait_for_the_end};

use crate::service::{TestClient, TestServer, Tested};

type Checked = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("matchmaker/a_client_finds_a_server_and_calls_it", found)
        .test("matchmaker/a_server_that_is_killed_is_not_found_any_more", killed)
        .test("matchmaker/a_lease_that_nobody_renews_ends", stopped)
        .test("matchmaker/a_name_belongs_to_who_has_it", taken)
        .test("matchmaker/a_long_list_is_no_trouble", long_list)
        .test("matchmaker/static_addresses_are_found_in_the_same_way", static_addresses)
        .role("matchmaker/server", server)
}

fn path() -> PathBuf {
    dir().join("matchmaker")
}

/// Runs `test` with a matchmaker in a thread.
fn with_matchmaker(test: impl FnOnce() -> Checked) -> Checked {
    let matchmaker = Matchmaker::listen(path())?;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| matchmaker.run());
        let result = test();
        matchmaker.stop();
        running.join().expect("no panic")?;
        result
    })
}

/// A server of its own process: it registers and serves one client.
fn server() -> Checked {
    let lease = Duration::from_millis(hear().parse()?);
    let socket = dir().join("server");
    let listener = SocketOptions::new().listen_seqpacket(&socket)?;
    let register = Register::connect(path(), Wait::Forever)?;
    let registered = register.register("test", 3, &Address::Unix(socket), lease)?;
    say("registered");
    if hear() == "serve" {
        let host = Host::new(TestServer(Tested::default()), &HostOptions::new())?;
        serve(WithFds::new(listener.accept()?), &host)?;
        drop(registered);
        say("withdrawn");
    } else {
        wait_for_the_end();
    }
    Ok(())
}

fn start(lease_ms: u32) -> Peer {
    let mut server = Peer::start("matchmaker/server");
    server.tell(&lease_ms.to_string());
    server.expect("registered");
    server
}

fn found() -> Checked {
    with_matchmaker(|| {
        let mut server = start(60_000);
        server.tell("serve");
        let mut register = Register::connect(path(), Wait::Forever)?;
        let address = register.wait_for("test", 3, Wait::Forever)?;
        assert_eq!(register.list()?.len(), 1);
        let link = address.connect(Wait::Forever)?;
        let mut client = TestClient::connect(link, &ClientOptions::new())?;
        assert_eq!(client.add(2, 3)?, 5);
        drop(client);
        server.expect("withdrawn");
        let error = register.locate("test", 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(register.list()?.is_empty());
        server.join();
        Ok(())
    })
}

fn killed() -> Checked {
    with_matchmaker(|| {
        let server = start(3_600_000);
        let mut register = Register::connect(path(), Wait::Forever)?;
        assert!(register.locate("test", 3).is_ok());
        server.kill();
        // It is dead when `kill` returns, and its lease has an hour left.
        let error = register.locate("test", 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        std::fs::remove_file(dir().join("server"))?;
        Ok(())
    })
}

fn stopped() -> Checked {
    with_matchmaker(|| {
        let server = start(50);
        let mut register = Register::connect(path(), Wait::Forever)?;
        assert!(register.locate("test", 3).is_ok());
        note("the server is stopped: if this hangs, its lease does not end");
        const SIGSTOP: i32 = 19;
        process_of(&server)?.send_signal(SIGSTOP)?;
        // It is there while the lease lasts, and renewed by nobody.
        while register.locate("test", 3).is_ok() {
            std::thread::yield_now();
        }
        server.kill();
        std::fs::remove_file(dir().join("server"))?;
        Ok(())
    })
}

fn process_of(peer: &Peer) -> Result<Process, Box<dyn std::error::Error>> {
    let pid = peer.pid().as_raw_pid().cast_unsigned();
    Ok(Process::open(Pid::try_from(pid)?)?)
}

fn taken() -> Checked {
    with_matchmaker(|| {
        let hour = Duration::from_secs(3600);
        let address = Address::Tcp(([127, 0, 0, 1], 9).into());
        let register = || Register::connect(path(), Wait::Forever);
        let first = register()?.register("name", 1, &address, hour)?;
        let second = register()?.register("name", 1, &address, hour);
        assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
        let _other_version = register()?.register("name", 2, &address, hour)?;
        assert!(first.is_held());
        drop(first);
        let _second = register()?.register("name", 1, &address, hour)?;
        let error = register()?.register("", 1, &address, hour).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    })
}

fn long_list() -> Checked {
    /// More than a frame holds, as long as names and paths can be.
    const SERVICES: usize = 200;
    with_matchmaker(|| {
        let address = Address::Unix(format!("/{}", "a".repeat(106)).into());
        let mut registered = Vec::new();
        for number in 0..SERVICES {
            let register = Register::connect(path(), Wait::Forever)?;
            let name = format!("{number:0255}");
            registered.push(register.register(&name, 1, &address, Duration::from_secs(3600))?);
        }
        let mut register = Register::connect(path(), Wait::Forever)?;
        assert_eq!(register.list()?.len(), SERVICES);
        let address = Address::Unix("/too/long".repeat(100).into());
        let error = register.register("other", 1, &address, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Ok(())
    })
}

fn static_addresses() -> Checked {
    let address = Address::Unix(dir().join("nobody"));
    let mut addresses = StaticAddresses::new().with("test", 3, address.clone());
    assert_eq!(addresses.locate("test", 3)?, address);
    let error = address.connect(Wait::Forever).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    Ok(())
}

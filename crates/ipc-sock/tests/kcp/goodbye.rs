//! How conversations end, and who moves them meanwhile.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Listen, ReadBytes, RecvMsg, Result, SendMsg, Wait, WriteBytes};
use ipc_testkit::{Harness, note};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::fixtures::{HERE, options};
use crate::proxy::{Network, Proxy, Way};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kcp/dropping_waits_until_everything_is_acknowledged", flushes)
        .test("kcp/what_is_sent_arrives_though_the_sender_makes_no_further_call", moves)
        .test("kcp/dropping_gives_up_after_the_linger_time_and_the_peer_learns_of_it", gives_up)
        .test("kcp/a_stopped_network_is_disconnected_after_the_timeout_and_not_before", silence)
        .test("kcp/a_refused_end_of_a_handoff_comes_back", refused_handoff)
        .test("kcp/a_pair_whose_other_end_is_gone_is_disconnected", never_adopted)
        .test("kcp/waiting_for_acknowledgements_says_whether_everything_came", acknowledged)
        .test("kcp/no_signal_is_delivered_to_the_thread_of_a_socket", signals)
        .test("kcp/conversations_outlive_their_listener", outlive)
        .test("kcp/who_was_never_accepted_is_told", never_accepted)
        .test("kcp/poll_sees_what_can_be_received_and_who_can_be_accepted", polled)
}

/// More than the windows hold, to a peer that reads slowly, over a bad network.
fn flushes() -> Result<()> {
    let listener = options().listen(HERE)?;
    let proxy = Proxy::start(listener.local_address()?, Network::BAD).expect("start the proxy");
    let mut client =
        options().linger(Duration::from_secs(60)).connect(proxy.address(), Wait::Forever)?;
    let mut server = listener.accept()?;
    let data: Vec<u8> = (0..600_000_u32).map(|n| n as u8).collect();
    let copy = data.clone();
    let writer = std::thread::spawn(move || client.write_all_with(&copy, Wait::Forever));
    note("if it hangs, what was written before the drop is lost");
    let mut got = vec![0; data.len()];
    server.read_exact_with(&mut got, Wait::Forever)?;
    assert!(got == data, "the bytes must be the same");
    assert_eq!(server.read_with(&mut [0; 8], Wait::Forever)?, 0, "then the stream ends");
    writer.join().expect("the writer does not panic")
}

/// The first transmissions are lost: somebody must send them again.
fn moves() -> Result<()> {
    let listener = options().listen_messages(HERE)?;
    let proxy = Proxy::start(listener.local_address()?, Network::BAD).expect("start the proxy");
    let mut client = options().connect_messages(proxy.address(), Wait::Forever)?;
    let mut server = listener.accept()?;
    for n in 0..100_u8 {
        client.send(&[n; 500])?;
    }
    note("the sender makes no call: if it hangs, nobody sends again what was lost");
    let mut buf = [0; 1000];
    for n in 0..100_u8 {
        assert_eq!(server.recv(&mut buf)?, 500);
        assert_eq!(buf[..500], [n; 500]);
    }
    Ok(())
}

/// The peer reads nothing: what its window has no room for cannot be acknowledged.
fn gives_up() -> Result<()> {
    let (mut tx, mut rx) = options().linger(Duration::from_millis(50)).pair_messages()?;
    // The other end is awake.
    assert_eq!(
        rx.try_recv(&mut [0; 8]).expect_err("nothing was sent").kind(),
        ErrorKind::WouldBlock
    );
    let mut sent = 0;
    while tx.try_send(&[7; 1000]).is_ok() {
        sent += 1;
    }
    while tx.send_timeout(&[7; 1000], Duration::from_millis(20)).is_ok() {
        sent += 1;
    }
    drop(tx);
    let mut got = 0;
    let error = loop {
        match rx.recv(&mut [0; 1000]) {
            Ok(_) => got += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.note().is_some(), "it must say that something is missing: {error}");
    assert!(got < sent, "{got} of {sent} messages came");
    Ok(())
}

fn silence() -> Result<()> {
    let timeout = Duration::from_millis(700);
    let quick = options().timeout(timeout).keep_alive(Duration::from_millis(50));
    let listener = quick.listen_messages(HERE)?;
    let proxy = Proxy::start(listener.local_address()?, Network::GOOD).expect("start the proxy");
    let mut client = quick.connect_messages(proxy.address(), Wait::Forever)?;
    let mut server = listener.accept()?;
    // Long enough for the timeout to pass, were it not for the keep-alives.
    let error = server.recv_timeout(&mut [0; 8], timeout * 3).expect_err("nothing was sent");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "a silent user is not a dead peer: {error}");
    assert!(proxy.seen(Way::ToServer).len() > 5, "keep-alives went");
    let cut = std::time::Instant::now();
    drop(proxy);
    for end in [&mut client, &mut server] {
        let error = end.recv(&mut [0; 8]).expect_err("the network is gone");
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        // The last keep-alive came an interval before the cut at most, give or take a starved thread.
        assert!(cut.elapsed() >= timeout / 2, "it was given up after {:?}", cut.elapsed());
    }
    Ok(())
}

/// The state of a conversation that has begun is in this process.
fn refused_handoff() -> Result<()> {
    let (mut tx, mut rx) = options().pair_messages()?;
    tx.send(b"begun")?;
    let mut command = std::process::Command::new("true");
    let rejected = tx.give(&mut command, "tx").expect_err("it has begun");
    assert_eq!(rejected.error.kind(), ErrorKind::Unsupported);
    tx = rejected.value;
    tx.send(b"still there")?;
    let mut buf = [0; 64];
    assert_eq!(rx.recv(&mut buf)?, 5);
    assert_eq!(rx.recv(&mut buf)?, 11);
    Ok(())
}

/// The child that was given an end died before it adopted it.
fn never_adopted() -> Result<()> {
    let (mut tx, rx) = options().pair_messages()?;
    let mut command = std::process::Command::new("true");
    rx.give(&mut command, "rx")?;
    drop(command);
    note("if it hangs, a peer that never was is waited for");
    let error = tx.recv(&mut [0; 8]).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    Ok(())
}

fn outlive() -> Result<()> {
    let listener = options().listen_messages(HERE)?;
    let address = listener.local_address()?;
    let mut client = options().connect_messages(address, Wait::Forever)?;
    let mut server = listener.accept()?;
    drop(listener);
    client.send(b"still there?")?;
    let mut buf = [0; 64];
    assert_eq!(server.recv(&mut buf)?, 12);
    // Nobody opens a conversation any more, though the socket is there.
    let wait = Wait::timeout(Duration::from_millis(100));
    let error = options().connect_messages(address, wait).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    Ok(())
}

fn never_accepted() -> Result<()> {
    let listener = options().listen_messages(HERE)?;
    let mut client = options().connect_messages(listener.local_address()?, Wait::Forever)?;
    drop(listener);
    let error = client.recv(&mut [0; 8]).expect_err("nobody accepted it");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    Ok(())
}

/// The peer sleeps at first, and acknowledges nothing.
fn acknowledged() -> Result<()> {
    let (mut tx, mut rx) = options().pair_messages()?;
    tx.wait_acknowledged(Wait::Never)?;
    tx.send(b"did you get this?")?;
    let error = tx.wait_acknowledged(Wait::Never).expect_err("the peer sleeps");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let error = tx.wait_acknowledged(Wait::timeout(Duration::from_millis(30)));
    assert_eq!(error.expect_err("the peer sleeps").kind(), ErrorKind::TimedOut);
    assert_eq!(rx.recv(&mut [0; 64])?, 17);
    tx.wait_acknowledged(Wait::Forever)?;
    drop(rx);
    assert_eq!(tx.send(b"and this?").expect_err("it has gone").kind(), ErrorKind::Disconnected);
    Ok(())
}

fn signals() -> Result<()> {
    let listener = options().listen(HERE)?;
    // So that the listener's thread has run, and has its name.
    let _client = options().connect(listener.local_address()?, Wait::Forever)?;
    let of_thread = |entry: std::io::Result<std::fs::DirEntry>| {
        let dir = entry.ok()?.path();
        let name = std::fs::read_to_string(dir.join("comm")).ok()?;
        let status = std::fs::read_to_string(dir.join("status")).ok()?;
        let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
        (name.trim() == "kcp").then(|| u64::from_str_radix(blocked.trim(), 16).expect("hex"))
    };
    let threads = std::fs::read_dir("/proc/self/task").expect("list the threads");
    let blocked: Vec<u64> = threads.filter_map(of_thread).collect();
    // All but SIGKILL (9), SIGSTOP (19), and the two that the C library keeps for itself (32, 33).
    let expected = !(1 << 8 | 1 << 18 | 1 << 31 | 1 << 32);
    assert!(!blocked.is_empty(), "the listener has a thread");
    assert!(blocked.iter().all(|it| *it == expected), "{blocked:x?} must be {expected:x}");
    Ok(())
}

/// Through messages, an acceptance, and the end.
fn polled() -> Result<()> {
    let listener = options().listen_messages(HERE)?;
    let waits = |fd: BorrowedFd<'_>, timeout: Option<&Timespec>| {
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], timeout).expect("poll") == 1
    };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let door = listener.readiness()?;
    assert!(!waits(door, Some(&now)), "nobody has come");
    let mut client = options().connect_messages(listener.local_address()?, Wait::Forever)?;
    note("if it hangs, poll does not see who waits to be accepted");
    assert!(waits(door, None));
    let mut server = listener.accept()?;
    assert!(!waits(door, Some(&now)), "nobody else has come");

    client.send(b"before")?;
    client.wait_acknowledged(Wait::Forever)?;
    note("if it hangs, poll does not see what came before it was asked for");
    assert!(waits(server.readiness()?, None));
    let mut buf = [0; 16];
    server.recv(&mut buf)?;
    assert!(!waits(server.readiness()?, Some(&now)), "everything was received");
    for n in 0..200_u8 {
        client.send(&[n])?;
        note("if it hangs, poll does not see what came");
        assert!(waits(server.readiness()?, None));
        assert_eq!(server.try_recv(&mut buf)?, 1, "what is readable can be received");
        assert_eq!(buf[0], n);
    }
    drop(client);
    note("if it hangs, poll does not see that the peer has gone");
    assert!(waits(server.readiness()?, None));
    let gone = server.try_recv(&mut buf).expect_err("nobody is there");
    assert_eq!(gone.kind(), ErrorKind::Disconnected);
    assert!(waits(server.readiness()?, Some(&now)), "and so it stays");
    Ok(())
}

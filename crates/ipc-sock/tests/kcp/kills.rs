//! Peers that are killed at any moment.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipc_core::{ErrorKind, Handoff, Listen, RecvMsg, Result, SendMsg, Wait};
use ipc_sock::kcp::{Listener, Messages, SocketOptions, Stream};
use ipc_testkit::{Descriptors, Harness, Peer, hear, note, say, wait_for_the_end};

use crate::fixtures::{HERE, options};
use crate::proxy::Random;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kcp/a_peer_killed_at_any_moment_is_noticed_and_nothing_is_left", killed)
        .test("kcp/a_killed_writer_is_an_error_and_no_end_of_the_stream", no_end)
        .role("kcp/victim", victim)
        .role("kcp/writer", writer)
}

/// How many are killed; `IPC_SOCK_KILLS` changes it.
fn kills() -> usize {
    std::env::var("IPC_SOCK_KILLS").map_or(200, |n| n.parse().expect("a number"))
}

/// So many at a time: each waits for its timeout.
const AT_ONCE: usize = 10;

fn quick() -> SocketOptions {
    SocketOptions::new().timeout(Duration::from_millis(800)).keep_alive(Duration::from_millis(100))
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("list the threads").count()
}

fn killed() -> Result<()> {
    let listener = Arc::new(quick().listen_messages(HERE)?);
    let (before, threads_before) = (Descriptors::now(), threads());
    let mut random = Random(5);
    let mut left = kills();
    note("peers are killed: if it hangs, the death of one is not noticed");
    while left > 0 {
        let batch = left.min(AT_ONCE);
        left -= batch;
        let mut running = Vec::new();
        for i in 0..batch {
            let (peer, mut end) = start_victim(&listener, i % 2 == 0)?;
            let messages = random.below(60);
            running.push((
                peer,
                std::thread::spawn(move || receive(&mut end, messages).map(|n| (n, end))),
            ));
        }
        // At any moment: before the first message, in the middle, or while the queue is full.
        let mut receivers = Vec::new();
        for (peer, receiver) in running {
            for _ in 0..random.below(2000) {
                std::thread::yield_now();
            }
            peer.kill();
            receivers.push(receiver);
        }
        for receiver in receivers {
            let (_, mut end) = receiver.join().expect("the receiver does not panic")?;
            let error = loop {
                match end.recv(&mut [0; 4096]) {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
            let error = end.send(b"anybody?").expect_err("the peer is dead");
            assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        }
    }
    let leaked = Descriptors::now().since(&before);
    assert_eq!(leaked.0.len(), 0, "descriptors were leaked: {leaked}");
    assert_eq!(threads(), threads_before, "threads were leaked");
    drop(listener);
    Ok(())
}

/// A peer that sends for ever, over a connection or as a child with an end of a pair.
fn start_victim(listener: &Listener<Messages>, connects: bool) -> Result<(Peer, Messages)> {
    let mut peer = Peer::cast("kcp/victim");
    if connects {
        peer.command().env("ADDRESS", listener.local_address()?.to_string());
        let peer = peer.start();
        return Ok((peer, listener.accept()?));
    }
    let (end, theirs) = quick().pair_messages()?;
    theirs.give(peer.command(), "end")?;
    let mut peer = peer.start();
    peer.expect("adopted");
    Ok((peer, end))
}

/// Receives some messages, or as many as come, which must be the right ones.
fn receive(end: &mut Messages, messages: u64) -> Result<u64> {
    let mut buf = [0; 4096];
    for n in 0..messages {
        match end.recv(&mut buf) {
            Ok(len) => assert_eq!(buf[..len], message(n), "message {n}"),
            Err(error) if error.kind() == ErrorKind::Disconnected => return Ok(n),
            Err(error) => return Err(error),
        }
    }
    Ok(messages)
}

fn message(n: u64) -> Vec<u8> {
    let len = 8 + Random(n).below(3000) as usize;
    let mut message = Random(n).bytes(len);
    message[..8].copy_from_slice(&n.to_le_bytes());
    message
}

/// Sends until it is killed.
fn victim() -> Result<()> {
    let mut end = match std::env::var("ADDRESS") {
        Ok(address) => {
            let address: SocketAddr = address.parse().expect("an address");
            quick().connect_messages(address, Wait::Forever)?
        }
        Err(_) => {
            let end = Messages::adopt("end")?;
            say("adopted");
            end
        }
    };
    for n in 0.. {
        end.send(&message(n))?;
    }
    Ok(())
}

/// What had come is read, and then it is an error: a stream that was cut off must not look whole.
fn no_end() -> Result<()> {
    use std::io::Read;
    let (mut end, theirs) =
        options().timeout(Duration::from_secs(1)).keep_alive(Duration::from_millis(100)).pair()?;
    let mut peer = Peer::cast("kcp/writer");
    theirs.give(peer.command(), "end")?;
    let mut peer = peer.start();
    let mut buf = [0; 16];
    peer.tell("write");
    end.read_exact(&mut buf[..8]).expect("what the writer wrote");
    assert_eq!(&buf[..8], b"half a s");
    peer.kill();
    for _ in 0..2 {
        let error = ipc_core::ReadBytes::read_with(&mut end, &mut buf, Wait::Forever);
        assert_eq!(error.expect_err("the writer was killed").kind(), ErrorKind::Disconnected);
    }
    Ok(())
}

fn writer() -> Result<()> {
    use ipc_core::WriteBytes;
    let mut end = Stream::adopt("end")?;
    assert_eq!(hear(), "write");
    end.write_all_with(b"half a s", Wait::Forever)?;
    wait_for_the_end()
}

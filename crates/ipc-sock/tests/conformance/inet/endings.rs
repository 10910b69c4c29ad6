//! The ways in which a connection of TCP ends, and what becomes of frames.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use ipc_core::{ErrorKind, Framed, ReadBytes, RecvMsg, SendMsg, Wait, WriteBytes};
use ipc_sock::tcp;
use ipc_testkit::{Harness, default_sigpipe};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::kind;
use super::tcp::{options, reset};
use crate::unix::tools::soon;

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("inet/tcp/half_close_ends_one_direction", half_close)
        .test("inet/tcp/the_second_write_after_the_peers_close_is_disconnected", write_after_close)
        .test("inet/tcp/a_reset_inside_a_frame_is_disconnected", reset_inside_a_frame)
        .test("inet/tcp/a_close_inside_a_frame_is_disconnected", close_inside_a_frame)
        .test("inet/tcp/a_peer_that_takes_nothing_is_given_up", user_timeout)
        .test("inet/tcp/frames_survive_any_splitting", splitting)
}

fn half_close() {
    let (mut client, mut server) = options().pair().expect("pair");
    client.write_all(b"all I have to say").expect("write");
    client.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(server.available(), Ok(17));
    let mut text = String::new();
    server.read_to_string(&mut text).expect("read");
    assert_eq!(text, "all I have to say");
    server.write_all(b"understood").expect("the other direction is open");
    let mut buf = [0; 10];
    client.read_exact_with(&mut buf, soon()).expect("read");
    assert_eq!(kind(client.write_with(b"one more thing", soon())), ErrorKind::Disconnected);
    drop(server);
    assert_eq!(client.read_with(&mut buf, soon()), Ok(0));
}

fn write_after_close() {
    default_sigpipe();
    let (mut client, server) = options().pair().expect("pair");
    drop(server);
    assert_eq!(client.write_with(b"anybody?", soon()), Ok(8), "nobody can know yet");
    for wait in [Wait::Forever, soon(), Wait::Never] {
        assert_eq!(kind(client.write_with(b"anybody?", wait)), ErrorKind::Disconnected);
    }
}

/// Two ends, one of which has frames of the other waiting: two whole ones and half of a third.
fn half_a_frame() -> (tcp::Stream, Framed<tcp::Stream>) {
    let (mut tx, rx) = options().pair().expect("pair");
    let mut framed = Framed::new(tx.try_clone().expect("clone"), 1000);
    framed.send(b"one").expect("send");
    framed.send(b"two").expect("send");
    tx.write_all(&100_u32.to_le_bytes()).expect("write");
    tx.write_all(&[7; 50]).expect("write");
    (tx, Framed::new(rx, 1000))
}

fn expect_two_frames(rx: &mut Framed<tcp::Stream>) {
    let mut buf = [0; 1000];
    for message in [b"one", b"two"] {
        let n = rx.recv_with(&mut buf, soon()).expect("what was sent whole arrives");
        assert_eq!(&buf[..n], message);
    }
}

fn reset_inside_a_frame() {
    let (tx, mut rx) = half_a_frame();
    reset(tx);
    expect_two_frames(&mut rx);
    let error = rx.recv_with(&mut [0; 1000], soon()).expect_err("the frame is torn");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.to_string().contains("ECONNRESET"), "{error}");
    assert_eq!(kind(rx.recv_with(&mut [0; 1000], soon())), ErrorKind::Disconnected);
}

fn close_inside_a_frame() {
    let (tx, mut rx) = half_a_frame();
    drop(tx);
    expect_two_frames(&mut rx);
    let error = rx.recv_with(&mut [0; 1000], soon()).expect_err("the frame is torn");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.to_string().contains("inside a frame"), "{error}");
}

fn user_timeout() {
    let patience = Duration::from_millis(300);
    for wait in [Wait::Forever, soon()] {
        let (mut tx, _rx) = options().user_timeout(patience).pair().expect("pair");
        let error = loop {
            if let Err(error) = tx.write_with(&[7; 4096], wait) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}: a deadline would be retried");
        assert!(error.to_string().contains("ETIMEDOUT"), "{error}");
        assert_eq!(tx.read_with(&mut [0; 8], soon()), Ok(0));
    }
}

/// Frames arrive whole and in order, into whatever pieces the stream is cut on the way.
fn splitting() {
    let frames = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20);
    let cuts = proptest::collection::vec(1..200_usize, 1..50);
    let mut runner =
        TestRunner::new(ProptestConfig { failure_persistence: None, ..<_>::default() });
    let result = runner.run(&(frames, cuts), |(frames, cuts)| {
        let (tx, rx) = options().pair().expect("pair");
        let mut bytes = Vec::new();
        for frame in &frames {
            bytes.extend((frame.len() as u32).to_le_bytes());
            bytes.extend(frame);
        }
        let mut rx = Framed::new(rx, 300);
        let mut received = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        let mut rest = &bytes[..];
        let mut buf = [0; 300];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(cuts.next().expect("a cycle")));
            (&tx).write_all(piece).expect("write");
            rest = after;
            // What is whole by now, so that every cut is a boundary of a read.
            while let Ok(n) = rx.try_recv(&mut buf) {
                received.push(buf[..n].to_vec());
            }
        }
        drop(tx);
        let end = loop {
            match rx.recv_with(&mut buf, soon()) {
                Ok(n) => received.push(buf[..n].to_vec()),
                Err(error) => break error,
            }
        };
        prop_assert_eq!(end.kind(), ErrorKind::Disconnected);
        prop_assert_eq!(end.note(), None);
        prop_assert_eq!(received, frames);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

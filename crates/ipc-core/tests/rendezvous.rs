//! Sending that waits for the receiver.

use std::time::Duration;

use ipc_core::rendezvous::{Receiver, Sender};
use ipc_core::{ErrorKind, Framed, RecvMsg, SendMsg, Wait};
use ipc_pipe::{PacketReader, PacketWriter, PipeOptions};

type Tx = Sender<PacketWriter, PacketReader>;
type Rx = Receiver<PacketReader, PacketWriter>;

fn pair() -> (Tx, Rx) {
    let (msg_rx, msg_tx) = PipeOptions::new().open_packet().unwrap();
    let (ack_rx, ack_tx) = PipeOptions::new().open_packet().unwrap();
    let tx = Sender::new(msg_tx, ack_rx).unwrap();
    let rx = Receiver::new(msg_rx, ack_tx, tx.max_len()).unwrap();
    (tx, rx)
}

const SHORT: Duration = Duration::from_millis(2);

#[test]
fn send_returns_when_the_receiver_has_the_message() {
    let (mut tx, mut rx) = pair();
    let receiver = std::thread::spawn(move || {
        let mut buf = [0; 4096];
        let mut lens = Vec::new();
        while let Ok(n) = rx.recv(&mut buf) {
            assert!(buf[..n].iter().all(|byte| usize::from(*byte) == n % 251));
            lens.push(n);
        }
        lens
    });
    let lens: Vec<usize> = (0..500).chain([4088]).collect();
    for &len in &lens {
        tx.send(&vec![(len % 251) as u8; len]).unwrap();
        assert!(!tx.unacknowledged());
    }
    drop(tx);
    assert_eq!(receiver.join().unwrap(), lens);
}

#[test]
fn a_message_in_doubt_can_be_waited_for() {
    let (mut tx, mut rx) = pair();
    assert_eq!(tx.send_timeout(b"slow", SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(tx.unacknowledged());
    let mut buf = [0; 8];
    assert_eq!(rx.recv(&mut buf), Ok(4));
    tx.wait_acknowledged(Wait::Never).unwrap();
    assert!(!tx.unacknowledged());
}

/// The acknowledgement of a message that was given up is not taken for that of the next one.
#[test]
fn a_late_acknowledgement_does_not_count_for_another_message() {
    let (mut tx, mut rx) = pair();
    tx.send_timeout(b"given up", SHORT).unwrap_err();
    let mut buf = [0; 8];
    assert_eq!(rx.recv(&mut buf), Ok(8));
    let error = tx.send_timeout(b"next", SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "nobody has received it yet");
    assert_eq!(rx.recv(&mut buf), Ok(4));
    tx.wait_acknowledged(Wait::Never).unwrap();
}

/// Sixteen packets fill the pipe: the next message is refused before it is sent.
#[test]
fn a_refused_message_is_not_in_doubt() {
    let (mut tx, mut rx) = pair();
    for n in 0..16 {
        tx.send_timeout(&[n], SHORT).unwrap_err();
        assert!(tx.unacknowledged());
    }
    for _ in 0..3 {
        assert_eq!(tx.send_timeout(b"no room", SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(!tx.unacknowledged());
    }
    let mut buf = [0; 8];
    for n in 0..16 {
        assert_eq!(rx.recv(&mut buf), Ok(1));
        assert_eq!(buf[0], n);
    }
    assert!(rx.try_recv(&mut buf).is_err(), "a refused message arrived");
}

#[test]
fn a_short_buffer_acknowledges_nothing_and_keeps_the_message() {
    let (mut tx, mut rx) = pair();
    tx.send_timeout(b"too long", SHORT).unwrap_err();
    let error = rx.recv(&mut [0; 3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 8, max: 3 });
    tx.wait_acknowledged(Wait::Never).unwrap_err();
    assert_eq!(rx.recv(&mut [0; 8]), Ok(8));
    tx.wait_acknowledged(Wait::Never).unwrap();
}

#[test]
fn never_is_unsupported_and_sends_nothing() {
    let (mut tx, mut rx) = pair();
    assert_eq!(tx.try_send(b"now!").unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(rx.try_recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn too_long_a_message_sends_nothing() {
    let (mut tx, mut rx) = pair();
    let error = tx.send(&[0; 4089]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 4089, max: 4088 });
    assert_eq!(rx.try_recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_peer_that_does_not_speak_it_is_corrupted() {
    let (msg_rx, mut raw_tx) = PipeOptions::new().open_packet().unwrap();
    let (mut raw_rx, ack_tx) = PipeOptions::new().open_packet().unwrap();
    let mut rx = Receiver::new(msg_rx, ack_tx, 64).unwrap();
    raw_tx.send(b"short").unwrap();
    assert_eq!(rx.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::Corrupted);
    raw_rx.try_recv(&mut [0; 8]).unwrap_err();

    let (_msg_rx, msg_tx) = PipeOptions::new().open_packet().unwrap();
    let (ack_rx, mut raw_tx) = PipeOptions::new().open_packet().unwrap();
    let mut tx = Sender::new(msg_tx, ack_rx).unwrap();
    raw_tx.send(&99_u64.to_le_bytes()).unwrap();
    assert_eq!(tx.send_timeout(b"x", SHORT).unwrap_err().kind(), ErrorKind::Corrupted);
}

#[test]
fn a_receiver_that_is_gone_is_disconnected() {
    let (mut tx, rx) = pair();
    drop(rx);
    assert_eq!(tx.send(b"hello?").unwrap_err().kind(), ErrorKind::Disconnected);
}

/// A sender that gave up and left: what it had sent is received.
#[test]
fn a_message_of_a_sender_that_is_gone_is_received() {
    let (mut tx, mut rx) = pair();
    tx.send_timeout(b"last words", SHORT).unwrap_err();
    drop(tx);
    let mut buf = [0; 16];
    assert_eq!(rx.recv(&mut buf), Ok(10));
    assert_eq!(rx.recv(&mut buf).unwrap_err().kind(), ErrorKind::Disconnected);
}

/// Over a stream, a message may be out in part when the time is over: it is in doubt, and can be
/// waited for.
#[test]
fn a_message_that_has_begun_is_in_doubt() {
    const LEN: usize = 100_000;
    let (msg_rx, msg_tx) = PipeOptions::new().open().unwrap();
    let (ack_rx, ack_tx) = PipeOptions::new().open_packet().unwrap();
    let max = u32::try_from(LEN).unwrap() + 8;
    let mut tx = Sender::new(Framed::new(msg_tx, max), ack_rx).unwrap();
    let mut rx = Receiver::new(Framed::new(msg_rx, max), ack_tx, LEN).unwrap();

    assert_eq!(tx.send_timeout(&[7; LEN], SHORT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(tx.unacknowledged(), "it says that the message was not sent");
    let receiver = std::thread::spawn(move || {
        let mut buf = vec![0; LEN];
        let first = rx.recv(&mut buf);
        (first, rx.recv(&mut buf).map_err(|error| error.kind()))
    });
    tx.wait_acknowledged(Wait::timeout(Duration::from_secs(30))).unwrap();
    drop(tx);
    assert_eq!(receiver.join().unwrap(), (Ok(LEN), Err(ErrorKind::Disconnected)));
}

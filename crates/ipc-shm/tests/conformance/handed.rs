//! Sending ends that were given to another process after room was made with them, and nothing sent.

use ipc_core::{ErrorKind, Handoff, RecvMsg, SendMsg, Wait};
use ipc_shm::ring::{RingOptions, broadcast, mpsc, spsc, unbounded};
use ipc_testkit::{Harness, Peer};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("handed/spsc/what_was_written_to_a_dropped_grant_is_no_message", || {
            let (mut tx, rx) = spsc::pair(&RingOptions::new()).expect("pair");
            let mut grant = tx.reserve(LEN, Wait::Never).expect("room");
            grant.write_at(0, &forged()).expect("write");
            drop(grant);
            one_message("handed/spsc/sends_once", tx, rx);
        })
        .role("handed/spsc/sends_once", sends_once::<spsc::Sender>)
        .test("handed/mpsc/what_was_written_to_a_dropped_grant_is_no_message", || {
            let (mut tx, rx) = mpsc::pair(&RingOptions::new()).expect("pair");
            let mut grant = tx.reserve(LEN, Wait::Never).expect("room");
            grant.write_at(0, &forged()).expect("write");
            drop(grant);
            one_message("handed/mpsc/sends_once", tx, rx);
        })
        .role("handed/mpsc/sends_once", sends_once::<mpsc::Sender>)
        .test("handed/unbounded/what_was_written_to_a_dropped_grant_is_no_message", || {
            let (mut tx, rx) = unbounded::pair(&RingOptions::new()).expect("pair");
            let mut grant = tx.reserve(LEN, Wait::Never).expect("room");
            grant.write_at(0, &forged()).expect("write");
            drop(grant);
            one_message("handed/unbounded/sends_once", tx, rx);
        })
        .role("handed/unbounded/sends_once", sends_once::<unbounded::Sender>)
        .test("handed/broadcast/what_was_written_to_a_dropped_grant_is_no_message", || {
            let (mut tx, rx) = broadcast::pair(&RingOptions::new()).expect("pair");
            let mut grant = tx.reserve(LEN, Wait::Never).expect("room");
            grant.write_at(0, &forged()).expect("write");
            drop(grant);
            one_message("handed/broadcast/sends_once", tx, rx);
        })
        .role("handed/broadcast/sends_once", sends_once::<broadcast::Sender>)
}

const LEN: usize = 256;

/// Words that look like committed records of 8 bytes.
fn forged() -> Vec<u8> {
    (1 << 63 | 8_u64).to_ne_bytes().repeat(LEN / 8)
}

fn one_message(role: &str, tx: impl SendMsg + Handoff, mut rx: impl RecvMsg) {
    let mut peer = Peer::cast(role);
    tx.give(peer.command(), "tx").map_err(|it| it.error).expect("give");
    peer.start().join();
    let mut buf = [0; 64];
    assert_eq!(rx.recv(&mut buf), Ok(1));
    assert_eq!(&buf[..1], b"x");
    assert_eq!(rx.recv(&mut buf).map_err(|it| it.kind()), Err(ErrorKind::Disconnected));
}

fn sends_once<T: SendMsg + Handoff>() {
    T::adopt("tx").expect("adopt").send(b"x").expect("send");
}

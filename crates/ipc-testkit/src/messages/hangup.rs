//! What happens when the other end goes away.

use ipc_core::{ErrorKind, RecvMsg, SendMsg};

use super::{Messages, pair, processes};
use crate::payload::Script;
use crate::waits::{fails, works};
use crate::{Across, across, blocked, note, sys};

pub(super) fn cases<M: Messages>(case: &mut impl FnMut(&str, fn())) {
    if !M::CAPS.reports_peer_death {
        return;
    }
    case("recv_after_sender_drop_drains_and_is_then_disconnected", drain::<M>);
    case("blocked_recv_is_disconnected_when_the_sender_is_dropped", recv_dropped::<M>);
    case("blocked_recv_is_disconnected_when_the_sender_is_killed", recv_killed::<M>);
    case("send_after_receiver_drop_is_disconnected", send_after_drop::<M>);
    case("blocked_send_is_disconnected_when_the_receiver_is_dropped", send_dropped::<M>);
    case("blocked_send_is_disconnected_when_the_receiver_is_killed", send_killed::<M>);
}

const RECV: &str = "recv on an empty channel";
const SEND: &str = "send on a full channel";

fn drain<M: Messages>() {
    let (mut tx, mut rx) = pair::<M>();
    let script = Script::uniform(tx.max_len().min(100));
    let sender = blocked::start("the sender", move || script.send(&mut tx, 0..3));
    // Until they are all sent and the sender is dropped, or the channel is full.
    let _ = sender.settle();
    note("the sender was dropped: if it hangs, recv does not notice");
    script.expect(&mut rx, 0..3);
    sender.join();
    for _ in 0..2 {
        let result = rx.recv(&mut [0; 64]);
        fails("recv after the sender was dropped", result, ErrorKind::Disconnected);
        let result = rx.try_recv(&mut [0; 64]);
        fails("try_recv after the sender was dropped", result, ErrorKind::Disconnected);
    }
}

fn recv_dropped<M: Messages>() {
    let (tx, mut rx) = pair::<M>();
    let blocked = blocked::block(RECV, move || rx.recv(&mut [0; 64]));
    drop(tx);
    note("the sender was dropped: if it hangs, a blocked recv does not notice");
    fails("blocked recv whose sender was dropped", blocked.join(), ErrorKind::Disconnected);
}

fn recv_killed<M: Messages>() {
    across::require::<M::Across, M::Tx>();
    let (tx, mut rx) = pair::<M>();
    let peer = processes::holder::<M>("hold_tx", |command| M::Across::give(tx, command, "tx"));
    let mut buf = [0; 64];
    let len = works("recv of the peer's message", rx.recv(&mut buf));
    assert_eq!(&buf[..len], b"I hold the sending end");
    let blocked = blocked::block(RECV, move || rx.recv(&mut [0; 64]));
    peer.kill();
    note("the sending process was killed: if it hangs, a blocked recv does not notice");
    fails("blocked recv whose sender was killed", blocked.join(), ErrorKind::Disconnected);
}

fn send_after_drop<M: Messages>() {
    sys::default_sigpipe();
    let (mut tx, rx) = pair::<M>();
    drop(rx);
    note("the receiver was dropped: if SIGPIPE kills the process, send does not suppress it");
    for _ in 0..2 {
        let result = tx.send(b"anybody?");
        fails("send after the receiver was dropped", result, ErrorKind::Disconnected);
        let result = tx.try_send(b"anybody?");
        fails("try_send after the receiver was dropped", result, ErrorKind::Disconnected);
    }
}

fn send_dropped<M: Messages>() {
    sys::default_sigpipe();
    let (mut tx, rx) = pair::<M>();
    let script = Script::uniform(tx.max_len());
    let refused = script.message(script.fill(&mut tx, M::SETTLES));
    let blocked = blocked::block(SEND, move || tx.send(&refused));
    drop(rx);
    note("the receiver was dropped: if it hangs, a blocked send does not notice");
    fails("blocked send whose receiver was dropped", blocked.join(), ErrorKind::Disconnected);
}

fn send_killed<M: Messages>() {
    across::require::<M::Across, M::Rx>();
    sys::default_sigpipe();
    let (mut tx, rx) = pair::<M>();
    let peer = processes::holder::<M>("hold_rx", |command| M::Across::give(rx, command, "rx"));
    let script = Script::uniform(tx.max_len());
    let refused = script.message(script.fill(&mut tx, M::SETTLES));
    let blocked = blocked::block(SEND, move || tx.send(&refused));
    peer.kill();
    note("the receiving process was killed: if it hangs, a blocked send does not notice");
    fails("blocked send whose receiver was killed", blocked.join(), ErrorKind::Disconnected);
}

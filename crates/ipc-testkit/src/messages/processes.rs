//! Two processes.

use std::process::Command;

use ipc_core::{RecvMsg, Result, SendMsg};

use super::{MANY, Messages, mixed, pair, role_name};
use crate::payload::Script;
use crate::peer::{hear, say, wait_for_the_end};
use crate::waits::works;
use crate::{Across, Descriptors, Harness, Peer, across, blocked, note, resources};

pub(super) fn cases<M: Messages>(case: &mut impl FnMut(&str, fn())) {
    case("two_processes_exchange_ten_thousand_messages_each_way", exchange::<M>);
    case("an_end_given_to_a_child_reaches_that_child_alone", handoff::<M>);
    case("blocked_recv_is_woken_by_a_send_of_another_process", woken::<M>);
}

pub(super) fn roles<M: Messages>(harness: Harness) -> Harness {
    harness
        .role(role_name::<M>("exchange"), exchanger::<M>)
        .role(role_name::<M>("receive"), receiver::<M>)
        .role(role_name::<M>("hold_tx"), tx_holder::<M>)
        .role(role_name::<M>("hold_rx"), rx_holder::<M>)
}

/// What both processes agree on; it must not depend on an end that only one of them has.
fn script<M: Messages>(max_len: usize) -> Script {
    Script::mixed(max_len, M::CAPS.empty_messages)
}

fn exchange<M: Messages>() {
    across::require::<M::Across, M::Tx>();
    across::require::<M::Across, M::Rx>();
    let (mut there, rx) = pair::<M>();
    let (tx, mut back) = pair::<M>();
    let max_len = there.max_len().min(tx.max_len());
    let mut peer = Peer::cast(role_name::<M>("exchange"));
    peer.command().env("MAX_LEN", max_len.to_string());
    works("give the receiving end", M::Across::give(rx, peer.command(), "rx"));
    works("give the sending end", M::Across::give(tx, peer.command(), "tx"));
    let peer = peer.start();
    note("ten thousand messages go each way: if it hangs, some were lost, or a wake-up was");
    let sender = blocked::start("the sender", move || {
        script::<M>(max_len).send(&mut there, 0..MANY);
        there
    });
    script::<M>(max_len).expect(&mut back, MANY..2 * MANY);
    let there = sender.join();
    peer.join();
    drop(there);
}

/// Receives on the main thread and sends on another, both at once.
fn exchanger<M: Messages>() {
    let max_len = std::env::var("MAX_LEN").ok().and_then(|len| len.parse().ok());
    let max_len: usize = max_len.expect("MAX_LEN is a number");
    let mut rx: M::Rx = works("adopt the receiving end", M::Across::adopt("rx"));
    let mut tx: M::Tx = works("adopt the sending end", M::Across::adopt("tx"));
    let sender = blocked::start("the peer's sender", move || {
        script::<M>(max_len).send(&mut tx, MANY..2 * MANY);
        tx
    });
    script::<M>(max_len).expect(&mut rx, 0..MANY);
    drop(sender.join());
}

fn handoff<M: Messages>() {
    across::require::<M::Across, M::Rx>();
    let before = Descriptors::now();
    let (mut tx, rx) = pair::<M>();
    let opened = Descriptors::now().since(&before);
    let mut peer = Peer::cast(role_name::<M>("receive"));
    works("give the receiving end", M::Across::give(rx, peer.command(), "rx"));
    resources::tell_given(peer.command(), &opened);
    // Another child that is started in this very moment.
    resources::all_close_on_exec(&Descriptors::now().since(&before));
    resources::bystander_has_none_of(&opened);
    let mut peer = peer.start();
    peer.expect("adopted");
    let script = mixed::<M>(&tx);
    for n in 0..3 {
        works("send", tx.send(&script.message(n)));
        let sum: u64 = script.message(n).iter().map(|byte| u64::from(*byte)).sum();
        peer.expect(&format!("{} bytes, sum {sum}", script.message(n).len()));
    }
    peer.tell("done");
    peer.join();
}

/// Adopts, looks whether its own children would inherit the end, and reports what it receives.
fn receiver<M: Messages>() {
    let mut rx: M::Rx = works("adopt the receiving end", M::Across::adopt("rx"));
    resources::adopted_is_close_on_exec();
    say("adopted");
    let mut buf = vec![0; 64 << 10];
    for _ in 0..3 {
        let len = works("recv", rx.recv(&mut buf));
        let sum: u64 = buf[..len].iter().map(|byte| u64::from(*byte)).sum();
        say(format!("{len} bytes, sum {sum}"));
    }
    assert_eq!(hear(), "done");
}

fn woken<M: Messages>() {
    across::require::<M::Across, M::Rx>();
    let before = Descriptors::now();
    let (mut tx, rx) = pair::<M>();
    let opened = Descriptors::now().since(&before);
    let mut peer = Peer::cast(role_name::<M>("receive"));
    works("give the receiving end", M::Across::give(rx, peer.command(), "rx"));
    resources::tell_given(peer.command(), &opened);
    let mut peer = peer.start();
    peer.expect("adopted");
    for n in 1..=3_u64 {
        peer.until_blocked();
        note("a process is blocked in recv, and a message is sent: if it hangs, it is not woken");
        works("send", tx.send(&n.to_le_bytes()));
        peer.expect(&format!("8 bytes, sum {n}"));
    }
    peer.tell("done");
    peer.join();
}

/// Starts a peer that holds one end and does nothing with it.
pub(super) fn holder<M: Messages>(
    role: &str,
    give: impl FnOnce(&mut Command) -> Result<()>,
) -> Peer {
    let mut peer = Peer::cast(role_name::<M>(role));
    works("give an end", give(peer.command()));
    let mut peer = peer.start();
    peer.expect("adopted");
    peer
}

fn tx_holder<M: Messages>() {
    let mut tx: M::Tx = works("adopt the sending end", M::Across::adopt("tx"));
    say("adopted");
    works("send", tx.send(b"I hold the sending end"));
    wait_for_the_end();
}

fn rx_holder<M: Messages>() {
    let _rx: M::Rx = works("adopt the receiving end", M::Across::adopt("rx"));
    say("adopted");
    wait_for_the_end();
}

//! Two processes.

use std::process::Command;

use ipc_core::{ReadBytes, Result, Wait, WriteBytes};

use super::{Bytes, pair, role_name};
use crate::peer::{hear, say, wait_for_the_end};
use crate::waits::works;
use crate::{Across, Descriptors, Harness, Peer, across, blocked, note, resources, stream};

/// How many bytes go each way.
const MANY: u64 = 4 << 20;

pub(super) fn cases<B: Bytes>(case: &mut impl FnMut(&str, fn())) {
    case("two_processes_exchange_four_megabytes_each_way", exchange::<B>);
    case("an_end_given_to_a_child_reaches_that_child_alone", handoff::<B>);
    case("blocked_read_is_woken_by_a_write_of_another_process", woken::<B>);
}

pub(super) fn roles<B: Bytes>(harness: Harness) -> Harness {
    harness
        .role(role_name::<B>("exchange"), exchanger::<B>)
        .role(role_name::<B>("read"), reader::<B>)
        .role(role_name::<B>("hold_tx"), tx_holder::<B>)
        .role(role_name::<B>("hold_rx"), rx_holder::<B>)
}

fn exchange<B: Bytes>() {
    across::require::<B::Across, B::Tx>();
    across::require::<B::Across, B::Rx>();
    let (mut there, rx) = pair::<B>();
    let (tx, mut back) = pair::<B>();
    let mut peer = Peer::cast(role_name::<B>("exchange"));
    works("give the reading end", B::Across::give(rx, peer.command(), "rx"));
    works("give the writing end", B::Across::give(tx, peer.command(), "tx"));
    let peer = peer.start();
    note("four megabytes go each way: if it hangs, some were lost, or a wake-up was");
    let writer = blocked::start("the writer", move || {
        stream::write(&mut there, 0, MANY);
        there
    });
    stream::expect(&mut back, MANY, 2 * MANY);
    let there = writer.join();
    peer.join();
    drop(there);
}

/// Reads on the main thread and writes on another, both at once.
fn exchanger<B: Bytes>() {
    let mut rx: B::Rx = works("adopt the reading end", B::Across::adopt("rx"));
    let mut tx: B::Tx = works("adopt the writing end", B::Across::adopt("tx"));
    let writer = blocked::start("the peer's writer", move || {
        stream::write(&mut tx, MANY, 2 * MANY);
        tx
    });
    stream::expect(&mut rx, 0, MANY);
    drop(writer.join());
}

fn handoff<B: Bytes>() {
    across::require::<B::Across, B::Rx>();
    let before = Descriptors::now();
    let (mut tx, rx) = pair::<B>();
    let opened = Descriptors::now().since(&before);
    let mut peer = Peer::cast(role_name::<B>("read"));
    works("give the reading end", B::Across::give(rx, peer.command(), "rx"));
    resources::tell_given(peer.command(), &opened);
    // Another child that is started in this very moment.
    resources::all_close_on_exec(&Descriptors::now().since(&before));
    resources::bystander_has_none_of(&opened);
    let mut peer = peer.start();
    peer.expect("adopted");
    for text in ["one", "two", "three"] {
        works("write", tx.write_all_with(text.as_bytes(), Wait::Forever));
        let mut said = String::new();
        while said.len() < text.len() {
            said += &peer.listen();
        }
        assert_eq!(said, text, "the child must read what was written");
    }
    drop(tx);
    peer.tell("done");
    peer.join();
}

/// Adopts, looks whether its own children would inherit the end, and reports what it reads until
/// the end of the stream.
fn reader<B: Bytes>() {
    let mut rx: B::Rx = works("adopt the reading end", B::Across::adopt("rx"));
    resources::adopted_is_close_on_exec();
    say("adopted");
    let mut buf = [0; 64];
    let mut left = "onetwothree".len();
    while left > 0 {
        let n = works("read", rx.read_with(&mut buf, Wait::Forever));
        assert_ne!(n, 0, "the stream must not end before its writer is dropped");
        left -= n;
        say(String::from_utf8_lossy(&buf[..n]));
    }
    assert_eq!(hear(), "done");
}

fn woken<B: Bytes>() {
    across::require::<B::Across, B::Rx>();
    let before = Descriptors::now();
    let (mut tx, rx) = pair::<B>();
    let opened = Descriptors::now().since(&before);
    let mut peer = Peer::cast(role_name::<B>("read"));
    works("give the reading end", B::Across::give(rx, peer.command(), "rx"));
    resources::tell_given(peer.command(), &opened);
    let mut peer = peer.start();
    peer.expect("adopted");
    for byte in "onetwothree".bytes() {
        peer.until_blocked();
        note("a process is blocked in read, and a byte is written: if it hangs, it is not woken");
        works("write", tx.write_all_with(&[byte], Wait::Forever));
        peer.expect(&char::from(byte).to_string());
    }
    peer.tell("done");
    peer.join();
}

/// Starts a peer that holds one end and does nothing with it.
pub(super) fn holder<B: Bytes>(role: &str, give: impl FnOnce(&mut Command) -> Result<()>) -> Peer {
    let mut peer = Peer::cast(role_name::<B>(role));
    works("give an end", give(peer.command()));
    let mut peer = peer.start();
    peer.expect("adopted");
    peer
}

fn tx_holder<B: Bytes>() {
    let mut tx: B::Tx = works("adopt the writing end", B::Across::adopt("tx"));
    say("adopted");
    works("write", tx.write_all_with(b"!", Wait::Forever));
    wait_for_the_end();
}

fn rx_holder<B: Bytes>() {
    let _rx: B::Rx = works("adopt the reading end", B::Across::adopt("rx"));
    say("adopted");
    wait_for_the_end();
}

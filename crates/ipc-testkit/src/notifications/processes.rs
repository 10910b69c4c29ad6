//! Two processes.

use ipc_core::Notified;

use super::{Notifications, check, notify, pair, role_name, take_all};
use crate::peer::{hear, say, wait_for_the_end};
use crate::waits::works;
use crate::{Across, Descriptors, Harness, Peer, across, note, resources};

pub(super) fn cases<N: Notifications>(case: &mut impl FnMut(&str, fn())) {
    case("two_processes_notify_each_other_a_thousand_times", ping_pong::<N>);
    case("blocked_wait_is_woken_by_another_process", woken::<N>);
    case("a_notification_outlives_the_process_that_made_it", outlives::<N>);
    case("an_end_given_to_a_child_reaches_that_child_alone", handoff::<N>);
}

pub(super) fn roles<N: Notifications>(harness: Harness) -> Harness {
    harness
        .role(role_name::<N>("echo"), echoer::<N>)
        .role(role_name::<N>("wait"), waiter::<N>)
        .role(role_name::<N>("notify"), notifier::<N>)
}

fn ping_pong<N: Notifications>() {
    across::require::<N::Across, N::Tx>();
    across::require::<N::Across, N::Rx>();
    let (there, rx) = pair::<N>();
    let (tx, back) = pair::<N>();
    let mut peer = Peer::cast(role_name::<N>("echo"));
    works("give", N::Across::give(rx, peer.command(), "rx"));
    works("give", N::Across::give(tx, peer.command(), "tx"));
    let peer = peer.start();
    note("two processes notify each other in turn: if it hangs, one notification was lost");
    for _ in 0..1000 {
        notify(&there);
        check::<N>(works("wait", back.wait()).get(), 1);
    }
    peer.join();
    assert_eq!(take_all(&back), 0, "more were seen than made: they are spurious");
}

fn echoer<N: Notifications>() {
    let rx: N::Rx = works("adopt", N::Across::adopt("rx"));
    let tx: N::Tx = works("adopt", N::Across::adopt("tx"));
    for _ in 0..1000 {
        check::<N>(works("wait", rx.wait()).get(), 1);
        notify(&tx);
    }
}

/// Starts a peer that waits as often as it is told to.
fn start_waiter<N: Notifications>() -> (N::Tx, Peer) {
    across::require::<N::Across, N::Rx>();
    let before = Descriptors::now();
    let (tx, rx) = pair::<N>();
    let opened = Descriptors::now().since(&before);
    let mut peer = Peer::cast(role_name::<N>("wait"));
    works("give", N::Across::give(rx, peer.command(), "rx"));
    resources::tell_given(peer.command(), &opened);
    resources::all_close_on_exec(&Descriptors::now().since(&before));
    resources::bystander_has_none_of(&opened);
    let mut peer = peer.start();
    peer.expect("adopted");
    (tx, peer)
}

fn waiter<N: Notifications>() {
    let rx: N::Rx = works("adopt", N::Across::adopt("rx"));
    resources::adopted_is_close_on_exec();
    say("adopted");
    while hear() == "wait" {
        say("waiting");
        check::<N>(works("wait", rx.wait()).get(), 1);
        say("notified");
    }
}

fn woken<N: Notifications>() {
    let (tx, mut peer) = start_waiter::<N>();
    for _ in 0..3 {
        peer.tell("wait");
        peer.expect("waiting");
        peer.until_blocked();
        note("a process is blocked in wait, and it is notified: if it hangs, it is not woken");
        notify(&tx);
        peer.expect("notified");
    }
    peer.tell("stop");
    peer.join();
}

fn handoff<N: Notifications>() {
    let (tx, mut peer) = start_waiter::<N>();
    notify(&tx);
    peer.tell("wait");
    peer.expect("waiting");
    peer.expect("notified");
    peer.tell("stop");
    peer.join();
}

fn outlives<N: Notifications>() {
    across::require::<N::Across, N::Tx>();
    let (tx, rx) = pair::<N>();
    let mut peer = Peer::cast(role_name::<N>("notify"));
    works("give", N::Across::give(tx, peer.command(), "tx"));
    let mut peer = peer.start();
    peer.expect("made");
    peer.kill();
    check::<N>(take_all(&rx), 1);
}

fn notifier<N: Notifications>() {
    let tx: N::Tx = works("adopt", N::Across::adopt("tx"));
    notify(&tx);
    say("made");
    wait_for_the_end();
}

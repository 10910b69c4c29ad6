//! Two processes.

use ipc_core::Semaphore;

use super::{Semaphores, pair, post, role_name, take_all};
use crate::peer::{hear, say};
use crate::waits::works;
use crate::{Across, Descriptors, Harness, Peer, across, note, resources};

/// How many permits go each way.
const MANY: u64 = 2000;

pub(super) fn cases<S: Semaphores>(case: &mut impl FnMut(&str, fn())) {
    case("permits_are_conserved_between_two_processes", exchange::<S>);
    case("blocked_wait_is_woken_by_a_post_of_another_process", woken::<S>);
    case("a_waiter_that_is_killed_takes_no_permit", killed_waiter::<S>);
    case("a_handle_given_to_a_child_reaches_that_child_alone", handoff::<S>);
}

pub(super) fn roles<S: Semaphores>(harness: Harness) -> Harness {
    harness
        .role(role_name::<S>("exchange"), exchanger::<S>)
        .role(role_name::<S>("wait"), waiter::<S>)
}

fn exchange<S: Semaphores>() {
    across::require::<S::Across, S::Handle>();
    let (there, theirs) = pair::<S>();
    let (back, theirs_back) = pair::<S>();
    let mut peer = Peer::cast(role_name::<S>("exchange"));
    works("give", S::Across::give(theirs, peer.command(), "there"));
    works("give", S::Across::give(theirs_back, peer.command(), "back"));
    let peer = peer.start();
    note("permits go each way between two processes: if it hangs, some were lost");
    for _ in 0..MANY {
        post(&there);
        works("wait", back.wait());
    }
    for _ in 0..MANY {
        post(&there);
    }
    peer.join();
    take_all(&there, 0);
    take_all(&back, MANY);
}

fn exchanger<S: Semaphores>() {
    let there = works("adopt", <S::Across as Across<S::Handle>>::adopt("there"));
    let back = works("adopt", <S::Across as Across<S::Handle>>::adopt("back"));
    for _ in 0..2 * MANY {
        works("wait", there.wait());
        post(&back);
    }
}

/// Starts a peer that waits as often as it is told to.
fn start_waiter<S: Semaphores>() -> (S::Handle, Peer) {
    across::require::<S::Across, S::Handle>();
    let before = Descriptors::now();
    let (ours, theirs) = pair::<S>();
    let opened = Descriptors::now().since(&before);
    let mut peer = Peer::cast(role_name::<S>("wait"));
    works("give", S::Across::give(theirs, peer.command(), "sem"));
    resources::tell_given(peer.command(), &opened);
    resources::all_close_on_exec(&Descriptors::now().since(&before));
    resources::bystander_has_none_of(&opened);
    let mut peer = peer.start();
    peer.expect("adopted");
    (ours, peer)
}

fn waiter<S: Semaphores>() {
    let sem = works("adopt", <S::Across as Across<S::Handle>>::adopt("sem"));
    resources::adopted_is_close_on_exec();
    say("adopted");
    while hear() == "wait" {
        say("waiting");
        works("wait", sem.wait());
        say("taken");
    }
}

fn woken<S: Semaphores>() {
    let (ours, mut peer) = start_waiter::<S>();
    for _ in 0..3 {
        peer.tell("wait");
        peer.expect("waiting");
        peer.until_blocked();
        note("a process is blocked at zero, and a permit is posted: if it hangs, it is not woken");
        post(&ours);
        peer.expect("taken");
    }
    peer.tell("stop");
    peer.join();
    take_all(&ours, 0);
}

fn killed_waiter<S: Semaphores>() {
    let (ours, mut peer) = start_waiter::<S>();
    peer.tell("wait");
    peer.expect("waiting");
    peer.until_blocked();
    peer.kill();
    post(&ours);
    take_all(&ours, 1);
}

fn handoff<S: Semaphores>() {
    let (ours, mut peer) = start_waiter::<S>();
    post(&ours);
    peer.tell("wait");
    peer.expect("waiting");
    peer.expect("taken");
    peer.tell("stop");
    peer.join();
    take_all(&ours, 0);
}

//! Processes that meet by a name.

use std::env;

use ipc_core::{ErrorKind, Named};

use super::{NamedObjects, clean, create, open, role_name};
use crate::peer::{hear, say};
use crate::waits::{fails, works};
use crate::{Harness, Peer};

/// The variable in which a peer finds the address.
const ADDRESS: &str = "IPC_TESTKIT_ADDRESS";

pub(super) fn cases<N: NamedObjects>(case: &mut impl FnMut(&str, fn())) {
    case("another_process_opens_what_was_created", opened::<N>);
    case("another_process_can_create_a_name_only_once_it_is_free", exclusive::<N>);
    case("the_name_of_a_killed_owner_can_be_reclaimed", stale::<N>);
}

pub(super) fn roles<N: NamedObjects>(harness: Harness) -> Harness {
    harness.role(role_name::<N>("clerk"), clerk::<N>)
}

/// Starts a process that creates, opens and unlinks as it is told.
fn start_clerk<N: NamedObjects>(address: &N::Address) -> Peer {
    let mut peer = Peer::cast(role_name::<N>("clerk"));
    peer.command().env(ADDRESS, N::to_text(address));
    peer.start()
}

/// Answers every order with `done` or the kind of the error.
fn clerk<N: NamedObjects>() {
    let text = env::var_os(ADDRESS).expect("the case tells the address");
    let address = N::from_text(&text);
    let mut held = None;
    loop {
        let result = match hear().as_str() {
            "create" => create::<N>(&address).map(|object| held = Some(object)),
            "open" => open::<N>(&address).map(|object| held = Some(object)),
            "unlink" => held.take().expect("it holds one").unlink(),
            "stop" => break,
            order => panic!("the order {order:?} makes no sense"),
        };
        match result {
            Ok(()) => say("done"),
            Err(error) => say(format!("{:?}", error.kind())),
        }
    }
}

/// Gives an order and expects its answer.
#[track_caller]
fn order(peer: &mut Peer, order: &str, answer: &str) {
    peer.tell(order);
    let said = peer.listen();
    assert_eq!(said, answer, "another process was told to {order}");
}

fn opened<N: NamedObjects>() {
    let address = N::fresh();
    let mut peer = start_clerk::<N>(&address);
    order(&mut peer, "open", "NotFound");
    let owner = works("create", create::<N>(&address));
    order(&mut peer, "open", "done");
    order(&mut peer, "unlink", "done");
    fails("open of what another process unlinked", open::<N>(&address), ErrorKind::NotFound);
    fails("unlink of what another process unlinked", owner.unlink(), ErrorKind::NotFound);
    peer.tell("stop");
    peer.join();
}

fn exclusive<N: NamedObjects>() {
    let before = N::traces();
    let address = N::fresh();
    let mut peer = start_clerk::<N>(&address);
    let owner = works("create", create::<N>(&address));
    order(&mut peer, "create", "AlreadyExists");
    works("unlink", owner.unlink());
    order(&mut peer, "create", "done");
    let result = create::<N>(&address);
    fails("create of what another process created", result, ErrorKind::AlreadyExists);
    drop(works("open of what another process created", open::<N>(&address)));
    order(&mut peer, "unlink", "done");
    peer.tell("stop");
    peer.join();
    clean::<N>(&before);
}

/// Nobody removes the name of a process that is killed. Whoever comes next can: it opens the object
/// and unlinks it, unless the name went with its process or the mechanism reclaims it in `create`.
fn stale<N: NamedObjects>() {
    let before = N::traces();
    let address = N::fresh();
    let mut peer = start_clerk::<N>(&address);
    order(&mut peer, "create", "done");
    peer.kill();
    let owner = match create::<N>(&address) {
        Ok(owner) => owner,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "create of a stale name: {error}");
            works("unlink of a stale name", works("open", open::<N>(&address)).unlink());
            works("create of a name that was reclaimed", create::<N>(&address))
        }
    };
    drop(works("open", open::<N>(&address)));
    works("unlink", owner.unlink());
    clean::<N>(&before);
}

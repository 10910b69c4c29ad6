//! When a name exists, and whose it is.

use std::sync::Barrier;
use std::thread;

use ipc_core::{ErrorKind, Named};

use super::{NamedObjects, clean, create, open};
use crate::waits::{fails, works};

pub(super) fn cases<N: NamedObjects>(case: &mut impl FnMut(&str, fn())) {
    case("what_was_created_can_be_opened", opened::<N>);
    case("a_name_that_nobody_created_is_not_found", not_found::<N>);
    case("a_name_can_be_created_only_once", exclusive::<N>);
    case("of_four_threads_that_create_one_name_one_succeeds", contended::<N>);
    case("dropping_the_owner_removes_the_name", dropped_owner::<N>);
    case("dropping_a_guest_leaves_the_name", dropped_guest::<N>);
    case("a_name_that_was_unlinked_can_be_created_again", unlinked::<N>);
    case("a_guest_can_unlink_and_the_owner_notices", unlinked_by_guest::<N>);
    case("unlink_leaves_the_object_of_a_stranger_alone", stranger::<N>);
    case("dropping_the_owner_leaves_the_object_of_a_stranger_alone", stranger_dropped::<N>);
    case("an_object_of_another_type_is_refused_and_left_alone", squatter::<N>);
}

fn remove<N: NamedObjects>(object: N::Object) {
    works("unlink", object.unlink());
}

fn opened<N: NamedObjects>() {
    let before = N::traces();
    let address = N::fresh();
    let owner = works("create", create::<N>(&address));
    let first = works("open", open::<N>(&address));
    let second = works("open it again", open::<N>(&address));
    drop((first, second));
    remove::<N>(owner);
    clean::<N>(&before);
}

fn not_found<N: NamedObjects>() {
    let before = N::traces();
    let address = N::fresh();
    fails("open of a name that nobody created", open::<N>(&address), ErrorKind::NotFound);
    clean::<N>(&before);
}

fn exclusive<N: NamedObjects>() {
    let address = N::fresh();
    let owner = works("create", create::<N>(&address));
    for _ in 0..2 {
        fails("create of a name that exists", create::<N>(&address), ErrorKind::AlreadyExists);
    }
    drop(works("open after a create that was refused", open::<N>(&address)));
    remove::<N>(owner);
    fails("open after unlink", open::<N>(&address), ErrorKind::NotFound);
}

fn contended<N: NamedObjects>() {
    for _ in 0..20 {
        let address = N::fresh();
        let barrier = Barrier::new(4);
        // Returns what came of the owner's unlink, if this thread is the owner.
        let contend = || {
            barrier.wait();
            let result = create::<N>(&address);
            // Nobody gives the name back before all have tried.
            barrier.wait();
            match result {
                Ok(owner) => Some(owner.unlink()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                Err(error) => Some(Err(error)),
            }
        };
        let results = thread::scope(|scope| {
            let threads = [0; 4].map(|_| scope.spawn(contend));
            threads.map(|thread| thread.join().expect("its panic was printed"))
        });
        let owners: Vec<_> = results.into_iter().flatten().collect();
        let count = owners.len();
        assert_eq!(count, 1, "{count} of four threads created the same name: {owners:?}");
        owners.into_iter().for_each(|result| works("unlink", result));
    }
}

fn dropped_owner<N: NamedObjects>() {
    if !N::REMOVED_ON_DROP {
        crate::skip("the fixture says that a name outlives the value that created it");
    }
    let before = N::traces();
    let address = N::fresh();
    let owner = works("create", create::<N>(&address));
    let guest = works("open", open::<N>(&address));
    drop(owner);
    fails("open after the owner was dropped", open::<N>(&address), ErrorKind::NotFound);
    drop(guest);
    clean::<N>(&before);
}

fn dropped_guest<N: NamedObjects>() {
    let address = N::fresh();
    let owner = works("create", create::<N>(&address));
    drop(works("open", open::<N>(&address)));
    drop(works("open after a guest was dropped", open::<N>(&address)));
    remove::<N>(owner);
}

fn unlinked<N: NamedObjects>() {
    let before = N::traces();
    let address = N::fresh();
    for _ in 0..3 {
        let owner = works("create", create::<N>(&address));
        remove::<N>(owner);
        fails("open after unlink", open::<N>(&address), ErrorKind::NotFound);
    }
    clean::<N>(&before);
}

fn unlinked_by_guest<N: NamedObjects>() {
    let address = N::fresh();
    let owner = works("create", create::<N>(&address));
    remove::<N>(works("open", open::<N>(&address)));
    fails("open after unlink", open::<N>(&address), ErrorKind::NotFound);
    fails("unlink of a name that is gone", owner.unlink(), ErrorKind::NotFound);
}

/// An owner whose name a stranger has taken since.
fn usurped<N: NamedObjects>(address: &N::Address) -> (N::Object, N::Object) {
    let owner = works("create", create::<N>(address));
    remove::<N>(works("open", open::<N>(address)));
    let stranger = works("create what was unlinked", create::<N>(address));
    (owner, stranger)
}

#[track_caller]
fn still_there<N: NamedObjects>(address: &N::Address, what: &str) {
    if let Err(error) = open::<N>(address) {
        panic!("{what} removed the object of a stranger: {error}");
    }
}

fn stranger<N: NamedObjects>() {
    let address = N::fresh();
    let (owner, stranger) = usurped::<N>(&address);
    let result = owner.unlink();
    still_there::<N>(&address, "unlink");
    fails("unlink of a name that a stranger has taken", result, ErrorKind::NotFound);
    remove::<N>(stranger);
}

fn stranger_dropped<N: NamedObjects>() {
    let address = N::fresh();
    let (owner, stranger) = usurped::<N>(&address);
    drop(owner);
    still_there::<N>(&address, "dropping the owner");
    remove::<N>(stranger);
}

fn squatter<N: NamedObjects>() {
    let address = N::fresh();
    let Some(take_away) = N::squat(&address) else {
        crate::skip("nothing of another type can have such a name");
    };
    match open::<N>(&address) {
        Err(error) if matches!(error.kind(), ErrorKind::WrongType { .. }) => {}
        Err(error) => panic!("open of another type must be WrongType, and it is: {error}"),
        Ok(object) => panic!("open took something of another type for {object:?}"),
    }
    fails("create over another type", create::<N>(&address), ErrorKind::AlreadyExists);
    take_away();
    remove::<N>(works("create after it was taken away", create::<N>(&address)));
}

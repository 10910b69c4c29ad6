//! Broken listeners: each is the reference with one defect.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_core::{Caps, ErrorKind, Listen, Result, Shape, Wait};
use ipc_testkit::{Harness, Listeners};

use crate::support::listener::{Door, Doors, open_door};

/// What is wrong with accepting.
trait Defect: Send + Sync + 'static {
    const NAME: &'static str;

    fn accept(listener: &Listener<Self>, wait: Wait) -> Result<OwnedFd>;
}

struct Listener<D: ?Sized> {
    door: Door,
    turns_away: AtomicBool,
    defect: PhantomData<D>,
}

impl<D: ?Sized> std::fmt::Debug for Listener<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.door.fmt(f)
    }
}

impl<D: Defect> Listen for Listener<D> {
    type Conn = OwnedFd;

    fn accept_with(&self, wait: Wait) -> Result<OwnedFd> {
        D::accept(self, wait)
    }
}

struct Broken<D>(PhantomData<D>);

impl<D: Defect> Listeners for Broken<D> {
    const NAME: &'static str = D::NAME;
    const CAPS: Caps = Caps::new(Shape::ByteStream);
    type Listener = Listener<D>;
    type Conn = OwnedFd;
    type Client = OwnedFd;

    fn listen() -> Result<Listener<D>> {
        let (door, turns_away) = (open_door()?, AtomicBool::new(false));
        Ok(Listener { door, turns_away, defect: PhantomData })
    }
    fn arrive(listener: &Listener<D>) -> Result<OwnedFd> {
        Doors::arrive(&listener.door)
    }
}

struct IgnoresDeadline;

impl Defect for IgnoresDeadline {
    const NAME: &'static str = "ignores-the-deadline";

    fn accept(listener: &Listener<Self>, wait: Wait) -> Result<OwnedFd> {
        let wait = if wait == Wait::Never { wait } else { Wait::Forever };
        listener.door.accept_with(wait)
    }
}

struct RefusesWithoutDescriptors;

impl Defect for RefusesWithoutDescriptors {
    const NAME: &'static str = "turns-peers-away-without-descriptors";

    fn accept(listener: &Listener<Self>, wait: Wait) -> Result<OwnedFd> {
        // The peer was taken before the descriptor was found missing: it is gone.
        if listener.turns_away.load(Ordering::Relaxed) {
            drop(listener.door.accept_with(wait)?);
        }
        let conn = listener.door.accept_with(wait);
        if let Err(ErrorKind::ResourceLimit { .. }) = conn.as_ref().map_err(|error| error.kind()) {
            listener.turns_away.store(true, Ordering::Relaxed);
        }
        conn
    }
}

/// Which case of the suite catches which defect, and what it says.
pub(crate) fn add(harness: Harness) -> Harness {
    let deadline = "listeners/ignores-the-deadline/accept_times_out_at_its_deadline_and_not_before";
    let waiting = "listeners/turns-peers-away-without-descriptors/\
                   out_of_descriptors_the_peer_keeps_waiting";
    harness
        .catches_hang(
            Harness::listeners::<Broken<IgnoresDeadline>>,
            deadline,
            "the deadline is ignored",
        )
        .catches(
            Harness::listeners::<Broken<RefusesWithoutDescriptors>>,
            waiting,
            "accept of the peer that kept waiting",
        )
}

//! The suite for what accepts connections.

use std::fmt::Debug;
use std::sync::Arc;

use ipc_core::{Caps, ErrorKind, Listen, Result, Wait};

use crate::waits::{self, works};
use crate::{Descriptors, Harness, environment, resources, with_free_descriptors};

/// A listener, as the suite sees it.
pub trait Listeners: 'static {
    /// What the cases are named after: `listeners/NAME/…`.
    const NAME: &'static str;
    /// What the mechanism can do.
    const CAPS: Caps;
    /// What accepts.
    type Listener: Listen<Conn = Self::Conn> + Send + Sync + Debug + 'static;
    /// What it accepts.
    type Conn: Send + Debug + 'static;
    /// A peer that has arrived, whether it was accepted yet or not.
    type Client: Send + Debug + 'static;

    /// A new listener, at which nobody has arrived.
    ///
    /// # Errors
    ///
    /// What the mechanism reports.
    fn listen() -> Result<Self::Listener>;

    /// Arrives at a listener of this process, without waiting to be accepted.
    ///
    /// # Errors
    ///
    /// What the mechanism reports.
    fn arrive(listener: &Self::Listener) -> Result<Self::Client>;

    /// What the mechanism has put where other processes see it: by default, files in the case's
    /// directory. For a namespace of the kernel see [`names_in`](crate::names_in).
    fn traces() -> Vec<String> {
        environment::names_in_dir()
    }
}

const ACCEPT: &str = "accept without a peer";

#[track_caller]
fn listen<L: Listeners>() -> L::Listener {
    works("listen", L::listen())
}

#[track_caller]
fn arrive<L: Listeners>(listener: &L::Listener) -> L::Client {
    works("arrive", L::arrive(listener))
}

impl Harness {
    /// Applies the suite for listeners.
    #[must_use]
    pub fn listeners<L: Listeners>(self) -> Self {
        let mut harness = self;
        let mut case = |name: &str, body: fn()| {
            let whole = format!("listeners/{}/{name}", L::NAME);
            harness = std::mem::take(&mut harness).test(whole, body);
        };
        case("try_accept_without_a_peer_would_block", never::<L>);
        case("accept_times_out_at_its_deadline_and_not_before", deadline::<L>);
        case("a_deadline_in_the_past_accepts_a_peer_that_has_come", past_deadline::<L>);
        case("peers_are_accepted_one_by_one", one_by_one::<L>);
        case("blocked_accept_is_woken_by_a_peer", woken::<L>);
        case("signals_do_not_end_an_accept", interrupted::<L>);
        case("signals_do_not_move_the_deadline_of_an_accept", interrupted_deadline::<L>);
        case("out_of_descriptors_the_peer_keeps_waiting", out_of_descriptors::<L>);
        case("children_inherit_no_descriptor", || {
            resources::children_inherit_nothing(connected::<L>);
        });
        case("a_hundred_cycles_leak_no_descriptor", || resources::no_descriptor_leaks(cycle::<L>));
        case("running_out_of_descriptors_is_a_resource_limit", || {
            resources::descriptors_run_out(L::listen);
        });
        case("nothing_is_left_behind", || resources::no_traces(L::traces, cycle::<L>));
        harness
    }
}

fn connected<L: Listeners>() -> Result<(L::Listener, L::Client, L::Conn)> {
    let listener = L::listen()?;
    let client = L::arrive(&listener)?;
    let conn = listener.accept()?;
    Ok((listener, client, conn))
}

fn cycle<L: Listeners>() {
    drop(works("listen, arrive and accept", connected::<L>()));
}

fn never<L: Listeners>() {
    let listener = listen::<L>();
    waits::never(ACCEPT, |wait| listener.accept_with(wait));
    let _client = arrive::<L>(&listener);
    works("accept", listener.accept());
    waits::never("accept after the last peer", |wait| listener.accept_with(wait));
}

fn deadline<L: Listeners>() {
    let listener = listen::<L>();
    waits::deadline(ACCEPT, |wait| listener.accept_with(wait));
}

fn past_deadline<L: Listeners>() {
    let listener = listen::<L>();
    waits::past_deadline(ACCEPT, |wait| listener.accept_with(wait));
    let _client = arrive::<L>(&listener);
    let past = Wait::Until(waits::past());
    works("accept with a deadline in the past", listener.accept_with(past));
}

fn one_by_one<L: Listeners>() {
    let listener = listen::<L>();
    let _clients = [arrive::<L>(&listener), arrive::<L>(&listener), arrive::<L>(&listener)];
    for _ in 0..3 {
        works("accept of a peer that has come", listener.try_accept());
    }
    waits::never("accept after the last peer", |wait| listener.accept_with(wait));
}

fn woken<L: Listeners>() {
    let listener = Arc::new(listen::<L>());
    for wait in waits::long_waits() {
        let accepting = Arc::clone(&listener);
        let op = move |wait| accepting.accept_with(wait);
        let mut client = None;
        let wake = || client = Some(arrive::<L>(&listener));
        works(ACCEPT, waits::woken(ACCEPT, wait, op, wake));
    }
}

fn interrupted<L: Listeners>() {
    let listener = Arc::new(listen::<L>());
    let accepting = Arc::clone(&listener);
    let op = move |wait| accepting.accept_with(wait);
    let mut client = None;
    let wake = || client = Some(arrive::<L>(&listener));
    works(ACCEPT, waits::interrupted(ACCEPT, op, wake));
}

fn interrupted_deadline<L: Listeners>() {
    let listener = listen::<L>();
    waits::interrupted_deadline(ACCEPT, move |wait| listener.accept_with(wait));
}

/// Without a descriptor for the connection, accept fails, and the peer is accepted later.
fn out_of_descriptors<L: Listeners>() {
    let listener = listen::<L>();
    let _client = arrive::<L>(&listener);
    let before = Descriptors::now();
    match with_free_descriptors(0, || listener.try_accept()) {
        Ok(_) => crate::skip("a connection needs no descriptor"),
        Err(error) => {
            let is_limit = matches!(error.kind(), ErrorKind::ResourceLimit { .. });
            assert!(is_limit, "accept without descriptors must be ResourceLimit, and is: {error}");
        }
    }
    let leaked = Descriptors::now().since(&before);
    assert_eq!(leaked.0.len(), 0, "accept failed and leaked descriptors: {leaked}");
    works("accept of the peer that kept waiting", listener.try_accept());
}

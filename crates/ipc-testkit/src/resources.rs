//! What creating, using and dropping must not leave behind: the checks that the suites share.

use std::fmt::Debug;
use std::process::Command;

use ipc_core::{ErrorKind, Result};

use crate::peer::{Peer, say};
use crate::{Descriptors, with_free_descriptors};

/// How often a cycle runs.
const CYCLES: usize = 100;

/// The role that tells what it has inherited; every harness has it.
pub(crate) const BYSTANDER: &str = "ipc-testkit/bystander";

/// The variable in which a peer finds what its end consists of.
const GIVEN: &str = "IPC_TESTKIT_GIVEN";

/// A cycle of creating, using and dropping leaves no descriptor open.
#[track_caller]
pub(crate) fn no_descriptor_leaks(mut cycle: impl FnMut()) {
    // Whatever is set up once and kept on purpose.
    cycle();
    let before = Descriptors::now();
    for _ in 0..CYCLES {
        cycle();
    }
    let leaked = Descriptors::now().since(&before);
    let count = leaked.0.len();
    assert_eq!(count, 0, "{CYCLES} cycles leaked {count} descriptors: {leaked}");
}

/// A cycle leaves nothing where other processes could see it.
#[track_caller]
pub(crate) fn no_traces(traces: fn() -> Vec<String>, mut cycle: impl FnMut()) {
    let before = traces();
    for _ in 0..3 {
        cycle();
    }
    let after = traces();
    assert_eq!(after, before, "something was left behind");
}

/// Without descriptors, creating fails with `ResourceLimit` and leaks none, however many are free.
#[track_caller]
pub(crate) fn descriptors_run_out<T: Debug>(mut create: impl FnMut() -> Result<T>) {
    drop(crate::waits::works("create", create()));
    let before = Descriptors::now();
    for free in 0..64 {
        let result = with_free_descriptors(free, &mut create);
        let error = match result {
            Ok(_) => return,
            Err(error) => error,
        };
        let what = format!("with {free} free descriptors, create");
        let is_limit = matches!(error.kind(), ErrorKind::ResourceLimit { .. });
        assert!(is_limit, "{what} must be ResourceLimit, and it is: {error}");
        let leaked = Descriptors::now().since(&before);
        assert_eq!(leaked.0.len(), 0, "{what} failed and leaked descriptors: {leaked}");
    }
    panic!("64 free descriptors do not suffice to create one");
}

/// What `create` opens is close-on-exec, and a child that is given nothing has none of it.
#[track_caller]
pub(crate) fn children_inherit_nothing<T>(create: impl FnOnce() -> Result<T>) {
    let before = Descriptors::now();
    let ends = crate::waits::works("create", create());
    let opened = Descriptors::now().since(&before);
    all_close_on_exec(&opened);
    bystander_has_none_of(&opened);
    drop(ends);
}

/// Asserts that no descriptor stays open in a program that is executed.
#[track_caller]
pub(crate) fn all_close_on_exec(opened: &Descriptors) {
    for (fd, it) in &opened.0 {
        let target = &it.target;
        assert!(it.close_on_exec, "descriptor {fd} ({target}) is not close-on-exec");
    }
}

/// Tells the peer that is to be started what the end it is given consists of.
pub(crate) fn tell_given(command: &mut Command, given: &Descriptors) {
    let targets: Vec<_> = given.0.values().map(|it| it.target.as_str()).collect();
    command.env(GIVEN, targets.join("\n"));
}

/// In a peer that has adopted an end: its own children would not inherit it.
#[track_caller]
pub(crate) fn adopted_is_close_on_exec() {
    let given = std::env::var(GIVEN).expect("the case tells what it gives");
    let mut adopted = Descriptors::now();
    adopted.0.retain(|_, it| given.lines().any(|target| target == it.target));
    all_close_on_exec(&adopted);
}

/// Starts a child that is given nothing, and asserts that it has inherited none of these.
#[track_caller]
pub(crate) fn bystander_has_none_of(opened: &Descriptors) {
    let mut peer = Peer::start(BYSTANDER);
    let mut inherited = Vec::new();
    loop {
        match peer.listen().as_str() {
            "that is all" => break,
            target => inherited.push(target.to_owned()),
        }
    }
    peer.join();
    for (fd, it) in &opened.0 {
        let target = &it.target;
        let leaked = inherited.contains(target);
        assert!(!leaked, "a child that was given nothing inherited descriptor {fd} ({target})");
    }
}

/// Tells what it has inherited beyond standard input, output and error.
pub(crate) fn bystander() {
    for (_, it) in Descriptors::now().0.range(3..) {
        say(&it.target);
    }
    say("that is all");
}

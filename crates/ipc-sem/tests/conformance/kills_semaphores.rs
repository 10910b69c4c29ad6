//! Waiters at semaphores are killed at random moments, and no permit is made up or lost without need.

use std::process::Command;
use std::time::Duration;

use ipc_core::{Handoff, Semaphore};
use ipc_sem::posix::{NamedSem, SemOptions, UnnamedSem};
use ipc_sem::sysv::{Sem, SetOptions};
use ipc_sem::{EventFdSem, Shared};
use ipc_testkit::{Harness, Peer, say};

use crate::fixtures::{fresh_name, give};
use crate::kills::{a_moment, kills};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kills/posix-sem/each_takes_one_permit_at_most", named)
        .test("kills/posix-sem-unnamed/each_takes_one_permit_at_most", unnamed)
        .test("kills/eventfd-sem/each_takes_one_permit_at_most", eventfd)
        .test("kills/sysv-sem/undo_gives_every_permit_back", sysv)
        .role("kills/posix-sem", || takes_and_gives(NamedSem::adopt("sem").expect("adopt")))
        .role("kills/posix-sem-unnamed", || {
            takes_and_gives(Shared::<UnnamedSem>::adopt("sem").expect("adopt"));
        })
        .role("kills/eventfd-sem", || takes_and_gives(EventFdSem::adopt("sem").expect("adopt")))
        .role("kills/sysv-sem", || takes_and_gives(Sem::adopt("sem").expect("adopt").undo()))
}

fn named() {
    let name = fresh_name();
    let ours = SemOptions::new().create(&name).expect("create");
    let another = || SemOptions::new().open(&name).expect("open");
    permits("kills/posix-sem", 1, &ours, |to| {
        another().give(to, "sem").map_err(|it| it.error).expect("give");
    });
}

fn unnamed() {
    let ours = Shared::<UnnamedSem>::new(0).expect("new");
    permits("kills/posix-sem-unnamed", 1, &ours, |to| give(&ours, to, "sem"));
}

fn eventfd() {
    let ours = EventFdSem::new(0).expect("new");
    permits("kills/eventfd-sem", 1, &ours, |to| {
        let theirs = ours.try_clone().expect("clone");
        theirs.give(to, "sem").map_err(|it| it.error).expect("give");
    });
}

fn sysv() {
    let set = SetOptions::new().private().expect("private");
    let ours = set.sem(0).expect("sem");
    permits("kills/sysv-sem", 0, &ours, |to| {
        set.sem(0).expect("sem").give(to, "sem").map_err(|it| it.error).expect("give");
    });
}

/// Victims that take and give back. Half of them find permits, half wait for one that is posted while they are
/// killed. Each may take `lost` permits with it.
fn permits(role: &str, lost: u64, ours: &impl Semaphore, give: impl Fn(&mut Command)) {
    for kill in 0..kills() {
        let stock = if kill % 2 == 0 { 4 } else { 0 };
        (0..stock).for_each(|_| ours.post().expect("post"));
        let mut peer = Peer::cast(role);
        give(peer.command());
        let mut peer = peer.start();
        peer.expect("ready");
        let made = if stock == 0 {
            ours.post().expect("post");
            1
        } else {
            stock
        };
        a_moment(kill);
        peer.kill();
        let mut left = 0;
        while ours.try_wait().is_ok() {
            left += 1;
        }
        assert!(left <= made, "kill {kill}: {left} permits of {made}: some were made up");
        assert!(left + lost >= made, "kill {kill}: only {left} permits of {made} are left");
        // Whoever comes next is served.
        ours.post().expect("post");
        ours.wait().expect("the permit that was just posted");
    }
}

fn takes_and_gives(sem: impl Semaphore) {
    say("ready");
    loop {
        // With and without a deadline, and without sleeping.
        sem.wait().expect("wait");
        sem.post().expect("post");
        if sem.try_wait().is_ok() {
            sem.post().expect("post");
        }
        if sem.wait_timeout(Duration::from_micros(200)).is_ok() {
            sem.post().expect("post");
        }
    }
}

//! Four processes lock again and again and are killed, and what the lock protects stays whole.
//!
//! `IPC_SEM_LOCKS` says how often they lock, `IPC_SEM_KILLS` how many of them are killed.

use ipc_core::Handoff;
use ipc_sem::{LockError, Mutex, MutexGuard, Shared};
use ipc_testkit::{Harness, Peer};

use crate::fixtures::give;
use crate::kills::{a_moment, kills};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("kills/soak/four_processes_lock_and_are_killed", soak)
        .role("kills/soak", locks_many_times)
}

/// How often the processes of the soak lock.
fn locks() -> u64 {
    std::env::var("IPC_SEM_LOCKS").map_or(1_000_000, |n| n.parse().expect("a number"))
}

/// What the soak protects: how often it was locked, how often by each process, and how many deaths were told. The
/// first is the sum of the next four, but while it is being changed.
type Ledger = [u64; 6];

fn lock_ledger(lock: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    match lock.lock() {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1..5].iter().sum(), "it is half done, and nobody was told");
            guard
        }
        Err(LockError::OwnerDied(mut died)) => {
            let sum: u64 = died[1..5].iter().sum();
            assert!(died[0] == sum || died[0] == sum + 1, "{died:?}");
            died[0] = sum;
            died[5] += 1;
            died.recover()
        }
        Err(LockError::Failed(error)) => panic!("{error}"),
    }
}

fn soak() {
    let lock = Shared::<Mutex<Ledger>>::new([0; 6]).expect("new");
    let hire = |place: usize| {
        let mut peer = Peer::cast("kills/soak");
        give(&lock, peer.command(), "shared");
        peer.command().env("PLACE", place.to_string());
        peer.start()
    };
    let mut workers = [0, 1, 2, 3].map(hire);
    let mut killed = 0_u64;
    loop {
        a_moment(killed);
        std::thread::yield_now();
        let place = (killed % 4) as usize;
        std::mem::replace(&mut workers[place], hire(place)).kill();
        killed += 1;
        if lock_ledger(&lock)[0] >= locks() && killed >= kills() {
            break;
        }
    }
    workers.into_iter().for_each(Peer::kill);
    let guard = lock_ledger(&lock);
    println!("{} locks, {killed} kills, {} with the lock", guard[0], guard[5]);
}

fn locks_many_times() {
    let lock = Shared::<Mutex<Ledger>>::adopt("shared").expect("adopt");
    let place: usize = std::env::var("PLACE").expect("PLACE").parse().expect("a number");
    loop {
        let mut guard = lock_ledger(&lock);
        guard[0] += 1;
        guard[1 + place] += 1;
    }
}

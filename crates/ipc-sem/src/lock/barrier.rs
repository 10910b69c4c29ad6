//! A barrier whose members may die.
//!
//! Each member holds a robust mutex, its *seat*, as long as it is one: so the others can see that it has died.
//! Arrivals are counted in one word, which also says which round it is. A seat that is taken, and that nobody holds,
//! is that of a dead member.
#![expect(unsafe_code, reason = "it says of itself that it may be shared")]

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use ipc_core::{Caps, Error, ErrorKind, Mechanism, Persistence, Result, Shape, Wait};
use ipc_fd::kind::os;

use super::lock_with;
use crate::futex;
use crate::shared::Shareable;
use crate::sys::mutex::{Got, RawMutex};

/// The most members.
const SEATS: usize = 64;

/// A barrier in shared memory: a number of members wait until all of them have come.
///
/// Who takes part [`join`](Self::join)s, and so takes one of as many seats as there are members.
///
/// # When a process dies
///
/// A member that dies, wherever it is, breaks the round: within 100 ms all who wait get
/// [`ErrorKind::OwnerDied`], and so does whoever comes, until somebody else [`join`](Self::join)s in the dead
/// one's place. Then all begin a new round. Nobody waits for a dead process.
///
/// # Errors
///
/// - [`ErrorKind::WouldBlock`] and [`ErrorKind::TimedOut`]: the arrival is taken back;
/// - [`ErrorKind::OwnerDied`] as above;
/// - of `join`, [`ErrorKind::ResourceLimit`] when all seats are taken by living members.
///
/// # Limits
///
/// 64 members.
///
/// # Limitations
///
/// A member that *leaves* (is dropped) is waited for, as one that has not joined yet.
///
/// # Platform
///
/// As for [`Mutex`](crate::Mutex).
///
/// # Examples
///
/// ```
/// use ipc_sem::{Barrier, Shared};
///
/// let barrier = Shared::<Barrier>::new(3)?;
/// std::thread::scope(|scope| {
///     for _ in 0..3 {
///         scope.spawn(|| {
///             let member = barrier.join().unwrap();
///             for _round in 0..10 {
///                 member.wait().unwrap();
///             }
///         });
///     }
/// });
/// # Ok::<(), ipc_core::Error>(())
/// ```
///
/// # References
///
/// `pthread_barrier_wait`(3), `futex`(2).
#[doc(alias = "pthread_barrier_t")]
#[repr(C)]
pub struct Barrier {
    /// How many members.
    parties: AtomicU32,
    /// The round, which of those before were broken, and how many have arrived: see [`Round`].
    round: AtomicU32,
    /// Which seats have a member, alive or dead; written by who holds the table.
    taken: AtomicU64,
    /// Held by who looks for a seat, for the dead, or leaves.
    table: RawMutex,
    seats: [RawMutex; SEATS],
}

/// The word of a barrier, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Round {
    /// How many rounds there were before, in 16 bits.
    number: u32,
    /// Which of the 9 rounds before were broken by a death, the last one in the lowest bit.
    broken: u32,
    /// How many have arrived in this one: less than 128.
    arrived: u32,
}

impl Round {
    /// How many rounds before are remembered.
    const PAST: u32 = 9;

    const fn of(word: u32) -> Self {
        Self { number: word >> 16, broken: word >> 7 & 0x1ff, arrived: word & 0x7f }
    }

    const fn word(self) -> u32 {
        self.number << 16 | self.broken << 7 | self.arrived
    }

    /// The one after this.
    const fn next(self, broken: bool) -> Self {
        let past = (self.broken << 1 | broken as u32) & 0x1ff;
        Self { number: (self.number + 1) & 0xffff, broken: past, arrived: 0 }
    }

    /// How a round has ended for one who arrived in it: whether it was broken, or nothing yet.
    ///
    /// One who sleeps on does not see the rounds that come next, which are all broken, since it has not come to
    /// them. Of one that is too long ago, nobody knows more.
    const fn end_of(self, number: u32) -> Option<bool> {
        match self.number.wrapping_sub(number) & 0xffff {
            0 => None,
            ago @ 1..=Self::PAST => Some(self.broken >> (ago - 1) & 1 == 1),
            _ => Some(true),
        }
    }
}

/// A member of a [`Barrier`], until it is dropped. It stays in its thread.
///
/// # Examples
///
/// See [`Barrier`].
#[must_use = "a member that is dropped is waited for"]
pub struct Member<'a> {
    barrier: &'a Barrier,
    seat: usize,
    stays: PhantomData<*const ()>,
}

const OP: &str = "wait at barrier";

impl Barrier {
    /// Takes a seat: that of a member that has died, if there is one.
    ///
    /// # Errors
    ///
    /// See [`Barrier`].
    pub fn join(&self) -> Result<Member<'_>> {
        let table = self.table(Wait::Forever)?;
        let dead = self.find_dead();
        let taken = self.taken.load(Ordering::Relaxed);
        let free = || (0..self.seats().len()).find(|seat| taken & 1 << seat == 0);
        let Some(seat) = dead.or_else(free) else {
            let kind = ErrorKind::ResourceLimit {
                limit: "seats at this barrier",
                knob: "the number that it was made with, 64 at most",
            };
            return Err(Error::new(kind, "join barrier"));
        };
        // Nobody else holds the seat: its member has died, or has left.
        if lock_with(&self.seats[seat], Wait::Forever)? == Got::OwnerDied {
            self.seats[seat].consistent();
        }
        self.taken.store(taken | 1 << seat, Ordering::Relaxed);
        if dead.is_some() {
            // It may have arrived before it died. All begin anew.
            self.break_round();
        }
        drop(table);
        Ok(Member { barrier: self, seat, stays: PhantomData })
    }

    /// How many members it is for.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.parties.load(Ordering::Relaxed)
    }

    fn seats(&self) -> &[RawMutex] {
        let parties = usize::try_from(self.parties()).unwrap_or(SEATS);
        &self.seats[..parties.min(SEATS)]
    }

    fn round(&self) -> Round {
        Round::of(self.round.load(Ordering::Acquire))
    }

    fn change_round(&self, from: Round, to: Round) -> bool {
        let (order, seen) = (Ordering::AcqRel, Ordering::Relaxed);
        self.round.compare_exchange(from.word(), to.word(), order, seen).is_ok()
    }

    fn table(&self, wait: Wait) -> Result<Table<'_>> {
        if lock_with(&self.table, wait)? == Got::OwnerDied {
            // Who holds it makes one change of one word.
            self.table.consistent();
        }
        Ok(Table(self))
    }

    /// The seat of a member that has died. The table is held.
    fn find_dead(&self) -> Option<usize> {
        let taken = self.taken.load(Ordering::Relaxed);
        let mut members = (0..self.seats().len()).filter(|at| taken & 1 << at != 0);
        members.find(|at| match self.seats[*at].try_lock() {
            Ok(got) => {
                if got == Got::OwnerDied {
                    self.seats[*at].consistent();
                }
                // It is taken and not held: the next one sees the same.
                let _ = self.seats[*at].unlock();
                true
            }
            Err(_) => false,
        })
    }

    /// Ends the round for those who have arrived in it.
    fn break_round(&self) {
        loop {
            let now = self.round();
            if now.arrived == 0 {
                return;
            }
            if self.change_round(now, now.next(true)) {
                futex::wake(&self.round, u32::MAX);
                return;
            }
        }
    }
}

/// That the table is held.
struct Table<'a>(&'a Barrier);

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let _ = self.0.table.unlock();
    }
}

impl Member<'_> {
    /// Waits until all have come, as `wait` says; whether this was the last one.
    ///
    /// # Errors
    ///
    /// See [`Barrier`].
    pub fn wait_with(&self, wait: Wait) -> Result<bool> {
        let barrier = self.barrier;
        let number = loop {
            let now = barrier.round();
            if now.arrived + 1 >= barrier.parties() {
                if barrier.change_round(now, now.next(false)) {
                    futex::wake(&barrier.round, u32::MAX);
                    return Ok(true);
                }
                continue;
            }
            if wait == Wait::Never {
                return Err(Error::new(ErrorKind::WouldBlock, OP));
            }
            if barrier.change_round(now, Round { arrived: now.arrived + 1, ..now }) {
                break now.number;
            }
        };
        loop {
            let now = barrier.round();
            match now.end_of(number) {
                Some(true) => return Err(Error::new(ErrorKind::OwnerDied, OP)),
                Some(false) => return Ok(false),
                None => {}
            }
            match futex::doze(&barrier.round, now.word(), wait) {
                Ok(()) if barrier.round().number == number => {
                    // Who finds it held leaves it to the other, so as to keep to its deadline.
                    let table = barrier.table(Wait::Never);
                    let looks = table.is_ok() && barrier.find_dead().is_some();
                    if looks && barrier.round().number == number {
                        barrier.break_round();
                    }
                }
                Ok(()) => {}
                Err(error) => {
                    // Unless the last one has come meanwhile.
                    let now = barrier.round();
                    let without = Round { arrived: now.arrived.saturating_sub(1), ..now };
                    if now.number == number && barrier.change_round(now, without) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Waits until all have come; whether this was the last one.
    ///
    /// # Errors
    ///
    /// See [`Barrier`].
    pub fn wait(&self) -> Result<bool> {
        self.wait_with(Wait::Forever)
    }

    /// Waits until all have come, and blocks for `timeout` at most.
    ///
    /// # Errors
    ///
    /// See [`Barrier`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_with(Wait::timeout(timeout))
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let seat = &self.barrier.seats[self.seat];
        // A forked child's copy has no seat to leave.
        if !seat.is_held_by_this_thread() {
            return;
        }
        if let Ok(_table) = self.barrier.table(Wait::Forever) {
            self.barrier.taken.fetch_and(!(1 << self.seat), Ordering::Relaxed);
            let _ = seat.unlock();
        }
    }
}

// SAFETY: `init` makes mutexes that are shared between processes, and the rest are atomics.
unsafe impl Shareable for Barrier {
    type Init = u32;

    const KNOWS_THREADS: bool = true;

    unsafe fn init(this: *mut Self, parties: u32) -> Result<()> {
        if parties == 0 || parties as usize > SEATS {
            return Err(Error::new(ErrorKind::InvalidInput, "make barrier")
                .with_note("a barrier is for 1 to 64 members"));
        }
        // SAFETY: the caller promises the place.
        let table = unsafe { &raw mut (*this).table };
        // SAFETY: as above.
        let seats = unsafe { &raw mut (*this).seats };
        let first = seats.cast::<RawMutex>();
        for mutex in (0..SEATS).map(|n| first.wrapping_add(n)).chain([table]) {
            // SAFETY: a part of the caller's place.
            unsafe { RawMutex::init(mutex) }.map_err(os("pthread_mutex_init"))?;
        }
        // SAFETY: the caller promises the place. The other atomics are zero already.
        let to = unsafe { &raw mut (*this).parties };
        // SAFETY: a part of the caller's place.
        unsafe { to.write(AtomicU32::new(parties)) };
        Ok(())
    }

    fn describe(to: &mut String) {
        to.push_str("Barrier");
    }

    fn is_held_here(&self) -> bool {
        self.table.is_held_here() || self.seats.iter().any(RawMutex::is_held_here)
    }
}

impl Mechanism for Barrier {
    const NAME: &'static str = "barrier";
    const CAPS: Caps = Caps::new(Shape::Notification)
        .anonymous()
        .named()
        .persistence(Persistence::Process)
        .reports_peer_death();
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Round { number, arrived, .. } = self.round();
        let mut all = f.debug_struct("Barrier");
        all.field("parties", &self.parties()).field("arrived", &arrived);
        all.field("round", &number).finish_non_exhaustive()
    }
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("seat", &self.seat).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_a_word() {
        for number in [0, 1, 0xffff] {
            for (broken, arrived) in [(0, 0), (1, 63), (0x1ff, 64)] {
                let round = Round { number, broken, arrived };
                assert_eq!(Round::of(round.word()), round);
            }
        }
        let last = Round { number: 0xffff, broken: 0x101, arrived: 3 };
        assert_eq!(last.next(false), Round { number: 0, broken: 2, arrived: 0 });
    }

    #[test]
    fn a_round_knows_how_those_before_have_ended() {
        for first in [0, 5, 0xfffd] {
            let mut round = Round { number: first, broken: 0, arrived: 1 };
            assert_eq!(round.end_of(first), None);
            round = round.next(false);
            for _ in 1..Round::PAST {
                assert_eq!(round.end_of(first), Some(false));
                round = round.next(true);
                assert_eq!(round.end_of(round.number.wrapping_sub(1) & 0xffff), Some(true));
            }
            assert_eq!(round.end_of(first), Some(false));
            assert_eq!(round.next(true).end_of(first), Some(true), "it is too long ago");
        }
    }
}

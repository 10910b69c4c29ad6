//! The protocol of the condition variable under a model checker, which tries every order in which threads can run
//! and every store that a load can see. There is no timeout in it: a wake-up that is lost is a deadlock, which
//! the checker reports.

use std::cell::Cell;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::sequence::{AWAITED, ONE, Word, notify, prepare};

/// The word, and the futex as the kernel has it: a lock, and a queue.
struct Model {
    word: AtomicU32,
    kernel: Mutex<()>,
    queue: Condvar,
}

impl Model {
    fn new() -> Self {
        Self { word: AtomicU32::new(0), kernel: Mutex::new(()), queue: Condvar::new() }
    }

    /// The kernel compares under the lock that a wake-up takes.
    fn sleep(&self, expected: u32) {
        let lock = self.kernel.lock().expect("lock");
        if self.word.load(Ordering::SeqCst) == expected {
            drop(self.queue.wait(lock).expect("wait"));
        }
    }
}

impl Word for Model {
    fn load(&self) -> u32 {
        self.word.load(Ordering::Acquire)
    }

    fn compare_exchange(&self, old: u32, new: u32) -> bool {
        self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn wake_all(&self) {
        let _lock = self.kernel.lock().expect("lock");
        self.queue.notify_all();
    }
}

/// The word as one sees it who is killed when it is about to wake the sleepers, or when it has woken them.
struct Killed {
    things: Arc<Things>,
    after_waking: bool,
    dead: Cell<bool>,
}

impl Word for Killed {
    fn load(&self) -> u32 {
        self.things.more.load()
    }

    fn compare_exchange(&self, old: u32, new: u32) -> bool {
        !self.dead.get() && self.things.more.compare_exchange(old, new)
    }

    fn wake_all(&self) {
        if self.after_waking && !self.dead.get() {
            self.things.more.wake_all();
        }
        self.dead.set(true);
    }
}

/// A number of things, behind a mutex, and the condition variable for more.
struct Things {
    mutex: Mutex<u32>,
    more: Model,
}

impl Things {
    fn new() -> Arc<Self> {
        Arc::new(Self { mutex: Mutex::new(0), more: Model::new() })
    }

    /// Takes one, and waits for it.
    fn take(&self) {
        let mut things = self.mutex.lock().expect("lock");
        while *things == 0 {
            let word = prepare(&self.more);
            drop(things);
            self.more.sleep(word);
            things = self.mutex.lock().expect("lock");
        }
        *things -= 1;
    }

    /// Wants one, and is killed before it sleeps.
    fn take_and_die(&self) {
        let things = self.mutex.lock().expect("lock");
        if *things == 0 {
            prepare(&self.more);
        }
    }

    /// Wants one, and is killed when it is woken. If there is one before, it is killed earlier.
    fn sleep_and_die(&self) {
        let things = self.mutex.lock().expect("lock");
        if *things == 0 {
            let word = prepare(&self.more);
            drop(things);
            self.more.sleep(word);
        }
    }

    fn put(&self, count: u32, notify: fn(&Model)) {
        *self.mutex.lock().expect("lock") += count;
        notify(&self.more);
    }
}

fn check(run: impl Fn() + Sync + Send + 'static) {
    check_within(3, run);
}

/// Tries every order in which threads are interrupted so often at most where they need not wait.
fn check_within(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(run);
}

/// One thread takes, another puts.
fn one_takes(notify: fn(&Model)) {
    let things = Things::new();
    let theirs = Arc::clone(&things);
    let taker = thread::spawn(move || theirs.take());
    things.put(1, notify);
    taker.join().expect("join");
}

#[test]
fn who_waits_is_woken() {
    check(|| one_takes(notify));
}

/// Two threads take, another puts what they need, in so many pieces.
fn two_take(pieces: u32) {
    let things = Things::new();
    let takers = [0, 1].map(|_| {
        let theirs = Arc::clone(&things);
        thread::spawn(move || theirs.take())
    });
    for _ in 0..pieces {
        things.put(2 / pieces, notify);
    }
    takers.into_iter().for_each(|taker| taker.join().expect("join"));
}

#[test]
fn two_who_wait_are_woken_by_one_notification_and_by_two() {
    check(|| two_take(1));
    check(|| two_take(2));
}

/// One was killed before it slept, another one when it was woken, and a notification takes the bit away while a third
/// one comes to sleep.
fn after_deaths(notify: fn(&Model)) {
    let things = Things::new();
    things.take_and_die();
    let [theirs, victims] = [0, 1].map(|_| Arc::clone(&things));
    let victim = thread::spawn(move || victims.sleep_and_die());
    let taker = thread::spawn(move || theirs.take());
    notify(&things.more);
    things.put(1, notify);
    taker.join().expect("join");
    // So that the model ends: the victim may be asleep still.
    things.put(1, notify);
    victim.join().expect("join");
}

#[test]
fn those_who_were_killed_take_nothing_from_who_waits() {
    // Two are enough to find what is wrong with the broken ones below, and three take ten times as long.
    check_within(2, || after_deaths(notify));
}

/// One who notifies is killed in the middle of it, and another one notifies.
fn after_a_dead_notifier(dies: fn(&Killed), lives: fn(&Model)) {
    for after_waking in [false, true] {
        check(move || {
            let things = Things::new();
            let theirs = Arc::clone(&things);
            let taker = thread::spawn(move || theirs.take());
            *things.mutex.lock().expect("lock") += 1;
            dies(&Killed { things: Arc::clone(&things), after_waking, dead: Cell::new(false) });
            lives(&things.more);
            taker.join().expect("join");
        });
    }
}

#[test]
fn a_notifier_that_was_killed_hides_nobody_from_the_next() {
    after_a_dead_notifier(notify, notify);
}

/// Runs a check that must find a deadlock in a process of its own: what the checker does then is more than a test
/// survives.
fn deadlocks(test: &str, check: fn()) {
    const CHILD: &str = "IPC_SEM_TEST_BROKEN";
    if std::env::var_os(CHILD).is_some() {
        return check();
    }
    let mut child = std::process::Command::new(std::env::current_exe().expect("own path"));
    let name = format!("lock::model::{test}");
    let output =
        child.args(["--exact", &name, "--nocapture"]).env(CHILD, "1").output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("deadlock"), "it found nothing: {said}");
}

/// Wakes without changing the word: who is about to sleep does.
fn unchanged(model: &Model) {
    if model.load() & AWAITED != 0 {
        model.wake_all();
    }
}

#[test]
fn a_wake_up_without_a_change_is_caught() {
    deadlocks("a_wake_up_without_a_change_is_caught", || check(|| one_takes(unchanged)));
}

/// Wakes one, as `pthread_cond_signal` does.
fn chosen(model: &Model) {
    let now = model.load();
    if now & AWAITED != 0 {
        model.compare_exchange(now, now.wrapping_add(ONE));
        let _lock = model.kernel.lock().expect("lock");
        model.queue.notify_one();
    }
}

#[test]
fn a_wake_up_for_one_who_was_killed_is_caught() {
    deadlocks("a_wake_up_for_one_who_was_killed_is_caught", || {
        check_within(2, || after_deaths(chosen))
    });
}

/// Says that nobody is asleep before it has woken them.
fn hasty(word: &impl Word) {
    let now = word.load();
    if now & AWAITED != 0 {
        word.compare_exchange(now, now.wrapping_add(ONE) & !AWAITED);
        word.wake_all();
    }
}

#[test]
fn a_notifier_that_hides_the_sleepers_and_dies_is_caught() {
    let test = "a_notifier_that_hides_the_sleepers_and_dies_is_caught";
    deadlocks(test, || after_a_dead_notifier(hasty, hasty));
}

/// Says that nobody is asleep, whoever has come since.
fn forgetful(model: &Model) {
    let now = model.load();
    if now & AWAITED != 0 {
        let counted = now.wrapping_add(ONE);
        model.compare_exchange(now, counted);
        model.wake_all();
        model.compare_exchange(counted, counted & !AWAITED);
    }
}

#[test]
fn a_notification_that_hides_who_has_come_since_is_caught() {
    let test = "a_notification_that_hides_who_has_come_since_is_caught";
    deadlocks(test, || check_within(2, || after_deaths(forgetful)));
}

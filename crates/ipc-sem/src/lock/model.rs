//! The protocol of the condition variable under a model checker, which tries every order in which threads can run
//! and every store that a load can see. There is no timeout in it: a wake-up that is lost is a deadlock, which
//! the checker reports.

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::sequence::{Word, notify_all, notify_one, prepare};

/// The word, and the futex as the kernel has it: a lock, and a queue.
struct Model {
    word: AtomicU32,
    /// How many sleep, and have not been woken.
    asleep: Mutex<usize>,
    queue: Condvar,
}

impl Model {
    fn new() -> Self {
        Self { word: AtomicU32::new(0), asleep: Mutex::new(0), queue: Condvar::new() }
    }

    /// The kernel compares under the lock that a wake-up takes.
    fn sleep(&self, expected: u32) {
        let mut asleep = self.asleep.lock().expect("lock");
        if self.word.load(Ordering::SeqCst) == expected {
            *asleep += 1;
            drop(self.queue.wait(asleep).expect("wait"));
        }
    }
}

impl Word for Model {
    fn load(&self) -> u32 {
        self.word.load(Ordering::Acquire)
    }

    fn fetch_or(&self, bits: u32) -> u32 {
        self.word.fetch_or(bits, Ordering::AcqRel)
    }

    fn compare_exchange(&self, old: u32, new: u32) -> bool {
        self.word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn wake(&self, count: u32) -> usize {
        let mut asleep = self.asleep.lock().expect("lock");
        let woken = (*asleep).min(count as usize);
        *asleep -= woken;
        for _ in 0..woken {
            self.queue.notify_one();
        }
        woken
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

    fn put(&self, count: u32, notify: fn(&Model)) {
        *self.mutex.lock().expect("lock") += count;
        notify(&self.more);
    }
}

fn check(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
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
fn who_waits_is_woken_by_one_and_by_all() {
    check(|| one_takes(notify_one));
    check(|| one_takes(notify_all));
}

#[test]
fn two_who_wait_are_woken_by_two() {
    check(|| {
        let things = Things::new();
        let takers = [0, 1].map(|_| {
            let theirs = Arc::clone(&things);
            thread::spawn(move || theirs.take())
        });
        things.put(1, notify_one);
        things.put(1, notify_one);
        takers.into_iter().for_each(|taker| taker.join().expect("join"));
    });
}

#[test]
fn two_who_wait_are_woken_by_all() {
    check(|| {
        let things = Things::new();
        let takers = [0, 1].map(|_| {
            let theirs = Arc::clone(&things);
            thread::spawn(move || theirs.take())
        });
        things.put(2, notify_all);
        takers.into_iter().for_each(|taker| taker.join().expect("join"));
    });
}

/// A notification in between takes away what one who was killed has left, while another one comes to sleep.
fn after_a_death(notify: fn(&Model)) {
    let things = Things::new();
    let theirs = Arc::clone(&things);
    things.take_and_die();
    let taker = thread::spawn(move || theirs.take());
    notify(&things.more);
    things.put(1, notify_one);
    taker.join().expect("join");
}

#[test]
fn one_who_was_killed_leaves_nothing_that_hides_another() {
    check(|| after_a_death(notify_one));
    check(|| after_a_death(notify_all));
}

/// A notification that takes the bit away and does not wake who has come since.
fn forgetful(model: &Model) {
    let now = model.load();
    if now & 1 == 1 && model.wake(1) == 0 {
        model.compare_exchange(now, now.wrapping_add(1));
    }
}

/// In a process of its own: what the checker does when it finds a deadlock is more than a test survives.
#[test]
fn a_notification_that_forgets_who_has_come_since_is_caught() {
    const CHILD: &str = "IPC_SEM_TEST_FORGETFUL";
    if std::env::var_os(CHILD).is_some() {
        check(|| after_a_death(forgetful));
        return;
    }
    let name = "lock::model::a_notification_that_forgets_who_has_come_since_is_caught";
    let mut child = std::process::Command::new(std::env::current_exe().expect("own path"));
    let output =
        child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("deadlock"), "it found nothing: {said}");
}

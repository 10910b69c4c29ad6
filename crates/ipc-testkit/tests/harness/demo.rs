//! A harness whose cases behave in every way in which cases can.

use std::env;
use std::ffi::OsString;
use std::io::{PipeReader, Read, pipe};
use std::process::{self, Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_testkit::{Harness, Peer, block, dir, hear, note, say, skip, wait_for_the_end};

/// Set in the processes of the demonstration.
const DEMO: &str = "IPC_TESTKIT_DEMO";

/// Where a case that hangs writes the process ids of itself and its peer.
const PIDS: &str = "IPC_TESTKIT_DEMO_PIDS";

pub(crate) fn is_asked_for() -> bool {
    env::var_os(DEMO).is_some()
}

/// A command that runs the demonstration with these arguments.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    for (key, _) in env::vars_os() {
        if key.to_str().is_some_and(|key| key.starts_with("IPC_TESTKIT_")) {
            command.env_remove(key);
        }
    }
    // A run that is killed leaves the directory of its case behind: in that of ours.
    command.env(DEMO, "1").env("TMPDIR", dir()).args(args);
    command
}

/// A [`command`] whose hanging cases write their process ids to a file; its path.
pub(crate) fn hanging_command(args: &[&str]) -> (Command, OsString) {
    let path = dir().join("pids").into_os_string();
    let mut command = command(args);
    command.env(PIDS, &path);
    (command, path)
}

/// What a run prints.
pub(crate) struct Printed {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Printed {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { stdout, stderr, status } = command.output().expect("run the demonstration");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { out: text(stdout), err: text(stderr), code: status.code() }
    }

    #[track_caller]
    pub(crate) fn says(&self, what: &str) {
        let Self { out, err, code } = self;
        let said = out.contains(what) || err.contains(what);
        assert!(said, "it does not say {what:?} ({code:?}):\n{out}\n{err}");
    }

    #[track_caller]
    pub(crate) fn does_not_say(&self, what: &str) {
        let Self { out, err, .. } = self;
        assert!(!out.contains(what) && !err.contains(what), "it says {what:?}:\n{out}\n{err}");
    }
}

pub(crate) fn harness() -> Harness {
    Harness::new()
        .test("demo/passes", || note("a passing case says nothing"))
        .test("demo/is_fresh", is_fresh)
        .test("demo/is_fresh_too", is_fresh)
        .test("demo/panics", panics)
        .test("demo/returns_an_error", || Err::<(), _>("it returned an error on purpose"))
        .test("demo/aborts", aborts)
        .test("demo/exits", exits)
        .test("demo/skips", skips)
        .test("demo/cannot_comply", panics)
        .except("demo/cannot_comply", "the mechanism has no such thing")
        .test("demo/peer_answers", peer_answers)
        .test("demo/peer_panics", || Peer::start("demo/panic").join())
        .test("demo/peer_ends_early", || Peer::start("demo/end").expect("something"))
        .test("demo/leaves_a_process", leaves_a_process)
        .test("demo/does_not_block", || drop(block("what returns at once", || 42)))
        .test("demo/hangs", hangs)
        .role("demo/echo", || say(hear().to_uppercase()))
        .role("demo/panic", panics)
        .role("demo/end", || ())
        .role("demo/wait", waits)
        .role("demo/stay", stays)
}

fn panics() {
    panic!("it panicked on purpose");
}

fn aborts() {
    process::abort();
}

fn exits() {
    process::exit(3);
}

fn skips() {
    skip("this kernel is too old");
}

fn waits() {
    wait_for_the_end();
}

/// In the same process it could not be true twice.
fn is_fresh() {
    static USED: AtomicBool = AtomicBool::new(false);
    assert!(!USED.swap(true, Ordering::Relaxed));
}

fn peer_answers() {
    let mut peer = Peer::start("demo/echo");
    peer.tell("hello");
    peer.expect("HELLO");
    peer.join();
}

/// Two threads and a peer, all blocked.
fn hangs() {
    let mut peer = Peer::start("demo/wait");
    peer.until_blocked();
    let (rx, _tx) = pipe().expect("pipe");
    let _blocked = block("reading nothing", move || read_for_ever(rx));
    if let Some(path) = env::var_os(PIDS) {
        let pids = format!("{} {}\n", process::id(), peer.pid().as_raw_nonzero());
        std::fs::write(path, pids).expect("write the process ids");
    }
    note("it hangs on purpose");
    peer.expect("something that it never says");
}

fn leaves_a_process() {
    let mut peer = Peer::start("demo/stay");
    peer.expect("I shall stay");
    std::mem::forget(peer);
}

/// Takes care not to be killed when its parent ends.
fn stays() {
    rustix::process::set_parent_process_death_signal(None).expect("prctl");
    let (rx, _tx) = pipe().expect("pipe");
    say("I shall stay");
    read_for_ever(rx);
}

fn read_for_ever(mut rx: PipeReader) {
    let _ = rx.read(&mut [0]);
}

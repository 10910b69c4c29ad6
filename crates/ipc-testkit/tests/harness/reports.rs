//! What a run says, and how it ends.

use ipc_testkit::{Harness, unique_name};

use crate::demo::{Printed, command};

pub(crate) fn add(harness: Harness) -> Harness {
    harness
        .test("harness/a_passing_run_succeeds_and_shows_no_output", passing)
        .test("harness/each_case_has_a_process_of_its_own", fresh)
        .test("harness/a_panic_fails_the_run_and_shows_the_output", panicking)
        .test("harness/an_error_fails_the_run_and_is_shown", error)
        .test("harness/a_signal_that_ended_a_case_is_named", signal)
        .test("harness/an_exit_status_is_named", exit)
        .test("harness/a_skipped_case_is_loud_and_does_not_fail_the_run", skipped)
        .test("harness/an_excepted_case_is_loud_and_does_not_run", excepted)
        .test("harness/a_peer_answers", peer)
        .test("harness/the_panic_of_a_peer_fails_the_case_and_is_shown", peer_panic)
        .test("harness/a_peer_that_ends_early_fails_the_case", peer_ended)
        .test("harness/an_operation_that_does_not_block_is_shown_with_its_result", not_blocked)
        .test("harness/cases_are_listed_and_filtered", listed)
        .test("harness/a_deadline_that_is_no_number_is_explained", bad_deadline)
        .test("harness/unique_names_differ", unique)
}

fn run(case: &str) -> Printed {
    Printed::of(&mut command(&["--exact", case]))
}

#[track_caller]
fn fails(case: &str, says: &str) {
    let printed = run(case);
    assert_eq!(printed.code, Some(101), "a run with a failed case");
    printed.says(&format!("---- {case} ----"));
    printed.says(says);
}

fn passing() {
    let printed = run("demo/passes");
    assert_eq!(printed.code, Some(0));
    printed.says("1 passed; 0 failed; 0 ignored");
    printed.does_not_say("a passing case says nothing");
}

fn fresh() {
    for threads in ["1", "2"] {
        let printed = Printed::of(&mut command(&["is_fresh", "--test-threads", threads]));
        assert_eq!(printed.code, Some(0));
        printed.says("2 passed; 0 failed; 0 ignored");
    }
}

fn panicking() {
    fails("demo/panics", "it panicked on purpose");
}

fn error() {
    fails("demo/returns_an_error", "demo/returns_an_error: it returned an error on purpose");
}

fn signal() {
    fails("demo/aborts", "demo/aborts was killed by SIGABRT (6)");
}

fn exit() {
    fails("demo/exits", "demo/exits failed with exit status 3");
}

fn skipped() {
    let printed = Printed::of(&mut command(&["skips"]));
    assert_eq!(printed.code, Some(0));
    printed.says("SKIP demo/skips: this kernel is too old");
    printed.says("1 skipped: demo/skips");
    printed.says("0 passed; 0 failed; 1 ignored");
}

fn excepted() {
    let printed = run("demo/cannot_comply");
    assert_eq!(printed.code, Some(0));
    printed.says("SKIP demo/cannot_comply: the mechanism has no such thing");
    printed.says("1 skipped: demo/cannot_comply");
}

fn peer() {
    assert_eq!(run("demo/peer_answers").code, Some(0));
}

fn peer_panic() {
    fails("demo/peer_panics", "it panicked on purpose");
    fails("demo/peer_panics", "the peer demo/panic failed");
}

fn peer_ended() {
    fails("demo/peer_ends_early", "the peer demo/end ended early: ended without an error");
}

fn not_blocked() {
    fails("demo/does_not_block", "what returns at once did not block: 42");
}

fn listed() {
    let printed = Printed::of(&mut command(&["--list", "--format", "terse"]));
    assert_eq!(printed.code, Some(0));
    printed.says("demo/passes: test");
    printed.says("demo/hangs: test");
    let printed = Printed::of(&mut command(&["demo/pa", "--skip", "panics"]));
    assert_eq!(printed.code, Some(0));
    printed.says("1 passed; 0 failed; 0 ignored");
}

fn bad_deadline() {
    for deadline in ["soon", "0", "-1", ""] {
        let mut command = command(&["--exact", "demo/passes"]);
        let printed = Printed::of(command.env(ipc_testkit::DEADLINE, deadline));
        assert_ne!(printed.code, Some(0), "a deadline of {deadline:?}");
        printed.says("IPC_TESTKIT_DEADLINE_SECS must be a number of seconds above 0");
    }
}

fn unique() {
    let names = [0; 3].map(|_| unique_name());
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    assert!(names.iter().all(|name| name.len() < 100 && name.bytes().all(plain)), "{names:?}");
    std::fs::write(ipc_testkit::dir().join(&names[0]), "").expect("write");
    assert_eq!(ipc_testkit::names_in(ipc_testkit::dir()), [names[0].as_str()]);
    std::fs::remove_file(ipc_testkit::dir().join(&names[0])).expect("remove");
}

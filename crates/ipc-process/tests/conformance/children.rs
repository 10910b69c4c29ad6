//! Children: every way to end, every way to wait, and every way to do it wrong.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipc_core::{ErrorKind, Wait};
use ipc_process::{Child, Liveness, OnDrop, Process, reap_any, wait_all, wait_any};
use ipc_testkit::{Harness, block, with_free_descriptors};

use crate::forks::{ends_when_told, fork, forked_with};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("children/exit_codes_and_signals_are_told", exit_codes)
        .test("children/a_core_dump_is_told", core_dump)
        .test("children/each_way_to_wait_sees_a_child_run_and_end", ways_to_wait)
        .test("children/a_deadline_that_has_passed_still_takes_what_is_there", past_deadline)
        .test("children/signals_do_not_end_a_wait", interrupted)
        .test("children/a_second_wait_is_invalid_and_the_status_stays", double_wait)
        .test("children/a_wait_without_children_is_not_found", no_children)
        .test("children/a_status_that_was_taken_elsewhere_is_lost", status_taken)
        .test("children/a_status_is_lost_where_sigchld_is_ignored", sigchld_ignored)
        .test("children/any_of_several_is_the_one_that_ended", any)
        .test("children/any_leaves_other_children_alone", any_leaves_others)
        .test("children/all_are_waited_for_and_a_timeout_keeps_the_rest", all)
        .test("children/dropping_waits", drop_waits)
        .test("children/dropping_kills_if_told", drop_kills)
        .test("children/dropping_leaves_a_zombie_only_if_told", drop_leaves)
        .test("children/dropping_closes_its_input_before_it_waits", drop_closes_input)
        .test("children/a_program_that_is_not_there_is_not_found", no_program)
        .test("children/no_descriptor_is_left_for_a_child", no_descriptors)
        .test("children/a_reaper_takes_every_child", reaper)
}

fn exit_codes() {
    for code in [0, 1, 101, 255] {
        let status = fork(move || code).wait().expect("wait");
        assert_eq!((status.code(), status.signal()), (Some(code.into()), None));
    }
    for signal in [1, 9, 15, 34] {
        let (mut child, _hold) = ends_when_told();
        child.process().send_signal(signal).expect("send");
        let status = child.wait().expect("wait");
        assert_eq!((status.code(), status.signal()), (None, Some(signal)));
        assert!(!status.core_dumped());
    }
}

/// `SIGQUIT` dumps core where the limit and the machine allow it; both answers are checked against what
/// `wait4` packs, by another way.
fn core_dump() {
    let script = "ulimit -c unlimited; kill -QUIT $$";
    let run = |command: &mut Command| {
        command.args(["-c", script]).current_dir(ipc_testkit::dir());
    };
    let mut ours = Command::new("sh");
    let mut theirs = Command::new("sh");
    run(&mut ours);
    run(&mut theirs);
    let status = Child::spawn(&mut ours).expect("spawn").wait().expect("wait");
    assert_eq!(status, theirs.status().expect("std waits"));
    assert_eq!(status.signal(), Some(3));
    for entry in std::fs::read_dir(ipc_testkit::dir()).expect("the directory").flatten() {
        std::fs::remove_file(entry.path()).expect("remove the core");
    }
    if !status.core_dumped() {
        ipc_testkit::skip("this machine dumps no core: see /proc/sys/kernel/core_pattern");
    }
}

fn ways_to_wait() {
    let (mut child, hold) = ends_when_told();
    assert_eq!(child.try_wait().expect_err("it runs").kind(), ErrorKind::WouldBlock);
    let error = child.wait_timeout(Duration::from_millis(1)).expect_err("it runs");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(child.status(), None);
    let blocked = block("wait for a child", move || child.wait());
    drop(hold);
    assert!(blocked.join().expect("wait").success());

    let (mut child, hold) = ends_when_told();
    let later = Wait::Until(Instant::now() + Duration::from_secs(3600));
    let blocked = block("wait for a child with a deadline", move || child.wait_with(later));
    drop(hold);
    assert!(blocked.join().expect("wait").success());

    let (mut child, hold) = ends_when_told();
    drop(hold);
    child.process().wait_exit(Wait::Forever).expect("its end");
    assert!(child.try_wait().expect("it has ended").success());
}

fn past_deadline() {
    let mut child = fork(|| 3);
    child.process().wait_exit(Wait::Forever).expect("its end");
    assert_eq!(child.wait_with(Wait::Until(Instant::now())).expect("wait").code(), Some(3));
}

fn interrupted() {
    for wait in [Wait::Forever, Wait::timeout(Duration::from_secs(3600))] {
        let (mut child, hold) = ends_when_told();
        let blocked = block("wait for a child", move || child.wait_with(wait));
        assert_eq!(blocked.interrupt(20), 20);
        drop(hold);
        assert!(blocked.join().expect("wait").success());
    }
}

fn double_wait() {
    let mut child = fork(|| 5);
    let status = child.wait().expect("wait");
    for wait in [Wait::Forever, Wait::Never, Wait::timeout(Duration::from_secs(1))] {
        let error = child.wait_with(wait).expect_err("it was waited for");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::InvalidInput, None));
    }
    assert_eq!(child.status(), Some(status));
    let error = child.process().kill().expect_err("its pid is free");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn no_children() {
    for wait in [Wait::Forever, Wait::Never, Wait::timeout(Duration::from_secs(1))] {
        let error = reap_any(wait).expect_err("there is no child");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, Some(libc::ECHILD)));
        let error = wait_any(&mut [], wait).expect_err("there is no child");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(wait_all(&mut [], wait), Ok(()));
    }
    let mut waited = [fork(|| 0)];
    wait_all(&mut waited, Wait::Forever).expect("wait");
    let error = wait_any(&mut waited, Wait::Forever).expect_err("it was waited for");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn status_taken() {
    let mut child = fork(|| 6);
    let (pid, status) = reap_any(Wait::Forever).expect("reap");
    assert_eq!((pid, status.code()), (child.pid(), Some(6)));
    for wait in [Wait::Forever, Wait::Never, Wait::timeout(Duration::from_secs(1))] {
        let error = child.wait_with(wait).expect_err("it is lost");
        let expected = (ErrorKind::Disconnected, Some(libc::ECHILD));
        assert_eq!((error.kind(), error.raw_os_error()), expected);
    }
    let error = wait_any(&mut [child], Wait::Forever).expect_err("it is lost");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
}

fn sigchld_ignored() {
    crate::programs::ignore_sigchld();
    let (mut child, hold) = ends_when_told();
    drop(hold);
    assert_eq!(child.wait().expect_err("it is lost").kind(), ErrorKind::Disconnected);
    // Gone before there is a handle, or after: it is the same to the caller.
    for _ in 0..50 {
        let error = match crate::forks::try_fork(|| 0) {
            Ok(mut child) => child.wait().expect_err("it is lost"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Disconnected);
    }
}

fn any() {
    let (first, _first) = ends_when_told();
    let (second, told) = ends_when_told();
    let (third, last) = ends_when_told();
    let mut children = [first, second, third];
    let error = wait_any(&mut children, Wait::Never).expect_err("all run");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let error = wait_any(&mut children, Wait::timeout(Duration::from_millis(1)));
    assert_eq!(error.expect_err("all run").kind(), ErrorKind::TimedOut);
    drop(told);
    assert_eq!(wait_any(&mut children, Wait::Forever).expect("one has ended").0, 1);
    drop(last);
    assert_eq!(wait_any(&mut children, Wait::Forever).expect("another one").0, 2);
    children[0].on_drop(OnDrop::Kill);
}

fn any_leaves_others() {
    let mut other = Command::new("true").spawn().expect("spawn");
    let (child, hold) = ends_when_told();
    drop(hold);
    assert!(wait_any(&mut [child], Wait::Forever).expect("wait").1.success());
    assert!(other.wait().expect("its status is there").success());
}

fn all() {
    let (first, first_told) = ends_when_told();
    let (second, second_told) = ends_when_told();
    let mut children = [first, second];
    drop(second_told);
    children[1].process().wait_exit(Wait::Forever).expect("its end");
    let error = wait_all(&mut children, Wait::Never).expect_err("one runs");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(children[0].status().is_none() && children[1].status().is_some());
    drop(first_told);
    wait_all(&mut children, Wait::Forever).expect("wait");
    assert!(children.iter().all(|child| child.status().is_some_and(|status| status.success())));
}

fn drop_waits() {
    let (child, hold) = ends_when_told();
    let process = child.process().try_clone().expect("clone");
    let blocked = block("drop a child", move || drop(child));
    drop(hold);
    blocked.join();
    assert_eq!(process.liveness(), Ok(Liveness::Gone));
}

fn drop_kills() {
    let (mut child, _hold) = ends_when_told();
    let process = child.process().try_clone().expect("clone");
    child.on_drop(OnDrop::Kill);
    drop(child);
    assert_eq!(process.liveness(), Ok(Liveness::Gone));
}

fn drop_leaves() {
    let child = forked_with(OnDrop::Leave, || 4);
    let (pid, process) = (child.pid(), child.process().try_clone().expect("clone"));
    drop(child);
    process.wait_exit(Wait::Forever).expect("its end");
    assert_eq!(process.liveness(), Ok(Liveness::Zombie));
    let (reaped, status) = reap_any(Wait::Never).expect("reap");
    assert_eq!((reaped, status.code()), (pid, Some(4)));
    assert_eq!(process.liveness(), Ok(Liveness::Gone));
}

fn drop_closes_input() {
    let mut child = Child::spawn(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()))
        .expect("cat");
    let mut out = child.stdout.take().expect("it is a pipe");
    drop(child);
    assert_eq!(out.read(&mut [0]).expect("read"), 0);
}

fn no_program() {
    let error = Child::spawn(&mut Command::new("/nonexistent/program")).expect_err("no program");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, Some(libc::ENOENT)));
    let error = Child::spawn(&mut Command::new("/")).expect_err("a directory");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let error = Child::spawn(Command::new("true").arg("\0")).expect_err("a NUL");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

fn no_descriptors() {
    let limited = |error: ipc_core::Error| matches!(error.kind(), ErrorKind::ResourceLimit { .. });
    with_free_descriptors(0, || {
        assert!(crate::forks::try_fork(|| 0).is_err_and(limited));
        assert!(Process::this().is_err_and(limited));
    });
    // There was no child at all.
    assert_eq!(reap_any(Wait::Never).expect_err("no child").kind(), ErrorKind::NotFound);
    // One is enough, and a fork leaves none behind.
    let before = with_free_descriptors(1, || fork(|| 0).as_raw());
    assert!(before >= 0);
}

fn reaper() {
    let mut pids: Vec<_> =
        (0..5).map(|n| forked_with(OnDrop::Leave, move || n)).map(|child| child.pid()).collect();
    for turn in 0..5 {
        let wait = [Wait::Forever, Wait::timeout(Duration::from_secs(3600))][turn % 2];
        let (pid, status) = reap_any(wait).expect("reap");
        let at = pids.iter().position(|it| *it == pid).expect("a child of ours, once");
        pids.remove(at);
        assert!(status.code().is_some_and(|code| code < 5));
    }
    assert_eq!(reap_any(Wait::Forever).expect_err("no child").kind(), ErrorKind::NotFound);

    let (child, _hold) = ends_when_told();
    assert_eq!(reap_any(Wait::Never).expect_err("it runs").kind(), ErrorKind::WouldBlock);
    let error = reap_any(Wait::timeout(Duration::from_millis(5))).expect_err("it runs");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    child.process().kill().expect("kill");
}

/// The number of a child's descriptor.
trait AsRaw {
    fn as_raw(&self) -> i32;
}

impl AsRaw for Child {
    fn as_raw(&self) -> i32 {
        std::os::fd::AsFd::as_fd(self).as_raw_fd()
    }
}

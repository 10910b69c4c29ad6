//! The watchdog, and that no process outlives its case.

use std::fs;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::thread;

use ipc_testkit::{Harness, dir};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::demo::{Printed, command, hanging_command};

pub(crate) fn add(harness: Harness) -> Harness {
    harness
        .test("watchdog/a_hung_case_is_killed_with_all_its_processes", hung)
        .test("watchdog/its_report_says_what_each_thread_was_blocked_in", autopsy)
        .test("watchdog/a_process_that_a_case_leaves_behind_fails_it_and_is_killed", left)
        .test("watchdog/nothing_outlives_a_run_that_is_killed", killed_run)
}

/// The two processes of a case that hangs, once it does.
fn pids(path: &std::ffi::OsStr) -> Option<[i32; 2]> {
    let text = fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))?;
    let pids: Vec<_> = text.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect();
    pids.try_into().ok()
}

/// Whether the process has ended; a zombie has.
fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    match stat.rsplit_once(") ") {
        None => true,
        Some((_, state)) => state.starts_with(['Z', 'X']),
    }
}

fn hung() {
    let (mut command, path) = hanging_command(&["--exact", "demo/hangs"]);
    let printed = Printed::of(command.env(ipc_testkit::DEADLINE, "2"));
    assert_eq!(printed.code, Some(101));
    printed.says("demo/hangs hung: it was not finished after 2s (IPC_TESTKIT_DEADLINE_SECS");
    printed.says("note: it hangs on purpose");
    let pids = pids(&path).expect("it got as far as to hang");
    assert!(pids.into_iter().all(has_ended), "a process outlived its case");
    clean_up();
}

fn autopsy() {
    let (mut command, _) = hanging_command(&["--exact", "demo/hangs"]);
    let printed = Printed::of(command.env(ipc_testkit::DEADLINE, "2"));
    printed.says("(demo/hangs):");
    printed.says("thread main: S (sleeping), in read of fd");
    printed.says("thread reading nothing: S (sleeping), in read of fd");
    printed.says("(demo/wait):");
    printed.says("thread main: S (sleeping), in read of fd 0 (pipe:");
    clean_up();
}

fn left() {
    let printed = Printed::of(&mut command(&["--exact", "demo/leaves_a_process"]));
    assert_eq!(printed.code, Some(101));
    printed.says("demo/leaves_a_process ended and left processes behind:");
    printed.says("(demo/stay)");
    let pid = printed.out.split("  process ").nth(1).and_then(|rest| rest.split(' ').next());
    let pid = pid.and_then(|pid| pid.parse().ok()).expect("its process id is in the report");
    assert!(has_ended(pid), "the process was left behind for good");
}

/// A run that is killed cannot kill anybody: the kernel does.
fn killed_run() {
    let (mut command, path) = hanging_command(&["--exact", "demo/hangs"]);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("spawn");
    let pids = loop {
        if let Some(pids) = pids(&path) {
            break pids;
        }
        thread::yield_now();
    };
    let pidfds = pids.map(|pid| {
        let pid = Pid::from_raw(pid).expect("a pid");
        pidfd_open(pid, PidfdFlags::empty()).expect("it hangs, and is there")
    });
    run.kill().expect("kill the run");
    run.wait().expect("wait for the run");
    ipc_testkit::note("if this hangs, a process has outlived the run");
    for pidfd in pidfds {
        poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], None).expect("poll");
    }
    clean_up();
    for name in ipc_testkit::names_in_dir() {
        fs::remove_dir(dir().join(name)).expect("remove the directory of the killed case");
    }
}

fn clean_up() {
    fs::remove_file(dir().join("pids")).expect("remove the file with the process ids");
}

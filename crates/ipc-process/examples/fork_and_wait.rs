//! Children that end in every way there is, and what their parent learns of it.
//!
//! `cargo run -p ipc-process --example fork_and_wait`
#![expect(unsafe_code, reason = "forking is unsafe, and this process has one thread")]

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use ipc_core::{ErrorKind, Result, Wait};
use ipc_process::{Child, ForkOptions, PANICKED, Pid, wait_all, wait_any};

fn main() -> Result<()> {
    let parent = Pid::this();
    let mut child = fork(|| {
        println!("the child {} of {parent} says hello", Pid::this());
        7
    })?;
    let status = child.wait()?;
    assert_eq!(status.code(), Some(7));
    println!("it ended with {status}");
    println!("once more: {}", child.wait().expect_err("it has been waited for"));

    let mut child = fork(|| panic!("this goes no further than the child"))?;
    assert_eq!(child.wait()?.code(), Some(PANICKED.into()));

    let mut child = fork(sleep)?;
    let error = child.wait_timeout(Duration::from_millis(20)).expect_err("it sleeps");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    child.process().terminate()?;
    let status = child.wait()?;
    assert_eq!(status.signal(), Some(15));
    println!("the sleeper ended with {status}, core dumped: {}", status.core_dumped());

    let mut children = [fork(sleep)?, fork(|| 0)?, fork(sleep)?];
    let (which, status) = wait_any(&mut children, Wait::Forever)?;
    println!("the first of three was number {which}, with {status}");
    assert_eq!(which, 1);
    for child in children.iter().filter(|child| child.status().is_none()) {
        child.process().kill()?;
    }
    wait_all(&mut children, Wait::Forever)
}

fn fork(run: impl FnOnce() -> u8) -> Result<Child> {
    // SAFETY: this process has one thread, and owns nothing that a fork would make two owners of.
    unsafe { ForkOptions::new().fork(run) }
}

fn sleep() -> u8 {
    std::thread::sleep(Duration::from_secs(60));
    0
}

//! What becomes of a process that has ended and of one whose parent has, and who cleans up.
//!
//! `cargo run -p ipc-process --example orphans_and_zombies`
#![expect(unsafe_code, reason = "forking is unsafe, and this process has one thread")]

use std::fs;
use std::io::{Read, Write};

use ipc_core::{ErrorKind, Wait};
use ipc_process::{ForkOptions, Liveness, OnDrop, Pid, Process, reap_any, set_subreaper};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    zombie()?;
    orphan()?;
    detached()
}

/// A process that has ended stays as a zombie until its parent has waited for it.
fn zombie() -> Result<()> {
    // SAFETY: this process has one thread, and owns nothing that a fork would make two owners of.
    let mut child = unsafe { ForkOptions::new().fork(|| 0) }?;
    let process = child.process().try_clone()?;
    process.wait_exit(Wait::Forever)?;
    assert_eq!((process.liveness()?, state(child.pid())?), (Liveness::Zombie, 'Z'));
    println!("{}: ended, and a zombie: it keeps its pid, and nothing else", child.pid());
    child.wait()?;
    assert_eq!(process.liveness()?, Liveness::Gone);
    println!("{}: waited for, and gone", child.pid());

    // SAFETY: as above.
    let child = unsafe { ForkOptions::new().on_drop(OnDrop::Leave).fork(|| 0) }?;
    let process = child.process().try_clone()?;
    drop(child);
    process.wait_exit(Wait::Forever)?;
    println!("{:?}: nobody waits for it: {:?}", process.pid(), process.liveness()?);
    reap_any(Wait::Forever)?;
    assert_eq!(process.liveness()?, Liveness::Gone);
    Ok(())
}

/// A process whose parent has ended gets the nearest subreaper for its parent.
fn orphan() -> Result<()> {
    set_subreaper(true)?;
    let (mut rx, mut tx) = std::io::pipe()?;
    let (mut go, mut wake) = std::io::pipe()?;
    let family = || {
        let parent = Pid::this();
        let grandchild = || {
            // Waits until the parent is dead and gone.
            let _ = go.read(&mut [0]);
            let now = Pid::parent().map_or(0, Pid::get);
            let _ = write!(tx, "{}: {parent} was my parent, and now it is {now}", Pid::this());
            9
        };
        // SAFETY: as above; the grandchild is left to whoever inherits it.
        let orphan = unsafe { ForkOptions::new().on_drop(OnDrop::Leave).fork(grandchild) };
        u8::from(orphan.is_err())
    };
    // SAFETY: as above.
    let mut child = unsafe { ForkOptions::new().fork(family) }?;
    assert!(child.wait()?.success());
    wake.write_all(&[0])?;
    let (pid, status) = reap_any(Wait::Forever)?;
    assert_eq!(status.code(), Some(9));
    drop(tx);
    let mut said = String::new();
    rx.read_to_string(&mut said)?;
    assert!(said.ends_with(&format!("now it is {}", Pid::this())), "{said}");
    println!("{said}");
    println!("{pid}: reaped by its subreaper, with {status}");
    set_subreaper(false)?;
    Ok(())
}

/// A process that is forked twice is an orphan from the start: somebody else waits for it.
fn detached() -> Result<()> {
    let (mut rx, tx) = std::io::pipe()?;
    let run = move || u8::from((&tx).write_all(b"x").is_err());
    // SAFETY: as above.
    let process: Process = unsafe { ForkOptions::new().new_session().detach(run) }?;
    rx.read_exact(&mut [0])?;
    process.wait_exit(Wait::Forever)?;
    let error = reap_any(Wait::Never).expect_err("it is no child of this process");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    println!("{:?}: detached, and no child of this process: {error}", process.pid());
    Ok(())
}

/// The letter of `/proc/PID/stat`.
fn state(pid: Pid) -> Result<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').ok_or("no such field")?;
    rest.trim_start().chars().next().ok_or_else(|| "no such field".into())
}

//! Forking: what the child has, what it must not do to its parent, and what is refused.
#![expect(unsafe_code, reason = "forking is unsafe, and says what its caller promises")]

use std::io::{PipeWriter, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ipc_core::{ErrorKind, Wait};
use ipc_process::{Child, ForkOptions, Liveness, OnDrop, PANICKED, Pid, Process, reap_any};
use ipc_testkit::{Descriptors, Harness, become_nobody, in_namespaces};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("forks/a_panic_ends_the_child_and_nothing_else", panics)
        .test("forks/no_destructor_of_the_parents_runs_in_the_child", destructors)
        .test("forks/what_the_closure_owns_is_closed_in_the_parent", owned)
        .test("forks/buffered_output_comes_out_once", buffered)
        .role("prints_and_forks", prints_and_forks)
        .test("forks/a_forked_copy_of_a_handle_harms_nobody", forked_copy)
        .test("forks/the_child_may_fork_and_wait_itself", nested)
        .test("forks/a_new_session_has_its_own_group", session)
        .test("forks/a_new_session_in_a_namespace_of_its_own", session_in_namespace)
        .role("leads_a_session", session)
        .test("forks/descriptors_are_not_leaked", leaks)
        .test("forks/a_detached_process_is_no_child_and_no_zombie", detached)
        .test("forks/detaching_many_leaves_nothing", detached_many)
        .test("forks/a_detached_process_cannot_die_with_its_parent", detached_death_signal)
        .test("forks/a_child_of_a_process_with_threads_runs", threads)
        .test("forks/a_limit_of_processes_is_named", process_limit)
        .role("nobody_forks_too_many", nobody_forks_too_many)
}

/// A forked child; dropping it waits for it.
pub(crate) fn fork(run: impl FnOnce() -> u8) -> Child {
    try_fork(run).expect("fork")
}

pub(crate) fn try_fork(run: impl FnOnce() -> u8) -> ipc_core::Result<Child> {
    // SAFETY: what runs in these children locks nothing that another thread of a case holds: cases
    // have one thread when they fork, or their child makes system calls only.
    unsafe { ForkOptions::new().fork(run) }
}

pub(crate) fn forked_with(on_drop: OnDrop, run: impl FnOnce() -> u8) -> Child {
    // SAFETY: as in `try_fork`.
    unsafe { ForkOptions::new().on_drop(on_drop).fork(run) }.expect("fork")
}

/// Ends a child when it is dropped.
pub(crate) struct Hold(PipeWriter);

impl Drop for Hold {
    fn drop(&mut self) {
        // A byte: other children may have copies of this end, so that closing it says nothing.
        let _ = self.0.write_all(b".");
    }
}

/// A child that ends with 0 when what comes with it is dropped.
pub(crate) fn ends_when_told() -> (Child, Hold) {
    let (mut rx, tx) = std::io::pipe().expect("pipe");
    (fork(move || u8::from(rx.read_exact(&mut [0]).is_err())), Hold(tx))
}

fn panics() {
    let mut child = fork(|| panic!("only the child"));
    assert_eq!(child.wait().expect("wait").code(), Some(PANICKED.into()));
}

/// Counts in memory that both processes have, if a destructor ran in the child.
fn destructors() {
    struct Tell<'a>(&'a PipeWriter);
    impl Drop for Tell<'_> {
        fn drop(&mut self) {
            let _ = (&mut &*self.0).write_all(b"!");
        }
    }
    let (mut rx, tx) = std::io::pipe().expect("pipe");
    for panics in [false, true] {
        let guard = Tell(&tx);
        let mut child = fork(|| if panics { panic!("no frame above this one unwinds") } else { 0 });
        child.wait().expect("wait");
        std::mem::forget(guard);
    }
    drop(tx);
    assert_eq!(rx.read(&mut [0]).expect("read"), 0, "a destructor of the parent ran in the child");
}

fn owned() {
    let (mut rx, mut tx) = std::io::pipe().expect("pipe");
    let mut child = fork(move || u8::from(tx.write_all(b"once").is_err()));
    let mut text = String::new();
    rx.read_to_string(&mut text).expect("to the end: the parent's copy is closed");
    assert_eq!(text, "once");
    assert!(child.wait().expect("wait").success());
}

fn buffered() {
    let mut command = ipc_testkit::Peer::cast("prints_and_forks");
    let output = command.command().output().expect("run");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "parent, child, parent again");
}

/// Without ends of lines, so that all of it stays in the buffer.
fn prints_and_forks() {
    print!("parent, ");
    let mut child = fork(|| {
        print!("child, ");
        0
    });
    child.wait().expect("wait");
    print!("parent again");
    std::io::stdout().flush().expect("flush");
}

fn forked_copy() {
    let (mut sibling, hold) = ends_when_told();
    sibling.on_drop(OnDrop::Kill);
    let sibling = std::cell::RefCell::new(Some(sibling));
    let mut copy = fork(|| {
        let mut sibling = sibling.borrow_mut();
        let lost = sibling.as_mut().map(|it| it.wait().map_err(|error| error.kind()));
        // It neither kills nor waits here.
        drop(sibling.take());
        u8::from(lost != Some(Err(ErrorKind::Disconnected)))
    });
    assert_eq!(copy.wait().expect("wait").code(), Some(0));
    let mut sibling = sibling.into_inner().expect("it was taken in the copy only");
    assert_eq!(sibling.process().liveness(), Ok(Liveness::Running));
    drop(hold);
    assert!(sibling.wait().expect("wait").success());
}

fn nested() {
    let mut child = fork(|| {
        let mut grandchild = fork(|| 8);
        grandchild.wait().ok().and_then(|status| status.code()).map_or(1, |code| code as u8)
    });
    assert_eq!(child.wait().expect("wait").code(), Some(8));
}

fn session() {
    // Not rustix's: a leader in another pid namespace is 0, which it holds to be impossible.
    // SAFETY: the call takes a number and asks.
    let same = || u8::from(unsafe { libc::getsid(0) } == Pid::this().get());
    assert_eq!(fork(same).wait().expect("wait").code(), Some(0));
    // SAFETY: as in `try_fork`.
    let mut leader = unsafe { ForkOptions::new().new_session().fork(same) }.expect("fork");
    assert_eq!(leader.wait().expect("wait").code(), Some(1));
}

fn session_in_namespace() {
    in_namespaces("leads_a_session", &["--pid", "--fork", "--kill-child"], "true");
}

fn leaks() {
    let before = Descriptors::now();
    for _ in 0..10 {
        fork(|| 0).wait().expect("wait");
        // SAFETY: as in `try_fork`.
        let process = unsafe { ForkOptions::new().detach(|| 0) }.expect("detach");
        process.wait_exit(Wait::Forever).expect("its end");
    }
    let new = Descriptors::now().since(&before);
    assert!(new.0.is_empty(), "left open: {new:?}");
}

fn detached() {
    let (mut rx, tx) = std::io::pipe().expect("pipe");
    let (mut go, told) = std::io::pipe().expect("pipe");
    let mut told = Some(told);
    let run = || {
        drop(told.take());
        let _ = go.read(&mut [0]);
        u8::from((&tx).write_all(&Pid::this().get().to_ne_bytes()).is_err())
    };
    // SAFETY: as in `try_fork`.
    let process = unsafe { ForkOptions::new().detach(run) }.expect("detach");
    assert_eq!(process.liveness(), Ok(Liveness::Running));
    let error = reap_any(Wait::Never).expect_err("it is no child, and the one in between is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    drop(told);
    let mut pid = [0; 4];
    rx.read_exact(&mut pid).expect("its pid");
    assert_eq!(Pid::new(i32::from_ne_bytes(pid)).ok(), process.pid());
    process.wait_exit(Wait::Forever).expect("its end");
}

fn detached_many() {
    ipc_process::set_subreaper(true).expect("prctl");
    for n in 0..30 {
        // SAFETY: as in `try_fork`.
        let process = unsafe { ForkOptions::new().detach(move || n) }.expect("detach");
        // As this process is the reaper, it is its child after all.
        let (pid, status) = reap_any(Wait::Forever).expect("reap");
        assert_eq!((Some(pid), status.code()), (process.pid(), Some(n.into())));
    }
}

fn detached_death_signal() {
    // SAFETY: as in `try_fork`.
    let refused = unsafe { ForkOptions::new().parent_death_signal(9).detach(|| 0) };
    assert_eq!(refused.expect_err("it has no parent").kind(), ErrorKind::InvalidInput);
    // SAFETY: as in `try_fork`.
    let refused = unsafe { ForkOptions::new().parent_death_signal(99).fork(|| 0) };
    assert_eq!(refused.expect_err("no such signal").kind(), ErrorKind::InvalidInput);
}

/// Threads that print and allocate all the time: their locks are not taken into the child.
fn threads() {
    static STOP: AtomicU32 = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut out = Vec::new();
                while STOP.load(Ordering::Relaxed) == 0 {
                    out.push(vec![0_u8; 100]);
                    out.truncate(50);
                    let _ = std::io::stdout().lock().write_all(b"");
                }
            });
        }
        for _ in 0..100 {
            let mut child = fork(|| 2);
            assert_eq!(child.wait().expect("wait").code(), Some(2));
        }
        STOP.store(1, Ordering::Relaxed);
    });
}

fn process_limit() {
    crate::handles::as_nobody("nobody_forks_too_many");
}

fn nobody_forks_too_many() {
    become_nobody();
    let limit = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Nproc, limit).expect("setrlimit");
    let error = try_fork(|| 0).expect_err("no process is allowed");
    assert!(
        matches!(error.kind(), ErrorKind::ResourceLimit { knob, .. } if knob.contains("NPROC"))
    );
    let mut command = std::process::Command::new("true");
    let error = Child::spawn(&mut command).expect_err("no process is allowed");
    assert!(
        matches!(error.kind(), ErrorKind::ResourceLimit { knob, .. } if knob.contains("NPROC"))
    );
}

/// A process that was killed by `signal`, as its parent sees it.
#[track_caller]
pub(crate) fn assert_killed(child: &mut Child, signal: i32) {
    assert_eq!(child.wait().expect("wait").signal(), Some(signal));
}

/// Waits for the end of a process that is nobody's child here.
#[track_caller]
pub(crate) fn assert_ends(process: &Process) {
    process.wait_exit(Wait::timeout(Duration::from_secs(30))).expect("it has not ended");
}

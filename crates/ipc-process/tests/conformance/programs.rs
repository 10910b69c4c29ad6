//! Programs that nobody here wrote, and our examples.
#![expect(
    unsafe_code,
    reason = "a case ignores a signal, and one traces a process, in processes of their own"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use ipc_core::{ErrorKind, Wait};
use ipc_process::{Child, OnDrop, Pid, Process};
use ipc_testkit::{CProgram, Harness, Peer, Strace, hear, need, run, run_examples, say, skip};

use crate::forks::ends_when_told;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/kill_and_timeout_end_ours", kill_and_timeout)
        .test("programs/we_see_a_process_of_the_shell_end", shell)
        .test("programs/python_waits_for_our_pidfd", python)
        .test("programs/a_c_program_gives_us_a_pidfd_by_a_socket", c_program)
        .test("programs/strace_counts_one_call_for_each_wait", strace)
        .role("waits_for_children", waits_for_children)
        .test("programs/a_tracer_that_holds_a_child_holds_up_the_wait", traced)
        .test("programs/the_examples_run", examples)
}

pub(crate) fn ignore_sigchld() {
    // SAFETY: to ignore a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

fn kill_and_timeout() {
    use std::os::unix::process::ExitStatusExt;
    need("timeout", "coreutils");
    let mut child = Child::spawn(Command::new("sleep").arg("600")).expect("spawn");
    run(Command::new("sh").args(["-c", "kill -USR1 $0", &child.pid().to_string()]));
    assert_eq!(child.wait().expect("wait").signal(), Some(libc::SIGUSR1));
    let mut child =
        Child::spawn(Command::new("timeout").args(["0.01", "sleep", "600"])).expect("spawn");
    assert_eq!(child.wait().expect("wait").code(), Some(124));
}

fn shell() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
    let mut shell = Child::spawn(&mut shell).expect("spawn");
    let mut line = String::new();
    let out = shell.stdout.take().expect("it is a pipe");
    BufReader::new(out).read_line(&mut line).expect("read");
    let pid = Pid::new(line.trim().parse().expect("a pid")).expect("a pid");
    let sleep = Process::open(pid).expect("open");
    assert_eq!(sleep.is_alive(), Ok(true));
    sleep.terminate().expect("terminate");
    sleep.wait_exit(Wait::Forever).expect("its end");
    assert!(shell.wait().expect("wait").success());
}

fn python() {
    need("python3", "python3");
    let script = "import os, select, sys
fd = os.pidfd_open(int(sys.argv[1])); print('ready', flush=True)
p = select.poll(); p.register(fd, select.POLLIN); p.poll(); print('seen to end', flush=True)";
    let (mut child, hold) = ends_when_told();
    let mut python = Command::new("python3");
    python.args(["-c", script, &child.pid().to_string()]).stdout(Stdio::piped());
    let mut python = Child::spawn(&mut python).expect("spawn");
    let out = python.stdout.take().expect("it is a pipe");
    let mut lines = BufReader::new(out).lines();
    let mut next = || lines.next().expect("a line").expect("read");
    assert_eq!(next(), "ready");
    drop(hold);
    assert_eq!(next(), "seen to end");
    child.wait().expect("wait");
    assert!(python.wait().expect("wait").success());
}

const C_PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Starts a child, and sends its pidfd through the socket that is standard input. */
int main(void) {
    pid_t child = fork();
    if (!child) { pause(); _exit(0); }
    int fd = syscall(SYS_pidfd_open, child, 0);
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof fd)]; } control = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1,
                         .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    printf("%d\n", child);
    fflush(stdout);
    if (fd < 0 || sendmsg(0, &msg, 0) != 1) return perror("pidfd"), 1;
    char word;
    return read(0, &word, 1) != 1;
}
"#;

fn c_program() {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    let program = CProgram::compile("pidfd", C_PROGRAM, &[]);
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("socketpair");
    let mut command = program.command();
    command.stdin(std::os::fd::OwnedFd::from(theirs)).stdout(Stdio::piped());
    let mut child = Child::spawn(&mut command).expect("spawn");
    drop(command);
    let out = child.stdout.take().expect("it is a pipe");
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).expect("read");

    let mut room = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut byte = [0];
    let mut bufs = [std::io::IoSliceMut::new(&mut byte)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(&ours, &mut bufs, &mut control, flags).expect("recvmsg");
    let fds: Vec<_> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    let [fd] = <[_; 1]>::try_from(fds).expect("one descriptor");
    let process = Process::try_from(fd).expect("a pidfd");
    assert_eq!(process.pid().map(|pid| pid.to_string()).as_deref(), Some(line.trim()));
    assert_eq!(process.is_alive(), Ok(true));
    process.kill().expect("kill");
    process.wait_exit(Wait::Forever).expect("its end");
    std::io::Write::write_all(&mut ours, b"x").expect("write");
    assert!(child.wait().expect("wait").success());
}

const WAITS: usize = 50;

/// `Forever` is one call of `waitid` and `Never` another one, and nothing else is called.
fn strace() {
    need("strace", "strace");
    let mut peer = Peer::start("waits_for_children");
    peer.expect("ready");
    let strace = Strace::attach(&peer, &[]);
    peer.tell("go");
    peer.join();

    let text = strace.log();
    let calls: Vec<_> = text
        .lines()
        .skip_while(|line| !line.starts_with("waitid("))
        .take_while(|line| line.starts_with("waitid("))
        .collect();
    let of = |options: &str| calls.iter().filter(|line| line.contains(options)).count();
    assert_eq!((of("WNOHANG|WEXITED"), of(", WEXITED,")), (WAITS, WAITS), "{text}");
}

/// Tries to wait while a child runs, then waits for children that have ended.
fn waits_for_children() {
    let (mut running, hold) = ends_when_told();
    let mut ended: Vec<_> = (0..WAITS).map(|_| crate::forks::fork(|| 0)).collect();
    for child in &ended {
        child.process().wait_exit(Wait::Forever).expect("its end");
    }
    say("ready");
    assert_eq!(hear(), "go");
    for _ in 0..WAITS {
        assert!(running.try_wait().is_err());
    }
    for child in &mut ended {
        assert!(child.wait().is_ok());
    }
    drop(hold);
}

/// A traced child that has ended is its tracer's first: `poll` says so at once, and `waitid` later.
fn traced() {
    let (child, _hold) = ends_when_told();
    let (pid, (mut rx, mut tx)) = (child.pid().get(), std::io::pipe().expect("pipe"));
    let mut tracer = crate::forks::fork(move || {
        // SAFETY: to seize a process takes numbers, and changes nothing in this one.
        let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) };
        let _ = std::io::Write::write_all(&mut tx, &[u8::from(seized == 0)]);
        loop {
            std::thread::park();
        }
    });
    let mut seized = [0];
    std::io::Read::read_exact(&mut rx, &mut seized).expect("read");
    if seized != [1] {
        tracer.on_drop(OnDrop::Kill);
        drop(tracer);
        child.process().kill().expect("kill");
        drop(child);
        skip("a process may not trace another one here: see /proc/sys/kernel/yama/ptrace_scope");
    }
    child.process().kill().expect("kill");
    child.process().wait_exit(Wait::Forever).expect("its end");
    let mut children = [child];
    let short = || Wait::timeout(Duration::from_millis(20));
    let early = [
        children[0].wait_with(short()).map(drop),
        ipc_process::wait_any(&mut children, short()).map(drop),
    ];
    for early in early {
        assert_eq!(early.expect_err("its tracer has it").kind(), ErrorKind::TimedOut);
    }
    tracer.process().kill().expect("kill");
    crate::forks::assert_killed(&mut children[0], libc::SIGKILL);
    tracer.wait().expect("wait");
}

fn examples() {
    run_examples(&[
        ("fork_and_wait", "the first of three was number 1"),
        ("orphans_and_zombies", "reaped by its subreaper"),
        ("fork_copies_pages", "child, having written to some"),
        ("prefork_http", "1 restarts, draining, 0 killed"),
    ]);
}

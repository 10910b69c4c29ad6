//! Programs that nobody here wrote: a shell's traps, `kill`, `timeout`, Python, a C compiler's output,
//! strace; and our examples.

use std::process::{Command, Stdio};

use ipc_core::{ErrorKind, Handoff, Notified, Notify, Wait};
use ipc_signal::{
    Code, Pid, RtReceiver, RtSender, Signal, SignalFd, SignalReceiver, SignalSender, SignalSet,
    Target, Value, exists, queue, send,
};
use ipc_testkit::{CProgram, Harness, Peer, Strace, Talker, hear, need, run_examples, say, skip};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("programs/kill_signals_us", kill_ours)
        .test("programs/we_signal_what_kill_would", kill_theirs)
        .test("programs/timeout_ends_our_program", timeout_ours)
        .role("waits_for_timeout", waits_for_timeout)
        .test("programs/we_end_timeout_and_what_it_runs", timeout_theirs)
        .test("programs/python_sigwaitinfo_takes_ours", python_takes)
        .test("programs/python_signals_us", python_sends)
        .test("programs/a_c_program_takes_values_and_queues_some", c_program)
        .test("programs/signal_hook_iterates_over_ours", signal_hook)
        .test("programs/strace_counts_one_call_for_each_operation", strace_counts)
        .role("echoes_and_polls", echoes_and_polls)
        .test("programs/the_examples_run", examples)
}

fn kill_ours() {
    need("kill", "procps");
    let signal = Signal::realtime(3).expect("a signal");
    let set = SignalSet::from([Signal::TERM, signal]);
    let _guard = set.block().expect("block");
    for (word, signal) in [("TERM", Signal::TERM), ("RTMIN+3", signal)] {
        let mut kill = Command::new("kill");
        let mut kill = kill.args(["-s", word, &Pid::this().to_string()]).spawn().expect("kill");
        let origin = set.wait(Wait::Forever).expect("wait");
        assert_eq!(word.parse(), Ok(origin.signal()));
        assert_eq!((origin.signal(), origin.code(), origin.value()), (signal, Code::User, None));
        assert_eq!(origin.pid(), Some(Pid::from(&kill)));
        assert!(kill.wait().expect("wait").success());
    }
    // With a value, where kill can: procps' and util-linux' `--queue`.
    let text = Pid::this().to_string();
    let out = Command::new("kill").args(["-s", "RTMIN+3", "-q", "4711", &text]).output();
    if !out.expect("kill").status.success() {
        skip("this kill has no --queue: apt-get install procps (4.0 or later)");
    }
    let origin = set.wait(Wait::Forever).expect("wait");
    assert_eq!((origin.code(), origin.value().map(Value::as_int)), (Code::Queue, Some(4711)));
}

fn kill_theirs() {
    let script = "trap 'echo got TERM; exit 7' TERM; trap 'echo got RT' RTMIN+3; \
                  echo ready; while :; do sleep 0.02; done";
    need("bash", "bash");
    let mut shell = Talker::start(Command::new("bash").args(["-c", script]));
    shell.expect("ready");
    let target = Target::Process(Pid::from(shell.child()));
    assert!(exists(target).expect("ask"));
    // A value does not disturb whoever does not ask for it.
    queue(target, Signal::realtime(3).expect("a signal"), 5.into()).expect("queue");
    shell.expect("got RT");
    send(target, Signal::TERM).expect("send");
    shell.expect("got TERM");
    assert_eq!(shell.wait().code(), Some(7));
    assert!(!exists(target).expect("ask"));
}

/// A shell script that runs a role of this binary as its arguments.
pub(crate) fn under(script: &str, role: &str) -> Command {
    let mut peer = Peer::cast(role);
    let inner = peer.command();
    let mut outer = Command::new("sh");
    // A role ends when it is not a child of who has started it: here that is the shell, or what the
    // shell becomes.
    outer.args(["-c", &format!("export IPC_TESTKIT_PARENT=$$; {script}"), "sh"]);
    // Not `/proc/self/exe`, which the peer's command has: that would be the shell.
    outer.arg(std::env::current_exe().expect("own path")).args(inner.get_args());
    for (key, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    outer
}

fn timeout_ours() {
    need("timeout", "coreutils");
    // Inherited by all of them: however late the role begins, the signal waits for it.
    let _guard = SignalSet::from(Signal::USR2).block().expect("block");
    let mut outer = under("exec timeout --signal=USR2 0.2 \"$@\"", "waits_for_timeout");
    let out = outer.stdin(Stdio::null()).output().expect("timeout");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        text.contains("SIGUSR2 from timeout"),
        "{text} {}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert_eq!(out.status.code(), Some(124), "its word for a time that has run out");
}

fn waits_for_timeout() {
    let set = SignalSet::from(Signal::USR2);
    let _guard = set.block().expect("block");
    let origin = set.wait(Wait::Forever).expect("wait");
    // It signals its child, and then, with 0, the group that both are in.
    let parent = Pid::parent().expect("it has one");
    origin.require_sender(parent).expect("it was timeout");
    say(format!("{} from timeout", origin.signal()));
}

fn timeout_theirs() {
    need("timeout", "coreutils");
    let script = "echo ready; exec sleep 1000";
    let mut timeout = Talker::start(Command::new("timeout").args(["1000", "sh", "-c", script]));
    timeout.expect("ready");
    // Signalled before it has noted whom it started, it ends alone.
    timeout.until_blocked();
    SignalSender::to(Pid::from(timeout.child()), Signal::TERM)
        .expect("sender")
        .notify()
        .expect("notify");
    // It passes the signal on: the pipe ends when what it runs has ended too.
    timeout.expect_silence();
    assert!(!timeout.wait().success());
}

fn python_takes() {
    need("python3", "python3");
    let script = "
import os, signal, sys
rt = signal.SIGRTMIN + 4
signal.pthread_sigmask(signal.SIG_BLOCK, [rt, signal.SIGUSR1])
print('ready', flush=True)
for _ in range(4):
    it = signal.sigwaitinfo([rt, signal.SIGUSR1])
    print(it.si_signo == rt, it.si_code, it.si_pid == os.getppid(), it.si_uid == os.getuid(), flush=True)
";
    let mut python = Talker::python(script, &[]);
    python.expect("ready");
    let rt = Signal::realtime(4).expect("a signal");
    let tx = RtSender::to(Pid::from(python.child()), rt).expect("sender");
    tx.send(77.into(), Wait::Forever).expect("send");
    python.expect("True -1 True True");
    queue(Target::Process(Pid::from(python.child())), rt, 78.into()).expect("queue");
    python.expect("True -1 True True");
    let standard = SignalSender::to(Pid::from(python.child()), Signal::USR1).expect("sender");
    standard.notify().expect("notify");
    python.expect("False 0 True True");
    send(Target::Process(Pid::from(python.child())), rt).expect("send");
    python.expect("True 0 True True");
    python.join();
}

fn python_sends() {
    need("python3", "python3");
    let script = "
import os, signal
for _ in range(10):
    os.kill(os.getppid(), signal.SIGRTMIN + 4)
if hasattr(signal, 'pidfd_send_signal') and hasattr(os, 'pidfd_open'):
    signal.pidfd_send_signal(os.pidfd_open(os.getppid()), signal.SIGRTMIN + 4)
else:
    os.kill(os.getppid(), signal.SIGRTMIN + 4)
os.kill(os.getppid(), signal.SIGUSR2)
";
    let rx = RtReceiver::new(Signal::realtime(4).expect("a signal")).expect("receiver");
    let signals = SignalFd::open(Signal::USR2.into()).expect("signalfd");
    let mut python = Command::new("python3").args(["-c", script]).spawn().expect("python3");
    let pid = Some(Pid::from(&python));
    for _ in 0..11 {
        let origin = rx.recv(Wait::Forever).expect("receive");
        assert_eq!((origin.code(), origin.pid(), origin.value()), (Code::User, pid, None));
    }
    assert_eq!(signals.read(Wait::Forever).expect("read").pid(), pid);
    assert!(python.wait().expect("wait").success());
}

const C_PEER: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    sigset_t set; siginfo_t info; union sigval value;
    pid_t parent = atoi(argv[1]);
    sigemptyset(&set); sigaddset(&set, SIGRTMIN + 5); sigprocmask(SIG_BLOCK, &set, 0);
    puts("ready"); fflush(stdout);
    for (int i = 0; i < 2; i++) {
        if (sigwaitinfo(&set, &info) != SIGRTMIN + 5) return 1;
        if (info.si_code != SI_QUEUE || info.si_pid != parent || info.si_uid != getuid()) return 2;
        if (i == 0) printf("%d\n", info.si_value.sival_int);
        else printf("%p\n", info.si_value.sival_ptr);
        fflush(stdout);
    }
    value.sival_int = -3;
    if (sigqueue(parent, SIGRTMIN + 5, value)) return 3;
    value.sival_ptr = (void *)0x123456789abcL;
    if (sigqueue(parent, SIGRTMIN + 5, value)) return 4;
    return 0;
}
"#;

fn c_program() {
    let program = CProgram::compile("peer", C_PEER, &[]);
    let signal = Signal::realtime(5).expect("a signal");
    let rx = RtReceiver::new(signal).expect("receiver");
    let mut peer = Talker::start(program.command().arg(Pid::this().to_string()));
    peer.expect("ready");
    let tx = RtSender::to(Pid::from(peer.child()), signal).expect("sender");
    tx.send((-42).into(), Wait::Forever).expect("send");
    peer.expect("-42");
    tx.send(0xdead_beef_usize.into(), Wait::Forever).expect("send");
    peer.expect("0xdeadbeef");
    let pid = Some(Pid::from(peer.child()));
    let first = rx.recv(Wait::Forever).expect("receive");
    assert_eq!((first.pid(), first.value().map(Value::as_int)), (pid, Some(-3)));
    let second = rx.recv(Wait::Forever).expect("receive");
    assert_eq!(second.value().map(Value::as_usize), Some(0x1234_5678_9abc));
    peer.join();
}

fn signal_hook() {
    let mut signals =
        signal_hook::iterator::Signals::new([Signal::USR2.number()]).expect("handle SIGUSR2");
    let tx = SignalSender::to(Pid::this(), Signal::USR2).expect("sender");
    tx.notify().expect("notify");
    assert_eq!(signals.wait().next(), Some(Signal::USR2.number()));
}

/// How many operations of each sort `strace` counts.
const TRIPS: usize = 300;

fn strace_counts() {
    need("strace", "strace");
    let (send, take) = ("pidfd_send_signal(", "rt_sigtimedwait(");
    for (kind, take, poll) in
        [("standard", take, take), ("values", take, take), ("descriptor", "read(", "preadv2(")]
    {
        let rt = Signal::realtime(5).expect("a signal");
        let standard = SignalReceiver::new(Signal::USR2).expect("receiver");
        let values = RtReceiver::new(rt).expect("receiver");
        let mut peer = Peer::cast("echoes_and_polls");
        peer.command().env("KIND", kind);
        standard.sender().expect("sender").give(peer.command(), "standard").expect("give");
        values.sender().expect("sender").give(peer.command(), "values").expect("give");
        let mut peer = peer.start();
        peer.expect("ready");
        let pid = Pid::new(peer.pid().as_raw_nonzero().get()).expect("a pid");
        let strace = Strace::attach(&peer, &[]);
        peer.tell("go");
        let tx = SignalSender::to(pid, Signal::USR2).expect("sender");
        let rt_tx = RtSender::to(pid, rt).expect("sender");
        for n in 0..TRIPS {
            if kind == "values" {
                rt_tx.send(n.into(), Wait::Forever).expect("send");
                let origin = values.recv(Wait::Forever).expect("receive");
                assert_eq!(origin.value().map(Value::as_usize), Some(n));
            } else {
                tx.notify().expect("notify");
                standard.wait().expect("wait");
            }
        }
        peer.join();

        let text = strace.log();
        // Signals that are blocked leave no line of their own. What comes before is the word `go`.
        let ours = |line: &&str| {
            [send, take, poll].iter().any(|call| line.starts_with(call))
                && !line.starts_with("read(0,")
        };
        let all: Vec<_> = text.lines().filter(|line| !line.starts_with("---")).collect();
        let first = all.iter().position(ours).expect("there are some");
        let calls: Vec<_> = all[first..].iter().take_while(|line| ours(line)).collect();
        let of = |call: &str| calls.iter().filter(|line| line.starts_with(call)).count();
        // The round trips, then as many waits that would have to sleep: nothing else in between.
        let (takes, polls) = if take == poll { (2 * TRIPS, 2 * TRIPS) } else { (TRIPS, TRIPS) };
        assert_eq!((of(send), of(take), of(poll)), (TRIPS, takes, polls), "{kind}: {text}");
    }
}

fn echoes_and_polls() {
    let standard_tx = SignalSender::adopt("standard").expect("adopt");
    let values_tx = RtSender::adopt("values").expect("adopt");
    let kind = std::env::var("KIND").expect("KIND");
    let rt = values_tx.signal();
    let values = RtReceiver::new(rt).expect("receiver");
    let signals = SignalFd::open(Signal::USR2.into()).expect("signalfd");
    let standard = SignalReceiver::new(Signal::USR2).expect("receiver");
    let standard: &dyn Notified = if kind == "descriptor" { &signals } else { &standard };
    say("ready");
    assert_eq!(hear(), "go");
    for _ in 0..TRIPS {
        if kind == "values" {
            let value = values.recv(Wait::Forever).expect("receive").value().expect("a value");
            values_tx.send(value, Wait::Forever).expect("send");
        } else {
            standard.wait().expect("wait");
            standard_tx.notify().expect("notify");
        }
    }
    let standard: &dyn Notified = if kind == "values" { &values } else { standard };
    for _ in 0..TRIPS {
        assert_eq!(standard.try_wait().expect_err("nothing").kind(), ErrorKind::WouldBlock);
    }
}

fn examples() {
    run_examples(&[
        ("graceful_shutdown", ""),
        ("value_queue", ""),
        ("signalfd_loop", ""),
        ("alarm_watchdog", ""),
    ]);
}

//! Processes of other users, and numbers that are used again.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use ipc_core::{ErrorKind, Handoff, Notify, Wait};
use ipc_signal::{
    Code, Pid, RtReceiver, RtSender, Signal, SignalReceiver, SignalSender, SignalSet, Target,
    exists, queue, send,
};
use ipc_testkit::{Harness, Peer, become_nobody, hear, need, need_root, say, skip};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::programs::under;

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("privileges/another_users_process_is_permission_denied", foreign)
        .role("nobody_signals_us", nobody_signals_us)
        .test("privileges/the_sender_is_who_the_kernel_says", who_sent_it)
        .role("nobody_is_signalled", nobody_is_signalled)
        .test("privileges/a_number_that_is_used_again_is_not_hit", used_again)
        .role("number_is_used_again", number_is_used_again)
}

fn foreign() {
    need_root("become another user");
    let signal = Signal::realtime(2).expect("a signal");
    let standard = SignalReceiver::new(Signal::USR2).expect("receiver");
    let values = RtReceiver::new(signal).expect("receiver");
    let mut peer = Peer::cast("nobody_signals_us");
    standard.sender().expect("sender").give(peer.command(), "standard").expect("give");
    values.sender().expect("sender").give(peer.command(), "values").expect("give");
    let mut peer = peer.start();
    peer.expect("ready");
    peer.tell(&Pid::this().to_string());
    peer.join();
    let set = SignalSet::from([signal, Signal::USR2]);
    assert_eq!(set.wait(Wait::Never).expect_err("nothing").kind(), ErrorKind::WouldBlock);
}

fn nobody_signals_us() {
    let standard = SignalSender::adopt("standard").expect("adopt");
    let values = RtSender::adopt("values").expect("adopt");
    become_nobody();
    say("ready");
    let pid = Pid::new(hear().parse().expect("a number")).expect("a pid");
    for target in [Target::Process(pid), Target::PidFd(standard.as_fd())] {
        for result in [send(target, Signal::USR2), queue(target, Signal::USR2, 1.into())] {
            assert_eq!(result.expect_err("root's").kind(), ErrorKind::PermissionDenied);
        }
        assert!(exists(target).expect("it may be asked for"));
    }
    for result in [standard.notify(), values.notify(), values.send(1.into(), Wait::Forever)] {
        assert_eq!(result.expect_err("root's").kind(), ErrorKind::PermissionDenied);
    }
}

/// Root signals nobody: the kernel fills in who it was, and for a value believes the sender.
fn who_sent_it() {
    need_root("become another user");
    let mut peer = Peer::start("nobody_is_signalled");
    peer.expect("ready");
    let pid = Pid::new(peer.pid().as_raw_nonzero().get()).expect("a pid");
    send(Target::Process(pid), Signal::USR2).expect("send");
    queue(Target::Process(pid), Signal::realtime_min(), 5.into()).expect("queue");
    peer.tell(&Pid::this().to_string());
    peer.join();
}

fn nobody_is_signalled() {
    become_nobody();
    let set = SignalSet::from([Signal::USR2, Signal::realtime_min()]);
    let _guard = set.block().expect("block");
    say("ready");
    let parent = Pid::new(hear().parse().expect("a number")).expect("a pid");
    let origin = set.wait(Wait::Forever).expect("wait");
    assert_eq!((origin.code(), origin.pid(), origin.uid()), (Code::User, Some(parent), Some(0)));
    origin.require_sender(parent).expect("the kernel answers for it");
    let origin = set.wait(Wait::Forever).expect("wait");
    assert_eq!((origin.code(), origin.pid(), origin.uid()), (Code::Queue, Some(parent), Some(0)));
    let error = origin.require_sender(parent).expect_err("the sender could have written anything");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

/// In a pid namespace of its own, where the next number can be chosen without disturbing others.
fn used_again() {
    need_root("make namespaces");
    need("unshare", "util-linux");
    let probe = Command::new("unshare").args(["--pid", "--fork", "true"]).status();
    if !probe.expect("unshare").success() {
        skip("this container does not let root make namespaces");
    }
    // The first process of the namespace is a shell that stays: without one, the namespace ends.
    let script = "exec unshare --pid --fork --kill-child --mount-proc \\
                  sh -c 'IPC_TESTKIT_PARENT=$$ \"$@\"; exit $?' sh \"$@\"";
    let mut outer = under(script, "number_is_used_again");
    let out = outer.stdin(Stdio::null()).output().expect("unshare");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "the role failed: {} {text}", out.status);
    assert!(text.contains("the second process lives"), "the role did not run: {text}");
}

fn number_is_used_again() {
    let sleeper = || Command::new("sleep").arg("1000").spawn().expect("start sleep");
    let mut first = sleeper();
    let pid = Pid::from(&first);
    let fd = pidfd_open(rustix::process::Pid::from_child(&first), PidfdFlags::empty());
    let fd = fd.expect("pidfd_open");
    let sender = SignalSender::to(pid, Signal::TERM).expect("sender");
    let values = RtSender::to(pid, Signal::realtime_min()).expect("sender");
    first.kill().expect("kill");
    first.wait().expect("wait");
    std::fs::write("/proc/sys/kernel/ns_last_pid", (pid.get() - 1).to_string())
        .expect("choose the next number");
    let mut second = sleeper();
    assert_eq!(Pid::from(&second), pid, "the number was not used again");

    assert_eq!(sender.notify().expect_err("gone").kind(), ErrorKind::Disconnected);
    assert_eq!(values.try_send(1.into()).expect_err("gone").kind(), ErrorKind::Disconnected);
    let by_pidfd = send(Target::PidFd(fd.as_fd()), Signal::TERM);
    assert_eq!(by_pidfd.expect_err("gone").kind(), ErrorKind::NotFound);
    assert!(!exists(Target::PidFd(fd.as_fd())).expect("ask"));
    assert!(second.try_wait().expect("ask").is_none(), "another process was hit");
    say("the second process lives");
    // The number alone does hit it, which is what it cannot help.
    send(Target::Process(pid), Signal::TERM).expect("send");
    assert!(!second.wait().expect("wait").success());
}

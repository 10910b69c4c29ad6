//! What cases need of the machine: users and namespaces.

use std::process::{Command, Stdio};

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};

use crate::environment::{FINISH, PARENT};
use crate::{Peer, need, skip};

/// The user without privileges that cases turn into.
pub const NOBODY: u32 = 65534;

/// What a role says when it has come to its end in namespaces.
pub(crate) const FINISHED: &str = "ipc-testkit: the role has come to its end";

/// What makes root root for most cases: it becomes others, and their files are open to it.
const ROOT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// Whether this process is root's, and has the powers over files and users that a container may withhold.
///
/// # Panics
///
/// If the kernel does not tell.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root() && missing(ROOT).is_empty()
}

fn missing(needed: CapabilitySet) -> CapabilitySet {
    needed - capabilities(None).expect("capget").effective
}

/// Skips the case for everybody but [root](is_root), who alone can do this.
pub fn need_root(why: &str) {
    if !is_root() {
        skip(format!("only root, with its capabilities, can {why}"));
    }
}

/// Skips the case for a process without these capabilities, such as root's in many containers.
///
/// # Panics
///
/// If the kernel does not tell.
pub fn need_capability(needed: CapabilitySet, why: &str) {
    let missing = missing(needed);
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
        skip(format!("without {} one cannot {why}", names.join(" and ")));
    }
}

/// Turns this process into one of [`NOBODY`], without a way back.
///
/// # Panics
///
/// If it is not root's.
pub fn become_nobody() {
    become_user(NOBODY);
}

/// Turns this process into one of another user, without a way back: where what counts is how much all
/// processes of a user have, a case needs a user of its own.
///
/// # Panics
///
/// If it is not root's.
pub fn become_user(uid: u32) {
    rustix::thread::set_thread_groups(&[]).expect("setgroups");
    rustix::thread::set_thread_gid(Gid::from_raw(uid)).expect("setgid");
    rustix::thread::set_thread_uid(Uid::from_raw(uid)).expect("setuid");
}

/// Runs a role to its end in new namespaces (`--ipc`, `--mount`, as `unshare` calls them), after the
/// shell commands of `setup`. A new namespace of pids takes `--pid --fork --kill-child`; the role is
/// its process 1. Skips the case where this user may not make any.
///
/// # Panics
///
/// If the setup or the role fails, or the role did not run.
pub fn in_namespaces(role: &str, namespaces: &[&str], setup: &str) {
    need_root("make namespaces");
    need("unshare", "util-linux");
    let probe = Command::new("unshare").args(namespaces).arg("true").status();
    if !probe.is_ok_and(|status| status.success()) {
        skip("this container does not let root make namespaces");
    }
    let mut inner = Peer::cast(role);
    let mut outer = Command::new("unshare");
    outer.args(namespaces).args(["sh", "-c", &format!("{setup} && exec \"$@\""), "sh"]);
    // Not the command's own /proc/self/exe, which is the shell by then.
    outer.arg(std::env::current_exe().expect("own path"));
    for (key, value) in inner.command().get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    if namespaces.contains(&"--pid") {
        // What a parent outside is to `getppid` there.
        outer.env(PARENT, "0");
    }
    let out = outer.env(FINISH, "1").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let out = out.expect("unshare");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "the role {role} failed: {}, {said}", out.status);
    assert!(said.contains(FINISHED), "the role {role} did not run: {said}");
}

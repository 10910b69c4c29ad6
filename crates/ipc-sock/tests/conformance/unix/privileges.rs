//! Users without privileges, and the limits that hold for them.

use std::fs::{self, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use ipc_core::{Error, ErrorKind, SendMsg, Wait};
use ipc_sock::unix::MAX_FDS;
use ipc_testkit::{DEADLINE, Harness, dir, need, need_root, skip, with_free_descriptors};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::tools::{NEW, as_nobody, is_limit, kind_of, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    let harness =
        as_nobody(harness, "unix/privileges/descriptors_under_way_are_limited", under_way);
    let harness = as_nobody(harness, "unix/privileges/each_limit_is_named", limits);
    let harness = as_nobody(harness, "unix/privileges/files_cannot_be_given_away", given_away);
    harness.test("unix/privileges/the_suites_pass_as_nobody", suites_as_nobody)
}

/// Those that were sent and that nobody has received yet count for their sender.
fn under_way() -> Result<(), Error> {
    let few = Rlimit { current: Some(300), maximum: Some(300) };
    setrlimit(Resource::Nofile, few).expect("setrlimit");
    let (file, _) = std::io::pipe().expect("pipe");
    let (tx, mut rx) = NEW.pair_seqpacket()?;
    let fds = [file.as_fd(); MAX_FDS];
    let error = (0..10).find_map(|_| tx.send_message(b"x", &fds, Wait::Never).err());
    let error = error.expect("they are limited");
    is_limit(&error, "RLIMIT_NOFILE");
    assert!(error.to_string().contains("sent and not received"), "{error}");
    // Nothing of it went out, and there is room again when the others are received.
    while rx.recv_message(&mut [0; 8], Wait::Never).is_ok() {}
    tx.send_message(b"x", &fds, Wait::Never)?;
    assert_eq!(rx.recv_message(&mut [0; 8], soon())?.fds.len(), MAX_FDS);
    Ok(())
}

fn limits() -> Result<(), Error> {
    for free in 0..2 {
        let errors = with_free_descriptors(free, || {
            [
                NEW.pair().map(drop),
                NEW.pair_seqpacket().map(drop),
                NEW.pair_datagram().map(drop),
                NEW.listen(path()).map(drop),
                NEW.bind_datagram(path()).map(drop),
            ]
            .map(|made| made.expect_err("there are too few descriptors"))
        });
        errors.iter().for_each(|error| is_limit(error, "RLIMIT_NOFILE"));
    }
    let socket = with_free_descriptors(0, || NEW.datagram().map(drop));
    is_limit(&socket.expect_err("there is none"), "RLIMIT_NOFILE");
    let (tx, _rx) = NEW.pair()?;
    let copy = with_free_descriptors(0, || tx.try_clone().map(drop));
    is_limit(&copy.expect_err("there is none"), "RLIMIT_NOFILE");
    // A buffer beyond the kernel's limit is as long as that, and a message beyond it says so.
    let (mut tx, _rx) = NEW.send_buffer(usize::MAX >> 33).pair_seqpacket()?;
    let max = tx.max_len();
    let too_large = ErrorKind::MessageTooLarge { len: max + 1, max };
    assert_eq!(kind_of(tx.send(&vec![0; max + 1])), too_large);
    Ok(())
}

fn given_away() {
    assert_eq!(kind_of(NEW.owner(Some(0), None).listen(path())), ErrorKind::PermissionDenied);
    assert_eq!(kind_of(NEW.owner(None, Some(0)).listen(path())), ErrorKind::PermissionDenied);
    assert!(!path().exists(), "the name was left behind");
}

/// The suites of Unix sockets again, by a user who is nobody.
fn suites_as_nobody() {
    need_root("become nobody");
    need("setpriv", "util-linux");
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
    };
    // A copy where nobody may run it; the build's directory may be private.
    let this = dir().join("suites");
    fs::set_permissions(dir(), Permissions::from_mode(0o711)).expect("chmod");
    fs::copy("/proc/self/exe", &this).expect("copy this binary");
    fs::set_permissions(&this, Permissions::from_mode(0o755)).expect("chmod");
    if !as_nobody().args(["test", "-x"]).arg(&this).status().expect("setpriv").success() {
        skip("nobody may not run this binary where it is");
    }
    let mut command = as_nobody();
    command.arg(&this).arg("unix").args(["--test-threads=2"]);
    for part in ["privileges", "programs", "strace"] {
        command.arg(format!("--skip=unix/{part}/"));
    }
    // Not a case any more, but a run of its own.
    for (key, _) in std::env::vars_os() {
        let text = key.to_string_lossy();
        if text.starts_with("IPC_TESTKIT_") && text != DEADLINE {
            command.env_remove(&key);
        }
    }
    command.env("TMPDIR", "/tmp").env("IPC_SOCK_KILLS", "10").stdin(Stdio::null());
    let out = command.output().expect("run the suites");
    fs::remove_file(this).expect("remove the copy");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    let summary = text.lines().find(|line| line.contains("passed;")).expect("a summary");
    assert!(!summary.contains(" 0 passed"), "{summary}");
}

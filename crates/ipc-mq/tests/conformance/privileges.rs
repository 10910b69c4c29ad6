//! Users without privileges, limits, and private namespaces.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use ipc_core::{Error, ErrorKind, Name, RecvMsg, SendMsg};
use ipc_mq::posix::{self, Access};
use ipc_mq::sysv::{self, Key};
use ipc_testkit::{
    Harness, Peer, become_nobody, become_user, dir, hear, in_namespaces, need, need_root, say,
    skip, with_free_descriptors,
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::fixtures::{fresh_key, fresh_name};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("privileges/posix_limits_are_each_named", || as_nobody("nobody_meets_posix_limits"))
        .role("nobody_meets_posix_limits", posix_limits)
        .test("privileges/sysv_limits_are_each_named", || as_nobody("nobody_meets_sysv_limits"))
        .role("nobody_meets_sysv_limits", sysv_limits)
        .test("privileges/a_mode_lets_others_send_alone", senders_only)
        .role("nobody_sends", nobody_sends)
        .role("nobody_creates", nobody_creates)
        .test("privileges/the_suites_pass_as_nobody", suites_as_nobody)
        .test("mount/queues_are_listed_where_the_file_system_is_mounted", listed)
        .role("lists", lists)
        .test("mount/listing_is_unsupported_where_it_is_not", not_mounted)
        .role("lists_nothing", lists_nothing)
}

fn as_nobody(role: &str) {
    in_namespaces(
        role,
        &["--ipc", "--mount"],
        "echo 2 > /proc/sys/fs/mqueue/queues_max && echo 2 > /proc/sys/kernel/msgmni",
    );
}

#[track_caller]
fn names(result: Result<impl Sized, Error>, knob_part: &str) {
    let error = result.map(drop).expect_err("it is beyond a limit");
    let ErrorKind::ResourceLimit { knob, .. } = error.kind() else { panic!("{error}") };
    assert!(knob.contains(knob_part), "{error} does not name {knob_part}");
}

fn posix_limits() {
    // Not the user as whom the suites run at the same time: RLIMIT_MSGQUEUE is for all of a user's queues.
    become_user(65_533);
    let limits = posix::Limits::read().expect("limits");
    let new = posix::QueueOptions::new;
    let name = |text: &str| Name::new(text).expect("a name");
    let big = new().capacity(limits.max_capacity + 1);
    names(big.create(&name("a")), "/proc/sys/fs/mqueue/msg_max");
    let long = new().message_size(limits.max_message_size + 1);
    names(long.create(&name("a")), "/proc/sys/fs/mqueue/msgsize_max");
    names(with_free_descriptors(0, || new().create(&name("a"))), "RLIMIT_NOFILE");

    let _first = new().create(&name("a")).expect("create");
    let _second = new().create(&name("b")).expect("create");
    names(new().create(&name("c")), "/proc/sys/fs/mqueue/queues_max");
    drop((_first, _second));

    let limit = Rlimit { current: Some(1000), maximum: Some(1000) };
    setrlimit(Resource::Msgqueue, limit).expect("setrlimit");
    names(new().create(&name("a")), "RLIMIT_MSGQUEUE");
    drop(new().capacity(1).message_size(10).create(&name("a")).expect("a small one is created"));
}

fn sysv_limits() {
    become_nobody();
    let limits = sysv::Limits::read().expect("limits");
    let new = sysv::QueueOptions::new;
    names(new().max_bytes(limits.max_bytes + 1).create(Key::PRIVATE), "/proc/sys/kernel/msgmnb");
    assert!(sysv::queues().expect("list").is_empty(), "a create that failed left a queue");
    let first = new().create(Key::PRIVATE).expect("create");
    names(first.set_max_bytes(limits.max_bytes + 1), "/proc/sys/kernel/msgmnb");
    first.set_max_bytes(limits.max_bytes).expect("that much may be");
    let _second = new().create(Key::PRIVATE).expect("create");
    names(new().create(Key::PRIVATE), "/proc/sys/kernel/msgmni");
    let error = first.sender().expect("sender").send(&vec![0; limits.max_message_size + 1]);
    let too_large = error.expect_err("too long").kind();
    assert!(matches!(too_large, ErrorKind::MessageTooLarge { .. }), "{too_large:?}");
}

fn senders_only() {
    need_root("become another user");
    let (name, key) = (fresh_name(), fresh_key());
    let posix = posix::QueueOptions::new().mode(0o622).create(&name).expect("create");
    let sysv = sysv::QueueOptions::new().mode(0o622).create(key).expect("create");
    let mut peer = Peer::cast("nobody_sends");
    peer.command().env("NAME", name.as_os_str()).env("KEY", key.get().to_string());
    peer.start().join();
    assert_eq!(posix.receiver().expect("receiver").try_recv(&mut [0; 8192]), Ok(5));
    assert_eq!(sysv.receiver().try_recv(&mut [0; 64]), Ok(5));
}

fn key() -> Key {
    let number = std::env::var("KEY").expect("KEY").parse().expect("a number");
    Key::new(number).expect("a key")
}

fn nobody_sends() {
    become_nobody();
    let denied = ErrorKind::PermissionDenied;
    let name = Name::new(std::env::var_os("NAME").expect("NAME")).expect("a name");
    let new = posix::QueueOptions::new;
    assert_eq!(new().owner(0).open(&name).expect_err("not both").kind(), denied);
    let receive = new().owner(0).access(Access::Receive).open(&name);
    assert_eq!(receive.expect_err("it may not").kind(), denied);
    let foreign = new().access(Access::Send).open(&name).expect_err("root's");
    assert_eq!(foreign.kind(), ErrorKind::ForeignOwner { uid: 0 });
    let queue = new().owner(0).access(Access::Send).open(&name).expect("open");
    queue.sender().expect("sender").send(b"hello").expect("send");
    assert!(queue.unlink().is_err(), "it is root's to unlink");

    let new = sysv::QueueOptions::new;
    let foreign = new().open(key()).expect_err("root's");
    assert_eq!(foreign.kind(), ErrorKind::ForeignOwner { uid: 0 });
    let queue = new().owner(0).open(key()).expect("open");
    queue.sender().expect("sender").send(b"hello").expect("send");
    assert_eq!(queue.receiver().try_recv(&mut [0; 8]).expect_err("it may not").kind(), denied);
    assert_eq!(queue.set_max_bytes(10).expect_err("it may not").kind(), denied);
    assert_eq!(queue.unlink().expect_err("it may not").kind(), denied);
}

fn nobody_creates() {
    become_nobody();
    let queue = sysv::QueueOptions::new().create(key()).expect("create");
    say("created");
    assert_eq!(hear(), "done");
    drop(queue);
}

/// The whole suites again, by a user who is nobody.
fn suites_as_nobody() {
    need_root("become nobody");
    need("setpriv", "util-linux");
    // A copy where nobody may run it; the build's directory may be private.
    let this = dir().join("suites");
    std::fs::set_permissions(dir(), Permissions::from_mode(0o711)).expect("chmod");
    std::fs::copy("/proc/self/exe", &this).expect("copy this binary");
    std::fs::set_permissions(&this, Permissions::from_mode(0o755)).expect("chmod");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&this);
    // Not a case any more, but a run of its own.
    for (key, _) in std::env::vars_os() {
        let text = key.to_string_lossy();
        if text.starts_with("IPC_TESTKIT_") && text != "IPC_TESTKIT_DEADLINE_SECS" {
            command.env_remove(&key);
        }
    }
    let probe = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "test", "-x"])
        .arg(&this)
        .status();
    if !probe.expect("setpriv").success() {
        skip("nobody may not run this binary where it is");
    }
    let out = command
        .args(["--test-threads=2", "--skip=privileges/", "--skip=mount/", "--skip=programs/"])
        .env("TMPDIR", "/tmp")
        .stdin(Stdio::null())
        .output()
        .expect("run the suites");
    std::fs::remove_file(this).expect("remove the copy");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    let summary = text.lines().find(|line| line.contains("passed;")).expect("a summary");
    assert!(!summary.contains(" 0 passed"), "{summary}");
}

fn listed() {
    // Not at `/dev/mqueue`: the directory would stay, and any place must be found.
    let mount_point = dir().join("mqueue");
    std::fs::create_dir(&mount_point).expect("make a directory");
    in_namespaces(
        "lists",
        &["--ipc", "--mount"],
        &format!("mount -t mqueue none {}", mount_point.display()),
    );
    std::fs::remove_dir(mount_point).expect("remove");
}

fn lists() {
    assert!(posix::queues().expect("list").is_empty());
    let names = ["b", "a"].map(|text| Name::new(text).expect("a name"));
    let queues = names
        .clone()
        .map(|name| posix::QueueOptions::new().mode(0o640).create(&name).expect("create"));
    queues[0].sender().expect("sender").send(b"hello").expect("send");
    let rx = queues[1].receiver().expect("receiver");
    rx.notify_signal(10, 0).expect("register");
    let found = posix::queues().expect("list");
    assert_eq!(found.iter().map(|it| &it.name).collect::<Vec<_>>(), [&names[1], &names[0]]);
    assert_eq!((found[1].mode, found[1].uid, found[1].gid), (0o640, 0, 0));
    assert!(found[1].bytes.is_some_and(|bytes| bytes >= 5), "{found:?}");
    let registered = found[0].registered.expect("a process is registered");
    assert_eq!((registered.pid, registered.signal), (std::process::id(), 10));
    // Closing any descriptor of a queue ends this process's own registration, also that of a look.
    let again = posix::queues_in(dir().join("mqueue")).expect("list");
    assert_eq!(again[0].registered, None);
    assert_eq!(again, posix::queues().expect("list"));
    // A pair has no name that anybody could see.
    let pair = posix::QueueOptions::new().pair().expect("pair");
    assert_eq!(posix::queues().expect("list").len(), 2);
    drop(pair);
    // Ends made of the files that the mount shows.
    let file = std::fs::File::options().read(true).write(true).open(dir().join("mqueue").join("b"));
    let fd = std::os::fd::OwnedFd::from(file.expect("open"));
    let mut rx = posix::Receiver::try_from(fd).expect("it is a queue");
    assert_eq!(rx.try_recv(&mut [0; 8192]), Ok(5));
    drop(queues);
    assert!(posix::queues().expect("list").is_empty(), "names were left");
}

fn not_mounted() {
    in_namespaces(
        "lists_nothing",
        &["--ipc", "--mount"],
        "while umount /dev/mqueue 2>/dev/null; do :; done; true",
    );
}

fn lists_nothing() {
    let error = posix::queues().expect_err("nothing is mounted");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("mount -t mqueue none /dev/mqueue"), "{error}");
    // Everything else works.
    let queue = posix::QueueOptions::new().create(&Name::new("q").expect("a name"));
    let queue = queue.expect("create");
    queue.sender().expect("sender").send(b"x").expect("send");
    queue.unlink().expect("unlink");
}

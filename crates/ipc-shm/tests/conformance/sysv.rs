//! System V segments: keys, status, removal, limits, and the programs that know them.

use std::process::Command;

use ipc_core::{Error, ErrorKind, Handoff, Region};
use ipc_shm::{Key, ReadOnly, RegionExt, SysvShm, SysvShmOptions};
use ipc_testkit::{Harness, Peer, become_nobody, need, need_root, say, skip};

use crate::fixtures::{fresh_key, segments};

pub(crate) fn cases(harness: Harness) -> Harness {
    harness
        .test("sysv/status_tells_what_happened", status)
        .test("sysv/a_removed_segment_lives_with_its_mappings", removed)
        .test("sysv/a_private_key_finds_nothing", private)
        .test("sysv/absurd_lengths_name_the_limit", lengths)
        .test("sysv/another_users_segment_must_be_named", foreign)
        .role("nobody_attaches", nobody_attaches)
        .test("sysv/a_killed_creator_leaves_its_segment", killed)
        .role("creates_and_waits", creates_and_waits)
        .test("sysv/ipcs_and_ipcrm_see_it", ipcs)
        .test("sysv/we_attach_what_ipcmk_made", ipcmk)
        .test("sysv/python_shares_our_segment", python)
        .test("sysv/handoff_of_another_sort_is_refused", wrong_sort)
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.map(drop).expect_err("it must fail").kind()
}

fn status() {
    let memory = SysvShmOptions::new().len(5000).mode(0o640).create(fresh_key()).expect("create");
    let status = memory.status().expect("status");
    assert_eq!((status.len, status.attached, status.mode), (5000, 1, 0o640));
    assert_eq!(status.key, memory.key());
    assert_eq!(status.creator, Some(std::process::id()));
    assert_eq!((status.last_detach, status.removed), (None, false));
    let again = SysvShmOptions::new().open_read_only(memory.key()).expect("attach");
    assert_eq!(memory.status().expect("status").attached, 2);
    drop(again);
    let status = memory.status().expect("status");
    assert_eq!(status.attached, 1);
    assert!(status.last_detach.is_some());
}

fn removed() {
    let key = fresh_key();
    let ours = SysvShmOptions::new().create(key).expect("create");
    let theirs = SysvShmOptions::new().open(key).expect("attach");
    let id = ours.id();
    ours.remove().expect("remove");
    assert_eq!(kind(SysvShmOptions::new().open(key)), ErrorKind::NotFound);
    assert!(theirs.status().expect("status").removed);
    theirs.write_at(0, b"still there").expect("write");
    drop(theirs);
    assert_eq!(kind(SysvShmOptions::new().open_id::<ReadOnly>(id)), ErrorKind::NotFound);
}

fn private() {
    assert_eq!(kind(SysvShmOptions::new().open(Key::PRIVATE)), ErrorKind::InvalidInput);
    assert_eq!(kind(SysvShmOptions::new().open(fresh_key())), ErrorKind::NotFound);
}

fn lengths() {
    let create = |len| kind(SysvShmOptions::new().len(len).create(Key::PRIVATE));
    assert_eq!(create(0), ErrorKind::InvalidInput);
    assert_eq!(create(usize::MAX), ErrorKind::InvalidInput);
    assert!(matches!(create(1 << 60), ErrorKind::ResourceLimit { .. }));
    let mode = kind(SysvShmOptions::new().mode(0o1000).create(Key::PRIVATE));
    assert_eq!(mode, ErrorKind::InvalidInput);
    assert_eq!(segments(), Vec::<String>::new(), "something was left behind");
}

fn foreign() {
    need_root("become another user");
    let memory = SysvShmOptions::new().mode(0o666).create(fresh_key()).expect("create");
    let mut peer = Peer::cast("nobody_attaches");
    peer.command().env("KEY", memory.key().get().to_string());
    peer.start().join();
}

fn nobody_attaches() {
    become_nobody();
    let key = std::env::var("KEY").expect("KEY").parse().expect("a number");
    let key = Key::new(key).expect("a key");
    assert_eq!(kind(SysvShmOptions::new().open(key)), ErrorKind::ForeignOwner { uid: 0 });
    let memory = SysvShmOptions::new().owner(0).open(key).expect("root is trusted");
    assert_eq!(kind(memory.remove()), ErrorKind::PermissionDenied);
}

fn killed() {
    let key = fresh_key();
    let mut peer = Peer::cast("creates_and_waits");
    peer.command().env("KEY", key.get().to_string());
    let mut peer = peer.start();
    peer.expect("created");
    peer.kill();
    let memory = SysvShmOptions::new().open(key).expect("it outlives its creator");
    let mut text = [0; 4];
    memory.read_at(0, &mut text).expect("read");
    assert_eq!(&text, b"here");
    drop(memory.removal_guard());
    assert!(memory.status().expect("status").removed);
}

fn creates_and_waits() {
    let key = std::env::var("KEY").expect("KEY").parse().expect("a number");
    let memory = SysvShmOptions::new().create(Key::new(key).expect("a key")).expect("create");
    memory.write_at(0, b"here").expect("write");
    say("created");
    loop {
        std::thread::park();
    }
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect(program);
    assert!(output.status.success(), "{program}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ipcs() {
    need("ipcs", "util-linux");
    need("ipcrm", "util-linux");
    let memory = SysvShmOptions::new().len(777).create(fresh_key()).expect("create");
    let listed = output("ipcs", &["-m"]);
    let key = memory.key().to_string();
    let line = listed.lines().find(|line| line.starts_with(&key)).expect("ipcs does not list it");
    assert!(line.contains(" 777 "), "{line}");
    output("ipcrm", &["-m", &memory.id().to_string()]);
    assert!(memory.status().expect("status").removed);
}

fn ipcmk() {
    need("ipcmk", "util-linux");
    let said = output("ipcmk", &["-M", "4097"]);
    let id = said.split_whitespace().last().and_then(|id| id.parse().ok()).expect("an id");
    let memory: SysvShm = SysvShmOptions::new().open_id(id).expect("attach");
    assert_eq!(memory.len(), 4097);
    memory.write_at(4096, &[1]).expect("write");
    memory.remove().expect("remove");
}

const PYTHON: &str = r"
import sys, sysv_ipc
memory = sysv_ipc.attach(int(sys.argv[1]))
assert memory.read(9) == b'from Rust', memory.read(9)
memory.write(b'from Python', 100)
";

fn python() {
    need("python3", "python3");
    let probe = Command::new("python3").args(["-c", "import sysv_ipc"]).output();
    if !probe.expect("python3").status.success() {
        skip("Python's sysv_ipc is not installed: pip install sysv_ipc");
    }
    let memory = SysvShmOptions::new().create(Key::PRIVATE).expect("create");
    memory.write_at(0, b"from Rust").expect("write");
    output("python3", &["-c", PYTHON, &memory.id().to_string()]);
    let mut text = [0; 11];
    memory.read_at(100, &mut text).expect("read");
    assert_eq!(&text, b"from Python");
}

fn wrong_sort() {
    let memory = SysvShmOptions::new().create(Key::PRIVATE).expect("create");
    let mut command = Command::new("true");
    memory.give(&mut command, "not good!").map(drop).expect_err("it is no key");
    assert_eq!(kind(SysvShm::<ReadOnly>::adopt("nobody_gave_it")), ErrorKind::NotFound);
}

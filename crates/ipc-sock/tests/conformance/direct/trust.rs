//! Other users, squatted directories, forged credentials.

use std::fs::Permissions;
use std::io::IoSlice;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use ipc_core::{ErrorKind, Wait};
use ipc_sock::direct::PortOptions;
use ipc_testkit::{Harness, NOBODY, Peer, become_nobody, dir, hear, is_root, need_root, say};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, UCred, sendmsg};
use rustix::process::{Gid, Pid, Uid, geteuid};

use super::addressing::echo;
use super::{case_pid, cast, fails, fails_with, me, options, pid, private, recv};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("direct/a_squatted_directory_is_refused", squatted)
        .test("direct/a_directory_is_made_for_this_user_alone", made)
        .role("direct/makes_it", makes_it)
        .test("direct/the_default_directory_is_that_of_this_user", default)
        .role("direct/opens_the_default", opens_the_default)
        .test("direct/a_directory_whose_path_is_too_long_is_an_invalid_name", too_long)
        .test("direct/a_process_of_another_user_is_a_foreign_owner", foreign)
        .role("direct/nobody_has_a_port", nobody_has_a_port)
        .test("direct/messages_of_root_are_dropped_and_counted", root_sends)
        .test("direct/credentials_cannot_be_forged", forged)
        .role("direct/nobody_forges", nobody_forges)
        .test("direct/a_set_user_id_program_has_no_port", set_user_id)
        .role("direct/has_two_users", has_two_users)
}

/// A directory for the ports of nobody, which it can reach.
fn nobodys() -> PathBuf {
    dir().join("nobody")
}

fn make_nobodys() {
    need_root("become another user");
    std::fs::set_permissions(dir(), Permissions::from_mode(0o711)).expect("chmod");
    std::fs::create_dir(nobodys()).expect("mkdir");
    std::fs::set_permissions(nobodys(), Permissions::from_mode(0o700)).expect("chmod");
    chown(nobodys(), Some(NOBODY), Some(NOBODY)).expect("chown");
}

/// Of this user, while the case's directory is open to others.
fn roots() -> PortOptions {
    PortOptions::new().directory(dir().join("root"))
}

fn remove(name: &str) {
    std::fs::remove_dir(dir().join(name)).expect("it is empty");
}

fn squatted() {
    let at = dir().join("ports");
    let open = || PortOptions::new().directory(&at).open();
    let is_not = |found| ErrorKind::WrongType { expected: "a directory", found };
    // Somebody was there first, and has put a link to a directory of ours.
    symlink(dir(), &at).expect("symlink");
    fails(open(), is_not("a symbolic link"));
    let slash = PortOptions::new().directory(dir().join("ports/"));
    fails(slash.open(), is_not("a symbolic link"));
    std::fs::remove_file(&at).expect("remove");
    std::fs::write(&at, "").expect("write");
    fails(open(), is_not("a regular file"));
    std::fs::remove_file(&at).expect("remove");

    std::fs::create_dir(&at).expect("mkdir");
    for mode in [0o755, 0o770, 0o701, 0o1777] {
        std::fs::set_permissions(&at, Permissions::from_mode(mode)).expect("chmod");
        fails_with(open(), ErrorKind::PermissionDenied, "chmod 700");
    }
    std::fs::set_permissions(&at, Permissions::from_mode(0o700)).expect("chmod");
    drop(open().expect("it is right now"));
    let nowhere = PortOptions::new().directory(dir().join("none/ports"));
    fails(nowhere.open(), ErrorKind::NotFound);
    if is_root() {
        chown(&at, Some(NOBODY), None).expect("chown");
        fails_with(open(), ErrorKind::ForeignOwner { uid: NOBODY }, "another user made it");
    }
    remove("ports");
    assert!(ipc_testkit::names_in_dir().is_empty(), "{:?}", ipc_testkit::names_in_dir());
    need_root("give a directory to another user; the rest of this case passed");
}

fn made() {
    for umask in ["000", "777"] {
        let mut peer = Peer::cast("direct/makes_it");
        peer.command().env("UMASK", umask);
        peer.start().join();
    }
}

fn makes_it() {
    let umask = std::env::var("UMASK").expect("UMASK");
    let umask = u32::from_str_radix(&umask, 8).expect("a number");
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    let at = dir().join("ports");
    let port = PortOptions::new().directory(&at).open().expect("open");
    let mode = |path: &std::path::Path| {
        std::fs::symlink_metadata(path).expect("stat").permissions().mode() & 0o7777
    };
    assert_eq!((mode(&at), mode(port.path())), (0o700, 0o600));
    drop(port);
    remove("ports");
}

fn default() {
    let path = |runtime: &PathBuf| {
        let mut peer = Peer::cast("direct/opens_the_default");
        peer.command().env("XDG_RUNTIME_DIR", runtime);
        let mut peer = peer.start();
        let path = peer.listen();
        peer.join();
        path
    };
    let ours = private();
    assert!(path(&ours).starts_with(ours.join("ipc-direct").to_str().expect("text")));
    remove("ipc-direct");
    // What `su` leaves in the environment.
    let others = dir().join("others");
    std::fs::create_dir(&others).expect("mkdir");
    std::fs::set_permissions(&others, Permissions::from_mode(0o755)).expect("chmod");
    let common = format!("/tmp/ipc-direct-{}/", geteuid().as_raw());
    let existed = std::path::Path::new(&common).exists();
    assert!(path(&others).starts_with(&common));
    remove("others");
    if !existed {
        // Unless another process has a port there by now.
        let _ = std::fs::remove_dir(common);
    }
}

fn opens_the_default() {
    let port = PortOptions::new().open().expect("open");
    say(port.path().to_str().expect("text"));
}

fn too_long() {
    let long = dir().join("x".repeat(100));
    let error = PortOptions::new().directory(&long).open().expect_err("it is too long");
    assert!(matches!(error.kind(), ErrorKind::InvalidName(_)), "{error}");
    std::fs::remove_dir(long).expect("remove");
}

fn foreign() {
    make_nobodys();
    let mut port = roots().open().expect("open");
    let mut peer = cast("direct/nobody_has_a_port").start();
    peer.expect("open");
    let nobody = pid(&peer);
    let theirs = ErrorKind::ForeignOwner { uid: NOBODY };
    fails_with(port.send_to(nobody, b"x", Wait::Forever), theirs, "of one user");
    fails(port.peer(nobody), theirs);
    fails(port.recv_from(Some(nobody), &mut [0; 8], Wait::Forever), theirs);
    fails(port.only_from(nobody), theirs);
    peer.tell("done");
    peer.join();
    drop(port);
    remove("root");
    remove("nobody");
}

fn nobody_has_a_port() {
    become_nobody();
    let port = PortOptions::new().directory(nobodys()).open().expect("open");
    let roots = ErrorKind::ForeignOwner { uid: 0 };
    fails(port.send_to(case_pid(), b"x", Wait::Forever), roots);
    fails(port.peer(1), roots);
    fails(self::roots().open(), roots);
    say("open");
    assert_eq!(hear(), "done");
}

fn root_sends() {
    make_nobodys();
    let root = UnixDatagram::unbound().expect("a socket");
    for accepts in [false, true] {
        let mut peer = cast("direct/nobody_forges");
        peer.command().env("ACCEPT", if accepts { "yes" } else { "no" });
        let mut peer = peer.start();
        let path = peer.listen();
        root.send_to(b"from root", path).expect("send");
        peer.tell("go");
        peer.expect(if accepts { "from root" } else { "dropped 1" });
        peer.join();
    }
    remove("nobody");
}

fn forged() {
    make_nobodys();
    let mut peer = cast("direct/nobody_forges");
    peer.command().env("FORGE", "yes");
    let mut peer = peer.start();
    let _path = peer.listen();
    peer.tell("go");
    peer.expect("refused");
    peer.join();
    remove("nobody");
}

/// Nobody with a port, which says what it has received and dropped, or forges.
fn nobody_forges() {
    become_nobody();
    let accepts = std::env::var("ACCEPT").is_ok_and(|it| it == "yes");
    let options = PortOptions::new().directory(nobodys()).accept_root(accepts);
    let mut port = options.open().expect("open");
    say(port.path().to_str().expect("text"));
    assert_eq!(hear(), "go");
    if std::env::var_os("FORGE").is_some() {
        let socket = UnixDatagram::unbound().expect("a socket");
        socket.connect(port.path()).expect("connect");
        let other_pid = Pid::from_raw(i32::try_from(case_pid()).expect("a pid")).expect("a pid");
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        let own_pid = rustix::process::getpid();
        for (cred, allowed) in [
            (UCred { pid: other_pid, uid, gid }, false),
            (UCred { pid: own_pid, uid: Uid::ROOT, gid }, false),
            (UCred { pid: own_pid, uid, gid: Gid::ROOT }, false),
            (UCred { pid: own_pid, uid, gid }, true),
        ] {
            let mut space =
                [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            assert!(beside.push(SendAncillaryMessage::ScmCredentials(cred)));
            let sent = sendmsg(&socket, &[IoSlice::new(b"mine")], &mut beside, SendFlags::empty());
            let expected = if allowed { Ok(4) } else { Err(Errno::PERM) };
            assert_eq!(sent, expected, "{cred:?}");
        }
        assert_eq!(recv(&mut port, None), (b"mine".to_vec(), me()));
        fails(port.recv_from(None, &mut [0; 8], Wait::Never), ErrorKind::WouldBlock);
        assert_eq!(port.dropped(), 0);
        return say("refused");
    }
    if accepts {
        let (text, from) = recv(&mut port, None);
        assert_eq!((from, port.dropped()), (case_pid(), 0));
        // It is accepted as a sender, and has no port that could be reached.
        fails(port.recv_from(Some(from), &mut [0; 8], Wait::Never), ErrorKind::WouldBlock);
        fails(port.send_to(from, b"x", Wait::Never), ErrorKind::ForeignOwner { uid: 0 });
        return say(String::from_utf8(text).expect("text"));
    }
    // What is received next is one's own.
    echo(&mut port);
    say(format!("dropped {}", port.dropped()));
}

fn set_user_id() {
    need_root("have two users");
    Peer::start("direct/has_two_users").join();
}

fn has_two_users() {
    let (nobody, root) = (Uid::from_raw(NOBODY), Uid::ROOT);
    rustix::thread::set_thread_res_uid(nobody, root, root).expect("setresuid");
    fails_with(options().open(), ErrorKind::Unsupported, "real user");
}

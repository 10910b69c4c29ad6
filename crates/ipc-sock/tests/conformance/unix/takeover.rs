//! Names that dead processes left behind, and names that only look like it.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;

use ipc_core::{Error, ErrorKind, Listen, ReadBytes, RecvMsg, Wait, WriteBytes};
use ipc_sock::unix::{Address, SocketOptions};
use ipc_testkit::{
    Harness, NOBODY, Peer, Talker, become_nobody, dir, hear, names_in_dir, need, need_root, say,
    wait_for_the_end,
};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use super::tools::{NEW, kind_of, open_directory, path, python, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/takeover/a_dead_process_leaves_its_name_to_the_next", dead_names_are_taken)
        .role("unix/takeover/owns", owns)
        .test("unix/takeover/a_live_listener_is_not_taken", live_listener)
        .test("unix/takeover/a_socket_that_does_not_listen_yet_is_not_taken", bound_socket)
        .test("unix/takeover/a_live_datagram_socket_is_not_taken", live_datagram)
        .test("unix/takeover/what_a_child_still_serves_is_not_taken", served_by_a_child)
        .role("unix/takeover/serves", serves)
        .test("unix/takeover/a_python_server_is_not_taken", python_server)
        .test("unix/takeover/a_socat_server_is_not_taken", socat_server)
        .test("unix/takeover/of_two_that_race_one_serves", of_two_that_race_one_serves)
        .role("unix/takeover/races", races)
        .test("unix/takeover/a_takeover_that_was_killed_is_taken_over", killed_at_each_step)
        .test("unix/takeover/owners_killed_at_any_moment_leave_nothing", killed_at_any_moment)
        .role("unix/takeover/owns_again_and_again", owns_again_and_again)
        .test("unix/takeover/a_name_that_was_given_away_is_taken_over", given_away)
        .test("unix/takeover/another_users_name_is_foreign", foreign_name)
        .role("unix/takeover/nobody_meets_roots_name", nobody_meets_roots_name)
        .test("unix/takeover/files_of_strangers_are_left_alone", files_of_strangers)
        .test("unix/takeover/a_dead_abstract_name_is_free", dead_abstract_name)
}

/// Leaves a socket's file without a socket.
fn leave_stale(path: impl AsRef<std::path::Path>) {
    drop(UnixListener::bind(path).expect("bind"));
}

/// A peer that owns `path()` as `sort` says, and is killed.
fn leave_dead(sort: &str) {
    let mut peer = Peer::cast("unix/takeover/owns");
    peer.command().env("SORT", sort);
    let mut peer = peer.start();
    peer.expect("mine");
    peer.kill();
    assert_eq!(names_in_dir(), ["socket"], "it cleaned up although killed");
}

fn owns() {
    let own = |sort: &str| -> Result<Box<dyn std::any::Any>, Error> {
        Ok(match sort {
            "stream" => Box::new(NEW.listen(path())?),
            "seqpacket" => Box::new(NEW.listen_seqpacket(path())?),
            _ => Box::new(NEW.bind_datagram(path())?),
        })
    };
    let _socket = own(&std::env::var("SORT").expect("SORT")).expect("bind");
    say("mine");
    wait_for_the_end()
}

fn dead_names_are_taken() -> Result<(), Error> {
    for sort in ["stream", "seqpacket", "datagram"] {
        leave_dead(sort);
        let refused = kind_of(NEW.connect(path(), soon()));
        assert_eq!(refused, ErrorKind::ConnectionRefused, "{sort}");
        let listener = NEW.listen(path())?;
        NEW.connect(path(), soon())?;
        listener.try_accept()?;
        drop(listener);
        // By one of another type as well.
        leave_dead(sort);
        let mut log = NEW.bind_datagram(path())?;
        NEW.datagram()?.send_to(b"x", path(), Wait::Never)?;
        assert_eq!(log.try_recv(&mut [0; 8]), Ok(1));
        drop(log);
        assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
    }
    Ok(())
}

/// Every way to take the name says that it is taken, and leaves nothing behind.
#[track_caller]
fn is_not_taken() {
    let name = Address::path(path()).expect("a path");
    let kinds = [
        kind_of(NEW.listen(&name)),
        kind_of(NEW.listen_seqpacket(&name)),
        kind_of(NEW.bind_datagram(&name)),
    ];
    assert_eq!(kinds, [ErrorKind::AlreadyExists; 3]);
    assert_eq!(names_in_dir(), ["socket"]);
}

fn live_listener() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    is_not_taken();
    let nobody = kind_of(listener.try_accept());
    assert_eq!(nobody, ErrorKind::WouldBlock, "the listener noticed that it was looked at");
    NEW.connect(path(), soon())?;
    listener.try_accept()?;
    drop(listener);
    let listener = NEW.listen_seqpacket(path())?;
    is_not_taken();
    NEW.connect_seqpacket(path(), soon())?;
    listener.try_accept().map(drop)
}

fn bound_socket() {
    for kind in [SocketType::STREAM, SocketType::SEQPACKET] {
        let socket = rustix::net::socket(AddressFamily::UNIX, kind, None).expect("socket");
        let address = SocketAddrUnix::new(path()).expect("a path");
        rustix::net::bind(&socket, &address).expect("bind");
        is_not_taken();
        rustix::net::listen(&socket, 1).expect("listen");
        is_not_taken();
        fs::remove_file(path()).expect("remove");
    }
}

fn live_datagram() -> Result<(), Error> {
    let mut log = NEW.bind_datagram(path())?;
    is_not_taken();
    let empty = kind_of(log.try_recv(&mut [0; 8]));
    assert_eq!(empty, ErrorKind::WouldBlock, "the receiver noticed that it was looked at");
    // One that is connected to another one refuses whoever looks at it.
    let other = UnixDatagram::bind(dir().join("other")).expect("bind");
    log.connect(dir().join("other"))?;
    fs::remove_file(dir().join("other")).expect("remove");
    is_not_taken();
    other.connect(path()).expect("connect");
    other.send(b"x").expect("send");
    assert_eq!(log.recv(&mut [0; 8]), Ok(1));
    Ok(())
}

/// The process that made it has died, and a child that got a copy has not.
fn served_by_a_child() -> Result<(), Error> {
    let listener = UnixListener::bind(path()).expect("bind");
    let listener =
        ipc_sock::unix::Listener::<ipc_sock::unix::Stream>::try_from(OwnedFd::from(listener))?;
    let mut peer = Peer::cast("unix/takeover/serves");
    ipc_core::Handoff::give(listener, peer.command(), "listener")?;
    let mut peer = peer.start();
    peer.expect("ready");
    is_not_taken();
    NEW.connect(path(), soon())?;
    peer.expect("accepted");
    peer.kill();
    NEW.listen(path())?.unlink()
}

fn serves() -> Result<(), Error> {
    let listener: ipc_sock::unix::Listener = ipc_core::Handoff::adopt("listener")?;
    say("ready");
    listener.accept()?;
    say("accepted");
    wait_for_the_end()
}

fn python_server() -> Result<(), Error> {
    for (kind, listens) in [("STREAM", true), ("STREAM", false), ("DGRAM", false)] {
        let script = format!(
            "s = socket.socket(UNIX, {kind}); s.bind(name)
if {}: s.listen()
print('bound'); sys.stdin.readline()",
            if listens { "True" } else { "False" }
        );
        let mut python = python(&script, &Address::path(path())?);
        python.expect("bound");
        is_not_taken();
        python.kill();
        NEW.listen(path())?.unlink()?;
    }
    Ok(())
}

fn socat_server() -> Result<(), Error> {
    need("socat", "socat");
    let mut socat = Command::new("socat");
    socat.arg(format!("UNIX-LISTEN:{}", path().display())).arg("STDIO");
    let mut socat = Talker::start(&mut socat);
    let bound = || NEW.connect(path(), soon());
    // It has bound its name when it can be connected to; it serves that one client.
    while !path().exists() {
        std::thread::yield_now();
    }
    is_not_taken();
    let mut client = loop {
        match bound() {
            Ok(client) => break client,
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}"),
        }
    };
    client.write_all_with(b"to socat\n", soon())?;
    socat.expect("to socat");
    drop(client);
    socat.join();
    Ok(())
}

/// Two processes that start at once, again and again.
fn of_two_that_race_one_serves() -> Result<(), Error> {
    let mut racers = ["a", "b"].map(|_| Peer::start("unix/takeover/races"));
    let mut wins = [0, 0];
    for round in 0..200 {
        leave_stale(path());
        racers.iter_mut().for_each(|it| it.tell("go"));
        let said = racers.each_mut().map(Peer::listen);
        let winners: Vec<_> = (0..2).filter(|it| said[*it] == "mine").collect();
        assert_eq!(winners.len(), 1, "round {round}: {said:?}");
        assert!(said.contains(&"somebody else's".to_owned()), "round {round}: {said:?}");
        wins[winners[0]] += 1;
        let mut client = NEW.connect(path(), soon())?;
        racers[winners[0]].tell("serve");
        let mut buf = [0; 2];
        client.read_exact_with(&mut buf, soon())?;
        assert_eq!(&buf, b"hi", "round {round}");
        racers[winners[0]].expect("served");
        assert!(names_in_dir().is_empty(), "round {round}: {:?}", names_in_dir());
    }
    ipc_testkit::note(format!("the two won {wins:?} times"));
    for mut racer in racers {
        racer.tell("end");
        racer.join();
    }
    Ok(())
}

fn races() -> Result<(), Error> {
    while hear() == "go" {
        match NEW.listen(path()) {
            Ok(listener) => {
                say("mine");
                assert_eq!(hear(), "serve");
                listener.accept()?.write_all_with(b"hi", soon())?;
                drop(listener);
                say("served");
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => say("somebody else's"),
            Err(error) => say(error.to_string()),
        }
    }
    Ok(())
}

/// What a process that was killed after each step of a takeover leaves.
fn killed_at_each_step() -> Result<(), Error> {
    let (lock, aside) = (dir().join("socket.sock-lock"), dir().join("socket.sock-stale"));
    let touch = || fs::write(&lock, "").expect("write a file");
    // It has locked.
    leave_stale(path());
    touch();
    NEW.listen(path())?.unlink()?;
    assert!(names_in_dir().is_empty(), "after the lock: {:?}", names_in_dir());
    // It has moved the stale socket aside, and nothing has the name.
    leave_stale(&aside);
    touch();
    NEW.listen(path())?.unlink()?;
    assert!(names_in_dir().is_empty(), "after the move: {:?}", names_in_dir());
    // The same, and then the next one has died too.
    leave_stale(&aside);
    leave_stale(path());
    touch();
    NEW.bind_datagram(path())?.unlink()?;
    assert!(names_in_dir().is_empty(), "after the second move: {:?}", names_in_dir());
    // It has removed the stale socket.
    touch();
    NEW.listen(path())?.unlink()?;
    assert!(names_in_dir().is_empty(), "after the removal: {:?}", names_in_dir());
    // It has bound its own.
    leave_stale(path());
    touch();
    NEW.listen_seqpacket(path())?.unlink()?;
    assert!(names_in_dir().is_empty(), "after the bind: {:?}", names_in_dir());
    Ok(())
}

/// Kills owners while they take over, hold and remove the name as fast as they can.
fn killed_at_any_moment() {
    for round in 0..super::kills::kills() {
        leave_stale(path());
        let mut owner = Peer::start("unix/takeover/owns_again_and_again");
        for _ in 0..round % 7 {
            owner.expect("mine");
        }
        owner.kill();
        let listener = NEW.listen(path()).unwrap_or_else(|error| {
            panic!("after kill {round} with {:?}: {error}", names_in_dir());
        });
        NEW.connect(path(), soon()).expect("connect");
        listener.try_accept().expect("accept");
        drop(listener);
        assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
    }
}

fn owns_again_and_again() {
    for turn in 0.. {
        let mut listener = NEW.listen(path()).expect("listen");
        say("mine");
        if turn % 2 == 0 {
            // So that the next turn has something stale to take over.
            listener.keep();
        }
    }
}

/// By a process that was to give its own to that user as well.
fn given_away() -> Result<(), Error> {
    need_root("give files to another user");
    let options: SocketOptions = NEW.owner(Some(NOBODY), None);
    for dead in ["before", "after"] {
        leave_stale(path());
        if dead == "after" {
            std::os::unix::fs::chown(path(), Some(NOBODY), None).expect("chown");
        }
        options.listen(path())?.unlink()?;
        assert!(names_in_dir().is_empty(), "left behind: {:?}", names_in_dir());
    }
    leave_stale(path());
    std::os::unix::fs::chown(path(), Some(NOBODY), None).expect("chown");
    assert_eq!(kind_of(NEW.listen(path())), ErrorKind::ForeignOwner { uid: NOBODY });
    let others = NEW.owner(Some(4711), None);
    assert_eq!(kind_of(others.listen(path())), ErrorKind::ForeignOwner { uid: NOBODY });
    assert_eq!(names_in_dir(), ["socket"]);
    fs::remove_file(path()).expect("remove");
    Ok(())
}

fn foreign_name() -> Result<(), Error> {
    need_root("become another user");
    open_directory(0o777);
    let listener = NEW.mode(0o666).listen(path())?;
    leave_stale(dir().join("stale"));
    Peer::start("unix/takeover/nobody_meets_roots_name").join();
    assert_eq!(names_in_dir(), ["socket", "stale"]);
    fs::remove_file(dir().join("stale")).expect("remove");
    drop(listener);
    Ok(())
}

fn nobody_meets_roots_name() {
    become_nobody();
    for name in ["socket", "stale"] {
        let kind = kind_of(NEW.listen(dir().join(name)));
        assert_eq!(kind, ErrorKind::ForeignOwner { uid: 0 }, "{name}");
    }
}

fn files_of_strangers() -> Result<(), Error> {
    let (lock, aside) = (dir().join("socket.sock-lock"), dir().join("socket.sock-stale"));
    leave_stale(path());
    symlink("/dev/null", &lock).expect("make a link");
    assert!(matches!(kind_of(NEW.listen(path())), ErrorKind::WrongType { .. }));
    fs::remove_file(&lock).expect("remove");
    // A file of that name which somebody uses for something else.
    fs::write(&lock, "somebody else's notes").expect("write a file");
    NEW.listen(path())?.unlink()?;
    assert_eq!(fs::read_to_string(&lock).expect("read"), "somebody else's notes");
    fs::remove_file(&lock).expect("remove");
    // What has the other name and is no socket, or one that lives.
    leave_stale(path());
    fs::write(&aside, "text").expect("write a file");
    assert!(matches!(kind_of(NEW.listen(path())), ErrorKind::WrongType { .. }));
    assert_eq!(fs::read_to_string(&aside).expect("read"), "text");
    fs::remove_file(&aside).expect("remove");
    let live = NEW.listen(&aside)?;
    assert_eq!(kind_of(NEW.listen(path())), ErrorKind::AlreadyExists);
    NEW.connect(&aside, soon())?;
    drop(live);
    NEW.listen(path())?.unlink()
}

fn dead_abstract_name() -> Result<(), Error> {
    let name = super::tools::abstract_name();
    let mut python = python(
        "s = socket.socket(UNIX, STREAM); s.bind(name); s.listen(); print('bound'); sys.stdin.readline()",
        &name,
    );
    python.expect("bound");
    assert_eq!(kind_of(NEW.listen(&name)), ErrorKind::AlreadyExists);
    python.kill();
    let listener = NEW.listen(&name)?;
    NEW.connect(&name, soon())?;
    listener.try_accept().map(drop)
}

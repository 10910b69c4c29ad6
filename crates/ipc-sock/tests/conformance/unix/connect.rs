//! Connecting, and who is let in.

use std::os::unix::net::UnixListener;
use std::time::Instant;

use ipc_core::{Error, ErrorKind, Listen, ReadBytes, Wait, WriteBytes};
use ipc_sock::unix::{Listener, SocketOptions, Stream, Trust};
use ipc_testkit::{
    Harness, NOBODY, Peer, become_nobody, block, dir, hear, names_in_dir, need_root, say,
};
use rustix::fs::OFlags;
use rustix::net::sockopt::{Timeout, socket_timeout};

use super::tools::{NEW, a_moment, abstract_name, kind_of, open_directory, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/connect/nobody_listens_is_refused", nobody_listens_is_refused)
        .test("unix/connect/a_full_backlog_with_each_wait", full_backlog)
        .test("unix/connect/a_listener_that_goes_refuses_who_waits", listener_goes)
        .test("unix/connect/a_connection_blocks_as_any_other", a_connection_blocks)
        .test("unix/connect/a_socket_of_another_type_is_wrong_type", another_type)
        .test("unix/connect/both_ends_check_the_other_user", both_ends_check)
        .role("unix/connect/nobody_connects", nobody_connects)
        .test("unix/connect/strangers_do_not_hold_up_a_wait_that_is_over", strangers_hold_up_nobody)
        .role("unix/connect/nobody_knocks", nobody_knocks)
        .test("unix/connect/an_unaccepted_client_sees_the_listener_go", unaccepted_client)
}

fn nobody_listens_is_refused() {
    assert_eq!(kind_of(NEW.connect(path(), soon())), ErrorKind::NotFound);
    drop(UnixListener::bind(path()).expect("bind"));
    for wait in [Wait::Never, soon(), Wait::Forever] {
        assert_eq!(kind_of(NEW.connect(path(), wait)), ErrorKind::ConnectionRefused);
        assert_eq!(kind_of(NEW.connect_seqpacket(path(), wait)), ErrorKind::ConnectionRefused);
        assert_eq!(kind_of(NEW.connect(abstract_name(), wait)), ErrorKind::ConnectionRefused);
    }
    let sender = NEW.datagram().expect("socket");
    assert_eq!(kind_of(sender.connect(path())), ErrorKind::ConnectionRefused);
    assert_eq!(kind_of(sender.send_to(b"x", path(), soon())), ErrorKind::ConnectionRefused);
    std::fs::remove_file(path()).expect("remove");
}

/// A listener whose backlog is full, and the client that fills it.
fn full() -> (Listener, Stream) {
    let listener = NEW.backlog(0).listen(path()).expect("listen");
    let client = NEW.connect(path(), Wait::Never).expect("a backlog of 0 has room for one");
    (listener, client)
}

fn full_backlog() -> Result<(), Error> {
    let (listener, _client) = full();
    assert_eq!(kind_of(NEW.connect(path(), Wait::Never)), ErrorKind::WouldBlock);
    let before = Instant::now();
    let deadline = a_moment();
    assert_eq!(kind_of(NEW.connect(path(), deadline)), ErrorKind::TimedOut);
    assert_eq!(deadline.remaining(), Some(std::time::Duration::ZERO), "it gave up early");
    assert_eq!(kind_of(NEW.connect(path(), Wait::Until(before))), ErrorKind::TimedOut);

    for wait in [Wait::Forever, soon()] {
        let next = block("connect to a full backlog", move || NEW.connect(path(), wait));
        assert_eq!(next.interrupt(3), 3, "a signal ended the connect");
        listener.try_accept()?;
        let next = next.join()?;
        // The backlog is full again, with a connection that works.
        assert_eq!(kind_of(NEW.connect(path(), Wait::Never)), ErrorKind::WouldBlock);
        drop(next);
    }
    Ok(())
}

fn listener_goes() {
    let (listener, _client) = full();
    let next = block("connect to a full backlog", || NEW.connect(path(), soon()));
    drop(listener);
    // The name went first, and then the socket.
    let kind = kind_of(next.join());
    assert!(matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::NotFound), "{kind:?}");
    assert!(names_in_dir().is_empty());
}

/// Nothing of the deadline stays on the socket.
fn a_connection_blocks() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    for wait in [Wait::Never, soon(), Wait::Forever] {
        let client = NEW.connect(path(), wait)?;
        let server = listener.accept()?;
        for end in [&client, &server] {
            let flags = rustix::fs::fcntl_getfl(end).expect("fcntl");
            assert!(!flags.contains(OFlags::NONBLOCK), "{wait:?} left it non-blocking");
            let timeout = socket_timeout(end, Timeout::Send).expect("getsockopt");
            assert_eq!(timeout, None, "{wait:?} left a timeout");
        }
    }
    Ok(())
}

fn another_type() -> Result<(), Error> {
    let wrong = ErrorKind::WrongType {
        expected: "a socket of the type that connects",
        found: "a socket of another type",
    };
    let stream = NEW.listen(dir().join("stream"))?;
    let _packets = NEW.listen_seqpacket(dir().join("seqpacket"))?;
    let _log = NEW.bind_datagram(dir().join("datagram"))?;
    let sender = NEW.datagram()?;
    for name in ["stream", "seqpacket", "datagram"].map(|it| dir().join(it)) {
        let kinds = [
            NEW.connect(&name, soon()).map(drop),
            NEW.connect_seqpacket(&name, soon()).map(drop),
            sender.connect(&name),
            sender.send_to(b"x", &name, soon()),
        ]
        .map(|result| result.map_err(|error| error.kind()));
        let right = kinds.iter().filter(|it| it.is_ok()).count();
        let refused = kinds.iter().filter(|it| **it == Err(wrong)).count();
        assert_eq!(right + refused, 4, "{name:?}: {kinds:?}");
        assert_eq!(right, if name.ends_with("datagram") { 2 } else { 1 }, "{name:?}: {kinds:?}");
    }
    stream.try_accept().map(drop)
}

/// The listener's trust and the client's, and whether they let the other in.
const TRUST: [(Trust, Trust, bool, bool); 6] = [
    (Trust::SameUser, Trust::SameUser, false, false),
    (Trust::SameUser, Trust::User(0), false, true),
    (Trust::User(NOBODY), Trust::SameUser, true, false),
    (Trust::User(NOBODY), Trust::User(0), true, true),
    (Trust::Anyone, Trust::Anyone, true, true),
    (Trust::User(4711), Trust::User(4711), false, false),
];

fn both_ends_check() -> Result<(), Error> {
    need_root("become another user");
    open_directory(0o711);
    let mut peer = Peer::start("unix/connect/nobody_connects");
    for (ours, _, lets_in, is_let_in) in TRUST {
        let listener = NEW.mode(0o666).trust(ours).listen(path())?;
        peer.tell("connect");
        peer.expect(if is_let_in { "connected" } else { "foreign" });
        match listener.try_accept() {
            Ok(conn) => {
                assert!(lets_in, "{ours:?} let nobody in");
                assert_eq!(conn.peer()?.uid, NOBODY);
                if is_let_in {
                    (&conn).write_all_with(b"welcome", soon())?;
                }
            }
            Err(error) => assert!(!lets_in, "{ours:?} kept nobody out: {error}"),
        }
        if is_let_in {
            peer.expect(if lets_in { "7 bytes" } else { "0 bytes" });
        }
        // Root itself is let in by those who trust it.
        let root = NEW.connect(path(), soon())?;
        let accepted = listener.try_accept().is_ok();
        assert_eq!(accepted, matches!(ours, Trust::SameUser | Trust::Anyone), "{ours:?}");
        drop(root);
    }
    peer.join();
    Ok(())
}

fn nobody_connects() -> Result<(), Error> {
    become_nobody();
    for (_, ours, ..) in TRUST {
        assert_eq!(hear(), "connect");
        match NEW.trust(ours).connect(path(), soon()) {
            Ok(mut conn) => {
                say("connected");
                let got = conn.read_with(&mut [0; 16], soon());
                say(format!("{} bytes", got.or_else(end_of_unaccepted)?));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ForeignOwner { uid: 0 }, "{error}");
                say("foreign");
            }
        }
    }
    Ok(())
}

fn end_of_unaccepted(error: Error) -> Result<usize, Error> {
    if error.kind() == ErrorKind::Disconnected { Ok(0) } else { Err(error) }
}

fn strangers_hold_up_nobody() -> Result<(), Error> {
    need_root("become another user");
    let name = abstract_name();
    let mut options: SocketOptions = NEW.backlog(8);
    let mut listener = options.listen(&name)?;
    let mut peer = Peer::cast("unix/connect/nobody_knocks");
    peer.command().env("NAME", name.to_string());
    let mut peer = peer.start();
    peer.expect("knocked");
    let client = NEW.connect(&name, soon())?;
    // As if there were room for one at most: three strangers are more than can have been waiting.
    options = options.backlog(1);
    listener.set_options(options)?;
    assert_eq!(kind_of(listener.accept_with(Wait::Never)), ErrorKind::WouldBlock);
    // The third, and then the one who is trusted.
    listener.accept_with(Wait::Never)?;
    drop(client);
    peer.join();
    Ok(())
}

fn nobody_knocks() -> Result<(), Error> {
    become_nobody();
    let name: ipc_sock::unix::Address = std::env::var("NAME").expect("NAME").parse()?;
    let options = NEW.trust(Trust::Anyone);
    let _knocks = [
        options.connect(&name, soon())?,
        options.connect(&name, soon())?,
        options.connect(&name, soon())?,
    ];
    say("knocked");
    ipc_testkit::wait_for_the_end()
}

fn unaccepted_client() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    let mut client = NEW.connect(path(), soon())?;
    client.write_all_with(b"is anybody there", soon())?;
    drop(listener);
    assert_eq!(kind_of(client.read_with(&mut [0; 8], soon())), ErrorKind::Disconnected);
    assert_eq!(kind_of(client.write_with(b"x", soon())), ErrorKind::Disconnected);
    Ok(())
}

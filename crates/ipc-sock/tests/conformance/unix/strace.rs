//! What our calls are for the kernel.

use std::os::fd::AsFd;

use ipc_core::{Error, ErrorKind, Handoff, ReadBytes, RecvMsg, Result, SendMsg, Wait, WriteBytes};
use ipc_sock::unix::{Datagram, Seqpacket, Stream};
use ipc_testkit::{Harness, NOBODY, Peer, Strace, hear, need, need_root, say};
use rustix::fs::Mode;

use super::tools::{NEW, kind_of, path, soon};

pub(super) fn cases(mut harness: Harness) -> Harness {
    for sort in ["stream", "seqpacket", "datagram"] {
        harness = harness
            .test(format!("unix/strace/one_call_for_each_operation_of_a_{sort}"), move || {
                one_call_each(sort)
            });
    }
    harness
        .role("unix/strace/echoes", echoes)
        .test("unix/strace/a_name_is_never_wider_than_asked_for", never_wider)
        .role("unix/strace/listens", listens)
        .test("unix/strace/a_name_goes_before_its_socket", name_goes_first)
        .role("unix/strace/drops", drops)
}

/// How many operations of each sort are counted.
const TRIPS: usize = 300;

/// Either end of a connection of one of the three sorts.
enum End {
    Stream(Stream),
    Seqpacket(Seqpacket),
    Datagram(Datagram),
}

impl End {
    fn send(&mut self, msg: &[u8], wait: Wait) -> Result<()> {
        match self {
            Self::Stream(it) => it.write_with(msg, wait).map(drop),
            Self::Seqpacket(it) => it.send_with(msg, wait),
            Self::Datagram(it) => it.send_with(msg, wait),
        }
    }

    fn recv(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        match self {
            Self::Stream(it) => it.read_with(buf, wait),
            Self::Seqpacket(it) => it.recv_with(buf, wait),
            Self::Datagram(it) => it.recv_with(buf, wait),
        }
    }

    /// A receive of a message with descriptors, and a send of one back.
    fn echo_descriptors(&mut self, buf: &mut [u8]) -> Result<()> {
        let message = match self {
            Self::Stream(it) => it.recv_message(buf, Wait::Forever)?,
            Self::Seqpacket(it) => it.recv_message(buf, Wait::Forever)?,
            Self::Datagram(it) => it.recv_message(buf, Wait::Forever)?,
        };
        let (msg, fds) = (&buf[..message.len], [message.fds[0].as_fd()]);
        match self {
            Self::Stream(it) => it.send_message(msg, &fds, Wait::Forever).map(drop),
            Self::Seqpacket(it) => it.send_message(msg, &fds, Wait::Forever),
            Self::Datagram(it) => it.send_message(msg, &fds, Wait::Forever),
        }
    }
}

fn one_call_each(sort: &str) -> Result<()> {
    need("strace", "strace");
    let mut peer = Peer::cast("unix/strace/echoes");
    peer.command().env("SORT", sort);
    let mut here = match sort {
        "stream" => {
            let (here, there) = NEW.pair()?;
            there.give(peer.command(), "end")?;
            End::Stream(here)
        }
        "seqpacket" => {
            let (here, there) = NEW.pair_seqpacket()?;
            there.give(peer.command(), "end")?;
            End::Seqpacket(here)
        }
        _ => {
            let (here, there) = NEW.pair_datagram()?;
            there.give(peer.command(), "end")?;
            End::Datagram(here)
        }
    };
    let mut peer = peer.start();
    peer.expect("ready");
    let strace = Strace::attach(&peer, &[]);
    peer.tell("go");
    let (file, _) = std::io::pipe().expect("pipe");
    let mut buf = [0; 16];
    for _ in 0..TRIPS {
        here.send(b"round trip", soon())?;
        assert_eq!(here.recv(&mut buf, soon())?, 10);
    }
    for _ in 0..TRIPS {
        let fds = [file.as_fd()];
        match &here {
            End::Stream(it) => it.send_message(b"descriptors", &fds, soon()).map(drop)?,
            End::Seqpacket(it) => it.send_message(b"descriptors", &fds, soon())?,
            End::Datagram(it) => it.send_message(b"descriptors", &fds, soon())?,
        }
        assert_eq!(here.recv(&mut buf, soon())?, 11);
    }
    peer.join();

    let text = strace.log();
    let count = |calls: &[&str], call: &str| calls.iter().filter(|it| it.starts_with(call)).count();
    // Between the first round trip and the last, nothing else.
    let of_sockets = |line: &&str| ["recvfrom(", "sendto("].iter().any(|it| line.starts_with(it));
    let rest: Vec<_> = text.lines().skip_while(|line| !line.starts_with("recvfrom(")).collect();
    let trips: Vec<_> = rest.iter().copied().take_while(of_sockets).collect();
    // The round trips, and as many receives that would have to wait.
    assert_eq!(count(&trips, "sendto("), TRIPS, "{text}");
    assert_eq!(count(&trips, "recvfrom("), 2 * TRIPS, "{text}");
    // Closing what came is a call too, and a check before it where std has debug assertions.
    let beside: Vec<_> = rest[trips.len()..]
        .iter()
        .copied()
        .filter(|line| !["close(", "fcntl("].iter().any(|it| line.starts_with(it)))
        .take_while(|line| ["recvmsg(", "sendmsg("].iter().any(|it| line.starts_with(it)))
        .collect();
    assert_eq!(count(&beside, "recvmsg("), TRIPS, "{text}");
    assert_eq!(count(&beside, "sendmsg("), TRIPS, "{text}");
    assert!(
        beside
            .iter()
            .all(|line| !line.starts_with("recvmsg(") || line.contains("MSG_CMSG_CLOEXEC")),
        "descriptors come without close-on-exec: {text}"
    );
    Ok(())
}

fn echoes() -> Result<(), Error> {
    let mut end = match std::env::var("SORT").expect("SORT").as_str() {
        "stream" => End::Stream(Stream::adopt("end")?),
        "seqpacket" => End::Seqpacket(Seqpacket::adopt("end")?),
        _ => End::Datagram(Datagram::adopt("end")?),
    };
    // Whatever is set up at the first use.
    let mut buf = [0; 16];
    assert_eq!(kind_of(end.recv(&mut buf, Wait::Never)), ErrorKind::WouldBlock);
    say("ready");
    assert_eq!(hear(), "go");
    for _ in 0..TRIPS {
        let len = end.recv(&mut buf, Wait::Forever)?;
        // The second of the two is a receive that would have to wait, before the answer is sent.
        assert_eq!(kind_of(end.recv(&mut buf[len..], Wait::Never)), ErrorKind::WouldBlock);
        end.send(&buf[..len], Wait::Forever)?;
    }
    for _ in 0..TRIPS {
        end.echo_descriptors(&mut buf)?;
    }
    Ok(())
}

/// The calls in which a name is made, for these options.
fn calls(umask: &str, mode: &str, owned: bool) -> Vec<String> {
    let mut peer = Peer::cast("unix/strace/listens");
    peer.command().env("UMASK", umask).env("MODE", mode);
    if owned {
        peer.command().env("OWNED", "yes");
    }
    let mut peer = peer.start();
    peer.expect("ready");
    let strace = Strace::attach(&peer, &[]);
    peer.tell("go");
    peer.join();
    let text = strace.log();
    let matter = ["fchmod(", "bind(", "chown(", "fchownat(", "chmod(", "fchmodat(", "listen("];
    text.lines()
        .filter(|line| matter.iter().any(|it| line.starts_with(it)))
        .map(|line| {
            let (call, rest) = line.split_once('(').expect("a call");
            let mode = rest.split(", ").map(|it| it.split(')').next().unwrap_or(it));
            let mode = mode.filter(|it| it.starts_with('0') && it.len() > 1).last();
            let call = call.trim_start_matches("fchmodat").trim_start_matches("fchownat");
            let call = match call {
                "" if line.starts_with("fchown") => "chown",
                "" => "chmod",
                call => call,
            };
            mode.filter(|_| call.contains("chmod"))
                .map_or(call.to_owned(), |mode| format!("{call} {mode}"))
        })
        .collect()
}

fn never_wider() {
    need("strace", "strace");
    // The mode is on the socket before it has a name, so that there is nothing to take back.
    assert_eq!(calls("0", "600", false), ["fchmod 0600", "bind", "listen"]);
    assert_eq!(calls("22", "600", false), ["fchmod 0600", "bind", "listen"]);
    assert_eq!(calls("77", "666", false), ["fchmod 0666", "bind", "chmod 0666", "listen"]);
    need_root("give files to another user");
    let given = ["fchmod 0600", "bind", "chown", "chmod 0660", "listen"];
    assert_eq!(calls("0", "660", true), given);
}

/// A name without a socket is stale, and somebody might have taken it over before it is removed.
fn name_goes_first() {
    need("strace", "strace");
    let mut peer = Peer::start("unix/strace/drops");
    peer.expect("ready");
    let strace = Strace::attach(&peer, &[]);
    peer.tell("go");
    peer.join();
    let text = strace.log();
    let mut bound = None;
    let mut gone = 0;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("bind(") {
            let fd = rest.split(',').next().expect("a descriptor");
            bound = Some(format!("close({fd})"));
        } else if line.starts_with("unlinkat(") {
            assert!(bound.take().is_some(), "the socket was closed before: {text}");
            gone += 1;
        } else if bound.as_ref().is_some_and(|close| line.starts_with(close)) {
            bound = None;
        }
    }
    assert_eq!(gone, 4, "{text}");
}

fn drops() -> Result<(), Error> {
    say("ready");
    assert_eq!(hear(), "go");
    drop(NEW.listen(path())?);
    NEW.listen_seqpacket(path())?.unlink()?;
    drop(NEW.bind_datagram(path())?);
    NEW.bind_datagram(path())?.unlink()
}

fn listens() -> Result<(), Error> {
    let number = |name| {
        let text = std::env::var(name).expect("the case tells it");
        u32::from_str_radix(&text, 8).expect("an octal number")
    };
    rustix::process::umask(Mode::from_raw_mode(number("UMASK")));
    say("ready");
    assert_eq!(hear(), "go");
    let mut options = NEW.mode(number("MODE"));
    if std::env::var_os("OWNED").is_some() {
        options = options.owner(None, Some(NOBODY));
    }
    options.listen(path())?.unlink()
}

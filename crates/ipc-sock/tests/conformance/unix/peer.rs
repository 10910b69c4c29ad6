//! Who is at the other end, and whether it lives.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use ipc_core::{Error, ErrorKind, Handoff, Listen, ReadBytes, WriteBytes};
use ipc_sock::unix::{Stream, Trust};
use ipc_testkit::{Harness, Peer, hear, in_namespaces, say, wait_for_the_end};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::process::{getegid, geteuid};

use super::tools::{NEW, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/peer/both_ends_know_the_other_process", both_ends_know_the_other_process)
        .test("unix/peer/a_pidfd_tells_when_the_process_ends", pidfd_tells)
        .role("unix/peer/connects", connects)
        .test("unix/peer/a_process_that_runs_another_program_stays_the_peer", exec)
        .role("unix/peer/connects_and_runs_cat", connects_and_runs_cat)
        .test("unix/peer/a_process_that_hands_its_end_over_stays_the_peer", hand_over)
        .role("unix/peer/connects_and_hands_over", connects_and_hands_over)
        .role("unix/peer/answers", answers)
        .test("unix/peer/users_without_a_number_are_all_strangers", strangers)
        .role("unix/peer/has_no_number", has_no_number)
}

fn strangers() {
    in_namespaces("unix/peer/has_no_number", &["--user"], "true");
}

/// In a user namespace without a map, every user is told as the same one, this process's own included.
fn has_no_number() -> Result<(), Error> {
    let listener = NEW.trust(Trust::Anyone).listen(path())?;
    let uid = geteuid().as_raw();
    let error = NEW.connect(path(), soon()).map(drop).expect_err("it might be anybody's");
    assert_eq!(error.kind(), ErrorKind::ForeignOwner { uid });
    let _client = NEW.trust(Trust::Anyone).connect(path(), soon())?;
    listener.accept_with(soon())?;
    Ok(())
}

fn both_ends_know_the_other_process() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    let mut peer = Peer::start("unix/peer/connects");
    let server = listener.accept()?;
    let client = server.peer()?;
    let pid = peer.pid().as_raw_nonzero().get();
    assert_eq!(i32::try_from(client.pid), Ok(pid));
    assert_eq!((client.uid, client.gid), (geteuid().as_raw(), getegid().as_raw()));
    peer.expect(&format!("connected to {}", std::process::id()));
    peer.kill();
    // Still, although the process is gone.
    assert_eq!(server.peer()?, client);
    let (one, two) = NEW.pair_seqpacket()?;
    assert_eq!((one.peer()?.pid, two.peer()?.pid), (std::process::id(), std::process::id()));
    Ok(())
}

/// Connects, says to whom, and stays.
fn connects() -> Result<(), Error> {
    let client = NEW.connect(path(), soon())?;
    say(format!("connected to {}", client.peer()?.pid));
    wait_for_the_end()
}

fn has_ended(pidfd: &OwnedFd, timeout: Option<&Timespec>) -> bool {
    let mut look = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
    poll(&mut look, timeout).expect("poll") > 0
}

const NOW: Option<&Timespec> = Some(&Timespec { tv_sec: 0, tv_nsec: 0 });

fn pidfd_tells() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    let mut peer = Peer::start("unix/peer/connects");
    let server = listener.accept()?;
    peer.listen();
    let pidfd = match server.peer_pidfd() {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            ipc_testkit::skip("this kernel has no SO_PEERPIDFD: it takes Linux 6.5")
        }
        pidfd => pidfd?,
    };
    assert!(rustix::io::fcntl_getfd(&pidfd).expect("fcntl").contains(FdFlags::CLOEXEC));
    assert!(!has_ended(&pidfd, NOW), "it is alive");
    peer.kill();
    assert!(has_ended(&pidfd, None));
    // It was waited for. Later kernels have a descriptor of it even so.
    match server.peer_pidfd() {
        Ok(pidfd) => assert!(has_ended(&pidfd, None)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
    }
    let (one, _two) = NEW.pair()?;
    assert!(!has_ended(&one.peer_pidfd()?, NOW), "this process is alive");
    Ok(())
}

fn exec() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    let peer = Peer::start("unix/peer/connects_and_runs_cat");
    let mut server = listener.accept()?;
    server.write_all_with(b"meow", soon())?;
    let mut buf = [0; 4];
    server.read_exact_with(&mut buf, soon())?;
    assert_eq!(&buf, b"meow");
    let pid = peer.pid().as_raw_nonzero().get();
    assert_eq!(i32::try_from(server.peer()?.pid), Ok(pid));
    assert!(!has_ended(&server.peer_pidfd()?, NOW), "it is alive, as another program");
    server.shutdown(std::net::Shutdown::Write)?;
    peer.join();
    Ok(())
}

fn connects_and_runs_cat() -> Result<(), Error> {
    let client = NEW.connect(path(), soon())?;
    let out = OwnedFd::from(client.try_clone()?);
    let error = Command::new("cat").stdin(OwnedFd::from(client)).stdout(out).exec();
    panic!("run cat: {error}");
}

fn hand_over() -> Result<(), Error> {
    let listener = NEW.listen(path())?;
    let mut peer = Peer::start("unix/peer/connects_and_hands_over");
    let mut server = listener.accept()?;
    let pidfd = server.peer_pidfd()?;
    peer.expect("handed over");
    server.write_all_with(b"who", soon())?;
    let mut answer = [0; 4];
    server.read_exact_with(&mut answer, soon())?;
    let (asked, pid) = (peer.pid().as_raw_nonzero().get(), i32::from_le_bytes(answer));
    assert_ne!(pid, asked, "it answered itself");
    assert_eq!(i32::try_from(server.peer()?.pid), Ok(asked), "the child is the peer");
    assert!(!has_ended(&pidfd, NOW));
    peer.tell("end");
    peer.join();
    assert!(has_ended(&pidfd, None));
    Ok(())
}

fn connects_and_hands_over() -> Result<(), Error> {
    let client = NEW.connect(path(), soon())?;
    let mut child = Peer::cast("unix/peer/answers");
    client.give(child.command(), "client")?;
    let child = child.start();
    say("handed over");
    assert_eq!(hear(), "end");
    child.join();
    Ok(())
}

fn answers() -> Result<(), Error> {
    let mut client = Stream::adopt("client")?;
    client.read_exact_with(&mut [0; 3], soon())?;
    client.write_all_with(&std::process::id().to_le_bytes(), soon())
}

//! Queues that are full, and receivers that are gone.

use std::os::fd::AsFd;
use std::time::Duration;

use ipc_core::{Error, ErrorKind, RecvMsg, SendMsg, Wait};
use ipc_sock::unix::{Datagram, Trust};
use ipc_testkit::{Descriptors, Harness, NOBODY, block, dir, need_root};

use super::tools::{NEW, a_moment, kind_of, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/datagram/a_full_queue_with_each_wait", full_queue)
        .test("unix/datagram/a_full_queue_of_a_connected_peer", full_queue_connected)
        .test("unix/datagram/a_sender_that_is_full_itself_keeps_its_deadline", own_buffer_full)
        .test("unix/datagram/a_receiver_that_goes_ends_the_wait", receiver_goes)
        .test("unix/datagram/a_receiver_that_is_gone", receiver_is_gone)
        .test("unix/datagram/a_connected_one_hears_its_peer_alone", connected_hears_its_peer)
        .test("unix/datagram/one_that_is_not_connected_says_so", not_connected)
        .test("unix/datagram/a_peer_that_turns_away_is_told_once", peer_turns_away)
        .test("unix/datagram/too_large_says_both_lengths", too_large)
        .test("unix/datagram/empty_messages_arrive", empty_messages)
        .test("unix/datagram/the_senders_name_comes_with_its_message", senders_name)
        .test("unix/datagram/credentials_give_a_sender_a_name", autobind)
        .test("unix/datagram/a_path_of_another_user_must_be_trusted", foreign_path)
        .test("unix/datagram/a_non_blocking_one_waits_for_room_all_the_same", non_blocking)
        .test("unix/datagram/available_is_the_first_message", available)
}

/// Fills the queue of `path()`, and returns how many messages it took.
fn fill(tx: &Datagram) -> usize {
    for sent in 0.. {
        if let Err(error) = tx.send_to(b"tick", path(), Wait::Never) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            return sent;
        }
    }
    unreachable!("it takes everything")
}

fn full_queue() -> Result<(), Error> {
    let mut rx = NEW.bind_datagram(path())?;
    let tx = NEW.datagram()?;
    let limit = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").expect("read");
    let limit: usize = limit.trim().parse().expect("a number");
    assert_eq!(fill(&tx), limit + 1, "the documentation says one more than the limit");
    let before = Descriptors::now();
    let deadline = a_moment();
    assert_eq!(kind_of(tx.send_to(b"tick", path(), deadline)), ErrorKind::TimedOut);
    assert_eq!(deadline.remaining(), Some(Duration::ZERO), "it gave up early");
    let (file, _) = std::io::pipe().expect("pipe");
    let sent = tx.send_message_to(b"tick", &[file.as_fd()], path(), a_moment());
    assert_eq!(kind_of(sent), ErrorKind::TimedOut);
    drop(file);
    assert_eq!(Descriptors::now().since(&before).0.len(), 0, "leaked");

    for wait in [Wait::Forever, soon()] {
        let sender = tx.try_clone()?;
        let send = block("send to a full queue", move || sender.send_to(b"tock", path(), wait));
        assert_eq!(send.interrupt(3), 3, "a signal ended the send");
        rx.recv(&mut [0; 8])?;
        send.join()?;
    }
    Ok(())
}

fn foreign_path() -> Result<(), Error> {
    need_root("give a file away");
    let mut rx = NEW.mode(0o666).bind_datagram(path())?;
    std::os::unix::fs::chown(path(), Some(NOBODY), None).expect("chown");
    let foreign = ErrorKind::ForeignOwner { uid: NOBODY };
    let tx = NEW.datagram()?;
    assert_eq!(kind_of(tx.send_to(b"secret", path(), soon())), foreign);
    assert_eq!(kind_of(tx.connect(path())), foreign);
    assert_eq!(kind_of(rx.try_recv(&mut [0; 8])), ErrorKind::WouldBlock);
    for trust in [Trust::User(NOBODY), Trust::Anyone] {
        NEW.trust(trust).datagram()?.send_to(b"trusted", path(), soon())?;
        assert_eq!(rx.recv(&mut [0; 8])?, 7);
    }
    Ok(())
}

/// A socket that somebody has set to `O_NONBLOCK`, with a receiver that is full: it sleeps, where polling
/// itself would spin.
fn non_blocking() -> Result<(), Error> {
    let mut rx = NEW.bind_datagram(path())?;
    let tx = NEW.datagram()?;
    rustix::io::ioctl_fionbio(&tx, true).expect("FIONBIO");
    let queued = fill(&tx);
    let sending = tx.try_clone()?;
    let send =
        block("a send to a full name", move || sending.send_to(b"last", path(), Wait::Forever));
    for _ in 0..queued {
        rx.recv(&mut [0; 8])?;
    }
    send.join()?;
    assert_eq!(rx.recv(&mut [0; 8])?, 4);
    Ok(())
}

fn full_queue_connected() -> Result<(), Error> {
    let mut rx = NEW.bind_datagram(path())?;
    let mut tx = NEW.datagram()?;
    tx.connect(path())?;
    fill(&tx);
    assert_eq!(kind_of(tx.try_send(b"tick")), ErrorKind::WouldBlock);
    assert_eq!(kind_of(tx.send_with(b"tick", a_moment())), ErrorKind::TimedOut);
    assert_eq!(kind_of(tx.send_message(b"tick", &[], a_moment())), ErrorKind::TimedOut);
    for wait in [Wait::Forever, soon()] {
        let mut sender = tx.try_clone()?;
        let send = block("send to a full queue", move || sender.send_with(b"tock", wait));
        rx.recv(&mut [0; 8])?;
        send.join()?;
    }
    Ok(())
}

/// What it sent to one receiver fills its buffer, so that it cannot send to another one, who has room.
fn own_buffer_full() -> Result<(), Error> {
    let mut slow = NEW.bind_datagram(path())?;
    let mut other = NEW.bind_datagram(dir().join("other"))?;
    let tx = NEW.datagram()?;
    let fill = |tx: &Datagram| while tx.send_to(&[7; 100_000], path(), Wait::Never).is_ok() {};
    let to_other = |tx: &Datagram, wait| tx.send_to(b"x", dir().join("other"), wait);
    fill(&tx);
    assert_eq!(kind_of(to_other(&tx, Wait::Never)), ErrorKind::WouldBlock);
    let deadline = a_moment();
    assert_eq!(kind_of(to_other(&tx, deadline)), ErrorKind::TimedOut);
    assert_eq!(deadline.remaining(), Some(Duration::ZERO), "it gave up early");
    for wait in [Wait::Forever, soon()] {
        let sender = tx.try_clone()?;
        let send = block("send with a full buffer", move || to_other(&sender, wait));
        let mut buf = vec![0; 100_000];
        while slow.try_recv(&mut buf).is_ok() {}
        send.join()?;
        assert_eq!(other.recv(&mut [0; 8]), Ok(1));
        fill(&tx);
    }
    Ok(())
}

fn receiver_goes() -> Result<(), Error> {
    for wait in [Wait::Forever, soon()] {
        let rx = NEW.bind_datagram(path())?;
        let tx = NEW.datagram()?;
        fill(&tx);
        let send = block("send to a full queue", move || tx.send_to(b"tick", path(), wait));
        drop(rx);
        // The name went first, and then the socket.
        let kind = kind_of(send.join());
        let gone = matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::NotFound);
        assert!(gone, "{wait:?}: {kind:?}");
    }
    Ok(())
}

fn receiver_is_gone() -> Result<(), Error> {
    let mut rx = NEW.bind_datagram(path())?;
    let mut tx = NEW.datagram()?;
    tx.connect(path())?;
    rx.keep();
    drop(rx);
    let other = NEW.datagram()?;
    for wait in [Wait::Forever, Wait::Never, soon()] {
        assert_eq!(kind_of(tx.send_with(b"x", wait)), ErrorKind::Disconnected);
        assert_eq!(kind_of(other.send_to(b"x", path(), wait)), ErrorKind::ConnectionRefused);
    }
    // Whoever has the name now is reached once it is connected to.
    let mut rx = NEW.bind_datagram(path())?;
    tx.connect(path())?;
    tx.send(b"back")?;
    assert_eq!(rx.recv(&mut [0; 8]), Ok(4));
    Ok(())
}

fn connected_hears_its_peer() -> Result<(), Error> {
    let mut one = NEW.bind_datagram(path())?;
    let mut two = NEW.bind_datagram(dir().join("two"))?;
    one.connect(dir().join("two"))?;
    let stranger = NEW.datagram()?;
    let denied = ErrorKind::PermissionDenied;
    for wait in [Wait::Forever, Wait::Never, soon()] {
        assert_eq!(kind_of(stranger.send_to(b"psst", path(), wait)), denied);
    }
    assert_eq!(kind_of(stranger.connect(path())), denied);
    two.send_to(b"hello", path(), soon())?;
    assert_eq!(one.recv(&mut [0; 8]), Ok(5));
    one.send(b"hello yourself")?;
    assert_eq!(two.recv(&mut [0; 16]), Ok(14));
    Ok(())
}

fn not_connected() -> Result<(), Error> {
    let mut tx = NEW.datagram()?;
    for wait in [Wait::Forever, Wait::Never, soon()] {
        let error = tx.send_with(b"x", wait).expect_err("to nobody");
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert!(error.to_string().contains("send_to"), "{error}");
        assert_eq!(kind_of(tx.send_message(b"x", &[], wait)), ErrorKind::Disconnected);
    }
    Ok(())
}

/// Of two that are connected to each other, one connects to a third and throws away what it had not
/// received.
fn peer_turns_away() -> Result<(), Error> {
    let mut one = NEW.bind_datagram(path())?;
    let mut two = NEW.bind_datagram(dir().join("two"))?;
    let _three = NEW.bind_datagram(dir().join("three"))?;
    one.connect(dir().join("two"))?;
    two.connect(path())?;
    one.send(b"unread")?;
    two.connect(dir().join("three"))?;
    let error = one.try_recv(&mut [0; 8]).expect_err("what it sent is lost");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET));
    assert_eq!(kind_of(one.try_recv(&mut [0; 8])), ErrorKind::WouldBlock, "it is told once");
    assert_eq!(kind_of(two.try_recv(&mut [0; 8])), ErrorKind::WouldBlock);
    Ok(())
}

fn too_large() -> Result<(), Error> {
    let mut rx = NEW.bind_datagram(path())?;
    let mut tx = NEW.datagram()?;
    let max = tx.max_len();
    tx.send_to(&vec![7; max], path(), soon())?;
    assert_eq!(rx.recv(&mut vec![0; max]), Ok(max));
    let too_large = ErrorKind::MessageTooLarge { len: max + 1, max };
    for wait in [Wait::Forever, Wait::Never, soon()] {
        assert_eq!(kind_of(tx.send_to(&vec![7; max + 1], path(), wait)), too_large);
    }
    tx.connect(path())?;
    assert_eq!(kind_of(tx.send(&vec![7; max + 1])), too_large);
    // At the receiver: kept, and beyond what it takes, lost.
    drop(rx);
    let mut rx = NEW.max_message(5000).bind_datagram(path())?;
    tx.send_to(&[1; 5000], path(), soon())?;
    tx.send_to(&[2; 5001], path(), soon())?;
    tx.send_to(&[3; 1], path(), soon())?;
    assert_eq!(kind_of(rx.recv(&mut [0; 9])), ErrorKind::MessageTooLarge { len: 5000, max: 9 });
    assert_eq!(rx.recv(&mut [0; 5000]), Ok(5000));
    assert_eq!(kind_of(rx.recv(&mut [0; 9])), ErrorKind::MessageTooLarge { len: 5001, max: 5000 });
    assert_eq!(rx.recv(&mut [0; 9]), Ok(1));
    Ok(())
}

fn empty_messages() -> Result<(), Error> {
    let mut rx = NEW.bind_datagram(path())?;
    let tx = NEW.datagram()?;
    tx.send_to(b"", path(), soon())?;
    tx.send_to(b"x", path(), soon())?;
    tx.send_to(b"", path(), soon())?;
    assert_eq!(rx.recv(&mut []), Ok(0));
    assert_eq!(rx.recv_message(&mut [0; 8], soon())?.len, 1);
    assert_eq!(rx.recv_message(&mut [0; 8], soon())?.len, 0);
    assert_eq!(kind_of(rx.try_recv(&mut [0; 8])), ErrorKind::WouldBlock);
    Ok(())
}

fn senders_name() -> Result<(), Error> {
    let mut log = NEW.bind_datagram(path())?;
    let mut client = NEW.bind_datagram(dir().join("client"))?;
    client.send_to(b"question", path(), soon())?;
    NEW.datagram()?.send_to(b"anonymous", path(), soon())?;
    let message = log.recv_message(&mut [0; 16], soon())?;
    assert_eq!(message.sender.as_path(), Some(dir().join("client").as_path()));
    log.send_to(b"answer", &message.sender, soon())?;
    assert_eq!(client.recv(&mut [0; 8]), Ok(6));
    let message = log.recv_message(&mut [0; 16], soon())?;
    assert!(message.sender.is_unnamed());
    // To nowhere is not to somewhere.
    assert_eq!(kind_of(log.send_to(b"answer", &message.sender, soon())), ErrorKind::InvalidInput);
    Ok(())
}

/// As the documentation says, so that it can be connected first.
fn autobind() -> Result<(), Error> {
    let mut log = NEW.trust(Trust::Anyone).bind_datagram(path())?;
    let mut client = NEW.credentials(true).datagram()?;
    assert!(client.local_address()?.is_unnamed());
    client.connect(path())?;
    let name = client.local_address()?;
    assert!(name.as_abstract_name().is_some(), "{name}");
    client.send(b"x")?;
    assert_eq!(log.recv_message(&mut [0; 8], soon())?.sender, name);
    let stranger = kind_of(NEW.datagram()?.send_to(b"psst", &name, soon()));
    assert_eq!(stranger, ErrorKind::PermissionDenied);
    Ok(())
}

fn available() -> Result<(), Error> {
    let rx = NEW.bind_datagram(path())?;
    let tx = NEW.datagram()?;
    assert_eq!(rx.available(), Ok(0));
    tx.send_to(b"abc", path(), soon())?;
    tx.send_to(b"de", path(), soon())?;
    assert_eq!(rx.available(), Ok(3));
    Ok(())
}

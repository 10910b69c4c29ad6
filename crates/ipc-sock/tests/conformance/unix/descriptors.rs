//! Open descriptors beside the bytes.

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ipc_core::{Error, ErrorKind, Listen, ReadBytes, RecvMsg, Wait, WriteBytes};
use ipc_sock::unix::{Address, MAX_FDS, Seqpacket};
use ipc_testkit::{Descriptors, Harness, with_free_descriptors};
use rustix::fs::MemfdFlags;

use super::tools::{NEW, is_limit, kind_of, path, python, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/descriptors/arrive_in_order_close_on_exec", arrive_in_order)
        .test("unix/descriptors/more_than_the_kernel_takes_are_refused", too_many)
        .test("unix/descriptors/without_a_byte_are_refused_on_streams", without_a_byte)
        .test("unix/descriptors/stay_with_their_byte_on_streams", stay_with_their_byte)
        .test("unix/descriptors/a_receiver_at_its_limit_keeps_none", receiver_at_its_limit)
        .test("unix/descriptors/a_receive_that_takes_none_closes_them", plain_receive_closes)
        .test("unix/descriptors/a_short_buffer_keeps_message_and_descriptors", short_buffer_keeps)
        .test("unix/descriptors/a_message_beyond_max_message_closes_them", beyond_max_message)
        .test("unix/descriptors/a_socket_passes_through_itself", a_socket_through_itself)
        .test("unix/descriptors/pidfds_that_nobody_asked_for_are_closed", stray_pidfds)
}

/// As many descriptors of files that can be told apart.
fn files(count: usize) -> Vec<OwnedFd> {
    let file = |at: usize| {
        let fd = rustix::fs::memfd_create("numbered", MemfdFlags::CLOEXEC).expect("memfd_create");
        rustix::io::pwrite(&fd, &at.to_le_bytes(), 0).expect("write");
        fd
    };
    (0..count).map(file).collect()
}

fn borrow(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

#[track_caller]
fn are_numbered(fds: &[OwnedFd], count: usize) {
    assert_eq!(fds.len(), count);
    for (at, fd) in fds.iter().enumerate() {
        let mut number = [0; 8];
        rustix::io::pread(fd, &mut number, 0).expect("read");
        assert_eq!(usize::from_le_bytes(number), at, "they are not in order");
    }
}

/// A pipe whose writing end is sent away: its end comes when the last copy is closed.
fn canary() -> (std::io::PipeReader, OwnedFd) {
    let (rx, tx) = std::io::pipe().expect("pipe");
    (rx, tx.into())
}

#[track_caller]
fn is_closed(mut rx: std::io::PipeReader) {
    ipc_testkit::note("if it hangs, a descriptor was leaked");
    assert_eq!(rx.read(&mut [0; 1]).expect("read"), 0);
}

fn arrive_in_order() -> Result<(), Error> {
    for count in [1, 2, MAX_FDS] {
        let sent = files(count);
        let (stream_tx, stream_rx) = NEW.pair()?;
        let (packet_tx, mut packet_rx) = NEW.pair_seqpacket()?;
        let (datagram_tx, mut datagram_rx) = NEW.pair_datagram()?;
        let mut named = NEW.bind_datagram(path())?;
        assert_eq!(stream_tx.send_message(b"abc", &borrow(&sent), soon())?, 3);
        packet_tx.send_message(b"abc", &borrow(&sent), soon())?;
        datagram_tx.send_message(b"abc", &borrow(&sent), soon())?;
        NEW.datagram()?.send_message_to(b"abc", &borrow(&sent), path(), soon())?;
        let before = Descriptors::now();
        let mut buf = [0; 8];
        let messages = [
            stream_rx.recv_message(&mut buf, soon())?,
            packet_rx.recv_message(&mut buf, soon())?,
            datagram_rx.recv_message(&mut buf, soon())?,
            named.recv_message(&mut buf, soon())?,
        ];
        for message in &messages {
            assert_eq!(message.len, 3);
            are_numbered(&message.fds, count);
        }
        let came = Descriptors::now().since(&before);
        assert_eq!(came.0.len(), 4 * count);
        assert!(came.0.values().all(|it| it.close_on_exec), "not close-on-exec: {came}");
        drop(messages);
        assert_eq!(Descriptors::now().since(&before).0.len(), 0);
    }
    Ok(())
}

fn too_many() -> Result<(), Error> {
    let sent = files(300);
    let (stream, stream_rx) = NEW.pair()?;
    let (packets, mut packets_rx) = NEW.pair_seqpacket()?;
    let (datagrams, mut datagrams_rx) = NEW.pair_datagram()?;
    for count in [254, 300] {
        let fds = borrow(&sent[..count]);
        assert_eq!(kind_of(stream.send_message(b"x", &fds, soon())), ErrorKind::InvalidInput);
        assert_eq!(kind_of(packets.send_message(b"x", &fds, soon())), ErrorKind::InvalidInput);
        assert_eq!(kind_of(datagrams.send_message(b"x", &fds, soon())), ErrorKind::InvalidInput);
    }
    // Nothing of it has gone out.
    let nothing = ErrorKind::WouldBlock;
    assert_eq!(kind_of(stream_rx.recv_message(&mut [0; 8], Wait::Never)), nothing);
    assert_eq!(kind_of(packets_rx.try_recv(&mut [0; 8])), nothing);
    assert_eq!(kind_of(datagrams_rx.try_recv(&mut [0; 8])), nothing);
    Ok(())
}

fn without_a_byte() -> Result<(), Error> {
    let sent = files(1);
    let (stream, _stream_rx) = NEW.pair()?;
    assert_eq!(kind_of(stream.send_message(b"", &borrow(&sent), soon())), ErrorKind::InvalidInput);
    assert_eq!(stream.send_message(b"", &[], soon())?, 0);
    let (packets, _packets_rx) = NEW.pair_seqpacket()?;
    assert_eq!(kind_of(packets.send_message(b"", &borrow(&sent), soon())), ErrorKind::Unsupported);
    // A datagram may be empty, and bring some even so.
    let (datagrams, mut rx) = NEW.pair_datagram()?;
    datagrams.send_message(b"", &borrow(&sent), soon())?;
    let message = rx.recv_message(&mut [], soon())?;
    assert_eq!(message.len, 0);
    are_numbered(&message.fds, 1);
    Ok(())
}

fn stay_with_their_byte() -> Result<(), Error> {
    for room in [1, 2, 3, 64] {
        let sent = files(2);
        let (mut tx, rx) = NEW.pair()?;
        tx.write_all_with(b"ab", soon())?;
        tx.send_message(b"cd", &borrow(&sent), soon())?;
        tx.write_all_with(b"ef", soon())?;
        let (mut text, mut came) = (Vec::new(), 0);
        while text.len() < 6 {
            let mut buf = vec![0; room];
            let message = rx.recv_message(&mut buf, soon())?;
            let from = text.len();
            text.extend(&buf[..message.len]);
            if (from..text.len()).contains(&2) {
                are_numbered(&message.fds, 2);
                assert!(text.len() <= 4, "bytes that were sent later came with the descriptors");
                came += 1;
            } else {
                assert!(message.fds.is_empty(), "they came with byte {from}");
            }
        }
        assert_eq!((&text[..], came), (&b"abcdef"[..], 1));
    }
    Ok(())
}

fn receiver_at_its_limit() -> Result<(), Error> {
    let (stream_tx, stream_rx) = NEW.pair()?;
    let (packet_tx, mut packet_rx) = NEW.pair_seqpacket()?;
    let (datagram_tx, mut datagram_rx) = NEW.pair_datagram()?;
    let before = Descriptors::now();
    for free in [0, 2] {
        let canaries = [canary(), canary(), canary()];
        let [(_, a), (_, b), (_, c)] = &canaries;
        stream_tx.send_message(b"abc", &[a.as_fd(); 3], soon())?;
        packet_tx.send_message(b"abc", &[b.as_fd(); 3], soon())?;
        datagram_tx.send_message(b"abc", &[c.as_fd(); 3], soon())?;
        let errors = with_free_descriptors(free, || {
            [
                stream_rx.recv_message(&mut [0; 8], soon()),
                packet_rx.recv_message(&mut [0; 8], soon()),
                datagram_rx.recv_message(&mut [0; 8], soon()),
            ]
            .map(|got| got.expect_err("there is no room for them"))
        });
        errors.iter().for_each(|error| is_limit(error, "RLIMIT_NOFILE"));
        for (rx, tx) in canaries {
            drop(tx);
            is_closed(rx);
        }
    }
    assert_eq!(Descriptors::now().since(&before).0.len(), 0, "leaked");
    // The next messages come.
    packet_tx.send_message(b"next", &[], soon())?;
    datagram_tx.send_message(b"next", &[], soon())?;
    assert_eq!(packet_rx.recv(&mut [0; 8]), Ok(4));
    assert_eq!(datagram_rx.recv(&mut [0; 8]), Ok(4));
    Ok(())
}

fn plain_receive_closes() -> Result<(), Error> {
    let (stream_tx, mut stream_rx) = NEW.pair()?;
    let (packet_tx, mut packet_rx) = NEW.pair_seqpacket()?;
    let (datagram_tx, mut datagram_rx) = NEW.pair_datagram()?;
    // Into a buffer that is copied to, one that is received into, and one for the longest message.
    for room in [8, 5000, 1 << 18] {
        let before = Descriptors::now();
        let canaries = [canary(), canary(), canary()];
        let [(_, a), (_, b), (_, c)] = &canaries;
        stream_tx.send_message(b"abc", &[a.as_fd()], soon())?;
        packet_tx.send_message(b"abc", &[b.as_fd()], soon())?;
        datagram_tx.send_message(b"abc", &[c.as_fd()], soon())?;
        let mut buf = vec![0; room];
        assert_eq!(stream_rx.read_with(&mut buf, soon())?, 3);
        assert_eq!(packet_rx.recv_with(&mut buf, soon())?, 3);
        assert_eq!(datagram_rx.recv_with(&mut buf, soon())?, 3);
        for (rx, tx) in canaries {
            drop(tx);
            is_closed(rx);
        }
        assert_eq!(Descriptors::now().since(&before).0.len(), 0, "leaked");
    }
    Ok(())
}

fn short_buffer_keeps() -> Result<(), Error> {
    let sent = files(3);
    let (packet_tx, mut packet_rx) = NEW.pair_seqpacket()?;
    let (datagram_tx, mut datagram_rx) = NEW.pair_datagram()?;
    let long: Vec<u8> = (0..10_000_u32).map(|at| at as u8).collect();
    for room in [0, 4, 6000] {
        packet_tx.send_message(&long, &borrow(&sent), soon())?;
        datagram_tx.send_message(&long, &borrow(&sent), soon())?;
        let too_large = ErrorKind::MessageTooLarge { len: 10_000, max: room };
        for _ in 0..2 {
            let mut short = vec![0; room];
            assert_eq!(kind_of(packet_rx.recv_message(&mut short, soon())), too_large);
            assert_eq!(kind_of(datagram_rx.recv_message(&mut short, soon())), too_large);
        }
        assert!(packet_rx.keeps_message() && datagram_rx.keeps_message());
        let mut buf = vec![0; 10_000];
        let message = packet_rx.recv_message(&mut buf, Wait::Never)?;
        assert!(message.len == long.len() && buf == long, "the message has changed");
        are_numbered(&message.fds, 3);
        buf.fill(0);
        let message = datagram_rx.recv_message(&mut buf, Wait::Never)?;
        assert!(message.len == long.len() && buf == long, "the message has changed");
        are_numbered(&message.fds, 3);
        assert!(!packet_rx.keeps_message() && !datagram_rx.keeps_message());
    }
    Ok(())
}

fn beyond_max_message() -> Result<(), Error> {
    let (tx, mut rx) = NEW.max_message(100).pair_seqpacket()?;
    for room in [10, 100, 120] {
        let (canary, sent) = canary();
        tx.send_message(&[7; 200], &[sent.as_fd()], soon())?;
        drop(sent);
        let max = room.max(100);
        let error = rx.recv_message(&mut vec![0; room], soon()).expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 200, max });
        assert!(error.note().is_some_and(|note| note.contains("gone")), "{error}");
        is_closed(canary);
    }
    Ok(())
}

/// A socket whose own queue holds it: the kernel collects such a circle when nobody has it open.
fn a_socket_through_itself() -> Result<(), Error> {
    let (canary, sent) = canary();
    let (one, two) = NEW.pair_seqpacket()?;
    one.send_message(b"yourself", &[two.as_fd(), sent.as_fd()], soon())?;
    one.send_message(b"and me", &[one.as_fd()], soon())?;
    drop((one, two, sent));
    is_closed(canary);
    // What comes is a socket of the type that it was.
    let (one, mut two) = NEW.pair_seqpacket()?;
    let (sent, mut other) = NEW.pair_seqpacket()?;
    one.send_message(b"take it", &[sent.as_fd()], soon())?;
    let fd = two.recv_message(&mut [0; 8], soon())?.fds.remove(0);
    assert_ne!(fd.as_raw_fd(), sent.as_fd().as_raw_fd());
    Seqpacket::try_from(fd)?.send_message(b"hello", &[], soon())?;
    assert_eq!(other.recv(&mut [0; 8]), Ok(5));
    Ok(())
}

const PASSES_PIDFDS: &str = "
s = socket.socket(UNIX, SEQPACKET); s.connect(name)
a, b = socket.socketpair(UNIX, SEQPACKET)
try:
    b.setsockopt(socket.SOL_SOCKET, 76, 1)
except OSError:
    print('no SO_PASSPIDFD'); sys.exit()
b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
for i in range(50): a.send(b'x')
socket.send_fds(s, [b'take it'], [b.fileno()])
print('sent'); sys.stdin.readline()";

/// A socket comes from elsewhere with an option that makes the kernel add what nobody here asked for.
fn stray_pidfds() -> Result<(), Error> {
    let listener = NEW.listen_seqpacket(path())?;
    let mut python = python(PASSES_PIDFDS, &Address::path(path())?);
    if python.listen() != "sent" {
        ipc_testkit::skip("this kernel has no SO_PASSPIDFD: it takes Linux 6.5");
    }
    let fd = listener.accept()?.recv_message(&mut [0; 8], soon())?.fds.remove(0);
    let mut rx = Seqpacket::try_from(fd)?;
    let before = Descriptors::now();
    for _ in 0..50 {
        let message = rx.recv_message(&mut [0; 8], soon())?;
        assert_eq!((message.len, message.fds.len()), (1, 0));
        assert!(message.credentials.is_some());
    }
    let leaked = Descriptors::now().since(&before);
    assert_eq!(leaked.0.len(), 0, "leaked: {leaked}");
    python.join();
    Ok(())
}

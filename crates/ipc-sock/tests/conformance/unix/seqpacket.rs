//! Lengths, empty messages of other programs, and the end of a connection.

use ipc_core::{Error, ErrorKind, Listen, RecvMsg, SendMsg, Wait};
use ipc_sock::unix::{Address, Seqpacket};
use ipc_testkit::{Harness, Talker};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::tools::{self, NEW, kind_of, path, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/seqpacket/empty_messages_of_others_arrive", empty_messages_arrive)
        .test("unix/seqpacket/an_empty_message_is_refused", an_empty_message_is_refused)
        .test("unix/seqpacket/empty_messages_before_the_end_are_the_end", empty_before_the_end)
        .test("unix/seqpacket/too_large_says_both_lengths", too_large_says_both_lengths)
        .test("unix/seqpacket/beyond_max_message_is_lost_and_said_so", beyond_max_message)
        .test("unix/seqpacket/what_was_sent_before_a_reset_is_received", reset)
        .test("unix/seqpacket/available_counts_all_messages", available)
        .test("unix/seqpacket/half_close_ends_one_direction", half_close)
        .test("unix/seqpacket/any_buffers_give_the_same_messages", any_buffers)
}

/// A connection to a Python program that sends messages as we tell it: `+` and its text, or `end`.
fn python() -> (Talker, Seqpacket) {
    let listener = NEW.listen_seqpacket(path()).expect("listen");
    let script = "
s = socket.socket(UNIX, SEQPACKET); s.connect(name)
for line in sys.stdin:
    if line == 'end\\n': s.close()
    else: s.send(line[1:-1].encode())
    print('done')";
    let python = tools::python(script, &Address::path(path()).expect("a path"));
    let server = listener.accept_with(soon()).expect("accept");
    (python, server)
}

fn tell(python: &mut Talker, words: &[&str]) {
    for word in words {
        python.tell(word);
        python.expect("done");
    }
}

fn empty_messages_arrive() -> Result<(), Error> {
    let (mut python, mut server) = python();
    tell(&mut python, &["+", "+a", "+", "+", "+bc"]);
    // While it lives, and with every sort of buffer.
    let mut buf = vec![0; 1 << 18];
    assert_eq!(server.recv(&mut buf), Ok(0));
    assert_eq!(server.recv(&mut buf[..8]), Ok(1));
    assert_eq!(server.recv(&mut []), Ok(0));
    assert_eq!(server.recv_message(&mut buf, soon())?.len, 0);
    assert_eq!(server.recv(&mut buf[..5000]), Ok(2));
    assert_eq!(kind_of(server.try_recv(&mut buf)), ErrorKind::WouldBlock);
    // When it has gone, those before the last one that has a byte.
    tell(&mut python, &["+", "+", "+d", "+", "end"]);
    assert_eq!(server.recv(&mut buf), Ok(0));
    assert_eq!(server.recv_message(&mut buf, soon())?.len, 0);
    assert_eq!(server.recv(&mut buf), Ok(1));
    for wait in [Wait::Forever, Wait::Never, soon()] {
        assert_eq!(kind_of(server.recv_with(&mut buf, wait)), ErrorKind::Disconnected);
        assert_eq!(kind_of(server.recv_message(&mut buf, wait)), ErrorKind::Disconnected);
    }
    python.join();
    Ok(())
}

fn an_empty_message_is_refused() -> Result<(), Error> {
    let (mut tx, mut rx) = NEW.pair_seqpacket()?;
    assert_eq!(kind_of(tx.send(b"")), ErrorKind::Unsupported);
    assert_eq!(kind_of(tx.send_message(b"", &[], soon())), ErrorKind::Unsupported);
    assert_eq!(kind_of(rx.try_recv(&mut [0; 8])), ErrorKind::WouldBlock);
    Ok(())
}

/// As the documentation says: nothing can tell them from it.
fn empty_before_the_end() {
    let (mut python, mut server) = python();
    tell(&mut python, &["+", "+", "end"]);
    assert_eq!(kind_of(server.recv(&mut [0; 8])), ErrorKind::Disconnected);
    python.join();
}

fn too_large_says_both_lengths() -> Result<(), Error> {
    for options in [NEW, NEW.send_buffer(3000)] {
        let (mut tx, mut rx) = options.pair_seqpacket()?;
        let max = tx.max_len();
        let mut buf = vec![0; max];
        tx.send(&vec![7; max])?;
        assert_eq!(rx.recv(&mut buf), Ok(max), "the longest one");
        let too_large = ErrorKind::MessageTooLarge { len: max + 1, max };
        for wait in [Wait::Forever, Wait::Never, soon()] {
            assert_eq!(kind_of(tx.send_with(&vec![7; max + 1], wait)), too_large);
            assert_eq!(kind_of(tx.send_message(&vec![7; max + 1], &[], wait)), too_large);
        }
        assert_eq!(kind_of(rx.try_recv(&mut buf)), ErrorKind::WouldBlock);
    }
    Ok(())
}

fn beyond_max_message() -> Result<(), Error> {
    let (mut tx, mut rx) = NEW.max_message(6000).pair_seqpacket()?;
    for room in [0, 10, 5000, 6000, 6100] {
        tx.send(&[7; 6200])?;
        tx.send(b"next")?;
        let error = rx.recv(&mut vec![0; room]).expect_err("too long");
        let max = room.max(6000);
        assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 6200, max });
        assert!(error.note().is_some_and(|note| note.contains("gone")), "{error}");
        assert!(!rx.keeps_message());
        assert_eq!(rx.recv(&mut [0; 8]), Ok(4));
    }
    // A buffer of the caller's may be longer.
    tx.send(&[7; 6200])?;
    assert_eq!(rx.recv(&mut [0; 6200]), Ok(6200));
    Ok(())
}

fn reset() -> Result<(), Error> {
    let (mut one, mut two) = NEW.pair_seqpacket()?;
    one.send(b"unread")?;
    two.send(b"last")?;
    two.send(b"words")?;
    drop(two);
    let mut buf = [0; 8];
    assert_eq!(one.recv(&mut buf), Ok(4), "the end came before the messages");
    assert_eq!(one.recv_message(&mut buf, soon())?.len, 5);
    for _ in 0..2 {
        let error = one.recv(&mut buf).expect_err("the peer has gone");
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET), "{error}");
    }
    assert_eq!(kind_of(one.send(b"x")), ErrorKind::Disconnected);
    // The same, when it is a receive with descriptors that hears of it.
    let (mut one, mut two) = NEW.pair_seqpacket()?;
    one.send(b"unread")?;
    two.send(b"words")?;
    drop(two);
    assert_eq!(one.recv_message(&mut buf, Wait::Never)?.len, 5);
    let error = one.recv_message(&mut buf, Wait::Never).expect_err("the peer has gone");
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET), "{error}");
    // And none when it has received everything.
    let (mut one, mut two) = NEW.pair_seqpacket()?;
    one.send(b"read")?;
    two.recv(&mut buf)?;
    drop(two);
    assert_eq!(one.recv(&mut buf).expect_err("the peer has gone").raw_os_error(), None);
    Ok(())
}

fn available() -> Result<(), Error> {
    let (mut tx, mut rx) = NEW.pair_seqpacket()?;
    tx.send(b"abc")?;
    tx.send(b"de")?;
    assert_eq!(rx.available(), Ok(5));
    rx.recv(&mut [0; 8])?;
    assert_eq!(rx.available(), Ok(2));
    assert!(rx.recv(&mut [0; 1]).is_err());
    assert_eq!((rx.available(), rx.keeps_message()), (Ok(0), true), "it is kept");
    Ok(())
}

fn half_close() -> Result<(), Error> {
    let (mut one, mut two) = NEW.pair_seqpacket()?;
    one.send(b"question")?;
    one.shutdown(std::net::Shutdown::Write)?;
    assert_eq!(two.recv(&mut [0; 8]), Ok(8));
    assert_eq!(kind_of(two.recv(&mut [0; 8])), ErrorKind::Disconnected);
    assert_eq!(kind_of(one.send(b"more")), ErrorKind::Disconnected);
    two.send(b"answer")?;
    assert_eq!(one.recv(&mut [0; 8]), Ok(6));
    Ok(())
}

/// A message too long for a buffer is the next one again, whatever the buffers are, in both ways to
/// receive.
fn any_buffers() {
    const MAX: usize = 12_000;
    let config = Config { failure_persistence: None, cases: 200, ..Config::default() };
    let lengths = prop::collection::vec(1..=MAX, 1..8);
    let rooms = prop::collection::vec((0..=MAX + 100, any::<bool>()), 1..40);
    let result = TestRunner::new(config).run(&(lengths, rooms), |(lengths, rooms)| {
        let (mut tx, mut rx) = NEW.max_message(MAX).pair_seqpacket().expect("pair");
        let body = |at: usize| -> Vec<u8> {
            (0..lengths[at]).map(|byte| (byte * 7 + at * 13) as u8).collect()
        };
        for at in 0..lengths.len() {
            tx.try_send(&body(at)).expect("send");
        }
        let mut at = 0;
        for (room, with_descriptors) in rooms {
            let mut buf = vec![0; room];
            let got = if with_descriptors {
                rx.recv_message(&mut buf, Wait::Never).map(|message| message.len)
            } else {
                rx.try_recv(&mut buf)
            };
            match lengths.get(at) {
                None => prop_assert_eq!(kind_of(got), ErrorKind::WouldBlock),
                Some(len) if *len > room => {
                    let kind = ErrorKind::MessageTooLarge { len: *len, max: room };
                    prop_assert_eq!(kind_of(got), kind);
                }
                Some(len) => {
                    prop_assert_eq!(got, Ok(*len));
                    prop_assert!(buf[..*len] == body(at), "message {} has changed", at);
                    at += 1;
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

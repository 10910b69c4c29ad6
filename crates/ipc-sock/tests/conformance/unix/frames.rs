//! Messages over streams, however the bytes are split.

use ipc_core::{Error, ErrorKind, Framed, RecvMsg, SendMsg, Wait, WriteBytes};
use ipc_testkit::Harness;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::tools::{NEW, kind_of, soon};

pub(super) fn cases(harness: Harness) -> Harness {
    harness
        .test("unix/frames/any_split_of_writes_gives_the_same_frames", any_split)
        .test("unix/frames/a_peer_that_resets_inside_a_frame", reset_inside_a_frame)
        .test("unix/frames/a_peer_that_ends_inside_a_frame", end_inside_a_frame)
        .test("unix/frames/a_header_that_lies_is_corrupted", header_that_lies)
}

const MAX: u32 = 2000;

fn any_split() {
    let config = Config { failure_persistence: None, cases: 300, ..Config::default() };
    let messages = prop::collection::vec(0..=MAX as usize, 1..12);
    let cuts = prop::collection::vec(1..3000_usize, 1..20);
    let result = TestRunner::new(config).run(&(messages, cuts), |(lengths, cuts)| {
        let body = |at: usize| -> Vec<u8> {
            (0..lengths[at]).map(|byte| (byte * 3 + at * 11) as u8).collect()
        };
        let mut bytes = Vec::new();
        for (at, len) in lengths.iter().enumerate() {
            bytes.extend(u32::try_from(*len).expect("small").to_le_bytes());
            bytes.extend(body(at));
        }
        let (mut tx, rx) = NEW.pair().expect("pair");
        let mut rx = Framed::new(rx, MAX);
        let mut buf = vec![0; MAX as usize];
        let mut at = 0;
        // What has come is received after each write.
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            tx.write_all_with(now, Wait::Never).expect("it fits");
            rest = later;
            loop {
                match rx.try_recv(&mut buf) {
                    Ok(len) => {
                        prop_assert_eq!(len, lengths[at]);
                        prop_assert!(buf[..len] == body(at), "message {} has changed", at);
                        at += 1;
                    }
                    Err(error) => {
                        prop_assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        break;
                    }
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(at, lengths.len());
        drop(tx);
        prop_assert_eq!(kind_of(rx.recv(&mut buf)), ErrorKind::Disconnected);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

fn reset_inside_a_frame() -> Result<(), Error> {
    let (one, mut two) = NEW.pair()?;
    let mut rx = Framed::new(one, MAX);
    rx.send(b"that nobody reads")?;
    two.write_all_with(b"\x05\0\0\0whole\x09\0\0\0h", soon())?;
    drop(two);
    let mut buf = [0; 16];
    assert_eq!(rx.recv(&mut buf), Ok(5), "the frame that was whole");
    let error = rx.recv(&mut buf).expect_err("the peer has gone");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert_eq!(error.raw_os_error(), Some(libc::ECONNRESET), "{error}");
    let error = rx.recv(&mut buf).expect_err("the peer has gone");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.to_string().contains("inside a frame"), "{error}");
    assert_eq!(kind_of(rx.send(b"x")), ErrorKind::Disconnected);
    Ok(())
}

fn end_inside_a_frame() -> Result<(), Error> {
    let (one, mut two) = NEW.pair()?;
    let mut rx = Framed::new(one, MAX);
    two.write_all_with(b"\x09\0\0\0h", soon())?;
    two.shutdown(std::net::Shutdown::Write)?;
    let error = rx.recv(&mut [0; 16]).expect_err("the rest never comes");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.to_string().contains("inside a frame"), "{error}");
    Ok(())
}

fn header_that_lies() -> Result<(), Error> {
    let (one, mut two) = NEW.pair()?;
    let mut rx = Framed::new(one, MAX);
    two.write_all_with(&(MAX + 1).to_le_bytes(), soon())?;
    for _ in 0..2 {
        assert_eq!(kind_of(rx.recv(&mut [0; 16])), ErrorKind::Corrupted);
    }
    Ok(())
}

//! A stream of bytes that both sides compute alike, and what is wrong with the one that came.

use std::time::Duration;

use ipc_core::{ErrorKind, ReadBytes, Wait, WriteBytes};

use crate::payload::mix;
use crate::waits::{self, works};

/// The bytes of the stream from position `at` on.
pub(crate) fn bytes(at: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut word = at / 8;
    let skip = usize::try_from(at % 8).expect("it is below 8");
    while bytes.len() < len + skip {
        bytes.extend_from_slice(&mix(word).to_le_bytes());
        word += 1;
    }
    bytes.drain(..skip);
    bytes.truncate(len);
    bytes
}

/// The size of a piece: mostly small, now and then large.
pub(crate) fn piece(at: u64, longest: usize) -> usize {
    let random = mix(!at);
    let spread = if random.is_multiple_of(8) { longest } else { longest.min(300) };
    1 + usize::try_from(random >> 32).expect("32 bits fit") % spread
}

/// Writes the bytes from `from` to `to` in pieces of many sizes.
#[track_caller]
pub(crate) fn write(tx: &mut impl WriteBytes, from: u64, to: u64) {
    let mut at = from;
    while at < to {
        let len = piece(at, 20_000).min(usize::try_from(to - at).expect("it is small"));
        works("write_all", tx.write_all_with(&bytes(at, len), Wait::Forever));
        at += len as u64;
    }
}

/// Reads the bytes from `from` to `to` in pieces of many sizes, or panics with what is wrong.
#[track_caller]
pub(crate) fn expect(rx: &mut impl ReadBytes, from: u64, to: u64) {
    let mut at = from;
    while at < to {
        let len = piece(at + 1, 15_000).min(usize::try_from(to - at).expect("it is small"));
        let mut buf = vec![0; len];
        let n = works("read", rx.read_with(&mut buf, Wait::Forever));
        assert_ne!(n, 0, "the stream ended at byte {at}: {} bytes were lost", to - at);
        assert!(n <= len, "read returned {n} for a buffer of {len} bytes");
        buf.truncate(n);
        if buf != bytes(at, n) {
            read_on(rx, &mut buf);
        }
        check(at, &buf);
        at += n as u64;
    }
}

/// Reads some more of a stream that went wrong, so that there is enough to tell how.
fn read_on(rx: &mut impl ReadBytes, got: &mut Vec<u8>) {
    let enough = got.len() + 16;
    let mut more = [0; 16];
    while got.len() < enough {
        match rx.read_with(&mut more, Wait::timeout(Duration::from_secs(1))) {
            Ok(n @ 1..) => got.extend_from_slice(&more[..n]),
            Ok(0) | Err(_) => return,
        }
    }
}

/// Asserts that `got` is what the stream has at `at`.
#[track_caller]
pub(crate) fn check(at: u64, got: &[u8]) {
    let due = bytes(at, got.len());
    let same = got.iter().zip(&due).take_while(|(got, due)| got == due).count();
    if same == got.len() {
        return;
    }
    let wrong = at + same as u64;
    let got = &got[same..got.len().min(same + 16)];
    let near = wrong.saturating_sub(1 << 16)..wrong + (1 << 16);
    let window = bytes(near.start, 1 << 17);
    // A few bytes may be found anywhere.
    let found = (got.len() >= 6).then(|| window.windows(got.len()).position(|it| it == got));
    match found.flatten().map(|index| near.start + index as u64) {
        Some(other) if other > wrong => {
            panic!("{} bytes were lost, or came late, at byte {wrong}", other - wrong)
        }
        Some(other) => panic!("byte {other} came again at {wrong}: bytes were duplicated"),
        None => panic!("the stream was corrupted at byte {wrong}"),
    }
}

/// Writes from byte 0 on until there has been no room for one more byte for as long as `settles`;
/// returns how many went out.
#[track_caller]
pub(crate) fn fill(tx: &mut impl WriteBytes, settles: Duration) -> u64 {
    const MOST: u64 = 64 << 20;
    let mut at = 0;
    // Large pieces first, then byte by byte: a mechanism may take a small piece where a large one
    // has no room.
    waits::until_settled(settles, || {
        let before = at;
        for len in [4096, 1] {
            loop {
                match tx.write_with(&bytes(at, len), Wait::Never) {
                    Ok(n) => {
                        assert!((1..=len).contains(&n), "write of {len} bytes returned {n}");
                        at += n as u64;
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Unsupported => {
                        crate::skip(format!("a write cannot be tried here: {error}"))
                    }
                    Err(error) => panic!("write with Wait::Never: {error}"),
                }
                if at > MOST {
                    crate::skip(format!("it is not full after {MOST} bytes"));
                }
            }
        }
        at > before
    });
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_same_from_everywhere() {
        let whole = bytes(0, 1000);
        assert_eq!(bytes(13, 100), whole[13..113]);
        assert_eq!(bytes(16, 0), []);
    }

    #[test]
    #[should_panic(expected = "3 bytes were lost, or came late, at byte 100")]
    fn lost_bytes_are_named() {
        check(90, &[bytes(90, 10), bytes(103, 50)].concat());
    }

    #[test]
    #[should_panic(expected = "byte 95 came again at 100")]
    fn duplicated_bytes_are_named() {
        check(90, &[bytes(90, 10), bytes(95, 50)].concat());
    }
}

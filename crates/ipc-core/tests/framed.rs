//! Frames over a stream that takes and gives bytes in whatever pieces it likes.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use ipc_core::{Error, ErrorKind, Framed, ReadBytes, RecvMsg, Result, SendMsg, Wait, WriteBytes};
use proptest::collection::vec;
use proptest::prelude::*;

/// A stream in memory. The pieces say how many bytes each call moves; 0 makes it block.
#[derive(Debug, Default)]
struct Pieces {
    bytes: VecDeque<u8>,
    pieces: VecDeque<usize>,
    closed: bool,
}

impl Pieces {
    fn next(&mut self, wait: Wait) -> Result<usize> {
        match self.pieces.pop_front() {
            Some(0) => Err(Error::new(wait.exhausted(), "pieces")),
            Some(n) => Ok(n),
            None => Ok(usize::MAX),
        }
    }
}

impl WriteBytes for Pieces {
    fn write_vectored_with(&mut self, bufs: &[IoSlice<'_>], wait: Wait) -> Result<usize> {
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let n = self.next(wait)?.min(all.len());
        self.bytes.extend(&all[..n]);
        Ok(n)
    }
}

impl ReadBytes for Pieces {
    fn read_with(&mut self, buf: &mut [u8], wait: Wait) -> Result<usize> {
        let n = self.next(wait)?.min(buf.len()).min(self.bytes.len());
        if n == 0 && !buf.is_empty() && !self.closed {
            return Err(Error::new(wait.exhausted(), "pieces"));
        }
        for (to, from) in buf.iter_mut().zip(self.bytes.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }
}

const MAX: u32 = 300;

/// Sends as a caller does who tries each message until it is taken.
fn send_all(messages: &[Vec<u8>], pieces: Vec<usize>, wait: Wait) -> VecDeque<u8> {
    let stream = Pieces { pieces: pieces.into(), ..Pieces::default() };
    let mut tx = Framed::new(stream, MAX);
    for message in messages {
        while let Err(error) = tx.send_with(message, wait) {
            assert_eq!(error.kind(), wait.exhausted());
        }
        assert_eq!(tx.unfinished(), 0);
    }
    tx.into_parts().0.bytes
}

fn receive_all(bytes: VecDeque<u8>, pieces: Vec<usize>, wait: Wait) -> (Vec<Vec<u8>>, Error) {
    let mut rx = Framed::new(Pieces { bytes, pieces: pieces.into(), closed: true }, MAX);
    let mut messages = Vec::new();
    let mut buf = [0; MAX as usize];
    loop {
        match rx.recv_with(&mut buf, wait) {
            Ok(n) => messages.push(buf[..n].to_vec()),
            Err(error) if error.kind() == wait.exhausted() => {}
            Err(error) => return (messages, error),
        }
    }
}

proptest! {
    #[test]
    fn every_message_arrives_once_whole_and_in_order(
        messages in vec(vec(any::<u8>(), 0..MAX as usize), 0..20),
        sent_in in vec(0..50_usize, 0..200),
        got_in in vec(0..50_usize, 0..200),
        deadline: bool,
    ) {
        let wait = if deadline { Wait::Until(Instant::now()) } else { Wait::Never };
        let bytes = send_all(&messages, sent_in, wait);
        let (received, end) = receive_all(bytes, got_in, wait);
        prop_assert_eq!(received, messages);
        prop_assert_eq!((end.kind(), end.note()), (ErrorKind::Disconnected, None));
    }

    #[test]
    fn no_bytes_of_a_peer_make_it_panic_or_lie(
        bytes in vec(any::<u8>(), 0..2000),
        pieces in vec(0..50_usize, 0..100),
    ) {
        let (received, end) = receive_all(bytes.clone().into(), pieces, Wait::Never);
        prop_assert!(matches!(end.kind(), ErrorKind::Disconnected | ErrorKind::Corrupted));
        // What was received is what stands at the front of the bytes.
        let mut front = Vec::new();
        for message in received {
            front.extend(u32::try_from(message.len()).unwrap().to_le_bytes());
            front.extend(message);
        }
        prop_assert!(bytes.starts_with(&front));
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_says_so(message in vec(any::<u8>(), 1..100), cut: usize) {
        let mut bytes = send_all(&[message], Vec::new(), Wait::Never);
        bytes.truncate(1 + cut % (bytes.len() - 1));
        let (received, end) = receive_all(bytes, Vec::new(), Wait::Never);
        prop_assert!(received.is_empty());
        prop_assert_eq!(end.kind(), ErrorKind::Disconnected);
        prop_assert!(end.note().is_some(), "it looks like a clean end: {}", end);
    }
}

#[test]
fn a_header_that_claims_4_gib_is_corrupted_for_good() {
    let bytes = [0xff, 0xff, 0xff, 0xff, 1, 2, 3].into();
    let mut rx = Framed::new(Pieces { bytes, ..Pieces::default() }, MAX);
    for _ in 0..3 {
        let error = rx.recv_with(&mut [0; 8], Wait::Never).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
    }
    assert_eq!(rx.buffered(), 7, "it went on reading");
}

#[test]
fn one_byte_above_the_maximum_is_corrupted_and_the_maximum_is_not() {
    for (len, ok) in [(MAX, true), (MAX + 1, false)] {
        let mut bytes = VecDeque::from(len.to_le_bytes());
        bytes.extend(vec![7; len as usize]);
        let (received, end) = receive_all(bytes, Vec::new(), Wait::Never);
        assert_eq!(received.len(), usize::from(ok));
        let expected = if ok { ErrorKind::Disconnected } else { ErrorKind::Corrupted };
        assert_eq!(end.kind(), expected);
    }
}

#[test]
fn a_short_buffer_keeps_the_message() {
    let bytes = send_all(&[vec![1; 40], vec![2; 3]], Vec::new(), Wait::Never);
    let mut rx = Framed::new(Pieces { bytes, ..Pieces::default() }, MAX);
    let error = rx.recv_with(&mut [0; 39], Wait::Never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 40, max: 39 });
    let mut buf = [0; 40];
    assert_eq!(rx.recv_with(&mut buf, Wait::Never), Ok(40));
    assert_eq!(rx.recv_with(&mut buf, Wait::Never), Ok(3));
}

#[test]
fn a_message_above_the_maximum_sends_nothing() {
    let mut tx = Framed::new(Pieces::default(), MAX);
    let error = tx.try_send(&[0; MAX as usize + 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MessageTooLarge { len: 301, max: 300 });
    assert!(tx.into_parts().0.bytes.is_empty());
}

/// A message that is given up in the middle of its frame is completed before the next one.
#[test]
fn a_begun_frame_is_completed_before_another_message() {
    let pieces = VecDeque::from([6, 0, 0]);
    let mut tx = Framed::new(Pieces { pieces, ..Pieces::default() }, MAX);
    assert_eq!(tx.try_send(b"first").unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(tx.unfinished(), 3);
    let again = tx.try_send(b"other").unwrap_err();
    assert_eq!(again.kind(), ErrorKind::WouldBlock, "the first is still in the way");
    tx.try_send(b"other").unwrap();
    let (received, _) = {
        let (mut stream, _) = tx.into_parts();
        receive_all(std::mem::take(&mut stream.bytes), Vec::new(), Wait::Never)
    };
    assert_eq!(received, [b"first", b"other"]);
}

#[test]
fn what_was_read_ahead_comes_back_with_the_stream() {
    let bytes = send_all(&[vec![1], vec![2]], Vec::new(), Wait::Never);
    let mut rx = Framed::new(Pieces { bytes, ..Pieces::default() }, MAX);
    assert_eq!(rx.recv_with(&mut [0; 8], Wait::Never), Ok(1));
    let (_, ahead) = rx.into_parts();
    assert_eq!(ahead, [1, 0, 0, 0, 2]);
}

//! What goes over a link: seven kinds of frame, each one message.
//!
//! All numbers are little-endian. The first byte of a frame says its kind; a request has 32 bytes before the
//! arguments and a reply 24 before the result, so that a call of 64 bytes stays in two cache lines of a ring.
//! Arguments and results are `postcard`'s.
//!
//! | byte | `Hello` (40 + name) | `Welcome` (40) | `Refused` (32) | `Request` (32 + args) | `Reply` (24 + result) | `Cancel`, `Done` (24) |
//! |---|---|---|---|---|---|---|
//! | 0 | 1 | 2 | 3 | 4 | 5 | 6, 7 |
//! | 1 | protocol | protocol | reason | semantics | status | 0 |
//! | 2–3 | 0 | window | 0 | flags | flags | 0 |
//! | 4–7 | version | longest frame | version | method | detail | 0 |
//! | 8–15 | signature | epoch | signature | token | token | token |
//! | 16–23 | client | token | client | number | number | number |
//! | 24–31 | first number | client | nonce (4) | first − number (4), time left (4) | | |
//! | 32–39 | longest frame (4), nonce (4) | nonce (4), 0 | | | | |
//!
//! Who implements a driver of its own, or the protocol in another language, needs this; who makes calls does
//! not.

mod head;
mod opening;

use std::time::Duration;

pub use head::{ReplyHead, RequestHead};
pub(crate) use opening::MAX_NAME;
pub use opening::{Hello, Refused, Welcome};

use crate::Semantics;

/// The version of the protocol.
pub const PROTOCOL: u8 = 1;

/// How many bytes of a request stand before its arguments.
pub const REQUEST: usize = 32;

/// How many bytes of a reply stand before its result.
pub const REPLY: usize = 24;

/// How many bytes `Cancel` and `Done` have.
pub(crate) const NOTE: usize = 24;

/// In the flags of a request or a reply: the arguments or the result are in a sealed memfd that comes with it.
pub const IN_MEMFD: u16 = 1;

/// In the flags of a request: its sender can receive descriptors.
pub const TAKES_FDS: u16 = 2;

/// One frame, as it was found in a message; the bytes are still those of the message.
///
/// # Examples
///
/// ```
/// use ipc_rpc::wire::{Frame, decode};
/// assert_eq!(decode(&[6, 0, 0]), None); // Too short.
/// let mut cancel = [0; 24];
/// cancel[0] = 6;
/// cancel[16] = 3;
/// assert_eq!(decode(&cancel), Some(Frame::Cancel { token: 0, seq: 3 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// A client says who it is and which service it wants.
    Hello(Hello<'a>),
    /// The server lets it in.
    Welcome(Welcome),
    /// The server does not.
    Refused(Refused),
    /// A call, and its arguments.
    Request(RequestHead, &'a [u8]),
    /// What came of a call, and its result.
    Reply(ReplyHead, &'a [u8]),
    /// The client does not want the result of a call any more.
    Cancel {
        /// The client's token.
        token: u64,
        /// The number of the call.
        seq: u64,
    },
    /// The client has the results of all calls below this number.
    Done {
        /// The client's token.
        token: u64,
        /// The first number that is not done.
        low: u64,
    },
}

/// Reads a frame; `None` if it is none. Nothing is allocated, whatever the bytes are.
///
/// # Examples
///
/// See [`Frame`].
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    Some(match *bytes.first()? {
        1 => Frame::Hello(Hello::decode(bytes)?),
        2 => Frame::Welcome(Welcome::decode(bytes)?),
        3 => Frame::Refused(Refused::decode(bytes)?),
        4 => {
            let (head, args) = RequestHead::decode(bytes)?;
            Frame::Request(head, args)
        }
        5 => {
            let (head, result) = ReplyHead::decode(bytes)?;
            Frame::Reply(head, result)
        }
        6 => {
            let (token, seq) = decode_note(bytes)?;
            Frame::Cancel { token, seq }
        }
        7 => {
            let (token, low) = decode_note(bytes)?;
            Frame::Done { token, low }
        }
        _ => return None,
    })
}

/// A request, which is most of what comes to a server: without the detour by [`Frame`], which is large.
#[inline]
pub(crate) fn request(bytes: &[u8]) -> Option<(RequestHead, &[u8])> {
    if *bytes.first()? == 4 { RequestHead::decode(bytes) } else { None }
}

/// A reply, which is most of what comes to a client.
#[inline]
pub(crate) fn reply(bytes: &[u8]) -> Option<(ReplyHead, &[u8])> {
    if *bytes.first()? == 5 { ReplyHead::decode(bytes) } else { None }
}

/// A [`Frame::Cancel`].
pub(crate) fn cancel(token: u64, seq: u64) -> [u8; NOTE] {
    note(6, token, seq)
}

/// A [`Frame::Done`].
pub(crate) fn done(token: u64, low: u64) -> [u8; NOTE] {
    note(7, token, low)
}

fn note(kind: u8, token: u64, number: u64) -> [u8; NOTE] {
    let mut bytes = [0; NOTE];
    bytes[0] = kind;
    put(&mut bytes, 8, token.to_le_bytes());
    put(&mut bytes, 16, number.to_le_bytes());
    bytes
}

fn decode_note(bytes: &[u8]) -> Option<(u64, u64)> {
    let bytes = bytes.first_chunk::<NOTE>()?;
    Some((u64::from_le_bytes(get(bytes, 8)), u64::from_le_bytes(get(bytes, 16))))
}

/// Writes a number at a place that is in the array, which the compiler sees.
#[inline]
fn put<const N: usize, const LEN: usize>(bytes: &mut [u8; LEN], at: usize, number: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&number);
}

#[inline]
fn get<const N: usize, const LEN: usize>(bytes: &[u8; LEN], at: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&bytes[at..at + N]);
    number
}

/// A time to go as it is sent: microseconds, all ones for no limit. What is longer than 71 minutes has none
/// for the server; the client looks after it.
fn encode_budget(budget: Option<Duration>) -> u32 {
    budget.and_then(|budget| u32::try_from(budget.as_micros()).ok()).unwrap_or(u32::MAX)
}

fn decode_budget(micros: u32) -> Option<Duration> {
    (micros != u32::MAX).then(|| Duration::from_micros(micros.into()))
}

fn encode_semantics(semantics: Semantics) -> u8 {
    match semantics {
        Semantics::Maybe => 0,
        Semantics::AtLeastOnce => 1,
        Semantics::AtMostOnce => 2,
        Semantics::ExactlyOnce => 3,
    }
}

fn decode_semantics(byte: u8) -> Option<Semantics> {
    Some(match byte {
        0 => Semantics::Maybe,
        1 => Semantics::AtLeastOnce,
        2 => Semantics::AtMostOnce,
        3 => Semantics::ExactlyOnce,
        _ => return None,
    })
}

/// Brings a request up to date that is sent again: whom it goes to, what is done, and how much time is left.
#[inline]
pub(crate) fn renew(frame: &mut [u8], token: u64, low: u64, budget: Option<Duration>) {
    let Some(head) = frame.first_chunk_mut::<REQUEST>() else { return };
    let seq = u64::from_le_bytes(get(head, 16));
    let behind = u32::try_from(seq.saturating_sub(low)).unwrap_or(u32::MAX);
    put(head, 8, token.to_le_bytes());
    put(head, 24, behind.to_le_bytes());
    put(head, 28, encode_budget(budget).to_le_bytes());
}

/// Only whom it goes to.
pub(crate) fn renew_token(frame: &mut [u8], token: u64) {
    if let Some(head) = frame.first_chunk_mut::<REQUEST>() {
        put(head, 8, token.to_le_bytes());
    }
}

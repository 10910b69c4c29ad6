//! What stands before arguments and results.

use std::time::Duration;

use super::{
    REPLY, REQUEST, decode_budget, decode_semantics, encode_budget, encode_semantics, get, put,
};
use crate::{Semantics, Status};

/// What a request says before its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestHead {
    /// What is promised.
    pub semantics: Semantics,
    /// [`IN_MEMFD`](super::IN_MEMFD), [`TAKES_FDS`](super::TAKES_FDS).
    pub flags: u16,
    /// Which method.
    pub method: u32,
    /// What the server knows the client by, since its `Welcome`.
    pub token: u64,
    /// The number of the call, counted by the client.
    pub seq: u64,
    /// The client has the results of all calls below this number. It is sent as a distance from `seq`, so
    /// that it is never above it.
    pub low: u64,
    /// How much time the call has left.
    pub budget: Option<Duration>,
}

impl RequestHead {
    /// Makes it all that is in `out`, in whole words: a word that is put together from bytes in memory stalls who
    /// reads it next.
    #[inline]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        // A greater distance cannot be: a window has fewer calls.
        let behind = u32::try_from(self.seq.saturating_sub(self.low)).unwrap_or(u32::MAX);
        let first = word(4, encode_semantics(self.semantics), self.flags, self.method);
        let last = u64::from(behind) | u64::from(encode_budget(self.budget)) << 32;
        out.clear();
        out.reserve(REQUEST);
        for word in [first, self.token, self.seq, last] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    #[inline]
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, args) = bytes.split_first_chunk::<REQUEST>()?;
        let seq = u64::from_le_bytes(get(head, 16));
        let behind = u32::from_le_bytes(get(head, 24));
        let head = Self {
            semantics: decode_semantics(head[1])?,
            flags: u16::from_le_bytes(get(head, 2)),
            method: u32::from_le_bytes(get(head, 4)),
            token: u64::from_le_bytes(get(head, 8)),
            seq,
            low: seq.checked_sub(behind.into())?,
            budget: decode_budget(u32::from_le_bytes(get(head, 28))),
        };
        Some((head, args))
    }
}

/// The first eight bytes of a head.
#[inline]
fn word(kind: u8, what: u8, flags: u16, number: u32) -> u64 {
    u64::from(kind) | u64::from(what) << 8 | u64::from(flags) << 16 | u64::from(number) << 32
}

/// What a reply says before its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyHead {
    /// What came of the call.
    pub status: Status,
    /// [`IN_MEMFD`](super::IN_MEMFD).
    pub flags: u16,
    /// More about the status: how long a result was that is too long.
    pub detail: u32,
    /// The token of the request.
    pub token: u64,
    /// The number of the call.
    pub seq: u64,
}

impl ReplyHead {
    /// Makes it all that is in `out`.
    #[expect(
        clippy::inline_always,
        reason = "a head that is put into memory field by field stalls who reads words of it"
    )]
    #[inline(always)]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let first = word(5, self.status.to_byte(), self.flags, self.detail);
        out.clear();
        out.reserve(REPLY);
        for word in [first, self.token, self.seq] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Writes it over the head of a reply.
    pub(crate) fn overwrite(&self, reply: &mut [u8]) {
        let Some(head) = reply.first_chunk_mut::<REPLY>() else { return };
        let first = word(5, self.status.to_byte(), self.flags, self.detail);
        put(head, 0, first.to_le_bytes());
        put(head, 8, self.token.to_le_bytes());
        put(head, 16, self.seq.to_le_bytes());
    }

    #[inline]
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, result) = bytes.split_first_chunk::<REPLY>()?;
        let head = Self {
            status: Status::from_byte(head[1])?,
            flags: u16::from_le_bytes(get(head, 2)),
            detail: u32::from_le_bytes(get(head, 4)),
            token: u64::from_le_bytes(get(head, 8)),
            seq: u64::from_le_bytes(get(head, 16)),
        };
        Some((head, result))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::{Frame, decode};

    fn semantics() -> impl Strategy<Value = Semantics> {
        prop_oneof![
            Just(Semantics::Maybe),
            Just(Semantics::AtLeastOnce),
            Just(Semantics::AtMostOnce),
            Just(Semantics::ExactlyOnce)
        ]
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(
            semantics in semantics(), flags: u16, method: u32, token: u64, low in 0..u64::MAX / 2,
            ahead: u32, micros: Option<u32>, args: Vec<u8>,
        ) {
            let budget = micros.filter(|it| *it != u32::MAX).map(|it| Duration::from_micros(it.into()));
            let seq = low + u64::from(ahead);
            let head = RequestHead { semantics, flags, method, token, seq, low, budget };
            let mut bytes = vec![9; 9];
            head.write(&mut bytes);
            prop_assert_eq!(bytes.len(), REQUEST);
            bytes.extend_from_slice(&args);
            prop_assert_eq!(decode(&bytes), Some(Frame::Request(head, &args)));
        }

        #[test]
        fn a_reply_is_read_as_it_was_written(
            status in 0..13_u8, flags: u16, detail: u32, token: u64, seq: u64, result: Vec<u8>,
        ) {
            let status = Status::from_byte(status).expect("a status");
            let head = ReplyHead { status, flags, detail, token, seq };
            let mut bytes = vec![9; 9];
            head.write(&mut bytes);
            prop_assert_eq!(bytes.len(), REPLY);
            bytes.extend_from_slice(&result);
            prop_assert_eq!(decode(&bytes), Some(Frame::Reply(head, &result)));
            let other = ReplyHead { seq: !seq, ..head };
            other.overwrite(&mut bytes);
            prop_assert_eq!(decode(&bytes), Some(Frame::Reply(other, &result)));
        }
    }
}

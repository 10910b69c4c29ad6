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
    #[inline]
    pub(crate) fn encode(&self) -> [u8; REQUEST] {
        let mut bytes = [0; REQUEST];
        bytes[0] = 4;
        bytes[1] = encode_semantics(self.semantics);
        put(&mut bytes, 2, self.flags.to_le_bytes());
        put(&mut bytes, 4, self.method.to_le_bytes());
        put(&mut bytes, 8, self.token.to_le_bytes());
        put(&mut bytes, 16, self.seq.to_le_bytes());
        // A greater distance cannot be: a window has fewer calls.
        let behind = u32::try_from(self.seq.saturating_sub(self.low)).unwrap_or(u32::MAX);
        put(&mut bytes, 24, behind.to_le_bytes());
        put(&mut bytes, 28, encode_budget(self.budget).to_le_bytes());
        bytes
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
    #[inline]
    pub(crate) fn encode(&self) -> [u8; REPLY] {
        let mut bytes = [0; REPLY];
        bytes[0] = 5;
        bytes[1] = self.status.to_byte();
        put(&mut bytes, 2, self.flags.to_le_bytes());
        put(&mut bytes, 4, self.detail.to_le_bytes());
        put(&mut bytes, 8, self.token.to_le_bytes());
        put(&mut bytes, 16, self.seq.to_le_bytes());
        bytes
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
            let bytes = [&head.encode()[..], &args].concat();
            prop_assert_eq!(decode(&bytes), Some(Frame::Request(head, &args)));
        }

        #[test]
        fn a_reply_is_read_as_it_was_written(
            status in 0..12_u8, flags: u16, detail: u32, token: u64, seq: u64, result: Vec<u8>,
        ) {
            let status = Status::from_byte(status).expect("a status");
            let head = ReplyHead { status, flags, detail, token, seq };
            let bytes = [&head.encode()[..], &result].concat();
            prop_assert_eq!(decode(&bytes), Some(Frame::Reply(head, &result)));
        }
    }
}

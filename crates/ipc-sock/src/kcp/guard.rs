//! What of a datagram may reach the `kcp` crate.
//!
//! The crate computes with the numbers of a segment as they come. Built with overflow checks, as every
//! debug build is, it panics over
//!
//! - a sequence number, an acknowledgement or a time stamp of 2³¹ or more, in a subtraction of signed
//!   numbers;
//! - the time stamp of an acknowledgement that makes a round trip of weeks, in the estimate of the
//!   round trip;
//! - fragment 255, which is followed by fragment 256.
//!
//! And it acts on the first segments of a datagram before it sees that the last is broken. So a datagram
//! is looked through here, and one that its own code would not have written is dropped as a whole, as if
//! the network had lost it.

use super::wire::Mode;

/// The length of a segment's header in bytes.
pub(super) const SEGMENT: usize = kcp::KCP_OVERHEAD;

/// A message has at most this many fragments: the `kcp` crate refuses to send more.
pub(super) const FRAGMENTS: usize = 127;

/// Sequence numbers end here: far enough below 2³¹ for a window to be added.
pub(super) const LAST_SEQUENCE: u32 = (1 << 31) - (1 << 18);

/// A round trip of more than this, in milliseconds, is not one.
const ROUND_TRIP: u32 = 60_000;

/// A time that is later than now: an acknowledgement that bears it says nothing about the round trip.
const NEVER: u32 = i32::MAX as u32;

/// The commands of segments.
pub(super) const PUSH: u8 = 81;
const ACK: u8 = 82;
pub(super) const WINDOW_ASK: u8 = 83;
const WINDOW_TELL: u8 = 84;

/// What of our state a datagram is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) conv: u32,
    pub(super) mode: Mode,
    /// The longest segment that is taken, in bytes of its payload.
    pub(super) longest: u32,
    /// The sequence number that we send next: nothing from there on can be acknowledged.
    pub(super) next: u32,
    /// The time in milliseconds, below 2³¹.
    pub(super) now: u32,
}

/// One segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) conv: u32,
    pub(super) command: u8,
    pub(super) fragment: u8,
    pub(super) window: u16,
    pub(super) time: u32,
    pub(super) sequence: u32,
    pub(super) unacknowledged: u32,
    pub(super) len: u32,
}

impl Segment {
    fn parse(bytes: &[u8; SEGMENT]) -> Self {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            conv: word(0),
            command: bytes[4],
            fragment: bytes[5],
            window: u16::from_le_bytes([bytes[6], bytes[7]]),
            time: word(8),
            sequence: word(12),
            unacknowledged: word(16),
            len: word(20),
        }
    }

    /// As it goes over the wire.
    pub(super) fn encode(&self) -> [u8; SEGMENT] {
        let mut bytes = [0; SEGMENT];
        bytes[0..4].copy_from_slice(&self.conv.to_le_bytes());
        bytes[4] = self.command;
        bytes[5] = self.fragment;
        bytes[6..8].copy_from_slice(&self.window.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.time.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.unacknowledged.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.len.to_le_bytes());
        bytes
    }

    pub(super) fn is_data(&self) -> bool {
        self.command == PUSH
    }

    /// The sequence number that it acknowledges by itself.
    pub(super) fn acknowledged(&self) -> Option<u32> {
        (self.command == ACK).then_some(self.sequence)
    }

    /// Whether our own code would have written it.
    fn is_sound(&self, expected: &Expected) -> bool {
        let common = self.conv == expected.conv
            && self.unacknowledged <= expected.next
            && self.time <= NEVER;
        let fragments = match expected.mode {
            Mode::Stream => 1,
            Mode::Messages => FRAGMENTS,
        };
        common
            && match self.command {
                PUSH => {
                    usize::from(self.fragment) < fragments
                        && self.sequence < LAST_SEQUENCE
                        && self.len <= expected.longest
                }
                ACK => self.len == 0 && self.sequence < expected.next,
                WINDOW_ASK | WINDOW_TELL => self.len == 0,
                _ => false,
            }
    }
}

/// The segments of a datagram that is whole, one after the other; ends early at one that is not.
pub(super) fn segments(datagram: &[u8]) -> impl Iterator<Item = Segment> + '_ {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (header, behind) = rest.split_first_chunk::<SEGMENT>()?;
        let segment = Segment::parse(header);
        rest = behind.get(segment.len as usize..)?;
        Some(segment)
    })
}

/// Looks a datagram through; `false` for one that must not reach the `kcp` crate.
///
/// An acknowledgement of something sent long ago is kept, without its time.
pub(super) fn admit(datagram: &mut [u8], expected: &Expected) -> bool {
    let mut at = 0;
    while at < datagram.len() {
        let Some(header) = datagram[at..].first_chunk_mut::<SEGMENT>() else { return false };
        let mut segment = Segment::parse(header);
        if !segment.is_sound(expected) {
            return false;
        }
        if segment.acknowledged().is_some()
            && expected.now.saturating_sub(segment.time) > ROUND_TRIP
        {
            segment.time = NEVER;
            *header = segment.encode();
        }
        at += SEGMENT + segment.len as usize;
    }
    at == datagram.len() && at > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONV: u32 = 77;

    fn any_segment() -> impl Strategy<Value = (Segment, Vec<u8>)> {
        let edge = || prop_oneof![0..200_u32, any::<u32>(), Just(1 << 31), Just((1 << 31) - 1)];
        let command = prop_oneof![8 => 81..=84_u8, 1 => any::<u8>()];
        let fragment = prop_oneof![Just(0), 0..=127_u8, any::<u8>()];
        let conv = prop_oneof![20 => Just(CONV), 1 => any::<u32>()];
        let data = prop::collection::vec(any::<u8>(), 0..40);
        (conv, command, fragment, any::<u16>(), edge(), edge(), edge(), data).prop_map(
            |(conv, command, fragment, window, time, sequence, unacknowledged, data)| {
                let len = data.len() as u32;
                let segment = Segment {
                    conv,
                    command,
                    fragment,
                    window,
                    time,
                    sequence,
                    unacknowledged,
                    len,
                };
                (segment, data)
            },
        )
    }

    fn datagram(segments: &[(Segment, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (segment, data) in segments {
            bytes.extend_from_slice(&segment.encode());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    #[derive(Default)]
    struct Nowhere;

    impl std::io::Write for Nowhere {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            Ok(buf.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What the `kcp` crate does with the datagrams that are admitted: it must neither panic nor find
    /// fault with one. Tests are built with overflow checks.
    fn feed(mode: Mode, datagrams: Vec<Vec<u8>>, now: u32) -> usize {
        let mut kcp = match mode {
            Mode::Stream => kcp::Kcp::new_stream(CONV, Nowhere),
            Mode::Messages => kcp::Kcp::new(CONV, Nowhere),
        };
        kcp.set_nodelay(true, 10, 2, true);
        kcp.update(now).expect("update");
        for _ in 0..20 {
            kcp.send(&[7; 3000]).expect("send");
        }
        kcp.flush().expect("flush");
        // 20 messages of three fragments, or 3000 · 20 bytes in full segments.
        let next = if mode == Mode::Stream { 44 } else { 60 };
        let mut admitted = 0;
        for (i, mut bytes) in datagrams.into_iter().enumerate() {
            let now = now + i as u32;
            let expected = Expected { conv: CONV, mode, longest: 1400, next, now };
            kcp.update(now).expect("update");
            if admit(&mut bytes, &expected) {
                admitted += 1;
                kcp.input(&bytes).expect("what is admitted is well formed");
            }
            let mut buf = [0; 4096];
            while kcp.peeksize().is_ok_and(|len| len <= buf.len()) {
                kcp.recv(&mut buf).expect("recv");
            }
            kcp.flush().expect("flush");
        }
        admitted
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn kcp_never_panics_over_what_is_admitted(
            stream: bool,
            now in prop_oneof![0..100_000_u32, (1_u32 << 30)..(3 << 29)],
            datagrams in prop::collection::vec(prop::collection::vec(any_segment(), 1..6), 1..20),
        ) {
            let mode = if stream { Mode::Stream } else { Mode::Messages };
            feed(mode, datagrams.iter().map(|it| datagram(it)).collect(), now);
        }

        #[test]
        fn what_is_cut_short_is_not_admitted(segment in any_segment(), cut: prop::sample::Index) {
            let mut bytes = datagram(&[segment]);
            bytes.truncate(cut.index(bytes.len()));
            let expected = Expected { conv: CONV, mode: Mode::Messages, longest: 1400, next: 60, now: 9 };
            prop_assert!(!admit(&mut bytes, &expected));
        }
    }

    fn push(sequence: u32, fragment: u8) -> (Segment, Vec<u8>) {
        let segment = Segment {
            conv: CONV,
            command: PUSH,
            fragment,
            window: 128,
            time: 5,
            sequence,
            unacknowledged: 0,
            len: 1,
        };
        (segment, vec![1])
    }

    #[test]
    fn what_our_own_code_writes_is_admitted() {
        let ack = Segment { command: ACK, len: 0, ..push(3, 0).0 };
        let all = datagram(&[push(0, 1), push(1, 0), (ack, vec![])]);
        assert_eq!(feed(Mode::Messages, vec![all], 100), 1);
    }

    /// Each of these makes `kcp` panic when it is not stopped, or would make it allocate or wait for
    /// nothing.
    #[test]
    fn what_would_panic_is_not_admitted() {
        let sound = push(0, 0).0;
        let ack = Segment { command: ACK, len: 0, ..sound };
        for bad in [
            push(0, 255),
            push(0, 127),
            push(u32::MAX, 0),
            push(1 << 31, 0),
            (Segment { unacknowledged: 1 << 31, ..sound }, vec![1]),
            (Segment { unacknowledged: 61, ..sound }, vec![1]),
            (Segment { time: 1 << 31, ..sound }, vec![1]),
            (Segment { sequence: 60, ..ack }, vec![]),
            (Segment { sequence: u32::MAX, ..ack }, vec![]),
            (Segment { command: 85, ..sound }, vec![1]),
            (Segment { conv: CONV + 1, ..sound }, vec![1]),
            (Segment { len: u32::MAX, ..sound }, vec![1]),
        ] {
            assert_eq!(
                feed(Mode::Messages, vec![datagram(std::slice::from_ref(&bad))], 100),
                0,
                "{bad:?}"
            );
        }
        assert_eq!(feed(Mode::Stream, vec![datagram(&[push(0, 1)])], 100), 0);
    }
}

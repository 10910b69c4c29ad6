//! What a datagram looks like.
//!
//! Every datagram begins with a header of twenty bytes; numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | tag: SipHash-2-4 of everything after it |
//! | 8..12 | conversation id |
//! | 12..19 | number of the datagram, which never comes twice |
//! | 19 | what it is: [`Kind`] |
//!
//! The key of the tag is what both sides drew in the opening; of datagrams of the opening itself it is
//! a constant, and the tag is a checksum and a sign that the datagram is meant for us.

use super::siphash::{Key, tag};

/// The length of the header in bytes.
pub(super) const HEADER: usize = 20;

/// The length of the longest datagram that UDP has.
pub(super) const LONGEST: usize = 65_507;

/// The key of datagrams of the opening. The last byte is the version of this format.
const OPENING: Key = Key(0x6970_632d_736f_636b, 0x6b63_702d_7631_0001);

/// The greatest number of a datagram.
pub(super) const LAST_NUMBER: u64 = (1 << 56) - 1;

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The client asks, and names its half of the key.
    Hello = 1,
    /// The listener answers with its half, and keeps nothing.
    Welcome = 2,
    /// The client says both halves, which proves that it receives at its address.
    Confirm = 3,
    /// The listener has a place for the conversation.
    Ready = 4,
    /// Segments of KCP.
    Segments = 5,
    /// The sender has gone; everything that it sent was acknowledged.
    Close = 6,
    /// [`Close`](Self::Close) or [`Reset`](Self::Reset) has come.
    Closed = 7,
    /// The sender has gone, and gives up what was not acknowledged.
    Reset = 8,
}

impl Kind {
    const fn is_opening(self) -> bool {
        matches!(self, Self::Hello | Self::Welcome | Self::Confirm)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        use Kind::{Close, Closed, Confirm, Hello, Ready, Reset, Segments, Welcome};
        let all = [Hello, Welcome, Confirm, Ready, Segments, Close, Closed, Reset];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A datagram whose tag has not been looked at.
#[derive(Debug)]
pub(super) struct Datagram<'a> {
    tag: u64,
    pub(super) conv: u32,
    pub(super) number: u64,
    pub(super) kind: Kind,
    tagged: &'a mut [u8],
}

impl<'a> Datagram<'a> {
    /// `None` for what has no header, or a kind that there is not.
    pub(super) fn parse(bytes: &'a mut [u8]) -> Option<Self> {
        let (tag, tagged) = bytes.split_first_chunk_mut::<8>()?;
        let conv = u32::from_le_bytes(*tagged.first_chunk()?);
        let word = u64::from_le_bytes(*tagged.get(4..12)?.first_chunk()?);
        let kind = Kind::from_byte((word >> 56) as u8)?;
        let tag = u64::from_le_bytes(*tag);
        Some(Self { tag, conv, number: word & LAST_NUMBER, kind, tagged })
    }

    /// What comes after the header, if the tag is right under `key`.
    pub(super) fn open(self, key: Key) -> Option<&'a mut [u8]> {
        (!self.kind.is_opening() && self.tag == tag(key, self.tagged))
            .then(|| &mut self.tagged[HEADER - 8..])
    }

    /// What comes after the header, if it is a datagram of the opening.
    pub(super) fn opening(&self) -> Option<Opening> {
        (self.kind.is_opening() && self.tag == tag(OPENING, self.tagged))
            .then(|| Opening::parse(&self.tagged[HEADER - 8..]))
            .flatten()
    }
}

/// Begins a datagram; the tag is still to come.
pub(super) fn begin(datagram: &mut Vec<u8>, conv: u32, number: u64, kind: Kind) {
    datagram.clear();
    datagram.extend_from_slice(&[0; 8]);
    datagram.extend_from_slice(&conv.to_le_bytes());
    let word = (number & LAST_NUMBER) | (u64::from(kind as u8) << 56);
    datagram.extend_from_slice(&word.to_le_bytes());
}

/// Puts the tag on a datagram that [`begin`] began.
pub(super) fn seal(datagram: &mut [u8], key: Key) {
    if let Some((front, tagged)) = datagram.split_first_chunk_mut::<8>() {
        *front = tag(key, tagged).to_le_bytes();
    }
}

/// What a conversation carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Stream,
    Messages,
}

/// What a datagram of the opening says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) mode: Mode,
    /// The longest message that the sender of this takes, in bytes.
    pub(super) max_message: u32,
    pub(super) key: Key,
}

impl Opening {
    const LEN: usize = 21;

    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let mode = match bytes[0] {
            0 => Mode::Stream,
            1 => Mode::Messages,
            _ => return None,
        };
        let word = |at: usize| bytes[at..].first_chunk().map(|it| u64::from_le_bytes(*it));
        let max_message = u32::from_le_bytes(*bytes[1..].first_chunk()?);
        Some(Self { mode, max_message, key: Key(word(5)?, word(13)?) })
    }

    /// The whole datagram.
    pub(super) fn datagram(&self, conv: u32, kind: Kind) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(HEADER + Self::LEN);
        begin(&mut datagram, conv, 0, kind);
        datagram.push(u8::from(self.mode == Mode::Messages));
        datagram.extend_from_slice(&self.max_message.to_le_bytes());
        datagram.extend_from_slice(&self.key.0.to_le_bytes());
        datagram.extend_from_slice(&self.key.1.to_le_bytes());
        seal(&mut datagram, OPENING);
        datagram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: Key = Key(1, 2);

    fn sealed(conv: u32, number: u64, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        begin(&mut datagram, conv, number, kind);
        datagram.extend_from_slice(payload);
        seal(&mut datagram, KEY);
        datagram
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(conv: u32, number in 0..=LAST_NUMBER, payload: Vec<u8>) {
            let mut bytes = sealed(conv, number, Kind::Segments, &payload);
            let datagram = Datagram::parse(&mut bytes).expect("it has a header");
            prop_assert_eq!((datagram.conv, datagram.number), (conv, number));
            prop_assert_eq!(datagram.open(KEY), Some(&mut payload.clone()[..]));
        }

        /// One changed bit, anywhere.
        #[test]
        fn what_was_changed_does_not_open(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8) {
            let mut bytes = sealed(7, 8, Kind::Segments, &payload);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(Datagram::parse(&mut bytes).and_then(|it| it.open(KEY)), None);
        }

        #[test]
        fn random_bytes_are_nothing(mut bytes: Vec<u8>) {
            if let Some(datagram) = Datagram::parse(&mut bytes) {
                prop_assert_eq!(datagram.opening(), None);
                prop_assert_eq!(datagram.open(KEY), None);
            }
        }

        #[test]
        fn an_opening_comes_back(messages: bool, max_message: u32, one: u64, two: u64) {
            let mode = if messages { Mode::Messages } else { Mode::Stream };
            let opening = Opening { mode, max_message, key: Key(one, two) };
            let mut bytes = opening.datagram(9, Kind::Hello);
            let datagram = Datagram::parse(&mut bytes).expect("it has a header");
            prop_assert_eq!(datagram.opening(), Some(opening));
        }
    }
}

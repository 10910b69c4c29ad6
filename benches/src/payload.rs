//! The bytes of a message: every one depends on the message's number, and every one is checked.

use anyhow::{Result, bail};

/// An odd constant, so that neighbouring words differ in many bits.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Writes message number `seq`: the number itself, then words that depend on it and their place.
#[inline]
pub fn fill(buf: &mut [u8], seq: u64) {
    let (words, tail) = buf.as_chunks_mut::<8>();
    let mut word = seq;
    for chunk in words {
        *chunk = word.to_le_bytes();
        word = word.wrapping_add(STEP);
    }
    // Most messages are of whole words: they need no call of memcpy for nothing.
    if !tail.is_empty() {
        let len = tail.len();
        tail.copy_from_slice(&word.to_le_bytes()[..len]);
    }
}

/// Checks every byte of what must be message number `seq`.
///
/// # Errors
///
/// Says whether the message is another one (lost or repeated) or damaged, and where.
#[inline]
pub fn verify(buf: &[u8], seq: u64) -> Result<()> {
    let (words, tail) = buf.as_chunks::<8>();
    let mut word = seq;
    let mut difference = 0;
    for chunk in words {
        difference |= u64::from_le_bytes(*chunk) ^ word;
        word = word.wrapping_add(STEP);
    }
    let tail_is_right = tail.is_empty() || *tail == word.to_le_bytes()[..tail.len()];
    if difference == 0 && tail_is_right { Ok(()) } else { describe(buf, seq) }
}

/// Says what is wrong with a message.
#[cold]
fn describe(buf: &[u8], seq: u64) -> Result<()> {
    let mut expected = vec![0; buf.len()];
    if let Some(first) = buf.first_chunk::<8>() {
        let got = u64::from_le_bytes(*first);
        fill(&mut expected, got);
        if expected == buf && got > seq {
            bail!("message {got} came in place of {seq}: {} lost", got - seq);
        }
        if expected == buf {
            bail!("message {got} came again in place of {seq}");
        }
    }
    fill(&mut expected, seq);
    let at = buf.iter().zip(&expected).position(|(got, want)| got != want).unwrap_or(0);
    bail!("byte {at} of message {seq} is {:#04x}, not {:#04x}", buf[at], expected[at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(len: usize, seq: u64) -> Vec<u8> {
        let mut buf = vec![0; len];
        fill(&mut buf, seq);
        buf
    }

    #[test]
    fn a_lost_message_is_told_from_a_repeated_one() {
        let lost = verify(&message(64, 9), 7).unwrap_err().to_string();
        assert_eq!(lost, "message 9 came in place of 7: 2 lost");
        let repeated = verify(&message(64, 6), 7).unwrap_err().to_string();
        assert_eq!(repeated, "message 6 came again in place of 7");
    }

    proptest! {
        #[test]
        fn every_changed_byte_is_found(len in 1usize..300, seq: u64, at: usize, flip in 1u8..) {
            let mut buf = message(len, seq);
            prop_assert!(verify(&buf, seq).is_ok());
            buf[at % len] ^= flip;
            prop_assert!(verify(&buf, seq).is_err());
        }
    }
}

//! From values to bytes and back: `postcard`, with a cap.

use postcard::ser_flavors::Flavor;
use postcard::{Deserializer, Serializer};
use serde::{Deserialize, Serialize};

/// Why a value has no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotEncoded {
    /// It takes more bytes than it may; so many at least.
    TooLong(usize),
    /// Its `Serialize` says no.
    Refused,
}

/// Bytes that are appended to what is there, up to a length.
struct Appended<'a> {
    out: &'a mut Vec<u8>,
    max: usize,
    /// How long it would have become when it stopped.
    wanted: &'a mut usize,
}

impl Appended<'_> {
    #[inline]
    fn room(&mut self, more: usize) -> postcard::Result<()> {
        let len = self.out.len() + more;
        if len > self.max {
            *self.wanted = len;
            return Err(postcard::Error::SerializeBufferFull);
        }
        Ok(())
    }
}

impl Flavor for Appended<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.room(1)?;
        self.out.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.room(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends the bytes of a value to `out`, which becomes no longer than `max`. After an error it is as it was.
#[inline]
pub(crate) fn append<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    max: usize,
) -> Result<(), NotEncoded> {
    let before = out.len();
    let mut wanted = 0;
    let mut serializer = Serializer { output: Appended { out, max, wanted: &mut wanted } };
    let result = value.serialize(&mut serializer);
    if result.is_err() {
        out.truncate(before);
        return Err(if wanted > 0 { NotEncoded::TooLong(wanted) } else { NotEncoded::Refused });
    }
    Ok(())
}

/// Reads a value, which may borrow from the bytes; all of them must be its own.
#[inline]
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let mut deserializer = Deserializer::from_bytes(bytes);
    let value = T::deserialize(&mut deserializer).ok()?;
    let rest = deserializer.finalize().ok()?;
    rest.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_too_long_leaves_nothing_behind() {
        let mut out = vec![1, 2];
        assert_eq!(append(&"four", &mut out, 6), Err(NotEncoded::TooLong(7)));
        assert_eq!(out, [1, 2]);
        assert_eq!(append(&"four", &mut out, 7), Ok(()));
        assert_eq!(out, [1, 2, 4, b'f', b'o', b'u', b'r']);
    }

    #[test]
    fn bytes_that_are_left_over_are_no_value() {
        assert_eq!(read::<(u8, &str)>(&[7, 1, b'x']), Some((7, "x")));
        assert_eq!(read::<(u8, &str)>(&[7, 1, b'x', 0]), None);
        assert_eq!(read::<(u8, &str)>(&[7, 9, b'x']), None);
    }
}

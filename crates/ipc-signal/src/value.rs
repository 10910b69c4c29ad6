//! What a queued signal carries.

/// The value of a queued signal: an integer, or anything of a pointer's length.
///
/// It is C's `union sigval`: [`as_int`](Self::as_int) is its `sival_int`, and
/// [`as_usize`](Self::as_usize) the bits of its `sival_ptr`. Which of the two it is, sender and
/// receiver agree on. An integer does not set the bits beyond its own, which are 0 here and
/// arbitrary in a C program.
///
/// A pointer means nothing in another process: send an index, an offset or an id.
///
/// # Examples
///
/// ```
/// use ipc_signal::Value;
///
/// assert_eq!(Value::from(-7_i32).as_int(), -7);
/// assert_eq!(Value::from(usize::MAX).as_usize(), usize::MAX);
/// ```
///
/// # References
///
/// `sigval`(3type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[doc(alias = "sigval")]
pub struct Value(usize);

impl Value {
    /// `sival_int`
    ///
    /// # Examples
    ///
    /// See [`Value`].
    #[must_use]
    pub const fn as_int(self) -> i32 {
        let [a, b, c, d, ..] = self.0.to_ne_bytes();
        i32::from_ne_bytes([a, b, c, d])
    }

    /// The bits of `sival_ptr`.
    ///
    /// # Examples
    ///
    /// See [`Value`].
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0
    }
}

impl From<i32> for Value {
    fn from(int: i32) -> Self {
        let mut bytes = [0; size_of::<usize>()];
        bytes[..4].copy_from_slice(&int.to_ne_bytes());
        Self(usize::from_ne_bytes(bytes))
    }
}

impl From<usize> for Value {
    fn from(bits: usize) -> Self {
        Self(bits)
    }
}

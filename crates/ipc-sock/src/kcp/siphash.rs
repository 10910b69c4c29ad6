//! SipHash-2-4, which tells a datagram of the peer from anything else.
//!
//! Not `DefaultHasher`, whose algorithm may change between versions of the compiler: two programs must
//! agree on it.

use siphasher::sip::SipHasher24;

/// 128 bits that both ends know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64, pub(super) u64);

/// The 64-bit tag of some bytes under a key.
pub(super) fn tag(key: Key, bytes: &[u8]) -> u64 {
    SipHasher24::new_with_keys(key.0, key.1).hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the paper's appendix A.
    #[test]
    fn the_published_vector_comes_out() {
        let bytes: Vec<u8> = (0..15).collect();
        let key = Key(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        assert_eq!(tag(key, &bytes), 0xa129_ca61_49be_45e5);
    }

    /// `std` has the same algorithm, deprecated.
    #[test]
    #[expect(deprecated, reason = "an implementation that nobody here wrote")]
    fn it_agrees_with_std() {
        use std::hash::{Hasher, SipHasher};
        for len in 0..200_u64 {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 7 + len) as u8).collect();
            let key = Key(len, !len);
            let mut std = SipHasher::new_with_keys(key.0, key.1);
            std.write(&bytes);
            assert_eq!(tag(key, &bytes), std.finish(), "{len} bytes");
        }
    }
}

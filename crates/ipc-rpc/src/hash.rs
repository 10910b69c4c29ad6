//! Numbers for names, computed by the compiler: FNV-1a.

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Goes on with a hash. Spaces do not count, since `stringify!` may set them as it likes.
const fn fnv(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if !bytes[i].is_ascii_whitespace() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(PRIME);
        }
        i += 1;
    }
    // So that "ab", "c" is not "a", "bc".
    (hash ^ 0xff).wrapping_mul(PRIME)
}

/// A method's number: of its name and its types.
#[doc(hidden)]
#[must_use]
pub const fn method_id(name: &str, types: &str) -> u32 {
    let hash = fnv(fnv(OFFSET, name), types);
    (hash ^ (hash >> 32)) as u32
}

/// A service's signature: of its methods' numbers.
#[doc(hidden)]
#[must_use]
pub const fn signature(methods: &[u32]) -> u64 {
    let mut hash = OFFSET;
    let mut i = 0;
    while i < methods.len() {
        hash = (hash ^ methods[i] as u64).wrapping_mul(PRIME);
        i += 1;
    }
    hash
}

/// Whether no two methods have the same number.
#[doc(hidden)]
#[must_use]
pub const fn distinct(methods: &[u32]) -> bool {
    let mut i = 0;
    while i < methods.len() {
        let mut j = 0;
        while j < i {
            if methods[i] == methods[j] {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_its_name_and_its_types_and_no_spaces() {
        assert_eq!(method_id("add", "(i64, i64) -> i64"), method_id("add", "(i64,i64)->i64"));
        assert_ne!(method_id("add", "(i64, i64) -> i64"), method_id("add", "(i64, i32) -> i64"));
        assert_ne!(method_id("ab", "c"), method_id("a", "bc"));
    }

    #[test]
    fn two_methods_of_one_number_are_noticed() {
        assert!(distinct(&[1, 2, 3]));
        assert!(!distinct(&[1, 2, 1]));
        assert!(distinct(&[]));
    }
}

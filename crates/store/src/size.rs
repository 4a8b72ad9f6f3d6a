//! Conversions between sizes in memory and sizes in the format.

/// A size that came from the format, as an index. The store runs on 64-bit machines only.
pub(crate) fn to_usize(size: u64) -> usize {
    const { assert!(usize::BITS >= 64) };
    usize::try_from(size).expect("usize has 64 bits")
}

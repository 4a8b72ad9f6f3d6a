//! Sizes with their units in the type: the contract mixes GB, MB and bytes.

use serde::{Deserialize, Serialize};

/// Bytes in a GB as the guide counts (1024-based).
pub const GIB: u64 = 1 << 30;
/// Bytes in a MB as the guide counts (1024-based).
pub const MIB: u64 = 1 << 20;

/// A number of bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Whole MB, rounded down (`billing.used`, contract A.8).
    pub const fn whole_mib(self) -> u64 {
        self.0 / MIB
    }

    /// Whole GB, rounded up: the size of a resource (contract A.8).
    pub const fn gib_rounded_up(self) -> Gib {
        Gib(self.0.div_ceil(GIB))
    }

    /// GB for display: below 1 GB is 0, from there rounded half up (VLT-37, VLT-38).
    pub const fn gib_displayed(self) -> u64 {
        if self.0 < GIB { 0 } else { (self.0 + GIB / 2) / GIB }
    }

    /// The sum, staying at the largest number instead of wrapping.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self(0), Self::plus)
    }
}

/// A number of whole GB (1024-based).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Gib(pub u64);

impl Gib {
    /// The same size in bytes.
    pub const fn bytes(self) -> Bytes {
        Bytes(self.0.saturating_mul(GIB))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VLT-37, VLT-38: 200 MB and 0.99 GB show 0; 1.5 GB shows 2.
    #[test]
    fn displayed_capacity_rounds_half_up_but_never_up_to_one() {
        let table = [(0, 0), (200 * MIB, 0), (GIB - 1, 0), (GIB, 1), (GIB + GIB / 2 - 1, 1)];
        for (bytes, shown) in table {
            assert_eq!(Bytes(bytes).gib_displayed(), shown, "{bytes} bytes");
        }
        assert_eq!(Bytes(GIB + GIB / 2).gib_displayed(), 2);
    }

    #[test]
    fn a_resource_of_a_byte_more_than_a_gb_counts_two() {
        assert_eq!(Bytes(GIB + 1).gib_rounded_up(), Gib(2));
        assert_eq!(Bytes(GIB).gib_rounded_up(), Gib(1));
    }
}

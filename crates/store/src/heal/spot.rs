//! The name of something damaged, as a caller may keep it.

use std::fmt;
use std::str::FromStr;

use crate::format::id::{PackId, PackKind};

/// A damaged pack of a chain, or one damaged slot of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Spot {
    /// What the pack holds.
    pub kind: PackKind,
    /// The pack's name.
    pub pack: PackId,
    /// The slot; none: the pack as a whole, its tables for example.
    pub slot: Option<u32>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.kind.directory(), self.pack)?;
        match self.slot {
            Some(slot) => write!(f, "{slot}"),
            None => f.write_str("*"),
        }
    }
}

/// A text that names no spot.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} names nothing in a repository")]
pub struct InvalidSpot(String);

impl FromStr for Spot {
    type Err = InvalidSpot;

    fn from_str(text: &str) -> Result<Self, InvalidSpot> {
        let parse = || {
            let (kind, rest) = text.split_once('/')?;
            let (pack, slot) = rest.split_once('/')?;
            let kind = [PackKind::Data, PackKind::Meta].into_iter().find(|k| k.directory() == kind);
            let slot = if slot == "*" { None } else { Some(slot.parse().ok()?) };
            Some(Self { kind: kind?, pack: PackId::from_hex(pack)?, slot })
        };
        parse().ok_or_else(|| InvalidSpot(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spot_is_named_by_a_text_and_found_again() {
        for (kind, slot) in [(PackKind::Data, Some(70)), (PackKind::Meta, None)] {
            let spot = Spot { kind, pack: PackId([7; 16]), slot };
            assert_eq!(spot.to_string().parse(), Ok(spot));
        }
        for wrong in ["", "p/07/1", "x/07070707070707070707070707070707/1", "p/0707/-1"] {
            assert!(wrong.parse::<Spot>().is_err(), "{wrong}");
        }
    }
}

//! Capacity: its range, and how it grows by itself (VLT-10, VLT-11, VLT-70 … VLT-76).

use cbr_model::size::{Bytes, Gib};
use cbr_model::vault::{CAPACITY_MAX, VaultKind};

use crate::{Error, Result};

/// Checks a capacity that is asked for, given what it is and what it must hold.
///
/// `current` is the capacity so far, if there is a vault already: a vault that
/// is over its capacity may still be enlarged a little.
pub(crate) fn check(
    kind: VaultKind,
    wanted: Gib,
    current: Option<Gib>,
    allocated: Gib,
    used: Bytes,
) -> Result<()> {
    let refused = |reason: String| Err(Error::VaultSizeInvalid { wanted, reason });
    let step = kind.capacity_step();
    if wanted < step || wanted > CAPACITY_MAX {
        return refused(format!("it must be {} to {} GB", step.0, CAPACITY_MAX.0));
    }
    if !wanted.0.is_multiple_of(step.0) {
        return refused(format!("a {} vault has whole TB, of {} GB", kind.as_str(), step.0));
    }
    if current.is_some_and(|current| wanted >= current) {
        return Ok(());
    }
    if wanted < allocated {
        return refused(format!("the resources in it have {} GB", allocated.0));
    }
    if wanted.bytes() < used {
        return refused(format!("the backups in it use {} bytes", used.0));
    }
    Ok(())
}

/// What becomes of a capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Growth {
    /// It stays what it is.
    None,
    /// It becomes this.
    To(Gib),
    /// It should grow and is as large as it may be (VLT-76).
    AtMaximum,
}

/// What becomes of the capacity after `used` has passed `size`: 1.25 times as much, rounded up to whole
/// steps of its kind, as often as needed, never beyond `most`.
///
/// Only the step that passes the limit grows it: with `used_before` over the
/// limit already nothing happens (VLT-74).
pub(crate) fn growth(
    kind: VaultKind,
    size: Gib,
    used_before: Bytes,
    used: Bytes,
    most: Gib,
) -> Growth {
    let step = kind.capacity_step().0;
    let most = Gib(most.0 / step * step);
    if used_before > size.bytes() || used <= size.bytes() {
        return Growth::None;
    }
    if size >= most {
        return Growth::AtMaximum;
    }
    let mut grown = size;
    while grown.bytes() < used && grown < most {
        let larger = grown.0.saturating_mul(5).div_ceil(4);
        grown = Gib(larger.div_ceil(step).saturating_mul(step)).min(most);
    }
    Growth::To(grown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VLT-10 … VLT-12, RES-05, contract C5.
    #[test]
    fn capacities_are_in_range_and_hold_what_they_must() {
        #[rustfmt::skip]
        let table: [(u64, Option<u64>, u64, u64, bool); 11] = [
            // wanted       current    allocated used GB  allowed
            (0,             None,      0,        0,       false),
            (1,             None,      0,        0,       true),
            (10_485_760,    None,      0,        0,       true),
            (10_485_761,    None,      0,        0,       false),
            (40,            None,      40,       0,       true),
            (39,            None,      40,       0,       false),
            (50,            Some(100), 40,       50,      true),
            (49,            Some(100), 40,       50,      false),
            (39,            Some(100), 40,       0,       false),
            (101,           Some(100), 0,        500,     true),  // enlarging always helps
            (10_485_761,    Some(100), 0,        0,       false),
        ];
        for (wanted, current, allocated, used, allowed) in table {
            let got = check(
                VaultKind::Disk,
                Gib(wanted),
                current.map(Gib),
                Gib(allocated),
                Gib(used).bytes(),
            );
            assert_eq!(got.is_ok(), allowed, "{wanted} from {current:?}: {got:?}");
        }
    }

    /// VLT-10, VLT-11: 1 to 10 240 whole TB, also when it changes.
    #[test]
    fn a_file_vault_has_whole_terabytes() {
        for (wanted, allowed) in [
            (0, false),
            (1, false),
            (1023, false),
            (1024, true),
            (1025, false),
            (3072, true),
            (10_240 * 1024, true),
            (10_241 * 1024, false),
        ] {
            for current in [None, Some(Gib(2048))] {
                let got = check(VaultKind::File, Gib(wanted), current, Gib(0), Bytes(0));
                assert_eq!(got.is_ok(), allowed, "{wanted} from {current:?}: {got:?}");
            }
        }
        assert!(check(VaultKind::Turbo, Gib(1025), None, Gib(0), Bytes(0)).is_ok());
    }

    /// VLT-70, VLT-71: a capacity grows by 1 GB or more, up to the largest one and not beyond.
    #[test]
    fn a_vault_is_enlarged_up_to_the_maximum() {
        let check = |wanted, current| {
            check(VaultKind::Server, Gib(wanted), Some(Gib(current)), Gib(0), Bytes(0))
        };
        assert!(check(101, 100).is_ok());
        assert!(check(10_485_760, 10_485_759).is_ok());
        assert!(check(10_485_761, 10_485_760).is_err());
    }

    /// VLT-73 … VLT-76, contract A.9.
    #[test]
    fn a_vault_grows_by_a_quarter_when_the_limit_is_passed() {
        use Growth::{AtMaximum, None, To};
        let gib = |n: u64| Gib(n).bytes();
        #[rustfmt::skip]
        let table = [
            // size          before          after                 becomes
            (100,            gib(90),        gib(100),             None),
            (100,            gib(100),       gib(101),             To(Gib(125))),
            (125,            gib(125),       gib(126),             To(Gib(157))),
            (100,            gib(0),         gib(150),             To(Gib(157))), // twice
            (100,            gib(101),       gib(102),             None),         // was over already
            (10_000_000,     gib(10_000_000), gib(10_000_001),     To(Gib(10_485_760))),
            (10_485_760,     gib(10_485_760), gib(10_485_761),     AtMaximum),
            (10_485_760,     gib(10_485_761), gib(10_485_762),     None),
        ];
        for (size, before, after, want) in table {
            let got = growth(VaultKind::Disk, Gib(size), before, after, CAPACITY_MAX);
            assert_eq!(got, want, "{size}: {before:?}");
        }
        // What a quota leaves is a maximum as well.
        let below = |most| growth(VaultKind::Disk, Gib(100), gib(100), gib(101), Gib(most));
        assert_eq!(below(110), To(Gib(110)));
        assert_eq!(below(90), AtMaximum);
        // VLT-11: files have whole TB.
        let files = |size, most| growth(VaultKind::File, Gib(size), gib(size), gib(size + 1), most);
        assert_eq!(files(1024, CAPACITY_MAX), To(Gib(2048)));
        assert_eq!(files(8192, CAPACITY_MAX), To(Gib(10_240)));
        assert_eq!(files(1024, Gib(2047)), AtMaximum);
    }
}

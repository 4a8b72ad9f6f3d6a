//! Names the service gives (BAK-06, BAK-07, contract A.7).

use cbr_env::{Random, RandomExt};
use cbr_model::name::{NAME_CHARS_MAX, Name};

/// `manualbk_xxxx` or `autobk_xxxx`.
pub(crate) fn default_backup_name(is_automatic: bool, random: &dyn Random) -> Name {
    let digits = hex::encode(random.bytes::<2>());
    let prefix = if is_automatic { "autobk" } else { "manualbk" };
    Name::new(format!("{prefix}_{digits}")).expect("letters, `_` and hexadecimal digits")
}

/// The name of a vault's automatic backups: its prefix, and `autobk_xxxx`.
pub(crate) fn automatic_backup_name(prefix: &str, random: &dyn Random) -> Name {
    let name = default_backup_name(true, random);
    if prefix.is_empty() { name } else { joined(prefix, name.as_str()) }
}

/// The name of the `index`th of `count` backups of a run: `-0001` … when there are several.
///
/// The base gives way so that the name stays within its length.
pub(crate) fn backup_name(base: &Name, index: usize, count: usize) -> Name {
    if count <= 1 {
        return base.clone();
    }
    joined(base.as_str(), &format!("-{:04}", index + 1))
}

/// The name of the backup of one disk of a server: the server backup's, `_`, the disk's.
pub(crate) fn disk_backup_name(server_backup: &Name, disk: &str) -> Name {
    let disk: String = disk.chars().map(|c| if is_name_char(c) { c } else { '-' }).collect();
    // The disk tells the children apart, so it keeps up to half of the length.
    let tail: String = disk.chars().take(NAME_CHARS_MAX / 2).collect();
    joined(server_backup.as_str(), &format!("_{tail}"))
}

fn joined(base: &str, tail: &str) -> Name {
    let room = NAME_CHARS_MAX - tail.chars().count();
    let base: String = base.chars().take(room).collect();
    Name::new(format!("{base}{tail}")).expect("both parts consist of allowed characters")
}

fn is_name_char(c: char) -> bool {
    Name::new(c).is_ok()
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// BAK-06.
    #[test]
    fn default_names_have_four_hexadecimal_digits() {
        for (automatic, prefix) in [(false, "manualbk_"), (true, "autobk_")] {
            let name = default_backup_name(automatic, &SeededRandom::new(7));
            let digits = name.as_str().strip_prefix(prefix).unwrap();
            assert!(digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
        }
    }

    /// BAK-07.
    #[test]
    fn several_backups_of_one_run_are_numbered_and_a_single_one_is_not() {
        assert_eq!(backup_name(&name("a"), 0, 1).as_str(), "a");
        assert_eq!(backup_name(&name("a"), 0, 2).as_str(), "a-0001");
        assert_eq!(backup_name(&name("a"), 255, 256).as_str(), "a-0256");
        let long = backup_name(&name(&"长".repeat(64)), 1, 2);
        assert_eq!(long.as_str(), format!("{}-0002", "长".repeat(59)));
    }

    #[test]
    fn a_disk_backup_is_named_after_server_backup_and_disk() {
        assert_eq!(disk_backup_name(&name("daily"), "root").as_str(), "daily_root");
        assert_eq!(disk_backup_name(&name("daily"), "my disk.img").as_str(), "daily_my-disk-img");
        let long = disk_backup_name(&name(&"s".repeat(64)), &"d".repeat(64));
        assert_eq!(long.as_str(), format!("{}_{}", "s".repeat(31), "d".repeat(32)));
    }
}

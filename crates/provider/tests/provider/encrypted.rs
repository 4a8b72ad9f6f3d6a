//! Disks that their owners encrypt.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use cbr_provider::{Inventory, VolumeFormat, qcow2_image};

use crate::support::{MIB, drop_raw, id, open, pool};

/// Of any version; what follows is the owner's business.
const LUKS: &[u8] = b"LUKS\xba\xbe\x00\x02";

/// BAK-17: who chooses among disks sees which are encrypted, whatever they are stored in, and also when
/// they are in use. One that merely holds such a container further on is not.
#[tokio::test]
async fn a_disk_that_its_owner_encrypts_is_told() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, at) in [("open.raw", None), ("later.raw", Some(512)), ("luks.raw", Some(0))] {
        drop_raw(dir.path(), name, MIB);
        if let Some(at) = at {
            let file = File::options().write(true).open(dir.path().join(name)).unwrap();
            file.write_all_at(LUKS, at).unwrap();
        }
    }
    for (name, first) in [("open.qcow2", &b"x"[..]), ("luks.qcow2", LUKS), ("empty.qcow2", b"")] {
        let path = dir.path().join(name);
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        let writer = qcow2_image(file, MIB).unwrap();
        writer.write_at(0, first).unwrap();
        writer.flush().unwrap();
    }
    let provider = open(&pool(dir.path()), state.path());
    let encrypted = async |name: &str| {
        let volume = provider.volume(id(&provider, name).await).await.unwrap();
        assert_eq!(volume.format == VolumeFormat::Qcow2, name.ends_with("qcow2"));
        volume.encrypted
    };
    for name in ["open.raw", "later.raw", "open.qcow2", "empty.qcow2"] {
        assert!(!encrypted(name).await, "{name}");
    }
    for name in ["luks.raw", "luks.qcow2"] {
        assert!(encrypted(name).await, "{name}");
    }
    let held = File::open(dir.path().join("luks.raw")).unwrap();
    assert!(encrypted("luks.raw").await, "while it is open");
    drop(held);
}

//! Files with a key: one line of text, for their owner alone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::{Error, Result};

const FILE_BYTES_MAX: u64 = 4096;

/// The text of a key file. It must belong to its owner alone (mode 0600 or less).
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>> {
    let fail = |what: &str| failed(path, what);
    let file = File::open(path).map_err(|e| fail(&format!("cannot open it: {e}")))?;
    let about = file.metadata().map_err(|e| fail(&format!("cannot look at it: {e}")))?;
    if about.mode() & 0o077 != 0 {
        return Err(fail("others than its owner may access it; set its mode to 0600"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|e| fail(&format!("cannot read it: {e}")))?;
    Ok(text)
}

/// The bytes behind `prefix`, or `None` if the text is something else.
pub(super) fn parse<const N: usize>(text: &str, prefix: &str) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    hex::decode_to_slice(text.trim_end().strip_prefix(prefix)?, bytes.as_mut()).ok()?;
    Some(bytes)
}

/// Writes `prefix` and the bytes to a new file with mode 0600, durably. An existing file is left alone.
pub(super) fn write_new(path: &Path, prefix: &str, bytes: &[u8]) -> Result<()> {
    let fail = |what: &str| failed(path, what);
    let digits = Zeroizing::new(hex::encode(bytes));
    let text = Zeroizing::new(format!("{prefix}{}\n", digits.as_str()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| fail(&format!("cannot create it: {e}")))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_parent(path))
        .map_err(|e| fail(&format!("cannot write it: {e}")))
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

pub(super) fn failed(path: &Path, what: &str) -> Error {
    Error::KeyFile { file: path.display().to_string(), what: what.to_owned() }
}

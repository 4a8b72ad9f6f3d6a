//! What lies beside an image and says which backup it is (contract C26).
//!
//! A file `NAME.cbr.json` beside the image `NAME`, with the fields of `BackupSync` but for where it lies. Whoever
//! can write to the bucket wrote it: it is checked like a request.

use cbr_model::name::Name;
use cbr_model::resource::ResourceKind;
use cbr_model::{BackupId, ResourceId, Timestamp};
use cbr_provider::bucket::ObjectPath;
use serde::Deserialize;

use super::service::{NewImport, check_texts, created};

/// What the name of a sidecar ends in, behind the image's.
pub const SIDECAR_SUFFIX: &str = ".cbr.json";
/// The largest sidecar.
pub const SIDECAR_BYTES_MAX: u64 = 64 << 10;
/// The most sidecars of all buckets of a project that one synchronisation looks at.
pub const SIDECARS_MAX: usize = 1000;

/// The content of a sidecar.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Sidecar {
    backup_id: BackupId,
    backup_name: String,
    resource_id: ResourceId,
    resource_name: String,
    /// Default `OS::Native::Server`.
    resource_type: Option<String>,
    /// Seconds since 1970.
    created_at: i64,
}

impl Sidecar {
    /// The import that the sidecar at `path` of a bucket describes; else why it describes none.
    pub(crate) fn read(
        bucket: &str,
        path: &ObjectPath,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<NewImport, String> {
        let image = path.without(SIDECAR_SUFFIX).ok_or("no image can be called so")?;
        let sidecar: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let kind = sidecar.resource_type.as_deref();
        if kind.is_some_and(|word| word != ResourceKind::Native.as_str()) {
            return Err(format!("resource_type: only {}", ResourceKind::Native.as_str()));
        }
        let name = Name::new(&sidecar.backup_name).map_err(|why| format!("backup_name: {why}"))?;
        let item = NewImport {
            backup: sidecar.backup_id,
            name,
            bucket: bucket.to_owned(),
            path: image.to_string(),
            resource: sidecar.resource_id,
            resource_name: sidecar.resource_name,
            created_at: created(sidecar.created_at, now).map_err(|error| error.to_string())?,
        };
        check_texts(&item).map_err(|error| error.to_string())?;
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

    /// Contract C26: the fields of `BackupSync`.
    #[test]
    fn a_sidecar_is_checked_like_a_request() {
        let good = json!({"backup_id": ID, "backup_name": "b", "resource_id": ID,
            "resource_name": "vm", "created_at": 1_500_000_000, "written_by": "a newer version"});
        let read = |sidecar: &serde_json::Value| {
            let path = "a/disk.raw.cbr.json".parse().unwrap();
            let now = Timestamp(0).plus_seconds(1_600_000_000);
            Sidecar::read("bucket", &path, sidecar.to_string().as_bytes(), now)
        };
        let item = read(&good).unwrap();
        assert_eq!((item.bucket.as_str(), item.path.as_str()), ("bucket", "a/disk.raw"));
        assert_eq!(item.created_at.seconds(), 1_500_000_000);
        for (field, value) in [
            ("backup_id", json!("x")),
            ("backup_name", json!("a b")),
            ("backup_name", json!(null)),
            ("resource_id", json!("vm-1")),
            ("resource_name", json!("")),
            ("resource_type", json!("OS::Nova::Server")),
            ("created_at", json!(-1)),
            ("created_at", json!(1_700_000_000)),
            ("created_at", json!(i64::MAX)),
            ("created_at", json!("yesterday")),
        ] {
            let mut bad = good.clone();
            bad[field] = value.clone();
            assert!(read(&bad).is_err(), "{field}: {value}");
        }
    }
}

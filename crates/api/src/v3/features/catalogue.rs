//! The features, by key.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::settings::Settings;

/// Features by key, in order: a flag, a text or a list of texts each.
pub(super) type Features = BTreeMap<&'static str, Value>;

/// The features of this installation. There is one region, in one zone: nothing is copied elsewhere.
pub(super) fn features(settings: &Settings) -> Features {
    BTreeMap::from([
        ("features.backup_double_az", json!(false)),
        ("features.bccrack_enable", json!(false)),
        ("replication.destination_dgw_regions", json!([])),
        ("replication.destination_regions", json!([])),
        ("replication.enable", json!(false)),
        ("replication.source_region", json!(settings.region)),
    ])
}

//! What came of the wish for a database backup, on the wire (contract B.5, C.M `OpExtendInfoBckup`; BAK-57).

use cbr_model::backup;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether a backup that was to be application consistent is so.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = BackupAppConsistency)]
pub(crate) struct AppConsistency {
    /// `1`: it is application consistent; `0`: it is the ordinary server backup that was made instead.
    pub(crate) app_consistency_status: &'static str,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_consistency_error_code: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_consistency_error_message: Option<String>,
}

impl From<backup::AppConsistency> for AppConsistency {
    fn from(what: backup::AppConsistency) -> Self {
        match what {
            backup::AppConsistency::Reached => Self {
                app_consistency_status: "1",
                app_consistency_error_code: None,
                app_consistency_error_message: None,
            },
            backup::AppConsistency::FellBack { code, message } => Self {
                app_consistency_status: "0",
                app_consistency_error_code: Some(code),
                app_consistency_error_message: Some(message),
            },
        }
    }
}

//! An export on the wire.

use cbr_service::exports::ExportView;
use serde::Serialize;
use utoipa::ToSchema;

use crate::percent::encode;
use crate::time;

/// A backup that is given out as a disk.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BackupExport)]
pub(crate) struct Export {
    id: String,
    backup_id: String,
    backup_name: String,
    /// `open`, `opening`, `error` (it could not be opened; the service's log says why), `closing` or
    /// `elsewhere` (another machine serves it, and knows).
    status: &'static str,
    /// Whether it can be written. The backup never changes.
    writable: bool,
    /// Size of the disk.
    disk_bytes: u64,
    /// The machine that serves it.
    node: String,
    /// The socket on that machine, for who may enter its directory.
    socket: String,
    /// The same as NBD clients take it.
    uri: String,
    /// How other machines reach it: over TLS, with a certificate. Only where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    network_uri: Option<String>,
    created_at: String,
}

impl From<ExportView> for Export {
    fn from(view: ExportView) -> Self {
        let socket = view.socket.display().to_string();
        Self {
            id: view.export.id.to_string(),
            backup_id: view.export.backup.to_string(),
            backup_name: view.backup_name,
            status: view.status.as_str(),
            writable: view.export.writable,
            disk_bytes: view.disk_bytes.0,
            node: view.export.node,
            uri: format!("nbd+unix:///?socket={}", encode(&socket)),
            socket,
            network_uri: view.network_uri,
            created_at: time::format(view.export.created_at),
        }
    }
}

/// Body of an answer with one export.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupExportResponse)]
pub(crate) struct One {
    pub(crate) export: Export,
}

/// Body of an answer with exports.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupExportsResponse)]
pub(crate) struct Many {
    /// Oldest first.
    exports: Vec<Export>,
    count: usize,
}

impl From<Vec<ExportView>> for Many {
    fn from(views: Vec<ExportView>) -> Self {
        let exports: Vec<Export> = views.into_iter().map(Export::from).collect();
        Self { count: exports.len(), exports }
    }
}

//! Use cases of exports.
//!
//! An export is a row: while there is one, its machine has it open, also after a restart, and its
//! backup cannot be deleted. Deleting goes in steps that can be repeated: mark, close and remove
//! what was written, forget the row.
//!
//! Making goes in steps too: the row, the place on disk, the note that it is there, the answer. A row without that
//! note, whose process died or whose client hung up, is nobody's, and the next round removes it.

use std::path::PathBuf;
use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::backup::{Backup, BackupState, Content};
use cbr_model::export::Export;
use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::size::Bytes;
use cbr_model::vault::{Vault, VaultUse};
use cbr_model::{BackupId, ExportId, VaultId};
use cbr_store::VersionRef;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::host::{Gate, Host};
use crate::audit::Subject;
use crate::backups::existing;
use crate::content;
use crate::core::Core;
use crate::error::db;
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// Use cases of exports.
#[derive(Clone, Debug)]
pub struct Exports {
    core: Arc<Core>,
    host: Arc<Host>,
    /// What changes rows and what is open does so one after the other: else a round that has read
    /// the rows could open what is deleted meanwhile.
    gate: Arc<Mutex<()>>,
}

/// An export as clients see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportView {
    /// The row.
    pub export: Export,
    /// The backup's name.
    pub backup_name: String,
    /// Size of the disk.
    pub disk_bytes: Bytes,
    /// Whether it can be used.
    pub status: ExportStatus,
    /// The socket on the machine that serves it, for who may enter its directory.
    pub socket: PathBuf,
    /// How other machines reach it, if they do.
    pub network_uri: Option<String>,
}

/// Whether an export can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportStatus {
    /// It can.
    Open,
    /// It is being made.
    Opening,
    /// It could not be opened; the log says why. It is tried again.
    Error,
    /// It is being ended.
    Closing,
    /// It is another machine's; that one knows.
    Elsewhere,
}

impl ExportStatus {
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Opening => "opening",
            Self::Error => "error",
            Self::Closing => "closing",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl Exports {
    pub(crate) fn new(core: Arc<Core>, host: Host) -> Self {
        Self { core, host: Arc::new(host), gate: Arc::default() }
    }

    async fn enter(&self) -> Gate {
        Arc::new(Arc::clone(&self.gate).lock_owned().await)
    }

    /// Gives a backup of one disk out, on this machine.
    pub async fn create(
        &self,
        access: &Access,
        backup: BackupId,
        writable: bool,
    ) -> Result<ExportView> {
        // A client that hangs up may do so at any moment, also while the row is being committed: what is begun
        // is brought to its end.
        let (exports, access) = (self.clone(), access.clone());
        let made = async move { exports.create_whole(&access, backup, writable).await };
        let made = tokio::spawn(made.instrument(tracing::Span::current())).await;
        made.map_err(Error::internal("opening an export"))?
    }

    async fn create_whole(
        &self,
        access: &Access,
        backup: BackupId,
        writable: bool,
    ) -> Result<ExportView> {
        let doing = "exporting a backup";
        let gate = self.enter().await;
        let mut tx = self.core.change(access, doing).await?;
        let backup = existing(&mut tx, access.project(), backup).await?;
        let vault = existing_vault(&mut tx, access.project(), backup.vault).await?;
        if !vault.status.allows(VaultUse::Restore) {
            return Err(Error::VaultStatusForbidsRestore { status: vault.status });
        }
        refuse_leaving(&mut tx, &vault, &backup).await?;
        let version = exportable(&backup)?;
        let limit = self.host.settings().exports_max;
        let there = tx.exports().list_of_node(&self.core.node).await.map_err(db(doing))?;
        if there.len() >= limit {
            return Err(Error::TooManyExports { limit });
        }
        let export = Export {
            id: ExportId::random(&*self.core.random),
            project: access.project(),
            backup: backup.id,
            node: self.core.node.clone(),
            writable,
            opened: false,
            closing: false,
            created_at: tx.now(),
        };
        tx.exports().insert(&export).await.map_err(db(doing))?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        self.open_new(&export, version, &gate).await?;
        Ok(self.view(Export { opened: true, ..export }, &backup))
    }

    async fn open_new(&self, export: &Export, version: VersionRef, gate: &Gate) -> Result<()> {
        let doing = "opening an export";
        if let Err(trouble) = self.host.open(export, version, true, gate).await {
            // Nobody has heard of it: it need not be tried again.
            self.end(export, gate).await?;
            return Err(Error::internal(doing)(trouble));
        }
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        tx.exports().set_opened(export.id).await.map_err(db(doing))?;
        tx.commit().await.map_err(db(doing))
    }

    /// Returns when nothing is being opened or closed.
    #[cfg(test)]
    pub(crate) async fn at_rest(&self) {
        drop(self.enter().await);
    }

    /// The project's exports, of one backup or of all, oldest first.
    pub async fn list(&self, access: &Access, backup: Option<BackupId>) -> Result<Vec<ExportView>> {
        let doing = "listing exports";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        if let Some(backup) = backup {
            existing(&mut tx, access.project(), backup).await?;
        }
        let exports = tx.exports().list(access.project(), backup).await.map_err(db(doing))?;
        let mut views = Vec::with_capacity(exports.len());
        for export in exports {
            let backup = existing(&mut tx, access.project(), export.backup).await?;
            views.push(self.view(export, &backup));
        }
        Ok(views)
    }

    /// Ends an export. What was written to it is gone; the backup is as it was.
    pub async fn delete(&self, access: &Access, backup: BackupId, id: ExportId) -> Result<()> {
        let doing = "deleting an export";
        let gate = self.enter().await;
        let mut tx = self.core.change(access, doing).await?;
        let backup = existing(&mut tx, access.project(), backup).await?;
        let exports = tx.exports().list(access.project(), Some(backup.id)).await;
        let exports = exports.map_err(db(doing))?;
        let export = exports.into_iter().find(|export| export.id == id);
        let export = export.ok_or(Error::ExportNotFound(id))?;
        tx.exports().begin_close(export.project, id).await.map_err(db(doing))?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        // Another machine's is ended by its next round.
        if export.node == self.core.node { self.end(&export, &gate).await } else { Ok(()) }
    }

    /// Makes what is open on this machine what the rows say; says how much had to be done.
    pub async fn reconcile(&self) -> Result<u64> {
        let doing = "opening exports";
        let gate = self.enter().await;
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let exports = tx.exports().list_of_node(&self.core.node).await.map_err(db(doing))?;
        let mut wanted = Vec::with_capacity(exports.len());
        for export in exports {
            let backup = tx.backups().find(export.project, export.backup).await;
            wanted.push((export, backup.map_err(db(doing))?));
        }
        drop(tx);
        let (mut done, mut failed) = (0, None);
        for (export, backup) in wanted {
            // One that is not opened is not being opened either: who does that has the gate.
            if export.closing || !export.opened {
                // One that cannot be removed must not keep the others closed.
                match self.end(&export, &gate).await {
                    Ok(()) => done += 1,
                    Err(error) => failed = failed.or(Some(error)),
                }
            } else if !self.host.is_open(export.id) {
                let version = backup.ok_or(Error::BackupNotFound(export.backup));
                let version = version.and_then(|backup| exportable(&backup));
                done += u64::from(self.open_again(&export, version, &gate).await);
            }
        }
        failed.map_or(Ok(done), Err)
    }

    async fn open_again(&self, export: &Export, version: Result<VersionRef>, gate: &Gate) -> bool {
        let opened = match version {
            Ok(version) => {
                let opened = self.host.open(export, version, false, gate).await;
                opened.map_err(Error::internal("opening"))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &opened {
            let error = error as &dyn std::error::Error;
            tracing::error!(export.id = %export.id, error, "an export cannot be opened");
        }
        opened.is_ok()
    }

    /// Gives exports out to other machines until `stop`, if that is configured.
    pub async fn serve_network(&self, listener: TcpListener, stop: CancellationToken) {
        self.host.serve_network(listener, stop).await;
    }

    /// Closes all exports for this process; the next one opens them again.
    pub async fn shut_down(&self) {
        let _gate = self.enter().await;
        self.host.shut_down().await;
    }

    /// Marks, removes, forgets; each may have been done before.
    async fn end(&self, export: &Export, gate: &Gate) -> Result<()> {
        let doing = "ending an export";
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        tx.exports().begin_close(export.project, export.id).await.map_err(db(doing))?;
        tx.commit().await.map_err(db(doing))?;
        self.host.remove(export, gate).await.map_err(Error::internal(doing))?;
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        tx.exports().delete(export.id).await.map_err(db(doing))?;
        tx.commit().await.map_err(db(doing))
    }

    fn view(&self, export: Export, backup: &Backup) -> ExportView {
        let status = if export.closing {
            ExportStatus::Closing
        } else if export.node != self.core.node {
            ExportStatus::Elsewhere
        } else if !export.opened {
            ExportStatus::Opening
        } else if self.host.is_open(export.id) {
            ExportStatus::Open
        } else {
            ExportStatus::Error
        };
        let disk_bytes = match backup.state.content() {
            Some(Content::Disk(version)) => version.disk_bytes,
            Some(Content::Server) | None => Bytes(0),
        };
        let (backup_name, socket) = (backup.name.to_string(), self.host.socket(export.id));
        let network_uri = self.host.network_uri(export.id);
        ExportView { export, backup_name, disk_bytes, status, socket, network_uri }
    }
}

/// The version an export of the backup gives out.
fn exportable(backup: &Backup) -> Result<VersionRef> {
    match &backup.state {
        BackupState::Available { content } | BackupState::Restoring { content } => match content {
            Content::Disk(version) => Ok(content::reference(version)),
            Content::Server => Err(Error::Invalid {
                field: "backup_id",
                reason: "a server backup is exported disk by disk: name one of its children".into(),
            }),
        },
        other => Err(Error::BackupNotExportable { status: other.as_str() }),
    }
}

/// Refuses a backup whose resource is being taken out: its backups go, and would wait for the
/// export to end.
async fn refuse_leaving(tx: &mut Tx, vault: &Vault, backup: &Backup) -> Result<()> {
    let root = match backup.parent {
        // The disk of a server's backup: the server is what is bound.
        Some(parent) => existing(tx, backup.project, parent).await?.resource,
        None => backup.resource,
    };
    let leaves =
        |bound: &BoundResource| bound.id == root && bound.protect_status == ProtectStatus::Removing;
    if vault.resources.iter().any(leaves) {
        return Err(Error::ResourceRemoving { resource: root });
    }
    Ok(())
}

/// Refuses what would take an exported backup, or one of its disks, away.
pub(crate) async fn refuse_exported(tx: &mut Tx, backup: &Backup) -> Result<()> {
    for part in std::iter::once(backup).chain(&backup.children) {
        let exports = tx.exports().list(part.project, Some(part.id)).await;
        if !exports.map_err(db("listing exports"))?.is_empty() {
            return Err(Error::BackupExported(part.id));
        }
    }
    Ok(())
}

/// Refuses what would take away an exported backup that `concerns` says it would.
pub(crate) async fn refuse_exported_in_vault(
    tx: &mut Tx,
    vault: VaultId,
    concerns: impl Fn(&Backup) -> bool,
) -> Result<()> {
    let exports = tx.exports().list_of_vault(vault).await.map_err(db("listing exports"))?;
    for export in exports {
        let backup = tx.backups().find(export.project, export.backup).await;
        let backup = backup.map_err(db("reading a backup"))?;
        // The disk of a server's backup: the server is what is bound.
        let parent = backup.as_ref().and_then(|backup| backup.parent);
        let whole = match parent {
            Some(parent) => {
                tx.backups().find(export.project, parent).await.map_err(db("reading a backup"))?
            }
            None => backup,
        };
        if whole.is_none_or(|backup| concerns(&backup)) {
            return Err(Error::BackupExported(export.backup));
        }
    }
    Ok(())
}

//! `cbr repo export`: a backup as a disk without the service, also with the database gone.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_nbd::{Export, Exports, Limits, Server};
use cbr_service::exports::VersionDisk;
use cbr_store::{Job, Repository, VersionInfo};
use clap::{ArgGroup, Args};
use serde_json::json;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::repo::long;
use crate::image::{ImageFormat, NewImage};
use crate::output::Output;
use crate::world::World;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("to").required(true).multiple(false))]
pub(super) struct RepoExportArgs {
    /// Id of the backup, or its version, as `cbr repo ls` shows them
    pub(super) backup: String,
    /// Give it out over NBD at this new socket, read-only, until stopped
    #[arg(long, group = "to", value_name = "SOCKET")]
    nbd: Option<PathBuf>,
    /// Write it to a new raw image
    #[arg(long, group = "to", value_name = "FILE")]
    raw: Option<PathBuf>,
    /// Write it to a new qcow2 image
    #[arg(long, group = "to", value_name = "FILE")]
    qcow2: Option<PathBuf>,
}

impl RepoExportArgs {
    /// Runs the command on the version that was meant.
    pub(super) async fn run(
        self,
        repository: Arc<Repository>,
        info: VersionInfo,
        output: Output,
    ) -> Result<()> {
        match (self.nbd, self.raw, self.qcow2) {
            (Some(socket), ..) => serve(repository, &info, &socket, output).await,
            (_, Some(path), _) => write(repository, info, path, ImageFormat::Raw, output).await,
            (.., Some(path)) => write(repository, info, path, ImageFormat::Qcow2, output).await,
            (None, None, None) => Ok(()),
        }
    }
}

/// Serves the version until Ctrl-C or SIGTERM.
async fn serve(
    repository: Arc<Repository>,
    info: &VersionInfo,
    socket: &Path,
    output: Output,
) -> Result<()> {
    let (version, description) = (info.version, format!("version {}", info.version));
    let opening =
        tokio::task::spawn_blocking(move || VersionDisk::open(&repository, &version, description));
    let disk = opening.await.context("opening ended unexpectedly")??;
    let (size, disk) = (disk.size(), Arc::new(disk));
    let cannot = || format!("cannot listen at {}", socket.display());
    // Not removed if it is there: it may be somebody's.
    let listener = UnixListener::bind(socket).with_context(cannot)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
        .with_context(cannot)?;
    let exports = Exports::default().with("", disk);
    let server = Server::new(exports, Limits::default(), World::real().clock);
    let stop = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, stop) = (server, stop.clone());
        async move { server.serve_unix(listener, stop).await }
    });
    let shown = socket.display().to_string();
    if output.is_json() {
        output.json(&json!({"socket": shown, "disk_bytes": size}))?;
    } else {
        output.line(output.lang.done_repo_nbd(shown))?;
    }
    output.note(output.lang.note_mounted());
    let stopped = super::stop_signal().await;
    stop.cancel();
    serving.await.context("the server ended unexpectedly")?;
    std::fs::remove_file(socket).with_context(|| format!("cannot remove {}", socket.display()))?;
    stopped.context("cannot wait for a signal")
}

async fn write(
    repository: Arc<Repository>,
    info: VersionInfo,
    path: PathBuf,
    format: ImageFormat,
    output: Output,
) -> Result<()> {
    let (to, bytes) = (path.clone(), info.disk_bytes);
    let work = move |job: &Job| -> Result<()> {
        let image = NewImage::create(&to, format, info.disk_bytes)?;
        repository.restore(&info.version, &image, job)?;
        image.publish()?;
        Ok(())
    };
    long(output, work).await.with_context(|| format!("cannot export to {}", path.display()))?;
    output.line(output.lang.done_export(path.display(), crate::output::bytes(bytes)))?;
    Ok(())
}

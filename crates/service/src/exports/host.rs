//! What this machine has open: a socket for each export, and an overlay for each that is writable.
//!
//! ```text
//! DIRECTORY/
//!   <id>.sock      made anew at each start
//!   <id>/          what was written: kept until the export is deleted
//! ```
//!
//! Rows say what shall be open; this only does it. Opening again after a crash finds the overlay
//! as the last flush left it. What no row speaks of is never removed.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cbr_env::Clock;
use cbr_model::ExportId;
use cbr_model::export::Export;
use cbr_nbd::{Exports, Limits, Overlay, Server, Writes as _};
use cbr_store::{Repository, VersionRef};
use rustix::process::geteuid;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::OwnedMutexGuard;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::disk::VersionDisk;
use super::settings::ExportSettings;

/// The longest name of a socket there is, without its end.
const SOCKET_NAME_MAX: usize = 107;

/// Why an export is not open. What stands in it names paths: for the log, not for tenants.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("the socket's name {} has more than {SOCKET_NAME_MAX} bytes: \
             set export.directory to a shorter one", .0.display())]
    SocketName(PathBuf),
    #[error("others can enter {}: give it to the user of the service and chmod 700, or name another \
             directory (export.directory)", .0.display())]
    Shared(PathBuf),
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot open the backup")]
    Store(#[from] cbr_store::Error),
    #[error("cannot open what was written to the export")]
    Overlay(#[from] cbr_nbd::Error),
    #[error("opening ended unexpectedly")]
    Ended(#[from] tokio::task::JoinError),
}

/// Held by whoever works on what is open and on its places. Work on a disk that was begun has a copy: it goes on
/// when the request that wanted it is dropped, and nobody else may begin before it ends.
pub(crate) type Gate = Arc<OwnedMutexGuard<()>>;

/// The exports of this machine.
pub(crate) struct Host {
    settings: ExportSettings,
    repository: Arc<Repository>,
    /// Its limits are those of all exports together.
    server: Server,
    /// What other machines reach, by its id: nobody can guess it, and it is not told on the network.
    network: Exports,
    open: Mutex<HashMap<ExportId, Open>>,
}

struct Open {
    stop: CancellationToken,
    serving: JoinHandle<()>,
    overlay: Option<Arc<Overlay>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Host {
    pub(crate) fn new(
        settings: ExportSettings,
        repository: Arc<Repository>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let limits = Limits { connections: settings.connections_max, ..Limits::default() };
        let server = Server::new(Exports::default(), limits, clock);
        let (network, open) = (Exports::default().unlisted(), Mutex::default());
        Self { settings, repository, server, network, open }
    }

    pub(crate) const fn settings(&self) -> &ExportSettings {
        &self.settings
    }

    /// Where the socket of an export is, or will be.
    pub(crate) fn socket(&self, id: ExportId) -> PathBuf {
        self.settings.directory.join(format!("{}.sock", id.as_uuid().simple()))
    }

    fn overlay(&self, id: ExportId) -> PathBuf {
        self.settings.directory.join(id.as_uuid().simple().to_string())
    }

    pub(crate) fn is_open(&self, id: ExportId) -> bool {
        self.opened().contains_key(&id)
    }

    /// Opens an export unless it is open: a `new` one begins its overlay, any other one has to
    /// find it. One call of this, of [`Self::remove`] or of [`Self::shut_down`] at a time.
    pub(crate) async fn open(
        &self,
        export: &Export,
        version: VersionRef,
        new: bool,
        gate: &Gate,
    ) -> Result<(), Trouble> {
        if self.is_open(export.id) {
            return Ok(());
        }
        let open = self.try_open(export, version, new, gate).await?;
        self.opened().insert(export.id, open);
        self.count();
        Ok(())
    }

    async fn try_open(
        &self,
        export: &Export,
        version: VersionRef,
        new: bool,
        gate: &Gate,
    ) -> Result<Open, Trouble> {
        let socket = self.socket(export.id);
        if socket.as_os_str().len() > SOCKET_NAME_MAX {
            return Err(Trouble::SocketName(socket));
        }
        let (repository, directory) = (Arc::clone(&self.repository), self.overlay(export.id));
        let (settings, writable) = (self.settings.clone(), export.writable);
        let description = format!("backup {}", export.backup);
        let held = Arc::clone(gate);
        let opening = spawn_blocking(move || {
            let _held = held;
            make_directory(&settings.directory)?;
            let disk = Arc::new(VersionDisk::open(&repository, &version, description)?);
            let overlay = writable.then(|| {
                let identity = disk.identity();
                let base = Arc::clone(&disk) as Arc<dyn cbr_nbd::Export>;
                let overlay = if new { Overlay::create } else { Overlay::open };
                overlay(base, identity, &directory)
                    .map(|overlay| Arc::new(overlay.limited(settings.overlay_bytes_max)))
            });
            Ok::<_, Trouble>((disk, overlay.transpose()?))
        });
        let opened = opening.await.map_err(Trouble::from).flatten();
        // Here and not above: that goes on if nobody waits for it any more, and would remove another's.
        remove_socket(&socket)?;
        let (disk, overlay) = opened?;
        let refused = |doing| {
            let path = socket.clone();
            move |source| Trouble::File { doing, path, source }
        };
        let listener = UnixListener::bind(&socket).map_err(refused("make"))?;
        fs::set_permissions(&socket, Permissions::from_mode(0o600)).map_err(refused("protect"))?;
        let given: Arc<dyn cbr_nbd::Export> = match &overlay {
            Some(overlay) => Arc::clone(overlay) as Arc<dyn cbr_nbd::Export>,
            None => disk,
        };
        tracing::info!(
            export.id = %export.id, backup.id = %export.backup, writable, bytes = given.size(),
            "export opened"
        );
        if self.settings.network.is_some() {
            self.network.insert(export.id.to_string(), Arc::clone(&given));
        }
        let server = self.server.with_exports(Exports::default().with("", given));
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let serving = tokio::spawn(async move { server.serve_unix(listener, stopping).await });
        Ok(Open { stop, serving, overlay })
    }

    /// Closes an export and removes what was written to it.
    pub(crate) async fn remove(&self, export: &Export, gate: &Gate) -> Result<(), Trouble> {
        self.network.remove(&export.id.to_string());
        let open = self.opened().remove(&export.id);
        if let Some(open) = open {
            open.end().await;
        }
        let (socket, overlay) = (self.socket(export.id), self.overlay(export.id));
        let held = Arc::clone(gate);
        spawn_blocking(move || {
            let _held = held;
            remove_socket(&socket)?;
            match fs::remove_dir_all(&overlay) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(Trouble::File { doing: "remove", path: overlay, source })
                }
                _ => Ok(()),
            }
        })
        .await??;
        self.count();
        tracing::info!(export.id = %export.id, backup.id = %export.backup, "export removed");
        Ok(())
    }

    /// Closes everything for this process; what was written stays, durable.
    pub(crate) async fn shut_down(&self) {
        let all: Vec<_> = self.opened().drain().collect();
        for (id, open) in all {
            self.network.remove(&id.to_string());
            let overlay = open.end().await;
            let flushed = spawn_blocking(move || overlay.map_or(Ok(()), |o| o.flush())).await;
            if let Err(error) = flushed.map_err(io::Error::other).flatten() {
                tracing::error!(export.id = %id, %error, "what was written cannot be made durable");
            }
        }
    }

    /// Gives exports out to other machines until `stop`; nothing if that is not configured.
    pub(crate) async fn serve_network(&self, listener: TcpListener, stop: CancellationToken) {
        if let Some(network) = &self.settings.network {
            let server = self.server.with_exports(self.network.clone());
            server.with_tls(network.tls.clone()).serve_tcp(listener, stop).await;
        }
    }

    /// How other machines reach an export, if they do.
    pub(crate) fn network_uri(&self, id: ExportId) -> Option<String> {
        let network = self.settings.network.as_ref()?;
        Some(format!("nbds://{}/{id}", network.public_address))
    }

    fn count(&self) {
        metrics::gauge!("cbr_exports_open").set(self.opened().len() as f64);
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<ExportId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Answers what was asked, hangs up, and lets go of the overlay.
    async fn end(self) -> Option<Arc<Overlay>> {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "an export's server ended unexpectedly");
        }
        self.overlay
    }
}

/// For its owner alone: who can reach a socket can read the backup. What was there already stays as it is,
/// and is refused if others can enter it, as its owner can; it may be a symbolic link. Durable, as overlays
/// below it are.
fn make_directory(path: &Path) -> Result<(), Trouble> {
    let refused = |source| Trouble::File { doing: "make", path: path.to_owned(), source };
    let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(refused)?;
    let about = path.metadata().map_err(refused)?;
    if about.uid() != geteuid().as_raw() || about.mode() & 0o077 != 0 {
        return Err(Trouble::Shared(path.to_owned()));
    }
    for above in missing.into_iter().chain([path]).filter_map(Path::parent) {
        fs::File::open(above).and_then(|above| above.sync_all()).map_err(refused)?;
    }
    Ok(())
}

fn remove_socket(path: &Path) -> Result<(), Trouble> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Trouble::File { doing: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P32: what is made is for its owner alone; a directory of the operator's keeps its mode, and is not used if
    /// others can enter it.
    #[test]
    fn a_directory_that_was_there_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (named, made) = (folder.path().join("named"), folder.path().join("a/b"));
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        fs::create_dir(&named).unwrap();
        fs::set_permissions(&named, Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(make_directory(&named), Err(Trouble::Shared(_))));
        assert_eq!(mode(&named), 0o755);
        make_directory(&made).unwrap();
        make_directory(&made).unwrap();
        assert_eq!(mode(&made), 0o700);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&made, &link).unwrap();
        make_directory(&link).unwrap();
    }
}

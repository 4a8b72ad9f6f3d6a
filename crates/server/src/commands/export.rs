//! `cbr backup export`, `mount`, `exports` and `unmount`: backups as disks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use cbr_env::Clock;
use cbr_nbd::{Client, ClientTls, Wishes};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::repo::byte_bar;
use super::session::Session;
use crate::client::download::download;
use crate::client::lookup::Noun;
use crate::client::wire;
use crate::failure::{Failure, Kind};
use crate::image::{ImageFormat, NewImage};
use crate::output::{Column, Output, Show};

/// What of a backup is meant.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Name or id of the backup
    backup: String,
    /// Which disk of a server's backup, counted from 1, the system disk first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    disk: Option<u32>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("to").required(true).multiple(false))]
pub(super) struct ExportArgs {
    #[command(flatten)]
    which: Which,
    /// Give it out over NBD until `cbr backup unmount`
    #[arg(long, group = "to")]
    nbd: bool,
    /// Write it to a new raw image
    #[arg(long, group = "to", value_name = "FILE")]
    raw: Option<PathBuf>,
    /// Write it to a new qcow2 image
    #[arg(long, group = "to", value_name = "FILE")]
    qcow2: Option<PathBuf>,
    /// Reach the service over TLS, with ca-cert.pem, client-cert.pem and client-key.pem of DIR
    #[arg(long, value_name = "DIR", conflicts_with = "nbd")]
    tls_certificates: Option<PathBuf>,
    /// Keep what is written to it (only with --nbd); the backup never changes
    #[arg(long, conflicts_with_all = ["raw", "qcow2"])]
    writable: bool,
}

#[derive(Debug, Args)]
pub(super) struct MountArgs {
    #[command(flatten)]
    which: Which,
    /// Keep what is written to it until it is unmounted; the backup never changes
    #[arg(long)]
    writable: bool,
    /// Return at once; `cbr backup unmount` ends it
    #[arg(long)]
    detach: bool,
}

/// `cbr backup export`
pub(super) async fn export(session: &Session, args: ExportArgs) -> Result<(), Failure> {
    let to_file = args
        .raw
        .map(|path| (path, ImageFormat::Raw))
        .or(args.qcow2.map(|path| (path, ImageFormat::Qcow2)));
    if let Some((path, format)) = to_file {
        return to_image(session, &args.which, args.tls_certificates.as_deref(), &path, format)
            .await;
    }
    let export = open(session, &args.which, args.writable).await?;
    show(session.output, &export)
}

/// `cbr backup mount`
pub(super) async fn mount(session: &Session, args: MountArgs) -> Result<(), Failure> {
    let output = session.output;
    let export = open(session, &args.which, args.writable).await?;
    show(output, &export)?;
    if args.detach {
        return Ok(());
    }
    output.note(output.lang.note_mounted());
    // Without a signal there is nothing to wait for: then it ends at once.
    let _ = super::stop_signal().await;
    close(session, &export).await
}

/// `cbr backup exports`
pub(super) async fn list(session: &Session) -> Result<(), Failure> {
    let exports = all(session).await?;
    session.output.list(&exports, &columns(session.output))
}

/// `cbr backup unmount`
pub(super) async fn unmount(session: &Session, wanted: &str, yes: bool) -> Result<(), Failure> {
    let (output, lang) = (session.output, session.output.lang);
    let mut found = all(session).await?;
    found.retain(|export| {
        ["/id", "/backup_id", "/backup_name"].iter().any(|at| wire::text(export, at) == wanted)
    });
    let what = lang.what_find(lang.noun_export(), wanted);
    let export = match found.as_slice() {
        [] => {
            let why = lang.why_no_such(lang.noun_export(), wanted);
            return Err(Failure::new(Kind::NotFound, what, why).with_next(lang.next_exports()));
        }
        [one] => one,
        several => {
            let ids: Vec<String> = several.iter().map(|export| wire::text(export, "/id")).collect();
            let why = lang.why_several_exports(ids.len(), ids.join(", "));
            return Err(Failure::new(Kind::Usage, what, why));
        }
    };
    if export["writable"] == true {
        session.confirm(&lang.ask_unmount(wire::text(export, "/backup_name")), yes)?;
    }
    close(session, export).await?;
    if output.is_json() {
        return output.json(export);
    }
    output.line(lang.done_unmount(wire::text(export, "/id")))
}

async fn all(session: &Session) -> Result<Vec<Value>, Failure> {
    let lang = session.output.lang;
    let answer = session.client.get(&session.client.cbr("x/exports"), Vec::new()).await;
    let answer = answer.map_err(session.failed(lang.what_list(lang.noun_export())))?;
    Ok(wire::items(&answer, "/exports").to_vec())
}

/// The backup of the one disk that is meant.
async fn disk_backup(session: &Session, which: &Which) -> Result<String, Failure> {
    let lang = session.output.lang;
    let backup = session.find(Noun::Backup, &which.backup).await?;
    let disks = wire::items(&backup, "/children");
    let chosen = match (disks.len(), which.disk) {
        (0, None | Some(1)) => Some(&backup),
        (1, None) => disks.first(),
        (_, Some(disk)) => usize::try_from(disk).ok().and_then(|disk| disks.get(disk - 1)),
        (_, None) => None,
    };
    chosen.map(|disk| wire::text(disk, "/id")).ok_or_else(|| {
        let names: Vec<String> = (1..)
            .zip(disks)
            .map(|(number, disk)| format!("{number}: {}", wire::text(disk, "/resource_name")))
            .collect();
        let what = lang.what_export(&which.backup);
        Failure::new(Kind::Usage, what, lang.why_which_disk(names.join(", ")))
    })
}

async fn open(session: &Session, which: &Which, writable: bool) -> Result<Value, Failure> {
    let id = disk_backup(session, which).await?;
    let path = session.client.cbr(&format!("x/backups/{id}/exports"));
    let body = json!({"export": {"writable": writable}});
    let answer = session.client.post(&path, &body).await;
    let failed = session.failed(session.output.lang.what_export(&which.backup));
    Ok(answer.map_err(failed)?["export"].take())
}

async fn close(session: &Session, export: &Value) -> Result<(), Failure> {
    let lang = session.output.lang;
    let (backup, id) = (wire::text(export, "/backup_id"), wire::text(export, "/id"));
    let path = session.client.cbr(&format!("x/backups/{backup}/exports/{id}"));
    let closed = session.client.delete(&path).await.map(drop);
    closed.map_err(session.failed(lang.what_unmount(&id)))
}

/// Copies the disk over an export of its own.
async fn to_image(
    session: &Session,
    which: &Which,
    certificates: Option<&Path>,
    path: &Path,
    format: ImageFormat,
) -> Result<(), Failure> {
    let (output, lang) = (session.output, session.output.lang);
    let export = open(session, which, false).await?;
    let copied = tokio::select! {
        copied = async {
            let client = connect(session, &export, certificates).await?;
            copy(session, client, path, format).await
        } => copied,
        _ = tokio::signal::ctrl_c() => {
            let what = lang.what_export(&which.backup);
            Err(Failure::new(Kind::Interrupted, what, lang.why_stopped()))
        }
    };
    // The export goes in any case; what went wrong first is what is told.
    let closed = close(session, &export).await;
    copied?;
    closed?;
    let bytes = wire::number(&export, "/disk_bytes").unwrap_or(0);
    if output.is_json() {
        let file = path.display().to_string();
        return output
            .json(&json!({"file": file, "disk_bytes": bytes, "backup": export["backup_id"]}));
    }
    output.line(lang.done_export(path.display(), crate::output::bytes(bytes)))
}

async fn copy(
    session: &Session,
    client: Client,
    path: &Path,
    format: ImageFormat,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let size = client.info().size;
    let bar = byte_bar(session.output);
    let work = async {
        let target = path.to_owned();
        let image = tokio::task::spawn_blocking(move || NewImage::create(&target, format, size));
        let image = Arc::new(image.await??);
        download(Arc::new(client), &image, &bar).await?;
        // Every copy has ended, so nobody else has it.
        let image = Arc::try_unwrap(image).map_err(|_| anyhow::anyhow!("a copy goes on"))?;
        tokio::task::spawn_blocking(move || image.publish()).await??;
        Ok::<(), anyhow::Error>(())
    };
    let done = work.await;
    bar.finish_and_clear();
    done.map_err(|error| {
        let what = lang.what_write_image(path.display());
        Failure::new(Kind::Failed, what, format!("{error:#}"))
    })
}

async fn connect(
    session: &Session,
    export: &Value,
    certificates: Option<&Path>,
) -> Result<Client, Failure> {
    let lang = session.output.lang;
    let clock = session.client.clock_handle();
    let (place, connected) = match certificates {
        None => {
            let socket = wire::text(export, "/socket");
            let connected = Client::connect_unix(Path::new(&socket), Wishes::new(""), clock).await;
            (socket, connected.map_err(anyhow::Error::new))
        }
        Some(folder) => {
            let uri = wire::text(export, "/network_uri");
            let connected = connect_tls(&uri, folder, clock).await;
            (uri, connected)
        }
    };
    connected.map_err(|error| {
        Failure::new(Kind::Unreachable, lang.what_reach_export(place), format!("{error:#}"))
            .with_next(lang.next_export_here(wire::text(export, "/node")))
    })
}

/// Connects to `nbds://HOST:PORT/NAME` with the certificates of a folder, named as QEMU and libnbd do.
async fn connect_tls(uri: &str, folder: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Client> {
    let place = uri.strip_prefix("nbds://").and_then(|place| place.split_once('/'));
    let (address, name) = place.context("the service gives exports out on its own machine only")?;
    let (host, _) = address.rsplit_once(':').context("the service told no port")?;
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (authority, chain) = (read("ca-cert.pem")?, read("client-cert.pem")?);
    let key = zeroize::Zeroizing::new(read("client-key.pem")?);
    let host = host.trim_matches(['[', ']']);
    let tls = ClientTls::new(&authority, Some((&chain, &key)), host)?;
    Ok(Client::connect_tcp(address, Wishes::new(name).secured(tls), clock).await?)
}

fn columns(output: Output) -> Vec<Column> {
    let lang = output.lang;
    vec![
        (lang.col_id(), Show::At("/id")),
        (lang.col_backup(), Show::At("/backup_name")),
        (lang.col_status(), Show::At("/status")),
        (
            lang.col_size(),
            Show::With(|e| {
                wire::number(e, "/disk_bytes").map(crate::output::bytes).unwrap_or_default()
            }),
        ),
        (lang.col_writable(), Show::At("/writable")),
        (lang.col_uri(), Show::At("/uri")),
        (lang.col_network_uri(), Show::At("/network_uri")),
        (lang.col_created(), Show::With(|e| wire::time(e, "/created_at"))),
    ]
}

fn show(output: Output, export: &Value) -> Result<(), Failure> {
    let mut particulars = columns(output);
    let backup_id = (output.lang.col_backup_id(), Show::At("/backup_id"));
    let socket = (output.lang.col_socket(), Show::At("/socket"));
    particulars.extend([backup_id, socket]);
    output.show(export, &particulars)
}

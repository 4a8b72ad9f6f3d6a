//! `cbr repo …`: the repository without the service, also with the database gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use cbr_store::{
    Affected, BlockTarget, CheckDepth, FileTarget, Job, MasterKey, NewFileTarget, Repository,
    VersionInfo, VersionRef,
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::keys::{KeyCommand, Opened};
use super::repo_export::RepoExportArgs;
use super::repo_gc::GcArgs;
use super::writable::{Writable, apart};
use crate::client::wire;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Show, bytes};
use crate::wiring::{self, RepositoryKey, existing_repository};
use crate::world::World;

/// List, check, restore and rebuild from the repository alone, without service or database; keys
#[derive(Debug, Args)]
pub(crate) struct RepoArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: RepoCommand,
}

/// Which repository.
#[derive(Debug, Args)]
#[command(next_help_heading = "Repository")]
struct Place {
    /// Data directory of the service
    #[arg(long, global = true, value_name = "DIR", conflicts_with_all = ["repository", "key"])]
    data_dir: Option<PathBuf>,
    /// Configuration file, when it names another place for the repository
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The repository itself, together with --key
    #[arg(long, global = true, value_name = "DIR")]
    repository: Option<PathBuf>,
    /// The master key file; without --repository for the bucket that --config names
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum RepoCommand {
    /// List all backups in the repository
    Ls,
    /// Show what each backup in the repository costs and what only it needs
    Sizes,
    /// Check that everything the backups need is there
    Check {
        /// Read and decode every byte as well
        #[arg(long)]
        read_data: bool,
    },
    /// Read objects of the repository again, a part at a time, and look for damage
    Scrub {
        /// Read about so many bytes
        #[arg(long, value_name = "N", default_value_t = 1 << 30)]
        budget_bytes: u64,
        /// Read everything, whatever it costs
        #[arg(long, conflicts_with = "budget_bytes")]
        all: bool,
        /// Where to go on, as the last run said
        #[arg(long, value_name = "PLACE", default_value = "")]
        from: String,
    },
    /// Store what is lost again where the repository has it a second time; deletes nothing
    Repair {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Remove what this repair has added
        #[arg(long, value_name = "NAME", conflicts_with = "dry_run")]
        undo: Option<String>,
    },
    /// Restore one disk to a file or block device
    Restore {
        /// Id of the backup, or its version, as `cbr repo ls` shows them
        backup: String,
        /// File to create
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Overwrite the file or block device if it exists
        #[arg(long)]
        overwrite: bool,
    },
    /// Give one disk out over NBD, or write it to an image file
    Export(RepoExportArgs),
    /// Remove what no backup needs: finish deletions, and tidy up after interrupted backups
    Gc(GcArgs),
    /// Recount from the maps what all backups need, and compare with the books
    Audit,
    /// Ask the place of the repository, such as an object store, whether it can be relied on
    Probe,
    /// Write a lost database anew from the repository (the service must be stopped)
    Rebuild,
    /// Leave what a rebuild found to its policies again (the service must be stopped)
    ///
    /// A rebuild does not know what holds and images kept, so it keeps every backup. Hold what has to stay and
    /// make its images again, then run this.
    Release,
    /// Use another repository with this database from now on (the service must be stopped)
    ///
    /// A start refuses a repository that is not the one its backups are in. Accepted is one that has all of
    /// them; this is recorded in the audit.
    Accept {
        /// There is none yet: the next start makes one. Only for a database without backups, or with --lost
        #[arg(long)]
        new: bool,
        /// Just so many disks of the database's backups are lost with their repository: their rows stay, and
        /// nothing that is backed up from now on gets their names
        #[arg(long, value_name = "COUNT", default_value_t = 0)]
        lost: usize,
    },
    #[command(subcommand)]
    Key(KeyCommand),
}

impl RepoArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let config = Config::load(self.place.config.as_deref())?;
        if matches!(self.command, RepoCommand::Rebuild) {
            let data = self.place.data_dir(output)?;
            return super::rebuild::run(&data, &config, output).await;
        }
        if matches!(self.command, RepoCommand::Release) {
            let data = self.place.data_dir(output)?;
            return super::rebuild::release(&data, &config, output).await;
        }
        if let RepoCommand::Accept { new, lost } = self.command {
            let data = self.place.data_dir(output)?;
            return super::accept::run(&data, &config, (new, lost), output).await;
        }
        if let RepoCommand::Key(command) = self.command {
            return self.place.key(command, &config, output).await;
        }
        let opened = if self.command.is_change() {
            self.place.open_to_write(&config, output).await?
        } else {
            Writable::for_reading(self.place.open(&config, output)?)
        };
        let done = self.command.run(Arc::clone(&opened.repository), output).await;
        let closed = opened.close().await;
        done.and(closed)
    }
}

impl RepoCommand {
    /// Whether the command puts or removes objects.
    const fn is_change(&self) -> bool {
        match self {
            Self::Gc(args) => !args.dry_run,
            Self::Repair { dry_run, .. } => !*dry_run,
            _ => false,
        }
    }

    async fn run(self, repository: Arc<Repository>, output: Output) -> Result<()> {
        match self {
            Self::Ls => list(&repository, output),
            Self::Sizes => super::repo_sizes::run(&repository, output),
            Self::Check { read_data } => check(repository, read_data, output).await,
            Self::Scrub { budget_bytes, all, from } => {
                let bytes = if all { u64::MAX } else { budget_bytes };
                super::repo_scrub::scrub(repository, bytes, &from, output).await
            }
            Self::Repair { dry_run, undo: None } => {
                super::repo_scrub::repair(repository, dry_run, output).await
            }
            Self::Repair { undo: Some(name), .. } => {
                super::repo_scrub::undo(repository, name, output).await
            }
            Self::Restore { backup, to, overwrite } => {
                let found = find(&repository, &backup, output)?;
                restore(repository, found, &to, overwrite, output).await
            }
            Self::Export(args) => {
                let found = find(&repository, &args.backup, output)?;
                args.run(repository, found, output).await
            }
            Self::Probe => super::repo_probe::run(repository, output).await,
            Self::Audit => super::repo_gc::audit(repository, output).await,
            Self::Gc(args) => super::repo_gc::run(repository, args, output).await,
            Self::Rebuild | Self::Release | Self::Accept { .. } | Self::Key(_) => Ok(()),
        }
    }
}

impl Place {
    fn data_dir(&self, output: Output) -> Result<DataDir> {
        match &self.data_dir {
            Some(path) => Ok(DataDir::open(path)?),
            None => Err(Failure::new(
                Kind::Usage,
                output.lang.what_no_repository(),
                output.lang.why_no_repository(),
            )
            .into()),
        }
    }

    /// Where the repository and its key file are.
    fn paths(&self, config: &Config, output: Output) -> Result<(wiring::Place, PathBuf)> {
        if let Some(key) = &self.key {
            let place = match &self.repository {
                Some(path) => Some(wiring::Place::Directory(path.clone())),
                None => wiring::Place::bucket(config)?,
            };
            if let Some(place) = place {
                return Ok((place, key.clone()));
            }
        }
        let data = self.data_dir(output)?;
        Ok((wiring::Place::of(&data, config)?, data.key_path()))
    }

    fn open(&self, config: &Config, output: Output) -> Result<Repository> {
        let (place, key) = self.paths(config, output)?;
        existing_repository(&place, &RepositoryKey::read(&key)?, config, &World::real())
    }

    async fn open_to_write(&self, config: &Config, output: Output) -> Result<Writable> {
        let (place, key) = self.paths(config, output)?;
        let data = self.data_dir.as_ref().map(|path| DataDir::open(path)).transpose()?;
        Writable::open(place, &key, data, config, output).await
    }

    /// The repository to check a key against, if one is named.
    fn named(&self, config: &Config) -> Result<Option<wiring::Place>> {
        if let Some(path) = &self.repository {
            return Ok(Some(wiring::Place::Directory(path.clone())));
        }
        match &self.data_dir {
            Some(path) => Ok(Some(wiring::Place::of(&DataDir::open(path)?, config)?)),
            None => wiring::Place::bucket(config),
        }
    }

    async fn key(self, command: KeyCommand, config: &Config, output: Output) -> Result<()> {
        if command.opens_itself() {
            let place = self.named(config)?;
            let check = |key: &MasterKey| match &place {
                Some(place) => {
                    let key = RepositoryKey::Master(key.clone());
                    existing_repository(place, &key, config, &World::real()).map(drop)
                }
                None => Ok(()),
            };
            let data = self.data_dir.as_ref().map(|path| DataDir::open(path)).transpose()?;
            return command.run_without(data, config, check, output).await;
        }
        let (_, path) = self.paths(config, output)?;
        let opened = if command.is_change() {
            self.open_to_write(config, output).await?
        } else {
            Writable::for_reading(self.open(config, output)?)
        };
        let (repository, key) = (Arc::clone(&opened.repository), MasterKey::read_file(&path));
        let done = match key {
            Ok(key) => apart(move || command.run(&Opened { repository, key }, output)).await,
            Err(error) => Err(error.into()),
        };
        let closed = opened.close().await;
        done.and(closed)
    }
}

/// What the card says, with the store's own facts beside it.
pub(super) fn as_json(info: &VersionInfo) -> Value {
    let card: Value = serde_json::from_slice(&info.card).unwrap_or(Value::Null);
    json!({
        "version": name(info),
        "disk_bytes": info.disk_bytes,
        "logical_bytes": info.logical_bytes,
        "added_bytes": info.added_bytes,
        "card": card,
    })
}

fn name(info: &VersionInfo) -> String {
    version_name(&info.version)
}

fn version_name(version: &VersionRef) -> String {
    format!("{}@{}", version.chain.chain, version.seq)
}

fn list(repository: &Repository, output: Output) -> Result<()> {
    let lang = output.lang;
    let mut versions: Vec<Value> =
        repository.catalogue().context("cannot list the repository")?.iter().map(as_json).collect();
    versions.sort_by_key(|version| wire::number(version, "/card/checkpoint/created_at"));
    output.list(
        &versions,
        &[
            (lang.col_backup(), Show::At("/card/backup/id")),
            (lang.col_name(), Show::At("/card/backup/name")),
            (lang.col_resource(), Show::With(disk_name)),
            (lang.col_vault(), Show::At("/card/vault/name")),
            (lang.col_size(), Show::With(|thing| size_at(thing, "/disk_bytes"))),
            (lang.col_logical(), Show::With(|thing| size_at(thing, "/logical_bytes"))),
            (lang.col_stored(), Show::With(|thing| size_at(thing, "/added_bytes"))),
            (lang.col_version(), Show::At("/version")),
        ],
    )?;
    Ok(())
}

/// The name of the disk; for a server's, after that of the server.
pub(super) fn disk_name(thing: &Value) -> String {
    let (resource, disk) =
        (wire::text(thing, "/card/resource/name"), wire::text(thing, "/card/disk/volume_name"));
    if disk.is_empty() { resource } else { format!("{resource}: {disk}") }
}

fn size_at(thing: &Value, pointer: &str) -> String {
    bytes(wire::number(thing, pointer).unwrap_or(0))
}

/// The one version a person means by the id of a backup or by CHAIN@NUMBER.
fn find(repository: &Repository, wanted: &str, output: Output) -> Result<VersionInfo> {
    let lang = output.lang;
    let mut found = repository.catalogue().context("cannot list the repository")?;
    found.retain(|info| {
        let thing = as_json(info);
        name(info) == wanted
            || ["/card/disk/backup", "/card/backup/id"]
                .iter()
                .any(|pointer| wire::text(&thing, pointer) == wanted)
    });
    let what = lang.what_find(lang.noun_backup(), wanted);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::new(Kind::NotFound, what, lang.why_no_such(lang.noun_backup(), wanted))
            .with_next(lang.next_repo_ls())
            .into()),
        count => {
            let names: Vec<String> = found.iter().map(name).collect();
            Err(Failure::new(Kind::Usage, what, lang.why_several_disks(count, names.join(", ")))
                .with_next(lang.next_repo_ls())
                .into())
        }
    }
}

async fn restore(
    repository: Arc<Repository>,
    info: VersionInfo,
    to: &Path,
    overwrite: bool,
    output: Output,
) -> Result<()> {
    let cannot = || format!("cannot restore to {}", to.display());
    let path = to.to_owned();
    let work = move |job: &Job| -> Result<()> {
        if overwrite && path.try_exists()? {
            let target = FileTarget::open(&path)?;
            repository.restore(&info.version, &target, job)?;
            target.flush()?;
        } else {
            let target = NewFileTarget::create(&path, info.disk_bytes)?;
            repository.restore(&info.version, &target, job)?;
            target.publish()?;
        }
        Ok(())
    };
    long(output, work).await.with_context(cannot)?;
    output.line(output.lang.done_repo_restore(to.display()))?;
    Ok(())
}

async fn check(repository: Arc<Repository>, read_data: bool, output: Output) -> Result<()> {
    let lang = output.lang;
    let depth = if read_data { CheckDepth::ReadData } else { CheckDepth::Structure };
    let report = long(output, move |job| Ok(repository.check(depth, job)?))
        .await
        .context("cannot check the repository")?;
    let problems: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| {
            json!({
                "object": problem.object,
                "what": problem.what,
                "affected": problem.affected.iter().map(affected).collect::<Vec<_>>(),
            })
        })
        .collect();
    if output.is_json() {
        output.json(&json!({
            "objects": report.objects,
            "read_bytes": report.read_bytes,
            "leftover_bytes": report.leftover_bytes,
            "unknown_objects": report.unknown_objects,
            "versions": report.versions,
            "problems": problems,
        }))?;
    } else if problems.is_empty() {
        output.line(lang.done_repo_check(
            report.versions,
            report.objects,
            bytes(report.read_bytes),
        ))?;
    } else {
        list_problems(&problems, output)?;
    }
    if problems.is_empty() {
        return Ok(());
    }
    let why = lang.why_repo_damaged(problems.len());
    Err(Failure::new(Kind::Failed, lang.what_repo_check(), why)
        .with_next(lang.next_repo_damaged())
        .into())
}

/// What is wrong, as a table.
pub(super) fn list_problems(problems: &[Value], output: Output) -> Result<()> {
    let lang = output.lang;
    output.list(
        problems,
        &[
            (lang.col_object(), Show::At("/object")),
            (lang.col_problem(), Show::At("/what")),
            (
                lang.col_version(),
                Show::With(|problem| {
                    let versions: Vec<_> = wire::items(problem, "/affected")
                        .iter()
                        .map(|version| wire::text(version, "/version"))
                        .collect();
                    versions.join(", ")
                }),
            ),
        ],
    )?;
    Ok(())
}

pub(super) fn affected(affected: &Affected) -> Value {
    let ranges: Vec<Value> =
        affected.ranges.iter().map(|range| json!([range.start, range.end])).collect();
    json!({"version": version_name(&affected.version), "ranges": ranges})
}

/// Runs long work of the engine on a thread of its own, with a bar, stopped by Ctrl-C.
pub(super) async fn long<T: Send + 'static>(
    output: Output,
    work: impl FnOnce(&Job) -> Result<T> + Send + 'static,
) -> Result<T> {
    let bar = byte_bar(output);
    let shown = bar.clone();
    let mut job = Job::quiet();
    job.progress = Arc::new(move |progress| {
        shown.set_length(progress.total_bytes);
        shown.set_position(progress.done_bytes);
    });
    let cancel = Arc::clone(&job.cancel);
    let mut running = tokio::task::spawn_blocking(move || work(&job));
    let result = tokio::select! {
        result = &mut running => result,
        _ = tokio::signal::ctrl_c() => {
            cancel.store(true, Ordering::Relaxed);
            running.await
        }
    };
    bar.finish_and_clear();
    result.context("the work ended unexpectedly")?
}

pub(super) fn byte_bar(output: Output) -> ProgressBar {
    if !output.is_watched {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    let template = "[{bar:40}] {percent:>3}%  {binary_bytes} / {binary_total_bytes}  \
                    {binary_bytes_per_sec}  ETA {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

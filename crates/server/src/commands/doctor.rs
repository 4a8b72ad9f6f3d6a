//! `cbr doctor`: looks whether the installation is as it should be, and says what to do.
//!
//! Works beside a running service: what only one process may open is then left out,
//! and said.

use std::path::{Path, PathBuf};

use anyhow::Result;
use cbr_service::catalogue::{Finding, Health};
use cbr_store::backend::{Probe, Weight};
use cbr_store::{MasterKey, Repository};
use clap::Args;
use serde_json::{Value, json};

use crate::config::{BucketConfig, Config};
use crate::data_dir::{DataDir, DataDirError};
use crate::failure::{Failure, Kind};
use crate::node::Node;
use crate::output::{Output, Show, bytes};
use crate::wiring::{self, RepositoryKey};
use crate::world::World;

/// Below this much free space somebody should look.
const FREE_BYTES_LOW: u64 = 5 << 30;
const FREE_PERCENT_LOW: u64 = 5;

/// Check the installation: keys, permissions, database, repository, pools
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Data directory of the service
    #[arg(long, env = "CBR_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Configuration file
    #[arg(long, env = "CBR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl DoctorArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let lang = output.lang;
        let findings = self.examine().await;
        let things: Vec<Value> = findings
            .iter()
            .map(|finding| {
                json!({
                    "subject": finding.subject,
                    "health": word(finding.health),
                    "message": finding.message,
                })
            })
            .collect();
        output.list(
            &things,
            &[
                (lang.col_subject(), Show::At("/subject")),
                (lang.col_status(), Show::At("/health")),
                (lang.col_finding(), Show::At("/message")),
            ],
        )?;
        match findings.iter().filter(|finding| finding.health == Health::Bad).count() {
            0 => Ok(()),
            bad => Err(Failure::new(Kind::Failed, lang.what_doctor(), lang.why_doctor(bad)).into()),
        }
    }

    async fn examine(&self) -> Vec<Finding> {
        let config = match Config::load(self.config.as_deref()) {
            Ok(config) => config,
            Err(error) => return vec![bad("configuration", error)],
        };
        let mut findings = vec![match config.http.check_address(config.http.listen) {
            Ok(()) => good("configuration", "valid"),
            Err(error) => bad("configuration", error),
        }];
        if config.shows_password(self.config.as_deref()) {
            findings.push(warning(
                "configuration",
                "everybody can read a secret in it (database.url, repository.s3.secret_key): use \
                 url_file or secret_key_file, or chmod o-rwx",
            ));
        }
        let data = match DataDir::open(&self.data_dir) {
            Ok(data) => data,
            Err(error) => {
                findings.push(bad("data directory", chain(&error)));
                return findings;
            }
        };
        findings.push(good("data directory", "only its owner can access it"));
        findings.push(space("space for data", data.path()));
        if config.repository.s3.is_none() {
            findings.push(space("space for backups", &data.repository_path(&config)));
        }
        findings.extend(programs(&config));
        findings.extend(config.buckets.iter().map(bucket));
        findings.push(first_account(&data));
        match MasterKey::read_file(&data.key_path()) {
            Ok(key) => {
                findings.push(good(
                    "master key",
                    "readable by its owner alone; is there a copy elsewhere?",
                ));
                findings.extend(behind_the_key(&data, &config, key).await);
            }
            Err(error) => findings.push(bad("master key", chain(&error))),
        }
        findings
    }
}

async fn behind_the_key(data: &DataDir, config: &Config, key: MasterKey) -> Vec<Finding> {
    let world = World::real();
    let mut findings = Vec::new();
    let opened = wiring::Place::of(data, config).and_then(|place| {
        let repository =
            wiring::existing_repository(&place, &RepositoryKey::Master(key), config, &world)?;
        Ok((place, repository))
    });
    match opened {
        Ok((place, repository)) => {
            findings.push(good("repository", "opens with the master key"));
            findings.push(promises(&repository));
            if matches!(place, wiring::Place::Bucket(_)) {
                findings.push(store_now(&repository));
            }
        }
        Err(error) => findings.push(bad("repository", format!("{error:#}"))),
    }
    match data.lock() {
        Err(DataDirError::InUse { .. }) => findings
            .push(good("service", "runs; database and pools are open there and were not examined")),
        Err(error) => findings.push(bad("service", chain(&error))),
        Ok(_lock) => {
            findings.push(warning("service", "does not run (systemctl start cbr)"));
            findings.extend(at_rest(data, config, world).await);
        }
    }
    findings
}

/// What was found out about the place when the repository was made.
fn promises(repository: &Repository) -> Finding {
    let (kept, others): (Vec<_>, Vec<_>) =
        repository.probes().iter().partition(|probe| probe.holds);
    let (noted, broken): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|probe| probe.weight() == Weight::Noted);
    let names = |probes: &[&Probe]| {
        probes.iter().map(|probe| probe.name.as_str()).collect::<Vec<_>>().join("; ")
    };
    let mut text = format!("when it was made, this held: {}", names(&kept));
    if !noted.is_empty() {
        text = format!("{text}. Not needed, and not so: {}", names(&noted));
    }
    if broken.is_empty() {
        return good("promises", text);
    }
    let mode =
        if repository.is_arbitrated() { " The database decides about new objects." } else { "" };
    warning("promises", format!("{text}. This did not: {}.{mode}", names(&broken)))
}

/// What the object store does today.
fn store_now(repository: &Repository) -> Finding {
    match repository.ask_place() {
        Err(error) => bad("object store", chain(&error)),
        Ok(probes) => match repository.broken(&probes) {
            broken if broken.is_empty() => {
                let text = format!(
                    "answers {} questions and does all that is needed (`cbr repo probe` shows them)",
                    probes.len()
                );
                good("object store", text)
            }
            broken => {
                let text = format!(
                    "no longer does what it did when the repository was made: {}. Was it moved?",
                    broken.join("; ")
                );
                bad("object store", text)
            }
        },
    }
}

/// What only one process may open.
async fn at_rest(data: &DataDir, config: &Config, world: World) -> Vec<Finding> {
    let is_external = config.database.url().is_ok_and(|url| url.is_some());
    if !is_external && !data.database_path().exists() {
        return vec![bad(
            "database",
            "missing; the first `cbr serve` makes one. If there were backups, run \
             `cbr repo rebuild` before",
        )];
    }
    let node = match Node::start(data, config, world).await {
        Ok(node) => node,
        Err(error) => return vec![bad("start", format!("{error:#}"))],
    };
    let mut findings = match node.catalogue().doctor().await {
        Ok(findings) => findings,
        Err(error) => vec![bad("database", chain(&error))],
    };
    match node.provider().inventory().pools().await {
        Ok(pools) => findings.extend(pools.into_iter().map(|pool| {
            let subject = format!("pool {}", pool.name);
            let free = bytes(pool.free_bytes);
            if let Some(why) = &pool.problem {
                let next =
                    "its volumes are out of reach, all others are not; see that it is mounted";
                bad(&subject, format!("{why}; {next}"))
            } else if pool.can_snapshot {
                good(&subject, format!("volumes in use can be backed up (reflink); {free} free"))
            } else {
                warning(
                    &subject,
                    format!(
                        "no reflink: only volumes that are not in use can be backed up (put the \
                         pool on XFS or btrfs); {free} free"
                    ),
                )
            }
        })),
        Err(error) => findings.push(bad("pools", chain(&error))),
    }
    if let Err(error) = node.close().await {
        findings.push(bad("database", format!("{error:#}")));
    }
    findings
}

fn space(subject: &str, path: &Path) -> Finding {
    match rustix::fs::statvfs(path) {
        Err(error) => bad(subject, format!("{}: {error}", path.display())),
        Ok(about) => {
            let free = about.f_bavail.saturating_mul(about.f_frsize);
            let total = about.f_blocks.saturating_mul(about.f_frsize);
            let text = format!("{} of {} free", bytes(free), bytes(total));
            let is_low = free < FREE_BYTES_LOW || free < total / 100 * FREE_PERCENT_LOW;
            if is_low {
                warning(subject, format!("{text}: delete backups or add space before it is full"))
            } else {
                good(subject, text)
            }
        }
    }
}

/// The operator's commands of servers must be there before the night they are needed.
fn programs(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in &config.local.servers {
        let commands = [&server.start, &server.stop, &server.status, &server.freeze, &server.thaw];
        for program in commands.into_iter().flatten().filter_map(|command| command.first()) {
            let path = Path::new(program);
            if rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_err() {
                let subject = format!("server {}", server.name);
                findings.push(bad(&subject, format!("{program} cannot be run")));
            }
        }
    }
    findings
}

/// An image is taken in when somebody asks, maybe years after the directory was there.
fn bucket(bucket: &BucketConfig) -> Finding {
    let subject = format!("bucket {}", bucket.name);
    let place = bucket.place();
    match bucket.open() {
        Err(error) => bad(&subject, chain(&error)),
        Ok(opened) => match opened.bucket.list("", 1) {
            Err(error) => {
                bad(&subject, format!("{place}: {}; see that it is mounted", chain(&error)))
            }
            Ok(found) if found.paths.is_empty() => {
                good(&subject, format!("{place}: readable, empty"))
            }
            Ok(_) => good(&subject, format!("{place}: readable")),
        },
    }
}

fn first_account(data: &DataDir) -> Finding {
    if data.account_path().exists() {
        warning("first account", "nobody has its secrets yet; the next `cbr serve` tells them")
    } else {
        good("first account", "its secrets were told")
    }
}

fn good(subject: &str, message: impl ToString) -> Finding {
    Finding { subject: subject.to_owned(), health: Health::Good, message: message.to_string() }
}

fn warning(subject: &str, message: impl ToString) -> Finding {
    Finding { subject: subject.to_owned(), health: Health::Warning, message: message.to_string() }
}

fn bad(subject: &str, message: impl ToString) -> Finding {
    Finding { subject: subject.to_owned(), health: Health::Bad, message: message.to_string() }
}

const fn word(health: Health) -> &'static str {
    match health {
        Health::Good => "good",
        Health::Warning => "warning",
        Health::Bad => "bad",
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

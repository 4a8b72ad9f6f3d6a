//! What there is to say to `cbr repo key`, and the commands that are one call of the engine.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_store::{MaintenanceKey, MasterKey, Repository};
use clap::Subcommand;
use serde_json::json;
use uuid::Uuid;

use super::{change_master, copies, reencrypt};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Show, bytes};

/// See, rotate, copy and destroy the keys of the repository
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Show which keys there are
    Status,
    /// Seal a tenant's new data with a new key; nothing is rewritten
    RotateTenant {
        /// The tenant, as `cbr repo key status` shows it
        tenant: Uuid,
    },
    /// Seal all of a tenant's data anew under its newest key, after an older one became known to others
    Reencrypt {
        /// The tenant, as `cbr repo key status` shows it
        tenant: Uuid,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Change the master key; nothing is rewritten (the service must be stopped)
    RotateMaster,
    /// Destroy a tenant's keys: its data can never be read again
    Shred {
        /// The tenant, as `cbr repo key status` shows it
        tenant: Uuid,
        /// Yes, this is meant: there is no way back
        #[arg(long)]
        yes_destroy_all_data: bool,
        /// Also remove the objects, which nobody can read any more
        #[arg(long)]
        remove_objects: bool,
    },
    /// Write a copy of the master key that opens with a passphrase (asked for, or CBR_KEY_PASSPHRASE)
    Export {
        /// File to create
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Make a key file of such a copy; checked against the repository if that is named
    Import {
        /// The copy
        copy: PathBuf,
        /// Key file to create
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Write a key that lists, accounts, deletes and collects, and reads no data
    Maintenance {
        /// Key file to create
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// The repository that a key command works on, and its key.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) repository: Arc<Repository>,
    pub(crate) key: MasterKey,
}

impl KeyCommand {
    /// Whether the command does not need the repository to be opened with its key.
    pub(crate) const fn opens_itself(&self) -> bool {
        matches!(self, Self::RotateMaster | Self::Import { .. })
    }

    /// Whether the command puts or removes objects.
    pub(crate) const fn is_change(&self) -> bool {
        match self {
            Self::RotateTenant { .. } | Self::Maintenance { .. } => true,
            Self::Shred { yes_destroy_all_data, .. } => *yes_destroy_all_data,
            Self::Reencrypt { dry_run, .. } => !*dry_run,
            Self::Status | Self::RotateMaster | Self::Export { .. } | Self::Import { .. } => false,
        }
    }

    /// Runs a command that changes the key the repository is opened with, or makes it.
    pub(crate) async fn run_without(
        self,
        data: Option<DataDir>,
        config: &Config,
        check: impl FnOnce(&MasterKey) -> Result<()>,
        output: Output,
    ) -> Result<()> {
        let lang = output.lang;
        match (self, data) {
            (Self::Import { copy, to }, _) => copies::import(&copy, &to, check, output),
            (_, Some(data)) => change_master::run(&data, config, output).await,
            (_, None) => {
                let what = lang.what_key(lang.key_change());
                Err(Failure::new(Kind::Usage, what, lang.why_key_needs_data_dir())
                    .with_next(lang.next_key_data_dir())
                    .into())
            }
        }
    }

    /// Runs a command on an open repository.
    pub(crate) fn run(self, opened: &Opened, output: Output) -> Result<()> {
        let (repository, lang) = (&opened.repository, output.lang);
        match self {
            Self::Status => status(repository, output),
            Self::RotateTenant { tenant } => {
                let number = repository.rotate_tenant(tenant)?;
                if output.is_json() {
                    return Ok(output.json(&json!({"tenant": tenant, "key": number}))?);
                }
                Ok(output.line(lang.done_key_rotated(tenant, number))?)
            }
            Self::Reencrypt { tenant, dry_run } => {
                reencrypt::run(repository, tenant, dry_run, output)
            }
            Self::Shred { tenant, yes_destroy_all_data, remove_objects } => {
                if !yes_destroy_all_data {
                    return Err(not_sure(repository, tenant, output)?.into());
                }
                shred(repository, tenant, remove_objects, output)
            }
            Self::Export { to } => copies::export(opened, &to, output),
            Self::Maintenance { to } => {
                let tenants = repository.prepare_maintenance()?;
                MaintenanceKey::of(&opened.key).write_new_file(&to)?;
                Ok(output.line(lang.done_key_maintenance(to.display(), tenants))?)
            }
            Self::RotateMaster | Self::Import { .. } => Ok(()),
        }
    }
}

fn status(repository: &Repository, output: Output) -> Result<()> {
    let lang = output.lang;
    let status = repository.key_status().context("cannot look at the keys")?;
    let tenants: Vec<_> = status
        .tenants
        .iter()
        .map(|one| json!({"tenant": one.tenant, "keys": one.keys, "is_shredded": one.is_shredded}))
        .collect();
    if output.is_json() {
        let all = json!({"master": status.master, "masters": status.masters, "tenants": tenants});
        return Ok(output.json(&all)?);
    }
    let rows = status.tenants.iter().map(|one| {
        let keys = one.keys.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let keys = if one.is_shredded { lang.key_destroyed() } else { keys };
        json!({"tenant": one.tenant, "keys": keys})
    });
    output.list(
        &rows.collect::<Vec<_>>(),
        &[(lang.col_tenant(), Show::At("/tenant")), (lang.col_keys(), Show::At("/keys"))],
    )?;
    let all: Vec<String> = status.masters.iter().map(u32::to_string).collect();
    output.note(lang.note_key_masters(status.master, all.join(", ")));
    if status.masters.len() > 1 {
        output.note(lang.note_key_unfinished());
    }
    Ok(())
}

fn not_sure(repository: &Repository, tenant: Uuid, output: Output) -> Result<Failure> {
    let lang = output.lang;
    let contents = repository.contents()?;
    // What is in the trash goes as well: without its keys nothing can be taken back.
    let all = contents.live.iter().chain(&contents.trashed);
    let versions = all.filter(|info| info.version.chain.tenant == tenant).count();
    let what = lang.what_key(lang.key_destroy());
    Ok(Failure::new(Kind::Usage, what, lang.why_key_sure(versions)))
}

fn shred(
    repository: &Repository,
    tenant: Uuid,
    remove_objects: bool,
    output: Output,
) -> Result<()> {
    let lang = output.lang;
    repository.shred_tenant(tenant, "cbr repo key shred")?;
    let removed = if remove_objects { repository.remove_shredded(tenant)? } else { 0 };
    if output.is_json() {
        return Ok(output.json(&json!({"tenant": tenant, "removed_bytes": removed}))?);
    }
    output.line(lang.done_key_destroyed(tenant))?;
    if remove_objects {
        output.note(lang.note_key_removed(bytes(removed)));
    }
    Ok(())
}

//! `cbr restore …`

use clap::Args;
use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wait::WaitArgs;
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::Output;

/// Restore a backup, to where it came from or to another disk or server
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Name or id of the backup
    backup: String,
    /// Disk (server, for the backup of a server) to restore to: name or id
    #[arg(long, value_name = "TARGET")]
    to: Option<String>,
    /// For the backup of a server: restore the backup of one disk to this disk (repeatable)
    #[arg(long = "map", value_name = "BACKUP=VOLUME", value_parser = mapping)]
    mappings: Vec<(String, String)>,
    /// Leave the server off afterwards
    #[arg(long)]
    no_power_on: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

fn mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((backup, volume)) if !backup.is_empty() && !volume.is_empty() => {
            Ok((backup.into(), volume.into()))
        }
        _ => Err("a mapping is BACKUP=VOLUME".into()),
    }
}

impl RestoreArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = Session::open(&self.connection, output).await?;
        let lang = output.lang;
        let backup = session.find(Noun::Backup, &self.backup).await?;
        let is_server = wire::text(&backup, "/resource_type") != "OS::Cinder::Volume";
        let noun = if is_server { Noun::Server } else { Noun::Volume };
        let (target, target_name) = match &self.to {
            Some(name) => (session.find_id(noun, name).await?, name.clone()),
            None => (wire::text(&backup, "/resource_id"), wire::text(&backup, "/resource_name")),
        };
        let mut restore = json!({"power_on": !self.no_power_on});
        if is_server {
            restore["server_id"] = Value::from(target);
            restore["mappings"] = Value::from(self.mappings(&session, &backup).await?);
        } else if self.mappings.is_empty() {
            restore["volume_id"] = Value::from(target);
        } else {
            return Err(Failure::new(
                Kind::Usage,
                lang.what_restore(&self.backup),
                lang.why_map_needs_server(),
            ));
        }
        session.confirm(&lang.ask_restore(&target_name, &self.backup), self.yes)?;
        let id = wire::text(&backup, "/id");
        let path = session.client.cbr(&format!("backups/{id}/restore"));
        let answer = session
            .client
            .post(&path, &json!({"restore": restore}))
            .await
            .map_err(session.failed(lang.what_restore(&self.backup)))?;
        let task = wire::text(&answer, "/job_id");
        let done = lang.done_restore(&self.backup, &target_name);
        super::conclude(&session, &[task], self.wait, &done).await
    }

    /// Which disk of the backup goes where; by default each to where it came from.
    async fn mappings(&self, session: &Session, backup: &Value) -> Result<Vec<Value>, Failure> {
        let lang = session.output.lang;
        let children = wire::items(backup, "/children");
        if self.mappings.is_empty() && self.to.is_none() {
            let original = children
                .iter()
                .map(|child| json!({"backup_id": child["id"], "volume_id": child["resource_id"]}));
            return Ok(original.collect());
        }
        let mut mappings = Vec::new();
        for (disk, volume) in &self.mappings {
            let child = children
                .iter()
                .find(|child| {
                    ["/id", "/name", "/resource_name", "/resource_id"]
                        .iter()
                        .any(|pointer| wire::text(child, pointer) == *disk)
                })
                .ok_or_else(|| {
                    Failure::new(
                        Kind::NotFound,
                        lang.what_restore(&self.backup),
                        lang.why_no_such(lang.noun_backup(), disk),
                    )
                })?;
            let volume = session.find_id(Noun::Volume, volume).await?;
            mappings.push(json!({"backup_id": child["id"], "volume_id": volume}));
        }
        Ok(mappings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_have_two_sides() {
        assert_eq!(mapping("a=b"), Ok(("a".into(), "b".into())));
        assert!(["a", "=b", "a="].into_iter().all(|text| mapping(text).is_err()));
    }
}

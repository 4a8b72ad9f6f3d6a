//! `cbr restore …`

use clap::Args;
use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wait::WaitArgs;
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::text::Lang;

/// Restore a backup over what it was made of (for another disk: `cbr volume create --from-backup`)
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Name or id of the backup
    backup: String,
    /// For the backup of a server: restore the backup of one disk to this disk of it (repeatable)
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
        let target_name = wire::text(&backup, "/resource_name");
        if !is_server(&backup) && !self.mappings.is_empty() {
            return Err(Failure::new(
                Kind::Usage,
                lang.what_restore(&self.backup),
                lang.why_map_needs_server(),
            ));
        }
        let mappings = self.mappings(&session, &backup).await?;
        let body = body(&backup, mappings, !self.no_power_on);
        session.confirm(&lang.ask_restore(&target_name, &self.backup), self.yes)?;
        let id = wire::text(&backup, "/id");
        let path = session.client.cbr(&format!("backups/{id}/restore"));
        let answer = session
            .client
            .post(&path, &body)
            .await
            .map_err(session.failed(lang.what_restore(&self.backup)))
            .map_err(|failure| self.with_way(lang, failure))?;
        let task = wire::text(&answer, "/job_id");
        let done = lang.done_restore(&self.backup, &target_name);
        super::conclude(&session, &[task], self.wait, &done).await
    }

    /// RST-43: what it was made of is gone; there is another way, and the names are right.
    fn with_way(&self, lang: Lang, failure: Failure) -> Failure {
        match failure.code.as_deref() {
            Some("BackupService.7000") => failure.with_next(lang.next_volume_gone(&self.backup)),
            Some("BackupService.7100") => failure.with_next(lang.next_server_gone(&self.backup)),
            _ => failure,
        }
    }

    /// Which disk of the backup goes where, as far as the command line says.
    async fn mappings(&self, session: &Session, backup: &Value) -> Result<Vec<Value>, Failure> {
        let lang = session.output.lang;
        let children = wire::items(backup, "/children");
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

fn is_server(backup: &Value) -> bool {
    wire::text(backup, "/resource_type") != "OS::Cinder::Volume"
}

/// The request. A disk that no mapping names goes where it came from, and is left out when
/// it is not there any more (RST-16); naming all of them here would make that an error.
fn body(backup: &Value, mappings: Vec<Value>, power_on: bool) -> Value {
    let target = wire::text(backup, "/resource_id");
    let restore = if is_server(backup) {
        json!({"power_on": power_on, "server_id": target, "mappings": mappings})
    } else {
        json!({"power_on": power_on, "volume_id": target})
    };
    json!({ "restore": restore })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// RST-16: a disk that was taken away since is no reason not to restore the others.
    #[test]
    fn without_mappings_the_service_decides_where_the_disks_go() {
        let server = json!({"resource_type": "OS::Nova::Server", "resource_id": "s",
                            "children": [{"id": "b", "resource_id": "gone"}]});
        let want = json!({"restore": {"power_on": true, "server_id": "s", "mappings": []}});
        assert_eq!(body(&server, Vec::new(), true), want);
        let disk = json!({"resource_type": "OS::Cinder::Volume", "resource_id": "v"});
        let want = json!({"restore": {"power_on": false, "volume_id": "v"}});
        assert_eq!(body(&disk, Vec::new(), false), want);
    }

    /// RST-43.
    #[test]
    fn a_target_that_is_gone_brings_the_other_way() {
        let args = Line::parse_from(["cbr", "nightly"]).args;
        let next = |code: &str| {
            let mut failure = Failure::new(Kind::NotFound, "what", "why");
            failure.code = Some(code.to_owned());
            args.with_way(Lang::En, failure).next.clone()
        };
        let of = |code| next(code).unwrap();
        assert!(of("BackupService.7000").contains("volume create NAME --from-backup nightly"));
        assert!(of("BackupService.7100").contains("image create NAME --from-backup nightly"));
        assert_eq!(next("BackupService.6200"), None);
    }

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: RestoreArgs,
    }

    /// RST-04, RST-45: one backup at a time.
    #[test]
    fn several_backups_are_not_restored_at_once() {
        let parsed = |words: &[&str]| Line::try_parse_from([&["restore"], words].concat());
        assert_eq!(parsed(&["one"]).unwrap().args.backup, "one");
        assert!(parsed(&["one", "two"]).is_err() && parsed(&[]).is_err());
    }

    /// RST-06, RST-45: who is asked is told that it cannot be undone.
    #[test]
    fn the_question_says_that_the_disk_is_overwritten_for_good() {
        let asked = Lang::En.ask_restore("disk", "monday");
        assert!(
            asked.contains("Overwrite `disk`") && asked.contains("cannot be undone"),
            "{asked}"
        );
        let asked = Lang::Zh.ask_restore("disk", "monday");
        assert!(asked.contains("覆盖 `disk`") && asked.contains("无法撤销"), "{asked}");
    }

    #[test]
    fn mappings_have_two_sides() {
        assert_eq!(mapping("a=b"), Ok(("a".into(), "b".into())));
        assert!(["a", "=b", "a="].into_iter().all(|text| mapping(text).is_err()));
    }
}

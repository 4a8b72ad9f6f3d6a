//! `cbr backup why`, `cbr backup hold`, `cbr backup release`: a backup and its policy.

use clap::Subcommand;
use serde_json::{Value, json};

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wire;
use crate::failure::Failure;
use crate::output::{Column, Show};

#[derive(Debug, Subcommand)]
pub(super) enum RetentionCommand {
    /// Say why a backup is still here, and when it goes by itself
    Why {
        /// Name or id
        backup: String,
    },
    /// Keep a backup whatever its policy says
    Hold {
        /// Name or id
        backup: String,
        /// Why, for those who wonder later
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// List backups that look suspicious: much changed, and it does not compress
    Anomalies {
        /// Also those that were confirmed
        #[arg(long)]
        all: bool,
    },
    /// Say that a suspicious backup is as it should be: those of its resource expire again
    Confirm {
        /// Id of the backup
        backup: String,
    },
    /// Leave a backup that was held, or taken back from the trash, to its policy again
    Release {
        /// Name or id
        backup: String,
    },
}

impl RetentionCommand {
    /// Runs the command.
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let lang = session.output.lang;
        let backup = match &self {
            Self::Anomalies { all } => return anomalies(session, *all).await,
            Self::Confirm { backup } => return confirm(session, backup).await,
            Self::Why { backup } | Self::Hold { backup, .. } | Self::Release { backup } => backup,
        };
        let id = session.find_id(Noun::Backup, backup).await?;
        let path = |what: &str| session.client.cbr(&format!("x/backups/{id}/{what}"));
        let answer = match &self {
            Self::Why { .. } => session.client.get(&path("retention"), Vec::new()).await,
            Self::Hold { note, .. } => {
                let body = note.as_ref().map_or_else(|| json!({}), |note| json!({"note": note}));
                session.client.post(&path("hold"), &body).await
            }
            _ => session.client.post(&path("release"), &json!({})).await,
        };
        let answer = answer.map_err(session.failed(lang.what_retention(backup)))?;
        let particulars: [Column; 6] = [
            (lang.col_id(), Show::At("/backup_id")),
            (lang.col_action(), Show::At("/action")),
            (lang.col_why(), Show::At("/reason")),
            (lang.col_holds(), Show::With(holds)),
            (lang.col_goes(), Show::With(|one| wire::time(one, "/goes_at"))),
            (lang.col_goes_by(), Show::At("/goes_by")),
        ];
        session.output.show(&answer["retention"], &particulars)
    }
}

fn anomaly_columns(session: &Session) -> [Column; 5] {
    let lang = session.output.lang;
    [
        (lang.col_backup(), Show::At("/backup_id")),
        (lang.col_resource(), Show::At("/resource_id")),
        (lang.col_clean(), Show::At("/clean_backup_id")),
        (lang.col_found(), Show::With(|one| wire::time(one, "/found_at"))),
        (lang.col_why(), Show::At("/message")),
    ]
}

async fn anomalies(session: &Session, all: bool) -> Result<(), Failure> {
    let lang = session.output.lang;
    let query = vec![("all".to_owned(), all.to_string())];
    let answer = session.client.get(&session.client.cbr("x/anomalies"), query).await;
    let answer = answer.map_err(session.failed(lang.what_list(lang.noun_anomaly())))?;
    session.output.list(wire::items(&answer, "/anomalies"), &anomaly_columns(session))
}

async fn confirm(session: &Session, backup: &str) -> Result<(), Failure> {
    let lang = session.output.lang;
    let path = session.client.cbr(&format!("x/anomalies/{backup}/confirm"));
    let answer = session.client.post(&path, &json!({})).await;
    let answer = answer.map_err(session.failed(lang.what_retention(backup)))?;
    session.output.show(&answer["anomaly"], &anomaly_columns(session))
}

/// `person (for the auditors)`.
fn holds(retention: &Value) -> String {
    let shown = |hold: &Value| {
        let (kind, note) = (wire::text(hold, "/kind"), wire::text(hold, "/note"));
        if note.is_empty() { kind } else { format!("{kind} ({note})") }
    };
    wire::items(retention, "/holds").iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_are_shown_with_their_notes() {
        let retention = json!({"holds": [{"kind": "person", "note": "audit"},
            {"kind": "taken_back", "note": ""}]});
        assert_eq!(holds(&retention), "person (audit), taken_back");
        assert_eq!(holds(&json!({"holds": []})), "");
    }
}

//! What a backup, or the task that makes it, says of its wish to be application consistent (BAK-57).

use serde_json::Value;

use crate::client::wire;
use crate::output::{Column, Output, Show};

/// Columns of a backup; empty where nobody had the wish.
pub(super) fn of_backup(output: Output) -> [Column; 2] {
    let lang = output.lang;
    [
        (lang.col_consistency(), Show::With(|backup| mark(&backup["x-app-consistency"]))),
        (lang.col_why_ordinary(), Show::With(|backup| why(&backup["x-app-consistency"]))),
    ]
}

/// Columns of a task.
pub(super) fn of_task(output: Output) -> [Column; 2] {
    let lang = output.lang;
    [
        (lang.col_consistency(), Show::With(|log| mark(&log["extra_info"]["backup"]))),
        (lang.col_why_ordinary(), Show::With(|log| why(&log["extra_info"]["backup"]))),
    ]
}

/// The letter that stands for it, and the contract's word for what the backup is.
fn mark(said: &Value) -> String {
    match said["app_consistency_status"].as_str() {
        Some("1") => "A: app_consistent".to_owned(),
        Some(_) => "A failed: crash_consistent".to_owned(),
        None => String::new(),
    }
}

fn why(said: &Value) -> String {
    let part = |name| wire::text(said, name);
    match part("/app_consistency_error_code") {
        code if code.is_empty() => code,
        code => format!("{code}: {}", part("/app_consistency_error_message")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// BAK-57, DBS-19: three things can be said, and each looks different.
    #[test]
    fn what_fell_back_does_not_look_like_what_is_consistent() {
        let ordinary = json!({"backup_id": "1"});
        assert_eq!((mark(&ordinary), why(&ordinary)), (String::new(), String::new()));
        let reached = json!({"app_consistency_status": "1"});
        assert_eq!((mark(&reached).as_str(), why(&reached).as_str()), ("A: app_consistent", ""));
        let fell_back = json!({"app_consistency_status": "0",
            "app_consistency_error_code": "BackupService.7410",
            "app_consistency_error_message": "No agent."});
        assert_eq!(mark(&fell_back), "A failed: crash_consistent");
        assert_eq!(why(&fell_back), "BackupService.7410: No agent.");
    }
}

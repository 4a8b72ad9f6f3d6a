//! Which operations the tests have seen succeed and refuse, and which error codes they have seen.
//!
//! Measured, not read from the source: the tests of the API note every answer in a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// Refusals that every operation shares say nothing about a test of its own.
const SHARED: [&str; 2] = ["401", "403"];

/// What was seen of an operation.
#[derive(Default)]
struct Seen {
    success: bool,
    refusal: bool,
}

/// What is missing, a line each, and a last line that counts.
pub(crate) fn report(root: &Path, noted: &Path) -> anyhow::Result<(Vec<String>, bool)> {
    let text = std::fs::read_to_string(noted).with_context(|| noted.display().to_string())?;
    let (seen, codes) = read(&text);
    let document = std::fs::read_to_string(root.join("openapi/v3.json"))?;
    let all = operations(&serde_json::from_str(&document)?);
    let mut lines = Vec::new();
    let none = Seen::default();
    for (name, can_refuse) in &all {
        let of = seen.get(name.as_str()).unwrap_or(&none);
        if !of.success {
            lines.push(format!("{name}: no test has seen it succeed"));
        }
        if *can_refuse && !of.refusal {
            lines.push(format!("{name}: no test has seen a refusal of its own"));
        }
    }
    let is_whole = lines.is_empty();
    let unseen: Vec<String> = known_codes(root)?.difference(&codes).cloned().collect();
    if !unseen.is_empty() {
        lines.push(format!("codes that no test of the API has seen: {}", unseen.join(", ")));
    }
    lines.push(format!("{} operations, {} codes seen", all.len(), codes.len()));
    Ok((lines, is_whole))
}

fn read(text: &str) -> (BTreeMap<&str, Seen>, BTreeSet<String>) {
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    let mut codes = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(status)) = (words.next(), words.next()) else { continue };
        let of = seen.entry(name).or_default();
        of.success |= status.starts_with('2') || status == "300";
        of.refusal |= !status.starts_with(['2', '3']) && !SHARED.contains(&status);
        codes.extend(words.next().filter(|code| !code.is_empty()).map(str::to_owned));
    }
    (seen, codes)
}

/// The contract's operations, and whether there is anything about a call that can be wrong.
fn operations(document: &Value) -> BTreeMap<String, bool> {
    let mut all = BTreeMap::new();
    for (path, verbs) in document["paths"].as_object().into_iter().flatten() {
        for (verb, operation) in verbs.as_object().into_iter().flatten() {
            let Some(name) = operation["operationId"].as_str() else { continue };
            let inner = path.replace("{project_id}", "");
            let has_query = operation["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["in"] == "query"));
            let can_refuse =
                inner.contains('{') || has_query || !operation["requestBody"].is_null();
            all.insert(name.to_owned(), can_refuse && verb != "head");
        }
    }
    all
}

/// The codes of the generated list.
fn known_codes(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(root.join("docs/api/errors.md"))?;
    let codes = text.split('`').filter(|word| {
        word.split_once('.').is_some_and(|(service, number)| {
            service.chars().all(char::is_alphanumeric)
                && number.len() == 4
                && number.chars().all(|c| c.is_ascii_digit())
        })
    });
    Ok(codes.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_share_is_no_refusal_of_ones_own() {
        let (seen, codes) = read("A 200 \nA 401 APIG.0301\nB 404 BackupService.6105\n");
        assert!(seen["A"].success && !seen["A"].refusal);
        assert!(!seen["B"].success && seen["B"].refusal);
        assert_eq!(codes.len(), 2);
    }
}

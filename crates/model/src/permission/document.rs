//! The text of a policy: `{"Version":"1.1","Statement":[{"Effect":"Allow","Action":[…]}]}` (IAM-09).
//!
//! What would narrow a statement and is not understood here (`Condition`, a `Resource` that
//! is not `*`) is refused: a policy that is taken must mean what it says.

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;

/// The longest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 6144;
const STATEMENTS_MAX: usize = 8;
const ACTIONS_MAX: usize = 100;
const VERSION: &str = "1.1";

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "Statement")]
    statements: Vec<Statement>,
}

/// What a policy says of some actions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Whether they are allowed or denied.
    #[serde(rename = "Effect")]
    pub effect: Effect,
    /// Which actions.
    #[serde(rename = "Action")]
    pub actions: Vec<Pattern>,
    /// On what: everything, which may be written as `["*"]`.
    #[serde(rename = "Resource", default, skip_serializing_if = "Vec::is_empty")]
    resources: Vec<Anything>,
}

/// What a statement does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Effect {
    /// Allows.
    Allow,
    /// Denies, whatever else allows.
    Deny,
}

/// The one resource a statement may name: all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Anything {
    #[serde(rename = "*")]
    Star,
}

/// Why a text is no policy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidDocument {
    /// Too long.
    #[error("a policy has at most {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    /// Not of the form.
    #[error("{0}")]
    Form(String),
    /// Another language.
    #[error("the Version of a policy is \"{VERSION}\", not \"{0}\"")]
    Version(String),
    /// None, or too many.
    #[error("a policy has 1 to {STATEMENTS_MAX} statements")]
    Statements,
    /// None, or too many.
    #[error("a statement has 1 to {ACTIONS_MAX} actions")]
    Actions,
}

impl Document {
    /// The policy that `json` is the text of.
    pub fn parse(json: &str) -> Result<Self, InvalidDocument> {
        if json.len() > DOCUMENT_BYTES_MAX {
            return Err(InvalidDocument::TooLong);
        }
        let document: Self = serde_json::from_str(json)
            .map_err(|error| InvalidDocument::Form(hint(error.to_string())))?;
        if document.version != VERSION {
            return Err(InvalidDocument::Version(document.version.chars().take(16).collect()));
        }
        if !(1..=STATEMENTS_MAX).contains(&document.statements.len()) {
            return Err(InvalidDocument::Statements);
        }
        let has_its_actions =
            |statement: &Statement| (1..=ACTIONS_MAX).contains(&statement.actions.len());
        if !document.statements.iter().all(has_its_actions) {
            return Err(InvalidDocument::Actions);
        }
        Ok(document)
    }

    /// A policy that allows `actions`; for those built in.
    pub(super) fn allowing(actions: &[&str]) -> Self {
        let actions = actions
            .iter()
            .map(|action| Pattern::new(*action).expect("built-in policies name actions"))
            .collect();
        let statement = Statement { effect: Effect::Allow, actions, resources: Vec::new() };
        Self { version: VERSION.to_owned(), statements: vec![statement] }
    }

    /// What it says.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Its text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a policy has only texts as keys")
    }
}

/// Says what to do about the parts that real policies have and these have not.
fn hint(message: String) -> String {
    if message.contains("`Condition`") {
        return "Condition is not offered; grant the policy in fewer projects instead".to_owned();
    }
    if message.contains("expected `*`") {
        return "Resource can only be [\"*\"]: grant the policy in fewer projects instead"
            .to_owned();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_and_written_as_the_guide_has_it() {
        let text = r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["cbr:*:get*"]}]}"#;
        let document = Document::parse(text).unwrap();
        assert_eq!(document.to_json(), text);
        assert_eq!(document.statements()[0].effect, Effect::Allow);
        let starred = text.replace("]}]}", r#"],"Resource":["*"]}]}"#);
        assert_eq!(Document::parse(&starred).unwrap().to_json(), starred);
    }

    /// IAM-09: what is not understood is not taken for something else.
    #[test]
    fn what_is_not_understood_is_refused() {
        let statement = |text: &str| format!(r#"{{"Version":"1.1","Statement":[{text}]}}"#);
        let allow = r#"{"Effect":"Allow","Action":["a:b:c"]}"#;
        let many = [allow; STATEMENTS_MAX + 1].join(",");
        let actions = [r#""a:b:c""#; ACTIONS_MAX + 1].join(",");
        let cases = [
            ("", "EOF"),
            ("[]", "invalid"),
            (r#"{"Version":"1.1"}"#, "missing field"),
            (r#"{"Version":"5.0","Statement":[]}"#, "Version"),
            (r#"{"Version":"1.1","Statement":[]}"#, "1 to 8"),
            (&statement(&many), "1 to 8"),
            (&statement(r#"{"Effect":"Maybe","Action":["a:b:c"]}"#), "Maybe"),
            (&statement(r#"{"Effect":"Allow","Action":[]}"#), "1 to 100"),
            (&statement(&format!(r#"{{"Effect":"Allow","Action":[{actions}]}}"#)), "1 to 100"),
            (&statement(r#"{"Effect":"Allow","Action":["cbr"]}"#), "service:resource:verb"),
            (&statement(r#"{"Effect":"Allow","NotAction":["a:b:c"]}"#), "NotAction"),
            (
                &statement(r#"{"Effect":"Allow","Action":["a:b:c"],"Condition":{}}"#),
                "fewer projects",
            ),
            (
                &statement(
                    r#"{"Effect":"Deny","Action":["a:b:c"],"Resource":["cbr:*:*:vault:x"]}"#,
                ),
                "fewer projects",
            ),
            (&statement(&" ".repeat(DOCUMENT_BYTES_MAX)), "6144"),
        ];
        for (text, told) in cases {
            let refused = Document::parse(text).unwrap_err().to_string();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }
}

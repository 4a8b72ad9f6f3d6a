//! How a command ends when it does not end well: what, why, what next.
//!
//! Every failure a person can act on is a [`Failure`]; its [`Kind`] decides the
//! exit code. Anything else that reaches `main` is shown with its causes and
//! ends with code 1.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::config::ConfigError;
use crate::own_repository::RepositoryError;
use crate::text::Lang;

/// What a script may tell apart. The numbers are documented in `cbr --help`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It was tried and did not work, or the service is at fault.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// The thing named does not exist.
    NotFound,
    /// The service refuses the request as it stands.
    Refused,
    /// No service answers.
    Unreachable,
    /// The credential is missing, wrong or not enough.
    Denied,
    /// It was not finished within the time given.
    TimedOut,
    /// The person at the keyboard stopped it.
    Interrupted,
    /// Nobody reads the output any more.
    PipeClosed,
}

impl Kind {
    /// The process' exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::PipeClosed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
            Self::Unreachable => 5,
            Self::Denied => 6,
            Self::TimedOut => 7,
            Self::Interrupted => 130,
        }
    }
}

/// A failure a person can act on.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Box<Parts>);

/// What a failure consists of.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// What a script may tell apart.
    pub(crate) kind: Kind,
    /// What did not work.
    pub(crate) what: String,
    /// Why.
    pub(crate) why: String,
    /// What to do about it.
    pub(crate) next: Option<String>,
    /// The service's code, e.g. `BackupService.6105`.
    pub(crate) code: Option<String>,
    /// By which the service's log is searched.
    pub(crate) request_id: Option<String>,
}

impl Failure {
    /// A failure without the service's particulars.
    pub(crate) fn new(kind: Kind, what: impl Into<String>, why: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            what: what.into(),
            why: why.into(),
            next: None,
            code: None,
            request_id: None,
        }))
    }

    /// The same, with what to do about it.
    pub(crate) fn with_next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// For people.
    pub(crate) fn render(&self, lang: Lang) -> String {
        let mut lines = vec![format!("{}: {}", lang.label_error(), self.what)];
        let particulars = [
            (lang.label_why(), Some(&self.why).filter(|why| !why.is_empty())),
            (lang.label_next(), self.next.as_ref()),
            (lang.label_code(), self.code.as_ref()),
            (lang.label_request(), self.request_id.as_ref()),
        ];
        for (label, value) in particulars {
            lines.extend(value.map(|value| format!("  {label}: {value}")));
        }
        lines.join("\n")
    }
}

impl Deref for Failure {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Failure {}

/// The exit code of any error.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    let kind = match error.downcast_ref::<Failure>() {
        Some(failure) => failure.kind,
        None if error.is::<ConfigError>() => Kind::Usage,
        None if error.is::<RepositoryError>() => Kind::Refused,
        None => Kind::Failed,
    };
    kind.exit_code()
}

/// Any error for people; none for what nobody is left to read.
pub(crate) fn render(error: &anyhow::Error, lang: Lang) -> Option<String> {
    match error.downcast_ref::<Failure>() {
        Some(failure) if failure.kind == Kind::PipeClosed => None,
        Some(failure) => Some(failure.render(lang)),
        None => {
            let mut lines = vec![format!("{}: {error}", lang.label_error())];
            lines.extend(
                error.chain().skip(1).map(|cause| format!("  {}: {cause}", lang.label_why())),
            );
            Some(lines.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_next_with_code_and_request() {
        let mut failure = Failure::new(Kind::Refused, "cannot back up", "the vault is full")
            .with_next("make it larger");
        failure.code = Some("BackupService.6114".into());
        failure.request_id = Some("ab12".into());
        assert_eq!(
            failure.render(Lang::En),
            "error: cannot back up\n  why: the vault is full\n  next: make it larger\n  \
             code: BackupService.6114\n  request: ab12"
        );
        assert!(failure.render(Lang::Zh).starts_with("错误: cannot back up\n  原因: "));
    }

    #[test]
    fn scripts_can_tell_failures_apart() {
        let kinds = [
            (Kind::PipeClosed, 0),
            (Kind::Failed, 1),
            (Kind::Usage, 2),
            (Kind::NotFound, 3),
            (Kind::Refused, 4),
            (Kind::Unreachable, 5),
            (Kind::Denied, 6),
            (Kind::TimedOut, 7),
            (Kind::Interrupted, 130),
        ];
        for (kind, code) in kinds {
            let error = anyhow::Error::new(Failure::new(kind, "x", "y"));
            assert_eq!(exit_code(&error), code, "{kind:?}");
        }
        assert_eq!(exit_code(&anyhow::anyhow!("anything")), 1);
    }
}

//! Why a request did not get its answer.

use reqwest::StatusCode;

use crate::failure::{Failure, Kind};
use crate::text::Lang;

/// Why a request did not get its answer.
#[derive(Clone, Debug)]
pub(crate) enum ApiError {
    /// Nobody answered; the request may or may not have had an effect.
    Unreachable {
        /// Whom was asked.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The service answered with an error.
    Answered {
        /// The status.
        status: StatusCode,
        /// The service's code; empty when the answer had none.
        code: String,
        /// The service's message.
        message: String,
        /// By which the service's log is searched.
        request_id: Option<String>,
    },
    /// The answer is not what the contract says: probably not a CBR service.
    Malformed {
        /// Whom was asked.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ApiError {
    /// Whether the service says that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Answered { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// Whether asking again later may give another answer.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Answered { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Malformed { .. } => false,
        }
    }

    /// What a person is told, `what` being what did not work.
    pub(crate) fn failure(self, lang: Lang, what: String) -> Failure {
        match self {
            Self::Unreachable { url, why } => {
                Failure::new(Kind::Unreachable, what, lang.why_unreachable(&url, &why))
                    .with_next(lang.next_unreachable())
            }
            Self::Malformed { url, why } => {
                Failure::new(Kind::Failed, what, lang.why_malformed(&url, &why))
                    .with_next(lang.next_malformed())
            }
            Self::Answered { status, code, message, request_id } => {
                let mut failure = Failure::new(kind_of(status), what, message);
                failure.next = next_for(lang, status, &code);
                failure.code =
                    Some(if code.is_empty() { format!("HTTP {}", status.as_u16()) } else { code });
                failure.request_id = request_id;
                failure
            }
        }
    }
}

fn kind_of(status: StatusCode) -> Kind {
    match status.as_u16() {
        404 => Kind::NotFound,
        401 | 403 => Kind::Denied,
        400..=499 => Kind::Refused,
        _ => Kind::Failed,
    }
}

fn next_for(lang: Lang, status: StatusCode, code: &str) -> Option<String> {
    let number = code.strip_prefix("BackupService.").unwrap_or(code);
    Some(match (number, status.as_u16()) {
        ("0001" | "0002" | "6125" | "6203" | "2002" | "2010", _) => lang.next_busy(),
        ("2001", _) => lang.next_target_too_small(),
        ("2011", _) => lang.next_target_in_use(),
        ("6100", _) => lang.next_vault_has_too_many(),
        ("6102" | "6116", _) => lang.next_wrong_type(),
        ("6103" | "7006" | "7116", _) => lang.next_bound_elsewhere(),
        ("6114", _) => lang.next_vault_full(),
        ("6135", _) => lang.next_not_bound(),
        (_, 401) => lang.next_unauthenticated(),
        (_, 403) => lang.next_forbidden(),
        (_, 404) => lang.next_not_found(),
        (_, 500..) => lang.next_server_error(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str) -> Failure {
        let error = ApiError::Answered {
            status: StatusCode::from_u16(status).unwrap(),
            code: code.into(),
            message: "m".into(),
            request_id: Some("r".into()),
        };
        error.failure(Lang::En, "w".into())
    }

    #[test]
    fn every_answer_has_its_exit_code_and_keeps_code_and_request() {
        for (status, kind) in [
            (400, Kind::Refused),
            (401, Kind::Denied),
            (403, Kind::Denied),
            (404, Kind::NotFound),
            (409, Kind::Refused),
            (500, Kind::Failed),
        ] {
            assert_eq!(answered(status, "BackupService.9900").kind, kind, "{status}");
        }
        let failure = answered(400, "BackupService.6114");
        assert_eq!(failure.code.as_deref(), Some("BackupService.6114"));
        assert_eq!(failure.request_id.as_deref(), Some("r"));
        assert!(failure.next.as_ref().unwrap().contains("cbr vault update"));
    }
}

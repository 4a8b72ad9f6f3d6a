//! What a failed request means. The one place that decides what may be believed.

/// Why a request failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    /// For people: status, code and message of the store, or what the network said.
    pub(super) text: String,
}

/// The meanings a failure can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FailureKind {
    /// The store says that there is no such object.
    Absent,
    /// The store says that there is one already (412).
    Existed,
    /// Another request for the same object is under way (409); this one changed nothing.
    Conflict,
    /// The object ends before the range that was asked for.
    OutOfRange,
    /// There is no room.
    NoSpace,
    /// It will not work however often it is tried.
    Refused,
    /// The store is too busy (503, 429).
    Busy,
    /// An error of the store, a timeout, a cut connection, an answer that cannot be right.
    Broken,
    /// The request was never sent: no connection.
    NotSent,
}

impl FailureKind {
    pub(super) const fn may_be_retried(self) -> bool {
        matches!(self, Self::Conflict | Self::Busy | Self::Broken | Self::NotSent)
    }

    /// Whether a change may have taken effect although it failed. A 503 is no proof that it did not;
    /// a 409 is: the store chose another request of the same moment.
    pub(super) const fn may_have_happened(self) -> bool {
        matches!(self, Self::Busy | Self::Broken)
    }
}

/// What was seen of an answer.
#[derive(Clone, Default, Debug)]
pub(super) struct Seen {
    /// The status, if there was an answer.
    pub(super) status: Option<u16>,
    /// `<Code>` and `<Message>` of an answer that is an error.
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// There was no connection to send the request over.
    pub(super) is_not_sent: bool,
    /// What is wrong with an answer that says it is a success.
    pub(super) implausible: Option<String>,
}

impl Seen {
    /// The meaning of a failed request; `error` is what the client made of it.
    pub(super) fn failure(&self, error: &dyn std::fmt::Display) -> Failure {
        let text = match (&self.implausible, self.status) {
            (Some(what), _) => what.clone(),
            (None, Some(status)) if !(200..300).contains(&status) => {
                let code = self.code.as_deref().unwrap_or("without a code");
                let message = self.message.as_deref().unwrap_or_default();
                format!("the store answers {status} {code} {message}").trim_end().to_owned()
            }
            (None, _) => shorten(&error.to_string()),
        };
        Failure { kind: self.kind(), text }
    }

    fn kind(&self) -> FailureKind {
        if self.is_not_sent {
            return FailureKind::NotSent;
        }
        let code = self.code.as_deref().unwrap_or_default();
        match self.status {
            // Not: a missing bucket, or a page of some proxy.
            Some(404) if code == "NoSuchKey" => FailureKind::Absent,
            Some(412 | 304) => FailureKind::Existed,
            Some(409) => FailureKind::Conflict,
            Some(416) => FailureKind::OutOfRange,
            Some(507) => FailureKind::NoSpace,
            Some(_) if code.contains("QuotaExceeded") || code.contains("StorageFull") => {
                FailureKind::NoSpace
            }
            Some(429 | 503) => FailureKind::Busy,
            Some(_) if code == "SlowDown" => FailureKind::Busy,
            Some(408 | 500..) => FailureKind::Broken,
            // The store threw a request away whose bytes did not arrive as they were sent.
            Some(400) if matches!(code, "BadDigest" | "IncompleteBody" | "RequestTimeout") => {
                FailureKind::Broken
            }
            Some(300..) => FailureKind::Refused,
            _ => FailureKind::Broken,
        }
    }
}

/// Enough of a text of others for a message.
pub(super) fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    text.chars().filter(|c| !c.is_control()).take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, code: &str) -> FailureKind {
        let code = Some(code.to_owned()).filter(|code| !code.is_empty());
        Seen { status: Some(status), code, ..Seen::default() }.failure(&"").kind
    }

    /// P21: absence is what the store says in so many words, and nothing else.
    #[test]
    fn only_a_404_that_names_the_key_is_absence() {
        assert_eq!(kind(404, "NoSuchKey"), FailureKind::Absent);
        for (status, code) in
            [(404, ""), (404, "NoSuchBucket"), (503, "NoSuchKey"), (500, ""), (403, "AccessDenied")]
        {
            assert_ne!(kind(status, code), FailureKind::Absent, "{status} {code}");
        }
    }

    /// P21.
    #[test]
    fn what_may_have_happened_is_never_a_plain_failure() {
        for (status, code) in [(500, "InternalError"), (502, ""), (503, "SlowDown"), (504, "")] {
            let kind = kind(status, code);
            assert!(kind.may_have_happened() && kind.may_be_retried(), "{status}");
        }
        let cut = Seen::default().failure(&"connection reset").kind;
        assert!(cut.may_have_happened() && cut.may_be_retried());
        let conflict = kind(409, "ConditionalRequestConflict");
        assert!(!conflict.may_have_happened() && conflict.may_be_retried());
        let unsent = Seen { is_not_sent: true, ..Seen::default() }.failure(&"refused").kind;
        assert!(!unsent.may_have_happened() && unsent.may_be_retried());
        for status in [301, 307, 400, 401, 403, 405] {
            assert_eq!(kind(status, ""), FailureKind::Refused, "{status}");
        }
    }
}

//! Topics, their subscriptions, and what is sent to them (MON-07).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{DeliveryId, ProjectId, SubscriptionId, TopicId};
use crate::operation::words;

/// Most topics of a project.
pub const TOPICS_MAX: usize = 100;
/// Most subscriptions of a topic.
pub const SUBSCRIPTIONS_MAX: usize = 100;

words! {
    /// How a subscription is reached.
    Protocol {
        /// Mail.
        Email = "email",
        /// A POST without TLS.
        Http = "http",
        /// A POST with TLS.
        Https = "https",
        /// A text message, through a gateway of the operator.
        Sms = "sms",
    }
}

impl Protocol {
    /// Whom an address reaches, however it is written: capitals, what follows a `+` in a mail address, and
    /// the query of a URL make no other address.
    pub fn reaches(self, endpoint: &str) -> String {
        let endpoint = endpoint.to_lowercase();
        match self {
            Self::Email => match endpoint.rsplit_once('@') {
                Some((local, host)) => {
                    let name = local.split('+').next().unwrap_or_default();
                    format!("{name}@{}", host.trim_end_matches('.'))
                }
                None => endpoint,
            },
            Self::Http | Self::Https => {
                let rest = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, rest)| rest);
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
                let host = host.trim_end_matches(":443").trim_end_matches(":80");
                let steps: Vec<_> = path.split('/').filter(|step| !step.is_empty()).collect();
                format!("{}/{}", host.trim_end_matches('.'), steps.join("/"))
            }
            Self::Sms => endpoint.chars().filter(char::is_ascii_digit).collect(),
        }
    }
}

/// Something that messages are sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its project.
    pub project: ProjectId,
    /// Its name; one of a kind in the project.
    pub name: String,
    /// What mails name as their sender.
    pub display_name: String,
    /// Whether notices about the project's vaults go here (MON-10).
    pub takes_notices: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Somebody who is told what is sent to a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Its project.
    pub project: ProjectId,
    /// The topic.
    pub topic: TopicId,
    /// How it is reached.
    pub protocol: Protocol,
    /// Where.
    pub endpoint: String,
    /// Free text.
    pub remark: String,
    /// What its signatures and its confirmation are made of, sealed.
    pub sealed_root: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the one at its end agreed; nothing is sent before.
    pub confirmed_at: Option<Timestamp>,
}

/// A text in both languages.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Text {
    /// In one line.
    pub subject: String,
    /// In full.
    pub body: String,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// What kind of message: `alarm`, `recovery`, `notice`, `confirmation` or `published`.
    pub kind: String,
    /// In English.
    pub en: Text,
    /// In Chinese; none: the English text is what somebody wrote.
    pub zh: Option<Text>,
    /// Particulars for programs.
    pub particulars: std::collections::BTreeMap<String, String>,
}

words! {
    /// How far a message to one subscription is.
    DeliveryStatus {
        /// It will be sent, or sent again.
        Waiting = "waiting",
        /// The other side has taken it.
        Sent = "sent",
        /// Nobody takes it; somebody has to look.
        Dead = "dead",
    }
}

/// A message to one subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Its id; the receiver can tell repetitions by it.
    pub id: DeliveryId,
    /// Its project.
    pub project: ProjectId,
    /// The topic's name then.
    pub topic_name: String,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// How it is reached.
    pub protocol: Protocol,
    /// Where.
    pub endpoint: String,
    /// What is said.
    pub message: Message,
    /// Whether it asks for agreement.
    pub is_confirmation: bool,
    /// How far it is.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was not taken the last time.
    pub error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was sent or given up.
    pub ended_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MON-07: who is asked for agreement is counted by whom it reaches.
    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let same = [
            (Protocol::Email, "a.b@example.org", "A.B+cbr@Example.ORG"),
            (Protocol::Https, "https://example.org/hook", "https://EXAMPLE.org:443//hook/?x=1#y"),
            (Protocol::Https, "https://example.org", "https://me@example.org./?a"),
            (Protocol::Http, "http://example.org/", "http://example.org:80"),
            (Protocol::Sms, "+86 138-0000", "+861380000"),
        ];
        for (protocol, one, other) in same {
            assert_eq!(protocol.reaches(one), protocol.reaches(other), "{one} {other}");
        }
        let others = [
            (Protocol::Email, "a@example.org", "b@example.org"),
            (Protocol::Email, "a@example.org", "a@example.com"),
            (Protocol::Https, "https://example.org/a", "https://example.org/b"),
            (Protocol::Https, "https://example.org:8443/a", "https://example.org/a"),
        ];
        for (protocol, one, other) in others {
            assert_ne!(protocol.reaches(one), protocol.reaches(other), "{one} {other}");
        }
    }
}

//! What topics are asked for.

use cbr_model::query::Listing;
use cbr_model::topic::{Protocol, Topic};

/// What shall be different about a topic.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicChange {
    /// What mails name as their sender.
    pub display_name: Option<String>,
    /// Whether notices about the project's vaults go here.
    pub takes_notices: Option<bool>,
}

/// Somebody who shall be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSubscription {
    /// How.
    pub protocol: Protocol,
    /// Where.
    pub endpoint: String,
    /// Free text.
    pub remark: String,
}

/// A page of topics.
pub type TopicList = Listing<Topic>;

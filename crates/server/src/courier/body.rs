//! What a letter says, in the forms in which it is sent.

use cbr_service::topics::Letter;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

/// Where the one at the end agrees.
fn confirm_url(letter: &Letter, public_url: &str) -> Option<String> {
    let confirmation = letter.confirmation.as_ref()?;
    let (id, token) = (letter.subscription, confirmation.token.as_str());
    Some(format!("{public_url}/smn/subscriptions/{id}/confirm?token={token}"))
}

/// The subject in all its languages.
pub(super) fn subject(letter: &Letter) -> String {
    match &letter.message.zh {
        Some(zh) => format!("{} / {}", letter.message.en.subject, zh.subject),
        None => letter.message.en.subject.clone(),
    }
}

/// The text in all its languages.
pub(super) fn text(letter: &Letter, public_url: &str) -> String {
    let mut text = letter.message.en.body.clone();
    if let Some(zh) = &letter.message.zh {
        text = format!("{text}\n\n{}", zh.body);
    }
    if let Some(url) = confirm_url(letter, public_url) {
        text = format!("{text}\n\nConfirm / 确认订阅:\n{url}");
    }
    format!("{text}\n\n-- \ncbr, topic {}", letter.topic_name)
}

/// The body of a webhook.
pub(super) fn webhook(letter: &Letter, public_url: &str) -> Value {
    let at = DateTime::from_timestamp_micros(letter.at.0).unwrap_or_default();
    let message = &letter.message;
    let kind =
        if letter.confirmation.is_some() { "SubscriptionConfirmation" } else { "Notification" };
    let mut body = json!({
        "type": kind,
        "message_id": letter.id,
        "subscription_id": letter.subscription,
        "topic_name": letter.topic_name,
        "timestamp": at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "kind": message.kind,
        "subject": message.en.subject,
        "message": message.en.body,
        "particulars": message.particulars,
    });
    if let Some(zh) = &message.zh {
        body["subject_zh"] = json!(zh.subject);
        body["message_zh"] = json!(zh.body);
    }
    if let Some(url) = confirm_url(letter, public_url) {
        // To agree, POST there; nothing else is needed.
        body["confirm_url"] = json!(url);
    }
    body
}

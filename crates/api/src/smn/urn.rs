//! Names of topics and subscriptions on the wire: `urn:smn:<region>:<project>:<topic>[:<id>]`.

use cbr_model::topic::{Subscription, Topic};
use cbr_model::{ProjectId, SubscriptionId};

use crate::error::{ApiError, ErrorCode, sentence};

/// The name of a topic.
pub(crate) fn of_topic(topic: &Topic, region: &str) -> String {
    format!("urn:smn:{region}:{}:{}", topic.project, topic.name)
}

/// The name of a subscription to a topic of this name.
pub(super) fn of_subscription(one: &Subscription, topic: &str, region: &str) -> String {
    format!("urn:smn:{region}:{}:{topic}:{}", one.project, one.id.as_uuid().simple())
}

/// The topic that is meant, in this project.
pub(crate) fn topic(text: &str, project: ProjectId) -> Result<String, ApiError> {
    match parts(text, project).as_deref() {
        Some([topic]) => Ok((*topic).to_owned()),
        _ => Err(absent("topic", text)),
    }
}

/// The subscription that is meant, in this project.
pub(super) fn subscription(text: &str, project: ProjectId) -> Result<SubscriptionId, ApiError> {
    let id = match parts(text, project).as_deref() {
        Some([_, id]) => id.parse().ok(),
        _ => None,
    };
    id.ok_or_else(|| absent("subscription", text))
}

/// What stands behind the project, if it is this one.
fn parts(text: &str, project: ProjectId) -> Option<Vec<&str>> {
    let rest = text.strip_prefix("urn:smn:")?;
    let mut parts = rest.split(':').skip(1);
    let is_ours = parts.next()?.parse::<ProjectId>().is_ok_and(|named| named == project);
    is_ours.then(|| parts.collect())
}

fn absent(noun: &str, text: &str) -> ApiError {
    let shown: String = text.chars().take(128).filter(|c| !c.is_control()).collect();
    ApiError::new(ErrorCode::TopicNotFound, sentence(&format!("{noun} {shown} does not exist")))
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    #[test]
    fn names_of_other_projects_are_names_of_nothing() {
        let random = SeededRandom::new(1);
        let (own, other) = (ProjectId::random(&random), ProjectId::random(&random));
        let urn = format!("urn:smn:local-1:{own}:ops");
        assert_eq!(topic(&urn, own).unwrap(), "ops");
        assert_eq!(topic(&urn, other).unwrap_err().status(), 404);
        for bad in ["ops", "urn:smn:x", "urn:smn:a:b:c", ""] {
            assert_eq!(topic(bad, own).unwrap_err().status(), 404, "{bad}");
        }
        let id = SubscriptionId::random(&random);
        let text = format!("{urn}:{}", id.as_uuid().simple());
        assert_eq!(subscription(&text, own).unwrap(), id);
        assert_eq!(subscription(&urn, own).unwrap_err().status(), 404);
        assert_eq!(topic(&text, own).unwrap_err().status(), 404);
    }
}

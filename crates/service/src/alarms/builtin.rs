//! Templates that every project has (MON-09).

use cbr_model::alarm::{AlarmTemplate, Comparison, Condition, What};
use cbr_model::event::EventKind;
use cbr_model::metric::{Filter, Metric};
use cbr_model::{AlarmTemplateId, Timestamp};
use uuid::Uuid;

const USAGE: u128 = 0xcb0a_0000_0000_0000_0000_0000_0000_0001;
const EVENTS: u128 = 0xcb0a_0000_0000_0000_0000_0000_0000_0002;

/// All of them. Ids never change.
pub(super) fn templates() -> Vec<AlarmTemplate> {
    let usage = |threshold, level| Condition {
        what: What::Metric(Metric::VaultUtil),
        period: 1,
        filter: Filter::Average,
        comparison: Comparison::AtLeast,
        threshold,
        count: 1,
        suppress: 86_400,
        level,
    };
    let event = |(kind, level)| Condition {
        what: What::Event(kind),
        period: 0,
        filter: Filter::Average,
        comparison: Comparison::AtLeast,
        threshold: 1.0,
        count: 1,
        suppress: 0,
        level,
    };
    let kinds = [
        (EventKind::BackupFailed, 2),
        (EventKind::VaultFull, 1),
        (EventKind::RunMissed, 2),
        (EventKind::DamageFound, 1),
        (EventKind::SuspiciousBackup, 1),
    ];
    vec![
        template(
            USAGE,
            "CBR vault usage",
            "80 and 95 per cent of the capacity",
            [usage(80.0, 2), usage(95.0, 1)].into(),
        ),
        template(EVENTS, "CBR events", "What needs a person", kinds.map(event).into()),
    ]
}

fn template(id: u128, name: &str, description: &str, conditions: Vec<Condition>) -> AlarmTemplate {
    AlarmTemplate {
        id: AlarmTemplateId::from_uuid(Uuid::from_u128(id)),
        project: None,
        name: name.to_owned(),
        description: description.to_owned(),
        conditions,
        created_at: Timestamp(0),
    }
}

/// The built-in template with this id.
pub(super) fn find(id: AlarmTemplateId) -> Option<AlarmTemplate> {
    templates().into_iter().find(|template| template.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MON-09: what everybody can make rules from can be decided.
    #[test]
    fn built_in_templates_are_sound() {
        for template in templates() {
            assert!(!template.conditions.is_empty());
            for condition in &template.conditions {
                condition.check().unwrap();
            }
            assert_eq!(find(template.id), Some(template));
        }
    }
}

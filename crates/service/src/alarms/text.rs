//! What is said about alarms and events, in English and in Chinese.

use std::collections::BTreeMap;

use cbr_model::alarm::{AlarmRule, Condition};
use cbr_model::event::CbrEvent;
use cbr_model::topic::{Message, Text};

use super::watched::Thing;

/// The levels' names in both languages.
const LEVELS: [(&str, &str); 4] =
    [("critical", "紧急"), ("major", "重要"), ("minor", "次要"), ("informational", "提示")];

fn level(level: u8) -> (&'static str, &'static str) {
    LEVELS.get(usize::from(level.saturating_sub(1))).copied().unwrap_or(LEVELS[3])
}

/// What is told about a metric.
pub(super) struct Told<'a> {
    pub(super) rule: &'a AlarmRule,
    pub(super) condition: &'a Condition,
    pub(super) thing: &'a Thing,
    /// What people call it.
    pub(super) name: &'a str,
    /// What decided, oldest first.
    pub(super) values: &'a [Option<f64>],
}

/// An alarm on a metric, or its end.
pub(super) fn of_metric(told: &Told<'_>, is_recovery: bool) -> Message {
    let Told { rule, condition, thing, name, values } = *told;
    let (what, unit) = (condition.what.as_str(), condition.what.unit());
    let (sign, threshold) = (condition.comparison.as_str(), condition.threshold);
    let last = values.iter().rev().find_map(|value| *value);
    let last = last.map_or_else(|| "-".to_owned(), |last| format!("{last:.2}{unit}"));
    let (level_en, level_zh) = level(condition.level);
    let rule_text = format!("{what} {sign} {threshold}{unit}");
    let (kind, title_en, title_zh) = if is_recovery {
        ("recovery", "Alarm over", "告警恢复")
    } else {
        ("alarm", "Alarm", "告警")
    };
    let name_of_rule = &rule.name;
    let (of_en, of_zh, about_en, about_zh) = match thing {
        Thing::Vault(vault) => (
            format!("vault {name}"),
            format!("存储库 {name}"),
            format!("Vault: {name} ({vault})"),
            format!("存储库：{name}（{vault}）"),
        ),
        Thing::Published(_) | Thing::Gone(_) => {
            let namespace = rule.namespace();
            (
                name.to_owned(),
                name.to_owned(),
                format!("Metric of your own: {namespace}, {name}"),
                format!("自定义指标：{namespace}，{name}"),
            )
        }
    };
    let mut particulars = particulars_of(rule, condition);
    match thing {
        Thing::Vault(vault) => {
            particulars.insert("vault_id".into(), vault.to_string());
            particulars.insert("vault_name".into(), name.to_owned());
        }
        Thing::Published(_) | Thing::Gone(_) => {
            particulars.insert("namespace".into(), rule.namespace().to_owned());
            particulars.insert("dimensions".into(), name.to_owned());
        }
    }
    particulars.insert("value".into(), last.clone());
    Message {
        kind: kind.to_owned(),
        en: Text {
            subject: format!("[{level_en}] {title_en}: {name_of_rule}, {of_en}"),
            body: format!(
                "{title_en}: {name_of_rule}\nLevel: {level_en}\n{about_en}\n\
                 Condition: {rule_text}, {} times in a row\nLast value: {last}",
                condition.count
            ),
        },
        zh: Some(Text {
            subject: format!("[{level_zh}] {title_zh}：{name_of_rule}，{of_zh}"),
            body: format!(
                "{title_zh}：{name_of_rule}\n级别：{level_zh}\n{about_zh}\n\
                 条件：{rule_text}，连续 {} 次\n最新值：{last}",
                condition.count
            ),
        }),
        particulars,
    }
}

/// An alarm on an event.
pub(super) fn of_event(rule: &AlarmRule, condition: &Condition, event: &CbrEvent) -> Message {
    let (title_en, title_zh) = event.kind.title();
    let (level_en, level_zh) = level(condition.level);
    let (name, about, detail) = (&rule.name, &event.resource_name, &event.detail);
    let mut particulars = particulars_of(rule, condition);
    particulars.extend(particulars_of_event(event));
    Message {
        kind: "alarm".to_owned(),
        en: Text {
            subject: format!("[{level_en}] {title_en}: {about}"),
            body: format!(
                "{title_en}\nAlarm: {name}\nLevel: {level_en}\nConcerns: {about}\nDetails: {detail}"
            ),
        },
        zh: Some(Text {
            subject: format!("[{level_zh}] {title_zh}：{about}"),
            body: format!(
                "{title_zh}\n告警规则：{name}\n级别：{level_zh}\n对象：{about}\n详情：{detail}"
            ),
        }),
        particulars,
    }
}

/// A notice about a vault (MON-10).
pub(super) fn notice(event: &CbrEvent) -> Message {
    let (title_en, title_zh) = event.kind.title();
    let (about, detail) = (&event.resource_name, &event.detail);
    Message {
        kind: "notice".to_owned(),
        en: Text {
            subject: format!("{title_en}: {about}"),
            body: format!("{title_en}\nVault: {about}\nDetails: {detail}"),
        },
        zh: Some(Text {
            subject: format!("{title_zh}：{about}"),
            body: format!("{title_zh}\n存储库：{about}\n详情：{detail}"),
        }),
        particulars: particulars_of_event(event),
    }
}

fn particulars_of(rule: &AlarmRule, condition: &Condition) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("alarm_name".to_owned(), rule.name.clone()),
        ("metric_name".to_owned(), condition.what.as_str().to_owned()),
        ("level".to_owned(), condition.level.to_string()),
    ])
}

fn particulars_of_event(event: &CbrEvent) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([
        ("event_id".to_owned(), event.id.to_string()),
        ("event".to_owned(), event.kind.as_str().to_owned()),
        ("resource_name".to_owned(), event.resource_name.clone()),
    ]);
    all.extend(event.vault.map(|vault| ("vault_id".to_owned(), vault.to_string())));
    all.extend(event.resource.clone().map(|resource| ("resource_id".to_owned(), resource)));
    all
}

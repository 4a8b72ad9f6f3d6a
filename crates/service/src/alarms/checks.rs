//! What rules and templates are refused for.

use cbr_model::alarm::{ALARM_CONDITIONS_MAX, ALARM_RESOURCES_MAX, Condition, Watched, What};
use cbr_model::custom_metric::CustomMetric;
use cbr_model::metric::NAMESPACE;

use crate::{Error, Result};

/// Whether a rule or a template may be called so (MON-06).
pub(super) fn check_name(name: &str) -> Result<()> {
    let length = name.chars().count();
    let is_bad = |c: char| c.is_control() || "<>&'\"\\/|;".contains(c);
    if length == 0 || length > 128 || name.contains(is_bad) {
        let why = "1 to 128 characters, none of them <>&'\"\\/|; or a control character";
        return Err(Error::invalid("name", why));
    }
    Ok(())
}

/// Whether this may be said about it.
pub(super) fn check_description(text: &str) -> Result<()> {
    if text.chars().count() > 256 || text.contains(['<', '>']) {
        return Err(Error::invalid("description", "at most 256 characters, no < and >"));
    }
    Ok(())
}

/// Whether so many things may be watched (MON-09).
pub(super) fn check_watched(watched: &Watched) -> Result<()> {
    let count = match watched {
        Watched::All => return Ok(()),
        Watched::Vaults(vaults) => vaults.len(),
        Watched::Things(things) => things.len(),
    };
    if !(1..=ALARM_RESOURCES_MAX).contains(&count) {
        let why = format!("1 to {ALARM_RESOURCES_MAX} of them; all there are: type ALL_INSTANCE");
        return Err(Error::invalid("resources", why));
    }
    Ok(())
}

/// Whether what is watched has what the conditions are about.
pub(super) fn check_together(watched: &Watched, conditions: &[Condition]) -> Result<()> {
    let namespace = conditions.first().map_or("", |first| first.what.namespace());
    match watched {
        Watched::All => Ok(()),
        Watched::Vaults(_) if namespace == NAMESPACE => Ok(()),
        Watched::Vaults(_) => {
            let why = format!("vaults publish nothing in {namespace}: name its dimensions");
            Err(Error::invalid("resources", why))
        }
        Watched::Things(_) if namespace == NAMESPACE => {
            Err(Error::invalid("resources", "what is watched are vaults: `instance_id`"))
        }
        Watched::Things(things) => things.iter().try_for_each(|dimensions| {
            // The names of what it publishes were checked with the conditions.
            let name = conditions.first().map_or("", |first| first.what.as_str());
            let metric = CustomMetric::new(namespace.into(), name.into(), dimensions.clone());
            metric.check().map_err(|wrong| Error::invalid(wrong.field, wrong.why))
        }),
    }
}

/// Whether these can be decided, in one rule or template.
pub(super) fn check_conditions(conditions: &[Condition]) -> Result<()> {
    if conditions.is_empty() || conditions.len() > ALARM_CONDITIONS_MAX {
        let why = format!("1 to {ALARM_CONDITIONS_MAX} conditions");
        return Err(Error::invalid("policies", why));
    }
    for condition in conditions {
        condition.check().map_err(|invalid| Error::invalid(invalid.key, invalid.why))?;
    }
    let on_events = conditions.iter().filter(|one| matches!(one.what, What::Event(_))).count();
    if on_events != 0 && on_events != conditions.len() {
        let why = "a rule is about metrics or about events, not about both";
        return Err(Error::invalid("policies", why));
    }
    if conditions.windows(2).any(|two| two[0].what.namespace() != two[1].what.namespace()) {
        return Err(Error::invalid("policies", "all of them are about one namespace"));
    }
    Ok(())
}

/// Whether so many may be named at once.
pub(super) fn check_several<T>(ids: &[T]) -> Result<()> {
    if ids.is_empty() || ids.len() > 100 {
        return Err(Error::invalid("ids", "1 to 100 of them"));
    }
    Ok(())
}

//! What a rule watches, one by one, and the values that decide about it.

use cbr_db::{DbError, KnownState, Tx};
use cbr_model::alarm::{
    AlarmRule, AlarmState, Condition, Watched, What, needed, needed_of_published, recent,
    recent_published,
};
use cbr_model::custom_metric::{CustomMetric, MetricDimension};
use cbr_model::{ProjectId, VaultId};

use crate::Result;
use crate::error::db;
use crate::monitoring::all_vaults;

/// Most rows that one decision reads of a vault: five days of quarters.
const ROWS_MAX: u32 = 500;
/// Most values that one decision reads of a published metric: as many as are kept.
const VALUES_MAX: u32 = 11_000;

/// One thing that a condition is decided for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Thing {
    Vault(VaultId),
    Published(CustomMetric),
    /// A published metric of this name that had values and has none left.
    Gone(String),
}

impl Thing {
    /// What its state is kept under.
    pub(super) fn resource(&self) -> String {
        match self {
            Self::Vault(vault) => vault.to_string(),
            Self::Published(metric) => metric.thing(),
            Self::Gone(name) => name.clone(),
        }
    }

    /// By what it differs from others of its name.
    pub(super) fn dimensions(&self) -> Vec<MetricDimension> {
        match self {
            Self::Published(metric) => metric.dimensions().to_vec(),
            Self::Vault(_) | Self::Gone(_) => Vec::new(),
        }
    }

    /// What people call it.
    pub(super) async fn name(
        &self,
        tx: &mut Tx,
        project: ProjectId,
    ) -> std::result::Result<String, DbError> {
        let Self::Vault(vault) = self else { return Ok(self.resource()) };
        let found = tx.vaults().find(project, *vault).await?;
        Ok(found.map_or_else(|| vault.to_string(), |vault| vault.name.to_string()))
    }

    /// The values that decide about it in a slot, oldest first.
    pub(super) async fn values(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        condition: &Condition,
        slot: i64,
    ) -> std::result::Result<Vec<Option<f64>>, DbError> {
        match self {
            Self::Vault(vault) => {
                let (width, from, to) = needed(condition, slot);
                let range = (from, to);
                let points =
                    tx.vault_points().list((project, *vault), width, range, ROWS_MAX).await?;
                Ok(recent(condition, &points, slot))
            }
            Self::Published(metric) => {
                let range = needed_of_published(condition, slot);
                let values = tx.custom_points().list(project, metric, range, VALUES_MAX).await?;
                Ok(recent_published(condition, &values, slot))
            }
            Self::Gone(_) => Ok(vec![None; condition.count as usize]),
        }
    }
}

/// The things that each condition of a rule is decided for, in the order of the conditions: those that it
/// watches, and those that are gone and of which it still knows something else.
pub(super) async fn things(
    tx: &mut Tx,
    rule: &AlarmRule,
    known: &[KnownState],
) -> Result<Vec<Vec<Thing>>> {
    let is_on_vaults = rule.conditions.iter().any(|one| matches!(one.what, What::Metric(_)));
    let vaults = match &rule.watched {
        Watched::Vaults(vaults) => vaults.clone(),
        Watched::All if is_on_vaults => all_vaults(tx, rule.project).await?,
        Watched::All | Watched::Things(_) => Vec::new(),
    };
    let published = match &rule.watched {
        Watched::All if !is_on_vaults => {
            let listed = tx.custom_points().metrics(rule.project, Some(rule.namespace())).await;
            listed.map_err(db("listing published metrics"))?
        }
        _ => Vec::new(),
    };
    let of = |(place, condition): (usize, &Condition)| {
        let mut things: Vec<Thing> = match &condition.what {
            What::Metric(_) => vaults.iter().copied().map(Thing::Vault).collect(),
            What::Published { namespace, name, .. } => match &rule.watched {
                Watched::Things(things) => {
                    let metric = |one: &Vec<MetricDimension>| {
                        CustomMetric::new(namespace.clone(), name.clone(), one.clone())
                    };
                    things.iter().map(metric).map(Thing::Published).collect()
                }
                Watched::Vaults(_) | Watched::All => {
                    let own = published.iter().filter(|one| one.metric.name == *name);
                    own.map(|one| Thing::Published(one.metric.clone())).collect()
                }
            },
            What::Event(_) => Vec::new(),
        };
        let gone = gone(place, condition, known, &things);
        things.extend(gone);
        things
    };
    Ok(rule.conditions.iter().enumerate().map(of).collect())
}

/// What a condition knew something of and is not there any more: nothing is known of it from now on.
fn gone(place: usize, condition: &Condition, known: &[KnownState], things: &[Thing]) -> Vec<Thing> {
    let there: std::collections::HashSet<String> = things.iter().map(Thing::resource).collect();
    let is_open = |one: &&KnownState| {
        one.condition == place
            && one.state != AlarmState::InsufficientData
            && !there.contains(&one.resource)
    };
    let thing = |one: &KnownState| match &condition.what {
        What::Metric(_) => one.resource.parse().ok().map(Thing::Vault),
        What::Published { .. } => Some(Thing::Gone(one.resource.clone())),
        What::Event(_) => None,
    };
    known.iter().filter(is_open).filter_map(thing).collect()
}

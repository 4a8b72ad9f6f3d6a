//! Carries one message to one subscription, again and again until it is taken or given up.
//!
//! ```text
//!   Send ──▶ Done{sent}          taken
//!    │ ▲
//!    └─┘ longer and longer       may be taken later
//!    └──▶ Done{dead}             never, or not in ten hours: somebody has to look
//! ```

use std::time::Duration;

use async_trait::async_trait;
use cbr_db::{DbError, Tx};
use cbr_model::DeliveryId;
use cbr_model::topic::{Delivery, DeliveryStatus, Subscription, Topic};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::courier::{Confirmation, Letter, Undelivered};
use super::secrets::Secrets;
use crate::core::Core;
use crate::failure::Code;
use crate::tasks::Trouble;

/// Seconds before each further attempt: ten hours in all.
const PAUSES: [u64; 8] = [2, 10, 60, 300, 900, 3600, 10_800, 21_600];

/// The stages of a delivery.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum DeliverTask {
    /// Carry it; it was tried so often before.
    Send { delivery: DeliveryId, attempts: u32 },
    /// Over: taken, or given up for a reason.
    Done { delivery: DeliveryId, attempts: u32, error: Option<String> },
}

#[async_trait]
impl Task for DeliverTask {
    const KIND: &'static str = "deliver";
    type Ctx = Core;

    async fn step(self, core: &Core, _: &TaskContext) -> Result<Self, StepError<Self>> {
        let Self::Send { delivery, attempts } = self else { return Ok(self) };
        let stage = self.clone();
        let letter = match letter(core, delivery).await {
            Ok(Ok(letter)) => letter,
            Ok(Err(gone)) => {
                return Ok(Self::Done { delivery, attempts, error: Some(gone.to_owned()) });
            }
            Err(trouble) => return Err(trouble.at(stage)),
        };
        let tried = attempts + 1;
        let carried = core.courier.carry(&letter).await;
        count(&letter, &carried);
        let (reason, pause) = match carried {
            Ok(()) => return Ok(Self::Done { delivery, attempts: tried, error: None }),
            Err(Undelivered::Never(reason)) => (reason, None),
            Err(Undelivered::Later(reason)) => (reason, PAUSES.get(attempts as usize)),
        };
        tracing::warn!(%delivery, attempts = tried, reason, "a message was not taken");
        let Some(pause) = pause else {
            return Ok(Self::Done { delivery, attempts: tried, error: Some(reason) });
        };
        match note(core, delivery, tried, &reason).await {
            Ok(()) => Err(StepError::Wait {
                stage: Self::Send { delivery, attempts: tried },
                after: Duration::from_secs(*pause),
            }),
            Err(error) => Err(Trouble::from(error).at(stage)),
        }
    }

    async fn enter(&self, _: &Core, _: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        let Self::Done { delivery, attempts, error } = self else { return Ok(()) };
        let status = match error {
            None => DeliveryStatus::Sent,
            Some(_) => DeliveryStatus::Dead,
        };
        tx.deliveries().note(*delivery, *attempts, status, error.as_ref()).await
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Send { delivery, attempts } => {
                Self::Done { delivery, attempts, error: Some(failure.error.message) }
            }
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Send { .. } => None,
            Self::Done { error: None, .. } => Some(Outcome::Success),
            Self::Done { error: Some(reason), .. } => {
                Some(Outcome::Failed(Failure::failed(Code::Unknown.as_str(), reason.clone())))
            }
        }
    }
}

/// The message with all it needs; in the inner result, why it goes to nobody any more.
async fn letter(core: &Core, id: DeliveryId) -> Result<Result<Letter, &'static str>, Trouble> {
    let mut tx = core.db.read().await?;
    let Some(delivery) = tx.deliveries().find(id).await? else { return Ok(Err("it is gone")) };
    let Some(subscription) = tx.topics().subscription(delivery.subscription).await? else {
        return Ok(Err("the subscription was removed"));
    };
    let topic = tx.topics().by_id(subscription.project, subscription.topic).await?;
    let Some(topic) = topic else { return Ok(Err("the topic was removed")) };
    if delivery.is_confirmation && subscription.confirmed_at.is_some() {
        return Ok(Err("the subscription is confirmed already"));
    }
    Ok(Ok(filled(core, delivery, &subscription, topic)?))
}

fn filled(
    core: &Core,
    delivery: Delivery,
    subscription: &Subscription,
    topic: Topic,
) -> Result<Letter, Trouble> {
    let secrets = Secrets::open(&core.sealing, subscription.id, &subscription.sealed_root)?;
    let is_confirmation = delivery.is_confirmation;
    Ok(Letter {
        id: delivery.id,
        subscription: subscription.id,
        protocol: delivery.protocol,
        endpoint: delivery.endpoint,
        topic_name: delivery.topic_name,
        sender: topic.display_name,
        message: delivery.message,
        at: delivery.created_at,
        secret: secrets.signing(),
        confirmation: is_confirmation.then(|| Confirmation { token: secrets.token() }),
    })
}

async fn note(core: &Core, id: DeliveryId, tried: u32, reason: &String) -> Result<(), DbError> {
    let mut tx = core.db.begin().await?;
    tx.deliveries().note(id, tried, DeliveryStatus::Waiting, Some(reason)).await?;
    tx.commit().await
}

fn count(letter: &Letter, carried: &Result<(), Undelivered>) {
    let result = match carried {
        Ok(()) => "taken",
        Err(Undelivered::Later(_)) => "later",
        Err(Undelivered::Never(_)) => "never",
    };
    let labels = [("protocol", letter.protocol.as_str()), ("result", result)];
    metrics::counter!("cbr_deliveries_total", &labels).increment(1);
}

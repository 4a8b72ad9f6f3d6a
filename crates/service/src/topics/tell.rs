//! Telling topics something, in the transaction in which it becomes true.

use std::collections::HashSet;

use cbr_db::{DbError, Tx};
use cbr_model::topic::{Delivery, DeliveryStatus, Message, Subscription};
use cbr_model::{DeliveryId, ProjectId, TaskId, TopicId};

use super::deliver::DeliverTask;
use crate::core::Core;

/// Who was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    /// Subscriptions that the message goes to.
    pub(crate) subscriptions: u32,
    /// Topics that are gone.
    pub(crate) missing: u32,
}

/// Sends a message to every confirmed subscription of these topics; who has several of them gets it once.
pub(crate) async fn tell(
    core: &Core,
    tx: &mut Tx,
    project: ProjectId,
    topics: &[TopicId],
    message: &Message,
) -> Result<Told, DbError> {
    let mut told = Told::default();
    let (mut seen, mut reached) = (Vec::new(), HashSet::new());
    for id in topics {
        if seen.contains(id) {
            continue;
        }
        seen.push(*id);
        let Some(topic) = tx.topics().by_id(project, *id).await? else {
            told.missing += 1;
            continue;
        };
        for subscription in tx.topics().subscriptions(topic.id).await? {
            let whom = (subscription.protocol.as_str(), subscription.endpoint.clone());
            if subscription.confirmed_at.is_some() && reached.insert(whom) {
                enqueue(core, tx, (&topic.name, &subscription), message.clone(), false).await?;
                told.subscriptions += 1;
            }
        }
    }
    Ok(told)
}

/// Adds a delivery and the task that makes it.
pub(super) async fn enqueue(
    core: &Core,
    tx: &mut Tx,
    (topic_name, subscription): (&str, &Subscription),
    message: Message,
    is_confirmation: bool,
) -> Result<(), DbError> {
    let delivery = Delivery {
        id: DeliveryId::random(&*core.random),
        project: subscription.project,
        topic_name: topic_name.to_owned(),
        subscription: subscription.id,
        protocol: subscription.protocol,
        endpoint: subscription.endpoint.clone(),
        message,
        is_confirmation,
        status: DeliveryStatus::Waiting,
        attempts: 0,
        error: None,
        created_at: tx.now(),
        ended_at: None,
    };
    tx.deliveries().insert(&delivery).await?;
    send(core, tx, &delivery).await
}

/// Adds the task that makes a delivery.
pub(super) async fn send(core: &Core, tx: &mut Tx, delivery: &Delivery) -> Result<(), DbError> {
    let first = DeliverTask::Send { delivery: delivery.id, attempts: 0 };
    let task = cbr_task::new_task(TaskId::random(&*core.random), delivery.project, &first)
        .expect("the stage consists of texts and numbers, which are JSON");
    tx.tasks().insert(&task).await
}

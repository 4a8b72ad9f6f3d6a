//! Use cases of topics.

use std::sync::Arc;

use cbr_db::{DbError, Tx};
use cbr_model::audit::Event;
use cbr_model::query::{Listing, Page};
use cbr_model::topic::{
    Delivery, DeliveryStatus, Message, Protocol, SUBSCRIPTIONS_MAX, Subscription, TOPICS_MAX, Text,
    Topic,
};
use cbr_model::{DeliveryId, ProjectId, SubscriptionId, TopicId};
use zeroize::Zeroizing;

use super::error::TopicError;
use super::requests::{NewSubscription, TopicChange, TopicList};
use super::secrets::{Secrets, new_root};
use super::tell::{enqueue, send, tell};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::{Access, Error, Result};

/// An address is asked for agreement so often a day, whoever wants it to be.
const ASKED_MAX: u64 = 5;
const DAY_SECONDS: i64 = 86_400;
/// How long somebody can agree.
const CONFIRM_SECONDS: i64 = 3 * DAY_SECONDS;
/// Most topics of a project that take notices: each of them is told in one transaction.
const NOTICES_MAX: usize = 10;
/// Longest text that somebody publishes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Use cases of topics.
#[derive(Debug)]
pub struct Topics {
    core: Arc<Core>,
}

impl Topics {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Makes a topic.
    pub async fn create(&self, access: &Access, name: &str, display_name: &str) -> Result<Topic> {
        let doing = "creating a topic";
        check_name(name)?;
        check_display_name(display_name)?;
        let mut tx = self.core.change(access, doing).await?;
        let page = Page { limit: 1, ..Page::default() };
        let known = tx.topics().list(access.project(), None, &page).await.map_err(db(doing))?;
        if known.total >= TOPICS_MAX as u64 {
            return Err(TopicError::TooMany { noun: "topics", limit: TOPICS_MAX }.into());
        }
        let topic = Topic {
            id: TopicId::random(&*self.core.random),
            project: access.project(),
            name: name.to_owned(),
            display_name: display_name.to_owned(),
            takes_notices: false,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        tx.topics().insert(&topic).await.map_err(taken("topic", name, doing))?;
        tx.commit(Subject::new(topic.id, name)).await?;
        Ok(topic)
    }

    /// Lists topics, newest first; those whose name contains a text.
    pub async fn list(
        &self,
        access: &Access,
        name: Option<&String>,
        page: Page,
    ) -> Result<TopicList> {
        let mut tx = self.core.db.read().await.map_err(db("listing topics"))?;
        tx.topics().list(access.project(), name, &page).await.map_err(db("listing topics"))
    }

    /// One topic.
    pub async fn show(&self, access: &Access, name: &str) -> Result<Topic> {
        let mut tx = self.core.db.read().await.map_err(db("reading a topic"))?;
        existing(&mut tx, access.project(), name).await
    }

    /// The names of topics by their ids; those that are gone are left out.
    pub async fn names(&self, access: &Access, ids: &[TopicId]) -> Result<Vec<(TopicId, String)>> {
        let mut tx = self.core.db.read().await.map_err(db("reading topics"))?;
        let mut names = Vec::with_capacity(ids.len());
        for id in ids {
            let topic = tx.topics().by_id(access.project(), *id).await;
            names.extend(topic.map_err(db("reading topics"))?.map(|topic| (topic.id, topic.name)));
        }
        Ok(names)
    }

    /// Changes what `change` names.
    pub async fn update(&self, access: &Access, name: &str, change: TopicChange) -> Result<Topic> {
        let doing = "changing a topic";
        let mut tx = self.core.change(access, doing).await?;
        let mut topic = existing(&mut tx, access.project(), name).await?;
        if let Some(display_name) = change.display_name {
            check_display_name(&display_name)?;
            topic.display_name = display_name;
        }
        if change.takes_notices == Some(true) && !topic.takes_notices {
            let others = tx.topics().for_notices(access.project()).await.map_err(db(doing))?;
            if others.len() >= NOTICES_MAX {
                let noun = "topics that take notices";
                return Err(TopicError::TooMany { noun, limit: NOTICES_MAX }.into());
            }
        }
        topic.takes_notices = change.takes_notices.unwrap_or(topic.takes_notices);
        tx.topics().update(&topic).await.map_err(db(doing))?;
        let topic = existing(&mut tx, access.project(), name).await?;
        tx.commit(Subject::new(topic.id, name)).await?;
        Ok(topic)
    }

    /// Removes a topic with its subscriptions.
    pub async fn delete(&self, access: &Access, name: &str) -> Result<()> {
        let doing = "deleting a topic";
        let mut tx = self.core.change(access, doing).await?;
        let topic = existing(&mut tx, access.project(), name).await?;
        tx.topics().delete(access.project(), topic.id).await.map_err(db(doing))?;
        tx.commit(Subject::new(topic.id, name)).await
    }

    /// Sends a text that somebody wrote; says to how many subscriptions.
    pub async fn publish(&self, access: &Access, name: &str, text: Text) -> Result<u32> {
        let doing = "publishing a message";
        if text.body.is_empty() || text.body.len() > TEXT_BYTES_MAX {
            return Err(Error::invalid("message", format!("1 to {TEXT_BYTES_MAX} bytes")));
        }
        if text.subject.len() > 512 || text.subject.contains(char::is_control) {
            return Err(Error::invalid("subject", "one line of at most 512 bytes"));
        }
        let mut tx = self.core.change(access, doing).await?;
        let topic = existing(&mut tx, access.project(), name).await?;
        let message =
            Message { kind: "published".to_owned(), en: text, zh: None, particulars: [].into() };
        let told = tell(&self.core, &mut tx, access.project(), &[topic.id], &message).await;
        let told = told.map_err(db(doing))?;
        tx.commit(Subject::new(topic.id, name)).await?;
        self.core.wake();
        Ok(told.subscriptions)
    }

    // --- subscriptions

    /// Asks somebody to agree to get what is sent to a topic. Gives the subscription, and the secret
    /// that its messages are signed with.
    pub async fn subscribe(
        &self,
        access: &Access,
        name: &str,
        wanted: NewSubscription,
    ) -> Result<(Subscription, Zeroizing<String>)> {
        let doing = "adding a subscription";
        let NewSubscription { protocol, endpoint, remark } = wanted;
        self.check_endpoint(protocol, &endpoint)?;
        if remark.chars().count() > 128 {
            return Err(Error::invalid("remark", "at most 128 characters"));
        }
        let mut tx = self.core.change(access, doing).await?;
        let topic = existing(&mut tx, access.project(), name).await?;
        let known = tx.topics().subscriptions(topic.id).await.map_err(db(doing))?;
        if known.len() >= SUBSCRIPTIONS_MAX {
            let (noun, limit) = ("subscriptions", SUBSCRIPTIONS_MAX);
            return Err(TopicError::TooMany { noun, limit }.into());
        }
        let since = tx.now().plus_seconds(-DAY_SECONDS);
        let reached = protocol.reaches(&endpoint);
        let asked = tx.deliveries().confirmations(&reached, since).await.map_err(db(doing))?;
        if asked >= ASKED_MAX {
            return Err(TopicError::AskedOften(endpoint).into());
        }
        let id = SubscriptionId::random(&*self.core.random);
        let subscription = Subscription {
            id,
            project: access.project(),
            topic: topic.id,
            protocol,
            endpoint,
            remark,
            sealed_root: new_root(&self.core.sealing, id, &*self.core.random),
            created_at: tx.now(),
            confirmed_at: None,
        };
        let at = subscription.endpoint.clone();
        let added = tx.topics().subscribe(&subscription).await;
        added.map_err(taken("subscription", &at, doing))?;
        let message = invitation(&topic);
        enqueue(&self.core, &mut tx, (&topic.name, &subscription), message, true)
            .await
            .map_err(db(doing))?;
        tx.commit(Subject::new(id, &at)).await?;
        self.core.wake();
        let secrets = Secrets::open(&self.core.sealing, id, &subscription.sealed_root)?;
        Ok((subscription, secrets.signing()))
    }

    fn check_endpoint(&self, protocol: Protocol, endpoint: &str) -> Result<()> {
        let is_plain = !endpoint.contains(|c: char| c.is_control() || c.is_whitespace());
        if endpoint.is_empty() || endpoint.len() > 512 || !is_plain {
            return Err(Error::invalid("endpoint", "1 to 512 characters without blanks"));
        }
        self.core.courier.check(protocol, endpoint).map_err(|why| Error::invalid("endpoint", why))
    }

    /// The one at the end agrees. Whoever has the token may: it was sent to nobody else.
    pub async fn confirm(&self, id: SubscriptionId, token: &str) -> Result<()> {
        let doing = "confirming a subscription";
        let absent = || TopicError::NotFound { noun: "subscription", id: id.to_string() };
        // Anybody may ask: only who has the token waits for, and holds up, those who write.
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let found = tx.topics().subscription(id).await.map_err(db(doing))?.ok_or_else(absent)?;
        drop(tx);
        let secrets = Secrets::open(&self.core.sealing, id, &found.sealed_root)?;
        // A wrong token looks like a subscription that is not there.
        if !secrets.is_token(token) {
            return Err(absent().into());
        }
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        let found = tx.topics().subscription(id).await.map_err(db(doing))?.ok_or_else(absent)?;
        if found.confirmed_at.is_some() {
            return Ok(());
        }
        if tx.now() > found.created_at.plus_seconds(CONFIRM_SECONDS) {
            let why = "the request is older than three days; subscribe again";
            return Err(TopicError::Conflict(why).into());
        }
        tx.topics().confirm(id).await.map_err(db(doing))?;
        // Who agrees has no name here: it is recorded as what the service saw.
        let subject = Subject::new(id, &found.endpoint);
        let event = Event::new("confirmSubscription", "subscription");
        self.core.record_by_system(&mut tx, found.project, event, subject).await?;
        tx.commit().await.map_err(db(doing))
    }

    /// Removes a subscription.
    pub async fn unsubscribe(&self, access: &Access, id: SubscriptionId) -> Result<()> {
        let doing = "removing a subscription";
        let mut tx = self.core.change(access, doing).await?;
        let found = tx.topics().subscription(id).await.map_err(db(doing))?;
        let is_gone = tx.topics().unsubscribe(access.project(), id).await.map_err(db(doing))?;
        let Some(found) = found.filter(|_| is_gone) else {
            return Err(TopicError::NotFound { noun: "subscription", id: id.to_string() }.into());
        };
        tx.commit(Subject::new(id, found.endpoint)).await
    }

    /// Lists subscriptions with the names of their topics, newest first; of one topic.
    pub async fn subscriptions(
        &self,
        access: &Access,
        topic: Option<&str>,
        page: Page,
    ) -> Result<Listing<(Subscription, String)>> {
        let doing = "listing subscriptions";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let topic = match topic {
            Some(name) => Some(existing(&mut tx, access.project(), name).await?.id),
            None => None,
        };
        let listed = tx.topics().list_subscriptions(access.project(), topic, &page).await;
        let Listing { rows, total } = listed.map_err(db(doing))?;
        let mut named = Vec::with_capacity(rows.len());
        for row in rows {
            let topic = tx.topics().by_id(row.project, row.topic).await.map_err(db(doing))?;
            named.push((row, topic.map(|topic| topic.name).unwrap_or_default()));
        }
        Ok(Listing { rows: named, total })
    }

    // --- deliveries

    /// Lists messages to single subscriptions, newest first; in one state.
    pub async fn deliveries(
        &self,
        access: &Access,
        status: Option<DeliveryStatus>,
        page: Page,
    ) -> Result<Listing<Delivery>> {
        let doing = "listing deliveries";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        tx.deliveries().list(access.project(), status, &page).await.map_err(db(doing))
    }

    /// Tries a message again that was given up.
    pub async fn retry(&self, access: &Access, id: DeliveryId) -> Result<Delivery> {
        let doing = "trying a delivery again";
        let absent = || TopicError::NotFound { noun: "delivery", id: id.to_string() };
        let mut tx = self.core.change(access, doing).await?;
        let found = tx.deliveries().find(id).await.map_err(db(doing))?;
        let found = found.filter(|one| one.project == access.project()).ok_or_else(absent)?;
        if found.is_confirmation {
            // How often an address is asked is counted; this would not be.
            let why = "a request for agreement is not sent again: subscribe again";
            return Err(TopicError::Conflict(why).into());
        }
        if !tx.deliveries().revive(access.project(), id).await.map_err(db(doing))? {
            return Err(TopicError::Conflict("only a delivery that is dead is tried again").into());
        }
        send(&self.core, &mut tx, &found).await.map_err(db(doing))?;
        let found = tx.deliveries().find(id).await.map_err(db(doing))?.ok_or_else(absent)?;
        tx.commit(Subject::new(id, &found.endpoint)).await?;
        self.core.wake();
        Ok(found)
    }
}

/// A project's topic of this name.
pub(crate) async fn existing(tx: &mut Tx, project: ProjectId, name: &str) -> Result<Topic> {
    let found = tx.topics().find(project, name).await.map_err(db("reading a topic"))?;
    let absent = || TopicError::NotFound { noun: "topic", id: name.to_owned() };
    Ok(found.ok_or_else(absent)?)
}

fn taken<'a>(
    noun: &'static str,
    name: &'a str,
    doing: &'static str,
) -> impl FnOnce(DbError) -> Error + 'a {
    move |error| match error {
        DbError::Taken { .. } => TopicError::Taken { noun, name: name.to_owned() }.into(),
        other => db(doing)(other),
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.is_empty() || name.len() > 255 || !begins || !name.chars().all(is_allowed) {
        let why = "1 to 255 letters, digits, - and _, with a letter or digit first";
        return Err(Error::invalid("name", why));
    }
    Ok(())
}

fn check_display_name(name: &str) -> Result<()> {
    if name.len() > 192 || name.contains(|c: char| c.is_control()) {
        return Err(Error::invalid("display_name", "one line of at most 192 bytes"));
    }
    Ok(())
}

/// What somebody is asked.
fn invitation(topic: &Topic) -> Message {
    let name = &topic.name;
    Message {
        kind: "confirmation".to_owned(),
        en: Text {
            subject: format!("Confirm the subscription to {name}"),
            body: format!(
                "Somebody wants messages of the topic \"{name}\" of a backup service to be sent \
                 here. If that is welcome, confirm it; otherwise do nothing, and nothing more \
                 will be sent. The request is good for three days."
            ),
        },
        zh: Some(Text {
            subject: format!("请确认订阅主题 {name}"),
            body: format!(
                "有人希望将备份服务主题“{name}”的消息发送到此处。如果同意，请确认订阅；\
                 否则无需任何操作，也不会再收到其他消息。请求三天内有效。"
            ),
        }),
        particulars: [].into(),
    }
}

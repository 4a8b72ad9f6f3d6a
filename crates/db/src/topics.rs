//! Tables `topics` and `subscriptions`.

use cbr_model::query::{Listing, Page};
use cbr_model::topic::{Protocol, Subscription, Topic};
use cbr_model::{ProjectId, SubscriptionId, TopicId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE, and_contains};
use crate::row::Row;
use crate::sql::{Sql, Value};
use crate::tx::Tx;

/// The tables of topics.
#[derive(Debug)]
pub struct Topics<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Topics<'_> {
    /// Adds a topic. [`DbError::Taken`] when the project has one of this name.
    pub async fn insert(&mut self, topic: &Topic) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO topics (id, project_id, name, display_name, takes_notices, created_at,
                 updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(topic.id)
        .bind(topic.project)
        .bind(&topic.name)
        .bind(&topic.display_name)
        .bind(topic.takes_notices)
        .bind(topic.created_at)
        .bind(topic.updated_at);
        self.tx.execute("topics.insert", sql).await.map(drop)
    }

    /// Writes a topic that was changed; says whether it is there.
    pub async fn update(&mut self, topic: &Topic) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE topics SET display_name = $3, takes_notices = $4, updated_at = $5
             WHERE project_id = $1 AND id = $2",
        )
        .bind(topic.project)
        .bind(topic.id)
        .bind(&topic.display_name)
        .bind(topic.takes_notices)
        .bind(self.tx.now());
        self.tx.execute_one("topics.update", sql).await
    }

    /// Removes a topic with its subscriptions; says whether it was there.
    pub async fn delete(&mut self, project: ProjectId, topic: TopicId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM topics WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("topics.delete", sql.bind(project).bind(topic)).await
    }

    /// A project's topic of this name.
    pub async fn find(&mut self, project: ProjectId, name: &str) -> Result<Option<Topic>, DbError> {
        let sql = Sql::new("SELECT * FROM topics WHERE project_id = $1 AND name = $2");
        let row = self.tx.row("topics.find", "topics", sql.bind(project).bind(name)).await?;
        row.as_ref().map(topic).transpose()
    }

    /// A project's topic with this id.
    pub async fn by_id(
        &mut self,
        project: ProjectId,
        id: TopicId,
    ) -> Result<Option<Topic>, DbError> {
        let sql = Sql::new("SELECT * FROM topics WHERE project_id = $1 AND id = $2");
        let row = self.tx.row("topics.by_id", "topics", sql.bind(project).bind(id)).await?;
        row.as_ref().map(topic).transpose()
    }

    /// The project's topics that take notices about its vaults.
    pub async fn for_notices(&mut self, project: ProjectId) -> Result<Vec<Topic>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM topics WHERE project_id = $1 AND takes_notices = 1 ORDER BY id",
        );
        let rows = self.tx.rows("topics.for_notices", "topics", sql.bind(project)).await?;
        rows.iter().map(topic).collect()
    }

    /// A page of a project's topics, newest first; those whose name contains a text.
    pub async fn list(
        &mut self,
        project: ProjectId,
        name: Option<&String>,
        page: &Page,
    ) -> Result<Listing<Topic>, DbError> {
        let engine = self.tx.engine();
        let mut sql = Sql::new("FROM topics t WHERE t.project_id = $1").bind(project);
        and_contains(&mut sql, engine, "t.name", name);
        let listed = Listed {
            name: "topics.list",
            table: "topics",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(topic).collect::<Result<_, _>>()?, total })
    }

    // --- subscriptions

    /// Adds a subscription. [`DbError::Taken`] when the topic has it.
    pub async fn subscribe(&mut self, subscription: &Subscription) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO subscriptions (id, project_id, topic_id, protocol, endpoint, remark,
                 sealed_root, created_at, confirmed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(subscription.id)
        .bind(subscription.project)
        .bind(subscription.topic)
        .bind(subscription.protocol.as_str())
        .bind(&subscription.endpoint)
        .bind(&subscription.remark)
        .bind(Value::Blob(subscription.sealed_root.clone()))
        .bind(subscription.created_at)
        .bind(subscription.confirmed_at);
        self.tx.execute("topics.subscribe", sql).await.map(drop)
    }

    /// Notes that the one at the end agreed; says whether that is news.
    pub async fn confirm(&mut self, subscription: SubscriptionId) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE subscriptions SET confirmed_at = $2 WHERE id = $1 AND confirmed_at IS NULL",
        );
        let now = self.tx.now();
        self.tx.execute_one("topics.confirm", sql.bind(subscription).bind(now)).await
    }

    /// Removes a subscription; says whether it was there.
    pub async fn unsubscribe(
        &mut self,
        project: ProjectId,
        subscription: SubscriptionId,
    ) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM subscriptions WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("topics.unsubscribe", sql.bind(project).bind(subscription)).await
    }

    /// A subscription, whosever it is.
    pub async fn subscription(
        &mut self,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>, DbError> {
        let sql = Sql::new("SELECT * FROM subscriptions WHERE id = $1").bind(id);
        let row = self.tx.row("topics.subscription", "subscriptions", sql).await?;
        row.as_ref().map(subscription).transpose()
    }

    /// All subscriptions of a topic, oldest first.
    pub async fn subscriptions(&mut self, topic: TopicId) -> Result<Vec<Subscription>, DbError> {
        let sql =
            Sql::new("SELECT * FROM subscriptions WHERE topic_id = $1 ORDER BY created_at, id");
        let rows = self.tx.rows("topics.subscriptions", "subscriptions", sql.bind(topic)).await?;
        rows.iter().map(subscription).collect()
    }

    /// A page of a project's subscriptions, newest first; of one topic.
    pub async fn list_subscriptions(
        &mut self,
        project: ProjectId,
        topic: Option<TopicId>,
        page: &Page,
    ) -> Result<Listing<Subscription>, DbError> {
        let mut sql = Sql::new("FROM subscriptions t WHERE t.project_id = $1").bind(project);
        sql.and_equal("t.topic_id", topic);
        let listed = Listed {
            name: "topics.list_subscriptions",
            table: "subscriptions",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(subscription).collect::<Result<_, _>>()?, total })
    }

    /// What all subscriptions' secrets are sealed into, for a new key.
    pub async fn sealed(&mut self) -> Result<Vec<(SubscriptionId, Vec<u8>)>, DbError> {
        let sql = Sql::new("SELECT id, sealed_root FROM subscriptions ORDER BY id");
        let rows = self.tx.rows("topics.sealed", "subscriptions", sql).await?;
        rows.iter().map(|row| Ok((row.id("id")?, row.blob("sealed_root")?))).collect()
    }

    /// Keeps a secret that was sealed anew.
    pub async fn reseal(&mut self, id: SubscriptionId, sealed: &[u8]) -> Result<(), DbError> {
        let sql = Sql::new("UPDATE subscriptions SET sealed_root = $2 WHERE id = $1");
        let sql = sql.bind(id).bind(Value::Blob(sealed.to_vec()));
        self.tx.execute("topics.reseal", sql).await.map(drop)
    }
}

fn topic(row: &Row) -> Result<Topic, DbError> {
    Ok(Topic {
        id: row.id("id")?,
        project: row.id("project_id")?,
        name: row.text("name")?,
        display_name: row.text("display_name")?,
        takes_notices: row.flag("takes_notices")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn subscription(row: &Row) -> Result<Subscription, DbError> {
    Ok(Subscription {
        id: row.id("id")?,
        project: row.id("project_id")?,
        topic: row.id("topic_id")?,
        protocol: row.word("protocol", Protocol::from_str_exact)?,
        endpoint: row.text("endpoint")?,
        remark: row.text("remark")?,
        sealed_root: row.blob("sealed_root")?,
        created_at: row.time("created_at")?,
        confirmed_at: row.time_opt("confirmed_at")?,
    })
}

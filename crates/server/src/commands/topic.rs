//! `cbr topic …`: who is told, and what could not be told.

use std::fmt::Display;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::session::Session;
use crate::client::signer::encoded;
use crate::client::{ConnectionArgs, wire};
use crate::failure::{Failure, Kind};
use crate::output::{Output, Show};
use crate::text::{Lang, texts};

texts! {
    noun_topic() "topic" | "主题";
    noun_subscription() "subscription" | "订阅";
    what_topic() "cannot look after topics" | "无法管理主题";
    done_topic(name) "Topic {name} is there; nobody is told anything until somebody subscribes" | "主题 {name} 已创建；有人订阅之前不会通知任何人";
    done_subscribe(endpoint) "{endpoint} was asked to confirm" | "已请求 {endpoint} 确认订阅";
    done_secret(secret) "Requests are signed with this secret, which is not shown again:\n{secret}" | "请求使用以下密钥签名，且不会再次显示：\n{secret}";
    done_publish(count) "It goes to {count} subscriptions" | "将发送给 {count} 个订阅";
    done_notices(name) "Changed whether notices about vaults go to topic {name}" | "已修改主题 {name} 是否接收存储库通知";
    done_retry(id) "Delivery {id} is tried again" | "正在重试投递 {id}";
    ask_delete_topic(name) "Delete topic {name} with its subscriptions?" | "删除主题 {name} 及其订阅？";
    col_endpoint() "ENDPOINT" | "终端";
    col_protocol() "PROTOCOL" | "协议";
    col_topic() "TOPIC" | "主题";
    col_notices() "VAULT NOTICES" | "存储库通知";
    col_confirmed() "CONFIRMED" | "已确认";
    col_headline() "SUBJECT" | "标题";
    col_attempts() "ATTEMPTS" | "尝试次数";
    col_made() "TIME" | "时间";
    col_error() "ERROR" | "错误";
}

/// Say who is told of alarms, and see what could not be told
#[derive(Debug, Args)]
pub(crate) struct TopicArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(subcommand)]
    command: TopicCommand,
}

#[derive(Debug, Subcommand)]
enum TopicCommand {
    /// Make a topic
    Create {
        /// Name
        name: String,
        /// What mails name as their sender
        #[arg(long, default_value = "")]
        display_name: String,
    },
    /// List topics
    List,
    /// Delete a topic with its subscriptions
    Delete {
        /// Name
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Have notices about the project's vaults go to a topic, or not
    Notices {
        /// Name
        name: String,
        /// Whether they do
        #[arg(value_parser = clap::value_parser!(bool), action = clap::ArgAction::Set)]
        take: bool,
    },
    /// Ask somebody to agree to be told
    Subscribe {
        /// Name of the topic
        name: String,
        /// email, http, https or sms
        #[arg(value_parser = ["email", "http", "https", "sms"])]
        protocol: String,
        /// Address or number
        endpoint: String,
    },
    /// List subscriptions
    Subscriptions,
    /// Remove a subscription
    Unsubscribe {
        /// Its URN
        subscription: String,
    },
    /// Send a text to all who subscribed
    Publish {
        /// Name of the topic
        name: String,
        /// In one line
        #[arg(long, default_value = "")]
        subject: String,
        /// The text
        message: String,
    },
    /// List messages to single subscriptions
    Deliveries {
        /// Only those that wait, were sent, or are dead
        #[arg(long, value_parser = ["waiting", "sent", "dead"])]
        status: Option<String>,
    },
    /// Try a dead delivery again
    Retry {
        /// Its id
        delivery: String,
    },
}

impl TopicArgs {
    /// Runs the command.
    pub(crate) async fn run(self, output: Output) -> Result<(), Failure> {
        let session = &Session::open(&self.connection, output).await?;
        let lang = output.lang;
        match self.command {
            TopicCommand::Create { name, display_name } => {
                let body = json!({"name": name, "display_name": display_name});
                let made = send(session, "topics", &body).await?;
                told(output, &made, lang.done_topic(name))
            }
            TopicCommand::List => list(session).await,
            TopicCommand::Delete { name, yes } => {
                let urn = urn_of(session, &name).await?;
                session.confirm(&lang.ask_delete_topic(&name), yes)?;
                let gone = session.client.delete(&path(session, &topic(&urn))).await;
                let gone = gone.map_err(session.failed(lang.what_topic()))?;
                told(output, &gone, lang.done_delete(lang.noun_topic(), name))
            }
            TopicCommand::Notices { name, take } => {
                let urn = urn_of(session, &name).await?;
                let body = json!({"x-vault_notices": take});
                let changed = session.client.put(&path(session, &topic(&urn)), &body).await;
                let changed = changed.map_err(session.failed(lang.what_topic()))?;
                told(output, &changed, lang.done_notices(name))
            }
            TopicCommand::Subscribe { name, protocol, endpoint } => {
                subscribe(session, &name, &protocol, &endpoint).await
            }
            TopicCommand::Subscriptions => subscriptions(session).await,
            TopicCommand::Unsubscribe { subscription } => {
                let rest = format!("subscriptions/{}", encoded(&subscription));
                let gone = session.client.delete(&path(session, &rest)).await;
                let gone = gone.map_err(session.failed(lang.what_topic()))?;
                told(output, &gone, lang.done_delete(lang.noun_subscription(), subscription))
            }
            TopicCommand::Publish { name, subject, message } => {
                let urn = urn_of(session, &name).await?;
                let body = json!({"subject": subject, "message": message});
                let sent = send(session, &format!("{}/publish", topic(&urn)), &body).await?;
                let count = wire::number(&sent, "/x-subscriptions").unwrap_or_default();
                told(output, &sent, lang.done_publish(count))
            }
            TopicCommand::Deliveries { status } => deliveries(session, status).await,
            TopicCommand::Retry { delivery } => {
                let rest = format!("x/deliveries/{}/retry", encoded(&delivery));
                let sent = session.client.post(&session.client.cbr(&rest), &json!({})).await;
                let sent = sent.map_err(session.failed(lang.what_topic()))?;
                told(output, &sent, lang.done_retry(delivery))
            }
        }
    }
}

/// The whole answer for programs, a sentence for people.
fn told(output: Output, answer: &Value, sentence: String) -> Result<(), Failure> {
    if output.is_json() { output.json(answer) } else { output.line(sentence) }
}

fn path(session: &Session, rest: &str) -> String {
    format!("/v2/{}/notifications/{rest}", session.client.project())
}

fn topic(urn: &str) -> String {
    format!("topics/{}", encoded(urn))
}

async fn send(session: &Session, rest: &str, body: &Value) -> Result<Value, Failure> {
    let done = session.client.post(&path(session, rest), body).await;
    done.map_err(session.failed(session.output.lang.what_topic()))
}

/// The URN of the topic of this name.
pub(super) async fn urn_of(session: &Session, name: &str) -> Result<String, Failure> {
    let lang = session.output.lang;
    let query = vec![("name".to_owned(), name.to_owned())];
    let listed = session.client.get(&path(session, "topics"), query).await;
    let listed = listed.map_err(session.failed(lang.what_topic()))?;
    let found = wire::items(&listed, "/topics").iter().find(|one| one["name"] == name);
    let absent = || {
        let what = lang.what_find(lang.noun_topic(), name);
        Failure::new(Kind::NotFound, what, String::new())
    };
    found.map(|one| wire::text(one, "/topic_urn")).ok_or_else(absent)
}

async fn list(session: &Session) -> Result<(), Failure> {
    let lang = session.output.lang;
    let listed = session.client.get(&path(session, "topics"), Vec::new()).await;
    let listed = listed.map_err(session.failed(lang.what_topic()))?;
    let columns = [
        (lang.col_name(), Show::At("/name")),
        (lang.col_notices(), Show::At("/x-vault_notices")),
        (lang.col_topic(), Show::At("/topic_urn")),
    ];
    session.output.list(wire::items(&listed, "/topics"), &columns)
}

async fn subscribe(
    session: &Session,
    name: &str,
    protocol: &str,
    endpoint: &str,
) -> Result<(), Failure> {
    let output = session.output;
    let urn = urn_of(session, name).await?;
    let body = json!({"protocol": protocol, "endpoint": endpoint});
    let made = send(session, &format!("{}/subscriptions", topic(&urn)), &body).await?;
    if output.is_json() {
        return output.json(&made);
    }
    output.line(output.lang.done_subscribe(endpoint))?;
    let secret = wire::text(&made, "/x-secret");
    if secret.is_empty() { Ok(()) } else { output.line(output.lang.done_secret(secret)) }
}

async fn subscriptions(session: &Session) -> Result<(), Failure> {
    let lang = session.output.lang;
    let listed = session.client.get(&path(session, "subscriptions"), Vec::new()).await;
    let listed = listed.map_err(session.failed(lang.what_topic()))?;
    let columns = [
        (lang.col_protocol(), Show::At("/protocol")),
        (lang.col_endpoint(), Show::At("/endpoint")),
        (lang.col_confirmed(), Show::At("/status")),
        (lang.col_id(), Show::At("/subscription_urn")),
    ];
    session.output.list(wire::items(&listed, "/subscriptions"), &columns)
}

async fn deliveries(session: &Session, status: Option<String>) -> Result<(), Failure> {
    let lang = session.output.lang;
    let query = status.map(|status| ("status".to_owned(), status)).into_iter().collect();
    let listed = session.client.get(&session.client.cbr("x/deliveries"), query).await;
    let listed = listed.map_err(session.failed(lang.what_topic()))?;
    let columns = [
        (lang.col_made(), Show::With(|one| wire::time(one, "/created_at"))),
        (lang.col_status(), Show::At("/status")),
        (lang.col_attempts(), Show::At("/attempts")),
        (lang.col_endpoint(), Show::At("/endpoint")),
        (lang.col_headline(), Show::At("/subject")),
        (lang.col_error(), Show::At("/error")),
        (lang.col_id(), Show::At("/id")),
    ];
    session.output.list(wire::items(&listed, "/deliveries"), &columns)
}

//! `cbr backup import`, `cbr vault sync`: backups that lie in buckets as images.

use std::fmt::Display;

use clap::Args;
use serde_json::json;

use super::session::Session;
use crate::client::lookup::Noun;
use crate::client::wait::WaitArgs;
use crate::client::wire;
use crate::failure::Failure;
use crate::text::{Lang, texts};

texts! {
    what_import(image) "cannot take in image `{image}`" | "无法导入镜像 `{image}`";
    done_import(image) "Image {image} is a backup now" | "镜像 {image} 已导入为备份";
    what_sync(vault) "cannot synchronise vault `{vault}` with the buckets" | "无法将存储库 `{vault}` 与桶同步";
    done_sync(vault) "Vault {vault} has what is in the buckets" | "存储库 {vault} 已与桶同步";
}

/// The image to be taken in, and what it is a backup of.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Bucket, as the operator of the service calls it
    bucket: String,
    /// Path of a raw image in the bucket
    image: String,
    /// Id the backup gets, a UUID; the same again changes nothing
    #[arg(long, value_name = "UUID")]
    id: String,
    /// Name of the backup
    #[arg(long)]
    name: String,
    /// Id of what it is a backup of, a UUID; images of the same share what is equal
    #[arg(long, value_name = "UUID")]
    resource_id: String,
    /// What that is called
    #[arg(long, value_name = "NAME")]
    resource_name: String,
    /// When it was made, in seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    created_at: i64,
    #[command(flatten)]
    wait: WaitArgs,
}

/// `cbr backup import`.
pub(super) async fn import(session: &Session, args: ImportArgs) -> Result<(), Failure> {
    let lang = session.output.lang;
    let body = json!({"sync": [{
        "backup_id": args.id,
        "backup_name": args.name,
        "bucket_name": args.bucket,
        "image_path": args.image,
        "resource_id": args.resource_id,
        "resource_name": args.resource_name,
        "resource_type": "OS::Native::Server",
        "created_at": args.created_at,
    }]});
    let begun = session.client.post(&session.client.cbr("backups/sync"), &body).await;
    let begun = begun.map_err(session.failed(lang.what_import(&args.image)))?;
    let task = wire::text(&begun, "/sync/0/operation_log_id");
    super::conclude(session, &[task], args.wait, &lang.done_import(&args.image)).await
}

/// `cbr vault sync`.
pub(super) async fn sync(
    session: &Session,
    vault: &str,
    automatic: bool,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let lang = session.output.lang;
    let id = session.find_id(Noun::Vault, vault).await?;
    let body = json!({"sync": {"vault_id": id, "auto_trigger": automatic}});
    let begun = session.client.post(&session.client.cbr("checkpoints/sync"), &body).await;
    let begun = begun.map_err(session.failed(lang.what_sync(vault)))?;
    let task = wire::text(&begun, "/sync/operation_log_id");
    super::conclude(session, &[task], wait, &lang.done_sync(vault)).await
}

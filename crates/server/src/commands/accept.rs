//! `cbr repo accept`: another repository, on purpose.

use std::fmt::Display;
use std::sync::Arc;

use anyhow::{Context, Result};
use cbr_service::catalogue::{Lack, NotAccepted, accept};
use cbr_store::MasterKey;
use serde_json::json;

use super::writable::apart;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::text::{Lang, texts};
use crate::wiring::{self, RepositoryKey};
use crate::world::World;

texts! {
    what_accept() "cannot use another repository" | "无法改用另一个仓库";
    why_accept_lacks(missing, of)
        "{missing} of the {of} disks that the database has backups of are not in it"
        | "数据库中有备份的 {of} 个磁盘里，有 {missing} 个不在该仓库中";
    next_accept_lacks()
        "bring their repository back. If it is lost for good: move the database away and run \
         `cbr repo rebuild` (docs/operations/recover.md)"
        | "请恢复其所在仓库。若已永久丢失：移走数据库并运行 `cbr repo rebuild`（docs/operations/recover.md）";
    next_accept_lost(missing)
        "bring their repository back. If it is lost for good, and so are these {missing}: copy the database, \
         then run this with `--lost {missing}` (docs/operations/recover.md)"
        | "请恢复其所在仓库。若该仓库及这 {missing} 个磁盘的备份已永久丢失：先复制数据库，再加上 \
           `--lost {missing}` 运行（docs/operations/recover.md）";
    why_accept_taken(missing, taken)
        "of {missing} disks that the database has backups of, {taken} have their names taken there by something \
         else: the rows are about more than one repository"
        | "数据库中有备份的磁盘里有 {missing} 个不在该仓库中，其中 {taken} 个的名称已被其他内容占用：数据库记录涉及多个仓库";
    why_accept_not_lost(lost)
        "no disks are missing there, so none of them are lost: leave out `--lost {lost}`"
        | "该仓库并不缺少任何磁盘：请去掉 `--lost {lost}`";
    next_accept_not_lost() "look whether this is the repository you mean" | "请确认是否为所指的仓库";
    why_accept_tasks(tasks)
        "{tasks} tasks began with the present one and have not ended"
        | "{tasks} 个任务已在现有仓库上开始且尚未结束";
    next_accept_tasks()
        "start the service with the present one, let them end, stop it"
        | "请用现有仓库启动服务，待其结束后再停止";
    why_accept_node(name, seconds)
        "node {name} works with the present one; it was there {seconds} s ago"
        | "节点 {name} 正在使用现有仓库；该节点 {seconds} 秒前仍在";
    next_accept_node() "stop the service there, and wait three minutes" | "请停止该节点上的服务，并等待三分钟";
    done_accept(id, place)
        "The database is about repository {id} in {place} now; start the service"
        | "数据库现归属仓库 {id}（{place}）；请启动服务";
    done_accept_new(place)
        "The database is about no repository now; the next start makes one in {place}"
        | "数据库现不归属任何仓库；下次启动将在 {place} 创建一个";
}

/// Makes the repository at hand, or with `make_new` the one the next start will make, that of the database.
pub(super) async fn run(
    data: &DataDir,
    config: &Config,
    (make_new, lost): (bool, usize),
    output: Output,
) -> Result<()> {
    let _lock = data.lock()?;
    let (world, lang) = (World::real(), output.lang);
    let place = wiring::Place::of(data, config)?;
    let repository = if make_new {
        None
    } else {
        let key = RepositoryKey::Master(MasterKey::read_file(&data.key_path())?);
        let (place, config, world) = (place.clone(), config.clone(), world.clone());
        let open = move || wiring::existing_repository(&place, &key, &config, &world);
        Some(Arc::new(apart(open).await?))
    };
    let id = repository.as_ref().map(|repository| repository.id());
    let own = data.known_node_name()?;
    let database = wiring::database(data, config, &world).await?;
    let accepted = accept(&database, repository, own.as_deref(), lost, &*world.random).await;
    database.close().await.context("cannot close the database")?;
    if let Err(why) = accepted? {
        return Err(refused(&why, lost, lang).into());
    }
    if output.is_json() {
        let id = id.map(|id| id.to_string());
        return Ok(output.json(&json!({"repository": id, "place": place.to_string()}))?);
    }
    match id {
        Some(id) => output.line(lang.done_accept(id, place))?,
        None => output.line(lang.done_accept_new(place))?,
    }
    Ok(())
}

fn refused(why: &NotAccepted, lost: usize, lang: Lang) -> Failure {
    let (why, next) = match why {
        NotAccepted::Lacks(Lack { missing: 0, .. }) => {
            (lang.why_accept_not_lost(lost), lang.next_accept_not_lost())
        }
        NotAccepted::Lacks(Lack { missing, taken: taken @ 1.., .. }) => {
            (lang.why_accept_taken(missing, taken), lang.next_accept_lacks())
        }
        NotAccepted::Lacks(Lack { missing, of, .. }) => {
            (lang.why_accept_lacks(missing, of), lang.next_accept_lost(missing))
        }
        NotAccepted::Tasks(tasks) => (lang.why_accept_tasks(tasks), lang.next_accept_tasks()),
        NotAccepted::NodeThere { name, seconds } => {
            (lang.why_accept_node(name, seconds), lang.next_accept_node())
        }
    };
    Failure::new(Kind::Refused, lang.what_accept(), why).with_next(next)
}

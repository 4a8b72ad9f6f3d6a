//! Everything the programme says to people, in English and Chinese.
//!
//! Each text is a method of [`Lang`]; a text that lacks one language or a value
//! does not compile. Codes and ids are the same in every language.

use std::fmt::Display;

use clap::ValueEnum;

/// A language the programme speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Lang {
    /// English.
    #[default]
    #[value(name = "en-US", alias = "en")]
    En,
    /// Chinese.
    #[value(name = "zh-CN", alias = "zh")]
    Zh,
}

impl Lang {
    /// The language the environment asks for, in the order POSIX gives.
    pub(crate) fn of_environment() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let wanted = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
        Self::of_locale(wanted.as_deref().unwrap_or_default())
    }

    fn of_locale(locale: &str) -> Self {
        if locale.starts_with("zh") { Self::Zh } else { Self::En }
    }
}

macro_rules! texts {
    ($($name:ident($($value:ident),*) $en:literal | $zh:literal;)+) => {
        impl Lang {$(
            pub(crate) fn $name(self $(, $value: impl Display)*) -> String {
                match self {
                    Self::En => format!($en),
                    Self::Zh => format!($zh),
                }
            }
        )+}
    };
}

pub(crate) use texts;

// Parts of an error.
texts! {
    label_error() "error" | "错误";
    label_why() "why" | "原因";
    label_next() "next" | "建议";
    label_code() "code" | "错误码";
    label_request() "request" | "请求编号";
}

// Nouns.
texts! {
    noun_vault() "vault" | "存储库";
    noun_backup() "backup" | "备份";
    noun_volume() "disk" | "云硬盘";
    noun_server() "server" | "云服务器";
    noun_image() "image" | "镜像";
    noun_resource() "resource" | "资源";
    noun_task() "task" | "任务";
    noun_export() "export" | "导出";
    noun_checkpoint() "checkpoint" | "还原点";
}

// Headings.
texts! {
    col_id() "ID" | "ID";
    col_name() "NAME" | "名称";
    col_description() "DESCRIPTION" | "描述";
    col_type() "TYPE" | "类型";
    col_kind() "KIND" | "备份方式";
    col_status() "STATUS" | "状态";
    col_outcome() "OUTCOME" | "结果";
    col_size_gb() "SIZE (GB)" | "容量 (GB)";
    col_size() "SIZE" | "容量";
    col_version() "VERSION" | "版本";
    col_object() "OBJECT" | "对象";
    col_problem() "PROBLEM" | "问题";
    col_chain() "CHAIN" | "链";
    col_counted() "COUNTED BYTES" | "清点字节数";
    col_booked() "BOOKED BYTES" | "账面字节数";
    col_action() "ACTION" | "操作";
    col_reason() "REASON" | "原因";
    col_subject() "SUBJECT" | "检查项";
    col_finding() "FINDING" | "结果";
    col_used() "USED" | "已用";
    col_logical() "LOGICAL" | "逻辑大小";
    col_stored() "STORED" | "实际占用";
    col_resource() "RESOURCE" | "资源";
    col_resources() "RESOURCES" | "资源数";
    col_resource_id() "RESOURCE ID" | "资源 ID";
    col_backup() "BACKUP" | "备份";
    col_backups() "BACKUPS" | "备份数";
    col_vault() "VAULT" | "存储库";
    col_checkpoint() "CHECKPOINT" | "还原点";
    col_created() "CREATED (UTC)" | "创建时间 (UTC)";
    col_started() "STARTED (UTC)" | "开始时间 (UTC)";
    col_ended() "ENDED (UTC)" | "结束时间 (UTC)";
    col_expires() "EXPIRES (UTC)" | "过期时间 (UTC)";
    col_auto_expand() "AUTO EXPAND" | "自动扩容";
    col_charging() "CHARGED" | "计费模式";
    col_locked() "LOCKED (WORM)" | "备份锁定";
    col_tags() "TAGS" | "标签";
    col_encrypted() "ENCRYPTED" | "加密";
    col_progress() "PROGRESS" | "进度";
    col_pool() "POOL" | "存储池";
    col_writable() "WRITABLE" | "可写";
    col_uri() "URI" | "地址";
    col_network_uri() "FROM ELSEWHERE" | "远程地址";
    col_socket() "SOCKET" | "套接字";
    col_protected() "PROTECTED" | "保护";
    col_backup_id() "BACKUP ID" | "备份 ID";
    col_changed() "CHANGED" | "变化量";
    col_unique() "UNIQUE" | "独占";
    col_shared() "SHARED" | "共享";
    col_frees() "FREES WHEN DELETED" | "删除可释放";
    col_zone() "ZONE" | "可用区";
    col_server() "SERVER" | "云服务器";
    col_disks() "DISKS" | "磁盘数";
    col_volume_id() "DISK ID" | "云硬盘 ID";
    col_device() "DEVICE" | "设备";
    col_boot_index() "BOOT INDEX" | "启动顺序";
    col_project() "PROJECT" | "项目";
    col_access_key() "ACCESS KEY" | "访问密钥";
}

// What did not work.
texts! {
    what_find(noun, name) "cannot find {noun} `{name}`" | "找不到{noun} `{name}`";
    what_list(noun) "cannot list: {noun}" | "无法列出{noun}";
    what_list_tasks() "cannot list tasks" | "无法列出任务";
    what_create(noun, name) "cannot create {noun} `{name}`" | "无法创建{noun} `{name}`";
    what_update(noun, name) "cannot change {noun} `{name}`" | "无法修改{noun} `{name}`";
    what_delete(noun, name) "cannot delete {noun} `{name}`" | "无法删除{noun} `{name}`";
    what_bind(vault) "cannot bind to vault `{vault}`" | "无法绑定到存储库 `{vault}`";
    what_unbind(vault) "cannot unbind from vault `{vault}`" | "无法从存储库 `{vault}` 解绑";
    what_back_up(vault) "not everything in vault `{vault}` was backed up" | "存储库 `{vault}` 未能全部备份";
    what_restore(backup) "cannot restore backup `{backup}`" | "无法恢复备份 `{backup}`";
    what_export(backup) "cannot export backup `{backup}`" | "无法导出备份 `{backup}`";
    what_unmount(export) "cannot end export {export}" | "无法结束导出 {export}";
    what_write_image(path) "cannot write the image {path}" | "无法写入镜像 {path}";
    what_reach_export(socket) "cannot reach the export at {socket}" | "无法连接导出 {socket}";
    what_cancel_task(task) "cannot cancel task {task}" | "无法取消任务 {task}";
    what_task_failed(kind, name) "{kind} {name} did not succeed" | "{kind} {name} 未成功";
    what_wait() "stopped waiting" | "已停止等待";
    what_cancelled() "nothing was done" | "未执行任何操作";
    what_log_in() "cannot log in" | "无法登录";
    what_find_project() "cannot tell which project to work in" | "无法确定所用项目";
    what_no_connection() "cannot tell how to reach the service" | "无法确定如何连接服务";
    what_profile_file(path) "cannot use {path}" | "无法使用 {path}";
    what_bootstrap_file(path) "cannot use the account file {path}" | "无法使用账号文件 {path}";
    what_read_secret(variable) "cannot read a secret (neither {variable} nor input)" | "无法读取密钥（{variable} 未设置且无输入）";
    what_repo_probe() "the place of the repository cannot be relied on" | "资源库所在存储不可靠";
    why_repo_probe(broken) "it does not: {broken}" | "以下各项不成立：{broken}";
    next_repo_probe()
        "see docs/operations/object-storage.md; the service stops writing when it notices, and a start lets the database decide if that is enough"
        | "见 docs/operations/object-storage.md；服务发现后会停止写入，重新启动时若可行则由数据库裁决";
    note_database_decides()
        "the object store overwrites objects: the database decides which of two writers wins"
        | "对象存储会覆盖对象：由数据库裁决写入者";
    col_question() "QUESTION" | "问题";
    col_weight() "WEIGHT" | "重要性";
    col_when_made() "WHEN MADE" | "创建时";
    col_now() "NOW" | "现在";
    what_repo_change() "cannot change the repository" | "无法更改资源库";
    why_needs_database()
        "its object store overwrites objects, so the database decides about new ones, and it was not named"
        | "其对象存储会覆盖对象，因此由数据库裁决新对象，但未指定数据库";
    what_no_repository() "cannot tell which repository" | "无法确定所用仓库";
    what_undelete(name) "cannot take {name} back" | "无法恢复已删除的 {name}";
    what_purge(name) "cannot purge {name}" | "无法彻底删除 {name}";
    what_trash() "cannot list deleted backups" | "无法列出已删除的备份";
    done_undelete(names) "{names} can be used again" | "{names} 已可重新使用";
    done_purge(names) "Purged {names}" | "已彻底删除 {names}";
    ask_purge(names) "Give {names} up for good? This cannot be undone." | "彻底删除 {names}？此操作不可撤销。";
    why_not_in_trash(name) "no deleted backup is called `{name}`" | "没有名为 `{name}` 的已删除备份";
    next_vault_gone() "say which with --vault" | "请用 --vault 指定存储库";
    next_trash() "`cbr backup list --deleted` shows what can be taken back" | "可用 `cbr backup list --deleted` 查看可恢复的备份";
    col_deleted() "DELETED" | "删除时间";
    col_purged_from() "UNTIL" | "可恢复至";
    col_user() "USER" | "用户";
    what_audit_list() "cannot list changes" | "无法列出操作记录";
    what_audit_export() "cannot export the records" | "无法导出审计记录";
    what_audit_tracker() "cannot switch the tracker" | "无法切换追踪器";
    what_audit_verify() "the records are not what was recorded" | "审计记录未通过校验";
    why_audit_broken(number, reason) "record {number}: {reason}" | "第 {number} 条记录：{reason}";
    why_audit_not_held()
        "the noted record is not among them: it was changed, or the end was cut off"
        | "所记下的记录不在其中：记录被更改，或末尾被截断";
    done_audit_verify(count, head)
        "All {count} records are what was recorded. Note this elsewhere: {head}"
        | "全部 {count} 条记录均未被更改。请在别处记下：{head}";
    what_verify(name) "cannot verify {name}" | "无法校验 {name}";
    done_verify(name) "{name} can be restored: all of it was read" | "{name} 可以恢复：其全部数据已读取并校验";
    col_specification() "SPECIFICATION" | "规格";
    col_consistency() "CONSISTENCY" | "一致性";
    col_why_ordinary() "WHY ORDINARY" | "未做数据库备份的原因";
    col_integrity() "INTEGRITY" | "完整性";
    col_verified() "VERIFIED" | "校验时间";
    what_repo_scrub() "the repository is damaged" | "仓库已损坏";
    done_repo_scrub(objects, bytes) "Read {objects} objects, {bytes}: all sound" | "已读取 {objects} 个对象，共 {bytes}：全部完好";
    note_scrub_goes_on(cursor) "the budget is spent; go on with: --from '{cursor}'" | "预算已用完；继续请用：--from '{cursor}'";
    done_repair(blocks, packs, objects, name) "Stored {blocks} blocks and {packs} packs again in {objects} new objects (undo: cbr repo repair --undo {name})" | "已在 {objects} 个新对象中重新存储 {blocks} 个块和 {packs} 个数据包（撤销：cbr repo repair --undo {name}）";
    done_repair_nothing(problems) "Nothing can be repaired from the repository itself; problems: {problems}" | "没有可由仓库自身修复的内容；问题数：{problems}";
    done_repair_plan(blocks, packs) "{blocks} blocks and {packs} packs would be stored again; nothing was changed" | "将重新存储 {blocks} 个块和 {packs} 个数据包；未做任何更改";
    done_repair_undo(objects, name) "Removed the {objects} objects of repair {name}" | "已移除修复 {name} 的 {objects} 个对象";
    what_repo_check() "the repository is damaged" | "仓库已损坏";
    what_repo_audit() "the books do not fit the maps" | "账目与映射不符";
    what_repo_gc() "not everything could be tidied up" | "未能全部清理";
    what_doctor() "the installation needs attention" | "安装需要处理";
    what_write_file(path) "cannot write {path}" | "无法写入 {path}";
}

// Why.
texts! {
    why_unreachable(url, why) "{url} does not answer: {why}" | "{url} 没有应答：{why}";
    why_malformed(url, why) "{url} does not answer as a CBR service does: {why}" | "{url} 的应答不符合 CBR 服务：{why}";
    why_no_such(noun, name) "there is no {noun} called or with the id `{name}`" | "没有名称或 ID 为 `{name}` 的{noun}";
    why_ambiguous(count, name, ids) "{count} things are called `{name}`: {ids}" | "有 {count} 个对象名为 `{name}`：{ids}";
    why_not_in_vault(name, vault) "vault `{vault}` does not hold `{name}`" | "存储库 `{vault}` 中没有 `{name}`";
    why_skipped(count) "{count} resources were left out, as said above" | "有 {count} 个资源被跳过，原因见上";
    why_interrupted() "stopped at the keyboard; the work goes on in the service" | "已被键盘中断；任务仍在服务端继续";
    why_timeout() "the time given is over; the work goes on in the service" | "已超过等待时间；任务仍在服务端继续";
    why_cancelled() "you did not say yes" | "您没有确认";
    why_url_missing() "no URL is given" | "没有给出地址";
    why_no_url(url) "`{url}` is not a URL of http or https" | "`{url}` 不是 http 或 https 地址";
    why_no_credential() "there is neither an access key nor a token" | "既没有访问密钥也没有令牌";
    why_no_profile(name) "there is no profile called `{name}`" | "没有名为 `{name}` 的配置";
    why_profile_readable() "others can read it, and it holds secrets" | "其他用户可读取该文件，而其中含有密钥";
    why_no_home() "neither XDG_CONFIG_HOME nor HOME is set" | "XDG_CONFIG_HOME 和 HOME 均未设置";
    why_several_projects(count, list) "the credential is good for {count} projects: {list}" | "该凭证可用于 {count} 个项目：{list}";
    why_no_repository() "neither --data-dir nor --key with --repository (or with a --config that names a bucket) is given" | "既没有给出 --data-dir，也没有给出 --key 以及 --repository（或指明存储桶的 --config）";
    why_several_disks(count, names) "it has {count} disks: {names}" | "它有 {count} 个磁盘：{names}";
    why_which_disk(disks) "the server has these disks: {disks}; choose one with --disk" | "该云服务器有以下磁盘：{disks}；请用 --disk 选择一个";
    why_several_exports(count, ids) "{count} exports fit: {ids}; use the id" | "有 {count} 个导出符合：{ids}；请使用 ID";
    why_stopped() "stopped at the keyboard; the unfinished file ends in .partial" | "已被键盘中断；未完成的文件以 .partial 结尾";
    why_repair_ended(name) "cannot repair the repository; what was done stays: run it again, or take it away with `cbr repo repair --undo {name}`" | "无法修复仓库；已完成的部分保留：请重新运行，或用 `cbr repo repair --undo {name}` 撤销";
    why_repo_damaged(count) "{count} objects are missing or damaged, as said above" | "有 {count} 个对象缺失或损坏，见上";
    why_repo_audit(wrong, unreadable) "{wrong} chains are booked wrongly, {unreadable} could not be counted" | "{wrong} 条链账目有误，{unreadable} 条无法清点";
    why_repo_gc_blocked(count) "{count} chains contradict themselves, as said above; nothing of them was removed" | "有 {count} 条链自相矛盾，见上；未删除其中任何内容";
    why_doctor(count) "{count} findings are bad, as said above" | "有 {count} 项异常，见上";
    why_map_needs_server() "--map is for backups of servers; this is the backup of a disk" | "--map 仅用于云服务器备份，而这是云硬盘备份";
}

// What to do about it.
texts! {
    next_unreachable() "see whether the service runs (`systemctl status cbr`) and whether the URL is right" | "请检查服务是否运行（`systemctl status cbr`）以及地址是否正确";
    next_malformed() "check the URL; a proxy may be answering instead of the service" | "请检查地址；应答者可能是代理而不是服务";
    next_not_found() "the `list` command shows what there is; names are exact" | "可用 `list` 命令查看现有对象；名称须完全一致";
    next_ambiguous() "use the id" | "请使用 ID";
    next_show_vault(vault) "`cbr vault show {vault}` lists what it holds" | "可用 `cbr vault show {vault}` 查看其中的资源";
    next_busy() "wait until the running task has ended (`cbr task watch`), then try again" | "请等待正在运行的任务结束（`cbr task watch`）后重试";
    next_target_too_small() "make a disk that is large enough with `cbr volume create --from-backup`" | "请用 `cbr volume create --from-backup` 创建足够大的新盘";
    next_volume_gone(backup) "`cbr volume create NAME --from-backup {backup}` makes a disk of it" | "可用 `cbr volume create NAME --from-backup {backup}` 由该备份创建磁盘";
    next_server_gone(backup) "`cbr image create NAME --from-backup {backup}`, then `cbr server create` of the image" | "可先用 `cbr image create NAME --from-backup {backup}` 制作镜像，再用 `cbr server create` 创建服务器";
    next_target_in_use() "detach the disk or stop what uses it, then try again" | "请先卸载磁盘或停止使用它的程序，然后重试";
    next_vault_has_too_many() "bind the resource to another vault" | "请将资源绑定到其他存储库";
    next_wrong_type() "use a vault of the matching type (`cbr vault create --type`)" | "请使用类型相符的存储库（`cbr vault create --type`）";
    next_bound_elsewhere() "unbind it from the other vault first (`cbr vault unbind`; its backups there are deleted)" | "请先从另一存储库解绑（`cbr vault unbind`，其备份会被删除）";
    next_vault_full() "enlarge it with `cbr vault update VAULT --size GB`, or delete backups" | "请用 `cbr vault update VAULT --size GB` 扩容，或删除备份";
    next_not_bound() "bind it first with `cbr vault bind`" | "请先用 `cbr vault bind` 绑定";
    next_unauthenticated() "log in again with `cbr login`; signatures also need a clock that is right within 15 minutes" | "请用 `cbr login` 重新登录；签名还要求本机时钟误差在 15 分钟以内";
    next_forbidden() "ask the administrator of the account, or name the right project with --project" | "请联系账号管理员，或用 --project 指定正确的项目";
    next_server_error() "look for the request id in the service's log (`journalctl -u cbr`), then run `cbr doctor`" | "请在服务日志（`journalctl -u cbr`）中查找请求编号，然后运行 `cbr doctor`";
    next_task_failed(task) "`cbr task show {task}` shows all of it" | "可用 `cbr task show {task}` 查看详情";
    next_watch(tasks) "`cbr task watch {tasks}` waits again" | "可用 `cbr task watch {tasks}` 继续等待";
    next_no_connection() "run `cbr login`, or name an account file with --bootstrap-file, or set CBR_URL, CBR_ACCESS_KEY and CBR_SECRET_KEY" | "请运行 `cbr login`，或用 --bootstrap-file 指定账号文件，或设置 CBR_URL、CBR_ACCESS_KEY 和 CBR_SECRET_KEY";
    next_no_profile() "`cbr profile list` shows the profiles" | "可用 `cbr profile list` 查看配置";
    next_bootstrap_file() "name the file that `cbr serve --bootstrap-file` wrote" | "请指定 `cbr serve --bootstrap-file` 写出的文件";
    next_repo_ls() "`cbr repo ls` shows the names of all disks" | "可用 `cbr repo ls` 查看所有磁盘的名称";
    next_exports() "`cbr backup exports` shows what is exported" | "可用 `cbr backup exports` 查看现有导出";
    next_export_here(node) "run this on the machine of the service ({node}), as the user of the service; or from elsewhere with --tls-certificates, if export.listen is configured" | "请在服务所在机器（{node}）上以服务用户身份运行；若已配置 export.listen，也可从其他机器用 --tls-certificates 访问";
    next_repo_damaged() "restore these backups elsewhere as far as they go, check the disks the repository lies on, and make new full backups (`cbr backup create --full`)" | "请将受影响的备份尽量恢复到别处，检查仓库所在磁盘，并重新做全量备份（`cbr backup create --full`）";
    next_repo_audit() "delete nothing, run `cbr repo check`, and report this as a defect" | "请勿删除任何内容，运行 `cbr repo check` 并将此作为缺陷上报";
    next_repo_gc_blocked() "run `cbr repo check`; if it finds nothing, try again: a backup may have been running" | "请运行 `cbr repo check`；若未发现问题请重试，可能当时有备份正在进行";
    next_several_projects() "name one with --project or CBR_PROJECT_ID" | "请用 --project 或 CBR_PROJECT_ID 指定一个";
    next_login_how() "give --bootstrap-file, --access-key or --user" | "请给出 --bootstrap-file、--access-key 或 --user";
}

// Questions, notes and results.
texts! {
    ask_delete_vault(vault) "Delete vault `{vault}` and ALL backups in it?" | "删除存储库 `{vault}` 及其中的全部备份？";
    ask_delete_backup(backups) "Delete {backups}? This cannot be undone." | "删除 {backups}？此操作不可撤销。";
    ask_delete_backup_undo(backups, days) "Delete {backups}? For {days} days `cbr backup undelete` takes it back." | "删除 {backups}？{days} 天内可用 `cbr backup undelete` 恢复。";
    ask_delete_volume(volume) "Delete disk `{volume}` and its content?" | "删除云硬盘 `{volume}` 及其内容？";
    ask_delete_server(server) "Delete server `{server}`? Its disks stay." | "删除云服务器 `{server}`？其磁盘保留。";
    ask_delete_server_with_volumes(server) "Delete server `{server}` AND all its disks with their content?" | "删除云服务器 `{server}` 及其所有磁盘和内容？";
    ask_delete_image(image) "Delete image `{image}`? Its backup stays." | "删除镜像 `{image}`？其备份保留。";
    ask_delete_image_with_backup(image) "Delete image `{image}` AND the backup it is made of?" | "删除镜像 `{image}` 及其备份？";
    ask_unbind(resources, vault) "Take {resources} out of vault `{vault}` and delete their backups in it?" | "将 {resources} 移出存储库 `{vault}` 并删除其备份？";
    ask_restore(target, backup) "Overwrite `{target}` with backup `{backup}`? What is on it now is lost; this cannot be undone." | "用备份 `{backup}` 覆盖 `{target}`？其现有数据将丢失，且无法撤销。";
    ask_unmount(backup) "End the export of `{backup}` and forget what was written to it?" | "结束 `{backup}` 的导出并丢弃写入的内容？";
    ask_password() "Password:" | "密码：";
    ask_secret_key() "Secret key:" | "私有访问密钥：";
    note_skipped(name, reason, code) "left out: {name}: {reason} ({code})" | "已跳过 {name}：{reason} ({code})";
    note_mounted() "It stays until you press Ctrl-C" | "按 Ctrl-C 结束";
    done_unmount(export) "Ended export {export}" | "已结束导出 {export}";
    done_export(path, size) "Wrote {path} ({size})" | "已写入 {path}（{size}）";
    done_repo_nbd(socket) "Serving over NBD at {socket}" | "正在通过 NBD 提供：{socket}";
    done_delete(noun, name) "Deleted {noun} {name}" | "已删除{noun} {name}";
    done_undo(done, days) "{done}; for {days} days `cbr backup undelete` takes deleted backups back" | "{done}；{days} 天内可用 `cbr backup undelete` 恢复已删除的备份";
    done_unbind(resources, vault) "Took {resources} out of vault {vault}" | "已将 {resources} 移出存储库 {vault}";
    done_restore(backup, target) "Restored {backup} to {target}" | "已将 {backup} 恢复到 {target}";
    done_cancel_task(task) "Asked task {task} to stop" | "已请求停止任务 {task}";
    done_check(path) "{path} is valid" | "{path} 有效";
    done_dry_run(freed, logical) "deleting them would free {freed} in the store and {logical} of vault capacity; nothing was deleted" | "删除后可释放存储空间 {freed}、存储库容量 {logical}；未删除任何内容";
    done_dry_run_undo(freed, logical, days) "deleting them would free {logical} of vault capacity at once, and {freed} in the store after {days} days, or with `cbr backup purge`; nothing was deleted" | "删除后立即释放存储库容量 {logical}，{days} 天后（或用 `cbr backup purge`）释放存储空间 {freed}；未删除任何内容";
    done_repo_restore(path) "Restored to {path}" | "已恢复到 {path}";
    done_repo_check(versions, objects, bytes) "Checked {versions} versions, {objects} objects, {bytes}" | "已检查 {versions} 个版本、{objects} 个对象，共 {bytes}";
    done_rebuild(vaults, resources, checkpoints, backups, known) "Wrote {vaults} vaults, {resources} resources, {checkpoints} checkpoints and {backups} backups; {known} disks were known" | "已写入 {vaults} 个存储库、{resources} 个资源、{checkpoints} 个还原点和 {backups} 个备份；{known} 个磁盘版本原已存在";
    done_repo_audit(chains) "Counted {chains} chains: the books are right" | "已清点 {chains} 条链：账目正确";
    note_audit_unreadable(chain, why) "cannot count {chain}: {why}" | "无法清点 {chain}：{why}";
    done_repo_gc(bytes) "Removed {bytes}" | "已删除 {bytes}";
    done_repo_gc_dry(count, bytes) "{count} packs would change, {bytes} would go; nothing was done" | "将处理 {count} 个数据包，释放 {bytes}；未执行任何操作";
    note_gc_blocked(chain, why) "nothing can be removed of {chain}: {why}" | "无法清理 {chain}：{why}";
    note_gc_waiting(size) "{size} are not needed any more and wait for unfinished backups that may share them" | "有 {size} 已不再需要，但要等可能共享这些数据的未完成备份结束后才能清理";
    note_gc_rescued(object) "DEFECT, please report it: {object} was given up and is still needed; it stays" | "缺陷，请上报：{object} 被判为无用但仍被引用，已保留";
    note_gc_trash(versions, bytes) "{versions} deleted disks can still be taken back and keep {bytes}" | "有 {versions} 个已删除的磁盘版本仍可恢复，占用 {bytes}";
    note_trashed(count) "{count} deleted backups can be taken back: their time begins anew" | "有 {count} 个已删除的备份可以恢复：保留时间重新计算";
    note_lost(count) "{count} disks of the database are not in the repository" | "数据库中有 {count} 个磁盘版本不在仓库中";
    note_unreadable(count) "{count} disks have no readable card: only `cbr repo restore` reaches them" | "{count} 个磁盘版本没有可读的卡片，只能用 `cbr repo restore` 恢复";
    note_rebuild_account() "Accounts and keys are not in the repository: the next `cbr serve` makes the first account anew" | "账号和密钥不在仓库中：下次 `cbr serve` 会重新创建首个账号";
    note_account_file(path) "the first account is in {path}; it is told nowhere else" | "首个账号已写入 {path}，不会再次显示";
    note_account_once() "The first account. It is told only now: keep it." | "首个账号，仅显示这一次，请妥善保存。";
    note_ready(url) "ready at {url}" | "服务已就绪：{url}";
    done_login(name, path) "Logged in; profile `{name}` is kept in {path}" | "登录成功；配置 `{name}` 保存在 {path}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_the_language() {
        let table = [("zh_CN.UTF-8", Lang::Zh), ("zh", Lang::Zh), ("C", Lang::En), ("", Lang::En)];
        for (locale, lang) in table {
            assert_eq!(Lang::of_locale(locale), lang, "{locale}");
        }
    }

    #[test]
    fn texts_carry_their_values_in_both_languages() {
        for lang in [Lang::En, Lang::Zh] {
            assert!(lang.why_several_projects(2, "a, b").contains("a, b"));
        }
    }
}

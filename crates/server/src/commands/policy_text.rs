//! What the commands of policies say.

use std::fmt::Display;

use crate::text::{Lang, texts};

texts! {
    noun_backup_policy() "policy" | "策略";
    noun_organization_policy() "organization policy" | "组织策略";
    col_copies_name() "NAME IN PROJECTS" | "项目内名称";
    col_scope() "SCOPE" | "作用范围";
    col_origin() "ORIGIN" | "来源";
    col_runs() "RUNS" | "执行时间";
    col_time_zone() "TIME ZONE" | "时区";
    noun_policy_run() "policy runs" | "策略执行记录";
    col_scheduled() "DUE (UTC)" | "计划时间 (UTC)";
    col_run_policy() "POLICY" | "策略";
    col_backups_started() "BACKUPS" | "备份数";
    what_retention(backup) "cannot look after the retention of backup `{backup}`" | "无法处理备份 `{backup}` 的保留状态";
    noun_anomaly() "suspicious backups" | "可疑备份";
    col_clean() "LAST CLEAN" | "最近正常备份";
    col_found() "FOUND (UTC)" | "发现时间 (UTC)";
    col_holds() "HELD BY" | "保留标记";
    col_goes() "GOES (UTC)" | "到期删除 (UTC)";
    col_goes_by() "BY RULE" | "规则";
    col_state() "STATE" | "结果";
    col_left_out() "LEFT OUT" | "跳过";
    col_why() "WHY" | "原因";
    col_keeps() "KEEPS" | "保留规则";
    col_vaults() "VAULTS" | "存储库";
    col_kept_until() "KEPT UNTIL (UTC)" | "保留至 (UTC)";
    what_preview(vault) "cannot preview retention in vault `{vault}`" | "无法预览存储库 `{vault}` 的保留结果";
    why_no_change() "nothing was named that shall be different" | "未指定要修改的内容";
    next_policy_update() "`cbr policy update --help` lists what can be changed" | "可用 `cbr policy update --help` 查看可修改的内容";
    ask_delete_policy(policy, vaults) "Delete policy `{policy}`, which {vaults} vaults use? Backups stay." | "删除策略 `{policy}`（{vaults} 个存储库在用）？备份会保留。";
    done_bind_policy(policy, vault) "Policy {policy} works for vault {vault}" | "策略 {policy} 已绑定到存储库 {vault}";
    done_unbind_policy(policy, vault) "Policy {policy} no longer works for vault {vault}" | "策略 {policy} 已从存储库 {vault} 解绑";
    done_preview(removed, kept) "{removed} backups would be removed now, {kept} would stay; nothing was removed" | "现在将删除 {removed} 个备份，保留 {kept} 个；未执行任何删除";
}

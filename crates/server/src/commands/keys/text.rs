//! What the key commands say.

use std::fmt::Display;

use crate::text::{Lang, texts};

texts! {
    what_key(doing) "cannot {doing}" | "无法{doing}";
    key_destroy() "destroy the tenant's keys" | "销毁租户密钥";
    key_export() "write a copy of the master key" | "导出主密钥副本";
    key_import() "take the master key from its copy" | "从副本导入主密钥";
    key_change() "change the master key" | "更换主密钥";
    why_key_sure(versions)
        "nothing of this tenant can be read ever again, {versions} versions now; add --yes-destroy-all-data to do it"
        | "该租户的数据将永远无法读取（当前有 {versions} 个版本）；确认请加 --yes-destroy-all-data";
    why_passphrase_short(chars)
        "the passphrase is shorter than {chars} characters" | "口令少于 {chars} 个字符";
    why_passphrases_differ() "the two passphrases differ" | "两次输入的口令不一致";
    why_key_needs_data_dir()
        "the key file and the secrets in the database change with it" | "密钥文件和数据库中的机密也会随之更换";
    next_key_data_dir() "name the service's data directory with --data-dir" | "请用 --data-dir 指定服务的数据目录";
    ask_passphrase() "Passphrase for the copy:" | "副本口令：";
    ask_passphrase_again() "Once more:" | "请再次输入：";
    done_key_rotated(tenant, number)
        "tenant {tenant}: new data is sealed with key {number}; what is stored stays readable"
        | "租户 {tenant}：新数据使用密钥 {number}；已有数据仍可读取";
    done_key_changed(number)
        "the master key was changed (number {number}); the old one opens nothing any more"
        | "主密钥已更换（编号 {number}）；旧密钥已失效";
    note_key_old(path)
        "the old key is kept in {path}, for copies of the repository made before; destroy it when there are none"
        | "旧密钥保存在 {path}，用于打开之前的资源库副本；不再需要时请销毁";
    note_key_copy()
        "make a new copy with `cbr repo key export`: the old copies open nothing any more"
        | "请用 `cbr repo key export` 制作新副本：旧副本已失效";
    note_key_continued() "an interrupted change is being finished" | "正在完成之前中断的更换";
    done_key_destroyed(tenant)
        "the keys of tenant {tenant} are destroyed; its data cannot be read any more"
        | "租户 {tenant} 的密钥已销毁，其数据无法再读取";
    note_key_removed(size) "removed {size} of its objects" | "已删除其对象 {size}";
    done_key_exported(path)
        "{path}: keep it where neither this machine nor the repository is; it opens with the passphrase only"
        | "{path}：请保存在本机和资源库之外；只有口令能打开它";
    done_key_imported(path) "{path}: the master key, checked" | "{path}：主密钥，已校验";
    done_key_maintenance(path, tenants)
        "{path}: lists, accounts, deletes and collects for {tenants} tenants; reads no data"
        | "{path}：可列出、统计、删除和回收 {tenants} 个租户；无法读取数据";
    col_tenant() "tenant" | "租户";
    col_keys() "keys" | "密钥";
    key_destroyed() "destroyed" | "已销毁";
    note_key_masters(mine, all)
        "master key number {mine}; these open the repository now: {all}" | "主密钥编号 {mine}；当前可打开资源库的编号：{all}";
    note_key_unfinished()
        "an earlier master key still opens it: run `cbr repo key rotate-master` to finish the change"
        | "较早的主密钥仍可打开资源库：请运行 `cbr repo key rotate-master` 完成更换";
    done_key_reencrypt(objects, bytes, key)
        "Sealed {objects} objects ({bytes}) anew; they open with key {key} only"
        | "已重新加密 {objects} 个对象（{bytes}）；仅密钥 {key} 可打开";
    done_key_reencrypt_plan(objects, bytes, key)
        "{objects} objects ({bytes}) would be sealed anew with key {key}; nothing was changed"
        | "将用密钥 {key} 重新加密 {objects} 个对象（{bytes}）；未做任何更改";
    done_key_reencrypt_nothing(key)
        "All data opens with key {key} only; nothing to do"
        | "全部数据仅密钥 {key} 可打开；无需操作";
    what_key_reencrypt()
        "not everything could be sealed anew"
        | "未能全部重新加密";
    why_key_reencrypt_left(count, first)
        "an older key still opens {count} objects, {first} among them: they are damaged, or a backup that runs wrote them"
        | "旧密钥仍可打开 {count} 个对象（包括 {first}）：它们已损坏，或由正在运行的备份写入";
    next_key_reencrypt_left()
        "Run it again when no backup runs; after that, see `cbr repo repair --dry-run`"
        | "请在没有备份运行时重试；之后请查看 `cbr repo repair --dry-run`";
    note_key_reencrypt_records(records)
        "{records} records of versions (names, sizes, cards; no data) are never rewritten: an older key still opens them"
        | "{records} 条版本记录（名称、大小、卡片；不含数据）不会被重写：旧密钥仍可打开";
    note_key_reencrypt_first()
        "the tenant has one key only: `cbr repo key rotate-tenant` makes a new one first"
        | "该租户只有一个密钥：请先用 `cbr repo key rotate-tenant` 生成新密钥";
}

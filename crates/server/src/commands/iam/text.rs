//! What the commands of identity and access say.

use std::fmt::Display;

use crate::text::{Lang, texts};

texts! {
    noun_account() "account" | "账号";
    col_password() "PASSWORD" | "密码";
    noun_user() "user" | "用户";
    noun_group() "group" | "用户组";
    noun_policy() "policy" | "策略";
    noun_project() "project" | "项目";
    noun_access_key() "access key" | "访问密钥";
    noun_second_factor() "second factor" | "虚拟 MFA";
    noun_grant() "grant" | "授权";
    noun_agency() "agency" | "委托";
    noun_enterprise_project() "enterprise project" | "企业项目";
    col_trusts() "TRUSTS" | "委托账号";
    col_agency_ends() "ENDS (UTC)" | "到期时间 (UTC)";
    col_enabled() "ENABLED" | "启用";
    col_email() "MAIL" | "邮箱";
    col_catalog() "SERVICE" | "服务";
    col_place() "WHERE" | "范围";
    col_policy() "POLICY" | "策略";
    col_user_id() "USER ID" | "用户 ID";
    col_last_use() "LAST USED (UTC)" | "最近使用 (UTC)";
    col_secret_key() "SECRET KEY" | "私有访问密钥";
    col_serial() "SERIAL NUMBER" | "序列号";
    col_bound() "BOUND" | "已绑定";
    col_seed() "SEED" | "种子";
    place_account() "the account" | "账号";
    place_all_projects() "all projects" | "所有项目";
    what_password(user) "cannot change the password of `{user}`" | "无法修改 `{user}` 的密码";
    what_change(noun, name) "cannot change {noun} `{name}`" | "无法修改{noun} `{name}`";
    what_member(user, group) "cannot change whether `{user}` is in group `{group}`" | "无法变更 `{user}` 在用户组 `{group}` 中的成员关系";
    what_grant(policy, group) "cannot grant `{policy}` to `{group}`" | "无法将 `{policy}` 授予 `{group}`";
    what_revoke(policy, group) "cannot take `{policy}` back from `{group}`" | "无法从 `{group}` 收回 `{policy}`";
    what_policy_file(path) "cannot read the policy in {path}" | "无法读取 {path} 中的策略";
    done_password(user) "The password of {user} was changed; its tokens are void" | "已修改 {user} 的密码，其令牌已失效";
    done_joined(user, group) "{user} is in group {group}" | "{user} 已加入用户组 {group}";
    done_left(user, group) "{user} is no longer in group {group}" | "{user} 已移出用户组 {group}";
    done_granted(policy, group, place) "{group} has {policy} in {place}" | "{group} 在{place}拥有 {policy}";
    done_revoked(policy, group, place) "{group} no longer has {policy} in {place}" | "{group} 在{place}不再拥有 {policy}";
    done_enabled(noun, name) "{noun} {name} is enabled" | "{noun} {name} 已启用";
    done_disabled(noun, name) "{noun} {name} is disabled: nothing new goes into it" | "{noun} {name} 已停用，不再接收新资源";
    done_bound() "Bound: logins with a password need a code from now on" | "已绑定：此后使用密码登录需要验证码";
    done_unbound() "Unbound: logins with a password need no code any more" | "已解绑：使用密码登录不再需要验证码";
    note_new_account() "The account. Its secrets are told only now: keep them." | "新账号，密钥仅显示这一次，请妥善保存。";
    note_key_once() "The secret key is told only now: keep it." | "私有访问密钥仅显示这一次，请妥善保存。";
    note_seed_once() "The seed is told only now: put it into an authenticator, then bind it with two codes (`cbr iam mfa bind`)." | "种子仅显示这一次：请录入身份验证器，再用两个连续验证码绑定（`cbr iam mfa bind`）。";
    ask_delete_identity(noun, name) "Delete {noun} `{name}`?" | "删除{noun} `{name}`？";
    ask_new_password() "New password:" | "新密码：";
    ask_code() "Code:" | "验证码：";
    ask_next_code() "Next code:" | "下一个验证码：";
}

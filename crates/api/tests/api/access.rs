//! Who may do what (IAM-01 to IAM-12): through groups and policies, from one request to the next.

use cbr_api::OPERATIONS;
use cbr_api::operation::{Admission, Operation};
use serde_json::{Value, json};

use crate::app::{App, DOMAIN_NAME, VOLUMES, vault_body};
use crate::client::{Answer, Call, send};
use crate::people::{Office, PASSWORD, call, id_of, log_in, token_of};

/// Whether a policy kept somebody out.
fn is_denied(answer: &Answer) -> bool {
    let text = answer.body.to_string();
    answer.status == 403 && text.contains("o policy allows")
}

/// A call of the operation with plausible ids.
fn any_call(operation: &Operation, project: &str) -> Call {
    let path: Vec<&str> = operation
        .path
        .split('/')
        .map(|segment| match segment {
            "{project_id}" => project,
            "{protectable_type}" => "disk",
            other if other.starts_with('{') => "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01",
            other => other,
        })
        .collect();
    let call = Call::new(operation.verb.as_str(), path.join("/"));
    if operation.is_mutating() { call.json(&json!({})) } else { call }
}

/// IAM-05, IAM-06 as a rule about names, written without a look at the policies themselves.
fn expected(policy: &str, operation: &Operation, action: &str) -> bool {
    let (service, rest) = action.split_once(':').unwrap();
    let is_of_policies = rest.starts_with("policies:") || rest.starts_with("organizationPolicies:");
    let is_agent_check = action == "cbr:backups:checkAgent";
    // What is not recorded changes nothing, also where it is asked for with POST.
    let reads = operation.event.is_none() && !is_agent_check;
    match (policy, service) {
        ("CBR FullAccess", "cbr") => true,
        ("CBR BackupsAndVaultsFullAccess", "cbr") => !is_of_policies || reads,
        ("CBR ReadOnlyAccess", "cbr")
        | ("CBR FullAccess" | "CBR BackupsAndVaultsFullAccess", "ecs" | "evs") => reads,
        _ => false,
    }
}

/// IAM-01, IAM-05, IAM-06, IAM-07: every operation of the table × no policy and each system policy.
#[tokio::test]
async fn the_system_policies_open_what_the_guides_table_says_and_nothing_else() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let policies = ["CBR FullAccess", "CBR BackupsAndVaultsFullAccess", "CBR ReadOnlyAccess"];
    let mut cells = 0;
    let nobody = office.person("nobody", &[]).await;
    for (i, policy) in policies.into_iter().enumerate() {
        let person = office.person(&format!("person-{i}"), &[policy]).await;
        for operation in OPERATIONS.iter().filter(|of| of.path.contains("{project_id}")) {
            let Some(action) = operation.action else { continue };
            let call = any_call(operation, &app.project());
            let answer = send(&app.router, call.clone().token(&person.token).build()).await;
            // What has its effect in all projects is not opened in one.
            let is_of_all = action.starts_with("cbr:organizationPolicies:");
            let expected = expected(policy, operation, action) && !is_of_all;
            assert_eq!(!is_denied(&answer), expected, "{policy} × {}: {answer:?}", operation.name);
            let answer = send(&app.router, call.token(&nobody.token).build()).await;
            assert!(is_denied(&answer), "nothing × {}: {answer:?}", operation.name);
            assert_eq!(answer.code(), "BackupService.0403", "{}", operation.name);
            cells += 2;
        }
    }
    assert!(cells >= 6 * 38, "{cells} cells");
}

/// IAM-02: what changes every project of the account needs a grant for all of them.
#[tokio::test]
async fn policies_of_the_account_need_a_grant_for_all_projects() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR FullAccess"]).await;
    let list = || person.call(&app, "GET", "/organization-policies?operation_type=backup", None);
    let create = || person.call(&app, "POST", "/organization-policies", Some(json!({})));
    assert!(is_denied(&list().await) && is_denied(&create().await));
    let (group, role) = (office.group("all").await, office.role("CBR FullAccess").await);
    office.join(&group, &person.id).await;
    let of_all = format!(
        "/v3/OS-INHERIT/domains/{}/groups/{group}/roles/{role}/inherited_to_projects",
        office.domain
    );
    office.call("PUT", &of_all, None).await.expect(204);
    list().await.expect(200);
    create().await.expect(400);
}

/// IAM-01: what a user may do changes with the next request, in both directions.
#[tokio::test]
async fn grants_and_memberships_have_their_effect_at_once() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &[]).await;
    let list = || person.call(&app, "GET", "/vaults", None);
    assert!(is_denied(&list().await));
    let group = office.group("readers").await;
    office.join(&group, &person.id).await;
    let role = office.role("CBR ReadOnlyAccess").await;
    office.grant(&group, &role).await;
    list().await.expect(200);
    let create = person.call(&app, "POST", "/vaults", Some(vault_body("v"))).await;
    assert!(is_denied(&create), "{create:?}");

    let at = office.in_project(&group, &role);
    office.call("HEAD", &at, None).await.expect(204);
    office.call("DELETE", &at, None).await.expect(204);
    office.call("HEAD", &at, None).await.expect(404);
    assert!(is_denied(&list().await));
    office.grant(&group, &role).await;
    list().await.expect(200);
    let member = format!("/v3/groups/{group}/users/{}", person.id);
    office.call("HEAD", &member, None).await.expect(204);
    office.call("DELETE", &member, None).await.expect(204);
    office.call("HEAD", &member, None).await.expect(404);
    assert!(is_denied(&list().await));
    office.join(&group, &person.id).await;
    list().await.expect(200);
    office.call("DELETE", &format!("/v3/groups/{group}"), None).await.expect(204);
    assert!(is_denied(&list().await));
}

/// IAM-02, RGN-01: a grant is good in its project, or in all; CBR is not opened by one for the account.
#[tokio::test]
async fn a_grant_reaches_as_far_as_it_says() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let project = json!({"project": {"name": "second", "description": "the other one"}});
    let second = office.post("/v3/projects", project).await.expect(201).body["project"].clone();
    assert_eq!(second["description"], "the other one");
    let second = id_of(&second);
    let person = office.person("alice", &["CBR ReadOnlyAccess"]).await;
    person.call(&app, "GET", "/vaults", None).await.expect(200);
    let scope = json!({"project": {"id": second}});
    let there = token_of(&log_in(&app, "alice", PASSWORD, &scope).await.expect(201));
    let vaults = format!("/v3/{second}/vaults");
    assert!(is_denied(&call(&app, &there, "GET", &vaults, None).await));
    // The token of one project opens no other, whatever its user may do there.
    call(&app, &person.token, "GET", &vaults, None).await.expect(403);

    let (group, role) = (office.group("all").await, office.role("CBR ReadOnlyAccess").await);
    office.join(&group, &person.id).await;
    let domain = &office.domain;
    let account = format!("/v3/domains/{domain}/groups/{group}/roles/{role}");
    office.call("PUT", &account, None).await.expect(400);
    let all = |end: &str| {
        format!("/v3/OS-INHERIT/domains/{domain}/groups/{group}/roles{end}/inherited_to_projects")
    };
    let one = all(&format!("/{role}"));
    office.call("PUT", &one, None).await.expect(204);
    office.call("HEAD", &one, None).await.expect(204);
    call(&app, &there, "GET", &vaults, None).await.expect(200);
    let listed = office.get(&all("")).await.expect(200);
    assert_eq!(listed.body["roles"][0]["id"], role);
    office.call("DELETE", &one, None).await.expect(204);
    office.call("DELETE", &one, None).await.expect(404);
    assert!(is_denied(&call(&app, &there, "GET", &vaults, None).await));
}

/// IAM-08 to IAM-11: a policy of the account, the guide's second example, and its change.
#[tokio::test]
async fn a_custom_policy_allows_denies_and_changes_at_once() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let deny = json!([{"Effect": "Deny", "Action": ["cbr:vaults:delete", "cbr:backups:delete"]}]);
    let policy = office.policy("no deleting", deny).await;
    let person = office.person("alice", &["CBR FullAccess", "no deleting"]).await;
    let answer = person.call(&app, "POST", "/vaults", Some(vault_body("v"))).await.expect(200);
    let vault = format!("/vaults/{}", id_of(&answer.body["vault"]));
    assert!(is_denied(&person.call(&app, "DELETE", &vault, None).await));
    let lone = office.person("bob", &["no deleting"]).await;
    assert!(
        is_denied(&lone.call(&app, "GET", "/vaults", None).await),
        "a lone Deny allows nothing"
    );

    let changed = json!({"role": {"display_name": "no deleting", "type": "XA", "policy":
        {"Version": "1.1", "Statement": [{"Effect": "Deny", "Action": ["cbr:backups:delete"]}]}}});
    let path = format!("/v3.0/OS-ROLE/roles/{policy}");
    let after = office.call("PATCH", &path, Some(changed)).await.expect(200);
    assert_eq!(
        after.body["role"]["policy"]["Statement"][0]["Action"],
        json!(["cbr:backups:delete"])
    );
    person.call(&app, "DELETE", &vault, None).await.expect(204);
    // It is granted: it cannot go.
    assert_eq!(office.call("DELETE", &path, None).await.expect(409).code(), "IAM.0009");
}

/// Contract A.11, IAM-10: who puts a resource into a vault must see it at its own service as well.
#[tokio::test]
async fn binding_a_disk_also_needs_the_list_of_disks() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let allow = json!([{"Effect": "Allow", "Action": ["cbr:*:get*", "cbr:*:list*",
        "cbr:vaults:update", "cbr:vaults:delete", "cbr:vaults:create", "cbr:vaults:addResources"]}]);
    office.policy("vaults", allow).await;
    let see = json!([{"Effect": "Allow", "Action": ["evs:volumes:list"]}]);
    office.policy("see disks", see).await;
    let person = office.person("alice", &["vaults"]).await;
    let disk = json!({"id": VOLUMES[0], "type": "OS::Cinder::Volume"});
    let mut with_disk = vault_body("with-disk");
    with_disk["vault"]["resources"] = json!([disk]);
    let refused = person.call(&app, "POST", "/vaults", Some(with_disk.clone())).await;
    assert!(is_denied(&refused) && refused.body.to_string().contains("evs:volumes:list"));
    let made = person.call(&app, "POST", "/vaults", Some(vault_body("bare"))).await.expect(200);
    let bind = format!("/vaults/{}/addresources", id_of(&made.body["vault"]));
    let disks = || Some(json!({"resources": [disk]}));
    assert!(is_denied(&person.call(&app, "POST", &bind, disks()).await));
    let (group, role) = (office.group("seeing").await, office.role("see disks").await);
    office.grant(&group, &role).await;
    office.join(&group, &person.id).await;
    person.call(&app, "POST", &bind, disks()).await.expect(200);
}

/// IAM-09: what a policy cannot say is refused, and why is said.
#[tokio::test]
async fn policies_that_are_none_are_refused() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let statement = json!({"Effect": "Allow", "Action": ["cbr:vaults:get"]});
    let good = json!({"Version": "1.1", "Statement": [statement]});
    let with = |name: &str, kind: &str, policy: &Value| json!({"role": {"display_name": name, "type": kind, "policy": policy}});
    let cases = [
        with("a<b", "XA", &good),
        with("a", "XX", &good),
        with("a", "XA", &json!({"Version": "5.0", "Statement": [statement]})),
        with("a", "XA", &json!({"Version": "1.1", "Statement": []})),
        with(
            "a",
            "XA",
            &json!({"Version": "1.1", "Statement": [
            {"Effect": "Allow", "Action": ["cbr:vaults:get"], "Condition": {}}]}),
        ),
        json!({"role": {}}),
    ];
    for body in cases {
        let refused = office.post("/v3.0/OS-ROLE/roles", body.clone()).await.expect(400);
        assert_eq!(refused.code(), "BackupService.9900", "{body}");
    }
    office.policy("taken", json!([statement])).await;
    for name in ["taken", "CBR FullAccess"] {
        let again = office.post("/v3.0/OS-ROLE/roles", with(name, "XA", &good)).await;
        assert_eq!(again.expect(409).code(), "IAM.0007", "{name}");
    }
    let listed = office.get("/v3.0/OS-ROLE/roles").await.expect(200);
    assert_eq!(listed.body["total_number"], 1);
}

/// IAM-02: managing the account needs a policy there, and a credential that is for it.
#[tokio::test]
async fn the_account_is_managed_only_by_who_was_granted_it() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let officer = office.officer("officer", &["Security Administrator"]).await;
    let reader = office.officer("reader", &["IAM ReadOnlyAccess"]).await;
    let full = office.person("full", &["CBR FullAccess", "Tenant Administrator"]).await;
    let body = |name: &str| Some(json!({"user": {"name": name, "password": PASSWORD}}));
    call(&app, &officer.token, "POST", "/v3/users", body("made")).await.expect(201);
    call(&app, &reader.token, "GET", "/v3/users", None).await.expect(200);
    let cells = [(&reader, "what a reader may not"), (&full, "what is for projects")];
    for (who, why) in cells {
        let refused = call(&app, &who.token, "POST", "/v3/users", body("x")).await.expect(403);
        assert_eq!(refused.body["error"]["code"], 403, "{why}: {:?}", refused.body);
    }
    // The officer, and even the administrator, with a token for one project.
    let scope = json!({"project": {"id": app.project()}});
    let narrow = token_of(&log_in(&app, "officer", PASSWORD, &scope).await.expect(201));
    for token in [narrow.as_str(), app.token()] {
        call(&app, token, "POST", "/v3/users", body("x")).await.expect(403);
    }
    // An officer does not become the administrator.
    let admin = office.get("/v3/users?name=admin").await.expect(200);
    let admin = format!("/v3/users/{}", id_of(&admin.body["users"][0]));
    let taken_over = json!({"user": {"password": "Taken-0ver-Now"}});
    call(&app, &officer.token, "PATCH", &admin, Some(taken_over)).await.expect(403);
    call(&app, &officer.token, "DELETE", &admin, None).await.expect(409);
    let barred = json!({"user": {"enabled": false}});
    office.call("PATCH", &admin, Some(barred)).await.expect(409);
}

/// IAM-01, IAM-02, reliability 10.2: every operation of the account × who was granted nothing there, and the
/// administrator with a token for one project.
#[tokio::test]
async fn no_operation_of_the_account_is_open_without_a_grant_there() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let nobody = office.officer("nobody", &[]).await;
    let full = office.person("full", &["CBR FullAccess", "Tenant Administrator"]).await;
    let before = app.records().await.len();
    let mut cells = 0;
    for operation in OPERATIONS.iter().filter(|of| of.admission == Admission::Account) {
        for token in [nobody.token.as_str(), full.token.as_str(), app.token()] {
            let call = any_call(operation, &app.project()).token(token);
            let answer = send(&app.router, call.build()).await;
            assert_eq!(answer.status, 403, "{}: {answer:?}", operation.name);
            cells += 1;
        }
    }
    assert!(cells >= 3 * 60, "{cells} cells");
    let since = app.records().await.split_off(before);
    let is_refusal = |record: &String| record.contains("\"refused\":403");
    assert!(since.iter().all(is_refusal), "nothing was changed: {since:?}");
}

/// IAM-01: users, from their making to their end.
#[tokio::test]
async fn users_are_made_changed_and_removed() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let wanted = json!({"user": {"name": "alice", "password": PASSWORD, "description": "ops",
        "email": "alice@example.org", "domain_id": office.domain}});
    let made = office.post("/v3.0/OS-USER/users", wanted.clone()).await.expect(201);
    let user = &made.body["user"];
    assert_eq!((&user["enabled"], &user["email"]), (&json!(true), &json!("alice@example.org")));
    assert!(!String::from_utf8_lossy(&made.bytes).contains(PASSWORD));
    let id = id_of(user);
    let path = format!("/v3/users/{id}");
    assert_eq!(office.post("/v3/users", wanted).await.expect(409).body["error"]["code"], 409);
    for bad in [
        json!({"name": "a/b"}),
        json!({"name": "bob", "password": "short"}),
        json!({"name": "bob", "password": "bob-And-Password1"}),
        json!({"name": "bob", "email": "nowhere"}),
        json!({"name": "bob", "domain_id": "0605767b5780d5762fc5c0118072a564"}),
    ] {
        office.post("/v3/users", json!({"user": bad})).await.expect(400);
    }
    let change = json!({"user": {"description": "night shift"}});
    let after = office.call("PATCH", &path, Some(change)).await.expect(200);
    assert_eq!(after.body["user"]["description"], "night shift");
    assert_eq!(after.body["user"]["email"], "alice@example.org");
    let renamed = json!({"user": {"name": "admin"}});
    office.call("PATCH", &path, Some(renamed)).await.expect(409);
    let listed = office.get("/v3/users?name=alice&enabled=true").await.expect(200);
    assert_eq!(listed.body["users"].as_array().unwrap().len(), 1);

    // Oneself may be looked at, others not.
    let scope = json!({"project": {"id": app.project()}});
    let own = token_of(&log_in(&app, "alice", PASSWORD, &scope).await.expect(201));
    call(&app, &own, "GET", &path, None).await.expect(200);
    call(&app, &own, "GET", &format!("{path}/groups"), None).await.expect(200);
    let projects = call(&app, &own, "GET", &format!("{path}/projects"), None).await.expect(200);
    assert_eq!(projects.body["projects"].as_array().unwrap().len(), 1);
    let other = office.user("bob").await;
    call(&app, &own, "GET", &format!("/v3/users/{other}"), None).await.expect(403);
    office.call("DELETE", &path, None).await.expect(204);
    office.get(&path).await.expect(404);
    call(&app, &own, "GET", "/v3/auth/projects", None).await.expect(401);
}

/// P27: being barred, a new password and removal end what was issued, at once.
#[tokio::test]
async fn tokens_end_when_their_user_is_barred_or_gets_a_new_password() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR ReadOnlyAccess"]).await;
    let path = format!("/v3/users/{}", person.id);
    let scope = json!({"project": {"id": app.project()}});
    let list = |token: String| {
        let app = &app;
        async move { call(app, &token, "GET", &format!("/v3/{}/vaults", app.project()), None).await }
    };
    list(person.token.clone()).await.expect(200);
    let barred = json!({"user": {"enabled": false}});
    office.call("PATCH", &path, Some(barred)).await.expect(200);
    list(person.token.clone()).await.expect(401);
    log_in(&app, "alice", PASSWORD, &scope).await.expect(401);
    office.call("PATCH", &path, Some(json!({"user": {"enabled": true}}))).await.expect(200);
    list(person.token.clone()).await.expect(401);

    let token = token_of(&log_in(&app, "alice", PASSWORD, &scope).await.expect(201));
    let own = format!("{path}/password");
    let body = |original: &str, new: &str| {
        Some(json!({"user": {"original_password": original, "password": new}}))
    };
    call(&app, &token, "POST", &own, body("Wrong-0-Guess", "Another-1-Word")).await.expect(401);
    call(&app, &token, "POST", &own, body(PASSWORD, "weak")).await.expect(400);
    call(&app, &token, "POST", &own, body(PASSWORD, PASSWORD)).await.expect(400);
    call(&app, &token, "POST", &own, body(PASSWORD, "Another-1-Word")).await.expect(204);
    list(token).await.expect(401);
    log_in(&app, "alice", PASSWORD, &scope).await.expect(401);
    let token = token_of(&log_in(&app, "alice", "Another-1-Word", &scope).await.expect(201));
    let reset = json!({"user": {"password": PASSWORD}});
    office.call("PATCH", &path, Some(reset)).await.expect(200);
    list(token).await.expect(401);
}

/// P27: five wrong passwords lock for a quarter of an hour, also for the right one.
#[tokio::test]
async fn too_many_wrong_passwords_lock_the_login() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    office.user("alice").await;
    let scope = json!({"domain": {"name": DOMAIN_NAME}});
    for _ in 0..5 {
        log_in(&app, "alice", "Wrong-0-Guess", &scope).await.expect(401);
    }
    let locked = log_in(&app, "alice", PASSWORD, &scope).await.expect(401);
    let nobody = log_in(&app, "nobody", PASSWORD, &scope).await.expect(401);
    assert_eq!(locked.body, nobody.body, "that a user exists is not told");
    log_in(&app, crate::app::USER_NAME, app.password(), &scope).await.expect(201);
    app.clock.advance(std::time::Duration::from_mins(15));
    log_in(&app, "alice", PASSWORD, &scope).await.expect(201);
}

/// Groups, and who is in them.
#[tokio::test]
async fn groups_are_made_changed_and_removed() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let group = office.group("operators").await;
    let path = format!("/v3/groups/{group}");
    let again = json!({"group": {"name": "operators"}});
    office.post("/v3/groups", again).await.expect(409);
    office.post("/v3/groups", json!({"group": {"name": ""}})).await.expect(400);
    let change = json!({"group": {"name": "crew", "description": "by night"}});
    let after = office.call("PATCH", &path, Some(change)).await.expect(200);
    assert_eq!(after.body["group"]["name"], "crew");
    assert_eq!(office.get(&path).await.expect(200).body["group"]["description"], "by night");
    let user = office.user("alice").await;
    office.join(&group, &user).await;
    office.join(&group, &user).await;
    let members = office.get(&format!("{path}/users")).await.expect(200);
    assert_eq!(id_of(&members.body["users"][0]), user);
    let listed = office.get("/v3/groups?name=crew").await.expect(200);
    assert_eq!(listed.body["groups"].as_array().unwrap().len(), 1);
    office.call("DELETE", &path, None).await.expect(204);
    office.get(&path).await.expect(404);
}

/// P26: another account's things look like things that do not exist, and cannot be used.
#[tokio::test]
async fn an_account_sees_nothing_of_another() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let (user, group) = (office.user("alice").await, office.group("readers").await);
    let statement = json!([{"Effect": "Allow", "Action": ["cbr:*:*"]}]);
    let policy = office.policy("mine", statement).await;
    let role = office.role("CBR FullAccess").await;
    let (stranger, theirs) = app.stranger_for_account().await;
    let nothing = "0605767b5780d5762fc5c0118072a564";
    let own_group =
        call(&app, &stranger, "POST", "/v3/groups", Some(json!({"group": {"name": "g"}})));
    let own_group = id_of(&own_group.await.expect(201).body["group"]);
    let users = call(&app, &stranger, "GET", "/v3/users", None).await.expect(200);
    assert!(!users.body.to_string().contains("alice"), "{}", users.body);
    let (domain, project) = (&office.domain, app.project());
    let cells = [
        ("GET", format!("/v3/users/{user}"), &user),
        ("DELETE", format!("/v3/users/{user}"), &user),
        ("GET", format!("/v3/groups/{group}"), &group),
        ("DELETE", format!("/v3/groups/{group}"), &group),
        ("PUT", format!("/v3/groups/{own_group}/users/{user}"), &user),
        ("GET", format!("/v3/roles/{policy}"), &policy),
        ("DELETE", format!("/v3.0/OS-ROLE/roles/{policy}"), &policy),
        ("PUT", format!("/v3/projects/{theirs}/groups/{own_group}/roles/{policy}"), &policy),
        ("PUT", format!("/v3/projects/{theirs}/groups/{group}/roles/{role}"), &group),
        ("PUT", format!("/v3/projects/{project}/groups/{own_group}/roles/{role}"), &project),
        ("GET", format!("/v3/domains/{domain}/groups/{own_group}/roles"), domain),
        ("PATCH", format!("/v3/projects/{project}"), &project),
    ];
    for (method, path, id) in cells {
        let body = (method == "PATCH").then(|| json!({"project": {"name": "x"}}));
        let foreign = call(&app, &stranger, method, &path, body.clone()).await.expect(404);
        let absent = path.replace(id.as_str(), nothing);
        let absent = call(&app, &stranger, method, &absent, body).await.expect(404);
        let said = foreign.body.to_string().replace(id.as_str(), nothing);
        assert_eq!(said, absent.body.to_string(), "{method} {path}");
    }
    // The stranger's user in none of our groups, even with its id.
    let me = id_of(&users.body["users"][0]);
    let path = format!("/v3/groups/{group}/users/{me}");
    office.call("PUT", &path, None).await.expect(404);
    assert_eq!(
        id_of(&office.get(&format!("/v3/users/{user}")).await.expect(200).body["user"]),
        user
    );
}

/// AUD-01, P32: every change of the account is recorded with who made it, and without secrets.
#[tokio::test]
async fn changes_of_the_account_are_recorded_without_secrets() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let person = office.person("alice", &["CBR ReadOnlyAccess"]).await;
    let key = json!({"credential": {"user_id": person.id}});
    let made = office.post("/v3.0/OS-CREDENTIAL/credentials", key).await.expect(201);
    let secret = made.body["credential"]["secret"].as_str().unwrap().to_owned();
    let reset = json!({"user": {"password": "Another-1-Word"}});
    office.call("PATCH", &format!("/v3/users/{}", person.id), Some(reset)).await.expect(200);
    office.call("DELETE", &format!("/v3/users/{}", person.id), None).await.expect(204);
    let records = app.records().await;
    let names: Vec<String> = records
        .iter()
        .map(|record| {
            serde_json::from_str::<Value>(record).unwrap()["name"].as_str().unwrap().into()
        })
        .collect();
    assert_eq!(
        names,
        [
            "login",
            "createUser",
            "createGroup",
            "addUserToGroup",
            "grantPolicy",
            "login",
            "createAccessKey",
            "updateUser",
            "deleteUser"
        ]
    );
    let all = records.concat();
    for hidden in [PASSWORD, "Another-1-Word", &secret, &person.token, app.password()] {
        assert!(!all.contains(hidden), "{hidden} is in {all}");
    }
    assert!(all.contains(&person.name) && all.contains(&person.id));
}

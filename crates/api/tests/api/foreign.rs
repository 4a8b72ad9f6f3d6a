//! Every operation that names a thing × another account's thing: it looks like one that does not exist, and
//! nothing of it changes or shows (reliability 10.2, P26). Made from the table of operations.

use std::collections::BTreeMap;

use cbr_api::OPERATIONS;
use cbr_api::operation::{Admission, Operation};
use serde_json::{Value, json};

use crate::app::{App, VOLUMES};
use crate::client::{Answer, Call, send};
use crate::people::{Office, PASSWORD, id_of};
use crate::things::SERVER;

/// What a path names beside things of an account: everybody's, or looked up by everybody on purpose.
const NO_THINGS: [&str; 5] =
    ["project_id", "protectable_type", "feature_key", "domain_name", "source_project_id"];

/// A thing of each kind in the first account, by the name that paths have for its id.
type Things = BTreeMap<&'static str, String>;

async fn things(app: &App, office: &Office<'_>) -> Things {
    app.add_server();
    let (vault, backup) = app.back_up_disk("ours").await;
    let backup = id_of(&backup);
    let logs = app.get("/operation-logs").await.expect(200).body;
    let pattern = json!(["FREQ=WEEKLY;BYDAY=MO;BYHOUR=6;BYMINUTE=0"]);
    let policy = json!({"policy": {"name": "daily", "operation_type": "backup",
        "trigger": {"properties": {"pattern": pattern}},
        "operation_definition": {"max_backups": 5, "retention_duration_days": -1}}});
    let policy = app.post("/policies", &policy).await.expect(200).body;
    let (_, recipient) = app.stranger().await;
    let members = format!("/backups/{backup}/members");
    app.post(&members, &json!({"members": [recipient]})).await.expect(200);
    let export = app.post(&format!("/x/backups/{backup}/exports"), &json!({"export": {}})).await;
    let tag = json!({"tag": {"key": "team", "value": "ours"}});
    app.post(&format!("/vault/{vault}/tags"), &tag).await.expect(204);
    let volume = json!({"volume": {"name": "new", "size": 1, "count": 1}});
    let made = format!("/v2/{}/cloudvolumes", app.project());
    let job = app.call("POST", &made, Some(&volume)).await.expect(202).body;
    let (user, group) = (office.user("alice").await, office.group("crew").await);
    let statement = json!([{"Effect": "Allow", "Action": ["cbr:vaults:get"]}]);
    let agency = json!({"agency": {"name": "them", "trust_domain_name": "other"}});
    let agency = office.post("/v3.0/OS-AGENCY/agencies", agency).await.expect(201).body;
    let finance = office.post("/v1.0/enterprise-projects", json!({"name": "finance"})).await;
    let checkpoint = logs["operation_logs"][0]["checkpoint_id"].as_str().unwrap();
    BTreeMap::from([
        ("vault_id", vault),
        ("backup_id", backup),
        ("checkpoint_id", checkpoint.to_owned()),
        ("operation_log_id", id_of(&logs["operation_logs"][0])),
        ("policy_id", id_of(&policy["policy"])),
        ("member_id", recipient),
        ("export_id", id_of(&export.expect(201).body["export"])),
        ("key", "team".to_owned()),
        ("job_id", job["job_id"].as_str().unwrap().to_owned()),
        ("volume_id", VOLUMES[0].to_owned()),
        ("instance_id", VOLUMES[0].to_owned()),
        ("server_id", SERVER.to_owned()),
        ("id", app.project()),
        ("domain_id", office.domain.clone()),
        ("user_id", user),
        ("group_id", group),
        ("role_id", office.policy("mine", statement).await),
        ("agency_id", id_of(&agency["agency"])),
        ("access_key", app.access_key().to_owned()),
        ("enterprise_project_id", id_of(&finance.expect(201).body["enterprise_project"])),
    ])
}

/// What nobody has, in the form of what somebody has.
pub(crate) fn absent(id: &str) -> String {
    let uuid = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
    match id.len() {
        36 => uuid.to_owned(),
        32 => uuid.replace('-', ""),
        _ => "ABSENT".to_owned(),
    }
}

/// A body that the operation accepts, where it is one that changes what its path names.
pub(crate) fn body(operation: &Operation) -> Value {
    let role = json!({"display_name": "x", "type": "XA", "policy": {"Version": "1.1", "Statement": [
        {"Effect": "Allow", "Action": ["cbr:vaults:get"]}]}});
    match operation.name {
        "UpdateVault" => json!({"vault": {"name": "theirs"}}),
        "UpdateBackup" => json!({"backup": {"name": "theirs"}}),
        "UpdatePolicy" => json!({"policy": {"enabled": false}}),
        "RestoreBackup" => json!({"restore": {}}),
        "CreateBackupExport" => json!({"export": {}}),
        "UpdateMemberStatus" => json!({"status": "rejected"}),
        "AddMember" => json!({"members": ["0605767b5780d5762fc5c0118072a564"]}),
        "AddVaultResource" => {
            json!({"resources": [{"id": VOLUMES[1], "type": "OS::Cinder::Volume"}]})
        }
        "RemoveVaultResource" => json!({"resource_ids": [VOLUMES[0]]}),
        "CreateVaultTags" => json!({"tag": {"key": "a", "value": "b"}}),
        "KeystoneUpdateUserByAdmin" => json!({"user": {"description": "theirs"}}),
        "UpdateUser" => json!({"user": {"email": "a@example.test"}}),
        "KeystoneUpdateUserPassword" => {
            json!({"user": {"password": "Other-7-Storm", "original_password": PASSWORD}})
        }
        "KeystoneUpdateGroup" => json!({"group": {"name": "theirs"}}),
        "KeystoneUpdateProject" => json!({"project": {"name": "theirs"}}),
        "UpdateCloudServiceCustomPolicy" => json!({"role": role}),
        "UpdateAgency" => json!({"agency": {"description": "theirs"}}),
        "UpdatePermanentAccessKey" => json!({"credential": {"status": "inactive"}}),
        "UpdateLoginProtect" => {
            json!({"login_protect": {"enabled": true, "verification_method": "vmfa"}})
        }
        "UpdateEnterpriseProject" => json!({"name": "theirs"}),
        _ => json!({}),
    }
}

/// What its owner sees of all things.
async fn state(app: &App, office: &Office<'_>) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in ["/vaults", "/backups", "/policies", "/x/exports", "/operation-logs"] {
        seen.push(app.get(path).await.expect(200).body);
    }
    for path in [
        "/v3/users",
        "/v3/groups",
        "/v3/projects",
        "/v3.0/OS-ROLE/roles",
        "/v3.0/OS-AGENCY/agencies",
        "/v3.0/OS-CREDENTIAL/credentials",
        "/v1.0/enterprise-projects",
        "/v3.0/OS-MFA/virtual-mfa-devices",
    ] {
        seen.push(office.get(path).await.expect(200).body);
    }
    seen
}

/// P26: the status, the code and the words are those of a thing that nobody has.
#[tokio::test]
async fn anothers_thing_looks_like_none_to_every_operation() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let things = {
        let things = things(&app, &office).await;
        let lone = format!("/backups/{}/members/{}", things["backup_id"], things["member_id"]);
        app.delete(&lone).await.expect(204);
        things
    };
    let (of_project, project) = app.stranger_token().await;
    let of_account = app.stranger_account_token().await;
    let (before, records) = (state(&app, &office).await, app.records().await.len());
    let mut told = 0;
    for operation in OPERATIONS {
        let named: Vec<&str> = parameters(operation.path);
        if !named.iter().any(|name| things.contains_key(name)) {
            continue;
        }
        let token = match operation.admission {
            Admission::Project => &of_project,
            _ => &of_account,
        };
        let ask = async |id: &dyn Fn(&str) -> String| -> Answer {
            let path = filled(operation.path, &project, id);
            let mut call = Call::new(operation.verb.as_str(), path).token(token);
            if operation.is_mutating() && operation.verb.as_str() != "DELETE" {
                call = call.json(&body(operation));
            }
            send(&app.router, call.build()).await
        };
        let foreign = ask(&|name| things[name].clone()).await;
        let none = ask(&|name| absent(&things[name])).await;
        let name = operation.name;
        assert_eq!(foreign.status, none.status, "{name}: {} but {}", foreign.body, none.body);
        let mut said = foreign.body.to_string();
        for id in things.values() {
            said = said.replace(id.as_str(), &absent(id));
        }
        assert_eq!(said, none.body.to_string(), "{name}");
        assert!(!foreign.status.is_success(), "{name} did it: {}", foreign.body);
        told += u32::from(foreign.status == 404);
    }
    assert!(told >= 80, "{told} operations looked for the thing");
    assert_eq!(state(&app, &office).await, before, "nothing was changed");
    assert_eq!(app.records().await.len(), records, "our records are of what was done here");
}

pub(crate) fn parameters(path: &str) -> Vec<&str> {
    let inner = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let all: Vec<&str> = inner.collect();
    all.into_iter().filter(|name| !NO_THINGS.contains(name)).collect()
}

pub(crate) fn filled(path: &str, project: &str, id: &dyn Fn(&str) -> String) -> String {
    let fill = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        None => part.to_owned(),
        Some("project_id") => project.to_owned(),
        Some("protectable_type") => "disk".to_owned(),
        Some(name) if ["organization_policy_id", "agent_id", "order_id"].contains(&name) => {
            "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01".to_owned()
        }
        Some(name) => id(name),
    };
    path.split('/').map(fill).collect::<Vec<_>>().join("/")
}

/// IAM-13, P26: who acted through an agency acts no more with the next request after the trusted account has taken
/// away what let its operator do so.
#[tokio::test]
async fn an_agencys_operator_that_is_removed_stops_at_once() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let made = office.post("/v3/domains", json!({"domain": {"name": "helpers"}})).await.expect(201);
    let helpers = made.body["administrator"].clone();
    let agency = json!({"agency": {"name": "help", "trust_domain_name": "helpers"}});
    let agency = office.post("/v3.0/OS-AGENCY/agencies", agency).await.expect(201).body;
    let role = office.role("CBR ReadOnlyAccess").await;
    let at = format!("/v3.0/OS-AGENCY/projects/{}/agencies", app.project());
    let grant = format!("{at}/{}/roles/{role}", id_of(&agency["agency"]));
    office.call("PUT", &grant, None).await.expect(204);

    let text = |field: &str| helpers[field].as_str().unwrap().to_owned();
    let theirs = async |method: &str, path: String, body: Option<Value>| {
        app.clock.advance(std::time::Duration::from_secs(1));
        let mut call = Call::new(method, path);
        if let Some(body) = body {
            call = call.json(&body);
        }
        let key = (text("access_key"), text("secret_key"));
        send(&app.router, call.signed(&key.0, &key.1, &app.date(0)).build()).await
    };
    let user = json!({"user": {"name": "operator", "password": PASSWORD}});
    let user =
        id_of(&theirs("POST", "/v3/users".into(), Some(user)).await.expect(201).body["user"]);
    let group = json!({"group": {"name": "operators"}});
    let group = theirs("POST", "/v3/groups".into(), Some(group)).await.expect(201).body;
    let group = id_of(&group["group"]);
    let member = format!("/v3/groups/{group}/users/{user}");
    theirs("PUT", member.clone(), None).await.expect(204);
    let named = "/v3/roles?display_name=Agent%20Operator".to_owned();
    let operator = theirs("GET", named, None).await.expect(200).body;
    let operator = id_of(&operator["roles"][0]);
    let domain = made.body["domain"]["id"].as_str().unwrap();
    let may = format!("/v3/domains/{domain}/groups/{group}/roles/{operator}");
    theirs("PUT", may, None).await.expect(204);

    let who = json!({"name": "operator", "password": PASSWORD, "domain": {"name": "helpers"}});
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": who}},
        "scope": {"domain": {"name": "helpers"}}}});
    let own = send(&app.router, Call::new("POST", "/v3/auth/tokens").json(&body).build()).await;
    let own = crate::people::token_of(&own.expect(201));
    let body = json!({"auth": {"identity": {"methods": ["assume_role"],
        "assume_role": {"domain_name": "acme", "agency_name": "help"}},
        "scope": {"project": {"id": app.project()}}}});
    let assume = Call::new("POST", "/v3/auth/tokens").token(&own).json(&body);
    let acting = send(&app.router, assume.build()).await.expect(201);
    let acting = crate::people::token_of(&acting);
    let list = Call::new("GET", format!("/v3/{}/vaults", app.project())).token(&acting);
    send(&app.router, list.clone().build()).await.expect(200);
    theirs("DELETE", member, None).await.expect(204);
    send(&app.router, list.build()).await.expect(401);
}

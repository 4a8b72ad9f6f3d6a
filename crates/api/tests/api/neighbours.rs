//! Servers started and stopped, quotas of disks, predefined tags (contract F.3, F.4; TMS).

use serde_json::{Value, json};

use crate::app::{App, DOMAIN_NAME};
use crate::client::{Call, send};
use crate::things::{SERVER, SYSTEM_DISK};

const NOBODY: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
const OTHER: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0000000000bb";

fn on(action: &str, servers: &[&str]) -> Value {
    let ids: Vec<Value> = servers.iter().map(|id| json!({"id": id})).collect();
    json!({action: {"servers": ids}})
}

async fn job(app: &App, started: &Value) -> Value {
    let id = started["job_id"].as_str().unwrap();
    app.call("GET", &format!("/v1/{}/jobs/{id}", app.project()), None).await.expect(200).body
}

/// Contract F.4: servers are started, stopped and restarted, and the job says how far that is.
#[tokio::test]
async fn servers_are_started_and_stopped_where_there_are_commands() {
    let app = App::start().await;
    app.add_server();
    app.provider.add_server(OTHER.parse().unwrap(), "other", vec![]);
    let path = format!("/v1/{}/cloudservers/action", app.project());
    let act = async |body: &Value| app.call("POST", &path, Some(body)).await;
    let status = async |id: &str| {
        let path = format!("/v1/{}/cloudservers/{id}", app.project());
        app.call("GET", &path, None).await.expect(200).body["server"]["status"].clone()
    };
    let started = act(&on("os-start", &[SERVER])).await.expect(200).body;
    assert_eq!(job(&app, &started).await["status"], "INIT");
    app.settle().await;
    let ended = job(&app, &started).await;
    assert_eq!((&ended["status"], &ended["job_type"]), (&json!("SUCCESS"), &json!("startServer")));
    assert_eq!(ended["entities"]["server_id"], SERVER);
    assert_eq!(status(SERVER).await, "ACTIVE");

    // Several are one job, which is over when all are.
    let both = act(&on("os-start", &[SERVER, OTHER])).await.expect(200).body;
    assert_eq!(job(&app, &both).await["status"], "INIT");
    app.settle().await;
    let ended = job(&app, &both).await;
    assert_eq!(
        (&ended["status"], &ended["entities"]["sub_jobs_total"]),
        (&json!("SUCCESS"), &json!(2))
    );
    assert_eq!(ended["entities"]["sub_jobs"][1]["entities"]["server_id"], OTHER);
    act(&on("reboot", &[SERVER])).await.expect(200);
    app.settle().await;
    assert_eq!(status(SERVER).await, "ACTIVE");
    act(&on("os-stop", &[SERVER])).await.expect(200);
    app.settle().await;
    assert_eq!(status(SERVER).await, "SHUTOFF");

    app.provider.take_commands(OTHER.parse().unwrap());
    for (body, code) in [
        (on("os-start", &[NOBODY]), "BackupService.7100"),
        (on("os-start", &[SERVER, OTHER]), "CBRX.0050"),
        (on("os-start", &[SERVER, SERVER]), "BackupService.9900"),
        (on("os-start", &[]), "BackupService.9900"),
        (json!({"os-stop": {"servers": [{"id": SERVER}], "type": "HARD"}}), "BackupService.9900"),
    ] {
        assert_eq!(act(&body).await.code(), code, "{body}");
    }
    app.settle().await;
    assert_eq!(status(SERVER).await, "SHUTOFF", "all or none");
    assert!(app.records().await.join("\n").contains("actOnServer"), "AUD-02");
}

/// RST-27: a server is not started while its disks are being written.
#[tokio::test]
async fn a_start_waits_for_the_restore() {
    let app = App::start().await;
    let (_, backup) = app.back_up_server("servers").await;
    let id = backup["id"].as_str().unwrap();
    let restore = json!({"restore": {"server_id": SERVER, "power_on": false}});
    app.post(&format!("/backups/{id}/restore"), &restore).await.expect(202);
    let path = format!("/v1/{}/cloudservers/action", app.project());
    let started = app.call("POST", &path, Some(&on("os-start", &[SERVER]))).await.expect(200).body;
    app.settle().await;
    assert_eq!(job(&app, &started).await["status"], "SUCCESS");
    // The restore left it off, and the start came after it.
    let path = format!("/v1/{}/cloudservers/{SERVER}", app.project());
    let shown = app.call("GET", &path, None).await.expect(200).body;
    assert_eq!(shown["server"]["status"], "ACTIVE");
}

/// Contract F.4: the same servers, as OpenStack's clients want them.
#[tokio::test]
async fn servers_have_the_shape_of_nova_too() {
    let app = App::start().await;
    app.add_server();
    let path = |rest: &str| format!("/v2.1/{}/servers{rest}", app.project());
    let get = async |rest: &str| app.call("GET", &path(rest), None).await;
    let shown = get(&format!("/{SERVER}")).await.expect(200).body["server"].clone();
    assert_eq!((&shown["name"], &shown["status"]), (&json!("web"), &json!("SHUTOFF")));
    assert_eq!(shown["os-extended-volumes:volumes_attached"][0], json!({"id": SYSTEM_DISK}));
    for list in ["", "/detail", "/detail?name=we&status=SHUTOFF&limit=1"] {
        assert_eq!(get(list).await.expect(200).body["servers"], json!([shown]), "{list}");
    }
    let after = get(&format!("/detail?marker={SERVER}")).await.expect(200).body;
    assert_eq!(after["servers"], json!([]));
    assert_eq!(get(&format!("/{NOBODY}")).await.expect(404).code(), "BackupService.7100");
    get("?limit=0").await.expect(400);
    get("/detail?limit=x").await.expect(400);
}

/// Contract F.4.
#[tokio::test]
async fn the_disks_of_a_server_are_listed_with_their_sizes() {
    let app = App::start().await;
    app.add_server();
    let path = |id: &str| format!("/v1/{}/cloudservers/{id}/block_device", app.project());
    let listed = app.call("GET", &path(SERVER), None).await.expect(200).body;
    let disk = &listed["volumeAttachments"][0];
    assert_eq!((&disk["volumeId"], &disk["bootIndex"]), (&json!(SYSTEM_DISK), &json!(0)));
    assert_eq!((&disk["serverId"], &disk["size"]), (&json!(SERVER), &json!(1)));
    assert_eq!(listed["volumeAttachments"][1]["bootIndex"], -1);
    let none = app.call("GET", &path(NOBODY), None).await.expect(404);
    assert_eq!(none.code(), "BackupService.7100");
}

/// Contract F.5: where there is no provider of file systems, there are none, and none is made.
#[tokio::test]
async fn file_systems_are_not_pretended() {
    let app = App::start().await;
    let path = |rest: &str| format!("/v1/{}/sfs-turbo/shares{rest}", app.project());
    let listed = app.call("GET", &path("/detail?limit=10&offset=0"), None).await.expect(200);
    assert_eq!(listed.body, json!({"shares": [], "count": 0}));
    app.call("GET", &path("/detail?limit=0"), None).await.expect(400);
    let body = json!({"share": {"name": "home", "share_proto": "NFS", "size": 500}});
    let refused = app.call("POST", &path(""), Some(&body)).await.expect(400);
    assert_eq!(refused.code(), "CBRX.0054");
    for method in ["GET", "DELETE"] {
        let absent = app.call(method, &path(&format!("/{NOBODY}")), None).await.expect(404);
        assert_eq!(absent.code(), "CBRX.0055");
    }
}

/// QUO-02.
#[tokio::test]
async fn quotas_of_disks_say_what_is_used() {
    let app = App::start().await;
    let path = |of: &str| format!("/v2/{}/os-quota-sets/{of}?usage=True", app.project());
    let shown = app.call("GET", &path(&app.project()), None).await.expect(200).body;
    let used = json!({"in_use": 2, "limit": -1, "reserved": 0});
    assert_eq!((&shown["quota_set"]["volumes"], &shown["quota_set"]["gigabytes"]), (&used, &used));
    let (_, strangers) = app.stranger().await;
    let refused = app.call("GET", &path(&strangers), None).await.expect(404);
    assert_eq!(refused.code(), "IAM.0004");
}

/// TAG-02: an account defines tags; another one does not see them.
#[tokio::test]
async fn an_account_defines_tags_to_choose_from() {
    let app = App::start().await;
    let token = account_token(&app).await;
    let call = async |method: &str, path: &str, body: Option<&Value>| {
        let call = Call::new(method, path).token(&token);
        let call = if let Some(body) = body { call.json(body) } else { call };
        send(&app.router, call.build()).await
    };
    let act = |action: &str| json!({"action": action, "tags": [{"key": "env", "value": "prod"}, {"key": "env", "value": "lab"}]});
    let acting = "/v1.0/predefine_tags/action";
    call("POST", acting, Some(&act("create"))).await.expect(204);
    call("POST", acting, Some(&act("create"))).await.expect(204);
    let listed = call("GET", "/v1.0/predefine_tags?limit=1", None).await.expect(200).body;
    assert_eq!((&listed["total_count"], &listed["marker"]), (&json!(2), &json!("1")));
    assert_eq!(listed["tags"][0]["value"], "lab");
    let next = call("GET", "/v1.0/predefine_tags?limit=1&marker=1", None).await.expect(200).body;
    assert_eq!((&next["tags"][0]["value"], &next["marker"]), (&json!("prod"), &json!("")));
    let change = json!({"old_tag": {"key": "env", "value": "lab"}, "new_tag": {"key": "team"}});
    call("PUT", "/v1.0/predefine_tags", Some(&change)).await.expect(204);
    call("PUT", "/v1.0/predefine_tags", Some(&change)).await.expect(404);
    let found = call("GET", "/v1.0/predefine_tags?key=tea", None).await.expect(200).body;
    assert_eq!(found["total_count"], 1);
    for bad in [
        json!({"action": "rename", "tags": [{"key": "a"}]}),
        json!({"action": "create", "tags": []}),
        json!({"action": "create", "tags": [{"key": "a/b"}]}),
    ] {
        call("POST", acting, Some(&bad)).await.expect(400);
    }
    call("GET", "/v1.0/predefine_tags?limit=0", None).await.expect(400);
    call("POST", acting, Some(&act("delete"))).await.expect(204);
    let (stranger, _) = app.stranger_for_account().await;
    let theirs = Call::new("GET", "/v1.0/predefine_tags").token(&stranger);
    let theirs = send(&app.router, theirs.build()).await.expect(200).body;
    assert_eq!(theirs["total_count"], 0, "P26");
    // A credential for one project does not reach the account.
    app.call("GET", "/v1.0/predefine_tags", None).await.expect(403);
}

/// A token for the account as a whole.
async fn account_token(app: &App) -> String {
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": crate::app::USER_NAME, "password": app.password(),
            "domain": {"name": DOMAIN_NAME}}}},
        "scope": {"domain": {"name": DOMAIN_NAME}}}});
    let answer = send(&app.router, Call::new("POST", "/v3/auth/tokens").json(&body).build()).await;
    let answer = answer.expect(201);
    answer.headers["x-subject-token"].to_str().unwrap().to_owned()
}

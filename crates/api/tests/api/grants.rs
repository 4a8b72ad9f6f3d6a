//! Each operation on policies, grants, agencies and people: that it does what it says, and what it refuses.

use serde_json::json;

use crate::app::App;
use crate::client::{Answer, Call, send};
use crate::people::{Office, PASSWORD, call, id_of};

const ABSENT: &str = "0605767b5780d5762fc5c0118072a564";

impl Office<'_> {
    async fn expect(&self, method: &str, path: &str, status: u16) -> Answer {
        self.call(method, path, None).await.expect(status)
    }
}

/// The paths of grants to one who is granted: where they are listed, and how one of them is named.
fn places(office: &Office<'_>, to: &str, id: &str) -> [(String, String); 3] {
    let (domain, project) = (&office.domain, office.app.project());
    let roots = match to {
        "agencies" => ["/v3.0/OS-AGENCY", "/v3.0/OS-INHERIT"],
        _ => ["/v3", "/v3/OS-INHERIT"],
    };
    let account = format!("{}/domains/{domain}/{to}/{id}/roles", roots[0]);
    let project = format!("{}/projects/{project}/{to}/{id}/roles", roots[0]);
    let all = format!("{}/domains/{domain}/{to}/{id}/roles", roots[1]);
    [
        (account.clone(), format!("{account}/ROLE")),
        (project.clone(), format!("{project}/ROLE")),
        (format!("{all}/inherited_to_projects"), format!("{all}/ROLE/inherited_to_projects")),
    ]
}

/// IAM-02, IAM-03, IAM-13: a policy is granted to groups and agencies in the account, in a project and in all of
/// them; asked for, listed and taken back in the same place, and in no other.
#[tokio::test]
async fn grants_are_made_asked_for_listed_and_taken_back_in_each_place() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    app.stranger_for_account().await;
    let wanted = json!({"agency": {"name": "them", "trust_domain_name": "other"}});
    let agency = office.post("/v3.0/OS-AGENCY/agencies", wanted).await.expect(201);
    let agency = id_of(&agency.body["agency"]);
    let group = office.group("crew").await;
    let of_account = office.role("IAM ReadOnlyAccess").await;
    let of_projects = office.role("CBR ReadOnlyAccess").await;
    for (to, id) in [("groups", &group), ("agencies", &agency)] {
        for (place, (list, one)) in places(&office, to, id).into_iter().enumerate() {
            let role = if place == 0 { &of_account } else { &of_projects };
            let other = if place == 0 { &of_projects } else { &of_account };
            let at = |role: &str| one.replace("ROLE", role);
            office.expect("HEAD", &at(role), 404).await;
            office.expect("DELETE", &at(role), 404).await;
            office.expect("PUT", &at(role), 204).await;
            office.expect("HEAD", &at(role), 204).await;
            let listed = office.expect("GET", &list, 200).await.body;
            assert_eq!(listed["roles"].as_array().unwrap().len(), 1, "{list}: {listed}");
            assert_eq!(listed["roles"][0]["id"], role.as_str());
            // A policy has its effect in projects or in the account, not in both.
            office.expect("PUT", &at(other), 400).await;
            office.expect("PUT", &at(ABSENT), 404).await;
            office.expect("DELETE", &at(ABSENT), 404).await;
            office.expect("GET", &list.replace(id.as_str(), ABSENT), 404).await;
            office.expect("DELETE", &at(role), 204).await;
            let listed = office.expect("GET", &list, 200).await.body;
            assert_eq!(listed["roles"], json!([]), "{list}");
        }
    }
}

/// IAM-13: agencies are listed, shown, changed and removed; what is not one is refused.
#[tokio::test]
async fn agencies_are_listed_shown_changed_and_removed() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    app.stranger_for_account().await;
    let path = "/v3.0/OS-AGENCY/agencies";
    let wanted = json!({"agency": {"name": "them", "trust_domain_name": "other"}});
    let made = office.post(path, wanted).await.expect(201);
    let one = format!("{path}/{}", id_of(&made.body["agency"]));
    let listed = office.get(&format!("{path}?domain_id={}", office.domain)).await.expect(200);
    assert_eq!(listed.body["agencies"][0]["name"], "them");
    let none = office.get(&format!("{path}?name=nobody")).await.expect(200);
    assert_eq!(none.body["agencies"], json!([]));
    let described = json!({"agency": {"description": "look after it"}});
    office.call("PUT", &one, Some(described.clone())).await.expect(200);
    let shown = office.get(&one).await.expect(200);
    assert_eq!(shown.body["agency"]["description"], "look after it");
    let endless = json!({"agency": {"duration": "A WHILE"}});
    office.call("PUT", &one, Some(endless)).await.expect(400);
    let absent = format!("{path}/{ABSENT}");
    for (method, body) in [("GET", None), ("PUT", Some(described)), ("DELETE", None)] {
        office.call(method, &absent, body).await.expect(404);
    }
    office.expect("DELETE", &one, 204).await;
    office.expect("GET", &one, 404).await;
}

/// IAM-08, IAM-09: policies of the account are shown and removed, those of the system only shown.
#[tokio::test]
async fn policies_are_shown_changed_and_removed() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let statement = json!([{"Effect": "Allow", "Action": ["cbr:vaults:get"]}]);
    let policy = office.policy("mine", statement.clone()).await;
    let one = format!("/v3.0/OS-ROLE/roles/{policy}");
    assert_eq!(office.get(&one).await.expect(200).body["role"]["display_name"], "mine");
    let system = office.role("CBR FullAccess").await;
    let shown = office.get(&format!("/v3/roles/{system}")).await.expect(200);
    assert_eq!(shown.body["role"]["display_name"], "CBR FullAccess");
    office.expect("GET", &format!("/v3/roles/{ABSENT}"), 404).await;
    let absent = format!("/v3.0/OS-ROLE/roles/{ABSENT}");
    let body = json!({"role": {"display_name": "mine", "type": "XA",
        "policy": {"Version": "1.1", "Statement": statement}}});
    for path in [&absent, &format!("/v3.0/OS-ROLE/roles/{system}")] {
        office.expect("GET", path, 404).await;
        office.call("PATCH", path, Some(body.clone())).await.expect(404);
        office.expect("DELETE", path, 404).await;
    }
    office.expect("DELETE", &one, 200).await;
    office.expect("GET", &one, 404).await;
}

/// IAM-01, IAM-04: users, groups and projects, by both families of paths.
#[tokio::test]
async fn people_and_projects_are_made_shown_and_changed() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let alice = office.user("alice").await;
    let crew = office.group("crew").await;

    let users = "/v3.0/OS-USER/users";
    let wanted = |name: &str| json!({"user": {"name": name, "password": PASSWORD, "domain_id": office.domain}});
    let bob = office.post(users, wanted("bob")).await.expect(201);
    let bob = format!("{users}/{}", id_of(&bob.body["user"]));
    assert_eq!(office.get(&bob).await.expect(200).body["user"]["name"], "bob");
    let mailed = json!({"user": {"email": "bob@example.test"}});
    let changed = office.call("PUT", &bob, Some(mailed.clone())).await.expect(200);
    assert_eq!(changed.body["user"]["email"], "bob@example.test");
    office.post(users, wanted("alice")).await.expect(409);
    office.post(users, wanted("a<b")).await.expect(400);
    let absent = format!("{users}/{ABSENT}");
    office.expect("GET", &absent, 404).await;
    office.call("PUT", &absent, Some(mailed)).await.expect(404);

    let group = format!("/v3/groups/{ABSENT}");
    let named = json!({"group": {"name": "x"}});
    office.call("PATCH", &group, Some(named)).await.expect(404);
    office.expect("GET", &format!("{group}/users"), 404).await;
    office.expect("DELETE", &format!("/v3/groups/{crew}/users/{alice}"), 404).await;
    office.expect("GET", &format!("/v3/users/{ABSENT}/groups"), 404).await;
    office.expect("GET", &format!("/v3/users/{ABSENT}/projects"), 404).await;

    let made = json!({"project": {"name": "second"}});
    let second = office.post("/v3/projects", made.clone()).await.expect(201);
    office.post("/v3/projects", made).await.expect(409);
    office.post("/v3/projects", json!({"project": {"name": "a/b"}})).await.expect(400);
    let path = format!("/v3/projects/{}", id_of(&second.body["project"]));
    let renamed = json!({"project": {"name": "third", "description": "d"}});
    let changed = office.call("PATCH", &path, Some(renamed)).await.expect(200);
    assert_eq!(changed.body["project"]["name"], "third");
    let mine = call(&app, &office.token, "GET", "/v3/auth/projects", None).await.expect(200);
    assert_eq!(mine.body["projects"].as_array().unwrap().len(), 2);

    let projects = "/v1.0/enterprise-projects";
    let named = json!({"name": "x"});
    office.call("PUT", &format!("{projects}/{ABSENT}"), Some(named)).await.expect(404);
    office.expect("GET", &format!("{projects}?limit=many"), 400).await;
}

/// Contract F.1: access keys and second factors of people there are, and of people there are not.
#[tokio::test]
async fn keys_and_second_factors_belong_to_somebody() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    let alice = office.user("alice").await;
    let keys = "/v3.0/OS-CREDENTIAL/credentials";
    office.expect("DELETE", &format!("{keys}/ABSENT"), 404).await;
    office.expect("GET", &format!("{keys}?user_id={ABSENT}"), 404).await;
    let protection = |user: &str| format!("/v3.0/OS-USER/users/{user}/login-protect");
    let all = office.get("/v3.0/OS-USER/login-protects").await.expect(200);
    assert_eq!(all.body["login_protects"], json!([]));
    let device = json!({"virtual_mfa_device": {"name": "phone", "user_id": alice}});
    office.post("/v3.0/OS-MFA/virtual-mfa-devices", device).await.expect(201);
    let shown = office.get(&protection(&alice)).await.expect(200);
    assert_eq!(shown.body["login_protect"]["enabled"], false);
    office.expect("GET", &protection(ABSENT), 404).await;
    let on = json!({"login_protect": {"enabled": true, "verification_method": "vmfa"}});
    office.call("PUT", &protection(ABSENT), Some(on.clone())).await.expect(404);
    let by_text = json!({"login_protect": {"enabled": true, "verification_method": "sms"}});
    office.call("PUT", &protection(&alice), Some(by_text)).await.expect(400);
    office.expect("GET", &format!("/v3.0/OS-MFA/users/{ABSENT}/virtual-mfa-device"), 404).await;
}

/// Contract F.4, F.7: servers and trackers of this project, and what is asked for wrongly.
#[tokio::test]
async fn servers_and_trackers_are_shown() {
    let app = App::start().await;
    app.add_server();
    let path = |rest: &str| format!("/v1/{}/cloudservers/{rest}", app.project());
    let shown = app.call("GET", &path(crate::things::SERVER), None).await.expect(200);
    assert_eq!(shown.body["server"]["id"], crate::things::SERVER);
    app.call("GET", &path("detail?limit=many"), None).await.expect(400);
    app.call("GET", &path(ABSENT), None).await.expect(404);
    let volumes = format!("/v2/{}/cloudvolumes/detail?limit=many", app.project());
    app.call("GET", &volumes, None).await.expect(400);
}

/// Contract A.4: a filter that is no value of its kind is refused, not ignored.
#[tokio::test]
async fn filters_of_the_wrong_kind_are_refused() {
    let app = App::start().await;
    let office = Office::open(&app).await;
    for path in ["/v3/users", "/v3/projects", "/v3/auth/projects"] {
        office.expect("GET", &format!("{path}?enabled=perhaps"), 400).await;
    }
    office.expect("GET", "/v3/domain/%ff/projects", 400).await;
    app.get("/agents?limit=many").await.expect(400);
    app.get("/x/audit/records?after=all").await.expect(400);
    for path in ["/v2/images?limit=many", "/v2/images/5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01"] {
        let refused = app.call("GET", path, None).await;
        assert!(refused.status.is_client_error(), "{path}: {}", refused.body);
    }
    // A page that anybody may look at is one of a subscription.
    let page = Call::new("GET", "/smn/subscriptions/any/confirm");
    assert!(send(&app.router, page.build()).await.status.is_client_error());
}

/// Contract A.3: a token that is not there is not shown.
#[tokio::test]
async fn a_token_that_is_none_is_not_shown() {
    let app = App::start().await;
    let about =
        Call::new("GET", "/v3/auth/tokens").token(app.token()).header("x-subject-token", "garbage");
    let answer = send(&app.router, about.build()).await.expect(404);
    assert_eq!(answer.body["error"]["code"], 404);
}
